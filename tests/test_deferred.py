"""The deferred forms of publish and record_event keep the promises of the blocking ones, and tell each end exactly once."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest
from cassandra.cluster import NoHostAvailable
from cassandra.connection import ConnectionShutdown
from cassandra.protocol import OverloadedErrorMessage
from confluent_kafka import KafkaError, KafkaException
from shared_servers import variables_of

from stackproof.adapters.cql_addresses import Addresses
from stackproof.adapters.cql_client import Access, CqlClient, Statement
from stackproof.adapters.cql_deferred import DeferredWrite, Pending
from stackproof.adapters.events.common import from_json, to_json
from stackproof.adapters.events.kafka import KafkaEventPublisher
from stackproof.adapters.interactions.scylla import ScyllaInteractionStore
from stackproof.adapters.settings import Settings
from stackproof.adapters.waiting_line import Waiting, WaitingLine, tell
from stackproof.contracts.faulty import Fault
from stackproof.contracts.interaction_samples import about, contact
from stackproof.contracts.listeners import Listener, numbered
from stackproof.interfaces import (
    BackendError,
    ClosedError,
    DeferredInteractions,
    DeferredPublisher,
    Event,
    IndeterminateError,
    Interaction,
    PeriodType,
    RejectedError,
    StackproofError,
    UnavailableError,
)
from stackproof.servers.ports import free_port
from stackproof.targets import parse_target
from stackproof.verification.faults import behind, way_to
from stackproof.verification.faults.brokers import BrokersWay

SHORT = {"STACKPROOF_CONNECT_TIMEOUT": "2", "STACKPROOF_OPERATION_TIMEOUT": "2"}
MOST_SECONDS = 12.0
"""Connecting and a record's least time limit together, generously."""


class Ends:
    """What deferred operations were told, by the number that each has here."""

    def __init__(self) -> None:
        self.told: list[tuple[int, StackproofError | None]] = []

    def of(self, number: int) -> Callable[[StackproofError | None], None]:
        return lambda error: self.told.append((number, error))

    def all_of(self, count: int, seconds: float = 30.0) -> list[StackproofError | None]:
        """The ends of operations 0 to count - 1, once each has one; none has two."""
        until = time.monotonic() + seconds
        while len({number for number, _ in self.told}) < count and time.monotonic() < until:
            time.sleep(0.01)
        assert Counter(number for number, _ in self.told) == Counter(range(count)), "each is told exactly once"
        return [error for _, error in sorted(self.told, key=lambda end: end[0])]


# The line


class Step(Waiting):
    def __init__(self, name: str, log: list[str], *, connect: Callable[[], None] = lambda: None, fails: bool = False):
        self.place, self._log, self._connect, self._fails = name, log, connect, fails

    def connect(self) -> None:
        self._connect()

    def begin(self) -> None:
        self._log.append(self.place)
        if self._fails:
            raise UnavailableError("no leader")

    def fail(self, error: StackproofError) -> None:
        self._log.append(f"{self.place} failed: {type(error).__name__}")


def served(line: WaitingLine) -> None:
    line.wait(10.0)
    assert line.empty


def test_who_waits_begins_in_order() -> None:
    line, log, gate = WaitingLine("t"), [], threading.Event()
    for number in range(50):
        line.join(Step(str(number), log, connect=lambda: assert_set(gate)))
    assert not line.empty, "nobody may overtake those who wait"
    gate.set()
    served(line)
    assert log == [str(number) for number in range(50)]


def assert_set(gate: threading.Event) -> None:
    assert gate.wait(10.0)


def test_without_a_connection_all_who_wait_are_told_after_one_time_limit() -> None:
    line, log, gate, attempts = WaitingLine("t"), [], threading.Event(), []

    def refuse() -> None:
        attempts.append(1)
        assert_set(gate)
        raise UnavailableError("away")

    for number in range(5):
        line.join(Step(str(number), log, connect=refuse))
    gate.set()
    served(line)
    assert log == [f"{number} failed: UnavailableError" for number in range(5)]
    assert len(attempts) == 1


