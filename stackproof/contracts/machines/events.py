"""The state machine of the event bus: subscriptions that come and go, against a log for each topic."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from hypothesis import strategies as st

from stackproof.contracts.expectations import expect, expect_error
from stackproof.contracts.hostile import HOSTILE_TEXTS
from stackproof.contracts.journal import unwrapped
from stackproof.contracts.listeners import Listener
from stackproof.interfaces import Event, EventCapabilities, RejectedError

from .events_model import Published, TopicLog, Watch
from .machine import Machine, bounded, step
from .strategies import STORABLE, border_sizes, pick

_handles = st.integers(0, 1)
_numbers = st.integers(0, 4)
_keys = st.sampled_from(["", "k", "K", "ключ"])
_leaves = st.sampled_from([None, True, 0, 1, 1.0, -2.5, "", "1", 2**53 + 1]) | pick(STORABLE)
_payloads = st.dictionaries(
    st.sampled_from(["a", "", "a.b", "ключ"]), _leaves | st.lists(_leaves, max_size=2), max_size=3
)
_sizes = bounded(
    lambda declared: st.sampled_from([size for size in border_sizes(declared.max_payload_bytes) if size >= 13])
)
_LARGEST_BURST = 40


def _has_groups(declared: EventCapabilities) -> bool:
    return declared.groups


class EventsMachine(Machine):
    """Topics are new for each sequence. Subscriptions are made on the first instance; the other one only publishes."""

    def prepare(self) -> None:
        mark = f"{self.stage.sequences}_"
        hostile = HOSTILE_TEXTS[sorted(HOSTILE_TEXTS)[self.stage.examples % len(HOSTILE_TEXTS)]]
        names = [mark, f"{mark}*", f"{mark}.a", mark + hostile]
        self.topics = [name for name in names if _has_utf8(name)]
        self.logs = {topic: TopicLog() for topic in self.topics}
        self.watches: list[Watch] = []
        self.failing: set[str] = set()
        self.published = 0

    def topic(self, number: int) -> str:
        return self.topics[number % len(self.topics)]

    # Subscriptions

    @step(number=_numbers)
    def subscribe(self, number: int) -> None:
        self._subscribe(self.topic(number), None)

    @step(needs=_has_groups, number=_numbers, group=st.sampled_from(["g", "G", "g:1"]))
    def subscribe_as_a_member(self, number: int, group: str) -> None:
        self.settle()  # which member gets what was published before is open
        self._subscribe(self.topic(number), group)

    @step(which=_numbers, settled=st.booleans())
    def close(self, which: int, settled: bool) -> None:
        if not self.watches:
            return
        watch = self.watches[which % len(self.watches)]
        if settled or watch.group is not None:
            self.settle()
        watch.subscription.close()
        expect(watch.subscription.active, "active after close").is_false()
        self.watches.remove(watch)
        self.logs[watch.topic].check(watch.listener.handled, watch, self.stage.declared, complete=False)

    # Events

    @step(on=_handles, number=_numbers, key=_keys, payload=_payloads)
    def publish(self, on: int, number: int, key: str, payload: Mapping[str, Any]) -> None:
        if self._size_of(payload) <= self.stage.declared.max_payload_bytes:
            self._publish(on, self.topic(number), self._event(payload, key))

    @step(on=_handles, number=_numbers, size=_sizes)
    def publish_at_a_border(self, on: int, number: int, size: int) -> None:
        """A payload of exactly so many bytes."""
        self._publish(on, self.topic(number), self._event({"size": "x" * (size - 11)}))

    @step(on=_handles, number=_numbers, extra=st.integers(1, 3))
    def publish_what_is_too_large(self, on: int, number: int, extra: int) -> None:
        size = self.stage.declared.max_payload_bytes + extra
        with expect_error(RejectedError, f"publish of a payload of {extra} bytes more than declared"):
            self.handle(on).publish(self.topic(number), self._event({"size": "x" * (size - 11)}))

    @step(on=_handles, number=_numbers, length=st.integers(2, _LARGEST_BURST), key=_keys)
    def publish_a_burst(self, on: int, number: int, length: int, key: str) -> None:
        for place in range(length):
            self._publish(on, self.topic(number), self._event({"n": place}, key))

    @step(on=_handles, number=_numbers, key=_keys)
    def publish_what_a_handler_fails_on(self, on: int, number: int, key: str) -> None:
        """Each handler raises when it is called with this event for the first time."""
        event = self._event({"n": 0}, key)
        self.failing.add(event.event_id)
        self._publish(on, self.topic(number), event, failing=True)

    @step(number=_numbers)
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
                log.await_all(members, self.stage.contract.patience, self.stage.declared)

    @step(needs=lambda declared: declared.shared)
    def reopen_the_publisher(self) -> None:
        self.stage.reopen(1)

    # How it is done

    def finish(self) -> None:
        self.settle()

    def tidy(self) -> None:
        for watch in self.watches:
            watch.subscription.close()

    def _subscribe(self, topic: str, group: str | None) -> None:
        failed: set[str] = set()

        def during(event: Event) -> None:
            if event.event_id in self.failing - failed:
                failed.add(event.event_id)
                raise ValueError("this handler fails on purpose")

        listener = Listener(during)
        options = {} if group is None else {"group": group}
        subscription = unwrapped(self.handle(0).subscribe(topic, listener, **options))
        self.watches.append(Watch(subscription, listener, topic, group, self.logs[topic].length))

    def _event(self, payload: Mapping[str, Any], key: str = "") -> Event:
        self.published += 1
        return Event(
            type="test.happened.v1", payload=payload, key=key, event_id=f"{self.stage.sequences}.{self.published}"
        )

    def _publish(self, on: int, topic: str, event: Event, failing: bool = False) -> None:
        handle = on % len(self.stage.handles)
        self.handle(handle).publish(topic, event)
        self.logs[topic].add(Published(event, publisher=str(handle), failing=failing))

    def _size_of(self, payload: Mapping[str, Any]) -> int:
        return len(json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode())


def _by_group(watches: list[Watch]) -> list[list[Watch]]:
    """The members of each group; a subscription without one is a group of its own."""
    groups: dict[object, list[Watch]] = {}
    for watch in watches:
        groups.setdefault(watch.group if watch.group is not None else id(watch), []).append(watch)
    return list(groups.values())


def _has_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
