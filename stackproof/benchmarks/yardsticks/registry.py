"""Which yardsticks there are, and which of them a target has. Importing a tool's adapter needs the driver of its technology."""

from __future__ import annotations

import importlib
from collections.abc import Iterable

from stackproof.targets import Target

from .yardstick import Yardstick

_HERE = __name__.rpartition(".")[0]
_ADAPTERS: dict[tuple[str, str], tuple[str, ...]] = {
    ("interactions", "postgres"): ("pgbench:PgbenchRecords", "pgbench:PgbenchSummaries"),
    ("cache", "redis"): ("redis_benchmark:RedisBenchmark", "memtier:MemtierBenchmark"),
    ("cache", "elasticache"): ("redis_benchmark:RedisBenchmark", "memtier:MemtierBenchmark"),
    ("cache", "dragonfly"): ("redis_benchmark:RedisBenchmark", "memtier:MemtierBenchmark"),
    ("interactions", "cassandra"): ("cassandra_stress:CassandraStress",),
    ("interactions", "scylla"): ("cassandra_stress:CassandraStress",),
    ("events", "kafka"): ("kafka_perf:KafkaProducerPerf",),
    ("events", "redpanda"): ("kafka_perf:KafkaProducerPerf",),
    ("search", "opensearch"): ("opensearch_benchmark:OpenSearchBenchmark",),
}
"""(concern, technology of the backend) -> module and class of each yardstick."""


def yardsticks_of(target: Target) -> list[Yardstick]:
    """The yardsticks of a target; none where the field has no tool for what it does, as for a third party's backend."""
    names: Iterable[str] = _ADAPTERS.get((target.concern, target.technology), ())
    return [_loaded(name) for name in names]


def known() -> list[tuple[str, str]]:
    """The concerns and technologies that have one."""
    return list(_ADAPTERS)


def _loaded(name: str) -> Yardstick:
    module, _, attribute = name.partition(":")
    made: Yardstick = getattr(importlib.import_module(f"{_HERE}.{module}"), attribute)()
    return made