def test_a_place_that_fails_fails_for_those_who_waited_for_it_only() -> None:
    line, log, gate = WaitingLine("t"), [], threading.Event()
    for name in ("a", "b", "a", "c"):
        line.join(Step(name, log, connect=lambda: assert_set(gate), fails=name == "a"))
    gate.set()
    served(line)
    assert log == ["a", "a failed: UnavailableError", "b", "a failed: UnavailableError", "c"]
    line.join(Step("a", log))
    served(line)
    assert log[-1] == "a", "who comes later tries again"


def test_a_bug_while_beginning_is_told_and_leaves_nobody_waiting() -> None:
    line, log = WaitingLine("t"), []

    def bug() -> None:
        raise ZeroDivisionError

    line.join(Step("x", log, connect=bug))
    served(line)
    assert log == ["x failed: IndeterminateError"]


def test_what_the_told_function_raises_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def done(_error: StackproofError | None) -> None:
        raise SystemExit(3)

    tell(done, None)
    assert "deferred operation" in caplog.text


# Kafka


def bus_of(namespace: str, **more: str) -> KafkaEventPublisher:
    return KafkaEventPublisher.from_settings(Settings({**variables_of("kafka"), **more}), namespace)


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex[:10]}"
    yield name
    with bus_of(name) as bus:
        bus.drop_namespace()


def keyed(number: int) -> Event:
    return Event(type="t.v1", key=f"k{number % 7}", payload={"number": number})


def test_events_that_are_published_deferred_arrive_in_the_order_of_their_keys(namespace: str) -> None:
    ends, seen = Ends(), []
    with bus_of(namespace) as bus:
        assert isinstance(bus, DeferredPublisher)
        for number in range(1_000):  # the first of them before there is a connection or a topic
            bus.publish_deferred("orders", keyed(number), ends.of(number))
            if number == 500:
                ends.all_of(501)  # from here on, none has to wait
        assert set(ends.all_of(1_000)) == {None}
        bus.replay("orders", seen.append)
        until = time.monotonic() + 20.0
        while len(seen) < 1_000 and time.monotonic() < until:
            time.sleep(0.02)
    for key in range(7):
        assert [event.payload["number"] for event in seen if event.key == f"k{key}"] == list(range(key, 1_000, 7))


@pytest.mark.parametrize("connected", [True, False])
def test_disconnect_flushes_what_was_published_deferred(namespace: str, *, connected: bool) -> None:
    ends = Ends()
    bus = bus_of(namespace)
    if connected:
        bus.publish("orders", numbered(0))
    for number in range(200):
        bus.publish_deferred("orders", numbered(number), ends.of(number))
    bus.disconnect()
    assert len(ends.told) == 200, "every end was told when it returns"
    assert set(ends.all_of(200, 0)) == {None}
    with pytest.raises(ClosedError):
        bus.publish_deferred("orders", numbered(0), ends.of(1_000))
    assert len(ends.told) == 200


def test_what_cannot_be_published_is_rejected_at_once(namespace: str) -> None:
    ends = Ends()
    with bus_of(namespace) as bus:
        for topic, payload in (("", {}), ("t", {"tuple": (1, 2)}), ("t", {"text": "x" * 900_000})):
            with pytest.raises(RejectedError):
                bus.publish_deferred(topic, Event(type="t", payload=payload), ends.of(0))  # type: ignore[dict-item]
    assert not ends.told


