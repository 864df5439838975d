"""Self-calibration: what a generator must see of a stub server whose service time and stall are known, and whether it did.

Pure. The expectation is the latency of each arrival of the schedule from its intended start, computed from what was injected;
no code of the generator or of the recorder takes part in it. What is not recovered within its tolerance is not published.

Three windows make one calibration at a rate:

- *null*: a step that does nothing, at the rate that is asked for: can the generator hold the schedule at all?
- *base*: the stub answers after 0.5 ms. What is seen beyond that is the client's *own time*: the driver, waking up, send lag. It
  belongs to every latency that this client sees, and is shown; it is no error of the measurement.
- *stall*: the stub answers after 2 ms, and for a while not at all. p50, p99 and the longest latency must be those injected and
  the client's own time, within 5 % of both, and nothing may be missing.

Base and stall differ by 1.5 ms on purpose: who counts in whole milliseconds cannot see that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from stackproof.interfaces import ConfigurationError
from stackproof.scenarios.arrivals import schedule_of
from stackproof.scenarios.histogram import supported
from stackproof.scenarios.recorder import Recorder
from stackproof.scenarios.stub import Injection, Truth

TOLERANCE = 0.05
"""Share of the expected value that the recovered one may differ by, besides what the stub itself admits."""
SERVICE_SECONDS = 0.002
BASE_SECONDS = 0.0005
"""The service time of the base window. Not a whole number of milliseconds away from `SERVICE_SECONDS`."""
OWN_LIMIT = 0.001
"""A client whose own time is longer than this is no measure of services of a few milliseconds."""
LEEWAY_SECONDS = 0.1
"""Places are there for so long a hiccup: a dropped arrival has no latency."""
STARVED_SHARE = 0.5
"""A gap in which the generator used less than this share of a processor is the machine's doing."""
PRESSURE_LIMIT = 0.25
"""A machine on which somebody waits for a processor for more than this share of the time makes latencies of its own."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One window on the stub server."""

    rate: float
    """Requests that are due each second."""
    seconds: float
    injection: Injection
    arrivals: str = "constant"
    seed: int = 7

    def intended(self) -> list[float]:
        """When each request is due, in seconds after the beginning of the window."""
        schedule, found = schedule_of(self.arrivals, self.rate, self.seed), list[float]()
        while (due := schedule.intended(len(found))) < self.seconds:
            found.append(due)
        return found

    @property
    def in_flight(self) -> int:
        """Places that are needed so that no arrival is dropped while nothing is answered."""
        return math.ceil(self.rate * (self.injection.stall + self.injection.service + LEEWAY_SECONDS)) + 64


def arrivals_at(rate: float) -> str:
    """How requests arrive in the windows on the stub.

    Where several are in flight at once, equal gaps make every answer meet the next request in step, as the service time is a
    multiple of the gap: each latency would hold what the client does for another request. Random gaps let them meet by chance.
    """
    return "poisson" if rate * SERVICE_SECONDS >= 1 else "constant"


@dataclass(frozen=True, slots=True)
class Form:
    """How thoroughly a calibration is done. Times are seconds."""

    name: str
    rates: tuple[float, ...]
    """Of the windows on the stub, requests a second."""
    null_seconds: float
    base_seconds: float
    stall_seconds: float
    """Length of the window with the stall; the stall is in its middle."""
    stall: float

    def base(self, rate: float) -> Trial:
        return Trial(rate, self.base_seconds, Injection(BASE_SECONDS), arrivals_at(rate))

    def stalled(self, rate: float) -> Trial:
        begins = (self.stall_seconds - self.stall) / 2
        trial = Trial(rate, self.stall_seconds, Injection(SERVICE_SECONDS, begins, self.stall), arrivals_at(rate))
        if not supported(len(trial.intended()), 99.0):
            raise ConfigurationError(f"{rate:g}/s for {self.stall_seconds:g} s is too short for a p99")
        return trial


