"""The state machine of the event bus: subscriptions that come and go, against a log for each topic."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from hypothesis import strategies as st

from stackproof.contracts.expectations import expect, expect_error, shown
from stackproof.contracts.hostile import HOSTILE_TEXTS, has_utf8
from stackproof.contracts.journal import unwrapped
from stackproof.contracts.listeners import Listener
from stackproof.interfaces import Delivery, Event, EventCapabilities, RejectedError

from .events_model import Place, Published, TopicLog, Watch
from .machine import Machine, bounded, step
from .strategies import STORABLE, border_sizes, instants, pick

_handles = st.integers(0, 1)
_numbers = st.integers(0, 4)
_topics = st.sampled_from((0, 0, 0, 0, 1, 1, 2, 3, 4))
"""Mostly the same one, so that subscriptions and events meet."""
_keys = st.sampled_from(["", "k", "K", "ключ", "k" * 300])
_types = st.sampled_from(["test.happened.v1", "t", "ключ d/*", "com.example.decision." * 12])
_moments = instants(0.000001)
_leaves = st.sampled_from([None, True, 0, 1, 1.0, -2.5, "", "1", 2**53 + 1]) | pick(STORABLE)
_payloads = st.dictionaries(
    st.sampled_from(["a", "", "a.b", "ключ"]), _leaves | st.lists(_leaves, max_size=2), max_size=3
)
_sizes = bounded(
    lambda declared: st.sampled_from([size for size in border_sizes(declared.max_payload_bytes) if size >= 13])
)
_BURSTS = (2, 9, 40, 150)
_REFUSED: dict[str, Callable[[int], dict[str, Any]]] = {
    "is one byte too large": lambda limit: {"size": "x" * (limit - 10)},
    "is too large by its bytes alone": lambda limit: {"size": "é" * (limit // 2)},
    "holds bytes": lambda limit: {"a": b"x"},  # noqa: ARG005
    "holds what is not a number": lambda limit: {"a": float("nan")},  # noqa: ARG005
    "has no UTF-8 form": lambda limit: {"a": "\ud83d"},  # noqa: ARG005
    "holds an object": lambda limit: {"a": object()},  # noqa: ARG005
}


def _has_groups(declared: EventCapabilities) -> bool:
    return declared.groups


class EventsMachine(Machine):
    """Topics are new for each sequence. Subscriptions are made on the first instance; the other one only publishes."""

    def prepare(self) -> None:
        mark = f"{self.stage.sequences}_"
        hostile = HOSTILE_TEXTS[sorted(HOSTILE_TEXTS)[self.stage.examples % len(HOSTILE_TEXTS)]]
        names = [mark, f"{mark}*", f"{mark}.a", f"{mark}.A", mark + hostile]
        self.topics = [name for name in names if has_utf8(name)]
        self.logs = {topic: TopicLog() for topic in self.topics}
        self.watches: list[Watch] = []
        self.closed: list[tuple[Watch, int]] = []
        """Subscriptions that were closed, and how often their handlers had been called by then."""
        self.places: dict[tuple[str, str], Place] = {}
        """The groups that keep their place, by topic and name."""
        self.failing: dict[str, int] = {}
        """Event id -> how often each handler raises when it gets that event."""
        self.published = 0
        for _ in range(2):  # so that there is somebody to lose an event, whatever comes
            self._subscribe(self.topics[0], None)

    def topic(self, number: int) -> str:
        return self.topics[number % len(self.topics)]

    # Subscriptions

    @step(number=_topics, times=st.integers(1, 3))
    def subscribe(self, number: int, times: int) -> None:
        for _ in range(times):
            self._subscribe(self.topic(number), None)

    @step(needs=_has_groups, number=_topics, group=st.sampled_from(["g", "G", "g:1"]), members=st.integers(1, 2))
    def subscribe_as_members(self, number: int, group: str, members: int) -> None:
        self.settle()  # which member gets what was published before is open
        for _ in range(members):
            self._subscribe(self.topic(number), group)

    @step(which=_numbers, settled=st.booleans())
    def close(self, which: int, settled: bool) -> None:
        if not self.watches:
            return
        watch = self.watches[which % len(self.watches)]
        if settled or watch.group is not None:
            self.settle()
        self._close(watch)

    @step(needs=lambda declared: declared.durable, number=_topics, length=st.sampled_from(_BURSTS[:2]))
    def leave_and_come_back(self, number: int, length: int) -> None:
        """All members of a group leave; a new one gets what is published meanwhile."""
        topic = self.topic(number)
        self.settle()
        if not any((watch.topic, watch.group) == (topic, "g") for watch in self.watches):
            self._subscribe(topic, "g")
        for watch in [each for each in self.watches if (each.topic, each.group) == (topic, "g")]:
            self._close(watch)
        for place in range(length):
            self._publish(0, topic, self._event({"n": place}))
        self._subscribe(topic, "g")

    # Events

    @step(on=_handles, number=_topics, key=_keys, payload=_payloads, kind=_types, moment=_moments)
    def publish(self, on: int, number: int, key: str, payload: dict[str, Any], kind: str, moment: datetime) -> None:
        if self._size_of(payload) > self.stage.declared.max_payload_bytes:
            return
        event = replace(self._event(payload, key), type=kind, timestamp=moment)
        self._publish(on, self.topic(number), event)
        payload["changed by the publisher"] = True

    @step(on=_handles, number=_topics, size=_sizes)
    def publish_at_a_border(self, on: int, number: int, size: int) -> None:
        """A payload of exactly so many bytes."""
        self._publish(on, self.topic(number), self._event({"size": "x" * (size - 11)}))

    @step(on=_handles, number=_topics, less=st.integers(0, 1))
    def publish_at_the_limit(self, on: int, number: int, less: int) -> None:
        """A payload of the largest size, and one of a byte less."""
        size = self.stage.declared.max_payload_bytes - less
        self._publish(on, self.topic(number), self._event({"size": "x" * (size - 11)}))

    @step(on=_handles, number=_topics, name=st.sampled_from(sorted(_REFUSED)))
    def publish_what_must_be_refused(self, on: int, number: int, name: str) -> None:
        payload = _REFUSED[name](self.stage.declared.max_payload_bytes)
        with expect_error(RejectedError, f"publish of a payload that {name}"):
            self.handle(on).publish(self.topic(number), self._event(payload))
        with expect_error(RejectedError, "publish to an empty topic"):
            self.handle(on).publish("", self._event({}))

    @step(on=_handles, number=_topics, length=st.sampled_from(_BURSTS), key=_keys)
    def publish_a_burst(self, on: int, number: int, length: int, key: str) -> None:
        for place in range(length):
            self._publish(on, self.topic(number), self._event({"n": place}, key))

    @step(on=_handles, number=_topics, key=_keys, times=st.integers(1, 3))
    def publish_what_a_handler_fails_on(self, on: int, number: int, key: str, times: int) -> None:
        """Each handler raises when it is called with this event, so often."""
        event = self._event({"n": 0}, key)
        self.failing[event.event_id] = times
        self._publish(on, self.topic(number), event, failing=True)

    @step(number=_topics)
    def two_at_once(self, number: int) -> None:
        """Two instances publish at the same time: either event may be the first one."""
        topic, events = self.topic(number), [self._event({"n": place}) for place in range(2)]
        self.stage.together([partial(self.handle(on).publish, topic, event) for on, event in enumerate(events)])
        for event in events:
            self.logs[topic].add(Published(event, publisher=event.event_id))

    @step()
    def settle(self) -> None:
        """Everything that was published arrives where it should, once and in order as declared, and nothing else does."""
        for topic, log in self.logs.items():
            for members in _by_group([watch for watch in self.watches if watch.topic == topic]):
                log.await_all(members, self.stage.patience(self.stage.contract.patience), self.stage.declared)
        for watch, calls in self.closed:
            expect(len(watch.listener.calls), f"calls of a handler of {shown(watch.topic)} that was closed").equals(
                calls
            )

    @step(needs=lambda declared: declared.shared)
    def reopen_the_publisher(self) -> None:
        self.stage.reopen(1)

    # How it is done

    def finish(self) -> None:
        self.settle()

    def tidy(self) -> None:
        for watch in self.watches:
            watch.subscription.close()

    def _close(self, watch: Watch) -> None:
        watch.subscription.close()
        expect(watch.subscription.active, "active after close").is_false()
        self.watches.remove(watch)
        if watch.group is not None and self.stage.declared.durable:
            self.places[watch.topic, watch.group].settled = self.logs[watch.topic].length
        self.closed.append((watch, len(watch.listener.calls)))
        self.logs[watch.topic].check(watch.listener.handled, watch, self.stage.declared, complete=False)

    def _subscribe(self, topic: str, group: str | None) -> None:
        failed: Counter[str] = Counter()

        def during(event: Event) -> None:
            if failed[event.event_id] < self.failing.get(event.event_id, 0):
                failed[event.event_id] += 1
                raise ValueError("this handler fails on purpose")

        listener = Listener(during)
        options = {} if group is None else {"group": group}
        subscription = unwrapped(self.handle(0).subscribe(topic, listener, **options))
        begin = self.logs[topic].length
        since, settled = self._place(topic, group, begin)
        self.watches.append(Watch(subscription, listener, topic, group, begin, since, settled))

    def _place(self, topic: str, group: str | None, begin: int) -> tuple[int, int]:
        """Since when events may arrive at a new subscription, and since when they must."""
        if group is None or not self.stage.declared.durable:
            return begin, begin
        if (topic, group) not in self.places:
            self.places[topic, group] = Place(begin, begin)
        place = self.places[topic, group]
        here = any((watch.topic, watch.group) == (topic, group) for watch in self.watches)
        settled = begin if here else place.settled  # where there are members, all was settled before another one came
        again = self.stage.declared.delivery is Delivery.AT_LEAST_ONCE
        return (place.first if again else place.settled), settled

    def _event(self, payload: Mapping[str, Any], key: str = "") -> Event:
        self.published += 1
        return Event(
            type="test.happened.v1", payload=payload, key=key, event_id=f"{self.stage.sequences}.{self.published}"
        )

    def _publish(self, on: int, topic: str, event: Event, failing: bool = False) -> None:
        handle = on % len(self.stage.handles)
        self.handle(handle).publish(topic, event)
        sent = replace(event, payload=deepcopy(event.payload))
        self.logs[topic].add(Published(sent, publisher=str(handle), failing=failing))

    def _size_of(self, payload: Mapping[str, Any]) -> int:
        return len(json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode())


def _by_group(watches: list[Watch]) -> list[list[Watch]]:
    """The members of each group; a subscription without one is a group of its own."""
    groups: dict[object, list[Watch]] = {}
    for watch in watches:
        groups.setdefault(watch.group if watch.group is not None else id(watch), []).append(watch)
    return list(groups.values())
