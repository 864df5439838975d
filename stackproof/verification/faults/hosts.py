"""The way to servers that are given as a list of hosts, and whose clients dial what the nodes say of themselves: CQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from stackproof.adapters.settings import Settings
from stackproof.contracts.faulty import Fault
from stackproof.servers.cql_pages import CqlPages
from stackproof.servers.proxy import FaultProxy

from .proxied import ProxiedFaults, no_place_for_a_proxy

SHORT_PAGE = 16
"""How many rows a page has at most, when it ends early."""


class HostFaults(ProxiedFaults):
    """A proxy before each node. Where what passes can be read, it makes pages of answers end early, too."""

    def __init__(self, places: Sequence[tuple[str, int]], encrypted: bool) -> None:
        self._pages = CqlPages()
        dialect = None if encrypted else self._pages.dialect
        self._encrypted = encrypted
        proxies = [FaultProxy(host, port, dialect) for host, port in places]
        self.ports = [proxy.port for proxy in proxies]
        super().__init__(*proxies)

    def kinds(self) -> frozenset[Fault]:
        return super().kinds() | (frozenset() if self._encrypted else {Fault.PAGES_CUT})

    def begin(self, fault: Fault, spared: int = 0) -> None:
        if fault is Fault.PAGES_CUT and not self._encrypted:
            self._pages.limit = SHORT_PAGE
        else:
            super().begin(fault, spared)

    def end(self) -> None:
        self._pages.limit = None
        super().end()

    def happened(self) -> int:
        return super().happened() + sum(self._pages.counts.values())


@dataclass(frozen=True, slots=True)
class HostsWay:
    """A proxy for each node, and a map beside the list that says where else to dial them.

    The map holds ``node=instead``, both as ``host:port``, separated by commas; the node ``*`` stands for all.
    """

    variable: str
    default_port: int
    encrypted: Callable[[Settings], bool]
    """Whether the nodes are spoken to by TLS: then no proxy can read what passes."""

    @property
    def address_map(self) -> str:
        """``SCYLLA_ADDRESS_MAP`` for ``SCYLLA_CONTACT_POINTS``."""
        return f"{self.variable.partition('_')[0]}_ADDRESS_MAP"

    def through(self, settings: Settings) -> tuple[ProxiedFaults, dict[str, str]]:
        places = places_of(settings, self.variable, self.default_port)
        faults = HostFaults(places, self.encrypted(settings))
        instead = [f"127.0.0.1:{port}" for port in faults.ports]
        # One node is met behind the proxy whatever it calls itself; several are told apart by their names.
        names = ["*"] if len(places) == 1 else [f"{host}:{port}" for host, port in places]
        mapped = ",".join(f"{name}={there}" for name, there in zip(names, instead, strict=True))
        return faults, {self.variable: ",".join(instead), self.address_map: mapped}

    def nowhere(self) -> dict[str, str]:
        return {self.variable: "127.0.0.1:1", self.address_map: ""}


def places_of(settings: Settings, variable: str, default_port: int) -> list[tuple[str, int]]:
    """The hosts and ports of a list ``host:port,host:port``."""
    try:
        nodes = [urlsplit(f"//{item.strip()}") for item in settings.get(variable).split(",")]
        places = [(node.hostname or "", node.port or default_port) for node in nodes]
    except ValueError:
        places = []
    if not places or not all(host for host, _ in places):
        raise no_place_for_a_proxy(variable, "is no list host:port,host:port")
    return places