def quick_form(rate: float) -> Form:
    """Before each measurement, in about five seconds. The stub's rate is near the one asked for, where that is possible:
    below 200/s there would be no p99, above 500/s the windows would have to wait for too many connections."""
    return Form("quick", (min(max(rate, 200.0), 500.0),), 1.0, 0.8, 2.6, 0.25)


FULL = Form("full", (200.0, 2000.0), 2.0, 2.0, 10.0, 1.0)
"""What `stackproof calibrate` does."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What an ideal observer sees from the intended start: a client without own time, a stub that is never late. Seconds."""

    count: int
    p50: float
    p99: float
    largest: float


def expected_of(intended: Sequence[float], injection: Injection) -> Expected:
    """The exact distribution for these intended starts. Percentiles are by nearest rank, as a histogram's are."""
    latencies = sorted(injection.answered(due) - due for due in intended)

    def at(percentile: float) -> float:
        return latencies[max(0, math.ceil(len(latencies) * percentile / 100.0 - 1e-9) - 1)]

    return Expected(len(latencies), at(50.0), at(99.0), latencies[-1])


@dataclass(frozen=True, slots=True)
class Observed:
    """What a generator says that it saw in one window. Seconds."""

    offered: int
    ok: int
    samples: int
    """In its histogram of latencies from the intended start."""
    p50: float
    p99: float
    largest: float
    starved: float = 0.0
    """The longest time in which the machine gave it no processor."""
    pressure: float = 0.0
    """Share of the time in which somebody on the machine waited for a processor, as the kernel tells."""

    @classmethod
    def of(cls, recorder: Recorder, starved: float = 0.0, pressure: float = 0.0) -> Self:
        found = recorder.intended.percentiles([50.0, 99.0]) or {50.0: math.nan, 99.0: math.nan}
        return cls(
            offered=recorder.offered,
            ok=recorder.answered,
            samples=recorder.intended.count,
            p50=found[50.0],
            p99=found[99.0],
            largest=recorder.intended.largest,
            starved=starved,
            pressure=pressure,
        )


@dataclass(frozen=True, slots=True)
class NullFigures:
    """What the step that does nothing showed about the generator itself."""

    rate: float
    held: bool
    offered: int
    ok: int
    lag_p50: float
    """Seconds from the intended to the real start."""
    lag_p99: float
    cpu_us_per_operation: float
    starved: bool = False
    """Whether the machine withheld the processor meanwhile."""

    @property
    def ceiling(self) -> float:
        """Operations a second at which one core would be used up by offering them; 0 where that is not known."""
        return 1e6 / self.cpu_us_per_operation if self.cpu_us_per_operation else 0.0

    def to_data(self) -> dict[str, Any]:
        """As values that JSON can hold; times in milliseconds."""
        data = {
            name: getattr(self, name) for name in ("rate", "held", "offered", "ok", "cpu_us_per_operation", "ceiling")
        }
        return {**data, "lag_p50_ms": _milliseconds(self.lag_p50), "lag_p99_ms": _milliseconds(self.lag_p99)}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure: injected, expected with the client's own time, allowed, recovered. Seconds."""

    rate: float
    figure: str
    """p50, p99 or largest."""
    injected: float
    own: float
    """The client's own time, which is part of every latency."""
    admitted: float
    """How late the stub itself was at this percentile."""
    recovered: float
    tolerance: float = TOLERANCE

    @property
    def least(self) -> float:
        return (self.injected + self.own) * (1 - self.tolerance)

    @property
    def most(self) -> float:
        return (self.injected + self.own + self.admitted) * (1 + self.tolerance)

    @property
    def holds(self) -> bool:
        return self.least <= self.recovered <= self.most  # false for nan

    @property
    def deviation(self) -> float:
        """Of what was recovered, from what had to be: what was injected, the client's own time, and up to as much as the stub
        admits, as a share of that. It holds exactly where this is within the tolerance."""
        least = self.injected + self.own
        if math.isnan(self.recovered):
            return math.nan
        due = min(max(self.recovered, least), least + self.admitted)
        return self.recovered / due - 1.0

    @property
    def admissible(self) -> bool:
        """Whether the stub was exact enough to be a witness of this figure."""
        return self.admitted <= self.tolerance * self.injected

    @property
    def sentence(self) -> str:
        """What was expected and what was seen, and what usually makes that."""
        told = (
            f"at {self.rate:g}/s the {_NAMES[self.figure]} from the intended start was {_ms(self.recovered)}, where "
            f"{_ms(self.injected)} were injected ({_ms(self.least)} to {_ms(self.most)} would do)"
        )
        if self.figure != "p50" and self.recovered < self.least / 2:
            return f"{told}: a generator that waits for answers before it sends, or that loses its slowest samples, shows this"
        return told


