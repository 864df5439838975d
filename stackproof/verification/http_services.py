"""The built-in backends whose server is an HTTP service that can refuse: in which words it does, and how to get between."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from stackproof.adapters.settings import Settings
from stackproof.interfaces import ConfigurationError
from stackproof.servers.http_faults import (
    DYNAMODB_THROTTLED,
    LOGS_THROTTLED,
    ShortPages,
    Throttled,
    UnprocessedItems,
)
from stackproof.targets import Target

from .cloudwatch import delivered_lines
from .faulty import SHORT, HttpFaults, HttpWords

HTTP_PORT = 80
SHORT_PAGE = 2
"""How many rows a page of the service has, when it ends early."""


@dataclass(frozen=True, slots=True)
class HttpService:
    """A service at the address that one variable holds."""

    words: HttpWords
    variable: str = "AWS_ENDPOINT_URL"
    delivered: Callable[[Settings, str], list[str]] | None = None
    """Of logs: the lines that have arrived there for a namespace."""
    delivery_seconds: float = 0.0
    """Of logs: how long one may take until it is there."""

    def through(self, settings: Settings) -> tuple[HttpFaults, dict[str, str]]:
        """Proxies in front of it, and the variables that lead through them, with short time limits.

        They stand before an emulator: the real services are reached by TLS, and refuse what was altered on the way.
        """
        parts = urlsplit(settings.get(self.variable))
        if parts.scheme != "http" or not parts.hostname:
            raise ConfigurationError(
                f"{self.variable} is no http:// address of an emulator, so that no proxy can stand in front of it"
            )
        faults = HttpFaults(parts.hostname, parts.port or HTTP_PORT, self.words)
        return faults, {**settings.variables, self.variable: f"http://127.0.0.1:{faults.port}", **SHORT}

    def nowhere(self, settings: Settings) -> dict[str, str]:
        """The variables that lead to a closed port."""
        return {**settings.variables, self.variable: "http://127.0.0.1:1", **SHORT}


_SERVICES: Mapping[tuple[str, str], HttpService] = {
    ("interactions", "dynamodb"): HttpService(
        HttpWords(Throttled(DYNAMODB_THROTTLED), UnprocessedItems(), ShortPages(limit=SHORT_PAGE, empty=True))
    ),
    ("logs", "cloudwatch"): HttpService(
        HttpWords(Throttled(LOGS_THROTTLED)), delivered=delivered_lines, delivery_seconds=10.0
    ),
}
"""Concern and name of a backend -> its service."""


def service_of(target: Target) -> HttpService | None:
    """The service of a built-in backend, if it is one of those."""
    return None if target.entry is None else _SERVICES.get((target.concern, target.entry.name))
