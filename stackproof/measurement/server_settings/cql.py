"""What a Cassandra, a ScyllaDB or Amazon Keyspaces says of itself: one node of the cluster, the one that the driver asked.

Meanings follow "Storage Engine" (commit log) and "Dynamo" (replication, consistency) of Cassandra's documentation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cassandra import ConsistencyLevel

from stackproof.adapters.cql_client import CONSISTENCY, CqlClient, Statement
from stackproof.adapters.interactions.cql import CqlInteractionStore
from stackproof.adapters.settings import Settings
from stackproof.interfaces import BackendError
from stackproof.targets import Target

from .records import Setting, Told

MEANINGS = {
    "version": "The release of the server.",
    "commitlog_sync": "When the log of writes is forced to disk: batch and group before the answer, periodic some time after it.",
    "commitlog_sync_period": "With periodic: how often, and so how much an acknowledged write may be behind the disk.",
    "commitlog_sync_group_window": "With group: how long writes wait for each other before they are forced to disk together.",
    "durable_writes": "Whether writes to our keyspace go through that log at all.",
    "nodes": "How many nodes the local datacenter has.",
    "replication factor": "On how many nodes of the local datacenter our keyspace keeps each row.",
    "concurrent_writes": "Threads of a node that write.",
}
_SETTINGS = ("commitlog_sync", "commitlog_sync_period", "commitlog_sync_group_window", "concurrent_writes")
_IN_MILLISECONDS = ("commitlog_sync_period", "commitlog_sync_group_window")
"""Before Cassandra 4.1, and in ScyllaDB, these end in ``_in_ms``, and their values have no unit."""

_LOCAL = Statement("SELECT release_version FROM system.local")
_CLUSTER = Statement("SELECT cluster_name FROM system.local")
_OF_KEYSPACES = "Amazon Keyspaces"
"""What the service calls its cluster."""
_SCYLLA_VERSION = Statement("SELECT version FROM system.versions WHERE key = 'local'")
_OF_CASSANDRA = Statement("SELECT name, value FROM system_views.settings")
_OF_SCYLLA = Statement("SELECT name, value FROM system.config")
_KEYSPACE = Statement("SELECT durable_writes, replication FROM system_schema.keyspaces WHERE keyspace_name = ?")


def ask(settings: Settings, targets: Sequence[Target], _namespace: str | None) -> Told:
    """Errors are the `BackendError` and `ConfigurationError` of the adapter's client."""
    store = _store(settings, targets)
    keyspace, managed = store.keyspace, store.access.managed
    cql = CqlClient(store.access)
    try:
        with cql.operation():
            release = list(cql.read(_LOCAL))  # raises where nobody answers
            version = _rows(cql, _SCYLLA_VERSION)
            technology = brand_of(_rows(cql, _CLUSTER), is_scylla=bool(version))
            told = dict(_rows(cql, _OF_SCYLLA if version else _OF_CASSANDRA))
            values = {"version": str((version or release)[0][0])}
            values["nodes"] = str(cql.nodes_in_datacenter())
            values |= {name: value for name in _SETTINGS if (value := _setting(told, name))}
            kept = list(cql.read(_KEYSPACE, [keyspace]))
            values |= _of_keyspace(kept, cql.datacenter())
    finally:
        cql.close()
        store.disconnect()
    reasons = dict.fromkeys(_SETTINGS, "the server shows no table of its settings") if not told else {}
    if not kept:
        reasons |= dict.fromkeys(("durable_writes", "replication factor"), "our keyspace is not there yet")
    elif managed and "replication factor" not in values:
        reasons["replication factor"] = "the service keeps it to itself"
    return Told(
        technology, "its only node" if values["nodes"] == "1" else f"one of {values['nodes']} nodes", values, reasons
    )


def brand_of(named: Sequence[tuple[Any, ...]], *, is_scylla: bool) -> str:
    """What it is. ``named``: the rows with the name of the cluster; only ScyllaDB has a table of its own release."""
    if is_scylla:
        return "scylla"
    return "keyspaces" if [tuple(row) for row in named] == [(_OF_KEYSPACES,)] else "cassandra"


def client(settings: Settings, targets: Sequence[Target]) -> tuple[Setting, ...]:
    """How the adapter connects, and which consistency it asks for."""
    access = _store(settings, targets).access
    level = ConsistencyLevel.value_to_name[CONSISTENCY]
    claims = "as the service likes" if access.managed else "LOCAL_SERIAL"
    return (
        Setting(
            "consistency", level, "How many replicas must have a write, or answer a read: a majority in the datacenter."
        ),
        Setting("serial consistency", claims, "Of the claim of an event id, which is a lightweight transaction."),
        Setting("connect timeout", f"{access.connect_timeout:g} s", "How long the first connection may take."),
        Setting("operation timeout", f"{access.operation_timeout:g} s", "How long an answer may take."),
        Setting("balancing", "round robin" if access.managed else "token aware", "Which node is asked."),
        Setting("TLS", "yes, verified" if access.tls is not None else "no", "Whether the connection is encrypted."),
    )


def _store(settings: Settings, targets: Sequence[Target]) -> CqlInteractionStore:
    """The adapter: it knows where the cluster is, and connects only when it is used."""
    store: CqlInteractionStore = targets[0].make(settings, "")
    return store


def _rows(cql: CqlClient, statement: Statement) -> list[tuple[Any, ...]]:
    """Nothing where the server has no such table, or does not let us read it."""
    try:
        return list(cql.read(statement))
    except BackendError:
        return []


def _setting(told: Mapping[str, str | None], name: str) -> str:
    value = told.get(name)
    if value is None and name in _IN_MILLISECONDS and (bare := told.get(f"{name}_in_ms")) is not None:
        return f"{bare}ms"
    return value or ""


def _of_keyspace(kept: Sequence[tuple[Any, ...]], datacenter: str) -> dict[str, str]:
    if not kept:
        return {}
    durable, replication = kept[0]
    factor = dict(replication).get(datacenter, dict(replication).get("replication_factor", ""))
    found = {"durable_writes": "yes" if durable else "no"}
    return found | ({"replication factor": str(factor)} if factor else {})
