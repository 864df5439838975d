"""kafka-producer-perf-test, Kafka's own load tool for producers, on a topic that our adapter made."""

from __future__ import annotations

import contextlib
import re
import secrets
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from stackproof.adapters.events.common import to_json
from stackproof.adapters.events.kafka import KafkaEventPublisher
from stackproof.adapters.events.kafka_names import topic_name
from stackproof.adapters.events.kafka_settings import KafkaConnection, kafka_connection
from stackproof.adapters.settings import Settings
from stackproof.interfaces import Event

from .data import TOPIC, text_of
from .docker import container_of, local_port, says
from .processes import answer_of, on_path, run_tool
from .yardstick import Load, Missing, Place, Tool, Yardstick, YardstickError, YardstickFigures

_SCRIPTS = ("kafka-producer-perf-test", "kafka-producer-perf-test.sh")
_CLASS = "org.apache.kafka.tools.ProducerPerformance"
_LIBS = "/opt/kafka/libs"
"""Where the images apache/kafka and ours keep their jars."""
_JAVA = ("java", "-Xms256m", "-Xmx256m", "-XX:+UseSerialGC", "-cp", f"{_LIBS}/*", _CLASS)
_START_SECONDS = 60.0
_SLOWEST_RATE = 500
_WARM_UP = 0.25
"""The share of the records that is sent first, while the JVM compiles, and is not counted."""
_RECORD_OVERHEAD = 70
_BATCH = 16_384
"""Bytes: the producer's own default."""
_FIGURES = re.compile(
    r"(?P<records>\d+)(?: steady state)? records sent, (?P<rate>[\d.]+) records/sec .*?,"
    r" (?P<p50>\d+) ms 50th, (?P<p95>\d+) ms 95th, (?P<p99>\d+) ms 99th"
)


class KafkaProducerPerf(Yardstick):
    """Records of the same size as our events, acknowledged by all replicas, idempotent, sent at once."""

    name = "kafka-producer-perf-test"
    concern = "events"
    technologies = frozenset({"kafka", "redpanda"})
    scenario = "PUBLISH"
    operation = "publish: one small event, acknowledged by all replicas in sync"
    differences = (
        "Kafka's tool sends the same bytes again and again, without a key, so that a batch fills one partition after the other;"
        " ours makes an Event, encodes it as JSON, and sends it to the partition of its key",
        "Kafka's tool bounds what is in flight by bytes (buffer.memory), which were set to what our operations in flight take",
        "Kafka's tool is Java on a JVM that was warmed up by a quarter of the records; the CPU of its start is in its CPU",
        "Kafka's tool samples latencies in whole milliseconds; ours records each one in histograms, and by the second",
    )
    usual_concurrency = 1000
    native = True
    costly_start = True
    counts_operations = True
    trial_operations = 50_000

    def find(self, variables: Mapping[str, str]) -> Tool | Missing:
        """On PATH, or in the broker's own container."""
        for script in _SCRIPTS:
            if (program := on_path(script)) and answer_of([program, "--help"]):
                return Tool(self.name, "", (program,))
        port = local_port(variables.get("KAFKA_BROKERS", "").split(",")[0], 9092)
        place = container_of(port) if port else None
        jars = says(place, "sh", "-c", f"ls {_LIBS}/kafka-tools-*.jar") if place else None
        if place and jars and (found := re.search(r"kafka-tools-(\d[\d.]*\d)\.jar", jars)):
            return Tool(self.name, found[1], _JAVA, place)
        return Missing(
            self.name,
            "kafka-producer-perf-test is neither on PATH nor in a container of the broker",
            "export PATH=$PATH:/path/to/kafka/bin",
        )

    def prepare(self, variables: Mapping[str, str], load: Load) -> None:
        """Make the topic, by the adapter."""
        events = KafkaEventPublisher.from_settings(Settings(variables), load.namespace)
        try:
            events.publish(TOPIC, sample(load.payload_bytes))
        finally:
            events.disconnect()

    def run(self, tool: Tool, variables: Mapping[str, str], load: Load) -> YardstickFigures:
        number = load.operations or self.trial_operations
        warm = int(number * _WARM_UP)
        size = len(to_json(sample(load.payload_bytes), KafkaEventPublisher.capabilities.max_payload_bytes))
        connection = kafka_connection(Settings(variables))
        password = str(connection.access.get("sasl.password", ""))
        with _file(tool.place, properties(connection, load.concurrency, size)) as file:
            arguments = ["--topic", topic_name(load.namespace, TOPIC), "--num-records", str(number + warm)]
            arguments += ["--warmup-records", str(warm)] if warm else []
            arguments += ["--record-size", str(size), "--throughput", "-1", "--command-config", file]
            arguments += ["--bootstrap-server", connection.brokers]
            limit = number / _SLOWEST_RATE + _START_SECONDS
            done = run_tool(tool, arguments, load, limit=limit, hidden=[password])
        return parse(done.output).with_process(done)


