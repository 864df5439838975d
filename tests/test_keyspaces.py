"""Amazon Keyspaces without Amazon: what it accepts is checked statement by statement, on a Cassandra that stands in for it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from cassandra import ConsistencyLevel
from cassandra.cluster import Session
from shared_servers import variables_of

from stackproof.adapters.cql_addresses import Addresses
from stackproof.adapters.cql_client import Access
from stackproof.adapters.interactions import keyspaces
from stackproof.adapters.interactions.cql import CqlInteractionStore, Statements
from stackproof.adapters.interactions.keyspaces import KeyspacesInteractionStore, StandInForKeyspaces
from stackproof.adapters.keyspaces_auth import SigV4AuthProvider, signed
from stackproof.adapters.keyspaces_rules import MAX_CLUSTERING_KEY_BYTES, MAX_PARTITION_KEY_BYTES, violations
from stackproof.adapters.settings import Settings
from stackproof.contracts.interaction_samples import about, contact, expect_summaries, walk
from stackproof.interfaces import ConfigurationError, OperationTimeoutError

QUORUM = ConsistencyLevel.LOCAL_QUORUM

# The rules


@pytest.mark.parametrize(
    ("cql", "reason"),
    [
        ("TRUNCATE k.t", "TRUNCATE is not supported"),
        ("create  index on k.t (a)", "CREATE INDEX is not supported"),
        ("CREATE CUSTOM INDEX ON k.t (a)", "CREATE CUSTOM INDEX is not supported"),
        ("CREATE MATERIALIZED VIEW v AS SELECT a FROM t", "CREATE MATERIALIZED VIEW is not supported"),
        ("ALTER TYPE t ADD a int", "ALTER TYPE is not supported"),
        ("GRANT SELECT ON t TO me", "GRANT is not supported"),
        ("CREATE TABLE t (a int PRIMARY KEY, n counter)", "counters"),
        ("SELECT DISTINCT a FROM t", "no DISTINCT"),
        ("SELECT a FROM t GROUP BY a", "no GROUP BY"),
        ("INSERT INTO t (a) VALUES (?) USING TIMESTAMP ?", "client-side timestamps"),
        (
            "CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
            "SingleRegionStrategy",
        ),
        (
            "BEGIN UNLOGGED BATCH " + "INSERT INTO t (a) VALUES (1); " * 31 + "APPLY BATCH",
            "at most 30 statements, not 31",
        ),
        ("BEGIN BATCH " + "DELETE FROM t WHERE a = 1; " * 101 + "APPLY BATCH", "at most 100 statements, not 101"),
        ("BEGIN BATCH INSERT INTO t (a) VALUES (1) IF NOT EXISTS; APPLY BATCH", "conditions in a batch"),
        ("BEGIN UNLOGGED BATCH UPDATE t SET b = 1 WHERE a = 1 IF v = 2; APPLY BATCH", "conditions in a batch"),
    ],
)
def test_what_is_not_accepted_is_told(cql: str, reason: str) -> None:
    assert any(reason in found for found in violations(cql, QUORUM))


@pytest.mark.parametrize(
    "cql",
    [
        "INSERT INTO t (a) VALUES (?) IF NOT EXISTS",
        "DELETE FROM t WHERE a = ? IF EXISTS",
        "BEGIN UNLOGGED BATCH " + "INSERT INTO t (a) VALUES (1); " * 30 + "APPLY BATCH",
        "SELECT a FROM counters_of_views WHERE a = ?",
        "CREATE KEYSPACE k WITH replication = {'class': 'SingleRegionStrategy'}",
    ],
)
def test_what_is_accepted_passes(cql: str) -> None:
    assert list(violations(cql, QUORUM)) == []


def test_consistency_levels_are_those_of_reads_and_of_writes() -> None:
    read, write = "SELECT a FROM t", "INSERT INTO t (a) VALUES (1)"
    assert list(violations(read, ConsistencyLevel.ONE)) == []
    assert any("QUORUM is not supported for reads" in text for text in violations(read, ConsistencyLevel.QUORUM))
    assert any("SERIAL is not supported for reads" in text for text in violations(read, ConsistencyLevel.LOCAL_SERIAL))
    assert any("ONE is not supported for writes" in text for text in violations(write, ConsistencyLevel.ONE))
    assert any("serial" in text for text in violations(write, QUORUM, ConsistencyLevel.LOCAL_SERIAL))


def test_keys_of_the_declared_size_are_within_the_quotas() -> None:
    largest = CqlInteractionStore.capabilities.max_text_bytes
    longest_namespace = 512
    assert longest_namespace + 2 * largest <= MAX_PARTITION_KEY_BYTES
    assert 8 + largest <= MAX_CLUSTERING_KEY_BYTES


# Every statement that the adapter sends


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Holds whatever any session sends to the rules, and translates the little that Cassandra knows under another name."""
    sent: list[str] = []
    execute_async, prepare = Session.execute_async, Session.prepare

    def checked(session: Any, query: Any, *args: Any, **options: Any) -> Any:
        if isinstance(query, str):
            assert list(violations(query, QUORUM)) == [], query
            sent.append(query)
            return execute_async(session, to_cassandra(query), *args, **options)
        text = of_keyspaces(query.prepared_statement.query_string)
        broken = list(violations(text, query.consistency_level, query.serial_consistency_level))
        assert broken == [], text
        sent.append(text)
        return execute_async(session, query, *args, **options)

    monkeypatch.setattr(Session, "execute_async", checked)
    monkeypatch.setattr(Session, "prepare", lambda session, cql: prepare(session, to_cassandra(cql)))
    return sent


