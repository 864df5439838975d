"""Kafka in a container: one broker that is its own controller; plain, with SASL, with mutual TLS, and with Amazon's IAM.

The variants have a second listener for ourselves, which takes nobody without the client certificate of this run: through
it the broker is asked how it is, and users are made. Nothing takes plaintext.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable, Mapping
from typing import ClassVar

from stackproof.servers.embedded_aws import ACCESS_KEY, aws_identity
from stackproof.servers.ports import LOOPBACK

from .container import ContainerServer
from .kafka_wire import KafkaConnection
from .recipe import Recipe

FOLDER = "/etc/kafka/secrets"
CLUSTER_ID = "c3RhY2twcm9vZi1zdGFja3"
NODE = 1
USER = "stackproof"
CLIENTS, INNER, CONTROLLER = "CLIENTS", "INNER", "CONTROLLER"
IAM_CLASS = "stackproof.IamValidator"
"""Of our own image: see images/kafka."""
_CLIENTS_LIBRARY = re.compile(r"kafka-clients-(.+)\.jar")
FACTS = (
    "auto.create.topics.enable",
    "default.replication.factor",
    "log.flush.interval.messages",
    "log.flush.interval.ms",
    "min.insync.replicas",
    "num.partitions",
    "unclean.leader.election.enable",
)


class KafkaContainer(ContainerServer):
    """One broker. It keeps its log over `kill()`; a single one does not survive the loss of its machine (no replicas)."""

    name = "kafka"
    technology = "kafka"
    title = "Kafka"
    image_name = "kafka"
    official_image = "apache/kafka:4.1.0"
    inner_port_count = 1
    protocol: ClassVar[str] = "PLAINTEXT"
    """Of the listener for clients."""

    def variables(self) -> Mapping[str, str]:
        """Return KAFKA_BROKERS."""
        return {"KAFKA_BROKERS": f"{LOOPBACK}:{self.port}"}

    def version(self) -> str | None:
        """Return the version, for example "4.1.0", as the name of the program's own file says it; None in an image without."""
        return version_in(self.execute("sh", "-c", "ls /opt/kafka/libs").split())

    def _facts(self) -> Mapping[str, str]:
        """Return what durability depends on; the flush of the log is the operating system's where it is not set."""
        with self._admin() as kafka:
            return {"listener": self.protocol, "brokers": str(kafka.brokers()), **kafka.settings(NODE, FACTS)}

    def _admin(self) -> KafkaConnection:
        return KafkaConnection(self._admin_port, self._admin_context)

    @property
    def _admin_port(self) -> int:
        return self.port

    @property
    def _admin_context(self) -> ssl.SSLContext | None:
        return None

    def _answers(self) -> bool:
        with self._admin() as kafka:
            return kafka.brokers() > 0

    def _recipe(self) -> Recipe:
        heap = self._options.heap()
        return Recipe(
            environment={
                "CLUSTER_ID": CLUSTER_ID,
                "KAFKA_HEAP_OPTS": f"-Xms{min(heap, 128)}m -Xmx{heap}m",
                **{_variable(name): str(value) for name, value in self._settings().items()},
            },
            files=self._files(),
        )

    def _settings(self) -> dict[str, object]:
        controller = f"{LOOPBACK}:{self.inner_ports[0]}"
        return {
            "node.id": NODE,
            "process.roles": "broker,controller",
            "controller.quorum.voters": f"{NODE}@{controller}",
            "controller.listener.names": CONTROLLER,
            "listeners": f"{self._listeners(self.bind_address)},{CONTROLLER}://{controller}",
            "advertised.listeners": self._listeners(LOOPBACK),
            "listener.security.protocol.map": self._protocols(),
            "inter.broker.listener.name": self._inter_broker_listener,
            "log.dirs": "/var/lib/kafka/data",
            "num.network.threads": 2,
            "num.io.threads": 4,
            "auto.create.topics.enable": "false",
            "group.initial.rebalance.delay.ms": 0,
            # One broker holds everything once.
            "offsets.topic.num.partitions": 4,
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            # A broker that was killed may register again when its session is over: 9 s by default.
            "broker.session.timeout.ms": 1500,
            "broker.heartbeat.interval.ms": 500,
            "log.cleaner.dedupe.buffer.size": 4194304,
        }

    def _listeners(self, host: str) -> str:
        return f"{CLIENTS}://{host}:{self.port}"

    def _protocols(self) -> str:
        return f"{CLIENTS}:{self.protocol},{CONTROLLER}:PLAINTEXT"

    @property
    def _inter_broker_listener(self) -> str:
        return CLIENTS

    def _files(self) -> dict[str, bytes]:
        return {}


class KafkaTlsContainer(KafkaContainer):
    """Kafka that takes nobody without a certificate of its authority."""

    name = "kafka-tls"
    title = "Kafka with mutual TLS"
    protocol = "SSL"
    tls = True

    def variables(self) -> Mapping[str, str]:
        """Return the address, the authority, and a client's certificate with its key."""
        return {
            **super().variables(),
            "KAFKA_SECURITY_PROTOCOL": self.protocol,
            "KAFKA_CA_FILE": str(self.certificates.ca),
            "KAFKA_CERTIFICATE_FILE": str(self.certificates.client_chain),
            "KAFKA_KEY_FILE": str(self.certificates.client_key),
        }

    @property
    def _admin_context(self) -> ssl.SSLContext:
        return self.certificates.context()

    def _settings(self) -> dict[str, object]:
        return {**super()._settings(), **_pem_settings(), "ssl.client.auth": "required"}

    def _files(self) -> dict[str, bytes]:
        return {
            f"{FOLDER}/server.pem": self.certificates.server.read_bytes(),
            f"{FOLDER}/ca.pem": self.certificates.ca.read_bytes(),
        }


