"""What all windows of a search together say about each rate. Pure.

A single window may be wrong in both directions: a neighbour on the machine makes a good rate fail, a lucky second lets a bad one
hold. But what holds at a rate holds at every lower one, and what fails fails at every higher one, so windows at different rates
add up. A rate counts as *holding* where windows at it or above held four times as often as windows at it or below failed; as
*failing* where windows at it or below failed four times as often as windows at it or above held. Neither can be true of a rate of
which the other is, and between both may lie rates that held and failed by turns: then the bracket is that wide, and says so.

A window that failed far below a rate that counts as holding was an accident: it shows that something else than the rate decided,
and does not count any more. Else a single one early on would have to be outweighed again at each higher rate.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from .search_journal import EVIDENCE_ROLES, Entry, Journal, Limiter, Role, Verdict
from .search_words import a_rate

HOLDS_PER_FAILURE = 4
FAILURES_PER_HOLD = 4
MUCH_SLOWER = 1.5
"""A window that served this many times less than another one at its rate or above it shows another speed, not another rate."""
DRIFT_WINDOWS = 6
FAR_BELOW = 1.5
"""A rate this many times below one that holds is far enough from where holding ends."""
UNSTEADY_ROW = 3
"""This many windows in a row that never settle count as one that failed."""
CONCURRENCY = "concurrency"
"""Cause of a window in which the client's places in flight were what limited."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The windows that count, in the order in which they were offered, and whether each held."""

    windows: tuple[tuple[Entry, bool], ...]
    accidents: tuple[Entry, ...] = ()
    """Windows that failed far below what holds, and do not count."""

    @property
    def rates(self) -> list[float]:
        return sorted({entry.step.rate for entry, _ in self.windows})

    def held_from(self, rate: float) -> int:
        """Windows at this rate or above that held."""
        return sum(held and entry.step.rate >= rate for entry, held in self.windows)

    def failed_to(self, rate: float) -> int:
        """Windows at this rate or below that failed."""
        return sum(not held and entry.step.rate <= rate for entry, held in self.windows)

    def holds(self, rate: float) -> bool:
        return self.held_from(rate) >= max(1, HOLDS_PER_FAILURE * self.failed_to(rate))

    def fails(self, rate: float) -> bool:
        return self.failed_to(rate) >= max(1, FAILURES_PER_HOLD * self.held_from(rate))

    @property
    def low(self) -> float | None:
        """The highest rate that counts as holding."""
        return max((rate for rate in self.rates if self.holds(rate)), default=None)

    @property
    def high(self) -> float | None:
        """The lowest rate that counts as failing; above `low` by construction."""
        return min((rate for rate in self.rates if self.fails(rate)), default=None)

    @property
    def mixed(self) -> list[float]:
        """Rates that held and failed by turns."""
        return [rate for rate in self.rates if not self.holds(rate) and not self.fails(rate)]

    def tries(self, rate: float) -> int:
        return sum(entry.step.rate == rate for entry, _ in self.windows)

    def fresh(self, rate: float, *, held: bool) -> list[Entry]:
        """Confirming windows at exactly this rate that held, or did not."""
        return [
            entry
            for entry, did in self.windows
            if entry.step.role is Role.CONFIRM and entry.step.rate == rate and did is held
        ]

    @property
    def contradictions(self) -> int:
        """Confirming windows that said the opposite of what they were to confirm."""
        return sum(_contradicts(entry, held) for entry, held in self.windows)

    @property
    def rates_since(self) -> int:
        """Rates that were offered for the first time after the last contradiction."""
        last = max((number for number, window in enumerate(self.windows) if _contradicts(*window)), default=-1)
        before = {entry.step.rate for entry, _ in self.windows[: last + 1]}
        return len({entry.step.rate for entry, _ in self.windows[last + 1 :]} - before)

    @property
    def slow(self) -> list[Entry]:
        """Windows that served far less than others held, although at most as much was asked of them: the server has more
        than one speed. A collapse under overload is none: it lies above all that held."""
        most = max((entry.step.rate for entry, held in self.windows if held), default=0.0)
        failed = [*self.accidents, *(entry for entry, held in self.windows if not held and entry.step.rate <= most)]
        return [entry for entry in failed if entry.seen.achieved * MUCH_SLOWER < entry.step.rate]

    @property
    def drifts(self) -> bool:
        """Whether rates in doubt held at first and failed later: then time decides, not the rate."""
        mixed = self.mixed
        doubtful = [held for entry, held in self.windows if mixed and mixed[0] <= entry.step.rate <= mixed[-1]]
        holds = sum(doubtful)
        return len(doubtful) >= DRIFT_WINDOWS and 1 < holds < len(doubtful) - 1 and all(doubtful[:holds])

    def fails_by_the_server(self, rate: float) -> bool:
        """As `fails`, from windows alone that failed by what the server did, and at the rate itself by nothing else."""
        failed = sum(not held and entry.step.rate <= rate and by_the_server(entry) for entry, held in self.windows)
        here = self.missed(rate)
        enough = failed >= max(1, FAILURES_PER_HOLD * self.held_from(rate))
        return enough and bool(here) and all(map(by_the_server, here))

    def missed(self, rate: float) -> list[Entry]:
        """The windows at exactly this rate that did not hold."""
        return [entry for entry, held in self.windows if entry.step.rate == rate and not held]

    def vouched(self, rate: float) -> bool:
        """Whether it was the server that did not hold here, in any window: else the generator could not say how it does."""
        here = self.missed(rate)
        return not here or any(map(by_the_server, here))

    def recurring(self, rate: float, cause: Limiter) -> str:
        """What most windows at this rate that failed by ``cause`` have in common, as the last of them had it, and in how many."""
        missed = self.missed(rate)
        told = [{_kind(reason): reason for reason in entry.reasons} for entry in missed if limiter_of(entry) is cause]
        # Of those that recur as often the one that is told first, in the last window.
        kinds = Counter(kind for reasons in reversed(told) for kind in reasons)
        kind, times = kinds.most_common(1)[0]
        reason = next(reasons[kind] for reasons in reversed(told) if kind in reasons)
        many = f", in {times} of {len(missed)} windows that did not hold" if len(missed) > 1 else ""
        return f"at {a_rate(rate)}{many}: {reason}"

    def cause(self, rate: float) -> Limiter:
        """What most windows at this rate failed by; the client where it is a tie, so that no server is blamed for it."""
        counts = Counter(map(limiter_of, self.missed(rate)))
        most = max(counts.values())
        leading = [cause for cause, count in counts.items() if count == most]
        return Limiter.CLIENT if Limiter.CLIENT in leading else leading[0]


