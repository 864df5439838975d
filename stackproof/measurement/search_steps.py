"""What the parts of the planner share: what is known from the journal so far, and how a step is made. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .promises import Promise
from .search_evidence import most_places
from .search_journal import Entry, Journal, Limiter, Role, SearchSettings, Seen, Step, Verdict

PROMISE_FACTOR, PROMISE_LEAST_MS = 20.0, 10.0
SUPPORT = 5.5
"""Samples beyond a percentile that a window is planned for; a few more than `recorder.TAIL_SAMPLES`."""
MOST_GROWTH = 4


@dataclass(frozen=True, slots=True)
class End:
    """Nothing is left to do, and why. Without a limiter, what failed at the upper end of the bracket says it."""

    reasons: tuple[str, ...]
    limiter: Limiter | None = None


Decision = Step | End | None
"""None: this part of the plan is done, the next one decides."""


def spent(journal: Journal) -> float:
    """Seconds of wall time that the search has used."""
    return sum(entry.took for entry in journal)


def held_as(entry: Entry, role: Role) -> bool:
    return entry.step.role is role and entry.verdict is Verdict.HOLDS


def generator_ceiling(journal: Journal) -> float | None:
    """The highest rate that the generator held with a step that does nothing."""
    return max((entry.step.rate for entry in journal if held_as(entry, Role.CALIBRATION)), default=None)


def base_service(journal: Journal) -> Seen | None:
    """What the last idle probe that held saw."""
    return next((entry.seen for entry in reversed(journal) if held_as(entry, Role.PROBE)), None)


def idle_service(journal: Journal) -> float | None:
    """Median of the service time of the idle server, ms; also where that alone already breaks a promise."""
    probes = (entry for entry in reversed(journal) if entry.step.role is Role.PROBE)
    shown = (entry for entry in probes if entry.verdict is Verdict.HOLDS or entry.cause == Limiter.SLO)
    return next((entry.seen.service_p50_ms for entry in shown), None)


def promises_of(journal: Journal, settings: SearchSettings) -> tuple[Promise, ...]:
    """What has to be kept. Where nobody promised anything: p99 within 20 times the median of the base service time, and at
    least 10 ms, rounded up to 1, 2 or 5 times a power of ten so that searches of the same backend ask for the same.
    Nothing is promised before the service time is known.
    """
    base = base_service(journal)
    if settings.promises or base is None:
        return settings.promises
    wanted = max(PROMISE_LEAST_MS, PROMISE_FACTOR * (base.service_p50_ms or 0.0))
    scale = 10.0 ** math.floor(math.log10(wanted))
    return (Promise(99.0, next(n * scale for n in (1, 2, 5, 10) if n * scale >= wanted * 0.999)),)


def samples_needed(journal: Journal, settings: SearchSettings) -> float:
    """Operations that a window needs for the percentiles that are promised."""
    return max(
        (SUPPORT / (1.0 - promise.percentile / 100.0) for promise in promises_of(journal, settings)), default=1.0
    )


def limits(journal: Journal, settings: SearchSettings) -> tuple[float, float]:
    """The lowest rate of which a window has samples enough, and the highest that the generator may offer."""
    generator = generator_ceiling(journal) or settings.fastest
    return samples_needed(journal, settings) / settings.longest, rounded(settings.reach * generator)


def window_at(journal: Journal, settings: SearchSettings, rate: float) -> float:
    """Seconds of a window: longer with each bisection so far, and long enough for the percentiles that are promised."""
    bisections = sum(entry.step.role is Role.BISECT for entry in journal)
    grown = settings.window * settings.growth ** min(bisections, MOST_GROWTH)
    return min(settings.longest, max(grown, samples_needed(journal, settings) / rate))


def make_step(
    journal: Journal,
    settings: SearchSettings,
    role: Role,
    rate: float,
    why: str,
    *,
    seconds: float | None = None,
    warmup: float | None = None,
    in_flight: int | None = None,
    expects: str = "",
) -> Step:
    """The next step; where nothing else is said, with the window, warm-up and places in flight that are due by now."""
    null = role is Role.CALIBRATION
    return Step(
        number=len(journal) + 1,
        role=role,
        rate=rate,
        seconds=round(window_at(journal, settings, rate) if seconds is None else seconds, 2),
        warmup=(0.0 if null else settings.warmup) if warmup is None else warmup,
        in_flight=in_flight or max(settings.in_flight, most_places(journal)),
        target="null" if null else "backends",
        why=why,
        expects=expects,
    )


def rounded(rate: float) -> float:
    """Three digits: more would claim a precision that no window has."""
    return float(f"{rate:.3g}")
