"""What the brokers of a Kafka cluster say of themselves.

Meanings follow "Broker Configs" and "Topic Configs" of Kafka's documentation, and its chapter on replication.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import ConfigResource  # type: ignore[attr-defined]

from stackproof.adapters.events.kafka_client import KafkaClient
from stackproof.adapters.events.kafka_names import prefix_of
from stackproof.adapters.events.kafka_settings import BROKERS_CHOOSE, KafkaConnection, kafka_connection
from stackproof.adapters.settings import Settings
from stackproof.interfaces import BackendError, UnavailableError
from stackproof.targets import Target

from .records import NEVER, Setting, Told, each_of, together

MEANINGS = {
    "version": "The release of the brokers.",
    "brokers": "How many brokers the cluster has now.",
    "topic replication factor": "On how many brokers each event of our topics is kept.",
    "min.insync.replicas": "How many brokers must have an event of our topics before acks=all acknowledges it.",
    "flush.messages": f"After how many events the log is forced to disk; else when the system likes ({NEVER} is never).",
    "flush.ms": f"After how many milliseconds the log is forced to disk ({NEVER} is never).",
    "unclean.leader.election.enable": "Whether a broker that lacks acknowledged events may take over a partition.",
    "num.io.threads": "Threads of a broker that serve requests.",
    "num.network.threads": "Threads of a broker that read and write sockets.",
}
_OF_TOPIC = {
    "min.insync.replicas": "min.insync.replicas",
    "flush.messages": "log.flush.interval.messages",
    "flush.ms": "log.flush.interval.ms",
    "unclean.leader.election.enable": "unclean.leader.election.enable",
}
"""Setting of a topic -> what it is called in a broker, whose value a new topic has."""
_OF_BROKER = ("num.io.threads", "num.network.threads")
_OF_REDPANDA = "redpanda."
"""How its cluster ids begin, so that clients can tell which implementation they speak to."""
_OF_MSK = re.compile(r"\.kafka(-serverless)?\.[a-z0-9-]+\.amazonaws\.com(\.cn)?$")
_DEFAULT_REPLICATION = "default.replication.factor"
_PRODUCER = {
    "acks": "What the producer waits for: all means every replica that is in sync, at least min.insync.replicas.",
    "enable.idempotence": "Whether repetitions of the driver can neither double an event nor change the order.",
    "linger.ms": "How long the producer waits for more events before it sends a batch.",
    "compression.type": "How batches are compressed.",
    "message.timeout.ms": "After how long an event without an acknowledgement is given up.",
    "request.timeout.ms": "How long a broker may take to answer.",
    "message.max.bytes": "The largest record.",
    "security.protocol": "How the connection is protected.",
}


def ask(settings: Settings, targets: Sequence[Target], namespace: str | None) -> Told:
    """Each broker, and the topics of the namespace where there are some; else what a topic of ours would get.

    Errors are the `BackendError` and `ConfigurationError` of the adapter's client.
    """
    connection = _connection(settings, targets)
    kafka = KafkaClient(connection)
    unknown = {"version": "Kafka's protocol does not tell the release of a broker"}
    try:
        cluster = kafka.ask(lambda admin, seconds: admin.describe_cluster(request_timeout=seconds))
        nodes = cluster.nodes
        topics = _topics(kafka, namespace) if namespace is not None else []
        values = {"brokers": str(len(nodes))}
        if topics:
            values["topic replication factor"] = together([str(_replicas(topic)) for topic in topics])
        try:
            values |= _configured(kafka, connection, nodes, topics)
        except BackendError as error:
            missing = [name for name in MEANINGS if name not in values and name not in unknown]
            unknown |= dict.fromkeys(missing, f"the brokers do not tell their settings ({type(error).__name__})")
    except KafkaException as error:
        raise UnavailableError(f"Kafka did not tell ({error.args[0].name()})") from error
    finally:
        kafka.close()
    whom = each_of(len(nodes), "broker") + (f", and {len(topics)} topics of this run" if topics else "")
    return Told(brand_of(cluster.cluster_id, [node.host for node in nodes]), whom, values, unknown)


def brand_of(cluster_id: str | None, hosts: Sequence[str]) -> str:
    """What the brokers are: Redpanda says so in its cluster id, Amazon MSK in the names that its brokers give themselves.

    Brokers of MSK that are told to give themselves other names are taken for Kafka: that is what they run.
    """
    if (cluster_id or "").startswith(_OF_REDPANDA):
        return "redpanda"
    return "msk" if hosts and all(map(_OF_MSK.search, hosts)) else "kafka"


def client(settings: Settings, targets: Sequence[Target]) -> tuple[Setting, ...]:
    """How the adapter connects, and what its producer is made with; the driver's own default where the adapter has no wish."""
    connection = _connection(settings, targets)
    kafka = KafkaClient(connection)
    try:
        options = kafka.producer_options()
    finally:
        kafka.close()
    said = [Setting(name, _text(options[name]), meaning) for name, meaning in _PRODUCER.items() if name in options]
    replication = "as the brokers choose" if connection.replication == BROKERS_CHOOSE else str(connection.replication)
    return (
        *said,
        Setting("connect timeout", f"{connection.connect_timeout:g} s", "How long making a connection may take."),
        Setting("operation timeout", f"{connection.operation_timeout:g} s", "How long one question may take."),
        Setting("partitions", str(connection.partitions), "Partitions of a topic that the adapter makes."),
        Setting("replication asked for", replication, "Replicas of a topic that the adapter makes."),
    )


