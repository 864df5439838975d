"""The clause of the interaction store about histories: counts that are read while others record."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

from .callers import Callers
from .clauses import clause
from .evidence import Evidence
from .histories import Recorder, check_counter
from .interaction_reads import InteractionReads
from .interaction_samples import about, alltime, contact, walk
from .judged_history import DECIDED, ENOUGH, OVERLAPPING, InStep, must_be_valid, rounds
from .lifecycle_processes import Found

ROUNDS = 3
RECORDERS = 4
READERS = 2
CONTACTS = 20
"""Of each recorder, in each round. Two recorders share their ids, so that each contact is recorded twice."""
CUSTOMERS = ("x", "y")
END = 99
"""The process that reads when all others have ended."""


class InteractionHistories(InteractionReads):
    """Concurrent recording and reading of the same summaries."""

    def write_number(self, backend: Any, number: int) -> None:
        backend.record_event(contact(event_id=str(number), customer=str(number)))

    def numbers_written(self, reader: Any) -> Found:
        return lambda numbers: {number for number in numbers if walk(reader, about(customer=str(number)))}

    @clause(
        "STORE-26",
        "A count that is read while others record lies between what was stored before and what may be stored by then.",
        because="a frequency cap reads while contacts are recorded: a count that is too high for a moment, or goes back, decides",
        learnt_from=("I26",),
        sees=(
            (OVERLAPPING, ENOUGH),
            (DECIDED, ROUNDS),
            ("contacts recorded again", 50),
            ("reads beside recording", 20),
        ),
        seconds=90.0,
    )
    def test_counts_are_possible_at_all_times(
        self, store: Any, another: Callable[[], Any], callers: Callers, rng: random.Random, evidence: Evidence
    ) -> None:
        instances = [store, another() if self.capabilities.durable else store]
        for round_number in rounds(ROUNDS, evidence):
            recorder, pace = Recorder(), InStep(RECORDERS + READERS)
            customers = [f"{name}{round_number}" for name in CUSTOMERS]
            work = [
                partial(_record, instances[n % 2], n, customers, random.Random(rng.random()), recorder, pace)  # noqa: S311
                for n in range(RECORDERS)
            ]
            work += [partial(_read, instances[n % 2], RECORDERS + n, customers, recorder, pace) for n in range(READERS)]
            callers.each(work, within=25.0)
            for customer in customers:
                _read_once(store, END, customer, recorder)
            history = recorder.history()
            reads = [each for each in history if each.kind == "read" and each.process != END]
            evidence.saw("reads beside recording", len(reads))
            recorded = [each for each in history if each.kind == "record" and each.ok]
            evidence.saw("contacts recorded again", len(recorded) - len({each.value for each in recorded}))
            what = "counts that were read while contacts were recorded, some of them twice"
            expected = (
                "each between the contacts stored before the read and those begun before its end, an id counting once"
            )
            must_be_valid(check_counter(history), history, evidence, what, expected)


def _record(
    store: Any, caller: int, customers: list[str], rng: random.Random, recorder: Recorder, pace: InStep
) -> None:
    """The contacts of this caller's pair, in an order of its own."""
    numbers = list(range(CONTACTS))
    rng.shuffle(numbers)
    for number in numbers:
        pace.wait()
        customer = customers[number % len(customers)]
        event = contact(event_id=f"{customer}.{caller // 2}.{number}", customer=customer)
        recorder.call("record", customer, partial(store.record_event, event), process=caller, value=event.event_id)


def _read(store: Any, caller: int, customers: list[str], recorder: Recorder, pace: InStep) -> None:
    for number in range(CONTACTS):
        pace.wait()
        _read_once(store, caller, customers[number % len(customers)], recorder)


def _read_once(store: Any, caller: int, customer: str, recorder: Recorder) -> None:
    recorder.call("read", customer, partial(alltime, store, customer=customer), process=caller, answer=_count)


def _count(summary: Any) -> int:
    return 0 if summary is None else int(summary.positive)
