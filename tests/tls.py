"""Certificates, and a TLS end in front of a server that speaks without: the embedded servers have no TLS of their own."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SSL_REQUEST = bytes.fromhex("0000000804d2162f")
"""What a client of PostgreSQL says first where it wants TLS."""


@dataclass(frozen=True)
class Certificates:
    """Files of a CA, and of a server for localhost and 127.0.0.1 that it vouches for."""

    ca: str
    certificate: str
    key: str


def made_certificates(folder: Path) -> Certificates:
    folder.mkdir(parents=True, exist_ok=True)
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca = _signed("the tests' CA", ca_key, "the tests' CA", ca_key, x509.BasicConstraints(ca=True, path_length=0))
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = _signed("localhost", key, "the tests' CA", ca_key, names)
    pem = serialization.Encoding.PEM
    contents = {
        "ca.pem": ca.public_bytes(pem),
        "server.pem": certificate.public_bytes(pem),
        "server.key": key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return Certificates(*(str(folder / name) for name in contents))


def _signed(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    by: str,
    by_key: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> x509.Certificate:
    now = datetime.now(UTC)
    called, signer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (name, by))
    builder = x509.CertificateBuilder(signer, called, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    return builder.add_extension(extension, critical=False).sign(by_key, hashes.SHA256())


class TlsFront:
    """Takes TLS connections on ``port`` and carries what they say to a server on another port of this machine.

    Of a PostgreSQL (``postgres=True``) it grants the wish for TLS, and refuses, in the server's own words, whoever has none.
    """

    def __init__(self, target: int, certificates: Certificates, *, postgres: bool = False) -> None:
        self._target = target
        self._postgres = postgres
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(certificates.certificate, certificates.key)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tls-front", daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def _listen(self) -> asyncio.Server:
        context = None if self._postgres else self._context
        return await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with (
            contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError),
            contextlib.closing(writer),
        ):
            if self._postgres:
                first = await reader.readexactly(8)
                if first != SSL_REQUEST:
                    text = b'no pg_hba.conf entry for host "127.0.0.1", no encryption'
                    body = b"SFATAL\0VFATAL\0C28000\0M" + text + b"\0\0"
                    writer.write(b"E" + (len(body) + 4).to_bytes(4, "big") + body)
                    await writer.drain()
                    return
                writer.write(b"S")
                await writer.drain()
                await writer.start_tls(self._context)
            ours, theirs = await asyncio.open_connection("127.0.0.1", self._target)
            with contextlib.closing(theirs):
                ways = [asyncio.ensure_future(_carry(reader, theirs)), asyncio.ensure_future(_carry(ours, writer))]
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()