def _contradicts(entry: Entry, held: bool) -> bool:
    return entry.step.role is Role.CONFIRM and (entry.step.expects == "holds") is not held


def _kind(reason: str) -> str:
    """A reason without its figures, which differ from window to window."""
    return re.sub(r"[\d.,]+", "#", reason)


def limiter_of(entry: Entry) -> Limiter:
    """What kept a window from holding."""
    return Limiter.CLIENT if entry.cause == CONCURRENCY else Limiter(entry.cause)


def by_the_server(entry: Entry) -> bool:
    """Whether a window that did not hold says something about the server."""
    return limiter_of(entry) not in (Limiter.CLIENT, Limiter.NOT_CONVERGED)


def evidence_of(journal: Journal) -> Evidence:
    """The windows of a journal that say something about a rate.

    A window that was not steady says nothing, unless it is the third in a row at its rate. One that was limited by the
    client's places in flight says nothing once there are more of them.
    """
    places = most_places(journal)
    found: list[tuple[Entry, bool]] = []
    for number, entry in enumerate(journal):
        if entry.step.role not in EVIDENCE_ROLES or (entry.cause == CONCURRENCY and entry.step.in_flight < places):
            continue
        if entry.verdict is not Verdict.NOT_STEADY:
            found.append((entry, entry.verdict is Verdict.HOLDS))
        elif unsteady_row(journal[: number + 1]) % UNSTEADY_ROW == 0:
            found.append((entry, False))
    return _without_accidents(tuple(found))


def _without_accidents(windows: tuple[tuple[Entry, bool], ...]) -> Evidence:
    found = Evidence(windows)
    while (low := found.low) is not None:
        far = [entry for entry, held in found.windows if not held and entry.step.rate * FAR_BELOW < low]
        if not far:
            break
        kept = tuple((entry, held) for entry, held in found.windows if held or entry not in far)
        found = Evidence(kept, (*found.accidents, *far))
    return found


def most_places(journal: Journal) -> int:
    """The most operations in flight that any step so far allowed."""
    return max((entry.step.in_flight for entry in journal), default=0)


def unsteady_row(journal: Journal) -> int:
    """How many windows at the journal's end were not steady, one after the other at one rate."""
    row = 0
    for entry in reversed(journal):
        if entry.verdict is not Verdict.NOT_STEADY or entry.step.rate != journal[-1].step.rate:
            break
        row += 1
    return row
