"""A few messages of Kafka's own protocol, enough to ask a broker how it is; so no driver is needed to start one.

https://kafka.apache.org/protocol: each request names its kind (key) and version; what is written here exists in all
brokers since 2.7.
"""

from __future__ import annotations

import hashlib
import secrets
import socket
import ssl
import struct
from collections.abc import Iterable, Mapping

from stackproof.servers.ports import LOOPBACK
from stackproof.servers.server import ServerError
from stackproof.servers.wire import Connection

DESCRIBE_CONFIGS = 32, 1
ALTER_SCRAM_USERS = 51, 0
METADATA = 3, 1
BROKER = 4
SCRAM_SHA_512 = 2
ITERATIONS = 4096
LONGEST_ANSWER = 2**24


class _Reader:
    """Reads an answer from its beginning."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        if self._at + count > len(self._data):
            raise ServerError("Kafka gave an answer of another form.")
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self, form: str) -> int:
        return int(struct.unpack(f">{form}", self.take(struct.calcsize(f">{form}")))[0])

    def text(self) -> str | None:
        length = self.number("h")
        return None if length < 0 else self.take(length).decode()

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value
            shift += 7

    def compact_text(self) -> str | None:
        length = self.varint()
        return None if length == 0 else self.take(length - 1).decode()


class KafkaConnection(Connection):
    """One connection to a listener that asks for nothing but, perhaps, a certificate."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None, seconds: float = 5.0) -> None:
        self._socket = socket.create_connection((LOOPBACK, port), seconds)
        try:
            if context is not None:
                self._socket = context.wrap_socket(self._socket, server_hostname=LOOPBACK)
        except BaseException:
            self._socket.close()
            raise
        self._file = self._socket.makefile("rb")

    def brokers(self) -> int:
        """Return how many brokers take part, without asking for any topic."""
        answer = self._ask(METADATA, struct.pack(">i", 0))
        return answer.number("i")

    def settings(self, broker: int, names: Iterable[str]) -> Mapping[str, str]:
        """Return settings of a broker as they are in force."""
        wanted = list(names)
        listed = struct.pack(">i", len(wanted)) + b"".join(map(_text, wanted))
        answer = self._ask(DESCRIBE_CONFIGS, struct.pack(">ib", 1, BROKER) + _text(str(broker)) + listed + b"\0")
        answer.take(8)  # throttle time, one result
        error, message = answer.number("h"), answer.text()
        if error:
            raise ServerError(f"Kafka does not tell its settings: {message or error}.")
        answer.number("b")
        answer.text()
        found = {}
        for _ in range(answer.number("i")):
            name, value = answer.text(), answer.text()
            answer.take(3)  # read only, where it comes from, secret
            found[str(name)] = value or ""
            for _ in range(answer.number("i")):
                answer.text(), answer.text(), answer.number("b")
        return found

    def set_scram_user(self, name: str, password: str) -> None:
        """Make a user for SCRAM-SHA-512, or change its password. The password itself is not sent."""
        salt = secrets.token_bytes(24)
        salted = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
        user = (
            _compact(name.encode())
            + struct.pack(">bi", SCRAM_SHA_512, ITERATIONS)
            + _compact(salt)
            + _compact(salted)
            + b"\0"
        )
        # No deletions, one change, no tagged fields: an array's length is one more than it is.
        answer = self._ask(ALTER_SCRAM_USERS, b"\1" + b"\2" + user + b"\0", flexible=True)
        answer.number("i")  # throttle time
        answer.varint()
        answer.compact_text()
        error, message = answer.number("h"), answer.compact_text()
        if error:
            raise ServerError(f"Kafka does not take the user {name}: {message or error}.")

    def _ask(self, kind: tuple[int, int], body: bytes, *, flexible: bool = False) -> _Reader:
        key, version = kind
        head = struct.pack(">hhi", key, version, 1) + _text("stackproof") + (b"\0" if flexible else b"")
        self._socket.sendall(struct.pack(">i", len(head) + len(body)) + head + body)
        length = int.from_bytes(self._exactly(4), "big")
        if not 4 <= length < LONGEST_ANSWER:
            raise ServerError("Kafka gave an answer of another form.")
        answer = _Reader(self._exactly(length))
        answer.number("i")
        if flexible:
            answer.varint()
        return answer

    def _exactly(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            raise ServerError("Kafka closed the connection.")
        return data


def _text(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()


def _compact(data: bytes) -> bytes:
    """Length plus one, in groups of seven bits; what is written here is shorter than 127 bytes."""
    return bytes([len(data) + 1]) + data