class KafkaSaslContainer(KafkaTlsContainer):
    """Kafka that takes nobody without TLS and a password (SCRAM-SHA-512)."""

    name = "kafka-sasl"
    title = "Kafka with SASL"
    protocol = "SASL_SSL"
    port_count = 2
    """The second one is ours."""

    def variables(self) -> Mapping[str, str]:
        """Return the address, the authority, user and password."""
        return {
            "KAFKA_BROKERS": f"{LOOPBACK}:{self.port}",
            "KAFKA_SECURITY_PROTOCOL": self.protocol,
            "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "KAFKA_USERNAME": USER,
            "KAFKA_PASSWORD": self._password,
            "KAFKA_CA_FILE": str(self.certificates.ca),
        }

    def _set_up(self) -> None:
        with self._admin() as kafka:
            kafka.set_scram_user(USER, self._password)

    @property
    def _admin_port(self) -> int:
        return self.ports[-1]

    def _listeners(self, host: str) -> str:
        return f"{super()._listeners(host)},{INNER}://{host}:{self._admin_port}"

    def _protocols(self) -> str:
        return f"{super()._protocols()},{INNER}:SSL"

    @property
    def _inter_broker_listener(self) -> str:
        return INNER

    def _settings(self) -> dict[str, object]:
        return {
            **super()._settings(),
            "ssl.client.auth": "none",
            f"listener.name.{INNER.lower()}.ssl.client.auth": "required",
            **_scram_settings(CLIENTS),
        }


class KafkaIamContainer(KafkaSaslContainer):
    """Kafka as Amazon's MSK offers it: one listener that checks IAM tokens, one for SCRAM, both over TLS.

    Signatures are checked as the service does (SigV4, action, expiry); policies are not. Needs our own image.
    """

    name = "kafka-iam"
    title = "Kafka with IAM"
    official_image = ""
    port_count = 3
    scram = "SCRAM"

    def variables(self) -> Mapping[str, str]:
        """Return the address for IAM, the authority, and the keys."""
        return {
            "MSK_BROKERS": f"{LOOPBACK}:{self.port}",
            "MSK_AUTH": "iam",
            "MSK_CA_FILE": str(self.certificates.ca),
            **aws_identity(self._started_run()),
            # For a client of plain Kafka: the same broker, by SCRAM.
            "KAFKA_BROKERS": f"{LOOPBACK}:{self.ports[1]}",
            "KAFKA_SECURITY_PROTOCOL": self.protocol,
            "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "KAFKA_USERNAME": USER,
            "KAFKA_PASSWORD": self._password,
            "KAFKA_CA_FILE": str(self.certificates.ca),
        }

    def scram_variables(self) -> Mapping[str, str]:
        """Return what reaches the same broker with SCRAM instead."""
        return {
            "MSK_BROKERS": f"{LOOPBACK}:{self.ports[1]}",
            "MSK_AUTH": "scram",
            "MSK_CA_FILE": str(self.certificates.ca),
            "MSK_USERNAME": USER,
            "MSK_PASSWORD": self._password,
        }

    def _listeners(self, host: str) -> str:
        return f"{super()._listeners(host)},{self.scram}://{host}:{self.ports[1]}"

    def _protocols(self) -> str:
        return f"{super()._protocols()},{self.scram}:{self.protocol}"

    def _settings(self) -> dict[str, object]:
        plain = {name: value for name, value in super()._settings().items() if CLIENTS.lower() not in name}
        prefix = f"listener.name.{CLIENTS.lower()}"
        return {
            **plain,
            **_scram_settings(self.scram),
            f"{prefix}.sasl.enabled.mechanisms": "OAUTHBEARER",
            f"{prefix}.oauthbearer.sasl.server.callback.handler.class": IAM_CLASS,
            f"{prefix}.oauthbearer.sasl.jaas.config": (
                "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required "
                f'unsecuredLoginStringClaim_sub="broker" keys="{FOLDER}/iam-keys.properties";'
            ),
        }

    def _files(self) -> dict[str, bytes]:
        keys = f"{ACCESS_KEY}={self._started_run().secret}\n"
        return {**super()._files(), f"{FOLDER}/iam-keys.properties": keys.encode()}


def _pem_settings() -> dict[str, object]:
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": f"{FOLDER}/server.pem",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": f"{FOLDER}/ca.pem",
    }


def _scram_settings(listener: str) -> dict[str, object]:
    prefix = f"listener.name.{listener.lower()}"
    return {
        f"{prefix}.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        f"{prefix}.scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
    }


def version_in(files: Iterable[str]) -> str | None:
    """The version in the name of the library of Kafka's clients; None where it is not among the files."""
    return next((found[1] for name in files if (found := _CLIENTS_LIBRARY.fullmatch(name))), None)


def _variable(setting: str) -> str:
    """As the official image reads settings from its environment."""
    return "KAFKA_" + setting.replace("_", "__").replace("-", "___").replace(".", "_").upper()
