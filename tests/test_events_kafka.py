"""Kafka keeps the contract, on a real broker; and what only this adapter promises."""

from __future__ import annotations

import gc
import logging
import os
import re
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]
from shared_servers import variables_of

from stackproof.adapters.events import kafka_positions, kafka_settings
from stackproof.adapters.events.kafka import KafkaEventPublisher
from stackproof.adapters.events.kafka_errors import translated
from stackproof.adapters.events.kafka_handles import Asking, opened
from stackproof.adapters.events.kafka_log import Once
from stackproof.adapters.events.kafka_names import LONGEST_NAME, group_name, prefix_of, topic_name
from stackproof.adapters.events.kafka_settings import KafkaConnection, kafka_connection
from stackproof.adapters.events.kafka_subscription import KafkaSubscription
from stackproof.adapters.settings import Settings
from stackproof.contracts.children import Child
from stackproof.contracts.expectations import eventually
from stackproof.contracts.faulty import Fault
from stackproof.contracts.listeners import Listener, numbered
from stackproof.interfaces import (
    BackendError,
    ClosedError,
    ConfigurationError,
    Event,
    IndeterminateError,
    OperationTimeoutError,
    RejectedError,
    UnavailableError,
)
from stackproof.verification.faults import behind
from stackproof.verification.faults.brokers import BrokersWay

WAY = BrokersWay("KAFKA_BROKERS", 9092)


def settings(**more: str) -> Settings:
    return Settings({**variables_of("kafka"), **more})


def made(namespace: str, **more: str) -> KafkaEventPublisher:
    return KafkaEventPublisher.from_settings(settings(**more), namespace)


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex[:10]}"
    yield name
    with made(name) as bus:
        bus.drop_namespace()


@pytest.fixture
def bus(namespace: str) -> Iterator[KafkaEventPublisher]:
    with made(namespace) as opened:
        yield opened


@pytest.fixture
def admin() -> AdminClient:
    return AdminClient({"bootstrap.servers": variables_of("kafka")["KAFKA_BROKERS"]})


@contextmanager
def behind_faults(namespace: str) -> Iterator[tuple[KafkaEventPublisher, Any]]:
    faults, changed = behind(WAY, settings())
    with closing(faults), KafkaEventPublisher.from_settings(changed, namespace) as hurt:
        yield hurt, faults


# Names

AWKWARD = (
    "orders",
    "Orders",
    "orders.v1",
    "orders_v1",
    "orders-v1",
    "orders--v1",
    "orders-2ev1",
    "*",
    "?",
    " ",
    "\n",
    "é",
    "e\u0301",
)
LONG = ("a" * 300, "a" * 299 + "b", "é" * 200, "é" * 201, "-" * 150, "-" * 151, "a" * 182, "a" * 183)


def test_names_of_topics_are_legal_and_differ() -> None:
    places = [(namespace, topic) for namespace in ("", "n", "n.a", "n-", "N" * 200) for topic in (*AWKWARD, *LONG)]
    names = [topic_name(*place) for place in places]
    assert len(set(names)) == len(places)
    # Kafka takes two names for the same that differ in dots and underscores.
    assert len({name.replace("_", ".") for name in names}) == len(places)
    for (namespace, _), name in zip(places, names, strict=True):
        assert re.fullmatch(r"[a-zA-Z0-9.\-]{1,249}", name)
        assert name.startswith(prefix_of(namespace))


def test_no_name_begins_like_those_of_another_namespace() -> None:
    namespaces = ["", "a", "a.b", "a-", "a-2eb", "A", "a" * 100, "a" * 101]
    for one in namespaces:
        for other in namespaces:
            assert (topic_name(other, "t").startswith(prefix_of(one))) == (one == other)


def test_names_of_groups_differ_by_topic_and_by_group() -> None:
    places = [(topic, group) for topic in (*AWKWARD, *LONG) for group in (*AWKWARD, *LONG, "")]
    names = {group_name("n", *place) for place in places}
    assert len(names) == len(places)
    assert max(map(len, names)) <= LONGEST_NAME
    assert topic_name("n", "orders") == "stackproof.n.orders", "readable where it can be"
    assert group_name("n", "orders.v1", "workers") == "stackproof.n.orders-2ev1.workers"


# Settings

