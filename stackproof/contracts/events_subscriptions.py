"""The contract of event buses, second part: when a subscription begins, and when it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from stackproof.interfaces import Delivery, Event, UnsupportedError

from .callers import Callers
from .clauses import absence, clause
from .events_content import EventContentContract
from .evidence import Evidence
from .expectations import ContractViolation, eventually, expect, expect_error
from .listeners import Listener, numbered

LOOK_ALIKE_GROUPS = (
    *("workers", "Workers", "workers:1", "workers:2", "workers.1", "workers 1"),
    *("workers-", "w\u00f6rkers", "wo\u0308rkers", "w" * 200 + "1", "w" * 200 + "2"),
)
"""Names of groups that a careless mapping makes one of."""


class EventSubscriptionContract(EventContentContract):
    """The clauses about subscriptions."""

    @clause(
        "EVENT-04",
        "After a subscription was closed nothing arrives at its handler.",
        because="the owner of the handler has gone: what it would touch is closed too",
        learnt_from=("E44",),
        sees=(("events before", 1), ("events seen by the witness afterwards", 5)),
    )
    def test_nothing_arrives_after_close(self, events: Any, evidence: Evidence) -> None:
        closed, witness = Listener(), Listener()
        subscription = events.subscribe("orders", closed)
        events.subscribe("orders", witness)
        events.publish("orders", numbered(0))
        closed.await_numbers([0], "an event before the close", self.patience)
        evidence.saw("events before")
        subscription.close()
        subscription.close()
        began = time.monotonic()
        for number in range(1, 6):
            events.publish("orders", numbered(number))
        witness.await_numbers(range(6), "events at the subscription that was left open", self.patience)
        evidence.saw("events seen by the witness afterwards", len(witness.handled) - 1)
        self.let_settle(began)
        expect(closed.called_with, "events at the handler, which was closed after number 0").equals({0})

    @clause(
        "EVENT-12",
        "close returns when the handler is not running.",
        because="after close the owner frees what the handler uses",
        sees=("closes during a handler call", 1),
    )
    def test_close_waits_for_the_handler(self, events: Any, evidence: Evidence) -> None:
        entered = threading.Event()

        def during(_: Event) -> None:
            entered.set()
            time.sleep(0.4)

        listener = Listener(during)
        subscription = events.subscribe("orders", listener)
        events.publish("orders", numbered(0))
        eventually(entered.is_set, "the handler is called", self.patience)
        evidence.saw("closes during a handler call", listener.running)
        subscription.close()
        expect(listener.running, "handler calls that run after close returned").equals(0)

    @clause(
        "EVENT-13",
        "A handler can close its own subscription; that call is the last.",
        because="`take the first event, then stop` is common, and must not wait for itself",
        sees=("closes from inside", 1),
    )
    def test_a_handler_can_close_its_subscription(self, events: Any, evidence: Evidence) -> None:
        subscriptions: list[Any] = []
        made, returned = threading.Event(), threading.Event()

        def during(_: Event) -> None:
            made.wait(5.0)
            subscriptions[0].close()
            evidence.saw("closes from inside")
            returned.set()

        listener, witness = Listener(during), Listener()
        subscriptions.append(events.subscribe("orders", listener))
        events.subscribe("orders", witness)
        made.set()
        began = time.monotonic()
        for number in range(5):
            events.publish("orders", numbered(number))
        eventually(returned.is_set, "close from inside the handler returns", self.patience)
        witness.await_numbers(range(5), "events at the other subscription", self.patience)
        self.let_settle(began)
        expect(len(listener.calls), "calls of a handler that closed its subscription in the first").equals(1)

    @clause(
        "EVENT-20",
        "A subscription is effective when subscribe returns.",
        because="the request whose answer is awaited is sent right after; an answer that comes at once must not be missed",
        learnt_from=("E17",),
        sees=("events published at once", 10),
    )
    def test_subscribe_is_effective_when_it_returns(
        self, events: Any, another: Callable[[], Any], evidence: Evidence
    ) -> None:
        publisher = another() if self.capabilities.shared else events
        publisher.publish("warm-up", numbered(0))
        for number in range(10):
            listener = Listener()
            subscription = events.subscribe(f"answer-{number}", listener)
            publisher.publish(f"answer-{number}", numbered(number))
            listener.await_numbers([number], "an event published right after subscribe", self.patience)
            subscription.close()
            evidence.saw("events published at once")

    @clause(
        "EVENT-22",
        "A new subscription without a group sees nothing that was published before it.",
        because="a service that is started again must not act on yesterday's events",
        learnt_from=("E9",),
        sees=(("earlier events", 3), ("later events", 1)),
    )
    def test_subscriptions_begin_now(self, events: Any, evidence: Evidence) -> None:
        witness, late = Listener(), Listener()
        events.subscribe("orders", witness)
        for number in range(3):
            events.publish("orders", numbered(number))
        witness.await_numbers(range(3), "earlier events at an earlier subscription", self.patience)
        evidence.saw("earlier events", len(witness.handled))
        events.subscribe("orders", late)
        began = time.monotonic()
        events.publish("orders", numbered(3))
        late.await_numbers([3], "an event after subscribe", self.patience)
        self.let_settle(began)
        evidence.saw("later events", late.numbers.count(3))
        expect(late.called_with, "events at the later subscription").equals({3})

    @clause(
        "EVENT-27",
        "`active` is true from subscribe to close, and false after close or disconnect.",
        because="a supervisor looks at it to find subscriptions that stopped delivering",
        learnt_from=("E3", "E8", "E16"),
        sees=(("true answers", 2), ("false answers", 2)),
    )
    def test_active_tells_the_truth(self, events: Any, evidence: Evidence) -> None:
        first, second = (events.subscribe("orders", Listener()) for _ in range(2))
        for subscription in (first, second):
            expect(subscription.active, "active of a new subscription").is_true()
            evidence.saw("true answers")
        first.close()
        expect(first.active, "active after close").is_false()
        expect(second.active, "active of the subscription that was left open").is_true()
        events.disconnect()
        expect(second.active, "active after disconnect").is_false()
        evidence.saw("false answers", 2)

    @clause(
        "EVENT-28",
        "Disconnect ends the subscriptions of its instance: their handlers are not called again.",
        because="the handlers belong to a program that is shutting down",
        learnt_from=("E44",),
        needs="shared",
        sees=(("events before", 1), ("events seen by the witness afterwards", 3)),
    )
    def test_disconnect_ends_its_subscriptions(
        self, events: Any, another: Callable[[], Any], evidence: Evidence
    ) -> None:
        ended, witness, other = Listener(), Listener(), another()
        events.subscribe("orders", ended)
        other.subscribe("orders", witness)
        other.publish("orders", numbered(0))
        ended.await_numbers([0], "an event before disconnect", self.patience)
        evidence.saw("events before")
        events.disconnect()
        began = time.monotonic()
        for number in range(1, 4):
            other.publish("orders", numbered(number))
        witness.await_numbers(range(4), "events at the instance that was left alone", self.patience)
        evidence.saw("events seen by the witness afterwards", len(witness.handled) - 1)
        self.let_settle(began)
        expect(ended.called_with, "events at the instance that was disconnected after number 0").equals({0})

    @absence("EVENT-28")
    def prove_that_instances_are_apart(self, events: Any, another: Callable[[], Any], evidence: Evidence) -> None:
        self.prove_not_shared(events, another, evidence)

    @clause(
        "EVENT-29",
        "A handler can publish and subscribe.",
        because="a service that reacts to one event with another is the usual case; it must not wait for a lock of its own",
        sees=("events published by a handler", 3),
    )
    def test_a_handler_can_publish(self, events: Any, callers: Callers, evidence: Evidence) -> None:
        answers = Listener()
        events.subscribe("answers", answers)

        def during(event: Event) -> None:
            events.subscribe(f"more-{event.event_id}", Listener())
            events.publish("answers", numbered(int(event.payload["n"]) + 100))  # type: ignore[arg-type]

        events.subscribe("questions", Listener(during))
        # In a thread: where handlers hold a lock, this publish hangs too, and that must be seen in bounded time.
        callers.each([lambda: [events.publish("questions", numbered(n)) for n in range(3)]], within=self.patience)
        answers.await_numbers(range(100, 103), "events that a handler published", self.patience)
        evidence.saw("events published by a handler", len(answers.handled))

    @clause(
        "EVENT-30",
        "A topic can be subscribed to again after its last subscription was closed.",
        because="a consumer that is restarted inside a process would wait for ever for events that go past it",
        sees=("subscriptions that came again", 4),
    )
    def test_a_topic_can_be_subscribed_to_again(self, events: Any, evidence: Evidence) -> None:
        for group in (None, "workers") if self.capabilities.groups else (None,):
            options = {} if group is None else {"group": group}
            for number in range(3 if self.capabilities.groups else 5):
                listener = Listener()
                subscription = events.subscribe("orders", listener, **options)
                events.publish("orders", numbered(number))
                listener.await_numbers([number], f"an event at subscription number {number}", self.patience)
                subscription.close()
                evidence.saw("subscriptions that came again", int(number > 0))

    @clause(
        "EVENT-31",
        "What a member of a group had not done when it closed goes to the members that stay.",
        because="each deployment stops one worker after the other; what they held would be done by nobody",
        learnt_from=("E11", "E18"),
        needs="groups",
        sees=(("events at the member that closed", 2), ("events at the member that stayed", 1)),
        seconds=40.0,
    )
    def test_a_closing_member_leaves_its_events_to_others(
        self, events: Any, another: Callable[[], Any], callers: Callers, evidence: Evidence
    ) -> None:
        all_published, second_begun, may_fail = (threading.Event() for _ in range(3))

        def during(_: Event) -> None:
            if not all_published.wait(5.0) or len(leaver.called_with) == 1:
                return  # the first one is done, but slowly: there is time to fetch the next ones in advance
            second_begun.set()
            may_fail.wait(5.0)
            raise ValueError("this handler fails on purpose")

        leaver, stayer = Listener(during), Listener()
        colleague = another() if self.capabilities.shared else events
        subscription = events.subscribe("orders", leaver, group="workers")
        for number in range(12):
            events.publish("orders", numbered(number, key=str(number)))
        all_published.set()
        eventually(second_begun.is_set, "the second event is handled", self.patience)
        colleague.subscribe("orders", stayer, group="workers")

        def close() -> None:
            threading.Timer(0.2, may_fail.set).start()  # while close waits for the handler
            subscription.close()

        callers.each([close], within=10.0)
        left = set(range(12)) - set(leaver.numbers)
        if self.capabilities.delivery is Delivery.AT_MOST_ONCE:
            left -= leaver.called_with
        stayer.await_numbers(left, "events that a closed member of the group left undone", 2 * self.patience)
        evidence.saw("events at the member that closed", len(leaver.called_with))
        evidence.saw("events at the member that stayed", len(stayer.handled))

    @absence("EVENT-31")
    def prove_that_no_member_can_leave(self, events: Any, evidence: Evidence) -> None:
        self.prove_groups_are_refused(events, ["workers"], evidence)

    @clause(
        "EVENT-32",
        "Groups are told apart by their whole name: each one gets each event, and so does each topic's.",
        because="two services with similar names would take events away from each other",
        learnt_from=("C36", "C39"),
        needs="groups",
        sees=("groups that got all events", 10),
    )
    def test_groups_that_look_alike_are_apart(self, events: Any, evidence: Evidence) -> None:
        groups = [("orders", group) for group in LOOK_ALIKE_GROUPS] + [("orders:workers", "1"), ("Orders", "workers")]
        listeners = {place: Listener() for place in groups}
        for (topic, group), listener in listeners.items():
            events.subscribe(topic, listener, group=group)
        for number, topic in enumerate(dict.fromkeys(topic for topic, _ in groups)):
            for turn in range(4):
                events.publish(topic, numbered(10 * number + turn, key=str(turn)))
        for number, topic in enumerate(dict.fromkeys(topic for topic, _ in groups)):
            for (of_topic, group), listener in listeners.items():
                if of_topic == topic:
                    what = f"the events of {topic!r} at the group {group!r}"
                    listener.await_numbers(range(10 * number, 10 * number + 4), what, self.patience)
                    evidence.saw("groups that got all events")

    @absence("EVENT-32")
    def prove_that_no_name_of_a_group_is_taken(self, events: Any, evidence: Evidence) -> None:
        self.prove_groups_are_refused(events, LOOK_ALIKE_GROUPS, evidence)

    def prove_groups_are_refused(self, events: Any, groups: Sequence[str], evidence: Evidence) -> None:
        for group in groups:
            with expect_error(UnsupportedError, f"subscribe with the group {group!r}", within=self.patience):
                events.subscribe("orders", Listener(), group=group)
            evidence.saw("absence probes")

    def prove_not_shared(self, events: Any, another: Callable[[], Any], evidence: Evidence) -> None:
        """An event reaches subscribers of its own instance, and no other's."""
        own, foreign = Listener(), Listener()
        events.subscribe("orders", own)
        another().subscribe("orders", foreign)
        began = time.monotonic()
        events.publish("orders", numbered(0))
        own.await_numbers([0], "an event at the instance that published it", self.patience)
        self.let_settle(began)
        if foreign.calls:
            raise ContractViolation("events at another instance", "none", f"{len(foreign.calls)}")
        evidence.saw("absence probes", len(own.handled))
