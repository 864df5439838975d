"""The way to a Kafka cluster: a proxy before each broker, and none that a client could go around."""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass

from stackproof.adapters.settings import Settings
from stackproof.contracts.faulty import Fault
from stackproof.servers.kafka_wire import KafkaDialect, Place
from stackproof.servers.proxy import FaultProxy
from stackproof.servers.tls_tunnel import TlsTunnel

from .hosts import places_of
from .proxied import ProxiedFaults


class BrokerFaults(ProxiedFaults):
    """A proxy before each broker, which tells clients the addresses of the proxies instead of those of the brokers.

    A broker that is heard of later gets one then, with the fault that is on. Where brokers speak TLS, the proxies do so in the
    client's place: they have to read what passes. The client's part of the way is on this machine, and plain.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self._context = context
        self._lock = threading.Lock()
        self._ports: dict[Place, int] = {}
        self._tunnels: list[TlsTunnel] = []
        self._now: tuple[Fault, int] | None = None

    def instead(self, broker: Place) -> Place:
        """The address of the proxy before this broker."""
        with self._lock:
            if broker not in self._ports:
                proxy = FaultProxy(*self._way_to(broker), dialect=lambda: KafkaDialect(self.instead))
                if self._now is not None:
                    ProxiedFaults(proxy).begin(*self._now)
                self._ports[broker] = proxy.port
                self._proxies = (*self._proxies, proxy)
            return "127.0.0.1", self._ports[broker]

    def begin(self, fault: Fault, spared: int = 0) -> None:
        with self._lock:
            self._now = fault, spared
            super().begin(fault, spared)

    def end(self) -> None:
        with self._lock:
            self._now = None
            super().end()

    def close(self) -> None:
        super().close()
        for tunnel in self._tunnels:
            tunnel.close()

    def _way_to(self, broker: Place) -> Place:
        if self._context is None:
            return broker
        tunnel = TlsTunnel(*broker, self._context)
        self._tunnels.append(tunnel)
        return "127.0.0.1", tunnel.port


@dataclass(frozen=True, slots=True)
class BrokersWay:
    """The proxies understand Kafka's protocol, so that clients need no map."""

    variable: str
    default_port: int

    def through(self, settings: Settings) -> tuple[ProxiedFaults, dict[str, str]]:
        from stackproof.adapters.events.kafka_settings import protocol_of  # its driver is an extra

        places = places_of(settings, self.variable, self.default_port)
        group = self.variable.partition("_")[0]
        protocol = protocol_of(settings) if group == "KAFKA" else "SASL_SSL"
        encrypted = protocol.endswith("SSL")
        faults = BrokerFaults(_context(settings, group) if encrypted else None)
        changed = {self.variable: ",".join(f"{host}:{port}" for host, port in map(faults.instead, places))}
        if encrypted:
            changed |= dict.fromkeys((f"{group}_CA_FILE", f"{group}_CERTIFICATE_FILE", f"{group}_KEY_FILE"), "")
            changed[f"{group}_SECURITY_PROTOCOL"] = "SASL_PLAINTEXT" if protocol.startswith("SASL") else "PLAINTEXT"
        return faults, changed

    def nowhere(self) -> dict[str, str]:
        return {self.variable: "127.0.0.1:1"}


def _context(settings: Settings, group: str) -> ssl.SSLContext:
    from stackproof.adapters.events.kafka_settings import tls

    files = tls(settings, group)
    authority = files["ssl.ca.location"]
    context = ssl.create_default_context(cafile=None if authority == "probe" else authority)
    if "ssl.certificate.location" in files:
        context.load_cert_chain(files["ssl.certificate.location"], files["ssl.key.location"])
    return context
