"""How backends on HTTP services are put behind faults: which variables lead through the proxy, and the service's own words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from stackproof.adapters.settings import Settings
from stackproof.interfaces import ConfigurationError
from stackproof.servers.http_faults import (
    EVENTBRIDGE_PUT_EVENTS,
    EVENTBRIDGE_THROTTLED,
    KINESIS_PUT_RECORDS,
    KINESIS_THROTTLED,
    Throttled,
)

from .faulty import SHORT, HttpFaults, HttpWords

DEFAULT_PORTS = {"http": 80, "https": 443}
ANY_ENDPOINT = "AWS_ENDPOINT_URL"


@dataclass(frozen=True, slots=True)
class HttpBackend:
    """A backend whose server speaks HTTP."""

    variables: tuple[str, ...]
    """What is pointed at the proxy. Where the first one is not set, `ANY_ENDPOINT` says where the server is."""
    words: HttpWords


HTTP_BACKENDS: Mapping[tuple[str, str], HttpBackend] = {
    ("events", "kinesis"): HttpBackend(
        ("AWS_ENDPOINT_URL_KINESIS",), HttpWords(Throttled(KINESIS_THROTTLED), KINESIS_PUT_RECORDS)
    ),
    ("events", "eventbridge"): HttpBackend(
        ("AWS_ENDPOINT_URL_EVENTBRIDGE", "AWS_ENDPOINT_URL_SQS"),
        HttpWords(Throttled(EVENTBRIDGE_THROTTLED), EVENTBRIDGE_PUT_EVENTS),
    ),
}
"""Concern and name of a built-in backend -> how faults are made for it."""


def through_http(settings: Settings, backend: HttpBackend) -> tuple[HttpFaults, dict[str, str]]:
    """The proxies in front of the server of a backend, and the variables that lead through them, with short time limits."""
    variable = backend.variables[0]
    url = settings.get(variable) or settings.get(ANY_ENDPOINT)
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ConfigurationError(f"{variable} is no plain http:// address, so that no proxy can stand in front of it")
    faults = HttpFaults(parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme], backend.words)
    proxied = dict.fromkeys(backend.variables, f"http://127.0.0.1:{faults.port}")
    return faults, {**settings.variables, **proxied, **SHORT}


def nowhere(backend: HttpBackend) -> dict[str, str]:
    """Variables that lead to a closed port."""
    return dict.fromkeys(backend.variables, "http://127.0.0.1:1")
