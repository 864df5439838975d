"""How a Kafka cluster is reached: from the variables ``KAFKA_*`` or ``MSK_*`` to the options of librdkafka."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stackproof.adapters.settings import Settings
from stackproof.interfaces import ConfigurationError

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
PARTITIONS = 3
"""Of a topic that the adapter makes: so many members of a group can work side by side."""
LEAST_RECORD_SECONDS = 3.0
"""A new producer has to get the id that makes it idempotent first, and may need more than a second for it."""
MOST_LINGER_MS = 1_000.0
BROKERS_CHOOSE = -1
"""As the number of replicas: what the brokers are configured to make."""


@dataclass(frozen=True, slots=True)
class KafkaConnection:
    """Where the brokers are, how to be let in, and what topics are made like."""

    brokers: str
    """``host:port``, several with commas between."""
    access: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The options of librdkafka about security. They hold passwords."""
    connect_timeout: float = 5.0
    operation_timeout: float = 5.0
    partitions: int = PARTITIONS
    replication: int = BROKERS_CHOOSE
    linger: float = 0.0
    """Seconds that a record waits for others that go with it in one request."""

    def __post_init__(self) -> None:
        _check_brokers(self.brokers)

    @property
    def where(self) -> str:
        return f"Kafka at {self.brokers}"

    @property
    def record_timeout(self) -> float:
        """Seconds until a record is acknowledged."""
        return max(self.operation_timeout, LEAST_RECORD_SECONDS)

    def options(self) -> dict[str, Any]:
        """What every handle of the driver is made with."""
        return {
            "bootstrap.servers": self.brokers,
            "client.id": "stackproof",
            "socket.timeout.ms": max(1500, int(self.operation_timeout * 1000)),
            "socket.connection.setup.timeout.ms": max(1000, int(self.connect_timeout * 1000)),
            "socket.keepalive.enable": True,
            "socket.nagle.disable": True,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 1000,
            **self.access,
        }


def kafka_connection(settings: Settings) -> KafkaConnection:
    """The connection that the variables ``KAFKA_*`` describe."""
    brokers = settings.require("KAFKA_BROKERS", "the event bus on Kafka", "127.0.0.1:9092")
    protocol = protocol_of(settings)
    access: dict[str, Any] = {"security.protocol": protocol}
    if protocol.startswith("SASL"):
        access |= login(settings, "KAFKA", settings.get("KAFKA_SASL_MECHANISM", "SCRAM-SHA-512").upper())
    if protocol.endswith("SSL"):
        access |= tls(settings, "KAFKA")
    return connection(settings, brokers, access)


def connection(settings: Settings, brokers: str, access: Mapping[str, Any]) -> KafkaConnection:
    """With the variables that both kinds of cluster share."""
    return KafkaConnection(
        brokers=brokers,
        access=access,
        connect_timeout=settings.connect_timeout,
        operation_timeout=settings.operation_timeout,
        partitions=_count(settings, "KAFKA_PARTITIONS", PARTITIONS),
        replication=_count(settings, "KAFKA_REPLICATION", BROKERS_CHOOSE),
        linger=_linger(settings),
    )


def _linger(settings: Settings) -> float:
    milliseconds = settings.number("KAFKA_LINGER_MS", 0.0, minimum=0.0)
    if milliseconds > MOST_LINGER_MS:
        raise ConfigurationError(f"KAFKA_LINGER_MS={milliseconds:g} is more than {MOST_LINGER_MS:g}")
    return milliseconds / 1000


def _count(settings: Settings, name: str, default: int) -> int:
    value = settings.number(name, default, minimum=1)
    if value != int(value):
        raise ConfigurationError(f"{name}={settings.get(name)!r} is not a whole number")
    return int(value)


def _check_brokers(brokers: str) -> None:
    for each in brokers.split(","):
        host, colon, port = each.strip().rpartition(":")
        if "/" in each or "@" in each or not (host and colon and port.isdecimal() and 0 < int(port) < 65536):
            raise ConfigurationError(  # without the text: what is no address may hold a password
                "the addresses of Kafka's brokers are written host:port, several with commas between, without a scheme and "
                "without a password, for example: export KAFKA_BROKERS=127.0.0.1:9092"
            )


def protocol_of(settings: Settings) -> str:
    """As given; otherwise the one that the other variables ask for, never a weaker one."""
    name, files = settings.get("KAFKA_USERNAME"), [f"KAFKA_{each}_FILE" for each in ("CA", "CERTIFICATE", "KEY")]
    protocol = settings.get("KAFKA_SECURITY_PROTOCOL").upper()
    if not protocol:
        if name:
            return "SASL_SSL"
        return "SSL" if any(map(settings.get, files)) else "PLAINTEXT"
    if protocol not in PROTOCOLS:
        raise ConfigurationError(
            f"KAFKA_SECURITY_PROTOCOL={protocol!r} is not known; known are: {', '.join(PROTOCOLS)}"
        )
    if name and not protocol.startswith("SASL"):
        raise ConfigurationError(f"KAFKA_USERNAME is set, but with KAFKA_SECURITY_PROTOCOL={protocol} nobody logs in")
    given = [each for each in files if settings.get(each)]
    if given and not protocol.endswith("SSL"):
        raise ConfigurationError(f"{given[0]} is set, but KAFKA_SECURITY_PROTOCOL={protocol} does not encrypt")
    return protocol


def login(settings: Settings, group: str, mechanism: str) -> dict[str, Any]:
    if mechanism not in MECHANISMS:
        raise ConfigurationError(
            f"{group}_SASL_MECHANISM={mechanism!r} is not known; known are: {', '.join(MECHANISMS)}"
        )
    purpose = f"a login to Kafka with {mechanism}"
    return {
        "sasl.mechanism": mechanism,
        "sasl.username": settings.require(f"{group}_USERNAME", purpose, "NAME"),
        "sasl.password": settings.require(f"{group}_PASSWORD", purpose, "PASSWORD"),
    }


def tls(settings: Settings, group: str) -> dict[str, Any]:
    """Certificates are always verified, host names included: by the given authority, else by those of the system."""
    access: dict[str, Any] = {"ssl.ca.location": _file(settings, f"{group}_CA_FILE") or "probe"}
    certificate, key = (_file(settings, f"{group}_{each}_FILE") for each in ("CERTIFICATE", "KEY"))
    if bool(certificate) != bool(key):
        raise ConfigurationError(f"{group}_CERTIFICATE_FILE and {group}_KEY_FILE belong together; only one is set")
    if certificate:
        access |= {"ssl.certificate.location": certificate, "ssl.key.location": key}
    return access


def _file(settings: Settings, name: str) -> str:
    path = settings.get(name)
    if path:
        try:
            Path(path).open("rb").close()
        except OSError as error:
            raise ConfigurationError(f"{name}={path} cannot be read: {error.strerror}") from error
    return path
