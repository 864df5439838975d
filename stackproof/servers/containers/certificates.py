"""Certificates for the variants with TLS: an authority of our own, which signs one for the server and one for a client.

They live in the run's directory and end with it. Only the authority's certificate is meant for clients; no private key
of it is ever written.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from stackproof.servers.ports import LOOPBACK
from stackproof.servers.server import MissingWheelError

IDENTITIES = (LOOPBACK, "localhost")
CLIENT = "stackproof"


@dataclass(frozen=True, slots=True)
class Certificates:
    """The files of one server."""

    ca: Path
    server: Path
    """Key (PKCS#8, which Java servers ask for) and chain in one file."""
    server_key: Path
    server_chain: Path
    client_key: Path
    client_chain: Path

    def context(self) -> ssl.SSLContext:
        """What a client uses that trusts the authority and shows the client's certificate."""
        context = ssl.create_default_context(cafile=str(self.ca))
        context.load_cert_chain(self.client_chain, self.client_key)
        return context


def make_certificates(folder: Path) -> Certificates:
    """Make an authority and what it signs, as files in a folder that is closed to others."""
    try:
        import trustme
    except ImportError as error:
        raise MissingWheelError("containers") from error
    authority = trustme.CA(organization_name="stackproof")
    server, client = authority.issue_cert(*IDENTITIES), authority.issue_cert(CLIENT, common_name=CLIENT)
    files = Certificates(
        *(folder / name for name in ("ca.pem", "server.pem", "server-key.pem", "server-chain.pem")),
        *(folder / name for name in ("client-key.pem", "client-chain.pem")),
    )
    key, chain = _pkcs8(server.private_key_pem.bytes()), _chain(server.cert_chain_pems)
    _write(files.ca, authority.cert_pem.bytes())
    _write(files.server_key, key)
    _write(files.server_chain, chain)
    _write(files.server, key + chain)
    _write(files.client_key, _pkcs8(client.private_key_pem.bytes()))
    _write(files.client_chain, _chain(client.cert_chain_pems))
    return files


def _chain(blobs: object) -> bytes:
    return b"".join(blob.bytes() for blob in blobs)  # type: ignore[attr-defined]


def _pkcs8(key: bytes) -> bytes:
    from cryptography.hazmat.primitives import serialization

    loaded = serialization.load_pem_private_key(key, password=None)
    return loaded.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
