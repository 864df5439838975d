"""The tunnel encrypts what comes plain, for the server that its certificate names, and gives everything back."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from stackproof.contracts.expectations import eventually
from stackproof.servers.tls_tunnel import TlsTunnel


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 that signs itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def server(certificate: Path) -> Iterator[int]:
    """A server that says everything back in capitals, by TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(plain, server_side=True) as client:
                    while piece := client.recv(4096):
                        client.sendall(piece.upper())
            except OSError:
                continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5.0)


def exchange(port: int, said: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 5.0) as client:
        client.settimeout(5.0)
        client.sendall(said)
        heard = b""
        while len(heard) < len(said) and (piece := client.recv(65536)):
            heard += piece
        return heard


def test_what_goes_in_plain_arrives_by_tls_and_comes_back(certificate: Path, server: int) -> None:
    before = set(threading.enumerate())
    tunnel = TlsTunnel("127.0.0.1", server, ssl.create_default_context(cafile=certificate))
    try:
        for _ in range(3):
            assert exchange(tunnel.port, b"hello" * 50_000) == b"HELLO" * 50_000
        with socket.create_connection(("127.0.0.1", tunnel.port), 5.0) as left_open:
            left_open.sendall(b"x")
            assert left_open.recv(1) == b"X"
            tunnel.close()
            left_open.settimeout(5.0)
            assert left_open.recv(1) == b""
    finally:
        tunnel.close()
    eventually(lambda: set(threading.enumerate()) <= before, "the threads of the tunnel end", within=5.0)


def test_a_server_that_is_not_trusted_gets_nothing(server: int) -> None:
    tunnel = TlsTunnel("127.0.0.1", server, ssl.create_default_context())
    try:
        assert exchange(tunnel.port, b"secret") == b""
    except ConnectionResetError:
        pass  # which is as good
    finally:
        tunnel.close()


def test_without_a_server_the_connection_ends() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        tunnel = TlsTunnel("127.0.0.1", closed.getsockname()[1], ssl.create_default_context())
        try:
            assert exchange(tunnel.port, b"x") == b""
        except ConnectionResetError:
            pass  # which is as good
        finally:
            tunnel.close()
