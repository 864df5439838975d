"""What a run records: latencies as histograms, counters that add up, a series by the second. Mergeable and serialisable.

All times are in microseconds. Every offered decision ends as exactly one of ok, failed or dropped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from hdrh.histogram import HdrHistogram

LONGEST = 3_600_000_000
"""An hour: what takes longer counts as an hour."""

LATE_SECONDS = 0.010
"""A decision that was sent this much after its intended start counts as late: the generator could not keep up."""

TAIL_SAMPLES = 5
"""A percentile is shown only where at least this many samples lie above it: p99 from 500 samples, p99.9 from 5,000."""

CURVE = (0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.8, 99.9, 99.95, 99.98, 99.99, 99.995, 99.999)


class Histogram:
    """Durations with a resolution of a microsecond and three (or fewer) significant digits."""

    def __init__(self, digits: int = 3) -> None:
        self._digits = digits
        self._counts = HdrHistogram(1, LONGEST, digits)

    def record(self, seconds: float) -> None:
        """Add one duration; a negative one (a clock that was read in the wrong order) is an error."""
        microseconds = round(seconds * 1e6)
        if microseconds < 0:
            raise ValueError(f"a duration cannot be negative: {seconds}")
        self._counts.record_value(min(microseconds, LONGEST))

    @property
    def count(self) -> int:
        return int(self._counts.get_total_count())

    @property
    def largest(self) -> float:
        """The longest duration in seconds, 0 where there is none."""
        return float(self._counts.get_max_value()) / 1e6 if self.count else 0.0

    def percentiles(self, wanted: Sequence[float]) -> dict[float, float]:
        """Seconds at each percentile, whether or not there are samples enough for it."""
        if not self.count:
            return {}
        found = self._counts.get_percentile_to_value_dict(list(wanted))
        return {percentile: min(value / 1e6, self.largest) for percentile, value in sorted(found.items())}

    def percentile(self, wanted: float) -> float | None:
        """Seconds at one percentile; None where the sample does not support it."""
        return self.percentiles([wanted])[wanted] if supported(self.count, wanted) else None

    def curve(self) -> list[tuple[float, float]]:
        """Percentile and seconds, up to where the sample ends, and the longest as 100."""
        if not self.count:
            return []
        within = [percentile for percentile in CURVE if supported(self.count, percentile)]
        return [*self.percentiles(within).items(), (100.0, self.largest)]

    def add(self, other: Histogram) -> None:
        """Merge: the only right way to put percentiles of several windows or workers together."""
        self._counts.add(other._counts)

    def encoded(self) -> str:
        """As text, in HdrHistogram's own exchange format (V2, compressed, base64)."""
        return str(self._counts.encode().decode("ascii"))

    @classmethod
    def decoded(cls, text: str, digits: int = 3) -> Self:
        histogram = cls(digits)
        histogram._counts.decode_and_add(text)
        return histogram


def supported(samples: int, percentile: float) -> bool:
    """Whether a sample of this size says anything about a percentile."""
    return samples > 0 and round(samples * (100.0 - percentile) / 100.0, 6) >= TAIL_SAMPLES


@dataclass(slots=True)
class Second:
    """One second of the run, by the intended start of its decisions."""

    offered: int = 0
    ok: int = 0
    failed: int = 0
    dropped: int = 0
    latency: Histogram = field(default_factory=lambda: Histogram(digits=2))
    """Of the decisions that ended well, from their intended start."""


