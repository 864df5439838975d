"""The interaction stores on ScyllaDB and Apache Cassandra."""

from __future__ import annotations

import ssl
from typing import Self

from cassandra.auth import PlainTextAuthProvider

from stackproof.adapters.cql_addresses import Addresses
from stackproof.adapters.cql_client import Access, CqlClient, Statement
from stackproof.adapters.settings import Settings
from stackproof.interfaces import ConfigurationError

from .cql import DEFAULT_KEYSPACE, CqlInteractionStore, Statements

PORT = 9042
USUAL_REPLICAS = 3
_SWITCH = {"": "", "yes": "yes", "true": "yes", "no": "no", "false": "no"}

_TABLES = Statement("SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?")


class ScyllaInteractionStore(CqlInteractionStore):
    """`CqlInteractionStore` on a cluster of one's own, ScyllaDB or Cassandra.

    The keyspace and its tables are made where they are missing; where the user may not do that, make them before. A keyspace
    that is made here has three replicas in the local datacenter, or as many as that has nodes. In production better make your
    own: with its replication in every datacenter, and in ScyllaDB before 2025.4 without tablets, which have no lightweight
    transactions there.
    """

    def __init__(self, access: Access, *, keyspace: str, namespace: str = "", replicas: int | None = None) -> None:
        super().__init__(access, keyspace=keyspace, namespace=namespace)
        self._replicas = replicas

    @classmethod
    def from_settings(cls, settings: Settings, namespace: str = "") -> Self:
        """A store on ``SCYLLA_CONTACT_POINTS``, whichever of the two answers there."""
        access = _access(settings)
        replicas = int(settings.number("SCYLLA_REPLICATION_FACTOR", 0)) or None
        return cls(
            access,
            keyspace=settings.get("SCYLLA_KEYSPACE", DEFAULT_KEYSPACE),
            namespace=namespace,
            replicas=replicas,
        )

    def make_tables(self, client: CqlClient, statements: Statements) -> None:
        """Make keyspace and tables, unless they are all there."""
        make_missing_tables(client, statements, self._replicas)


def make_missing_tables(client: CqlClient, statements: Statements, replicas: int | None) -> None:
    """Make what is missing of keyspace and tables, on a cluster that does it at once."""
    missing = statements.tables.keys() - {name for (name,) in client.read(_TABLES, [statements.keyspace])}
    if not missing:
        return
    number = replicas or min(USUAL_REPLICAS, client.nodes_in_datacenter())
    client.define(
        f"CREATE KEYSPACE IF NOT EXISTS {statements.keyspace} WITH replication ="
        f" {{'class': 'NetworkTopologyStrategy', '{client.datacenter()}': {number}}}"
    )
    for name in sorted(missing):
        client.define(statements.definitions[name])


def _access(settings: Settings) -> Access:
    hosts = settings.require(
        "SCYLLA_CONTACT_POINTS", "the interaction store on ScyllaDB or Cassandra", "host:9042,host:9042"
    )
    user, password = settings.get("SCYLLA_USERNAME"), settings.get("SCYLLA_PASSWORD")
    if bool(user) != bool(password):
        raise ConfigurationError("SCYLLA_USERNAME and SCYLLA_PASSWORD belong together; one of them is not set")
    return Access(
        Addresses.parse("SCYLLA_CONTACT_POINTS", hosts, settings.get("SCYLLA_ADDRESS_MAP"), PORT),
        technology="the CQL cluster",
        datacenter=settings.get("SCYLLA_DATACENTER"),
        auth=PlainTextAuthProvider(user, password) if user else None,
        tls=_tls(settings),
        connect_timeout=settings.connect_timeout,
        operation_timeout=settings.operation_timeout,
    )


def _tls(settings: Settings) -> ssl.SSLContext | None:
    """TLS with the certificate and its name verified, where ``SCYLLA_TLS`` or ``SCYLLA_CA_FILE`` asks for it."""
    said, ca_file = settings.get("SCYLLA_TLS").lower(), settings.get("SCYLLA_CA_FILE")
    wanted = _SWITCH.get(said)
    if wanted is None:
        raise ConfigurationError(f"SCYLLA_TLS={said!r} is neither yes nor no")
    if wanted == "no" and ca_file:
        raise ConfigurationError("SCYLLA_TLS says no, and SCYLLA_CA_FILE is set: one of them is wrong")
    return verified_tls(ca_file, "SCYLLA_CA_FILE") if wanted == "yes" or ca_file else None


def verified_tls(ca_file: str, variable: str) -> ssl.SSLContext:
    """A context that trusts this file, or else the authorities of the system."""
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"{variable} cannot be used as a file of certificates: {error}") from error
