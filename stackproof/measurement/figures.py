"""Percentiles as they are published: in milliseconds, and only where the sample supports them. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stackproof.scenarios.histogram import LONGEST, Histogram, supported
from stackproof.scenarios.recorder import Recorder

NEVER_MS = LONGEST / 1000
"""A share of operations that was never answered counts as the longest latency that is recorded, an hour: so it has a place among
those that were."""
PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99_9": 99.9}


@dataclass(frozen=True, slots=True)
class Figures:
    """Percentiles of one kind of duration."""

    count: int
    p50: float | None
    p90: float | None
    p99: float | None
    p99_9: float | None
    largest: float | None


def unanswered_percentile(recorder: Recorder, percentile: float) -> float | None:
    """Milliseconds within which this share of *all offered* decisions ended well; infinity where fewer ever did.

    A decision that was dropped or failed has no latency. Left out, it would make the rest look good. None: sample too small.
    """
    if not supported(recorder.offered, percentile):
        return None
    share_of_ok = percentile * recorder.offered / recorder.answered if recorder.answered else math.inf
    if share_of_ok > 100.0:
        return math.inf
    return milliseconds(recorder.intended.percentiles([share_of_ok])[share_of_ok])


def counted(recorder: Recorder) -> Figures:
    found = {name: unanswered_percentile(recorder, percentile) for name, percentile in PERCENTILES.items()}
    finite = {name: value if value is not None and value < math.inf else None for name, value in found.items()}
    complete = recorder.answered == recorder.offered and recorder.answered
    return Figures(recorder.offered, **finite, largest=milliseconds(recorder.intended.largest) if complete else None)


def figures_of(histogram: Histogram) -> Figures:
    found = {
        name: None if (seconds := histogram.percentile(percentile)) is None else milliseconds(seconds)
        for name, percentile in PERCENTILES.items()
    }
    return Figures(histogram.count, **found, largest=milliseconds(histogram.largest) if histogram.count else None)


def milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