def _text(value: object) -> str:
    """As librdkafka writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _connection(settings: Settings, targets: Sequence[Target]) -> KafkaConnection:
    if any(target.server == "kafka-iam" for target in targets):
        from stackproof.adapters.events.msk import msk_connection

        return msk_connection(settings)
    return kafka_connection(settings)


def _configured(
    kafka: KafkaClient, connection: KafkaConnection, nodes: Sequence[Any], topics: Sequence[Any]
) -> dict[str, str]:
    """What all nodes, and all topics, were set to."""
    brokers = _configs(kafka, [ConfigResource("broker", str(node.id)) for node in nodes])
    found = _common(_OF_BROKER, brokers)
    if not topics:
        return found | _of_a_new_topic(connection, brokers)
    return found | _common(_OF_TOPIC, _configs(kafka, [ConfigResource("topic", topic.name) for topic in topics]))


def _common(names: Iterable[str], told: Sequence[Mapping[str, str]]) -> dict[str, str]:
    return {name: together([each[name] for each in told]) for name in names if all(name in each for each in told)}


def _configs(kafka: KafkaClient, resources: list[ConfigResource]) -> list[dict[str, str]]:
    found = kafka.ask_all(lambda admin, seconds: admin.describe_configs(resources, request_timeout=seconds))
    return [{name: entry.value for name, entry in each.items() if entry.value is not None} for each in found.values()]


def _topics(kafka: KafkaClient, namespace: str) -> list[Any]:
    prefix = prefix_of(namespace)
    listed = kafka.start_asking(lambda admin, seconds: admin.list_topics(timeout=seconds)).topics
    names = [name for name in listed if name.startswith(prefix)]
    if not names:
        return []
    return list(
        kafka.ask_all(
            lambda admin, seconds: admin.describe_topics(TopicCollection(names), request_timeout=seconds)
        ).values()
    )


def _replicas(topic: Any) -> int:
    """Of the partition that has fewest."""
    return min(len(partition.replicas) for partition in topic.partitions)


def _of_a_new_topic(connection: KafkaConnection, brokers: list[dict[str, str]]) -> dict[str, str]:
    """A broker leaves ``log.flush.interval.ms`` empty where it is what the scheduler says: that is never, unless it is set."""
    found = {}
    for name, called in _OF_TOPIC.items():
        values = [
            each.get(called) or (each.get("log.flush.scheduler.interval.ms", "") if name == "flush.ms" else "")
            for each in brokers
        ]
        if all(values):
            found[name] = together(values)
    if connection.replication != BROKERS_CHOOSE:
        found["topic replication factor"] = str(connection.replication)
    elif all(_DEFAULT_REPLICATION in each for each in brokers):
        found["topic replication factor"] = together([each[_DEFAULT_REPLICATION] for each in brokers])
    return found
