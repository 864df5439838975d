"""The contract of event buses, second part: when a subscription begins, and when it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from stackproof.interfaces import Event

from .callers import Callers
from .clauses import absence, clause
from .events_content import EventContentContract
from .evidence import Evidence
from .expectations import ContractViolation, eventually, expect
from .listeners import Listener, numbered


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
        "A new subscription sees nothing that was published before it.",
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
        learnt_from=("E7",),
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
