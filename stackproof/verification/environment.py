"""The environment of a verification, as names and texts: what a certificate says of where it was made."""

from __future__ import annotations

import platform
from collections.abc import Mapping

from stackproof.interfaces import ConfigurationError
from stackproof.measurement.environment import DRIVERS, processor_model, usable_cores, versions
from stackproof.targets import parse_target

_TOOLS = ("pytest", "locust", "gevent")

_AWS, _CQL, _KAFKA = ("boto3", "botocore"), ("scylla-driver",), ("confluent-kafka",)
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "postgres": ("psycopg",), "redis": ("redis", "msgpack"), "aws": _AWS, "kafka": _KAFKA, "msk": _KAFKA, "cql": _CQL,
    "keyspaces": (*_AWS, *_CQL), "opensearch": ("opensearch-py", "urllib3"),
}  # fmt: skip
"""Extra of a backend -> the drivers without which it cannot be used. hiredis is none of them."""


def needed_drivers(target: str) -> tuple[str, ...]:
    """The drivers that a target, such as ``cache=redis``, was surely reached with; of a third party's backend none is known."""
    try:
        entry = parse_target(target).entry
    except ConfigurationError:
        return ()
    return _NEEDED.get(entry.extra, ()) if entry is not None else ()


def describe_environment() -> dict[str, str]:
    """Interpreter, system, processor and versions of the drivers. Holds no name of the machine or of a user."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": processor_model() or "unknown",
        "cores": str(usable_cores()),
        **versions((*DRIVERS, *_TOOLS)),
    }