def test_brokers_that_fall_silent_end_every_deferred_event_in_time(namespace: str) -> None:
    ends, listener = Ends(), Listener()
    faults, changed = behind(BrokersWay("KAFKA_BROKERS", 9092), Settings({**variables_of("kafka"), **SHORT}))
    with bus_of(namespace) as well, closing(faults), KafkaEventPublisher.from_settings(changed, namespace) as hurt:
        well.subscribe("orders", listener)
        hurt.publish("orders", numbered(1_000))
        faults.begin(Fault.BLACK_HOLE)
        for number in range(20):
            hurt.publish_deferred("orders", numbered(number), ends.of(number))
        assert {type(error) for error in ends.all_of(20, MOST_SECONDS)} == {IndeterminateError}
        began = time.monotonic()
        for number in range(20, 40):  # in doubt: nothing of these is applied, and the call returns at once all the same
            hurt.publish_deferred("orders", numbered(number), ends.of(number))
        assert time.monotonic() - began < 1.9
        doubtful = ends.all_of(40, MOST_SECONDS)[20:]
        assert all(isinstance(error, BackendError) and not isinstance(error, IndeterminateError) for error in doubtful)
        faults.end()
        until, number = time.monotonic() + 20.0, 40
        while time.monotonic() < until:
            hurt.publish_deferred("orders", numbered(number), ends.of(number))
            number += 1
            if ends.all_of(number, MOST_SECONDS)[-1] is None:
                break
        listener.await_numbers([number - 1], "an event after the outage", 10.0)
        assert not listener.called_with & set(range(20, 40)), "what was told as not applied does not come"


def test_disconnect_without_brokers_tells_every_deferred_event(namespace: str) -> None:
    ends = Ends()
    faults, changed = behind(BrokersWay("KAFKA_BROKERS", 9092), Settings({**variables_of("kafka"), **SHORT}))
    with closing(faults):
        hurt = KafkaEventPublisher.from_settings(changed, namespace)
        hurt.publish("orders", numbered(0))
        faults.begin(Fault.BLACK_HOLE)
        for number in range(10):
            hurt.publish_deferred("orders", numbered(number), ends.of(number))
        hurt.disconnect()
        assert len(ends.told) == 10
        assert all(isinstance(error, BackendError) for error in ends.all_of(10, 0))


def test_a_producer_that_is_replaced_still_tells_what_became_of_its_records(namespace: str) -> None:
    ends = Ends()
    with bus_of(namespace) as bus:
        bus.publish("t", numbered(0))
        real = bus._client._producer

        class Broken:
            """Takes one record and refuses the next, as a producer in the moment of its fatal error."""

            taken = 0

            def produce(self, topic: str, value: bytes, key: bytes, on_delivery: Any) -> None:
                self.taken += 1
                if self.taken > 1:
                    raise KafkaException(KafkaError(KafkaError._FATAL, "out of order", True))
                real.produce(topic, value, key, on_delivery=on_delivery)

            def __getattr__(self, name: str) -> Any:
                return getattr(real, name)

            def __len__(self) -> int:
                return len(real)

        bus._client._producer = Broken()
        bus.publish_deferred("t", numbered(0), ends.of(0))
        with pytest.raises(UnavailableError):
            bus.publish_deferred("t", numbered(1), lambda _error: None)
        bus.publish_deferred("t", numbered(2), ends.of(1))
        assert ends.all_of(2) == [None, None]


def test_a_port_where_nobody_listens_is_told_of_deferred_events() -> None:
    ends = Ends()
    with KafkaEventPublisher.from_settings(
        Settings({"KAFKA_BROKERS": f"127.0.0.1:{free_port()}", **SHORT}), "x"
    ) as bus:
        began = time.monotonic()
        for number in range(3):
            bus.publish_deferred("t", numbered(number), ends.of(number))
        assert time.monotonic() - began < 1.9, "it returns at once"
        for error in ends.all_of(3, MOST_SECONDS):
            assert isinstance(error, BackendError)
            assert not isinstance(error, IndeterminateError)


# CQL


