"""How the figures of a run scatter over its windows, and whether each window had come to rest. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .record import WindowRecord

LEAST_WINDOWS = 3
"""Fewer windows say nothing about scatter; for an interval to rely on, take five or more."""

METRICS: dict[str, tuple[str, Callable[[WindowRecord], float | None]]] = {
    "p50": ("ms", lambda window: window.latency["counted"].p50),
    "p99": ("ms", lambda window: window.latency["counted"].p99),
    "achieved": ("1/s", lambda window: window.rates["achieved"]),
    "client CPU": ("us an operation", lambda window: window.client["cpu_us_per_operation"]),
}


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure over the windows of a run: never a bare mean."""

    metric: str
    unit: str
    windows: int
    """How many windows had it; a percentile that one of them has no sample for is not in."""
    median: float
    low: float | None
    """Of the bootstrap interval of the median; None for equal windows."""
    high: float | None
    variation: float | None
    """Standard deviation over mean."""
    noisy: bool
    """Whether the variation is above 10 %."""

    @property
    def sentence(self) -> str:
        """For a reader of the run, where it is noisy."""
        assert self.variation is not None
        return f"{self.metric} varies by {self.variation:.0%} from window to window: take its interval, not its median."


def spread_of(windows: Sequence[WindowRecord]) -> tuple[Spread, ...]:
    """Each figure that at least three windows have."""
    if len(windows) < LEAST_WINDOWS:
        return ()
    from .statistics import bootstrap, is_noisy, median, variation  # scipy takes its time to import

    found = []
    for metric, (unit, value_of) in METRICS.items():
        values = [value for window in windows if (value := value_of(window)) is not None]
        middle = median(values)
        if len(values) < LEAST_WINDOWS or middle is None:
            continue
        interval = bootstrap(values)
        low, high = (interval.low, interval.high) if interval is not None else (None, None)
        found.append(Spread(metric, unit, len(values), middle, low, high, variation(values), is_noisy(values)))
    return tuple(found)


def restless(windows: Sequence[WindowRecord]) -> list[str]:
    """A sentence for each window whose latency had not come to rest: longer warm-up, or a system that is filling up."""
    from .statistics import Steady, steadiness

    found = []
    for number, window in enumerate(windows, start=1):
        state = steadiness([row["p50"] for row in window.series])
        if state.state is Steady.NOT_STEADY:
            which = f"window {number}" if len(windows) > 1 else "the window"
            found.append(f"Not steady: the p50 of {which} had not come to rest. {state.sentence}")
    return found
