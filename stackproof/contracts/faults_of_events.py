"""Clauses about faults of the network, for event buses: what becomes of subscriptions."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from stackproof.interfaces import Delivery, EventPublisher

from .clauses import absence, clause
from .evidence import Evidence
from .expectations import eventually, expect
from .faults import FaultContract
from .faulty import RECOVERY_SECONDS, Fault, Faulty
from .listeners import Listener, numbered

TOPIC = "marked"
NOTICED_SECONDS = 8.0
"""In which a subscription must have noticed that its connection was cut."""


class EventFaultContract(FaultContract[EventPublisher]):
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
        "A subscription whose connection was cut is restored by itself, and the gap can be seen.",
        because="a consumer that silently hears nothing any more is noticed days later, in the numbers",
        learnt_from=("E2", "E13", "E21", "E40"),
        needs="remote",
        profile="full",
        sees=(("faults that struck", 1), ("gaps that were seen", 1), ("events after the gap", 1)),
        seconds=60.0,
    )
    def test_subscriptions_are_restored_and_gaps_seen(
        self, backend: Any, faulty: Callable[[], Faulty[EventPublisher]], evidence: Evidence
    ) -> None:
        hurt = faulty()
        listener = Listener()
        subscription = hurt.backend.subscribe("restored", listener)
        backend.publish("restored", numbered(1))
        listener.await_numbers([1], "events before the cut", self._patience(backend))
        with _warnings() as warnings, hurt.suffering(Fault.REFUSED) as struck:
            eventually(
                lambda: not subscription.active or warnings,
                "a subscription whose connection was cut says so (`active` is false, or a warning is logged)",
                within=NOTICED_SECONDS,
            )
            evidence.saw("gaps that were seen")
            evidence.saw("faults that struck", struck())
        eventually(lambda: subscription.active, "the subscription is active again", within=RECOVERY_SECONDS)
        numbers = itertools.count(2)
        deadline = time.monotonic() + RECOVERY_SECONDS
        while not set(listener.numbers) - {1} and time.monotonic() < deadline:
            backend.publish("restored", numbered(next(numbers)))
            time.sleep(0.1)
        expect(len(set(listener.numbers) - {1}), "events that arrived after the connection was restored").at_least(1)
        evidence.saw("events after the gap")

    @absence("EVENT-08")
    def prove_no_subscription_can_be_cut(self, backend: Any, evidence: Evidence) -> None:
        self.prove_that_there_is_no_server(backend, evidence)

    def _patience(self, backend: Any) -> float:
        return float(self.declared(backend).delivery_seconds) + 3.0


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
