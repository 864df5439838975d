"""The interaction store on Amazon Keyspaces (for Apache Cassandra)."""

from __future__ import annotations

import ssl
import time

from cassandra.auth import AuthProvider, PlainTextAuthProvider

from stackproof.adapters.cql_addresses import Addresses
from stackproof.adapters.cql_client import Access, CqlClient, Statement
from stackproof.adapters.settings import Settings
from stackproof.interfaces import ConfigurationError, OperationTimeoutError

from .cql import DEFAULT_KEYSPACE, CqlInteractionStore, Statements
from .scylla import make_missing_tables, verified_tls

PORT = 9142
AUTHENTICATIONS = ("sigv4", "password", "none")
TABLE_SECONDS = 120.0
"""How long a table may take until it is ACTIVE: usually some ten seconds."""
POLL_SECONDS = 1.0

_STATUS = Statement("SELECT table_name, status FROM system_schema_mcs.tables WHERE keyspace_name = ?")


class KeyspacesInteractionStore(CqlInteractionStore):
    """`CqlInteractionStore` on Amazon Keyspaces: TLS on port 9142, AWS credentials or a service-specific password.

    Keyspaces makes tables in the background: the first use waits until they are ACTIVE, up to two minutes. Where they are there
    already (made by CloudFormation, say), the credentials need no right to make any. Its servers serialise lightweight
    transactions as they see fit, so no serial level is sent. What it does not accept is written down in `keyspaces_rules`, and
    the tests hold every statement to it; against the real service nothing was ever run here. It throttles partitions
    (3,000 reads of 4 KB a second, as documented), which a customer with very many contacts meets first: such a refusal comes as
    a time-out that the server reports, and is repeated after pauses within the operation timeout. No capability says so, because
    nothing here can make Cassandra refuse.
    """

    @classmethod
    def from_settings(cls, settings: Settings, namespace: str = "") -> KeyspacesInteractionStore:
        """A store on ``KEYSPACES_ENDPOINT``; with ``KEYSPACES_AUTH=none`` on what stands in for it, without TLS."""
        endpoint = settings.require(
            "KEYSPACES_ENDPOINT", "the interaction store on Amazon Keyspaces", "cassandra.eu-west-1.amazonaws.com:9142"
        )
        kind = settings.get("KEYSPACES_AUTH", "sigv4").lower()
        if kind not in AUTHENTICATIONS:
            raise ConfigurationError(f"KEYSPACES_AUTH={kind!r} is not known; known are: {', '.join(AUTHENTICATIONS)}")
        keyspace = settings.get("KEYSPACES_KEYSPACE", DEFAULT_KEYSPACE)
        if kind == "none":
            return StandInForKeyspaces(_access(settings, endpoint, None, None), keyspace=keyspace, namespace=namespace)
        tls = verified_tls(settings.get("KEYSPACES_CA_FILE"), "KEYSPACES_CA_FILE")
        auth = _password(settings) if kind == "password" else _sigv4(settings)
        return cls(_access(settings, endpoint, auth, tls), keyspace=keyspace, namespace=namespace)

    def make_tables(self, client: CqlClient, statements: Statements) -> None:
        """Make what is missing, and wait until all of it is ACTIVE."""
        states = dict(client.read(_STATUS, [statements.keyspace]))
        if all(states.get(name) == "ACTIVE" for name in statements.tables):
            return
        missing = [name for name in statements.tables if name not in states]
        if missing:
            client.define(
                f"CREATE KEYSPACE IF NOT EXISTS {statements.keyspace}"
                " WITH replication = {'class': 'SingleRegionStrategy'}"
            )
        for name in missing:
            client.define(statements.definitions[name])
        deadline = time.monotonic() + TABLE_SECONDS
        while any(states.get(name) != "ACTIVE" for name in statements.tables):
            if time.monotonic() > deadline:
                raise OperationTimeoutError(f"the tables of {client.shown} are not ACTIVE after {TABLE_SECONDS:g} s")
            time.sleep(POLL_SECONDS)
            states = dict(client.read(_STATUS, [statements.keyspace]))


class StandInForKeyspaces(KeyspacesInteractionStore):
    """The same statements on a Cassandra that stands in for Keyspaces: it makes its tables at once, and has other replication."""

    def make_tables(self, client: CqlClient, statements: Statements) -> None:
        """Make them as on a cluster of one's own."""
        make_missing_tables(client, statements, None)


def _access(settings: Settings, endpoint: str, auth: AuthProvider | None, tls: ssl.SSLContext | None) -> Access:
    addresses = Addresses.parse("KEYSPACES_ENDPOINT", endpoint, settings.get("KEYSPACES_ADDRESS_MAP"), PORT)
    name = addresses.contact_points[0].host
    if tls is None and name.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        raise ConfigurationError("KEYSPACES_AUTH=none is for what stands in for Keyspaces, not for Amazon's endpoint")
    # Nodes are told by their IP addresses, and all show the certificate of the endpoint.
    expected = None if tls is None else name
    return Access(
        Addresses(addresses.contact_points, addresses.instead, certificate_name=expected),
        technology="Amazon Keyspaces",
        auth=auth,
        tls=tls,
        connect_timeout=settings.connect_timeout,
        operation_timeout=settings.operation_timeout,
        managed=True,
    )


def _password(settings: Settings) -> AuthProvider:
    purpose = "KEYSPACES_AUTH=password"
    user = settings.require("KEYSPACES_USERNAME", purpose, "alice-at-111122223333")
    return PlainTextAuthProvider(user, settings.require("KEYSPACES_PASSWORD", purpose, "the-generated-password"))


def _sigv4(settings: Settings) -> AuthProvider:
    import boto3
    from botocore.exceptions import ProfileNotFound

    from stackproof.adapters.keyspaces_auth import SigV4AuthProvider

    try:
        session = boto3.Session(
            aws_access_key_id=settings.get("AWS_ACCESS_KEY_ID") or None,
            aws_secret_access_key=settings.get("AWS_SECRET_ACCESS_KEY") or None,
            aws_session_token=settings.get("AWS_SESSION_TOKEN") or None,
            region_name=settings.get("AWS_REGION") or settings.get("AWS_DEFAULT_REGION") or None,
            profile_name=settings.get("AWS_PROFILE") or None,
        )
    except ProfileNotFound as error:
        raise ConfigurationError(
            f"AWS_PROFILE={settings.get('AWS_PROFILE')!r} is no profile of this machine"
        ) from error
    if not session.region_name:
        raise ConfigurationError("AWS_REGION is not set; signing for Amazon Keyspaces needs it")

    def frozen() -> object:
        found = session.get_credentials()
        return None if found is None else found.get_frozen_credentials()

    return SigV4AuthProvider(frozen, session.region_name)