STATUS = "SELECT table_name, status FROM system_schema_mcs.tables"
STATUS_IN_CASSANDRA = "SELECT table_name, comment FROM system_schema.tables"


def to_cassandra(cql: str) -> str:
    """The status of a table is its comment."""
    if cql.strip().startswith("CREATE TABLE"):
        joint = "AND" if " WITH " in cql else "WITH"
        return f"{cql} {joint} comment = 'ACTIVE'"
    once = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
    return cql.replace("{'class': 'SingleRegionStrategy'}", once).replace(STATUS, STATUS_IN_CASSANDRA)


def of_keyspaces(cql: str) -> str:
    return cql.replace(STATUS_IN_CASSANDRA, STATUS)


def test_every_statement_is_one_that_keyspaces_accepts(guarded: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """From tables that are made to a namespace that is dropped, in a keyspace of its own."""
    keyspace = f"k_{uuid.uuid4().hex}"
    hosts = variables_of("cassandra")["SCYLLA_CONTACT_POINTS"]
    access = Access(
        Addresses.parse("V", hosts, "", 9042), technology="a stand-in", managed=True, operation_timeout=30.0
    )
    with KeyspacesInteractionStore(access, keyspace=keyspace, namespace="n") as store:
        try:
            events = [contact(offer=f"o-{n}") for n in range(3)]
            for event in [*events, events[0]]:
                store.record_event(event)
            expect_summaries(walk(store, about(limit=2)), events, about(limit=2), "the summaries")
            assert store.ping()
            store.drop_namespace()
            assert walk(store, about()) == []
        finally:
            link = store._client._link
            assert link is not None
            link.session.execute(f"DROP KEYSPACE IF EXISTS {keyspace}")
    kinds = {text.split()[0] for text in guarded}
    assert kinds == {"CREATE", "SELECT", "INSERT", "DELETE", "DROP"}, "all kinds of statements were seen"
    assert any("IF NOT EXISTS" in text for text in guarded if text.startswith("INSERT"))


# Tables that are made in the background


class Service:
    """Says of its tables what it is told to say, one answer after the other."""

    shown = "the service"

    def __init__(self, *answers: dict[str, str]) -> None:
        self.answers = list(answers)
        self.defined: list[str] = []

    def read(self, _statement: Any, _parameters: Any) -> list[tuple[str, str]]:
        return list((self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]).items())

    def define(self, cql: str) -> None:
        self.defined.append(" ".join(cql.split()[:7]))


def make_tables(service: Service) -> None:
    access = Access(Addresses.parse("V", "host", "", 9142), technology="none", managed=True)
    store = KeyspacesInteractionStore(access)
    store.make_tables(service, Statements("k", named=False))  # type: ignore[arg-type]


def test_the_first_use_waits_until_all_tables_are_active(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(keyspaces.time, "sleep", pauses.append)
    ready = {"interactions": "ACTIVE", "contacts": "ACTIVE"}
    service = Service({}, {"interactions": "CREATING"}, {"interactions": "ACTIVE", "contacts": "CREATING"}, ready)
    make_tables(service)
    assert len(pauses) == 3
    assert [text.split()[1] for text in service.defined] == ["KEYSPACE", "TABLE", "TABLE"]


def test_tables_that_are_there_need_no_right_to_make_any() -> None:
    service = Service({"interactions": "ACTIVE", "contacts": "ACTIVE", "other": "CREATING"})
    make_tables(service)
    assert service.defined == []


def test_tables_that_another_one_makes_are_awaited_and_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyspaces.time, "sleep", lambda _: None)
    creating = {"interactions": "CREATING", "contacts": "CREATING"}
    service = Service(creating, dict.fromkeys(creating, "ACTIVE"))
    make_tables(service)
    assert service.defined == []


