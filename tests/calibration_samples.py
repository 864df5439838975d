"""Generators, good and bad: each turns what a stub server does into what it says that it saw. No clock, no server."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Sequence

from stackproof.measurement.calibration import CalibrationVerdict, Form, NullFigures, Observed, Shown, Trial, judge
from stackproof.scenarios.histogram import Histogram
from stackproof.scenarios.recorder import Recorder
from stackproof.scenarios.stub import Truth

NULL = NullFigures(rate=200.0, held=True, offered=200, ok=200, lag_p50=3e-5, lag_p99=1e-4, cpu_us_per_operation=20.0)
OWN = 0.000_23
"""What a client adds, in the median."""
STUB_LATE = 0.000_02


Generator = Callable[[Trial, float, random.Random], tuple[list[float], int]]
"""Trial, own time, noise -> latencies, and requests that reached the stub."""


def noise(source: random.Random, own: float) -> float:
    return own * source.lognormvariate(0.0, 0.15)


def opened(trial: Trial, own: float, source: random.Random) -> tuple[list[float], int]:
    """As it should be."""
    found = [trial.injection.answered(due) - due + STUB_LATE + noise(source, own) for due in trial.intended()]
    return found, len(found)


def closed(trial: Trial, own: float, source: random.Random) -> tuple[list[float], int]:
    """Waits for each answer before it sends again, and forgets what was due meanwhile (coordinated omission)."""
    now, gap, found = 0.0, 1 / trial.rate, []
    while now < trial.seconds:
        latency = trial.injection.answered(now) - now + STUB_LATE + noise(source, own)
        found.append(latency)
        now = max(now + latency, now + gap)
    return found, len(found)


def caught_up(trial: Trial, own: float, source: random.Random) -> tuple[list[float], int]:
    """Sends all that was due, but counts from when it really sent it."""
    free, found = 0.0, []
    for due in trial.intended():
        sent = max(due, free)
        free = trial.injection.answered(sent) + STUB_LATE + noise(source, own)
        found.append(free - sent)
    return found, len(found)


def averaged(trial: Trial, own: float, source: random.Random) -> tuple[list[float], int]:
    """Keeps the mean of each twenty samples."""
    found, count = opened(trial, own, source)
    means = [statistics.fmean(found[at : at + 20]) for at in range(0, len(found), 20)]
    return [mean for mean in means for _ in range(20)][: len(found)], count


def averaged_percentiles(trial: Trial, own: float, source: random.Random) -> tuple[list[float], int]:
    """Gives the mean of the p99 of ten parts as the p99: ten parts in which all but the mean is as it was."""
    found, count = opened(trial, own, source)
    size = len(found) // 10
    parts = [sorted(found[at : at + size]) for at in range(0, size * 10, size)]
    p99 = statistics.fmean(part[math.ceil(size * 0.99) - 1] for part in parts)
    whole = sorted(found)
    keep = math.ceil(len(whole) * 0.98)
    return whole[:keep] + [p99] * (len(whole) - keep - 1) + whole[-1:], count


def rounded(trial: Trial, own: float, source: random.Random) -> tuple[list[float], int]:
    """Counts in whole milliseconds."""
    found, count = opened(trial, own, source)
    return [round(latency * 1000) / 1000 for latency in found], count


def cut(trial: Trial, own: float, source: random.Random) -> tuple[list[float], int]:
    """Cuts to whole milliseconds."""
    found, count = opened(trial, own, source)
    return [math.floor(latency * 1000) / 1000 for latency in found], count


def capped(trial: Trial, own: float, source: random.Random) -> tuple[list[float], int]:
    """Has a histogram that ends too early."""
    found, count = opened(trial, own, source)
    return [min(latency, trial.injection.stall * 0.8 or latency) for latency in found], count


def shifted(trial: Trial, own: float, source: random.Random) -> tuple[list[float], int]:
    """Adds ten milliseconds to everything, so that differences are right."""
    found, count = opened(trial, own, source)
    return [latency + 0.01 for latency in found], count


def stretched(trial: Trial, own: float, source: random.Random) -> tuple[list[float], int]:
    """Has a clock that runs a tenth too fast."""
    found, count = opened(trial, own, source)
    return [latency * 1.1 for latency in found], count


def halved(trial: Trial, own: float, source: random.Random) -> tuple[list[float], int]:
    """Records the time of half the way."""
    found, count = opened(trial, own, source)
    return [latency / 2 for latency in found], count


def truth_of(trial: Trial, arrivals: int, late: float = STUB_LATE) -> Truth:
    lateness = Histogram()
    for _ in range(arrivals):
        lateness.record(late)
    return Truth(trial.injection, arrivals, arrivals, 0, 0, Histogram(), lateness)


def observed_of(latencies: Sequence[float]) -> Observed:
    recorder = Recorder()
    for latency in latencies:
        recorder.offer(0.0)
        recorder.succeed(0.0, latency, latency)
    return Observed.of(recorder)


def shown_by(generator: Generator, trial: Trial, own: float, seed: int) -> Shown:
    latencies, arrivals = generator(trial, own, random.Random(seed))
    return Shown(trial, observed_of(latencies), truth_of(trial, arrivals))


def verdict_on(generator: Generator, form: Form, own: float = OWN, seed: int = 1) -> CalibrationVerdict:
    pairs = [
        (shown_by(generator, form.base(rate), own, seed), shown_by(generator, form.stalled(rate), own, seed))
        for rate in form.rates
    ]
    return judge(form.name, NULL, pairs)
