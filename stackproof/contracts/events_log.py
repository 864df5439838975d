"""The contract of event buses, the part about what a bus remembers: groups that keep their place, and replay."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from stackproof.interfaces import Delivery, Event, Order, UnsupportedError

from .callers import Callers
from .clauses import absence, clause
from .events_subscriptions import EventSubscriptionContract
from .evidence import Evidence
from .expectations import eventually, expect, expect_error
from .listeners import Listener, numbered

AFTERWARDS = 20
"""So many events are published after replay returned, by a publisher that began before it."""


class EventLogContract(EventSubscriptionContract):
    """The clauses about events that were published before somebody came."""

    @clause(
        "EVENT-35",
        "A group keeps its place while it has no member: what is published meanwhile goes to the next one that comes.",
        because="a service that is deployed anew has no worker for a minute; the orders of that minute would be lost",
        learnt_from=("E9",),
        needs="durable",
        sees=(("events published while nobody was there", 9), ("events handled by who came next", 9)),
        seconds=60.0,
    )
    def test_a_group_keeps_its_place(
        self, events: Any, another: Callable[[], Any], callers: Callers, evidence: Evidence
    ) -> None:
        before: set[object] = set()
        missed: list[int] = []
        for turn in range(4):
            instance = another() if self.capabilities.shared else events
            listener, new = Listener(), [10 * turn, 10 * turn + 1]
            subscription = instance.subscribe("orders", listener, group="workers")
            for number in new:
                events.publish("orders", numbered(number))
            listener.await_numbers([*missed, *new], "events for the next member of a group", self.patience)
            evidence.saw("events handled by who came next", len(set(missed) & set(listener.numbers)))
            again = before & listener.called_with
            allowed = 0 if self.capabilities.delivery is Delivery.AT_MOST_ONCE else len(before) // 2
            expect(len(again), "how many events came again that earlier members had handled").at_most(allowed)
            before |= set(listener.numbers)
            if turn % 2 and self.capabilities.shared:
                instance.disconnect()
            else:
                subscription.close()
            missed = [10 * turn + 2, 10 * turn + 3, 10 * turn + 4]
            for number in missed:
                events.publish("orders", numbered(number))
            evidence.saw("events published while nobody was there", len(missed))
        if self.capabilities.delivery is Delivery.AT_LEAST_ONCE:
            self._what_the_last_member_left_undone(events, callers)

    def _what_the_last_member_left_undone(self, events: Any, callers: Callers) -> None:
        """The only member of a group leaves while its handler fails: the event is for the next one."""
        failed = threading.Event()

        def fail(_: Event) -> None:
            failed.set()
            raise ValueError("this handler fails on purpose")

        subscription = events.subscribe("orders", Listener(fail), group="fragile")
        events.publish("orders", numbered(100))
        eventually(failed.is_set, "the only member of a group is called", self.patience)
        callers.each([subscription.close], within=10.0)
        events.publish("orders", numbered(101))
        following = Listener()
        events.subscribe("orders", following, group="fragile")
        what = "the event that the last member left undone, and the one after it"
        following.await_numbers([100, 101], what, 2 * self.patience)

    @absence("EVENT-35")
    def prove_that_an_empty_group_is_forgotten(self, events: Any, evidence: Evidence) -> None:
        if not self.capabilities.groups:
            self.prove_groups_are_refused(events, ["workers"], evidence)
            return
        witness, first, late = Listener(), Listener(), Listener()
        events.subscribe("orders", witness)
        subscription = events.subscribe("orders", first, group="workers")
        events.publish("orders", numbered(0))
        first.await_numbers([0], "an event at the only member of a group", self.patience)
        subscription.close()
        for number in range(1, 4):
            events.publish("orders", numbered(number))
        witness.await_numbers(range(4), "events published while the group had no member", self.patience)
        events.subscribe("orders", late, group="workers")
        began = time.monotonic()
        events.publish("orders", numbered(4))
        late.await_numbers([4], "an event after a member came back", self.patience)
        self.let_settle(began)
        expect(late.called_with & {1, 2, 3}, "events published while the group had no member").equals(
            set(), why="a bus whose groups keep their place declares durable, so that it is verified"
        )
        evidence.saw("absence probes", late.numbers.count(4))

    @clause(
        "EVENT-36",
        "A replay begins with the events of the topic that are kept, oldest first, and goes on with new ones without a gap.",
        because="a read model is built anew from the log; an event that falls between old and new is missing in it for ever",
        learnt_from=("E9",),
        needs="replay",
        sees=(("events of before", 20), ("events published meanwhile and afterwards", 40)),
        seconds=60.0,
    )
    def test_a_replay_begins_with_what_is_kept(
        self,
        events: Any,
        another: Callable[[], Any],
        elsewhere: Callable[..., Any],
        callers: Callers,
        evidence: Evidence,
    ) -> None:
        instance = another() if self.capabilities.shared else events
        elsewhere().publish("orders", numbered(-1))
        events.publish("others", numbered(-2))
        for number in range(10):
            events.publish("orders", numbered(number, key="k"))
        since: list[int] = []
        for turn in range(2):  # the second one gets the same as the first, and what came since: nothing is used up
            listener = Listener()
            replay = partial(instance.replay, "orders", listener)
            subscription, published = _replay_meanwhile(replay, events, callers, 1_000_000 * (turn + 1), self.patience)
            old = [*range(10), *since]
            listener.await_numbers(old, "events that were published before the replay", self.patience)
            listener.await_numbers(published, "events that were published during and after replay", self.patience)
            evidence.saw("events of before", 10)
            evidence.saw("events published meanwhile and afterwards", len(published))
            self._must_be_a_replay(listener, [*old, *published])
            subscription.close()
            since = published

    def _must_be_a_replay(self, listener: Listener, published: list[int]) -> None:
        handled = listener.numbers
        in_order = list(dict.fromkeys(handled))
        if self.capabilities.order is Order.NONE:
            expect(set(in_order), "the events of a replay").equals(set(published))
        else:
            expect(in_order, "the events of a replay, in the order in which they were handled").equals(published)
        if self.capabilities.delivery is Delivery.AT_MOST_ONCE:
            expect(len(handled), "how many events a replay delivered").equals(len(published))

    @absence("EVENT-36")
    def prove_that_nothing_is_replayed(self, events: Any, evidence: Evidence) -> None:
        witness = Listener()
        events.subscribe("orders", witness)
        for number in range(3):
            events.publish("orders", numbered(number))
        witness.await_numbers(range(3), "events that a replay could begin with", self.patience)
        if callable(getattr(events, "replay", None)):
            with expect_error(UnsupportedError, "replay, which is not declared", within=self.patience):
                events.replay("orders", Listener())
        evidence.saw("absence probes", len(witness.handled))


def _replay_meanwhile(
    replay: Callable[[], Any], events: Any, callers: Callers, first: int, patience: float
) -> tuple[Any, list[int]]:
    """The subscription, and the numbers from ``first`` on that were published one by one from before until after it."""
    published: list[int] = []
    begun, over = threading.Event(), threading.Event()

    def publish() -> None:
        left = AFTERWARDS
        for number in itertools.count(first):
            left -= int(over.is_set())
            if left < 0:
                return
            events.publish("orders", numbered(number, key="k"))
            published.append(number)
            begun.set()
            time.sleep(0.001)  # a pace: otherwise there is no end of them

    def begin() -> Any:
        try:
            eventually(begun.is_set, "an event is published", patience)
            return replay()
        finally:
            over.set()

    subscription, _ = callers.each([begin, publish], within=20.0)
    return subscription, published
