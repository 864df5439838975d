"""The twins by backend, and why other backends have none."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from stackproof.benchmarks.pairs import Twins
from stackproof.interfaces import ConfigurationError

_HERE = "stackproof.benchmarks.twins"

TWINS: Mapping[str, str] = {
    "interactions=postgres": f"{_HERE}.postgres:PostgresInteractionTwins",
    "interactions=scylla": f"{_HERE}.cql:CqlTwins",
    "events=redis": f"{_HERE}.redis_events:RedisEventTwins",
    "events=kafka": f"{_HERE}.kafka:KafkaTwins",
    "search=postgres": f"{_HERE}.postgres:PostgresSearchTwins",
    "search=opensearch": f"{_HERE}.opensearch:OpenSearchTwins",
    "cache=redis": f"{_HERE}.redis_cache:RedisCacheTwins",
    "cache=elasticache": f"{_HERE}.redis_cache:ElastiCacheTwins",
    "cache=dragonfly": f"{_HERE}.redis_cache:DragonflyTwins",
    "cache=upstash": f"{_HERE}.redis_cache:UpstashTwins",
    "cache=local": f"{_HERE}.local:LocalCacheTwins",
    "logs=console": f"{_HERE}.console:ConsoleTwins",
}
"""Backend -> ``module:class``; imported when it is needed, because each needs its driver."""

_EMULATED = "its server here is an emulator, whose times say nothing"
LEFT_OUT: Mapping[str, str] = {
    "interactions=dynamodb": _EMULATED,
    "interactions=cassandra": "its code is that of interactions=scylla",
    "interactions=keyspaces": "its code is that of interactions=scylla, with another login",
    "events=kinesis": _EMULATED,
    "events=eventbridge": _EMULATED,
    "events=redpanda": "its code is that of events=kafka",
    "events=msk": "its code is that of events=kafka, with another login",
    "logs=cloudwatch": _EMULATED,
}
"""Backend -> why it has no twin."""


def twins_of(backend: str) -> type[Twins]:
    """The twins of a backend; `ConfigurationError` where there are none, or where their driver is not installed."""
    if backend not in TWINS:
        why = LEFT_OUT.get(backend, "nobody has written one")
        raise ConfigurationError(
            f"{backend} has no counterpart on its raw driver: {why}; known are: {', '.join(TWINS)}"
        )
    module, _, name = TWINS[backend].partition(":")
    try:
        found: type[Twins] = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the counterpart of {backend} needs the package {error.name!r}; type: pip install 'stackproof[all]'"
        ) from error
    return found
