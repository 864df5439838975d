"""What a window of load records: latencies as histograms, counters that add up, a series by the second. Mergeable.

Every offered operation ends as exactly one of

- ok: it ended well (within the latency limit, if the order has one),
- late: it ended well, but after the latency limit,
- skipped: the generator came to it so long after its intended start that it was not sent any more,
- dropped: it was not sent because too many were in flight,
- failed: it ended with an error, with a wrong answer, or not at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from .histogram import Histogram

LATE_SECONDS = 0.010
"""An operation that was sent this much after its intended start was sent late: the generator could not keep up."""

OUTCOMES = ("ok", "late", "skipped", "dropped", "failed")


@dataclass(slots=True)
class Counts:
    """How what was offered ended."""

    offered: int = 0
    ok: int = 0
    late: int = 0
    skipped: int = 0
    dropped: int = 0
    failed: int = 0

    @property
    def answered(self) -> int:
        """Ended well, in time or not."""
        return self.ok + self.late

    @property
    def ended(self) -> int:
        """All that have an end, whichever."""
        return self.answered + self.skipped + self.dropped + self.failed

    @property
    def adds_up(self) -> bool:
        return self.offered == self.ended

    def add(self, other: Counts) -> None:
        for name in ("offered", *OUTCOMES):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def counts(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in ("offered", *OUTCOMES)}


@dataclass(slots=True)
class Second(Counts):
    """One second of the window, by the intended start of its operations."""

    latency: Histogram = field(default_factory=lambda: Histogram(digits=2))
    """Of the operations that ended well, from their intended start."""


@dataclass(slots=True)
class Recorder(Counts):
    """The record of one window of load."""

    limit: float | None = None
    """Seconds from the intended start beyond which an operation that ended well is late."""
    intended: Histogram = field(default_factory=Histogram)
    """Latency from the intended start: what a user would have waited."""
    real: Histogram = field(default_factory=Histogram)
    """Latency from the real start: without the time that the generator was late."""
    lag: Histogram = field(default_factory=Histogram)
    """Send lag: real start minus intended start, of every operation that was started."""
    steps: dict[str, Histogram] = field(default_factory=dict)
    """Service time of each step, by its name."""
    sent_late: int = 0
    """Started more than `LATE_SECONDS` after the intended start, whatever became of them."""
    errors: Counter[str] = field(default_factory=Counter)
    """Failed operations by step and type of error."""
    series: dict[int, Second] = field(default_factory=dict)

    def offer(self, offset: float) -> None:
        """An operation is due, ``offset`` seconds into the window."""
        self.offered += 1
        self._second(offset).offered += 1

    def drop(self, offset: float) -> None:
        """It could not be started: too many were in flight."""
        self.dropped += 1
        self._second(offset).dropped += 1

    def skip(self, offset: float) -> None:
        """It was not started: its time was long past."""
        self.skipped += 1
        self._second(offset).skipped += 1

    def sent(self, lag: float) -> None:
        """It was started, ``lag`` seconds after it was due."""
        self.lag.record(lag)
        if lag > LATE_SECONDS:
            self.sent_late += 1

    def succeed(self, offset: float, from_intended: float, from_real: float) -> None:
        """It ended well."""
        self.intended.record(from_intended)
        self.real.record(from_real)
        second = self._second(offset)
        second.latency.record(from_intended)
        if self.limit is not None and from_intended > self.limit:
            self.late += 1
            second.late += 1
        else:
            self.ok += 1
            second.ok += 1

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
        """Whether every offered operation has exactly one end, in sum and in each second."""
        return self.offered == self.ended and all(second.adds_up for second in self.series.values())

    def merge(self, other: Recorder) -> None:
        """Add the record of another worker of the same window."""
        for mine, theirs in ((self.intended, other.intended), (self.real, other.real), (self.lag, other.lag)):
            mine.add(theirs)
        for name, histogram in other.steps.items():
            self.steps.setdefault(name, Histogram()).add(histogram)
        self.add(other)
        self.sent_late += other.sent_late
        self.errors.update(other.errors)
        for number, second in other.series.items():
            mine_too = self.series.setdefault(number, Second())
            mine_too.add(second)
            mine_too.latency.add(second.latency)

    def to_data(self, seconds: Container[int] | None = None) -> dict[str, Any]:
        """As values that JSON can hold; of the series only these ``seconds``, where they are given."""
        return {
            **self.counts(),
            "sent_late": self.sent_late,
            "errors": dict(sorted(self.errors.items())),
            "intended": self.intended.encoded(),
            "real": self.real.encoded(),
            "lag": self.lag.encoded(),
            "steps": {name: histogram.encoded() for name, histogram in self.steps.items()},
            "series": [
                {"second": number, **second.counts(), "latency": second.latency.encoded()}
                for number, second in sorted(self.series.items())
                if seconds is None or number in seconds
            ],
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """The recorder whose `to_data` this is."""
        return cls(
            **_counts(data),
            intended=Histogram.decoded(data["intended"]),
            real=Histogram.decoded(data["real"]),
            lag=Histogram.decoded(data["lag"]),
            steps={name: Histogram.decoded(text) for name, text in data["steps"].items()},
            sent_late=data["sent_late"],
            errors=Counter(data["errors"]),
            series={
                row["second"]: Second(**_counts(row), latency=Histogram.decoded(row["latency"], 2))
                for row in data["series"]
            },
        )

    def _second(self, offset: float) -> Second:
        number = int(offset)
        found = self.series.get(number)
        if found is None:
            found = self.series[number] = Second()
        return found


def _counts(data: Mapping[str, Any]) -> dict[str, int]:
    return {name: int(data[name]) for name in ("offered", *OUTCOMES)}
