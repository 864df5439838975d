"""A few messages of the native protocol of Cassandra (v4), enough to ask a server how it is without a driver."""

from __future__ import annotations

import socket
import ssl
import struct

from stackproof.servers.server import ServerError
from stackproof.servers.wire import Connection

VERSION, ANSWER = 0x04, 0x84
ERROR, STARTUP, READY, AUTHENTICATE, OPTIONS, SUPPORTED, QUERY, RESULT = 0x00, 0x01, 0x02, 0x03, 0x05, 0x06, 0x07, 0x08
AUTH_RESPONSE, AUTH_SUCCESS = 0x0F, 0x10
ROWS = 2
LOCAL_ONE = 0x000A
LONGEST_ANSWER = 2**24


class CqlConnection(Connection):
    """One connection, logged in where a user is given."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        user: tuple[str, str] | None = None,
        context: ssl.SSLContext | None = None,
        seconds: float = 5.0,
    ) -> None:
        self._socket = socket.create_connection((host, port), seconds)
        try:
            if context is not None:
                self._socket = context.wrap_socket(self._socket, server_hostname=host)
            self._file = self._socket.makefile("rb")
            self._begin(user)
        except BaseException:
            self._socket.close()
            raise

    def _begin(self, user: tuple[str, str] | None) -> None:
        kind, _ = self._ask(STARTUP, _short(1) + _string("CQL_VERSION") + _string("3.0.0"))
        if kind == AUTHENTICATE:
            if user is None:
                raise ServerError("Cassandra asks for a user and a password.")
            token = f"\0{user[0]}\0{user[1]}".encode()
            kind, _ = self._ask(AUTH_RESPONSE, struct.pack(">i", len(token)) + token)
            if kind != AUTH_SUCCESS:
                raise ServerError("Cassandra went on in another way than by a password.")
        elif kind != READY:
            raise ServerError("Cassandra answered in another form.")

    def rows(self, statement: str) -> list[tuple[str, ...]]:
        """Run a statement; return its rows, where every column is a text."""
        text = statement.encode()
        kind, body = self._ask(QUERY, struct.pack(">i", len(text)) + text + struct.pack(">Hb", LOCAL_ONE, 0))
        if kind != RESULT or struct.unpack_from(">i", body)[0] != ROWS:
            return []
        return _rows(body)

    def _ask(self, opcode: int, body: bytes) -> tuple[int, bytes]:
        self._socket.sendall(struct.pack(">BBhBi", VERSION, 0, 0, opcode, len(body)) + body)
        head = self._exactly(9)
        kind, length = head[4], int.from_bytes(head[5:], "big")
        if head[0] != ANSWER or not 0 <= length < LONGEST_ANSWER:
            raise ServerError("Cassandra answered in another form.")
        answer = self._exactly(length)
        if kind == ERROR:
            size = struct.unpack_from(">iH", answer)[1]
            raise ServerError(f"Cassandra refused: {answer[6 : 6 + size].decode(errors='replace').rstrip('.')}.")
        return kind, answer

    def _exactly(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            raise ServerError("Cassandra closed the connection.")
        return data


def is_scylla(host: str, port: int, context: ssl.SSLContext | None = None, seconds: float = 5.0) -> bool:
    """Tell whether the server is Scylla: it says so in its options, which it tells before any login."""
    connection = CqlConnection.__new__(CqlConnection)
    connection._socket = socket.create_connection((host, port), seconds)
    try:
        if context is not None:
            connection._socket = context.wrap_socket(connection._socket, server_hostname=host)
        connection._file = connection._socket.makefile("rb")
        _, body = connection._ask(OPTIONS, b"")
        return b"SCYLLA" in body
    finally:
        connection._socket.close()


def _rows(body: bytes) -> list[tuple[str, ...]]:
    """Read a result whose columns are all texts, and all of one table."""
    flags, columns = struct.unpack_from(">ii", body, 4)
    at = 12
    if flags & 0x0002:  # a paging state, which is not used here
        at += 4 + max(0, struct.unpack_from(">i", body, at)[0])
    for _ in range(2):  # keyspace and table, said once (flag 0x0001)
        at += 2 + struct.unpack_from(">H", body, at)[0]
    for _ in range(columns):
        at += 2 + struct.unpack_from(">H", body, at)[0] + 2  # name, and its type: a text has no more to say
    (count,) = struct.unpack_from(">i", body, at)
    at += 4
    found = []
    for _ in range(count):
        row: list[str] = []
        for _ in range(columns):
            (size,) = struct.unpack_from(">i", body, at)
            at += 4
            row.append(body[at : at + max(size, 0)].decode(errors="replace"))
            at += max(size, 0)
        found.append(tuple(row))
    return found


def _short(number: int) -> bytes:
    return struct.pack(">H", number)


def _string(text: str) -> bytes:
    return _short(len(text)) + text.encode()