_NAMES = {"p50": "p50", "p99": "p99", "largest": "longest latency"}


@dataclass(frozen=True, slots=True)
class CalibrationVerdict:
    """Whether figures of this generator, on this machine, now, may be published."""

    form: str
    trusted: bool
    reasons: tuple[str, ...]
    """One sentence for each thing that was not as injected; empty where it is trusted."""
    starved: bool
    """Whether the machine withheld the processor meanwhile, as the stub or a gap shows: then it is worth repeating."""
    null: NullFigures
    own: Mapping[float, float]
    """Rate -> seconds of the client's own time."""
    comparisons: tuple[Comparison, ...]
    attempts: int = 1
    """How often it was done; this is the last one."""

    @property
    def near_miss(self) -> bool:
        """Whether nothing is wrong but a p50 that is out of bounds by less than the tolerance again.

        That is some 0.1 ms, which one busy moment of the machine makes, and which no fault of a generator keeps to: worth
        one more attempt, whose outcome counts.
        """
        missed = [one for one in self.comparisons if not one.holds]
        near = all(one.figure == "p50" and replace(one, tolerance=2 * one.tolerance).holds for one in missed)
        return bool(missed) and near and len(self.reasons) == len(missed)

    def to_data(self) -> dict[str, Any]:
        """As values that JSON can hold; times in milliseconds."""
        return {
            "form": self.form,
            "attempts": self.attempts,
            "trusted": self.trusted,
            "reasons": list(self.reasons),
            "starved": self.starved,
            "null": self.null.to_data(),
            "windows": [
                {
                    "rate": rate,
                    "own_ms": _milliseconds(own),
                    "figures": [_row(one) for one in self.comparisons if one.rate == rate],
                }
                for rate, own in self.own.items()
            ],
        }


def of_workers(verdicts: Sequence[CalibrationVerdict]) -> dict[str, Any]:
    """As `CalibrationVerdict.to_data`, where each worker was calibrated by itself: that of the worst, for no figure is better
    than its worst witness, with the reasons of all and a row for each of them under ``by_worker``."""
    worst = max(verdicts, key=lambda verdict: (not verdict.trusted, max(verdict.own.values(), default=math.inf)))
    rows = [
        {
            "trusted": one.trusted,
            "starved": one.starved,
            "own_ms": _milliseconds(max(one.own.values(), default=math.nan)),
        }
        for one in verdicts
    ]
    reasons = [f"worker {number}: {reason}" for number, one in enumerate(verdicts, 1) for reason in one.reasons]
    return {**worst.to_data(), "reasons": reasons, "by_worker": rows}


@dataclass(frozen=True, slots=True)
class Shown:
    """What one trial showed, from both sides."""

    trial: Trial
    observed: Observed
    truth: Truth


def judge(form: str, null: NullFigures, pairs: Sequence[tuple[Shown, Shown]]) -> CalibrationVerdict:
    """The verdict over the null step, and the base and stall windows at each rate."""
    reasons, comparisons, own = list(_about_null(null)), list[Comparison](), dict[float, float]()
    for base, stalled in pairs:
        rate = stalled.trial.rate
        own[rate] = own_time(base)
        reasons += [*_about_own(own[rate], rate), *_about_counts(base), *_about_counts(stalled)]
        found = compared(stalled, max(0.0, own[rate]))
        reasons += [sentence for one in found for sentence in _about(one)]
        comparisons += found
    starved = null.starved or any(_starved(shown) for pair in pairs for shown in pair)
    starved = starved or any(not one.admissible for one in comparisons)
    if reasons and starved:
        reasons.append("the machine withheld the processor meanwhile, so this says little: again on a quieter one")
    return CalibrationVerdict(form, not reasons, tuple(reasons), starved, null, own, tuple(comparisons))


