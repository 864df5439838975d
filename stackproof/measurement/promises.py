"""Latency promises such as p99=20ms, and whether a run kept them. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stackproof.interfaces import ConfigurationError
from stackproof.scenarios.recorder import Recorder

from .figures import NEVER_MS, unanswered_percentile

_UNITS = (("ms", 1.0), ("s", 1000.0))
AGREED = 4
"""Windows that disagree say something where so many times as many say the one as say the other; as in a search."""


@dataclass(frozen=True, slots=True)
class Promise:
    """A latency promise such as p99=20ms."""

    percentile: float
    limit_ms: float

    @classmethod
    def parse(cls, text: str) -> Promise:
        """From ``p99=20ms`` or ``p99.9=0.5s``; a `ConfigurationError` for anything else."""
        name, equals, value = text.strip().lower().partition("=")
        unit, factor = next((each for each in _UNITS if value.endswith(each[0])), ("", math.nan))
        try:
            percentile, limit = float(name.removeprefix("p")), float(value.removesuffix(unit)) * factor
        except ValueError:
            percentile, limit = 50.0, math.nan
        if not (equals and name.startswith("p") and 0 < percentile < 100 and 0 < limit < math.inf):
            below = "; a percentile lies above 0 and below 100" if not 0 < percentile < 100 else ""
            raise ConfigurationError(f"--slo {text!r} must look like p99=20ms{below}")
        return cls(percentile, limit)

    @property
    def name(self) -> str:
        return f"p{self.percentile:g} within {self.limit_ms:g} ms"

    @property
    def text(self) -> str:
        """As it is typed."""
        return f"p{self.percentile:g}={self.limit_ms:g}ms"


@dataclass(frozen=True, slots=True)
class PromiseResult:
    """Whether a promise was kept, from the intended start, every decision counted."""

    percentile: float
    limit_ms: float
    seen_ms: float | None
    """None where that share of decisions was never answered, or the sample is too small."""
    verdict: str
    """held, missed, or unknown: the sample is too small, or the windows do not agree."""
    windows: int = 1
    """How many windows it was judged over."""
    missed: int = 0
    """In how many of them it was missed; the others held it, or had too few operations to tell."""
    least_ms: float | None = None
    """Of the windows; None where that share was answered in none of them, or the sample is too small."""
    most_ms: float | None = None
    """Of the windows; None where in one of them that share was never answered, or the sample is too small."""

    @property
    def name(self) -> str:
        return Promise(self.percentile, self.limit_ms).name


def tightest_seconds(promises: Iterable[Promise]) -> float | None:
    """Seconds after which an answer is late: the tightest promise; None where nothing is promised."""
    return min((promise.limit_ms / 1000 for promise in promises), default=None)


def judged(promise: Promise, recorder: Recorder) -> PromiseResult:
    """Whether one window kept it."""
    seen = unanswered_percentile(recorder, promise.percentile)
    verdict = "unknown" if seen is None else "held" if seen <= promise.limit_ms else "missed"
    shown = _finite(seen)
    missed = int(verdict == "missed")
    return PromiseResult(
        promise.percentile, promise.limit_ms, shown, verdict, missed=missed, least_ms=shown, most_ms=shown
    )


def judged_over(promise: Promise, windows: Sequence[Recorder]) -> PromiseResult:
    """Whether a run kept it. Its windows are never put together: a good one would make up for a bad one.

    Held or missed where all windows say so, or where they say so four times as often as not and the interval of their median
    lies on that side as well; else nobody can tell. A window with too few operations for the percentile tells nothing.
    """
    if len(windows) < 2:
        return judged(promise, windows[0] if windows else Recorder())
    values = [unanswered_percentile(window, promise.percentile) for window in windows]
    known = [min(value, NEVER_MS) for value in values if value is not None]
    missed = sum(value > promise.limit_ms for value in known)
    # Where some say nothing, the others are a choice: their least and most would be told as those of the run.
    whole = sorted(known) if len(known) == len(values) else []
    return PromiseResult(
        promise.percentile,
        promise.limit_ms,
        _finite(statistics.median(whole)) if whole else None,
        _over(promise, whole, missed) if whole else "unknown",
        len(values),
        missed,
        _finite(whole[0]) if whole else None,
        _finite(whole[-1]) if whole else None,
    )


def _over(promise: Promise, values: Sequence[float], missed: int) -> str:
    """The verdict over at least two windows, of each of which it is known whether it kept the promise."""
    held = len(values) - missed
    if not missed or not held:
        return "missed" if missed else "held"
    most, least = max(held, missed), min(held, missed)
    if most < AGREED * least:
        return "unknown"
    from .statistics import bootstrap  # scipy takes its time to import

    interval = bootstrap(values)
    if interval is not None and held > missed and interval.high <= promise.limit_ms:
        return "held"
    return "missed" if interval is not None and held < missed and interval.low > promise.limit_ms else "unknown"


def _finite(value: float | None) -> float | None:
    return value if value is not None and value < NEVER_MS else None