def test_tables_that_never_become_active_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyspaces, "TABLE_SECONDS", 0.0)
    monkeypatch.setattr(keyspaces.time, "sleep", lambda _: None)
    with pytest.raises(OperationTimeoutError, match="not ACTIVE"):
        make_tables(Service({}, {"interactions": "CREATING"}))


# Credentials


def test_the_signature_is_that_of_amazons_own_plug_ins() -> None:
    """The known answer of github.com/aws/aws-sigv4-auth-cassandra-python-driver-plugin (its tests/test_auth.py)."""
    credentials = SimpleNamespace(access_key="UserID-1", secret_key="UserSecretKey-1", token=None)
    now = datetime(2020, 6, 9, 22, 41, 51, tzinfo=UTC)
    answer = signed(b"x nonce=91703fdc2ef562e19fbdab0f58e42fe5,y", credentials, "us-west-2", now)
    signature = "7f3691c18a81b8ce7457699effbfae5b09b4e0714ab38c1292dbdf082c9ddd87"
    assert answer == f"signature={signature},access_key=UserID-1,amzdate=2020-06-09T22:41:51.000Z"


def test_each_connection_is_signed_with_the_credentials_of_its_moment() -> None:
    tokens = iter(["first", "second"])

    def current() -> Any:
        return SimpleNamespace(access_key="A", secret_key="S", token=next(tokens))

    provider = SigV4AuthProvider(current, "eu-west-1")
    for expected in ("first", "second"):
        authenticator = provider.new_authenticator("host")
        assert authenticator.initial_response() == b"SigV4\0\0"
        assert authenticator.evaluate_challenge(b"nonce=" + b"0" * 32).endswith(f"session_token={expected}".encode())


def test_a_challenge_without_a_nonce_and_no_credentials_are_told() -> None:
    with pytest.raises(ValueError, match="no nonce"):
        signed(b"hello", SimpleNamespace(access_key="A", secret_key="S", token=None), "r", datetime.now(UTC))
    with pytest.raises(ConfigurationError, match="no AWS credentials"):
        SigV4AuthProvider(lambda: None, "r").new_authenticator("host").evaluate_challenge(b"nonce=" + b"0" * 32)


# Settings

ENDPOINT = {"KEYSPACES_ENDPOINT": "cassandra.eu-west-1.amazonaws.com"}
KEYS = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "hush", "AWS_REGION": "eu-west-1"}


def store_from(**variables: str) -> KeyspacesInteractionStore:
    return KeyspacesInteractionStore.from_settings(Settings({**ENDPOINT, **variables}))


def test_aws_credentials_come_from_the_settings_and_tls_is_verified() -> None:
    access = store_from(**KEYS)._client.access
    assert access.addresses.contact_points == (("cassandra.eu-west-1.amazonaws.com", 9142),)
    assert access.addresses.certificate_name == "cassandra.eu-west-1.amazonaws.com"
    assert access.tls is not None
    assert access.tls.check_hostname
    answer = access.auth.new_authenticator("h").evaluate_challenge(b"nonce=" + b"0" * 32)  # type: ignore[union-attr]
    assert b"access_key=AKIA" in answer
    assert "hush" not in repr(access)


def test_a_service_specific_password_is_one_of_two_ways() -> None:
    given = {"KEYSPACES_USERNAME": "alice-at-1", "KEYSPACES_PASSWORD": "hush"}
    access = store_from(KEYSPACES_AUTH="password", **given)._client.access
    assert access.tls is not None
    assert access.auth.username == "alice-at-1"  # type: ignore[union-attr]


def test_the_stand_in_is_another_class_and_speaks_no_tls() -> None:
    store = KeyspacesInteractionStore.from_settings(
        Settings({"KEYSPACES_ENDPOINT": "127.0.0.1:9042", "KEYSPACES_AUTH": "none"})
    )
    assert isinstance(store, StandInForKeyspaces)
    assert store._client.access.tls is None


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"KEYSPACES_ENDPOINT": ""}, "KEYSPACES_ENDPOINT is not set"),
        ({"KEYSPACES_AUTH": "magic"}, "known are: sigv4, password, none"),
        ({"KEYSPACES_AUTH": "password"}, "KEYSPACES_USERNAME is not set"),
        ({"KEYSPACES_AUTH": "none"}, "not for Amazon's endpoint"),
        ({**KEYS, "AWS_REGION": ""}, "AWS_REGION is not set"),
        ({**KEYS, "AWS_PROFILE": "nobody"}, "AWS_PROFILE='nobody'"),
        ({**KEYS, "KEYSPACES_CA_FILE": "/no/such/file"}, "KEYSPACES_CA_FILE cannot be used"),
    ],
)
def test_settings_that_cannot_work_are_one_sentence(
    variables: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/no/such/file")
    with pytest.raises(ConfigurationError, match=said):
        store_from(**variables)