SECRET = "s3cr3t/word"


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({}, "KAFKA_BROKERS is not set"),
        ({"KAFKA_BROKERS": "kafka://h:1"}, "without a scheme"),
        ({"KAFKA_BROKERS": f"u:{SECRET}@h:1"}, "written host:port"),
        ({"KAFKA_BROKERS": "h"}, "written host:port"),
        ({"KAFKA_BROKERS": "h:1,,h:2"}, "written host:port"),
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "known are: PLAINTEXT, SSL"),
        ({"KAFKA_USERNAME": "u"}, "KAFKA_PASSWORD is not set"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_PASSWORD": SECRET}, "KAFKA_USERNAME is not set"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_USERNAME": "u", "KAFKA_PASSWORD": SECRET}, "nobody logs in"),
        ({"KAFKA_SECURITY_PROTOCOL": "PLAINTEXT", "KAFKA_CA_FILE": __file__}, "does not encrypt"),
        ({"KAFKA_USERNAME": "u", "KAFKA_PASSWORD": SECRET, "KAFKA_SASL_MECHANISM": "GSSAPI"}, "known are: PLAIN"),
        ({"KAFKA_CA_FILE": "/nowhere/ca.pem"}, "KAFKA_CA_FILE=/nowhere/ca.pem cannot be read"),
        ({"KAFKA_CERTIFICATE_FILE": __file__}, "belong together"),
        ({"KAFKA_PARTITIONS": "0"}, "KAFKA_PARTITIONS"),
        ({"KAFKA_PARTITIONS": "2.5"}, "not a whole number"),
        ({"KAFKA_LINGER_MS": "5000"}, "KAFKA_LINGER_MS"),
        ({"KAFKA_LINGER_MS": "-1"}, "KAFKA_LINGER_MS"),
    ],
)
def test_settings_that_cannot_work_are_refused(variables: dict[str, str], says: str) -> None:
    given = variables if not variables or "KAFKA_BROKERS" in variables else {"KAFKA_BROKERS": "h:1", **variables}
    with pytest.raises(ConfigurationError, match=says) as caught:
        kafka_connection(Settings(given))
    assert SECRET not in str(caught.value)


def test_a_login_is_encrypted_unless_the_opposite_is_said() -> None:
    login = {"KAFKA_BROKERS": "h:1", "KAFKA_USERNAME": "u", "KAFKA_PASSWORD": SECRET}
    found = kafka_connection(Settings(login))
    assert found.access["security.protocol"] == "SASL_SSL"
    assert found.access["sasl.mechanism"] == "SCRAM-SHA-512"
    assert SECRET not in repr(found)
    assert kafka_connection(Settings({"KAFKA_BROKERS": "h:1"})).access == {"security.protocol": "PLAINTEXT"}


def test_a_file_that_is_no_certificate_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(ConfigurationError, match=r"ssl\.ca\.location"):
        made("n", KAFKA_CA_FILE=str(tmp_path / "ca.pem"))


# Errors


@pytest.mark.parametrize(
    ("code", "sent", "kind"),
    [
        (KafkaError._MSG_TIMED_OUT, True, IndeterminateError),
        (KafkaError._TIMED_OUT, False, OperationTimeoutError),
        (KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND, True, IndeterminateError),
        (KafkaError._PURGE_INFLIGHT, True, IndeterminateError),
        (KafkaError._TRANSPORT, False, UnavailableError),
        (KafkaError._TRANSPORT, True, IndeterminateError),
        (KafkaError._QUEUE_FULL, True, UnavailableError),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, True, UnavailableError),
        (KafkaError.MSG_SIZE_TOO_LARGE, True, RejectedError),
        (KafkaError._AUTHENTICATION, False, UnavailableError),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, True, UnavailableError),
    ],
)
def test_errors_of_the_driver_say_what_a_caller_can_do(code: int, sent: bool, kind: type[BackendError]) -> None:
    assert type(translated(KafkaError(code), "Kafka at h:1", 5.0, sent=sent)) is kind