@pytest.fixture
def make() -> Iterator[Callable[..., ScyllaInteractionStore]]:
    """Makes stores on one namespace, which goes away after the test."""
    namespace = f"t-{uuid.uuid4().hex}"
    made: list[ScyllaInteractionStore] = []

    def make_one(**changes: str) -> ScyllaInteractionStore:
        settings = Settings({**variables_of("cassandra"), **changes})
        made.append(ScyllaInteractionStore.from_settings(settings, namespace=namespace))
        return made[-1]

    yield make_one
    for store in made:
        store.disconnect()
    with ScyllaInteractionStore.from_settings(Settings(variables_of("cassandra")), namespace=namespace) as last:
        last.drop_namespace()


def counted(store: ScyllaInteractionStore) -> int:
    return sum(
        row.impressions + row.positive + row.neutral + row.negative
        for row in store.all_summaries(about(period_type=PeriodType.ALLTIME))
    )


def samples(count: int) -> list[Interaction]:
    return [contact() for _ in range(count)]


def test_interactions_that_are_recorded_deferred_count_once(make: Callable[..., ScyllaInteractionStore]) -> None:
    ends, store = Ends(), make()
    assert isinstance(store, DeferredInteractions)
    events = samples(20)
    number = 0
    for _ in range(2):  # the same ids again, at the same time, some before there is a connection
        for event in events:
            store.record_event_deferred(event, ends.of(number))
            number += 1
    # Claims of one id that meet on a busy server may time out there: then it may be repeated, until it is known.
    for error, event in zip(ends.all_of(number), events * 2, strict=True):
        assert error is None or isinstance(error, IndeterminateError)
        if error is not None:
            store.record_event(event)
    store.record_event(events[0])
    assert counted(store) == 20
    assert counted(make()) == 20, "another instance counts it, too"


@pytest.mark.parametrize("connected", [True, False])
def test_disconnect_waits_for_what_was_recorded_deferred(
    make: Callable[..., ScyllaInteractionStore], *, connected: bool
) -> None:
    ends, store = Ends(), make()
    if connected:
        counted(store)
    for number, event in enumerate(samples(30)):
        store.record_event_deferred(event, ends.of(number))
    store.disconnect()
    assert len(ends.told) == 30, "every end was told when it returns"
    assert set(ends.all_of(30, 0)) == {None}
    with pytest.raises(ClosedError):
        store.record_event_deferred(contact(), ends.of(30))
    assert len(ends.told) == 30
    assert counted(make()) == 30


def test_a_frozen_server_ends_every_deferred_record_in_time(make: Callable[..., ScyllaInteractionStore]) -> None:
    way = way_to(parse_target("interactions=scylla"))
    assert way is not None
    faults, settings = behind(way, Settings({**variables_of("cassandra"), **SHORT}))
    with closing(faults):
        ends, store = Ends(), make(**settings.variables)
        store.record_event(contact())
        faults.begin(Fault.BLACK_HOLE)
        began = time.monotonic()
        for number, event in enumerate(samples(10)):
            store.record_event_deferred(event, ends.of(number))
        assert time.monotonic() - began < 1.9, "it returns at once"
        for error in ends.all_of(10, MOST_SECONDS):
            assert isinstance(error, IndeterminateError | UnavailableError)


def test_a_port_where_nobody_listens_is_told_of_deferred_records() -> None:
    ends = Ends()
    settings = Settings({"SCYLLA_CONTACT_POINTS": f"127.0.0.1:{free_port()}", **SHORT})
    with ScyllaInteractionStore.from_settings(settings) as store:
        for number, event in enumerate(samples(3)):
            store.record_event_deferred(event, ends.of(number))
        assert {type(error) for error in ends.all_of(3, MOST_SECONDS)} == {UnavailableError}


OVERLOADED = OverloadedErrorMessage(0x1001, "overloaded", None)
CUT = ConnectionShutdown("cut")
CLAIM = Statement("INSERT ... IF NOT EXISTS", writes=True, conditional=True)