def sample(payload_bytes: int) -> Event:
    """An event as our side publishes it."""
    return Event(
        type="decision.made.v1",
        key="c123456",
        event_id=f"{0:032x}",
        timestamp=datetime(2026, 1, 1, 0, 0, 0, 123456, UTC),
        payload={"customer": "c123456", "text": text_of(1, payload_bytes)},
    )


def properties(connection: KafkaConnection, concurrency: int, record_bytes: int) -> str:
    """The producer as our adapter has it, and as much memory as the operations in flight take."""
    memory = concurrency * (record_bytes + _RECORD_OVERHEAD)
    lines = {
        "acks": "all",
        "enable.idempotence": "true",
        "linger.ms": "0",
        "buffer.memory": str(max(memory, 2 * _BATCH)),
        "batch.size": str(_BATCH),
        **_security(connection),
    }
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def _security(connection: KafkaConnection) -> dict[str, str]:
    """librdkafka's options about security in the words of the Java client."""
    access = connection.access
    lines = {"security.protocol": str(access.get("security.protocol", "PLAINTEXT"))}
    if "oauth_cb" in access:
        raise YardstickError("Kafka's tool cannot log in with IAM tokens; give it a listener with SCRAM or TLS")
    if mechanism := access.get("sasl.mechanism"):
        kind = "plain.PlainLoginModule" if mechanism == "PLAIN" else "scram.ScramLoginModule"
        user, password = (_quoted(str(access[f"sasl.{name}"])) for name in ("username", "password"))
        lines["sasl.mechanism"] = str(mechanism)
        lines["sasl.jaas.config"] = (
            f"org.apache.kafka.common.security.{kind} required username={user} password={password};"
        )
    if (authority := access.get("ssl.ca.location", "probe")) != "probe":
        lines |= {"ssl.truststore.type": "PEM", "ssl.truststore.certificates": _pem(authority)}
    if certificate := access.get("ssl.certificate.location"):
        lines |= {"ssl.keystore.type": "PEM", "ssl.keystore.certificate.chain": _pem(certificate)}
        lines["ssl.keystore.key"] = _pem(access["ssl.key.location"])
    return lines


def _quoted(text: str) -> str:
    """As a quoted word of a JAAS line within a properties file: both read backslashes."""
    inner = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + inner.replace("\\", "\\\\") + '"'


def _pem(path: str) -> str:
    """A PEM file as one value of a properties file."""
    return Path(path).read_text(encoding="ascii").strip().replace("\n", "\\n")


@contextlib.contextmanager
def _file(place: Place, text: str) -> Iterator[str]:
    """The text in a file that only its owner reads, in the tool's place; removed afterwards."""
    if place.on_host:
        with tempfile.NamedTemporaryFile("w", prefix="stackproof-kafka-", suffix=".properties") as file:  # mode 0600
            file.write(text)
            file.flush()
            yield file.name
        return
    path = f"/tmp/stackproof-{secrets.token_hex(8)}.properties"  # noqa: S108 - in a container, of a random name
    _in(place, ["sh", "-c", 'umask 077; cat > "$1"', "sh", path], text)
    try:
        yield path
    finally:
        _in(place, ["rm", "-f", path], "")


def _in(place: Place, words: list[str], given: str) -> None:
    done = subprocess.run(  # noqa: S603 - fixed words
        [*place.prefix, *words], input=given, capture_output=True, text=True, timeout=_START_SECONDS, check=False
    )
    if done.returncode:
        raise YardstickError(f"{place.title} took no file for the tool: {done.stderr.strip()[-200:]}")


def parse(output: str) -> YardstickFigures:
    """The last line of figures: of the records after the warm-up, where there was one."""
    found = None
    for found in _FIGURES.finditer(output):  # noqa: B007 - the last one counts
        pass
    if found is None:
        raise YardstickError("kafka-producer-perf-test printed no line of figures")
    records, rate = int(found["records"]), float(found["rate"])
    latency = {name: int(found[name]) / 1e3 for name in ("p50", "p95", "p99")}
    return YardstickFigures(records, records / rate, rate, latency)