@dataclass(slots=True)
class Recorder:
    """The record of one window of load."""

    intended: Histogram = field(default_factory=Histogram)
    """Latency from the intended start: what a user would have waited."""
    real: Histogram = field(default_factory=Histogram)
    """Latency from the real start: without the time that the generator was late."""
    lag: Histogram = field(default_factory=Histogram)
    """Send lag: real start minus intended start, of every decision that was started."""
    steps: dict[str, Histogram] = field(default_factory=dict)
    """Service time of each step, by its name."""
    offered: int = 0
    ok: int = 0
    failed: int = 0
    dropped: int = 0
    late: int = 0
    """Started more than `LATE_SECONDS` after the intended start; they are also counted as ok or failed."""
    errors: Counter[str] = field(default_factory=Counter)
    """Failed decisions by step and type of error."""
    series: dict[int, Second] = field(default_factory=dict)

    def offer(self, offset: float) -> None:
        """A decision is due, ``offset`` seconds into the window."""
        self.offered += 1
        self._second(offset).offered += 1

    def drop(self, offset: float) -> None:
        """It could not be started: too many were in flight."""
        self.dropped += 1
        self._second(offset).dropped += 1

    def sent(self, lag: float) -> None:
        """It was started, ``lag`` seconds after it was due."""
        self.lag.record(lag)
        self.late += lag > LATE_SECONDS

    def succeed(self, offset: float, from_intended: float, from_real: float) -> None:
        """It ended well."""
        self.ok += 1
        self.intended.record(from_intended)
        self.real.record(from_real)
        second = self._second(offset)
        second.ok += 1
        second.latency.record(from_intended)

    def fail(self, offset: float, error: str) -> None:
        """It ended with an error, or with a wrong answer, or not at all."""
        self.failed += 1
        self.errors[error] += 1
        self._second(offset).failed += 1

    def step(self, name: str, seconds: float) -> None:
        """One execution of a step ended well after ``seconds``."""
        histogram = self.steps.get(name)
        if histogram is None:
            histogram = self.steps[name] = Histogram()
        histogram.record(seconds)

    @property
    def adds_up(self) -> bool:
        """Whether every offered decision has exactly one end, in sum and in each second."""
        return self.offered == self.ok + self.failed + self.dropped and all(
            second.offered == second.ok + second.failed + second.dropped for second in self.series.values()
        )

    def merge(self, other: Recorder) -> None:
        """Add the record of another worker of the same window."""
        for mine, theirs in ((self.intended, other.intended), (self.real, other.real), (self.lag, other.lag)):
            mine.add(theirs)
        for name, histogram in other.steps.items():
            self.steps.setdefault(name, Histogram()).add(histogram)
        self.offered += other.offered
        self.ok += other.ok
        self.failed += other.failed
        self.dropped += other.dropped
        self.late += other.late
        self.errors.update(other.errors)
        for number, second in other.series.items():
            mine_too = self.series.setdefault(number, Second())
            mine_too.offered += second.offered
            mine_too.ok += second.ok
            mine_too.failed += second.failed
            mine_too.dropped += second.dropped
            mine_too.latency.add(second.latency)

    def to_data(self) -> dict[str, Any]:
        """As values that JSON can hold."""
        return {
            "offered": self.offered,
            "ok": self.ok,
            "failed": self.failed,
            "dropped": self.dropped,
            "late": self.late,
            "errors": dict(sorted(self.errors.items())),
            "intended": self.intended.encoded(),
            "real": self.real.encoded(),
            "lag": self.lag.encoded(),
            "steps": {name: histogram.encoded() for name, histogram in self.steps.items()},
            "series": [
                {
                    "second": number,
                    "offered": second.offered,
                    "ok": second.ok,
                    "failed": second.failed,
                    "dropped": second.dropped,
                    "latency": second.latency.encoded(),
                }
                for number, second in sorted(self.series.items())
            ],
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """The recorder whose `to_data` this is."""
        return cls(
            intended=Histogram.decoded(data["intended"]),
            real=Histogram.decoded(data["real"]),
            lag=Histogram.decoded(data["lag"]),
            steps={name: Histogram.decoded(text) for name, text in data["steps"].items()},
            offered=data["offered"],
            ok=data["ok"],
            failed=data["failed"],
            dropped=data["dropped"],
            late=data["late"],
            errors=Counter(data["errors"]),
            series={
                row["second"]: Second(
                    row["offered"], row["ok"], row["failed"], row["dropped"], Histogram.decoded(row["latency"], 2)
                )
                for row in data["series"]
            },
        )

    def _second(self, offset: float) -> Second:
        number = int(offset)
        found = self.series.get(number)
        if found is None:
            found = self.series[number] = Second()
        return found
