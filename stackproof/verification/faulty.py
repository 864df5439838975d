"""Puts the fault proxies between a backend and its server: one breaks connections, one changes what HTTP services answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from stackproof.adapters.settings import Settings
from stackproof.contracts.faulty import LATE_SECONDS, NETWORK, Fault
from stackproof.interfaces import ConfigurationError
from stackproof.servers.http_proxy import HttpProxy, Rewriter
from stackproof.servers.kafka_wire import Place
from stackproof.servers.proxy import FaultProxy, Way

DEFAULT_PORTS = {"postgresql": 5432, "postgres": 5432, "redis": 6379, "rediss": 6379}
"""Scheme of a URL -> the port where it names none."""
HOST_LISTS: Mapping[str, int] = {
    "SCYLLA_CONTACT_POINTS": 9042,
    "KEYSPACES_ENDPOINT": 9142,
    "KAFKA_BROKERS": 9092,
    "MSK_BROKERS": 9098,
}
"""Variables that hold a list ``host:port,host:port`` instead of a URL -> the port where an item names none."""
BROKERS = ("KAFKA_BROKERS", "MSK_BROKERS")
"""Those whose servers speak Kafka's protocol: the proxies understand it, and clients need no map."""
SHORT = {"STACKPROOF_CONNECT_TIMEOUT": "1", "STACKPROOF_OPERATION_TIMEOUT": "1"}
_STRIKES = ("dropped", "delayed", "cut", "reset", "refused")
_REFUSALS = ("throttled", "items refused", "pages cut", "empty pages")


class ProxiedFaults:
    """The faults of a fault clause, made by a proxy before each node of the server."""

    def __init__(self, *proxies: FaultProxy) -> None:
        self._proxies = proxies

    def kinds(self) -> frozenset[Fault]:
        return NETWORK

    def begin(self, fault: Fault, spared: int = 0) -> None:
        for proxy in self._proxies:
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


def can_be_faulty(variable: str) -> bool:
    """Whether `through` and `nowhere` know what this variable holds."""
    return variable in HOST_LISTS or variable in _NOWHERE


def through(settings: Settings, variable: str) -> tuple[ProxiedFaults, dict[str, str]]:
    """Proxies in front of the server of ``variable``, and the variables that lead through them, with short time limits."""
    before = _before_brokers if variable in BROKERS else _before_hosts if variable in HOST_LISTS else _before_url
    faults, changed = before(settings, variable)
    return faults, {**settings.variables, **changed, **SHORT}


def nowhere(variable: str) -> dict[str, str]:
    """The variable that leads to a closed port, for the clauses about a server that is not there."""
    if variable in HOST_LISTS:
        return {variable: "127.0.0.1:1", address_map(variable): ""}
    return {variable: _NOWHERE[variable]}


_NOWHERE = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing", "REDIS_URL": "redis://127.0.0.1:1/0"}


def address_map(variable: str) -> str:
    """The variable beside a list of hosts that says where else to dial them: ``KAFKA_ADDRESS_MAP`` for ``KAFKA_BROKERS``.

    Clients of a cluster dial what the nodes say of themselves, and so would go around a proxy. The map holds ``node=instead``,
    both as ``host:port``, separated by commas; the node ``*`` stands for all.
    """
    return f"{variable.partition('_')[0]}_ADDRESS_MAP"


def _before_url(settings: Settings, variable: str) -> tuple[ProxiedFaults, dict[str, str]]:
    parts = urlsplit(settings.variables.get(variable, ""))
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ConfigurationError(f"{variable} names no host and port, so that no proxy can stand in front of it")
    proxy = FaultProxy(parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme])
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    return ProxiedFaults(proxy), {variable: urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{proxy.port}"))}


def _before_brokers(settings: Settings, variable: str) -> tuple[ProxiedFaults, dict[str, str]]:
    from .broker_faults import before_brokers  # which builds on this module

    return before_brokers(settings, variable, _places(settings, variable))


def _before_hosts(settings: Settings, variable: str) -> tuple[ProxiedFaults, dict[str, str]]:
    places = _places(settings, variable)
    proxies = [FaultProxy(host, port) for host, port in places]
    instead = [f"127.0.0.1:{proxy.port}" for proxy in proxies]
    # One node is met behind the proxy whatever it calls itself; several are told apart by their names.
    names = ["*"] if len(places) == 1 else [f"{host}:{port}" for host, port in places]
    mapped = ",".join(f"{name}={there}" for name, there in zip(names, instead, strict=True))
    return ProxiedFaults(*proxies), {variable: ",".join(instead), address_map(variable): mapped}


def _places(settings: Settings, variable: str) -> list[Place]:
    """The hosts and ports of a list."""
    try:
        nodes = [urlsplit(f"//{item.strip()}") for item in settings.get(variable).split(",")]
        places = [(node.hostname or "", node.port or HOST_LISTS[variable]) for node in nodes]
    except ValueError:
        places = []
    if not places or not all(host for host, _ in places):
        raise ConfigurationError(
            f"{variable} is no list host:port,host:port, so that no proxy can stand in front of it"
        )
    return places
