"""The contract of event buses: who gets which event, how often and in which order.

The other parts: `events_content` (what an event carries, topics, namespaces), `events_subscriptions` (begin and end) and
`events_log` (what a bus remembers).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from statistics import median
from typing import Any

from stackproof.interfaces import BackendError, Delivery, Event, Order, UnsupportedError

from .callers import Callers, in_step
from .clauses import absence, clause
from .events_sequences import EventSequenceContract
from .evidence import Evidence
from .expectations import eventually, expect, expect_error
from .listeners import Failing, HeldUp, Listener, numbered

BURST_SECONDS = 20.0
"""How long a burst lasts at most: half of what its calls may take, so that only one that hangs is told to hang."""


class EventContract(EventSequenceContract):
    """What every `EventPublisher` keeps."""

    @clause(
        "EVENT-01",
        "A handler that raises does not end the delivery, neither its own nor that of others.",
        because="one malformed event would silence a consumer until somebody restarts it",
        learnt_from=("E10", "E12", "E15"),
        sees=(("handler failures", 4), ("later events", 9)),
    )
    def test_a_failing_handler_keeps_being_served(self, events: Any, evidence: Evidence) -> None:
        failing, exiting = Failing([0, 1, 2]), Failing([3], error=SystemExit)

        def during(event: Event) -> None:
            try:
                failing(event)
                exiting(event)  # sys.exit() somewhere in a handler: in a thread, it ends just that, without a word
            except BaseException:
                evidence.saw("handler failures")
                raise

        troubled, other = Listener(during), Listener()
        events.subscribe("orders", troubled)
        events.subscribe("orders", other)
        for number in range(8):
            events.publish("orders", numbered(number))
        troubled.await_numbers(range(4, 8), "events after four that the handler failed on", self.patience)
        other.await_numbers(range(8), "events of a subscription beside a failing one", self.patience)
        evidence.saw("later events", len(troubled.handled) + len(other.handled) - 3)

    @clause(
        "EVENT-02",
        "An event whose handler raised is delivered again until a handler returns.",
        because="at-least-once delivery is chosen so that a crash in the middle of an event loses nothing",
        learnt_from=("E10", "E11", "E23"),
        needs=("delivery", Delivery.AT_LEAST_ONCE),
        sees=("deliveries of the failed event", 9),
        seconds=40.0,
    )
    def test_a_failed_event_comes_again(self, events: Any, evidence: Evidence) -> None:
        failing = Failing([1], times=8)

        def during(event: Event) -> None:
            evidence.saw("deliveries of the failed event", int(event.payload["n"] == 1))
            failing(event)

        listener = Listener(during)
        events.subscribe("orders", listener)
        for number in range(3):
            events.publish("orders", numbered(number))
        listener.await_numbers(range(3), "events, one of which failed eight times", 9 * self.patience)

    @absence("EVENT-02")
    def prove_that_a_failed_event_is_gone(self, events: Any, evidence: Evidence) -> None:
        listener = Listener(Failing([0], times=1))
        events.subscribe("orders", listener)
        began = time.monotonic()
        for number in range(3):
            events.publish("orders", numbered(number))
        listener.await_numbers([1, 2], "events after the one that failed", self.patience)
        self.let_settle(began)
        calls = [event.payload["n"] for event in listener.calls]
        expect(calls.count(0), "deliveries of an event whose handler raised").equals(
            1, why="a bus that delivers again declares delivery AT_LEAST_ONCE, so that it is verified"
        )
        evidence.saw("absence probes", len(calls))

    @clause(
        "EVENT-03",
        "A subscriber handles the events of one publisher in order, also when the handler fails once.",
        because="a `closed` that overtakes its `opened` leaves a wrong state for ever",
        learnt_from=("E4", "E43"),
        needs=("order", (Order.PER_KEY, Order.TOTAL)),
        sees=(("ordered pairs", 30), ("handler failures", 1)),
    )
    def test_order_is_kept(self, events: Any, rng: Any, evidence: Evidence) -> None:
        keys = [rng.choice("abc") for _ in range(45)]
        bad = rng.randrange(5, 15)
        failing = Failing([bad])

        def during(event: Event) -> None:
            # The earlier an event, the longer its handler: where handlers run side by side, the later ones win.
            time.sleep(max(0.0, 0.01 - 0.0005 * int(event.payload["n"])))  # type: ignore[arg-type]
            before = failing.failures
            try:
                failing(event)
            finally:
                evidence.saw("handler failures", failing.failures - before)

        listener = Listener(during)
        events.subscribe("orders", listener)
        for number, key in enumerate(keys):
            events.publish("orders", numbered(number, key))
        may_be_gone = {bad} if self.capabilities.delivery is Delivery.AT_MOST_ONCE else set()
        listener.await_numbers(set(range(45)) - may_be_gone, "the published events", self.patience)
        handled = _first_of_each(listener.numbers)
        for key in ["*"] if self.capabilities.order is Order.TOTAL else sorted(set(keys)):
            numbers = [number for number in handled if key in ("*", keys[number])]
            what = "the order of the events" if key == "*" else f"the order of the events with key {key!r}"
            expect(numbers, what).equals(sorted(numbers))
            evidence.saw("ordered pairs", len(numbers) - 1)

    @absence("EVENT-03", visible=False)
    def prove_that_no_order_is_promised(self, events: Any, rng: Any, evidence: Evidence) -> None:
        """Order can come by chance, so that its absence cannot be seen; what is seen is that all arrive nevertheless."""
        listener = Listener()
        events.subscribe("orders", listener)
        for number in range(45):
            events.publish("orders", numbered(number, rng.choice("abc")))
        listener.await_numbers(range(45), "the published events, in whatever order", self.patience)
        evidence.saw("absence probes", 45)

    @clause(
        "EVENT-05",
        "What was published before disconnect is delivered.",
        because="a deployment ends right after its last request; a buffer that dies with it loses exactly those events",
        learnt_from=("E18", "E19"),
        needs="shared",
        sees=("events after the publisher was gone", 100),
        seconds=60.0,
    )
    def test_disconnect_flushes(self, events: Any, another: Callable[[], Any], evidence: Evidence) -> None:
        witness = Listener(handled=partial(evidence.saw, "events after the publisher was gone"))
        another().subscribe("orders", witness)
        for number in range(100):
            events.publish("orders", numbered(number))
        events.disconnect()
        witness.await_numbers(range(100), "events published just before disconnect", self.patience)

    @absence("EVENT-05")
    def prove_that_disconnect_ends_an_unshared_bus(
        self, events: Any, another: Callable[[], Any], evidence: Evidence
    ) -> None:
        self.prove_not_shared(events, another, evidence)

    @clause(
        "EVENT-07",
        "A burst that is faster than the handler loses no event that publish accepted.",
        because="peaks are when events matter; a full queue must slow the publisher or tell it, never drop in silence",
        learnt_from=("E19", "E22"),
        sees=(("accepted events", 60), ("events that had to wait", 60)),
        seconds=90.0,
    )
    def test_a_burst_is_not_lost(self, events: Any, callers: Callers, evidence: Evidence) -> None:
        size = self._burst_size(events)
        held_up = HeldUp()
        listener = Listener(held_up)
        events.subscribe("orders", listener)
        padding = "x" * max(0, min(500, self.capabilities.max_payload_bytes - len('{"n":12345,"padding":""}')))
        accepted: list[int] = []
        enough = time.monotonic() + BURST_SECONDS

        def publish(first: int) -> None:
            for number in range(first, first + size // 2):
                if time.monotonic() > enough:
                    return  # a bus that got slower since it was tried out loses nothing by that
                try:
                    events.publish("orders", numbered(number, padding=padding))
                except BackendError:
                    continue  # told: that is allowed
                finally:
                    held_up.got_on()
                accepted.append(number)
                # Counted now: where the bus makes its publishers wait, few events may be left to wait in the end.
                evidence.saw("events that had to wait", int(len(accepted) > listener.done + 1))

        held_up.got_on()
        callers.each([lambda: publish(0), lambda: publish(size // 2)], within=40.0)
        evidence.saw("accepted events", len(accepted))
        held_up.let_go()
        listener.await_numbers(accepted, "accepted events of a burst", self.patience + 2.0)

    def _burst_size(self, events: Any) -> int:
        """How many events make a burst: 2,400, or where a bus needs much time for each, what it manages in 15 s."""
        listener = Listener()
        subscription = events.subscribe("warm-up", listener)
        events.publish("warm-up", numbered(-1))  # what is made for the first event only is no measure
        listener.await_numbers([-1], "the first event before the burst", self.patience)
        began = time.monotonic()
        for number in range(5):
            events.publish("warm-up", numbered(number))
        listener.await_numbers(range(5), "single events before the burst", self.patience)
        each = (time.monotonic() - began) / 5
        subscription.close()
        return max(80, min(2_400, int(15.0 / each)))

    @clause(
        "EVENT-09",
        "Each subscription gets each event.",
        because="two services listen for different reasons; neither may take events away from the other",
        learnt_from=("E34",),
        sees=("deliveries", 40),
    )
    def test_every_subscription_gets_every_event(
        self, events: Any, another: Callable[[], Any], evidence: Evidence
    ) -> None:
        listeners = [Listener(handled=partial(evidence.saw, "deliveries")) for _ in range(3)]
        for listener in listeners[:2]:
            events.subscribe("orders", listener)
        if self.capabilities.shared:
            another().subscribe("orders", listeners[2])
        else:
            events.subscribe("orders", listeners[2])
        for number in range(20):
            events.publish("orders", numbered(number))
        for listener in listeners:
            listener.await_numbers(range(20), "events at one of three subscriptions", self.patience)

    @clause(
        "EVENT-11",
        "Handler calls of one subscription run one at a time, and no event comes again while its handler runs.",
        because="a slow handler that is called again beside itself does the work twice",
        sees=("slow handler calls", 3),
    )
    def test_handlers_run_one_at_a_time(self, events: Any, evidence: Evidence) -> None:
        seen = partial(evidence.saw, "slow handler calls")
        listener = Listener(lambda event: time.sleep(1.0 if event.payload["n"] == 0 else 0.1), handled=seen)
        events.subscribe("orders", listener)
        for number in range(3):
            events.publish("orders", numbered(number))
        listener.await_numbers(range(3), "events with a slow handler", self.patience)
        expect(listener.most_running, "calls of one handler that ran at the same time").equals(1)
        if self.capabilities.delivery is Delivery.AT_MOST_ONCE:
            expect(len(listener.calls), "handler calls for three events").equals(3)

    @clause(
        "EVENT-19",
        "Concurrent publishers lose nothing and double nothing.",
        because="a web server publishes from all its threads through one instance",
        learnt_from=("E19",),
        sees=(("events", 200), ("overlapping publishers", 2)),
        seconds=60.0,
    )
    def test_concurrent_publishers(
        self, events: Any, another: Callable[[], Any], callers: Callers, evidence: Evidence
    ) -> None:
        listener = Listener(handled=partial(evidence.saw, "events"))
        events.subscribe("orders", listener)
        instances = [events, another() if self.capabilities.shared else events]
        amid = threading.Barrier(5)  # a fast bus would otherwise serve one publisher before the next has begun

        def publisher(index: int) -> Callable[[], None]:
            def publish() -> None:
                with in_step(amid):
                    for number in range(index * 40, index * 40 + 40):
                        if number % 10 == 0:
                            amid.wait(10.0)
                        instances[index % 2].publish("orders", numbered(number))

            return publish

        began = time.monotonic()
        callers.each([publisher(index) for index in range(5)])
        evidence.saw("overlapping publishers", callers.overlapping)
        listener.await_numbers(range(200), "events of five publishers", self.patience)
        self.let_settle(began)
        if self.capabilities.delivery is Delivery.AT_MOST_ONCE:
            expect(len(listener.calls), "deliveries of 200 events").equals(200)

    @clause(
        "EVENT-21",
        "Subscriptions of one group share the events; another group, or none, gets all of them.",
        because="workers of one service divide the work: each event is done once per service",
        needs="groups",
        sees=(("shared events", 60), ("members that got some", 2)),
        seconds=40.0,
    )
    def test_members_of_a_group_share(self, events: Any, another: Callable[[], Any], evidence: Evidence) -> None:
        members = [Listener(lambda _: time.sleep(0.003)), Listener(lambda _: time.sleep(0.003))]
        audit, alone = Listener(), Listener()
        colleague = another() if self.capabilities.shared else events
        events.subscribe("orders", members[0], group="workers")
        colleague.subscribe("orders", members[1], group="workers")
        events.subscribe("orders", audit, group="audit")
        events.subscribe("orders", alone)
        began = time.monotonic()
        for number in range(60):
            events.publish("orders", numbered(number, key=str(number)))
        for listener in (audit, alone):
            listener.await_numbers(range(60), "events outside of the group", self.patience)
        shared = "60 events at two members of a group"
        eventually(lambda: len({n for member in members for n in member.numbers}) >= 60, shared, 2 * self.patience)
        self.let_settle(began)
        evidence.saw("members that got some", sum(bool(member.handled) for member in members))
        first, second = (set(member.numbers) for member in members)
        expect(first | second, "what the members of a group handled together").equals(set(range(60)))
        if self.capabilities.delivery is Delivery.AT_MOST_ONCE:
            expect(first & second, "what both members of a group handled").equals(
                set(), why="each event goes to one member"
            )
        else:  # a repetition may go to the other member; but that is no way to divide the work
            expect(len(first & second), "how many of 60 events both members of a group handled").at_most(30)
        evidence.saw("shared events", len(first | second))

    @absence("EVENT-21")
    def prove_that_there_are_no_groups(self, events: Any, another: Callable[[], Any], evidence: Evidence) -> None:
        with expect_error(UnsupportedError, "subscribe with a group", within=self.patience):
            events.subscribe("orders", Listener(), group="workers")
        with expect_error(UnsupportedError, "subscribe with a group on another instance", within=self.patience):
            another().subscribe("orders", Listener(), group="workers")
        evidence.saw("absence probes", 2)

    @clause(
        "EVENT-24",
        "On an idle system the handler is called within delivery_seconds after publish returned.",
        because="`event-driven` is a promise about time: a poll interval of ten seconds is another product",
        learnt_from=("E20",),
        sees=("timed deliveries", 5),
        seconds=60.0,
    )
    def test_delivery_is_in_time(self, events: Any, evidence: Evidence) -> None:
        called: dict[object, float] = {}
        listener = Listener(lambda event: called.setdefault(event.payload["n"], time.monotonic()))
        events.subscribe("orders", listener)
        waits = []
        for number in range(5):
            events.publish("orders", numbered(number))
            returned = time.monotonic()
            listener.await_numbers([number], "a single event", self.patience)
            waits.append(max(0.0, called[number] - returned))
            evidence.saw("timed deliveries")
        expect(median(waits), "the median of five times from publish to handler, in seconds").at_most(
            self.capabilities.delivery_seconds
        )

    @clause(
        "EVENT-26",
        "The error of a handler is logged by the logger `stackproof`.",
        because="an event that failed without a trace is found by the customer",
        learnt_from=("E10", "E23"),
        sees=("log records", 1),
    )
    def test_handler_errors_are_logged(self, events: Any, evidence: Evidence) -> None:
        listener = Listener(Failing([0]))
        events.subscribe("orders", listener)
        with _records() as records:
            events.publish("orders", numbered(0))
            events.publish("orders", numbered(1))
            listener.await_numbers([1], "the event after the failed one", self.patience)
            eventually(
                lambda: any("fails on purpose" in text for text in records), "the handler's error is logged", 2.0
            )
        evidence.saw("log records", len(records))


def _first_of_each(numbers: list[object]) -> list[Any]:
    """Without repetitions: at-least-once delivery may handle an event again later."""
    return list(dict.fromkeys(numbers))


@contextmanager
def _records() -> Iterator[list[str]]:
    """The texts of what the logger `stackproof` is told, with the errors that belong to them."""
    texts: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            error = record.exc_info[1] if record.exc_info else None
            texts.append(f"{record.getMessage()} {error!r}")

    logger, keeper = logging.getLogger("stackproof"), Keeper()
    logger.addHandler(keeper)
    try:
        yield texts
    finally:
        logger.removeHandler(keeper)
