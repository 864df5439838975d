"""Puts the fault proxies between a backend and its server: one breaks connections, one changes what HTTP services answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from stackproof.adapters.settings import Settings
from stackproof.contracts.faulty import LATE_SECONDS, NETWORK, Fault
from stackproof.interfaces import ConfigurationError
from stackproof.servers.http_faults import OPENSEARCH_THROTTLED, BulkRejected, Throttled
from stackproof.servers.http_proxy import HttpProxy, Rewriter
from stackproof.servers.proxy import FaultProxy, Way

VARIABLES: Mapping[str, str] = {"postgres": "DATABASE_URL", "redis": "REDIS_URL", "opensearch": "OPENSEARCH_URL"}
"""Server -> the variable with its address."""
DEFAULT_PORTS = {"postgresql": 5432, "postgres": 5432, "redis": 6379, "rediss": 6379, "http": 9200}
"""Scheme -> port. There is no https: a proxy can break its connections, and not change what is said on them."""
SHORT = {"STACKPROOF_CONNECT_TIMEOUT": "1", "STACKPROOF_OPERATION_TIMEOUT": "1"}
_STRIKES = ("dropped", "delayed", "cut", "reset", "refused")
_REFUSALS = ("throttled", "items refused", "pages cut", "empty pages")


class ProxiedFaults:
    """The faults of a fault clause, made by a proxy."""

    def __init__(self, proxy: FaultProxy) -> None:
        self._proxy = proxy
        self.port: int = proxy.port
        """Where a client connects to."""

    def kinds(self) -> frozenset[Fault]:
        return NETWORK

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
            case _:
                raise ValueError(f"no TCP proxy can make the fault {fault.value!r}")

    def end(self) -> None:
        self._proxy.heal()

    def happened(self) -> int:
        counts = self._proxy.counts
        return sum(counts.get(name, 0) for name in _STRIKES)

    def taken(self) -> int:
        return 0

    def close(self) -> None:
        self._proxy.close()


@dataclass(frozen=True, slots=True)
class HttpWords:
    """How an HTTP service says that it refuses: the rewriters that stand for the faults of their names."""

    throttled: Rewriter
    part_refused: Rewriter | None = None
    """None where the service takes no batches."""
    pages_cut: Rewriter | None = None
    """None where it gives no pages."""


class HttpFaults(ProxiedFaults):
    """The faults of an HTTP service: a TCP proxy, and behind it one that rewrites answers. A client connects to ``port``."""

    def __init__(self, host: str, port: int, words: HttpWords) -> None:
        self._http = HttpProxy(host, port)
        self._words = words
        super().__init__(FaultProxy("127.0.0.1", self._http.port))

    def kinds(self) -> frozenset[Fault]:
        optional = {Fault.PART_REFUSED: self._words.part_refused, Fault.PAGES_CUT: self._words.pages_cut}
        known = {fault for fault, rewriter in optional.items() if rewriter is not None}
        return NETWORK | {Fault.THROTTLED, Fault.THROTTLED_ONCE} | known

    def begin(self, fault: Fault, spared: int = 0) -> None:
        match fault:
            case Fault.THROTTLED:
                self._http.rewrite(self._words.throttled)
            case Fault.THROTTLED_ONCE:
                self._http.rewrite(self._words.throttled, times=1)
            case Fault.PART_REFUSED if self._words.part_refused is not None:
                self._http.rewrite(self._words.part_refused)
            case Fault.PAGES_CUT if self._words.pages_cut is not None:
                self._http.rewrite(self._words.pages_cut)
            case _:
                super().begin(fault, spared)

    def end(self) -> None:
        self._http.heal()
        super().end()

    def happened(self) -> int:
        counts = self._http.counts
        return super().happened() + sum(counts.get(name, 0) for name in _REFUSALS)

    def taken(self) -> int:
        return self._http.counts.get("items taken", 0)

    def close(self) -> None:
        super().close()
        self._http.close()


WORDS: Mapping[str, HttpWords] = {"opensearch": HttpWords(Throttled(OPENSEARCH_THROTTLED), BulkRejected())}
"""Server -> how it says that it refuses. The others are not asked over HTTP, or never refuse."""


def through(settings: Settings, variable: str, words: HttpWords | None = None) -> tuple[ProxiedFaults, dict[str, str]]:
    """A proxy in front of the server of ``variable``, and the variables that lead through it, with short time limits.

    With ``words`` it also makes what only an HTTP service can say.
    """
    parts = urlsplit(settings.variables.get(variable, ""))
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ConfigurationError(f"{variable} names no host and port, so that no proxy can stand in front of it")
    server = parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme]
    faults = ProxiedFaults(FaultProxy(*server)) if words is None else HttpFaults(*server, words)
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    url = urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{faults.port}"))
    return faults, {**settings.variables, variable: url, **SHORT}
