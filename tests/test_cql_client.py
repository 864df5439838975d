"""The pure parts of the CQL client: addresses, errors, repetition, and TLS that refuses before anything is said."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cassandra import (
    ConsistencyLevel,
    InvalidRequest,
    OperationTimedOut,
    ReadTimeout,
    Unavailable,
    WriteTimeout,
    WriteType,
)
from cassandra.cluster import NoHostAvailable
from cassandra.connection import ConnectionException, ConnectionShutdown
from cassandra.policies import RetryPolicy
from cassandra.protocol import OverloadedErrorMessage

from stackproof.adapters import cql_client
from stackproof.adapters.cql_addresses import Address, Addresses, NodeFactory
from stackproof.adapters.cql_client import ATTEMPTS, Access, CqlClient, Statement
from stackproof.adapters.cql_errors import RetryReadsOnce, is_broken_connection, translated
from stackproof.adapters.interactions.scylla import ScyllaInteractionStore
from stackproof.adapters.settings import Settings
from stackproof.interfaces import (
    IndeterminateError,
    OperationTimeoutError,
    RejectedError,
    UnavailableError,
)

# Addresses


def test_nodes_are_dialled_where_the_map_says() -> None:
    hosts = Addresses.parse("V", "a:1, b,[::1]:3", "10.0.0.1:9042=a:1,*=gate", 9042)
    assert hosts.contact_points == (("a", 1), ("b", 9042), ("::1", 3))
    assert hosts.dialled(Address("10.0.0.1", 9042)) == ("a", 1)
    assert hosts.dialled(Address("10.0.0.2", 9042)) == ("gate", 9042)
    assert [str(node) for node in hosts.endpoints()] == ["a:1", "b:9042", "::1:3"], "contact points are as given"


def test_nodes_that_tell_no_port_have_that_of_a_contact_point() -> None:
    factory = NodeFactory(Addresses.parse("V", "a:7,10.0.0.8:6", "", 9042, certificate_name="db.example"))
    assert factory.create({"peer": "10.0.0.8", "rpc_address": "10.0.0.8"}).port == 6
    node = factory.create({"peer": "10.0.0.9", "rpc_address": "10.0.0.9"})
    assert (node.address, node.port) == ("10.0.0.9", 7)
    assert node.ssl_options == {"server_hostname": "db.example"}
    told = factory.create({"peer": "10.0.0.9", "native_address": "10.0.0.9", "native_port": 8})
    assert told.port == 8
    assert told.ssl_options == {"server_hostname": "db.example"}


# Errors


def timeout(kind: int) -> WriteTimeout:
    return WriteTimeout("late", write_type=kind, required_responses=2, received_responses=1)


UNAVAILABLE = Unavailable("few", ConsistencyLevel.LOCAL_QUORUM, required_replicas=2, alive_replicas=1)
READ_TIMEOUT = ReadTimeout("late", ConsistencyLevel.LOCAL_QUORUM, required_responses=2, received_responses=1)


@pytest.mark.parametrize(
    ("error", "of_a_read", "of_a_write", "of_a_claim"),
    [
        (NoHostAvailable("none", {"h": ConnectionException("down")}), *[UnavailableError] * 3),
        # A proposal that too few replicas accepted can be completed by the next one who comes.
        (UNAVAILABLE, UnavailableError, UnavailableError, IndeterminateError),
        (timeout(WriteType.SIMPLE), UnavailableError, IndeterminateError, IndeterminateError),
        (timeout(WriteType.CAS), UnavailableError, IndeterminateError, IndeterminateError),
        (READ_TIMEOUT, OperationTimeoutError, IndeterminateError, IndeterminateError),
        (OperationTimedOut(), OperationTimeoutError, IndeterminateError, IndeterminateError),
        (ConnectionShutdown("cut"), UnavailableError, IndeterminateError, IndeterminateError),
        (OSError("reset"), UnavailableError, IndeterminateError, IndeterminateError),
        (InvalidRequest("bad value"), *[RejectedError] * 3),
        (InvalidRequest("unconfigured table x"), *[UnavailableError] * 3),
        (InvalidRequest("LWT is not yet supported with tablets"), *[UnavailableError] * 3),
    ],
)
def test_errors_say_what_may_be_applied(error: Exception, of_a_read: Any, of_a_write: Any, of_a_claim: Any) -> None:
    assert type(translated(error, "here", writes=False)) is of_a_read
    assert type(translated(error, "here", writes=True)) is of_a_write
    assert type(translated(error, "here", writes=True, conditional=True)) is of_a_claim


def test_texts_are_one_line_of_words() -> None:
    error = NoHostAvailable("x", {"<object 0x1>": OSError(111, "Connection refused"), "b": timeout(WriteType.CAS)})
    said = str(translated(error, "the cluster at a:1", writes=False))
    assert said == (
        "no node can be reached of the cluster at a:1: [Errno 111] Connection refused;"
        " write timeout (CAS, 1 of 2 replicas answered)"
    )
    several = NoHostAvailable("Unable to connect", ["10.0.0.1", "10.0.0.2"])  # a list where no pool could be made
    assert str(translated(several, "here", writes=False)).endswith("no connection to 10.0.0.1, 10.0.0.2")
    assert "tablets = {'enabled': false}" in str(translated(InvalidRequest("no LWT with tablets"), "here", writes=True))


def test_only_reads_are_sent_again_and_once() -> None:
    policy = RetryReadsOnce()
    read, write = SimpleNamespace(is_idempotent=True), SimpleNamespace(is_idempotent=False)
    again, fail = (RetryPolicy.RETRY_NEXT_HOST, None), (RetryPolicy.RETHROW, None)
    error = ConnectionShutdown("cut")
    assert policy.on_request_error(read, 6, error=error, retry_num=0) == again
    assert policy.on_request_error(read, 6, error=error, retry_num=1) == fail
    assert policy.on_request_error(write, 6, error=error, retry_num=0) == fail
    assert policy.on_unavailable(read, 6, 2, 1, retry_num=0) == again
    assert policy.on_unavailable(write, 6, required_replicas=2, alive_replicas=1, retry_num=0) == fail
    assert policy.on_read_timeout(read, 6, 2, 1, False, retry_num=0) == fail
    assert policy.on_write_timeout(write, 6, WriteType.CAS, 2, 1, retry_num=0) == fail
    assert is_broken_connection(error)
    assert not is_broken_connection(OperationTimedOut())


# Sending again

OVERLOADED = OverloadedErrorMessage(0x1001, "busy", {})
CUT = ConnectionShutdown("cut")
WRITE = Statement("INSERT", writes=True)
READ = Statement("SELECT")


def client(monkeypatch: pytest.MonkeyPatch, *outcomes: Any, managed: bool = False) -> tuple[CqlClient, list[float]]:
    """A client whose attempts end so, and the moments of its attempts on a clock that only its pauses move."""
    clock, attempts, left = [0.0], [], list(outcomes)
    access = Access(Addresses.parse("V", "host", "", 9042), technology="nobody", managed=managed)
    made = CqlClient(access)

    def run(statement: Statement, *_: Any) -> Any:
        attempts.append(clock[0])
        outcome = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(outcome, Exception):
            raise translated(outcome, "here", writes=statement.writes) from outcome
        return outcome

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    monkeypatch.setattr(made, "_run", run)
    monkeypatch.setattr(cql_client, "time", SimpleNamespace(monotonic=lambda: clock[0], sleep=sleep))
    return made, attempts


def test_a_refused_statement_comes_again_after_growing_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    made, attempts = client(monkeypatch, OVERLOADED, OVERLOADED, OVERLOADED, "done")
    assert made._patiently(WRITE, ()) == "done"
    pauses = [after - before for before, after in pairwise(attempts)]
    assert len(pauses) == 3
    for number, pause in enumerate(pauses):
        assert 0.01 * 2**number <= pause <= 0.02 * 2**number


@pytest.mark.parametrize(("statement", "said"), [(WRITE, IndeterminateError), (READ, UnavailableError)])
def test_refusals_that_do_not_end_are_given_up_in_time(
    statement: Statement, said: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, attempts = client(monkeypatch, OVERLOADED)
    with pytest.raises(said):
        made._patiently(statement, ())
    assert 5 < len(attempts) <= ATTEMPTS
    assert attempts[-1] < made.access.operation_timeout


def test_a_write_whose_connection_broke_comes_again_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made, attempts = client(monkeypatch, CUT, "done")
    assert made._patiently(WRITE, ()) == "done"
    made, attempts = client(monkeypatch, CUT)
    with pytest.raises(IndeterminateError):
        made._patiently(WRITE, ())
    assert len(attempts) == 2
    made, attempts = client(monkeypatch, CUT)
    with pytest.raises(UnavailableError):
        made._patiently(READ, ())
    assert len(attempts) == 1, "the driver has repeated it already"


def test_what_may_be_applied_stays_so_whatever_the_next_attempt_says(monkeypatch: pytest.MonkeyPatch) -> None:
    made, attempts = client(monkeypatch, CUT, NoHostAvailable("none", {}))
    with pytest.raises(IndeterminateError) as caught:
        made._patiently(WRITE, ())
    assert isinstance(caught.value.__cause__, NoHostAvailable | ConnectionShutdown)
    assert len(attempts) == 2


def test_only_of_a_managed_service_a_reported_time_out_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    for statement, error in ((WRITE, timeout(WriteType.CAS)), (READ, READ_TIMEOUT)):
        made, attempts = client(monkeypatch, error, "done", managed=True)
        assert made._patiently(statement, ()) == "done"
        made, attempts = client(monkeypatch, error, "done")
        with pytest.raises((IndeterminateError, OperationTimeoutError)):
            made._patiently(statement, ())
        assert len(attempts) == 1
    made, attempts = client(monkeypatch, OperationTimedOut(), "done", managed=True)
    with pytest.raises(OperationTimeoutError):
        made._patiently(READ, ())
    assert len(attempts) == 1, "nothing was said: the caller's time is over"


# TLS


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of "elsewhere.example" that nobody has signed but itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "elsewhere.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("elsewhere.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    form = serialization.Encoding.PEM
    private = key.private_bytes(form, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + made.public_bytes(form))
    return path


class TlsServer:
    """Does the handshake, and keeps what a client says then."""

    def __init__(self, certificate: Path) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.heard = b""
        self.met = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.met += 1
            client.settimeout(5)
            try:
                with self._context.wrap_socket(client, server_side=True) as spoken:
                    self.heard += spoken.recv(4096)
            except OSError:
                client.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


@pytest.fixture
def tls_server(certificate: Path) -> Iterator[TlsServer]:
    server = TlsServer(certificate)
    yield server
    server.close()


@pytest.mark.parametrize(("trusted", "why"), [(False, "self-signed certificate"), (True, "IP address mismatch")])
def test_a_certificate_that_proves_nothing_is_refused(
    tls_server: TlsServer, certificate: Path, trusted: bool, why: str
) -> None:
    """One that nobody vouches for, and one that is good for another name."""
    settings = {
        "SCYLLA_CONTACT_POINTS": f"127.0.0.1:{tls_server.port}",
        "SCYLLA_TLS": "yes",
        "SCYLLA_CA_FILE": str(certificate) if trusted else "",
        "SCYLLA_USERNAME": "alice",
        "SCYLLA_PASSWORD": "secret",
        "STACKPROOF_CONNECT_TIMEOUT": "3",
    }
    with ScyllaInteractionStore.from_settings(Settings(settings)) as store:
        assert not store.ping()
        with pytest.raises(UnavailableError, match=why):
            store._client._linked()
    assert tls_server.met >= 1
    assert tls_server.heard == b"", "nothing was said to it"
