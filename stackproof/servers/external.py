"""Servers that somebody else runs, given by environment variables. They are never started, stopped or changed."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from .addresses import PLACES, addresses_in
from .server import Server, ServerError

CONNECT_SECONDS = 5.0


class ExternalServer(Server):
    """A server at an address which was given; it is only ever connected to."""

    origin = "external"

    def __init__(self, name: str, environ: Mapping[str, str]) -> None:
        self.name = name
        self._place = PLACES[name]
        self._variables = self._place.given(environ)
        if self._place.anywhere and not self._is_the_service():
            self.fidelity = "emulator"

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
        """Return the variables as they were given."""
        return self._variables

    def version(self) -> None:
        """Return None: only its driver can ask."""

    def facts(self) -> Mapping[str, str]:
        """Return nothing: only its driver can ask."""
        return {}

    def reachable(self, seconds: float = CONNECT_SECONDS) -> str | None:
        """Return None when somebody accepts a connection, else the reason in one sentence, without any secret.

        Of several hosts it is enough that one accepts; the reason is that of the last. Where the variables name no
        address (Amazon's own services), only the driver can tell.
        """
        variable = self._place.address_variable(self._variables)
        if variable is None:
            return None
        reason = self._place.wrong_form(self._variables)
        if reason is not None:
            return reason
        for address in addresses_in(self._variables[variable], self._place):
            if isinstance(address, str):
                reason = self._unix_reason(address, seconds)
            else:
                reason = self._reason(variable, *address, seconds)
            if reason is None:
                return None
        return reason

    def _reason(self, variable: str, host: str, port: int, seconds: float) -> str | None:
        where = f"{self.name} at {host}:{port}"
        try:
            socket.create_connection((host, port), seconds).close()
        except (socket.gaierror, UnicodeError):
            return f"The host {host} of {variable} is unknown."
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

    def _is_the_service(self) -> bool:
        """Tell whether Amazon's own service is meant: by no address at all, or by one of its hosts."""
        variable = self._place.address_variable(self._variables)
        if variable is None:
            return True
        with contextlib.suppress(ValueError):
            host = urlsplit(self._variables[variable]).hostname or ""
            return host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".aws"))
        return False
