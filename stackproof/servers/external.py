"""Servers that somebody else runs, given by a URL. They are never started, stopped or changed."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

from .server import Server, ServerError

VARIABLES: Mapping[str, str] = {"postgres": "DATABASE_URL", "redis": "REDIS_URL"}
DEFAULT_PORTS: Mapping[str, int] = {"postgres": 5432, "redis": 6379}
CONNECT_SECONDS = 5.0


class ExternalServer(Server):
    """A server at an address which was given; `start` and the like do nothing."""

    origin = "external"
    name: ClassVar[str]  # given per instance; see __init__

    def __init__(self, name: str, url: str) -> None:
        self.__dict__["name"] = name
        self._url = url

    def start(self) -> None:
        """Check that somebody listens there."""
        reason = self.reachable()
        if reason is not None:
            raise ServerError(reason)

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
        """Return None when somebody accepts a connection, else the reason in one sentence, without any secret."""
        try:
            address = self._address()
        except ValueError:
            return f"{VARIABLES[self.name]} is not a URL that names a host and a port."
        if isinstance(address, str):
            return self._unix_reason(address, seconds)
        host, port = address
        where = f"{self.name} at {host}:{port}"
        try:
            socket.create_connection((host, port), seconds).close()
        except socket.gaierror:
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

    def _address(self) -> tuple[str, int] | str:
        """Return host and port, or the path of a unix socket."""
        parts = urlsplit(self._url)
        if parts.scheme == "unix":
            return parts.path
        query = parse_qs(parts.query)
        host = parts.hostname or next(iter(query.get("host", [])), "localhost")
        port = parts.port or int(next(iter(query.get("port", [])), DEFAULT_PORTS[self.name]))
        host = unquote(host)
        if host.startswith("/"):
            return f"{host}/.s.PGSQL.{port}"
        if not parts.scheme:
            raise ValueError("no scheme")
        return host, port
