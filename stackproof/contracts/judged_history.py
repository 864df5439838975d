"""How a clause uses a checker of histories: it makes operations overlap, and fails with the checker's argument.

A history that could not be decided is no evidence, so that a clause never passes on it.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator, Mapping, Sequence

from .evidence import Evidence
from .expectations import ContractViolation
from .histories import HistoryVerdict, Operation, overlapping_pairs

DECIDED = "histories decided"
OVERLAPPING = "overlapping pairs of operations"
ENOUGH = 50
"""So many overlapping pairs a clause must have seen."""
LONGEST = 10.0
"""Seconds after which no further round is begun only because too little was seen."""
STEP = 0.05
"""Seconds that one caller waits for the others at most."""


def rounds(least: int, evidence: Evidence, needed: Mapping[str, int] | None = None) -> Iterator[int]:
    """The numbers of rounds: so many at least, and on until enough was seen, which is luck on a fast backend.

    ``needed`` is what the clause must see besides operations that overlap and as many decided histories: names and counts.
    A history that decides nothing (on a busy machine no search may have met a document) is followed by another one.
    """
    until = time.monotonic() + LONGEST
    minimums = {OVERLAPPING: ENOUGH, DECIDED: least, **(needed or {})}
    for number in itertools.count():
        seen = evidence.counts()
        enough = all(seen.get(name, 0) >= count for name, count in minimums.items())
        if number >= least and (enough or time.monotonic() > until):
            return
        yield number


class InStep:
    """Lets callers go on together: otherwise a fast backend is done with one of them before the next one has begun."""

    def __init__(self, parties: int) -> None:
        self._parties = parties
        self._arrived = 0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait for the others, a short time at most: one of them may have ended. It spins: who sleeps wakes up too late."""
        with self._lock:
            self._arrived += 1
            goal = -(-self._arrived // self._parties) * self._parties
        until = time.monotonic() + STEP
        while self._arrived < goal and time.monotonic() < until:
            time.sleep(0)


def must_be_valid(
    verdict: HistoryVerdict, history: Sequence[Operation], evidence: Evidence, what: str, expected: str
) -> None:
    """Raise `ContractViolation` for an invalid history. One that could not be decided leaves the clause without evidence."""
    __tracebackhide__ = True
    evidence.saw(OVERLAPPING, overlapping_pairs(history))
    if verdict.invalid:
        raise ContractViolation(what, expected, verdict.explanation())
    evidence.saw(DECIDED, int(verdict.valid))
