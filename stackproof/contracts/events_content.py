"""The contract of event buses, first part: what an event carries, and which topics and namespaces it stays in."""

from __future__ import annotations

import json
import math
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest

from stackproof.interfaces import Event, EventPublisher, RejectedError

from .clauses import clause
from .evidence import Evidence
from .expectations import eventually, expect, expect_error
from .faults_of_events import EventFaultContract
from .instances import JOINS
from .lifecycle_processes import Found
from .listeners import Listener, numbered
from .timelimit import pause

PAYLOADS: dict[str, Any] = {
    "empty": {},
    "nothing and truth": {"none": None, "true": True, "false": False, "zero": 0, "empty": "", "list": [], "map": {}},
    "numbers": {"big": 2**63 + 1, "huge": -(10**30), "whole": 1.0, "small": 5e-324, "sum": 0.1 + 0.2, "minus": -0.5},
    "languages": {"text": "naïve – 漢字 – עברית – \U0001f600", "decomposed": "e\u0301", "composed": "\u00e9"},
    "awkward text": {"quotes": "\"'\\", "lines": "a\r\nb\u2028c", "control": "\x00\x01\x7f", "markup": "</a>&amp;%00"},
    "awkward keys": {"": 1, "a.b": 2, "$ref": 3, "__proto__": 4, "payload": {"type": "x"}, "ключ": 5},
    "nested": {"a": [{"b": [[1, [2, {"c": None}]]]}, "d"]},
    "looks like another type": {"number": "1", "null": "null", "date": "2026-02-30", "base64": "AAAA"},
}

ZONES = (UTC, timezone(timedelta(hours=5, minutes=45)), timezone(-timedelta(hours=9, minutes=30)))


MARGIN_SECONDS = 3.0
"""What a loaded machine may need beyond the promised time before an event counts as lost."""
LITTLE_LATER_SECONDS = 0.3
"""How much later than its own subscriber another one may see an event that it must not see."""