class Scripted(CqlClient):
    """A client whose attempts end so; its pauses are over at once, and are noted."""

    def __init__(self, *outcomes: Any) -> None:
        super().__init__(Access(Addresses.parse("V", "host", "", 9042), technology="nobody"))
        self.left = list(outcomes)
        self.pauses: list[float] = []
        self.sent = 0

    def execute_deferred(self, *_: Any) -> Any:
        self.sent += 1
        outcome = self.left.pop(0) if len(self.left) > 1 else self.left[0]

        def add_callbacks(callback: Any, errback: Any) -> None:
            if isinstance(outcome, Exception):
                errback(outcome)
            else:
                callback(outcome)

        return SimpleNamespace(add_callbacks=add_callbacks, _col_names=["[applied]"])

    def send_later(self, seconds: float, send: Callable[[], None]) -> bool:
        self.pauses.append(seconds)
        send()
        return True


def outcome_of(client: Scripted) -> list[Any]:
    ends: list[Any] = []
    DeferredWrite(client, CLAIM, (), ends.append, ends.append).send()
    return ends


def test_a_refused_deferred_statement_comes_again_after_growing_pauses() -> None:
    client = Scripted(OVERLOADED, OVERLOADED, [(True,)])
    assert outcome_of(client) == [None]
    assert len(client.pauses) == 2
    assert client.pauses[0] < client.pauses[1] * 2


def test_a_claim_that_another_one_made_first_is_told_with_its_row() -> None:
    assert outcome_of(Scripted([(False,)])) == [{"[applied]": False}]


def test_a_deferred_write_whose_connection_broke_comes_again_once() -> None:
    client = Scripted(CUT)
    (error,) = outcome_of(client)
    assert isinstance(error, IndeterminateError)
    assert client.sent == 2


def test_what_may_be_applied_stays_so_whatever_the_next_deferred_attempt_says() -> None:
    (error,) = outcome_of(Scripted(CUT, NoHostAvailable("none", {})))
    assert isinstance(error, IndeterminateError)


def test_an_end_is_told_once_by_whoever_is_first() -> None:
    told: list[Any] = []
    running: set[object] = set()
    pending = Pending(told.append, running)
    assert pending in running
    threads = [threading.Thread(target=pending.end, args=[None]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == [None]
    assert not running


def test_closing_ends_what_the_driver_forgot() -> None:
    told: list[Any] = []
    access = Access(
        Addresses.parse("V", "host", "", 9042), technology="nobody", connect_timeout=0.05, operation_timeout=0.05
    )
    client = CqlClient(access)
    client.begin(told.append)
    client.close()
    assert [type(error) for error in told] == [IndeterminateError]
    with pytest.raises(ClosedError):
        client.begin(told.append)
    assert len(told) == 1


# The envelope


class Text(str):
    """A text that is not quite one."""


@pytest.mark.parametrize(
    ("payload", "comes_back"),
    [
        ({"a": 1, "b": "é", "c": [None, True, {"d": [0.1, -0.0, 10**30]}]}, True),
        ({}, True),
        ({"text": Text("x")}, True),  # equal to what comes back
        ({"a": [{"b": (1,)}]}, False),
        ({"a": {1: "x"}}, False),
        ({1: "x"}, False),
        ({"a": float("nan")}, False),
        ({"a": float("inf")}, False),
        ({"a": "\ud800"}, False),
        ({"a": {1, 2}}, False),
    ],
)
def test_what_json_would_alter_is_rejected(payload: Any, *, comes_back: bool) -> None:
    event = Event(type="t", payload=payload)
    if comes_back:
        assert from_json(to_json(event, 1_000)) == event
    else:
        with pytest.raises(RejectedError):
            to_json(event, 1_000)


def test_values_nested_without_end_are_rejected_and_deep_ones_come_back() -> None:
    nested: Any = "x"
    for _ in range(60):
        nested = [nested]
    event = Event(type="t", payload={"a": nested})
    assert from_json(to_json(event, 1_000)) == event
    endless: Any = {}
    endless["a"] = endless
    with pytest.raises(RejectedError):
        to_json(Event(type="t", payload=endless), 1_000)
