"""The faults of services that speak HTTP: those of the network, and what only the service can say, that it refuses."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from stackproof.adapters.settings import Settings
from stackproof.contracts.faulty import NETWORK, Fault
from stackproof.servers.http_proxy import HttpProxy, Rewriter
from stackproof.servers.proxy import FaultProxy

from .proxied import SHORT, ProxiedFaults, no_place_for_a_proxy

_REFUSALS = ("throttled", "items refused", "pages cut", "empty pages")


@dataclass(frozen=True, slots=True)
class HttpWords:
    """How an HTTP service says that it refuses: the rewriters that stand for the faults of their names."""

    throttled: Rewriter
    part_refused: Rewriter | None = None
    """None where the service takes no batches."""
    pages_cut: Rewriter | None = None
    """None where it gives no pages."""


class HttpFaults(ProxiedFaults):
    """A TCP proxy, and behind it one that rewrites answers. A client connects to ``port``."""

    def __init__(self, host: str, port: int, words: HttpWords) -> None:
        self._http = HttpProxy(host, port)
        self._words = words
        tcp = FaultProxy("127.0.0.1", self._http.port)
        self.port: int = tcp.port
        super().__init__(tcp)

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


@dataclass(frozen=True, slots=True)
class HttpWay:
    """The way to a service whose address is a URL. What is altered on the way cannot be encrypted: ``http://`` only.

    The real services of Amazon are reached by TLS, and refuse what was altered; the faults are those of an emulator.
    """

    variables: tuple[str, ...]
    """What is pointed at the proxy."""
    words: HttpWords
    default_port: int = 80
    otherwise: str = ""
    """The variable with the address, where the first of ``variables`` is not set."""

    def through(self, settings: Settings) -> tuple[HttpFaults, dict[str, str]]:
        variable = self.variables[0]
        if self.otherwise and not settings.get(variable):
            variable = self.otherwise
        parts = urlsplit(settings.get(variable))
        if parts.scheme != "http" or not parts.hostname:
            raise no_place_for_a_proxy(variable, "is no plain http:// address")
        faults = HttpFaults(parts.hostname, parts.port or self.default_port, self.words)
        user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        url = urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{faults.port}"))
        return faults, dict.fromkeys(self.variables, url)

    def nowhere(self) -> dict[str, str]:
        return {**dict.fromkeys(self.variables, "http://127.0.0.1:1"), **SHORT}
