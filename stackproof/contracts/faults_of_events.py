"""Clauses about faults, for event buses: what becomes of subscriptions, and of batches that are taken in part."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from stackproof.interfaces import BackendError, Delivery, EventPublisher, IndeterminateError

from .callers import Callers
from .clauses import absence, clause
from .evidence import Evidence
from .expectations import ContractViolation, eventually, expect
from .faults import SETTLING, TYPED
from .faulty import RECOVERY_SECONDS, Fault, Faulty
from .lifecycle import BOUNDED
from .listeners import Listener, numbered
from .throttling import ThrottlingContract
from .timelimit import waiting

TOPIC = "marked"
PARTS = 48
LANES = 4
"""So many events are published in so many threads at once: a bus that makes batches makes some of them."""
MEANWHILE = range(2, 7)
"""The events that are published through another connection while that of a subscription is cut."""
NOTICED_SECONDS = 8.0
"""In which a subscription must have noticed that its connection was cut."""


class EventFaultContract(ThrottlingContract[EventPublisher]):
    """What an event bus does when its connections break."""

    _watched: Listener

    def marked_write(self, backend: Any, mark: str) -> None:
        event = numbered(0, key=mark)
        backend.publish(TOPIC, event)

    def watch(self, backend: Any) -> None:
        self._watched = Listener()
        backend.subscribe(TOPIC, self._watched)

    def times_applied(self, backend: Any, mark: str) -> int:
        times = sum(event.key == mark for event in self._watched.calls)
        repeats = self.declared(backend).delivery is Delivery.AT_LEAST_ONCE  # the bus may, so they prove nothing
        return min(times, 1) if repeats else times

    @clause(
        "EVENT-08",
        "A subscription whose connection was cut is restored by itself, and the gap can be seen; a group that keeps its place "
        "has none: its member gets what was published meanwhile.",
        because="a consumer that silently hears nothing any more is noticed days later, in the numbers",
        learnt_from=("E2", "E9", "E13", "E21", "E40"),
        needs="remote",
        profile="full",
        sees=(("faults that struck", 1), ("gaps that were seen", 1), ("events after the gap", 1)),
        seconds=60.0,
    )
    def test_subscriptions_are_restored_and_gaps_seen(
        self, backend: Any, faulty: Callable[[], Faulty[EventPublisher]], evidence: Evidence
    ) -> None:
        hurt = faulty()
        listener, member = Listener(), Listener()
        subscription = hurt.backend.subscribe("restored", listener)
        durable = self.declared(backend).durable
        if durable:
            hurt.backend.subscribe("restored", member, group="workers")
        backend.publish("restored", numbered(1))
        for each in (listener, member) if durable else (listener,):
            each.await_numbers([1], "events before the cut", self._patience(backend))
        with _warnings() as warnings, hurt.suffering(Fault.REFUSED) as struck:
            eventually(
                lambda: not subscription.active or warnings,
                "a subscription whose connection was cut says so (`active` is false, or a warning is logged)",
                within=NOTICED_SECONDS,
            )
            evidence.saw("gaps that were seen")
            for number in MEANWHILE:
                backend.publish("restored", numbered(number))
            evidence.saw("faults that struck", struck())
        eventually(lambda: subscription.active, "the subscription is active again", within=RECOVERY_SECONDS)
        after = set(_publish_until_heard(backend, listener))
        expect(len(after & set(listener.numbers)), "events that arrived after the connection was restored").at_least(1)
        evidence.saw("events after the gap")
        if durable:
            what = "events for a group that keeps its place, published while the connection of its only member was cut"
            member.await_numbers(MEANWHILE, what, self._patience(backend) + RECOVERY_SECONDS)

    @absence("EVENT-08")
    def prove_no_subscription_can_be_cut(self, backend: Any, evidence: Evidence) -> None:
        self.prove_that_there_is_no_server(backend, evidence)

    @clause(
        "EVENT-06",
        "Of a batch that the broker took in part, only the refused events are sent again: none that publish accepted is lost, "
        "and none is doubled.",
        because="the answer to such a batch is a success as a whole: who does not look at its entries loses some of them, and "
        "who sends all of them again doubles the others",
        learnt_from=("E29", "E30", "E31", "E32", "E33", "E35"),
        needs="partial_batches",
        profile="full",
        sees=(("refused events", 3), ("accepted events that arrived", 8)),
        seconds=90.0,
    )
    def test_only_what_was_refused_is_sent_again(
        self, backend: Any, faulty: Callable[[], Faulty[EventPublisher]], callers: Callers, evidence: Evidence
    ) -> None:
        hurt, listener = faulty(), Listener()
        self.exercise(hurt.backend)
        backend.subscribe("parts", listener)
        ends: dict[int, BackendError | None] = {}
        taken = hurt.faults.taken()
        with hurt.suffering(Fault.PART_REFUSED) as struck:
            lanes = [lambda lane=lane: _publish(hurt.backend, range(lane, PARTS, LANES), ends) for lane in range(LANES)]
            callers.each(lanes, within=2 * BOUNDED)
            accepted = {number for number, error in ends.items() if error is None}
            # The retries of a bus that sends from a buffer belong to the fault, too.
            _wait_for(lambda: struck() and accepted <= set(listener.numbers), self._patience(backend))
            evidence.saw("refused events", struck())
        listener.await_numbers(accepted, "events that publish accepted", self._patience(backend) + RECOVERY_SECONDS)
        evidence.saw("accepted events that arrived", len(accepted))
        expect(hurt.faults.taken() - taken, f"how often the broker took one of {PARTS} events").at_most(PARTS)
        _expect_honest(ends, listener)
        if self.declared(backend).delivery is Delivery.AT_MOST_ONCE:
            calls = [event.payload["n"] for event in listener.calls]
            expect([n for n in ends if calls.count(n) > 1], "events that arrived twice").equals([])

    @absence("EVENT-06")
    def prove_events_are_never_refused_in_part(
        self, backend: Any, faulty: Callable[[], Faulty[EventPublisher]], evidence: Evidence
    ) -> None:
        self.expect_no_harness_for(Fault.PART_REFUSED, faulty)
        listener = Listener()
        backend.subscribe("parts", listener)
        for number in range(PARTS):
            backend.publish("parts", numbered(number))
        listener.await_numbers(range(PARTS), "events that were published in one go", self._patience(backend))
        evidence.saw("absence probes", PARTS)

    def _patience(self, backend: Any) -> float:
        return float(self.declared(backend).delivery_seconds) + 3.0


def _publish_until_heard(bus: Any, listener: Listener) -> list[object]:
    """Publish until one of these events was handled, for as long as a backend may take to recover; their numbers."""
    published: list[object] = []
    deadline = time.monotonic() + RECOVERY_SECONDS
    for number in itertools.count(100):
        if set(published) & set(listener.numbers) or time.monotonic() > deadline:
            break
        bus.publish("restored", numbered(number))
        published.append(number)
        time.sleep(0.1)
    return published


def _publish(bus: Any, numbers: Iterable[int], ends: dict[int, BackendError | None]) -> None:
    """Publish one after the other; ``ends`` gets the error of each, None where it was accepted."""
    for number in numbers:
        try:
            bus.publish("parts", numbered(number))
        except BackendError as error:
            ends[number] = error
        else:
            ends[number] = None


def _wait_for(condition: Callable[[], object], seconds: float) -> None:
    """Until it is true, or the time is over: what follows judges."""
    deadline = time.monotonic() + seconds
    with waiting(seconds):
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.01)


def _expect_honest(ends: dict[int, BackendError | None], listener: Listener) -> None:
    """An event whose error says that nothing was applied does not arrive."""
    errors = {number: error for number, error in ends.items() if error is not None}
    for number, error in errors.items():
        if not isinstance(error, TYPED):
            raise ContractViolation(
                f"publish of event {number}", "success or a typed error", f"{type(error).__name__}: {error}"
            )
    refused = {number for number, error in errors.items() if not isinstance(error, IndeterminateError)}
    if refused:
        _wait_for(lambda: refused & listener.called_with, SETTLING)
    expect(
        sorted(refused & listener.called_with), "events that arrived although publish said that they would not"
    ).equals([])


class _Keeping(logging.Handler):
    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__(logging.WARNING)
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)


@contextmanager
def _warnings() -> Iterator[list[logging.LogRecord]]:
    """The warnings that the logger ``stackproof`` gets while the block runs."""
    found: list[logging.LogRecord] = []
    handler = _Keeping(found)
    logger = logging.getLogger("stackproof")
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)
