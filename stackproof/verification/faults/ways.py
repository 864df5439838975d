"""Which built-in backend is reached in which way."""

from __future__ import annotations

from collections.abc import Mapping

from stackproof.servers.http_faults import (
    DYNAMODB_THROTTLED,
    EVENTBRIDGE_PUT_EVENTS,
    EVENTBRIDGE_THROTTLED,
    KINESIS_PUT_RECORDS,
    KINESIS_THROTTLED,
    LOGS_THROTTLED,
    OPENSEARCH_THROTTLED,
    BulkRejected,
    ShortPages,
    Throttled,
    UnprocessedItems,
)
from stackproof.targets import Target

from .brokers import BrokersWay
from .hosts import HostsWay
from .http import HttpWay, HttpWords
from .proxied import Way
from .urls import PostgresWay, RedisWay

ANY_SERVICE = "AWS_ENDPOINT_URL"
SHORT_PAGE = 2
"""How many rows a page of DynamoDB has, when it ends early."""

_BY_SERVER: Mapping[str, Way] = {
    "postgres": PostgresWay(),
    "redis": RedisWay(),
    "valkey": RedisWay(),
    "redis-tls": RedisWay("rediss://127.0.0.1:1/0"),
    "redis-cluster": RedisWay("redis://127.0.0.1:1/0?cluster=true", cluster=True),
    "kafka": BrokersWay("KAFKA_BROKERS", 9092),
    "kafka-iam": BrokersWay("MSK_BROKERS", 9098),
    "cassandra": HostsWay(
        "SCYLLA_CONTACT_POINTS",
        9042,
        lambda settings: settings.get("SCYLLA_TLS").lower() in ("yes", "true") or bool(settings.get("SCYLLA_CA_FILE")),
    ),
    "opensearch": HttpWay(("OPENSEARCH_URL",), HttpWords(Throttled(OPENSEARCH_THROTTLED), BulkRejected()), 9200),
}

_BY_BACKEND: Mapping[tuple[str, str], Way] = {
    ("interactions", "keyspaces"): HostsWay(
        "KEYSPACES_ENDPOINT", 9142, lambda settings: settings.get("KEYSPACES_AUTH").lower() != "none"
    ),
    ("interactions", "dynamodb"): HttpWay(
        (ANY_SERVICE,),
        HttpWords(Throttled(DYNAMODB_THROTTLED), UnprocessedItems(), ShortPages(limit=SHORT_PAGE, empty=True)),
    ),
    ("events", "kinesis"): HttpWay(
        ("AWS_ENDPOINT_URL_KINESIS",),
        HttpWords(Throttled(KINESIS_THROTTLED), KINESIS_PUT_RECORDS),
        otherwise=ANY_SERVICE,
    ),
    ("events", "eventbridge"): HttpWay(
        ("AWS_ENDPOINT_URL_EVENTBRIDGE", "AWS_ENDPOINT_URL_SQS"),
        HttpWords(Throttled(EVENTBRIDGE_THROTTLED), EVENTBRIDGE_PUT_EVENTS),
        otherwise=ANY_SERVICE,
    ),
    ("logs", "cloudwatch"): HttpWay((ANY_SERVICE,), HttpWords(Throttled(LOGS_THROTTLED))),
}
"""Those of one server that read variables of their own, or hear words of their own."""


def way_to(target: Target) -> Way | None:
    """The way to the server of a built-in backend; None where it has no server, or nobody knows how to get between."""
    if target.entry is None:
        return None
    return _BY_BACKEND.get((target.concern, target.entry.name)) or _BY_SERVER.get(target.server)
