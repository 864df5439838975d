"""Where the nodes of a CQL cluster are dialled: contact points with ports, and a map for nodes that are reached elsewhere.

The driver learns from ``system.local`` and ``system.peers`` how the nodes call themselves, and from then on dials that, with one
port for all. Behind a published port, a tunnel or a proxy these are the wrong addresses: the map replaces them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from cassandra.connection import DefaultEndPoint, EndPointFactory
from cassandra.metadata import _NodeInfo

from stackproof.interfaces import ConfigurationError

EVERY_NODE = "*"


class Address(NamedTuple):
    """A host (name or IP address) and a port."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Addresses:
    """The contact points, and what is dialled instead of what nodes call themselves."""

    contact_points: tuple[Address, ...]
    instead: Mapping[Address | str, Address] = field(default_factory=dict)
    """Node -> what is dialled; `EVERY_NODE` stands for all that are not listed."""
    certificate_name: str | None = None
    """The name that every node's certificate must have; None: the name or address that is dialled.

    Without TLS it must be None: the driver takes a name for a wish to have TLS.
    """

    @classmethod
    def parse(cls, variable: str, hosts: str, mapped: str, port: int, certificate_name: str | None = None) -> Addresses:
        """From ``host:port,host:port`` and ``node=instead,node=instead``; ``variable`` is named where that is neither."""
        points = tuple(_address(variable, item, port) for item in hosts.split(","))
        instead: dict[Address | str, Address] = {}
        for item in filter(None, (item.strip() for item in mapped.split(","))):
            node, equals, there = item.partition("=")
            if not equals:
                raise ConfigurationError(f"the address map beside {variable} holds {item!r}, which is no node=instead")
            known = EVERY_NODE if node.strip() == EVERY_NODE else _address(variable, node, port)
            instead[known] = _address(variable, there, port)
        return cls(points, instead, certificate_name)

    def port_of(self, host: str) -> int:
        """The port of a node that does not tell its own (most do not): of the contact point of that host, or of the first."""
        return next((point.port for point in self.contact_points if point.host == host), self.contact_points[0].port)

    def dialled(self, node: Address) -> Address:
        """Where a node is dialled that calls itself so."""
        return self.instead.get(node) or self.instead.get(EVERY_NODE) or node

    def endpoints(self) -> list[Node]:
        """The contact points as the driver takes them. They are dialled as they were given."""
        return [Node(address, self.certificate_name) for address in self.contact_points]

    def __str__(self) -> str:
        return ",".join(f"{host}:{port}" for host, port in self.contact_points)


def _address(variable: str, text: str, port: int) -> Address:
    try:
        parts = urlsplit(f"//{text.strip()}")
        host, given = parts.hostname, parts.port
    except ValueError:
        host, given = None, None
    if not host or parts.netloc != text.strip() or "@" in parts.netloc:
        # What was given is not quoted: it could be a URL with a password.
        raise ConfigurationError(f"{variable} must be a list host:port,host:port; an item of it is none")
    return Address(host, given or port)


class Node(DefaultEndPoint):  # type: ignore[misc]
    """A node's address for the driver."""

    def __init__(self, address: Address, certificate_name: str | None) -> None:
        super().__init__(*address)
        self._certificate_name = certificate_name

    @property
    def ssl_options(self) -> dict[str, str] | None:
        """What the driver adds to the options of its TLS handshake."""
        return {"server_hostname": self._certificate_name} if self._certificate_name else None


class NodeFactory(EndPointFactory):  # type: ignore[misc]
    """Makes the addresses of nodes that the driver learns of."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses

    def create(self, row: Mapping[str, Any]) -> Node:
        """The address of the node of a row of ``system.local`` or ``system.peers``."""
        host = _NodeInfo.get_broadcast_rpc_address(row)
        node = Address(host, _NodeInfo.get_broadcast_rpc_port(row) or self._addresses.port_of(host))
        return Node(self._addresses.dialled(node), self._addresses.certificate_name)
