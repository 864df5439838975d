"""Puts the fault proxies between a backend and its server: one breaks connections, one changes what HTTP services answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from stackproof.adapters.settings import Settings
from stackproof.contracts.faulty import LATE_SECONDS, NETWORK, Fault
from stackproof.interfaces import ConfigurationError
from stackproof.servers.http_proxy import HttpProxy, Rewriter
from stackproof.servers.proxy import FaultProxy, Way

VARIABLES: Mapping[str, str] = {
    "postgres": "DATABASE_URL",
    "redis": "REDIS_URL",
    "redis-tls": "REDIS_URL",
    "redis-cluster": "REDIS_URL",
    "valkey": "REDIS_URL",
}
"""Server -> the variable with its address."""
DEFAULT_PORTS = {"postgresql": 5432, "postgres": 5432}
SHORT = {"STACKPROOF_CONNECT_TIMEOUT": "1", "STACKPROOF_OPERATION_TIMEOUT": "1"}
_STRIKES = ("dropped", "delayed", "cut", "reset", "refused")
_REFUSALS = ("throttled", "items refused", "pages cut", "empty pages")


class ProxiedFaults:
    """The faults of a fault clause, made by a proxy in front of each node of the server, by all of them alike."""

    def __init__(self, *proxies: FaultProxy) -> None:
        self._proxies = proxies

    def kinds(self) -> frozenset[Fault]:
        return NETWORK

    def begin(self, fault: Fault, spared: int = 0) -> None:
        for proxy in self._proxies:
            _begin(proxy, fault, spared)

    def end(self) -> None:
        for proxy in self._proxies:
            proxy.heal()

    def happened(self) -> int:
        return sum(proxy.counts.get(name, 0) for proxy in self._proxies for name in _STRIKES)

    def taken(self) -> int:
        return 0

    def close(self) -> None:
        for proxy in self._proxies:
            proxy.close()


def _begin(proxy: FaultProxy, fault: Fault, spared: int) -> None:
    match fault:
        case Fault.BLACK_HOLE:
            proxy.black_hole()
        case Fault.REFUSED:
            proxy.refuse()
        case Fault.ANSWERS_LOST:
            proxy.half_open(Way.ANSWERS, spared)
        case Fault.ANSWER_CUT:
            proxy.reset_answer(spared)
        case Fault.ANSWERS_LATE:
            proxy.latency(LATE_SECONDS)
        case _:
            raise ValueError(f"no TCP proxy can make the fault {fault.value!r}")


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


def through(settings: Settings, server: str) -> tuple[ProxiedFaults, dict[str, str]]:
    """A proxy in front of the server, and the variables that lead through it, with short time limits."""
    variable = VARIABLES[server]
    if variable == "REDIS_URL":
        return _through_redis(settings, cluster=server == "redis-cluster")
    parts = urlsplit(settings.variables.get(variable, ""))
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise _no_place_for_a_proxy(variable)
    proxy = FaultProxy(parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme])
    # The host stays, for certificates name it; libpq goes where `hostaddr` says.
    user, at, _ = parts.netloc.rpartition("@")
    query = "&".join(filter(None, [parts.query, "hostaddr=127.0.0.1"]))
    url = urlunsplit(parts._replace(netloc=f"{user}{at}{parts.hostname}:{proxy.port}", query=query))
    return ProxiedFaults(proxy), {**settings.variables, variable: url, **SHORT}


def _through_redis(settings: Settings, *, cluster: bool) -> tuple[ProxiedFaults, dict[str, str]]:
    """A proxy for each node. The URL stays, since certificates name its host; the map of addresses leads to the proxies."""
    from stackproof.adapters.redis_cluster import open_client
    from stackproof.adapters.redis_connections import map_text
    from stackproof.adapters.redis_settings import redis_options

    client = open_client(**redis_options(settings, "the fault proxy"), cluster=cluster)
    try:
        nodes = {node: client.reached_at(node) for node in client.nodes()}
    finally:
        client.close()
    if not nodes:
        raise _no_place_for_a_proxy("REDIS_URL")
    proxies = {node: FaultProxy(*reached) for node, reached in nodes.items()}
    proxied = map_text({node: ("127.0.0.1", proxy.port) for node, proxy in proxies.items()})
    return ProxiedFaults(*proxies.values()), {**settings.variables, "REDIS_ADDRESS_MAP": proxied, **SHORT}


def _no_place_for_a_proxy(variable: str) -> ConfigurationError:
    return ConfigurationError(f"{variable} names no host and port, so that no proxy can stand in front of it")