def own_time(base: Shown) -> float:
    """Seconds that the client itself adds to a latency: the median of the base window beyond what the stub gave."""
    injected = expected_of(base.trial.intended(), base.trial.injection).p50
    return base.observed.p50 - injected - base.truth.admitted(50.0)


def compared(stalled: Shown, own: float) -> list[Comparison]:
    """p50, p99 and the longest latency of a window with a stall beside what was injected."""
    expected = expected_of(stalled.trial.intended(), stalled.trial.injection)
    return [
        Comparison(
            stalled.trial.rate,
            name,
            injected=getattr(expected, name),
            own=own,
            admitted=stalled.truth.admitted(percentile),
            recovered=getattr(stalled.observed, name),
        )
        for name, percentile in (("p50", 50.0), ("p99", 99.0), ("largest", 100.0))
    ]


def _about_null(null: NullFigures) -> Iterator[str]:
    if not null.held:
        yield (
            f"the generator cannot hold {null.rate:g}/s on this machine: of a step that does nothing, {null.ok} of "
            f"{null.offered} were done, or it took longer than planned"
        )


def _about_own(own: float, rate: float) -> Iterator[str]:
    if not own <= OWN_LIMIT:
        yield f"at {rate:g}/s the client itself adds {_ms(own)} to each latency, {_ms(OWN_LIMIT)} at most would do"
    elif own < -TOLERANCE * BASE_SECONDS:
        yield f"at {rate:g}/s latencies were shown that are {_ms(-own)} shorter than what the stub really took"


def _about_counts(shown: Shown) -> Iterator[str]:
    trial, seen, truth = shown.trial, shown.observed, shown.truth
    due, window = len(trial.intended()), f"at {trial.rate:g}/s for {trial.seconds:g} s"
    if seen.offered != due:
        yield f"{window} {due} requests were due, and {seen.offered} were offered: the schedule was not kept"
    if seen.ok != seen.offered:
        yield f"{window} {seen.offered - seen.ok} of {seen.offered} requests did not end well, though the stub refuses none"
    if seen.samples != seen.ok:
        yield f"{window} {seen.ok} requests ended well, and {seen.samples} latencies were recorded: samples are lost"
    if not truth.arrivals == truth.answers == seen.ok:
        yield f"{window} the stub saw {truth.arrivals} requests and answered {truth.answers}, the generator tells of {seen.ok}"
    if truth.troubles:
        yield f"the stub had trouble: {truth.troubles[0]}"


def _about(comparison: Comparison) -> Iterator[str]:
    if not comparison.admissible:
        yield (
            f"at {comparison.rate:g}/s the stub itself was {_ms(comparison.admitted)} late at its {_NAMES[comparison.figure]}: "
            "it is no witness"
        )
    if not comparison.holds:
        yield comparison.sentence


def _starved(shown: Shown) -> bool:
    seen, injection = shown.observed, shown.trial.injection
    return seen.pressure > PRESSURE_LIMIT or seen.starved > TOLERANCE * max(injection.stall, injection.service)


def _row(one: Comparison) -> dict[str, Any]:
    times = {name: _milliseconds(getattr(one, name)) for name in ("injected", "least", "most", "recovered", "admitted")}
    return {
        "figure": one.figure,
        **{f"{name}_ms": value for name, value in times.items()},
        "deviation": round(one.deviation, 4) if math.isfinite(one.deviation) else None,
        "holds": one.holds,
    }


def _milliseconds(seconds: float) -> float | None:
    return round(seconds * 1000, 3) if math.isfinite(seconds) else None


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.4g} ms"
