"""What the gate compares and what it answers: runs and their windows, metrics, and the comparison of two runs. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from .brackets import Bracket
from .ratio_verdicts import Verdict
from .statistics import Effect, Estimate


@dataclass(frozen=True, slots=True)
class Metric:
    """What can be compared: one number a window, above 0."""

    name: str
    unit: str
    meaning: str
    more_is_better: bool = False


METRICS = {
    metric.name: metric
    for metric in (
        Metric("p50", "ms", "latency from the intended start, every offered operation counted"),
        Metric("p90", "ms", "the same at 90 %"),
        Metric("p99", "ms", "the same at 99 %"),
        Metric("p99_9", "ms", "the same at 99.9 %"),
        Metric("achieved", "1/s", "operations that ended well, each second", more_is_better=True),
        Metric("cpu", "us", "processor time of the client for each operation"),
        Metric("ceiling", "1/s", "mid-point of the bracket that a search for the maximum found", more_is_better=True),
    )
}
DEFAULT = ("p50", "p99", "achieved", "cpu", "ceiling")
"""Compared where nothing else is asked for, and where either run has them."""


@dataclass(frozen=True, slots=True)
class Window:
    """One window of load, or one search for the maximum."""

    figures: Mapping[str, float | None]
    """By the name of the metric; None where the sample is too small for it."""
    offered: float | None = None
    """The rate that was offered, 1/s; None where load was not offered at a fixed rate."""
    pair: str = ""
    """The window of the other run with the same text here was taken just before or after this one; empty for none."""
    started: float | None = None
    """Seconds on a clock that both runs share: without it, nobody knows that two windows belong together."""
    bracket: Bracket | None = None
    """Of a search: the highest rate that held, and the lowest that failed."""
    missing: str = ""
    """Why a figure is None, where it is not for the size of the sample."""
    invalid: tuple[str, ...] = ()
    """Why its figures must not be used."""


@dataclass(frozen=True, slots=True)
class Run:
    """What the gate needs to know of a run. The first three mappings must be equal for two runs to be comparable."""

    id: str
    environment: Mapping[str, str]
    """Machine, kernel, interpreter, drivers."""
    workload: Mapping[str, str]
    """Scenario, sizes, rate, arrivals, duration; without the seed."""
    backends: Mapping[str, str]
    """What was measured, and the server behind it: ``cache=redis`` to a version, an image, an origin and a fidelity."""
    windows: tuple[Window, ...]
    seed: str = ""
    subject: Mapping[str, str] = field(default_factory=dict)
    """What a comparison is for, and may differ: the version of stackproof, digests of adapters."""
    invalid: tuple[str, ...] = ()
    """Why no figure of this run must be used."""
    checked: bool = True
    """Whether its generator was checked against a server of known speed, for all of its windows."""
    members: tuple[str, ...] = ()
    """Ids of the runs that it was put together from; empty where it is one."""
    began: frozenset[tuple[str, float]] = frozenset()
    """The id of the run, and when it was ordered, of each window of it and of its members: two runs never share one, whatever
    their directories are called. Empty: not known, and the ids alone have to tell them apart."""
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Server -> setting -> value: fsync, acks, replication. Of a server that both used, they must be equal, too."""
    unknown: frozenset[str] = frozenset()
    """Names in `environment`, or ``fsync of postgres``, whose value is not known, but why: never equal to anything."""


class Outcome(StrEnum):
    """About two runs."""

    NO_REGRESSION = "no regression"
    REGRESSION = "regression"
    CANNOT_TELL = "cannot tell"
    INVALID = "invalid"
    NO_DATA = "no data"
    OTHER = "other environment"


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that should be equal in both runs, and is not."""

    kind: str
    """environment, backend, seed or workload. The last is never accepted: it would compare two different questions."""
    name: str
    first: str
    second: str


ACCEPTABLE = ("environment", "backend", "seed")
SETTINGS = "settings"
"""Stands for all settings of a server, where none was kept."""


@dataclass(frozen=True, slots=True)
class Side:
    """One metric of one run over its windows, for people; the verdict does not rest on it."""

    windows: int
    median: float | None
    interval: Estimate | None
    """Bootstrap interval of the median; None for fewer than three windows, or equal ones."""
    variation: float | None
    """Coefficient of variation."""
    noisy: bool


@dataclass(frozen=True, slots=True)
class MetricResult:
    """The answer about one metric."""

    metric: Metric
    verdict: Verdict
    sentence: str
    effect: Effect | None
    first: Side
    second: Side


@dataclass(frozen=True, slots=True)
class Comparison:
    """The answer about two runs."""

    outcome: Outcome
    reasons: tuple[str, ...]
    """Why there is no answer about metrics; empty where there is one."""
    notes: tuple[str, ...]
    runs: tuple[str, str]
    threshold: float
    confidence: float | None
    """Of each interval; what it is for all of them together is 1 - 2 * `FALSE_ALARMS`, or more."""
    paired: bool
    accepted: tuple[str, ...]
    differences: tuple[Difference, ...]
    metrics: tuple[MetricResult, ...]
