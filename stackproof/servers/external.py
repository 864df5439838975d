"""Servers that somebody else runs, given by a URL. They are never started, stopped or changed."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from urllib.parse import parse_qs, unquote, urlsplit

from .server import Server, ServerError

VARIABLES: Mapping[str, str] = {
    "postgres": "DATABASE_URL",
    "redis": "REDIS_URL",
    "redis-tls": "REDIS_URL",
    "redis-cluster": "REDIS_URL",
    "valkey": "REDIS_URL",
}
DEFAULT_PORTS: Mapping[str, int] = {
    "postgres": 5432,
    "redis": 6379,
    "redis-tls": 6379,
    "redis-cluster": 6379,
    "valkey": 6379,
}
CONNECT_SECONDS = 5.0


class ExternalServer(Server):
    """A server at an address which was given; it is only ever connected to."""

    origin = "external"

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self._url = url

    def start(self) -> None:
        """Do nothing: it runs, or it does not; `reachable` tells."""

    def stop(self) -> None:
        """Do nothing: it is not ours."""

    def restart(self) -> None:
        """Refuse: it is not ours."""
        raise ServerError(f"The external {self.name} is never restarted.")

    def kill(self) -> None:
        """Refuse: it is not ours."""
        raise ServerError(f"The external {self.name} is never killed.")

    def variables(self) -> Mapping[str, str]:
        """Return the variable as it was given."""
        return {VARIABLES[self.name]: self._url}

    def version(self) -> None:
        """Return None: only its driver can ask."""

    def facts(self) -> Mapping[str, str]:
        """Return nothing: only its driver can ask."""
        return {}

    def reachable(self, seconds: float = CONNECT_SECONDS) -> str | None:
        """Return None when somebody accepts a connection, else the reason in one sentence, without any secret.

        Of several hosts in one URL it is enough that one accepts; the reason is that of the last.
        """
        try:
            addresses = self._addresses()
        except ValueError:
            return f"{VARIABLES[self.name]} is not a URL that names a host and a port."
        reason: str | None = None
        for address in addresses:
            reason = (
                self._unix_reason(address, seconds) if isinstance(address, str) else self._reason(*address, seconds)
            )
            if reason is None:
                return None
        return reason

    def _reason(self, host: str, port: int, seconds: float) -> str | None:
        where = f"{self.name} at {host}:{port}"
        try:
            socket.create_connection((host, port), seconds).close()
        except (socket.gaierror, UnicodeError):
            return f"The host {host} of {VARIABLES[self.name]} is unknown."
        except ConnectionRefusedError:
            return f"Nobody listens for {where} (connection refused)."
        except TimeoutError:
            return f"There was no answer from {where} within {seconds:g} s."
        except OSError as error:
            return f"There is no way to {where}: {error.strerror}."
        return None

    def _unix_reason(self, path: str, seconds: float) -> str | None:
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as client:
            client.settimeout(seconds)
            try:
                client.connect(path)
            except OSError as error:
                return f"Nobody answers for {self.name} at the socket {path}: {error.strerror or error}."
        return None

    def _addresses(self) -> list[tuple[str, int] | str]:
        """Return each host and port, or the path of a unix socket, as the drivers read them from the URL."""
        parts = urlsplit(self._url)
        if not parts.scheme:
            raise ValueError("no scheme")
        if "@" in parts.path + parts.fragment:
            raise ValueError("a password that was not encoded: the host would be a part of it")
        if parts.scheme == "unix":
            return [parts.path]
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        default = query.get("port", str(DEFAULT_PORTS[self.name]))
        hosts = parts.netloc.rpartition("@")[2] or query.get("host", "localhost")
        return [self._address(unquote(host), default) for host in hosts.split(",")]

    @staticmethod
    def _address(host: str, default_port: str) -> tuple[str, int] | str:
        if host.startswith("/"):
            return f"{host}/.s.PGSQL.{default_port}"
        pieces = urlsplit(f"//{host}")
        return pieces.hostname or "localhost", pieces.port or int(default_port)
