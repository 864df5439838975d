"""The in-memory event bus keeps the contract; so does the one with the promises of a plain pub/sub server."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue

import pytest

from stackproof.adapters.events import memory_log
from stackproof.adapters.events.common import from_json, to_json
from stackproof.adapters.events.memory import MemoryEventPublisher, MemoryPubSub
from stackproof.adapters.events.memory_log import MemoryEventLog
from stackproof.contracts.events import EventContract
from stackproof.contracts.expectations import ContractViolation
from stackproof.contracts.listeners import Listener, numbered
from stackproof.interfaces import ConfigurationError, Delivery, Event, EventCapabilities, Order, RejectedError


class TestMemoryEvents(EventContract):
    def make_backend(self, namespace: str) -> MemoryEventPublisher:
        return MemoryEventPublisher(namespace=namespace)


class TestMemoryPubSub(EventContract):
    def make_backend(self, namespace: str) -> MemoryPubSub:
        return MemoryPubSub(namespace=namespace)


class TestMemoryEventLog(EventContract):
    def make_backend(self, namespace: str) -> MemoryEventLog:
        return MemoryEventLog(namespace=namespace)


class ForgetfulLog(MemoryEventLog):
    """At most once, in no order: what a weaker log may declare passes too."""

    capabilities = replace(MemoryEventLog.capabilities, delivery=Delivery.AT_MOST_ONCE, order=Order.NONE)


class TestForgetfulLog(EventContract):
    def make_backend(self, namespace: str) -> ForgetfulLog:
        return ForgetfulLog(namespace=namespace)


class TinyEvents(MemoryEventPublisher):
    """Declares a small payload, and delivers every fifth event once more, to whichever member of a group is next."""

    capabilities = replace(MemoryEventPublisher.capabilities, max_payload_bytes=256, order=Order.NONE)
    published = 0

    def publish(self, topic: str, event: Event) -> None:
        super().publish(topic, event)
        self.published += 1
        if self.published % 5 == 0:
            super().publish(topic, event)


class TestTinyEvents(EventContract):
    """Sample data respect declared limits, and at least once allows repetitions: this bus passes everything."""

    def make_backend(self, namespace: str) -> MemoryEventPublisher:
        return TinyEvents(namespace=namespace)


def test_waiting_goes_on_while_new_events_come() -> None:
    listener = Listener()

    def feed() -> None:
        for number in range(10):
            listener(numbered(number))
            time.sleep(0.1)

    feeder = threading.Thread(target=feed)
    feeder.start()
    listener.await_numbers(range(10), "events that come one by one", within=0.6)
    feeder.join()
    with pytest.raises(ContractViolation, match="10 of them"):
        listener.await_numbers(range(11), "events, one of which never comes", within=0.1)


def test_an_empty_namespace_is_private() -> None:
    seen: list[Event] = []
    with MemoryEventPublisher() as one, MemoryEventPublisher() as two:
        one.subscribe("t", seen.append)
        two.publish("t", Event(type="t", payload={}))
        two.disconnect()
    assert seen == []


def test_the_empty_namespace_is_not_dropped() -> None:
    with MemoryEventPublisher() as bus, pytest.raises(ConfigurationError):
        bus.drop_namespace()


def test_only_groups_can_keep_their_place() -> None:
    with pytest.raises(ConfigurationError, match="declare them too"):
        EventCapabilities(durable=True)


def test_only_members_of_a_group_take_over_what_comes_at_least_once() -> None:
    for declared in ({"groups": True}, {"delivery": Delivery.AT_LEAST_ONCE}):
        with pytest.raises(ConfigurationError, match="declare both, too"):
            EventCapabilities(takeover_seconds=1.0, **declared)  # type: ignore[arg-type]
    assert EventCapabilities(takeover_seconds=1.0, groups=True, delivery=Delivery.AT_LEAST_ONCE).takeover_seconds == 1.0


def test_a_dropped_log_has_nothing_to_replay(tmp_path: Path) -> None:
    seen: SimpleQueue[object] = SimpleQueue()
    with MemoryEventLog(namespace=f"log-{tmp_path.name}") as log:
        log.subscribe("t", lambda _: None, group="g").close()
        log.publish("t", Event(type="t", payload={"n": 1}))
        log.drop_namespace()
        log.replay("t", lambda event: seen.put(event.payload["n"]))
        log.subscribe("t", lambda event: seen.put(event.payload["n"]), group="g")
        log.publish("t", Event(type="t", payload={"n": 2}))
        assert [seen.get(timeout=5), seen.get(timeout=5)] == [2, 2]


def test_of_a_long_topic_the_last_events_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_log, "KEPT_EVENTS", 3)
    seen: SimpleQueue[object] = SimpleQueue()
    with MemoryEventLog() as log:
        for number in range(5):
            log.publish("t", Event(type="t", payload={"n": number}))
        log.replay("t", lambda event: seen.put(event.payload["n"]))
        assert [seen.get(timeout=5) for _ in range(3)] == [2, 3, 4]


def test_a_member_that_closes_leaves_its_failed_event_to_the_next() -> None:
    """At least once holds for the group: the event that a member could not handle is not lost with the member."""
    seen: SimpleQueue[Event] = SimpleQueue()
    entered, colleague_is_there = threading.Event(), threading.Event()
    with MemoryEventPublisher() as bus:

        def fail_and_leave(_: Event) -> None:
            entered.set()
            colleague_is_there.wait(5)
            leaving.close()
            raise ValueError("on purpose")

        leaving = bus.subscribe("t", fail_and_leave, group="workers")
        event = Event(type="t", payload={"n": 1})
        bus.publish("t", event)
        assert entered.wait(5)
        bus.subscribe("t", seen.put, group="workers")
        colleague_is_there.set()
        assert seen.get(timeout=5) == event


def test_a_payload_of_another_json_value_is_rejected() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    for value in ((1,), {1: 2}, 10**5000, deep):
        with pytest.raises(RejectedError):
            to_json(Event(type="t", payload={"v": value}), 10**9)  # type: ignore[dict-item]


def test_an_envelope_comes_back_equal() -> None:
    event = Event(type="t", payload={"a": [1, 1.0, None, "é\x00"]}, key="k")
    assert from_json(to_json(event, 1000)) == event
