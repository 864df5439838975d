"""A few lines of Redis' own protocol, enough to ask a server how it is; so no driver is needed to start one."""

from __future__ import annotations

import socket
import ssl

from .ports import LOOPBACK
from .server import ServerError
from .wire import Connection

Reply = str | int | None | list["Reply"]


class RespConnection(Connection):
    """One authenticated connection; replies as text, numbers, None and lists."""

    def __init__(
        self,
        port: int,
        password: str,
        seconds: float = 5.0,
        *,
        context: ssl.SSLContext | None = None,
        title: str = "The embedded Redis",
    ) -> None:
        self._title = title
        try:
            self._socket = socket.create_connection((LOOPBACK, port), seconds)
            if context is not None:
                self._socket = context.wrap_socket(self._socket, server_hostname=LOOPBACK)
        except OSError as error:
            raise self._unanswered(error) from error
        self._file = self._socket.makefile("rb")
        try:
            self.ask("AUTH", password)
        except BaseException:
            self.close()
            raise

    def ask(self, *words: str) -> Reply:
        """Send one command and return its reply; an error reply is raised."""
        encoded = [word.encode() for word in words]
        request = b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)
        try:
            self._socket.sendall(request)
            return self._reply(words[0])
        except OSError as error:
            raise self._unanswered(error) from error

    def _reply(self, command: str) -> Reply:
        line = self._file.readline()
        kind, rest = line[:1], line[1:].strip().decode()
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == "-1" else self._file.read(int(rest) + 2)[:-2].decode()
        if kind == b"*":
            return [self._reply(command) for _ in range(int(rest))]
        raise ServerError(f"Redis refused {command}: {rest or 'the connection was closed'}.")

    def _unanswered(self, error: OSError) -> ServerError:
        return ServerError(f"{self._title} could not be asked: {error.strerror or 'it did not answer in time'}.")
