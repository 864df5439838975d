"""The way to servers that are given as a list of hosts, and whose clients dial what the nodes say of themselves: CQL."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from stackproof.adapters.settings import Settings
from stackproof.servers.proxy import FaultProxy

from .proxied import ProxiedFaults, no_place_for_a_proxy


@dataclass(frozen=True, slots=True)
class HostsWay:
    """A proxy for each node, and a map beside the list that says where else to dial them.

    The map holds ``node=instead``, both as ``host:port``, separated by commas; the node ``*`` stands for all.
    """

    variable: str
    default_port: int

    @property
    def address_map(self) -> str:
        """``SCYLLA_ADDRESS_MAP`` for ``SCYLLA_CONTACT_POINTS``."""
        return f"{self.variable.partition('_')[0]}_ADDRESS_MAP"

    def through(self, settings: Settings) -> tuple[ProxiedFaults, dict[str, str]]:
        places = places_of(settings, self.variable, self.default_port)
        proxies = [FaultProxy(host, port) for host, port in places]
        instead = [f"127.0.0.1:{proxy.port}" for proxy in proxies]
        # One node is met behind the proxy whatever it calls itself; several are told apart by their names.
        names = ["*"] if len(places) == 1 else [f"{host}:{port}" for host, port in places]
        mapped = ",".join(f"{name}={there}" for name, there in zip(names, instead, strict=True))
        return ProxiedFaults(*proxies), {self.variable: ",".join(instead), self.address_map: mapped}

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
