"""Which backends there are: the built-in ones as data, third-party ones from the entry point group `stackproof.adapters`.

Reading the list imports no driver; `BackendEntry.load` does.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from stackproof.interfaces import ConfigurationError

ENTRY_POINT_GROUP = "stackproof.adapters"
"""An entry point is called ``<concern>.<name>`` and points to an adapter class with `from_settings`, or a factory."""

CONCERNS = ("interactions", "events", "search", "cache", "logs")


@dataclass(frozen=True, slots=True)
class BackendEntry:
    """One backend of one concern."""

    concern: str
    name: str
    adapter: str
    """``module:class`` (or ``module:factory``)."""
    aliases: tuple[str, ...] = ()
    extra: str = ""
    """The extra of stackproof that installs its driver."""
    server: str = ""
    """The server that it talks to, by the name that `stackproof.servers` knows; empty for none."""
    technology: str = ""
    """What it is for, where another technology can stand in: "scylla", "redpanda"; a certificate says when one did."""
    also: tuple[str, ...] = ()
    """Further servers that it needs, for a part of what it does."""
    variables: tuple[str, ...] = ()
    """The environment variables that it needs."""
    summary: str = ""
    native_threads: bool = False
    """Its driver has threads of its own, and hangs where gevent has replaced them (`adapters/native_threads.py`)."""
    reference: bool = False
    """What the contracts mean, in memory: no technology of its own."""

    def load(self) -> Callable[..., Any]:
        """Import the adapter. A missing driver is a `ConfigurationError` with the line to type."""
        module_name, _, attribute = self.adapter.partition(":")
        try:
            found: Callable[..., Any] = getattr(importlib.import_module(module_name), attribute)
        except ModuleNotFoundError as error:
            if not self.extra or (error.name or "").split(".")[0] == "stackproof":
                raise ConfigurationError(
                    f"the {self.name} backend of {self.concern} cannot be imported: {error}"
                ) from error
            raise ConfigurationError(
                f"the {self.name} backend of {self.concern} needs the package {error.name!r}; "
                f"type: pip install 'stackproof[{self.extra}]'"
            ) from error
        except (ImportError, AttributeError) as error:
            raise ConfigurationError(
                f"the {self.name} backend of {self.concern} ({self.adapter}) cannot be imported: {error}"
            ) from error
        return found


BUILT_IN = (
    BackendEntry(
        "interactions",
        "postgres",
        "stackproof.adapters.interactions.postgres:PostgresInteractionStore",
        aliases=("pg", "postgresql"),
        extra="postgres",
        server="postgres",
        technology="postgres",
        variables=("DATABASE_URL",),
        summary="PostgreSQL tables, summaries kept by upsert in the same transaction",
    ),
    BackendEntry(
        "interactions",
        "dynamodb",
        "stackproof.adapters.interactions.dynamodb:DynamoDbInteractionStore",
        extra="aws",
        server="aws",
        technology="dynamodb",
        summary="Amazon DynamoDB: one transaction a contact, consistent reads",
    ),
    BackendEntry(
        "interactions",
        "scylla",
        "stackproof.adapters.interactions.scylla:ScyllaInteractionStore",
        extra="cql",
        native_threads=True,
        server="cassandra",
        technology="scylla",
        variables=("SCYLLA_CONTACT_POINTS",),
        summary="ScyllaDB, ids claimed by lightweight transactions, summaries computed from the contacts",
    ),
    # A row of its own, so that a certificate says which of the two was asked for.
    BackendEntry(
        "interactions",
        "cassandra",
        "stackproof.adapters.interactions.scylla:ScyllaInteractionStore",
        extra="cql",
        native_threads=True,
        server="cassandra",
        technology="cassandra",
        variables=("SCYLLA_CONTACT_POINTS",),
        summary="Apache Cassandra, as scylla",
    ),
    BackendEntry(
        "interactions",
        "keyspaces",
        "stackproof.adapters.interactions.keyspaces:KeyspacesInteractionStore",
        extra="keyspaces",
        native_threads=True,
        server="cassandra",
        technology="keyspaces",
        variables=("KEYSPACES_ENDPOINT",),
        summary="Amazon Keyspaces, with AWS credentials, the statements of cassandra",
    ),
    BackendEntry(
        "interactions",
        "memory",
        "stackproof.adapters.interactions.memory:MemoryInteractionStore",
        summary="the reference, in this process",
        reference=True,
    ),
    BackendEntry(
        "events",
        "redis",
        "stackproof.adapters.events.redis_pubsub:RedisPubSubPublisher",
        extra="redis",
        server="redis",
        technology="redis",
        variables=("REDIS_URL",),
        summary="Redis pub/sub: fire and forget, subscribers must be connected",
    ),
    BackendEntry(
        "events",
        "kafka",
        "stackproof.adapters.events.kafka:KafkaEventPublisher",
        extra="kafka",
        native_threads=True,
        server="kafka",
        technology="kafka",
        variables=("KAFKA_BROKERS",),
        summary="Kafka: a log with key order, groups that keep their place, and replay",
    ),
    BackendEntry(
        "events",
        "redpanda",
        "stackproof.adapters.events.kafka:KafkaEventPublisher",
        extra="kafka",
        native_threads=True,
        server="kafka",
        technology="redpanda",
        variables=("KAFKA_BROKERS",),
        summary="Redpanda, by the protocol of Kafka",
    ),
    BackendEntry(
        "events",
        "msk",
        "stackproof.adapters.events.msk:MskEventPublisher",
        aliases=("aws_msk",),
        extra="msk",
        native_threads=True,
        server="kafka-iam",
        technology="msk",
        variables=("MSK_BROKERS",),
        summary="Kafka as a service of AWS, with a login by IAM or SCRAM",
    ),
    BackendEntry(
        "events",
        "eventbridge",
        "stackproof.adapters.events.eventbridge:EventBridgePublisher",
        extra="aws",
        server="aws",
        technology="eventbridge",
        summary="Amazon EventBridge: a rule and an SQS queue for each subscription, no order",
    ),
    BackendEntry(
        "events",
        "kinesis",
        "stackproof.adapters.events.kinesis:KinesisPublisher",
        extra="aws",
        server="kinesis",
        technology="kinesis",
        also=("aws",),
        summary="Amazon Kinesis: a log in order per key; groups keep their place in DynamoDB",
    ),
    BackendEntry(
        "events",
        "memory",
        "stackproof.adapters.events.memory:MemoryEventPublisher",
        summary="the reference, in this process",
        reference=True,
    ),
    BackendEntry(
        "events",
        "memory-log",
        "stackproof.adapters.events.memory_log:MemoryEventLog",
        summary="the reference with a log: groups keep their place, events can be replayed",
        reference=True,
    ),
    BackendEntry(
        "search",
        "postgres",
        "stackproof.adapters.search.postgres:PostgresSearchIndex",
        aliases=("pg", "postgresql"),
        extra="postgres",
        server="postgres",
        technology="postgres",
        variables=("DATABASE_URL",),
        summary="PostgreSQL full text: tsvector, ranked",
    ),
    BackendEntry(
        "search",
        "opensearch",
        "stackproof.adapters.search.opensearch:OpenSearchSearchIndex",
        extra="opensearch",
        server="opensearch",
        technology="opensearch",
        variables=("OPENSEARCH_URL",),
        summary="OpenSearch, own or Amazon's: BM25, bulk requests, an alias for each namespace",
    ),
    BackendEntry(
        "search",
        "memory",
        "stackproof.adapters.search.memory:MemorySearchIndex",
        summary="the reference, in this process",
        reference=True,
    ),
    BackendEntry(
        "cache",
        "redis",
        "stackproof.adapters.cache.redis:RedisCache",
        extra="redis",
        server="redis",
        technology="redis",
        variables=("REDIS_URL",),
        summary="Redis, one fetch also across processes",
    ),
    BackendEntry(
        "cache",
        "elasticache",
        "stackproof.adapters.cache.elasticache:ElastiCacheCache",
        extra="redis",
        server="redis-cluster",
        technology="elasticache",
        variables=("REDIS_URL",),
        summary="Redis or Valkey in cluster mode, as Amazon ElastiCache has it",
    ),
    BackendEntry(
        "cache",
        "upstash",
        "stackproof.adapters.cache.upstash:UpstashCache",
        extra="redis",
        server="redis-tls",
        technology="upstash",
        variables=("REDIS_URL",),
        summary="Upstash: Redis with TLS and limits on requests",
    ),
    BackendEntry(
        "cache",
        "dragonfly",
        "stackproof.adapters.cache.dragonfly:DragonflyCache",
        extra="redis",
        server="valkey",
        technology="dragonfly",
        variables=("REDIS_URL",),
        summary="Dragonfly: the protocol of Redis, declared keys in scripts, long lifetimes in whole seconds",
    ),
    BackendEntry(
        "cache",
        "local",
        "stackproof.adapters.cache.local:LocalCache",
        aliases=("in-process",),
        summary="bounded, in this process: the fallback of development",
    ),
    BackendEntry(
        "cache",
        "memory",
        "stackproof.adapters.cache.memory:MemoryCache",
        summary="the reference, in this process",
        reference=True,
    ),
    BackendEntry(
        "logs",
        "console",
        "stackproof.adapters.logs.console:ConsoleJsonHandler",
        summary="one line of JSON a record on stderr or stdout",
    ),
    BackendEntry(
        "logs",
        "cloudwatch",
        "stackproof.adapters.logs.cloudwatch:CloudWatchHandler",
        extra="aws",
        server="aws",
        technology="cloudwatch",
        summary="Amazon CloudWatch Logs: batches, sent by a thread",
    ),
    BackendEntry(
        "logs",
        "memory",
        "stackproof.adapters.logs.memory:MemoryLogHandler",
        summary="the reference, in this process",
        reference=True,
    ),
)


@cache
def third_party() -> tuple[BackendEntry, ...]:
    """The backends that installed packages offer. An entry point with a name of another form is a `ConfigurationError`."""
    found = []
    for point in entry_points(group=ENTRY_POINT_GROUP):
        concern, dot, name = point.name.partition(".")
        if concern not in CONCERNS or not dot or not name:
            raise ConfigurationError(
                f"the entry point {point.name!r} of group {ENTRY_POINT_GROUP} must be called <concern>.<name>, "
                f"with a concern out of {', '.join(CONCERNS)}"
            )
        summary = f"from {point.dist.name} {point.dist.version}" if point.dist else "third party"
        found.append(BackendEntry(concern, name.lower(), point.value, summary=summary))
    return tuple(found)


def backends(concern: str | None = None) -> list[BackendEntry]:
    """All backends, or those of one concern; built-in ones first."""
    return [entry for entry in (*BUILT_IN, *third_party()) if concern in (None, entry.concern)]


def known_names(concern: str) -> list[str]:
    """Every value that chooses a backend of this concern."""
    return [name for entry in backends(concern) for name in (entry.name, *entry.aliases)]


def find(concern: str, name: str, chosen_by: str) -> BackendEntry:
    """The backend of this name. ``chosen_by`` says in the error where the name came from (a variable, an option)."""
    wanted = name.strip().lower()
    for entry in backends(concern):
        if wanted in (entry.name, *entry.aliases):
            return entry
    raise ConfigurationError(
        f"{chosen_by}={name!r} is not a known backend of {concern}; known are: {', '.join(known_names(concern))}"
        + ("; your own is given as package.module:factory" if chosen_by.startswith("--") else "")
    )
