"""Puts the fault proxy between a built-in backend and its server."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

from stackproof.adapters.settings import Settings
from stackproof.contracts.faulty import LATE_SECONDS, Fault
from stackproof.interfaces import ConfigurationError
from stackproof.servers.proxy import FaultProxy, Way

VARIABLES: Mapping[str, str] = {"postgres": "DATABASE_URL", "redis": "REDIS_URL"}
"""Server -> the variable with its address."""
DEFAULT_PORTS = {"postgresql": 5432, "postgres": 5432, "redis": 6379, "rediss": 6379}
SHORT = {"STACKPROOF_CONNECT_TIMEOUT": "1", "STACKPROOF_OPERATION_TIMEOUT": "1"}
_STRIKES = ("dropped", "delayed", "cut", "reset", "refused")


class ProxiedFaults:
    """The faults of a fault clause, made by a proxy."""

    def __init__(self, proxy: FaultProxy) -> None:
        self._proxy = proxy

    def begin(self, fault: Fault, spared: int = 0) -> None:
        match fault:
            case Fault.BLACK_HOLE:
                self._proxy.black_hole()
            case Fault.REFUSED:
                self._proxy.refuse()
            case Fault.ANSWERS_LOST:
                self._proxy.half_open(Way.ANSWERS, spared)
            case Fault.ANSWER_CUT:
                self._proxy.reset_answer(spared)
            case Fault.ANSWERS_LATE:
                self._proxy.latency(LATE_SECONDS)

    def end(self) -> None:
        self._proxy.heal()

    def happened(self) -> int:
        counts = self._proxy.counts
        return sum(counts.get(name, 0) for name in _STRIKES)

    def close(self) -> None:
        self._proxy.close()


def through(settings: Settings, variable: str) -> tuple[ProxiedFaults, dict[str, str]]:
    """A proxy in front of the server of ``variable``, and the variables that lead through it, with short time limits."""
    parts = urlsplit(settings.variables.get(variable, ""))
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ConfigurationError(f"{variable} names no host and port, so that no proxy can stand in front of it")
    proxy = FaultProxy(parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme])
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    url = urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{proxy.port}"))
    return ProxiedFaults(proxy), {**settings.variables, variable: url, **SHORT}