def test_without_a_broker_it_is_told_within_the_time_limit() -> None:
    with made("n", KAFKA_BROKERS="127.0.0.1:1", STACKPROOF_CONNECT_TIMEOUT="0.5") as lost:
        for call in (lambda: lost.publish("t", numbered(0)), lambda: lost.replay("t", Listener())):
            began = time.monotonic()
            with pytest.raises(UnavailableError, match=r"cannot be reached: .*Connection refused") as caught:
                call()
            assert time.monotonic() - began < 3.0
            assert isinstance(caught.value.__cause__, BackendError | KafkaException)


def test_a_listener_that_says_nothing_is_told_with_what_it_was_spoken_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        brokers = f"127.0.0.1:{silent.getsockname()[1]}"
        with (
            made("n", KAFKA_BROKERS=brokers, STACKPROOF_CONNECT_TIMEOUT="0.5") as lost,
            pytest.raises(OperationTimeoutError, match="PLAINTEXT, which has to be what its listener speaks"),
        ):
            lost.publish("t", numbered(0))


def test_a_broker_without_tls_is_refused(tmp_path: Path) -> None:
    with (
        made("n", KAFKA_SECURITY_PROTOCOL="SSL", STACKPROOF_CONNECT_TIMEOUT="1") as refused,
        pytest.raises(UnavailableError, match="SSL"),
    ):
        refused.publish("t", numbered(0))


def test_what_is_too_large_in_all_is_rejected_before_it_is_sent(bus: KafkaEventPublisher) -> None:
    with pytest.raises(RejectedError, match="bytes in all"):
        bus.publish("t", Event(type="t", payload={}, key="k" * 600_000))


# Publishing


def test_the_producer_is_idempotent_and_waits_for_all_replicas(bus: KafkaEventPublisher) -> None:
    options = bus._client._options("producer")
    assert (options["enable.idempotence"], options["acks"]) == (True, "all")


def test_topics_are_made_as_configured(namespace: str, admin: AdminClient) -> None:
    with made(namespace, KAFKA_PARTITIONS="5", KAFKA_REPLICATION="1") as bus:
        bus.publish("orders", numbered(0))
        found = admin.list_topics(timeout=5).topics[topic_name(namespace, "orders")]
        assert len(found.partitions) == 5


def test_more_replicas_than_brokers_are_told(namespace: str) -> None:
    with (
        made(namespace, KAFKA_REPLICATION="9") as bus,
        pytest.raises(RejectedError, match=r"(?i)replication"),
    ):
        bus.publish("orders", numbered(0))


