"""A closed-loop sweep over concurrencies: throughput at each, and the Universal Scalability Law fitted to it. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Self

from .record_names import LIMITERS, SWEEP
from .scalability import Fit, Point, fit
from .search_journal import Limiter


@dataclass(frozen=True, slots=True)
class Level:
    """One concurrency of a sweep."""

    in_flight: int
    throughput: float
    """Operations that ended well, 1/s: the median of its windows."""
    windows: int
    p50: float | None
    """Milliseconds, of the window with that throughput (or the next one below)."""
    limiter: str = ""
    """As of a window (`judgement.limiter_of`); of several the client before all others. Empty in older records."""


@dataclass(frozen=True, slots=True)
class SweepRecord:
    """What a sweep showed."""

    levels: tuple[Level, ...]
    best: int
    """The concurrency of the highest throughput that was measured."""
    sentence: str
    """What the law says, or why it says nothing."""
    contention: float | None = None
    """σ of the fitted law; None, as those below, where the fit was refused."""
    coherency: float | None = None
    """κ."""
    r2: float | None = None
    peak: float | None = None
    """The concurrency at which throughput peaks by the law; None also where it never falls."""

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        return cls(**{**data, "levels": tuple(Level(**row) for row in data["levels"])})


def sweep_of(windows: Sequence[Any]) -> SweepRecord | None:
    """The sweep among the windows of a run (`record.WindowRecord`); None where there is none.

    The law is fitted to every window that is valid, not to medians: their scatter is what its R2 is about. Where the client was
    the limiter, throughput bends because of the generator: such a window is shown, and says nothing about the backend's law.
    """
    mine = _usable(windows)
    if not mine:
        return None
    levels = _levels(mine)
    ours = [window for window in mine if window.limiter == Limiter.CLIENT]
    theirs = [window for window in mine if window.limiter != Limiter.CLIENT]
    found = fit([Point(window.order["in_flight"], window.rates["achieved"]) for window in theirs])
    best = _best(levels)
    if not isinstance(found, Fit):
        return SweepRecord(levels, best, f"No law was fitted: {found.sentence}{_left_out(ours)}")
    peak = found.peak if math.isfinite(found.peak) else None
    sentence = found.sentence + _left_out(ours)
    return SweepRecord(levels, best, sentence, found.contention, found.coherency, found.r2, peak)


def best_of(windows: Sequence[Any]) -> int | None:
    """The best concurrency by itself, before there is a record: no law is fitted. None where there is no sweep."""
    mine = _usable(windows)
    return _best(_levels(mine)) if mine else None


def _usable(windows: Sequence[Any]) -> list[Any]:
    return [window for window in windows if window.role == SWEEP and window.complete and not window.invalid]


def _levels(windows: Sequence[Any]) -> tuple[Level, ...]:
    return tuple(_level(number, windows) for number in sorted({int(window.order["in_flight"]) for window in windows}))


def _best(levels: Sequence[Level]) -> int:
    return max(levels, key=lambda level: level.throughput).in_flight


def _left_out(windows: Sequence[Any]) -> str:
    """What to add to the sentence about the law where these windows are not in it, because the client was their limiter."""
    if not windows:
        return ""
    levels = ", ".join(map(str, sorted({int(window.order["in_flight"]) for window in windows})))
    those = "1 window" if len(windows) == 1 else f"{len(windows)} windows"
    return f" Left out: {those} with {levels} in flight, whose limiter was the client (the generator, not the backend)."


def _level(in_flight: int, windows: Sequence[Any]) -> Level:
    mine = sorted(
        (window for window in windows if window.order["in_flight"] == in_flight),
        key=lambda window: float(window.rates["achieved"]),
    )
    middle = mine[(len(mine) - 1) // 2]
    return Level(
        in_flight,
        median(float(window.rates["achieved"]) for window in mine),
        len(mine),
        middle.latency["intended"].p50,
        min((str(window.limiter) for window in mine), key=LIMITERS.index),
    )