class EventContentContract(EventFaultContract):
    """The clauses about contents and names."""

    concern = "events"
    interface = EventPublisher

    @pytest.fixture
    def events(self, backend: Any) -> Any:
        return backend

    @property
    def patience(self) -> float:
        """Seconds to wait for an event before it counts as lost."""
        return float(self.capabilities.delivery_seconds) + MARGIN_SECONDS

    def let_settle(self, began: float) -> None:
        """Wait for what must not come: thrice as long as what was to come took since ``began``, within the promised time."""
        took = time.monotonic() - began
        pause(min(float(self.capabilities.delivery_seconds), max(0.15, 3 * took)))

    def exercise(self, backend: Any) -> None:
        topic, event, listener = f"exercise-{uuid.uuid4().hex}", numbered(1), Listener()
        subscription = backend.subscribe(topic, listener)
        try:
            backend.publish(topic, event)
            patience = self.declared(backend).delivery_seconds + MARGIN_SECONDS
            eventually(lambda: listener.handled or not subscription.active, "the event arrives", patience)
            expect({e.event_id for e in listener.handled}, "the events that arrived").equals({event.event_id})
        finally:
            subscription.close()

    def meets(self, backend: Any, other: Any) -> bool:
        topic, event, here, there = f"exercise-{uuid.uuid4().hex}", numbered(1), Listener(), Listener()
        subscriptions = [backend.subscribe(topic, here), other.subscribe(topic, there)]
        try:
            backend.publish(topic, event)
            patience = self.declared(backend).delivery_seconds + MARGIN_SECONDS
            eventually(lambda: here.handled, "the event arrives", patience)
            deadline = time.monotonic() + LITTLE_LATER_SECONDS
            while not there.calls and time.monotonic() < deadline:
                time.sleep(0.005)
            return bool(there.calls)
        finally:
            for subscription in subscriptions:
                subscription.close()

    def operations(self, backend: Any) -> dict[str, Callable[[], object]]:
        operations: dict[str, Callable[[], object]] = {
            "publish": lambda: backend.publish("orders", numbered(1)),
            "subscribe": lambda: backend.subscribe("orders", Listener()),
        }
        if self.declared(backend).replay:
            operations["replay"] = lambda: backend.replay("orders", Listener())
        return operations

    def write_number(self, backend: Any, number: int) -> None:
        backend.publish("numbers", numbered(number))

    def numbers_written(self, reader: Any) -> Found:
        listener = Listener()
        reader.subscribe("numbers", listener)
        return lambda numbers: set(numbers) & set(listener.numbers)

    def received(self, events: Any, sent: list[Event]) -> list[Event]:
        """What arrives when these are published, in the order in which they were sent; each once."""
        listener = Listener()
        subscription = events.subscribe("orders", listener)
        for event in sent:
            events.publish("orders", event)

        def arrived() -> dict[str, Event]:
            return {event.event_id: event for event in listener.handled}

        eventually(lambda: len(arrived()) >= len(sent), f"{len(sent)} events arrive", self.patience)
        subscription.close()
        places = {event.event_id: place for place, event in enumerate(sent)}
        return sorted(arrived().values(), key=lambda event: places.get(event.event_id, -1))

    @clause(
        "EVENT-10",
        "A payload arrives equal to what was published: texts, numbers, nesting, empty values.",
        because="a consumer that gets 1 for 1.0, or ? for é, decides on wrong data",
        learnt_from=("E37",),
        sees=("payloads", len(PAYLOADS)),
    )
    def test_payloads_arrive_equal(self, events: Any, evidence: Evidence) -> None:
        sent = [Event(type="test.happened.v1", payload=payload) for payload in PAYLOADS.values()]
        for name, event, seen in zip(PAYLOADS, sent, self.received(events, sent), strict=True):
            expect(dict(seen.payload), f"the payload {name!r}").equals(event.payload)
            evidence.saw("payloads")

    @clause(
        "EVENT-14",
        "Type, key, id and timestamp of an event are preserved.",
        because="consumers route by type, order by key, remove duplicates by id, and count by time",
        learnt_from=("E44",),
        sees=("envelopes", 12),
    )
    def test_the_envelope_is_preserved(self, events: Any, evidence: Evidence) -> None:
        texts = ("decision.made.v1", "a b:c/d*?", "ключ-\U0001f600", "com.example.decision." * 30)
        sent = [
            Event(
                type=text,
                payload={},
                key=text * (index > 0),
                event_id=f"{text}-{uuid.uuid4().hex}",
                timestamp=datetime(2026, 1, 31, 23, 59, 59, 1, tzinfo=zone),
            )
            for text in texts
            for index, zone in enumerate(ZONES)
        ]
        for event, seen in zip(sent, self.received(events, sent), strict=True):
            expect(seen.event_id, "the id").equals(event.event_id)
            expect(seen.type, "the type").equals(event.type)
            expect(seen.key, "the key").equals(event.key)
            expect(seen.timestamp, "the timestamp").equals(event.timestamp)
            expect(seen.timestamp.tzinfo is not None, "whether the timestamp is aware").is_true()
            evidence.saw("envelopes")

    @clause(
        "EVENT-15",
        "A payload at the declared limit arrives, whatever else the event carries; one byte more is rejected and not delivered.",
        because="an oversized event that is cut, or dropped after it was accepted, is found in no log",
        learnt_from=("E37",),
        sees=(("events at the limit", 3), ("rejections", 2)),
    )
    def test_the_payload_limit_holds(self, events: Any, evidence: Evidence) -> None:
        limit = self.capabilities.max_payload_bytes
        # A character of two bytes in UTF-8 has six as an escape: these are above, and below, whichever form is counted.
        above, below = "é" * (limit * 3 // 5), "é" * ((limit - len(_FRAME)) // 6)
        exceeding = {
            "a payload of one byte more than declared": _payload_of(limit + 1),
            "a payload with fewer characters, but more bytes than declared": {"text": above},
        }
        fitting = {
            "the payload at the limit": Event(type="t", payload=_payload_of(limit)),
            "the payload at the limit of an event with a long type and key": Event(
                type="t" * 600, key="k" * 600, payload=_payload_of(limit)
            ),
            "a payload of long characters just below the limit": Event(type="t", payload={"text": below}),
        }
        listener = Listener()
        events.subscribe("orders", listener)
        for name, payload in exceeding.items():
            with expect_error(RejectedError, f"publish of {name}"):
                events.publish("orders", Event(type="t", payload=payload))
            evidence.saw("rejections")
        for name, event in fitting.items():
            events.publish("orders", event)
            eventually(partial(_handled_by, listener, event), f"{name} arrives", self.patience)
            seen = next(seen for seen in listener.handled if seen.event_id == event.event_id)
            expect(dict(seen.payload), name).equals(event.payload)
            evidence.saw("events at the limit")
        expect({e.event_id for e in listener.calls}, "the events that arrived").equals(
            {event.event_id for event in fitting.values()}
        )

    @clause(
        "EVENT-16",
        "A payload without a JSON form is rejected, and values are never altered to get one.",
        because="NaN, bytes or a lone surrogate break the consumer, who is the last to be able to do something about it",
        learnt_from=("E37",),
        sees=(("rejections", 6), ("later events", 1)),
    )
    def test_payloads_without_json_form_are_rejected(self, events: Any, evidence: Evidence) -> None:
        listener = Listener()
        events.subscribe("orders", listener)
        cycle: list[Any] = []
        cycle.append(cycle)
        bad: list[Any] = [math.nan, math.inf, -math.inf, b"bytes", "\ud800", {1, 2}, object(), cycle, {"k": [math.nan]}]
        for value in bad:
            with expect_error(RejectedError, f"publish of a payload with {str(value)[:20]!r}"):
                events.publish("orders", Event(type="t", payload={"value": value}))
            evidence.saw("rejections")
        altered = Event(type="t", payload={"pair": (1, 2), "map": {1: "one"}})  # type: ignore[dict-item]
        try:
            events.publish("orders", altered)
        except RejectedError:
            evidence.saw("rejections")
        events.publish("orders", numbered(0))
        listener.await_numbers([0], "a good event after the rejected ones", self.patience)
        evidence.saw("later events")
        for event in listener.handled:
            if event.event_id == altered.event_id:
                expect(dict(event.payload), "a payload that JSON would alter, and that was accepted").equals(
                    altered.payload
                )
        expect({e.event_id for e in listener.calls} - {altered.event_id}, "events that arrived").equals(
            {e.event_id for e in listener.handled if "n" in e.payload}
        )

    @clause(
        "EVENT-17",
        "Topics are literal: an event reaches the subscribers of exactly its topic.",
        because="`orders*` is a name here; where it were a pattern, a consumer would get what is not meant for it",
        sees=("topics", 12),
    )
    def test_topics_are_literal(self, events: Any, evidence: Evidence) -> None:
        base = "orders.v1"
        topics = [base, "orders*", "*", "orders?v1", "orders.[a-z]1", "orders.v", "orders.v12", "ORDERS.v1", "orders"]
        topics += [
            "orders:v1",
            "orders v1 ",
            "orders.v1\n",
            "órders.v1",
            "o\u0301rders.v1",
            "a" * 200 + "1",
            "a" * 200 + "2",
        ]
        listeners = {topic: Listener() for topic in topics}
        for topic, listener in listeners.items():
            events.subscribe(topic, listener)
        began = time.monotonic()
        for number, topic in enumerate(topics):
            events.publish(topic, numbered(number))
        for number, topic in enumerate(topics):
            listeners[topic].await_numbers([number], f"an event on topic {topic!r}", self.patience)
        self.let_settle(began)
        for number, topic in enumerate(topics):
            seen = {topics[int(e.payload["n"])] for e in listeners[topic].calls}  # type: ignore[arg-type]
            expect(seen, f"the topics of the events at the subscriber of topic number {number}").equals({topic})
            evidence.saw("topics")

    @clause(
        "EVENT-18",
        "Namespaces are isolated: nobody sees the events of another namespace.",
        because="two environments, or two tenants, share one server; their events must not meet",
        sees=("namespaces", 4),
    )
    def test_namespaces_are_isolated(
        self, events: Any, elsewhere: Callable[..., Any], namespace: str, evidence: Evidence
    ) -> None:
        # Topics that meet where namespace and topic are simply joined, with or without a separator.
        places = [(events, "t"), (elsewhere(), "t")]
        for join in JOINS:
            places += [(events, f"1{join}t"), (elsewhere(f"{namespace}{join}1"), "t")]
        listeners = [Listener() for _ in places]
        for (bus, topic), listener in zip(places, listeners, strict=True):
            bus.subscribe(topic, listener)
        began = time.monotonic()
        for number, (bus, topic) in enumerate(places):
            bus.publish(topic, numbered(number))
        for number, listener in enumerate(listeners):
            listener.await_numbers([number], "an event in its own namespace", self.patience)
        self.let_settle(began)
        for number, listener in enumerate(listeners):
            what = f"numbers of the events at place {number}, each place in a namespace or topic of its own"
            expect(listener.called_with, what).equals({number})
        evidence.saw("namespaces", len({id(bus) for bus, _ in places}))

    @clause(
        "EVENT-23",
        "A topic that is empty or has no UTF-8 form is rejected.",
        because="a variable that was not set must not become a topic that everybody shares",
        sees=("rejections", 4),
    )
    def test_impossible_topics_are_rejected(self, events: Any, evidence: Evidence) -> None:
        for topic in ("", "orders\udcff"):
            with expect_error(RejectedError, f"publish with topic {topic!r}"):
                events.publish(topic, numbered(0))
            with expect_error(RejectedError, f"subscribe with topic {topic!r}"):
                events.subscribe(topic, Listener())
            evidence.saw("rejections", 2)

    @clause(
        "EVENT-25",
        "An event is not shared: changing what was published or received changes nothing for others.",
        because="one subscriber that fills in a default would silently change what the next one sees",
        sees=("changes", 2),
    )
    def test_events_are_not_shared_objects(self, events: Any, evidence: Evidence) -> None:
        def change(event: Event) -> None:
            event.payload["items"].append("from the first handler")  # type: ignore[union-attr]
            evidence.saw("changes")

        payload: dict[str, Any] = {"n": 0, "items": ["as published"]}
        first, second = Listener(change), Listener()
        for listener in (first, second, first):
            events.subscribe("orders", listener)
        events.publish("orders", Event(type="t", payload=payload))
        payload["items"].append("after publish")
        second.await_numbers([0], "the event at the second subscription", self.patience)
        eventually(lambda: len(first.handled) >= 2, "the event at the two others", self.patience)
        for event in second.handled:
            expect(event.payload["items"], "the payload at a subscriber that changes nothing").equals(["as published"])
        for event in first.handled:
            expect(event.payload["items"], "the payload at a subscriber that adds one item").equals(
                ["as published", "from the first handler"]
            )


_FRAME = json.dumps({"text": ""}, separators=(",", ":"))


def _payload_of(size: int) -> dict[str, Any]:
    """A payload whose compact JSON form has exactly this many bytes; ASCII only, so that every way to count agrees."""
    return {"text": "x" * (size - len(_FRAME))}


def _handled_by(listener: Listener, event: Event) -> bool:
    return any(handled.event_id == event.event_id for handled in listener.handled)