def test_a_full_queue_makes_publish_wait_and_then_tells(
    bus: KafkaEventPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def __init__(self, times: int) -> None:
            self.left = times

        def produce(self, *_: object, **options: Any) -> None:
            self.left -= 1
            if self.left >= 0:
                raise BufferError("Local: Queue full")
            options["on_delivery"](None, None)

    for full in (briefly := Full(3), Full(10**9)):
        monkeypatch.setattr(bus._client, "_producer_handle", lambda _, full=full: full)
        monkeypatch.setattr(bus._client, "be_connected", lambda: None)
        if full is briefly:
            bus._client.send("t", b"", b"")
            continue
        monkeypatch.setattr(kafka_settings, "LEAST_RECORD_SECONDS", 0.1)
        object.__setattr__(bus._client.connection, "operation_timeout", 0.1)
        with pytest.raises(UnavailableError, match=r"queue .* is full, nothing was sent"):
            bus._client.send("t", b"", b"")


def test_a_producer_with_a_fatal_error_is_replaced(bus: KafkaEventPublisher) -> None:
    bus.publish("t", numbered(0))
    before = bus._client._producer

    class Broken:
        def produce(self, *_: object, **__: object) -> None:
            raise KafkaException(KafkaError(KafkaError._FATAL, "out of order", True))

        def poll(self, _seconds: float) -> None: ...

        def __len__(self) -> int:
            return 0

    bus._client._producer = Broken()
    with pytest.raises(UnavailableError):
        bus.publish("t", numbered(1))
    bus.publish("t", numbered(2))
    assert bus._client._producer is not before


def test_while_the_brokers_are_away_errors_say_that_nothing_was_applied(namespace: str) -> None:
    listener = Listener()
    with made(namespace) as well, behind_faults(namespace) as (hurt, faults):
        well.subscribe("orders", listener)
        hurt.publish("orders", numbered(0))
        faults.begin(Fault.BLACK_HOLE)
        with pytest.raises(BackendError) as first:
            hurt.publish("orders", numbered(1))
        assert type(first.value) is IndeterminateError, "it was under way when it happened"
        for number in (2, 3):
            with pytest.raises((UnavailableError, OperationTimeoutError)):
                hurt.publish("orders", numbered(number))
        faults.end()
        deadline = time.monotonic() + 10.0
        while time.monotonic() < deadline:
            try:
                hurt.publish("orders", numbered(4))
                break
            except BackendError:
                continue
        listener.await_numbers([4], "an event after the outage", 5.0)
        assert not listener.called_with & {2, 3}


def test_disconnect_without_brokers_is_bounded(namespace: str) -> None:
    with behind_faults(namespace) as (hurt, faults):
        for group in (None, "workers"):
            hurt.subscribe("orders", Listener(), group=group)
        hurt.publish("orders", numbered(0))
        faults.begin(Fault.BLACK_HOLE)
        began = time.monotonic()
        hurt.disconnect()
        assert time.monotonic() - began < 8.0


# Subscriptions


def test_a_failing_event_holds_up_its_partition_only(bus: KafkaEventPublisher) -> None:
    broken = threading.Event()

    def during(event: Event) -> None:
        if event.payload["n"] == 0 and not broken.is_set():
            raise ValueError("this handler fails on purpose")

    listener = Listener(during)
    bus.subscribe("orders", listener, group="workers")
    for number in range(40):
        bus.publish("orders", numbered(number, key="k" if number < 5 else str(number)))
    eventually(lambda: len(set(listener.numbers)) > 10, "events of other partitions are handled", 10.0)
    assert not set(listener.numbers) & set(range(5)), "those behind the failing one wait"
    broken.set()
    listener.await_numbers(range(40), "all events, now that the handler works", 10.0)
    assert [n for n in listener.numbers if n in range(5)] == [0, 1, 2, 3, 4]


def test_members_come_and_go_while_an_event_fails(namespace: str) -> None:
    """The event is not lost, and nothing of its key overtakes it, whoever gets its partition."""
    done: list[tuple[str, int]] = []
    works = threading.Event()

    def during(event: Event) -> None:
        if event.payload["n"] == 0 and not works.is_set():
            raise ValueError("this handler fails on purpose")
        done.append((event.key, int(event.payload["n"])))  # type: ignore[arg-type]

    with made(namespace) as bus, made(namespace) as other:
        first = bus.subscribe("orders", during, group="workers")
        for number in range(12):
            bus.publish("orders", numbered(number, key=f"k{number % 4}"))
        others = [other.subscribe("orders", during, group="workers") for _ in range(2)]
        first.close()
        works.set()
        eventually(lambda: {n for _, n in done} == set(range(12)), "all events are handled", 15.0)
        assert all(each.active for each in others)
    for key in {key for key, _ in done}:
        numbers = list(dict.fromkeys(n for of, n in done if of == key))
        assert numbers == sorted(numbers), key


def test_a_partition_that_comes_back_with_its_failed_event_goes_on(namespace: str) -> None:
    """The driver remembers that it was paused, even though it was somebody else's meanwhile."""
    works = threading.Event()

    def during(_: Event) -> None:
        if not works.is_set():
            raise ValueError("this handler fails on purpose")

    with made(namespace) as bus, made(namespace) as other:
        staying, visiting = Listener(during), Listener(during)
        bus.subscribe("orders", staying, group="workers")
        for number in range(12):
            bus.publish("orders", numbered(number, key=f"k{number}"))
        eventually(lambda: len(staying.called_with) == 3, "each partition has an event that fails", 10.0)
        visitor = other.subscribe("orders", visiting, group="workers")
        eventually(lambda: visiting.calls, "a partition went to the other member", 10.0)
        visitor.close()
        works.set()
        staying.await_numbers(range(12), "all events, now that the handler works", 10.0)


def test_new_partitions_are_noticed(
    bus: KafkaEventPublisher, admin: AdminClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_positions, "NEW_PARTITIONS_SECONDS", 0.2)
    alone, member = Listener(), Listener()
    bus.subscribe("orders", alone)
    bus.subscribe("orders", member, group="workers")
    name = topic_name(bus.namespace, "orders")
    admin.create_partitions([NewPartitions(name, 6)], request_timeout=5)[name].result(6)
    # Through another producer, which knows of the new partitions at once.
    with made(bus.namespace) as publisher:
        eventually(lambda: len(publisher._topics.partitions(name)) == 6, "there are more partitions", 5.0)
        for number in range(60):
            publisher.publish("orders", numbered(number, key=str(number)))
    alone.await_numbers(range(60), "events of old and new partitions, without a group", 15.0)
    member.await_numbers(range(60), "events of old and new partitions, in a group", 15.0)


def test_a_record_of_somebody_else_is_left_out(bus: KafkaEventPublisher, caplog: pytest.LogCaptureFixture) -> None:
    listener = Listener()
    bus.subscribe("orders", listener)
    producer = Producer({"bootstrap.servers": variables_of("kafka")["KAFKA_BROKERS"]})
    for value in (b"no event", b'{"type": 1}', None):
        producer.produce(topic_name(bus.namespace, "orders"), value)
    assert producer.flush(10) == 0
    for number in range(6):
        bus.publish("orders", numbered(number, key=str(number)))
    listener.await_numbers(range(6), "the events beside it", 10.0)
    eventually(lambda: caplog.text.count("is no event of ours") >= 3, "each is told", 5.0)


def test_events_of_an_outage_come_afterwards(namespace: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "stackproof")
    alone, member = Listener(), Listener()
    with made(namespace) as well, behind_faults(namespace) as (hurt, faults):
        subscriptions = [hurt.subscribe("orders", alone), hurt.subscribe("orders", member, group="workers")]
        well.publish("orders", numbered(0))
        faults.begin(Fault.REFUSED)
        eventually(lambda: not any(each.active for each in subscriptions), "the outage is noticed", 8.0)
        for number in range(1, 6):
            well.publish("orders", numbered(number, key=str(number)))
        faults.end()
        alone.await_numbers(range(6), "events of the outage, without a group", 10.0)
        member.await_numbers(range(6), "events of the outage, in a group", 15.0)
        eventually(lambda: all(each.active for each in subscriptions), "they are active again", 10.0)
        assert all(isinstance(each, KafkaSubscription) and each.interruptions >= 1 for each in subscriptions)
    said = [record.getMessage() for record in caplog.records if record.name == "stackproof"]
    assert sum("cannot reach" in text for text in said) >= 2
    assert sum("again" in text for text in said) >= 2


def test_a_group_that_two_found_at_once_misses_nothing(namespace: str) -> None:
    with made(namespace) as one, made(namespace) as two:
        one.publish("orders", numbered(-1))
        for turn in range(3):
            listeners = [Listener(), Listener()]
            subscribing = [
                threading.Thread(target=bus.subscribe, args=("orders", listener, f"workers{turn}"))
                for bus, listener in zip((one, two), listeners, strict=True)
            ]
            for thread in subscribing:
                thread.start()
            for thread in subscribing:
                thread.join(30)
            for number in range(9):
                one.publish("orders", numbered(10 * turn + number, key=str(number)))
            wanted = {10 * turn + number for number in range(9)}
            eventually(lambda: wanted <= {n for each in listeners for n in each.numbers}, "all events", 10.0)  # noqa: B023


def test_a_handler_that_hangs_does_not_hold_up_disconnect(namespace: str) -> None:
    entered, over = threading.Event(), threading.Event()

    def hang(_: Event) -> None:
        entered.set()
        over.wait(30)

    bus = made(namespace, STACKPROOF_OPERATION_TIMEOUT="1")
    try:
        bus.subscribe("orders", hang)
        bus.publish("orders", numbered(0))
        assert entered.wait(10)
        began = time.monotonic()
        bus.disconnect()
        assert time.monotonic() - began < 6.0
    finally:
        over.set()


def test_a_dropped_namespace_leaves_no_topic_and_no_group(namespace: str, admin: AdminClient) -> None:
    with made(namespace) as bus:
        listener = Listener()
        bus.subscribe("orders", listener, group="workers")
        bus.publish("orders", numbered(0))
        listener.await_numbers([0], "an event", 10.0)
        bus.drop_namespace()
    assert not [name for name in admin.list_topics(timeout=5).topics if name.startswith(prefix_of(namespace))]
    groups = admin.list_consumer_groups(request_timeout=5).result(6).valid
    assert not [group.group_id for group in groups if group.group_id.startswith(prefix_of(namespace))]
    with made("") as everybody, pytest.raises(ConfigurationError):
        everybody.drop_namespace()


# Processes


def test_a_forked_child_works_and_ends_as_any_program(bus: KafkaEventPublisher) -> None:
    """Its own handles are ended, the inherited ones are not: their threads are the parent's, and would be waited for."""
    listener = Listener()
    inherited = bus.subscribe("orders", listener)
    bus.publish("orders", numbered(0))
    listener.await_numbers([0], "an event of the parent", 10.0)

    def child() -> str:
        heard = Listener()
        bus.subscribe("orders", heard)
        bus.publish("orders", numbered(1))
        heard.await_numbers([1], "an event in the child", 10.0)
        said = f"active {inherited.active}"
        inherited.close()
        bus.disconnect()
        return said

    ended = Child(child, whole_end=True).end(30.0)
    assert (ended.in_time, ended.status, ended.said) == (True, 0, "active False"), ended.complaints
    bus.publish("orders", numbered(2))
    listener.await_numbers([0, 1, 2], "the events of both", 10.0)
    assert inherited.active


def test_a_child_does_not_end_what_its_parent_left_to_the_collector(bus: KafkaEventPublisher) -> None:
    """It would wait for threads that only the parent has."""
    gc.disable()
    try:
        garbage: list[object] = [opened(Asking, bus._client._options("adminclient"))]
        garbage.append(garbage)
        del garbage
        ended = Child(lambda: f"collected {gc.collect() > 0}").end(15.0)
    finally:
        gc.enable()
    assert (ended.in_time, ended.said) == (True, "collected True"), ended.complaints


def test_handles_are_not_left_to_the_collector(namespace: str) -> None:
    """It may run in a thread of the handle itself, which would wait for its own end."""
    gc.collect()
    gc.disable()
    try:
        with made(namespace) as bus:
            bus.subscribe("orders", Listener(), group="workers").close()
            bus.publish("orders", numbered(0))
            assert bus._topics.partitions(topic_name(namespace, "missing")) == []  # an error, and so a traceback
            admin, producer = ref(bus._client._admin), ref(bus._client._producer)
        assert admin() is None
        assert producer() is None
    finally:
        gc.enable()


def test_handles_are_made_where_no_signal_interrupts_the_driver() -> None:
    made_in: list[threading.Thread] = []

    class Slow:
        def __init__(self, options: dict[str, Any], logger: logging.Logger) -> None:
            made_in.append(threading.current_thread())
            if options:
                raise KafkaException(KafkaError(KafkaError._INVALID_ARG, "no such option"))

    assert isinstance(opened(Slow, {}), Slow)  # type: ignore[type-var]
    with pytest.raises(KafkaException, match="no such option"):
        opened(Slow, {"a": "b"})  # type: ignore[type-var]
    assert threading.main_thread() not in made_in


def test_no_thread_of_the_driver_stays(namespace: str) -> None:
    def threads() -> int:
        return len(os.listdir("/proc/self/task"))

    with made(namespace) as bus:
        bus.publish("orders", numbered(0))  # what is made once
    before = threads()
    for _ in range(3):
        with made(namespace) as bus:
            for group in (None, "workers"):
                bus.subscribe("orders", Listener(), group=group)
            bus.publish("orders", numbered(0))
    eventually(lambda: threads() <= before, "all threads have ended", 5.0)
    with pytest.raises(ClosedError):
        bus.publish("orders", numbered(0))


# The log


def test_what_the_driver_repeats_is_logged_once() -> None:
    once = Once()

    def passes(text: str, level: int = logging.ERROR) -> bool:
        record = logging.LogRecord("stackproof.kafka", level, "", 0, text, None, None)
        return once.filter(record) and record.levelno <= logging.WARNING

    refused = "FAIL [rdkafka#producer-{}] [thrd:h:1/bootstrap]: Connection refused (after {}ms in state CONNECT)"
    assert passes(refused.format(1, 0))
    assert not passes(refused.format(2, 17))
    assert passes("another one")


def test_the_connection_is_a_value_that_can_be_shown() -> None:
    shown = repr(KafkaConnection("h:1", {"sasl.password": SECRET}))
    assert "h:1" in shown
    assert SECRET not in shown
