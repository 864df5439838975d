"""What the record of a run keeps of a search for the ceiling: the answer, and a row for each step. Pure.

All that was seen is in the run's ``journal.jsonl``; this is what pages, comparisons and plans read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from .search_journal import Entry, Limiter, Search

UNCONFIRMED = "No rate was confirmed in fresh windows: there are no figures of one that holds."
"""Why there are no figures of a search that found no rate which holds for sure."""

WIDE_FROM = 1.15
"""Ends farther apart than those of a short search are to be are a wide bracket, whatever was asked for."""
ROUNDED = 1.01
"""Rates are rounded to three digits."""


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step of the search; rates are per second, latencies in milliseconds from the intended start, every offered operation
    counted."""

    number: int
    role: str
    target: str
    rate: float
    seconds: float
    in_flight: int
    offered: int
    ok: int
    achieved: float
    p50_ms: float | None
    p99_ms: float | None
    cpu_share: float
    verdict: str
    cause: str
    sentence: str
    answered_p50_ms: float | None = None
    """Of the answered operations alone; None also in a record of an earlier release."""
    answered_p99_ms: float | None = None


@dataclass(frozen=True, slots=True)
class CeilingRecord:
    """The bracket that a search found, what limits the load there, and how it came to that."""

    holds: float
    fails: float | None
    limiter: str
    reasons: tuple[str, ...]
    confirmed: bool
    promises: tuple[str, ...]
    recovery_seconds: float | None
    generator_rate: float | None
    service_p50_ms: float | None
    confirming_windows: int
    achieved: tuple[float, float] | None
    """Least and largest achieved rate of the confirming windows."""
    p99_ms: tuple[float, float] | None
    """Least and largest p99 of the confirming windows, every offered operation counted."""
    invalid: tuple[str, ...]
    notes: tuple[str, ...]
    steps: tuple[StepRow, ...]
    resolution: float | None = None
    """How near to each other its ends were to be, as a ratio; None in a record of an earlier release."""

    @property
    def wide(self) -> bool:
        """Whether there is an answer whose ends lie so far apart that whoever quotes it should say so."""
        return self.wider_than_asked and self.fails is not None and self.fails / self.holds > WIDE_FROM * ROUNDED

    @property
    def wider_than_asked(self) -> bool:
        """Whether there is an answer whose ends lie farther apart than was asked for, since windows between them disagree."""
        if not self.holds or self.fails is None or self.resolution is None or self.limiter == Limiter.NOT_CONVERGED:
            return False
        return self.fails / self.holds > self.resolution * ROUNDED

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """The record whose `dataclasses.asdict` went through JSON."""
        values = dict(data)
        for name in ("reasons", "promises", "achieved", "p99_ms", "invalid", "notes"):
            values[name] = None if values[name] is None else tuple(values[name])
        values["steps"] = tuple(StepRow(**row) for row in values["steps"])
        return cls(**values)


def record_of(search: Search) -> CeilingRecord:
    """What is kept of a search."""
    ceiling = search.ceiling
    interval = ceiling.interval
    record = CeilingRecord(
        holds=ceiling.holds,
        fails=ceiling.fails,
        limiter=str(ceiling.limiter),
        reasons=ceiling.reasons,
        confirmed=ceiling.confirmed,
        promises=tuple(promise.name for promise in ceiling.promises),
        recovery_seconds=ceiling.recovery,
        generator_rate=ceiling.generator,
        service_p50_ms=ceiling.service_ms,
        confirming_windows=interval.windows if interval is not None else 0,
        achieved=interval.achieved if interval is not None else None,
        p99_ms=interval.p99_ms if interval is not None else None,
        invalid=ceiling.invalid,
        notes=(*search.notes, *((f"the search could not go on: {search.trouble}",) if search.trouble else ())),
        steps=tuple(map(row_of, search.journal)),
        resolution=ceiling.resolution,
    )
    return replace(record, notes=(*record.notes, _about_width(record))) if record.wider_than_asked else record


def _about_width(record: CeilingRecord) -> str:
    assert record.fails is not None
    assert record.resolution is not None
    width, wanted = 100 * (record.fails / record.holds - 1), 100 * (record.resolution - 1)
    return (
        f"the bracket is {width:.0f} % wide, where {wanted:.0f} % were asked for: between its ends windows held and failed by "
        "turns, or the search had no time to look; a quieter machine, or longer windows (--duration), make it narrower"
    )


def row_of(entry: Entry) -> StepRow:
    """The row of one entry."""
    step, seen = entry.step, entry.seen
    return StepRow(
        number=step.number,
        role=str(step.role),
        target=step.target,
        rate=step.rate,
        seconds=step.seconds,
        in_flight=step.in_flight,
        offered=seen.offered,
        ok=seen.ok,
        achieved=seen.achieved,
        p50_ms=seen.p50_ms,
        p99_ms=seen.p99_ms,
        cpu_share=seen.cpu_share,
        verdict=str(entry.verdict),
        cause=entry.cause,
        sentence=entry.sentence,
        answered_p50_ms=seen.answered_p50_ms,
        answered_p99_ms=seen.answered_p99_ms,
    )
