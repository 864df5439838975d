"""The model of an event bus: a log for each topic, and what each subscription must have handled of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from stackproof.contracts.expectations import ContractViolation, expect, shown
from stackproof.contracts.listeners import Listener, told_of
from stackproof.contracts.timelimit import waiting
from stackproof.interfaces import Delivery, Event, EventCapabilities, Order

MANY = 8
"""So many events that went to all members of a group are no repetition."""


@dataclass(frozen=True, slots=True)
class Published:
    """An accepted event."""

    event: Event
    publisher: str
    """Who sent it: order is promised for the events of one publisher."""
    failing: bool = False
    """Whether each handler raises when it first gets it."""


@dataclass(slots=True, eq=False)
class Watch:
    """A subscription with its handler."""

    subscription: Any
    listener: Listener
    topic: str
    group: str | None
    begin: int
    """How many events the topic had when `subscribe` was called."""
    since: int
    """How many events came too early to arrive here at all: ``begin``, but for members of a group that keeps its place."""
    settled: int
    """So many events of the topic are known to have been handled, by this member of the group or by one that has left,
    or were published before its time."""


@dataclass(slots=True)
class Place:
    """Where a group stands that keeps its place while it has no member."""

    first: int
    """How many events the topic had when its first member subscribed."""
    settled: int
    """How many had been handled when its last member left."""


@dataclass(slots=True)
class TopicLog:
    """What was published to one topic, in order."""

    entries: list[Published] = field(default_factory=list)

    @property
    def length(self) -> int:
        return len(self.entries)

    def add(self, entry: Published) -> None:
        self.entries.append(entry)

    def await_all(self, members: Sequence[Watch], patience: float, declared: EventCapabilities) -> None:
        """Wait until the members of one group together have handled what they must; then nothing may be wrong with it."""
        __tracebackhide__ = True
        wanted = self._wanted(members, declared)
        deadline = time.monotonic() + patience
        with waiting(patience):
            while missing := wanted - {event.event_id for watch in members for event in watch.listener.handled}:
                if time.monotonic() > deadline:
                    raise _not_handled(members, wanted, missing)
                time.sleep(0.0005)
        if declared.delivery is Delivery.AT_MOST_ONCE:
            handled = [event.event_id for watch in members for event in watch.listener.handled]
            twice = (
                sorted({each for each in handled if handled.count(each) > 1})
                if len(handled) > len(set(handled))
                else []
            )
            expect(twice, "events that arrived twice, at most once").equals([])
            self._must_not_come_again(members)
        self._must_be_shared(members)
        for watch in members:
            self.check(watch.listener.handled, watch, declared, complete=len(members) == 1)
            watch.settled = self.length

    def _must_not_come_again(self, members: Sequence[Watch]) -> None:
        failing = {entry.event.event_id for entry in self.entries if entry.failing}
        for watch in members:
            called = [event.event_id for event in watch.listener.calls if event.event_id in failing]
            again = sorted({each for each in called if called.count(each) > 1})
            expect(again, "events whose handler raised and that came again, at most once").equals([])

    def _must_be_shared(self, members: Sequence[Watch]) -> None:
        """Where a group has several members, not each of them gets each event. One or two may come again to another one."""
        if len(members) < 2:
            return
        since = max(watch.begin for watch in members)
        recent = {entry.event.event_id for entry in self.entries[since : self.length] if not entry.failing}
        by_all = recent.intersection(*({event.event_id for event in watch.listener.handled} for watch in members))
        if len(by_all) > MANY and by_all == recent:
            raise ContractViolation(
                "events that every member of a group handled", "each by one of them", f"all {len(recent)}"
            )

    def check(self, handled: Sequence[Event], watch: Watch, declared: EventCapabilities, complete: bool) -> None:
        """What one subscription got was published in its time, is unchanged, and came in order."""
        __tracebackhide__ = True
        entries = self.entries[watch.since :]
        known = {entry.event.event_id: entry for entry in entries}
        for event in handled:
            entry = known.get(event.event_id)
            if entry is None:
                what = f"an event at a subscription to {shown(watch.topic)}"
                raise ContractViolation(what, "one that was published there in its time", shown(event))
            sent = entry.event
            expect((event.type, event.key, dict(event.payload)), f"event {event.event_id}").equals(
                (sent.type, sent.key, dict(sent.payload))
            )
            expect(
                event.timestamp == sent.timestamp, f"the timestamp of event {event.event_id}, as an instant"
            ).is_true()
        if declared.order is not Order.NONE:
            self._must_be_in_order(list(dict.fromkeys(event.event_id for event in handled)), known, declared, complete)

    def _must_be_in_order(
        self, ids: list[str], known: dict[str, Published], declared: EventCapabilities, complete: bool
    ) -> None:
        seen: dict[object, list[str]] = {}
        for each in ids:
            entry = known[each]
            lane: object = entry.publisher if declared.order is Order.TOTAL else (entry.publisher, entry.event.key)
            seen.setdefault(lane, []).append(each)
        places = {each: place for place, each in enumerate(known)}
        for lane, got in seen.items():
            right = sorted(got, key=places.__getitem__)
            what = f"the events of one publisher ({shown(lane)}), in the order in which they were handled"
            expect(got, what if complete else f"{what} by one member").equals(right)

    def _wanted(self, members: Iterable[Watch], declared: EventCapabilities) -> set[str]:
        begin = min(watch.settled for watch in members)
        again = declared.delivery is Delivery.AT_LEAST_ONCE
        return {entry.event.event_id for entry in self.entries[begin:] if again or not entry.failing}


def _not_handled(members: Sequence[Watch], wanted: set[str], missing: set[str]) -> ContractViolation:
    """What became of events that must have been handled: some may have been delivered, and have failed on purpose."""
    listeners = [watch.listener for watch in members]
    called = {event.event_id for listener in listeners for event in listener.calls}
    seen = f"{shown(sorted(missing - called))} did not arrive" if missing - called else "not handled"
    seen += told_of(listeners, missing & called, lambda event: event.event_id)
    return ContractViolation(
        f"the events of topic {shown(members[0].topic)} at a subscription", f"all {len(wanted)} of them handled", seen
    )
