"""What connections that speak a server's own protocol share: a socket and its reader, closed together."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import BinaryIO, Self


class Connection:
    """A context manager around one connection."""

    _socket: socket.socket
    _file: BinaryIO

    def close(self) -> None:
        """Close the connection."""
        self._file.close()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
