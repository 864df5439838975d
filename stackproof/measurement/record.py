"""The measurement: the record of one bench run, as values and as JSON. Pure.

The JSON form is described field by field in ``measurement.schema.json`` beside this file. All times are in milliseconds
unless a field says otherwise; None stands for a percentile that the sample is too small for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from stackproof.kept_json import read, seal_of
from stackproof.shape import misshapen

from .ceiling_record import CeilingRecord
from .figures import Figures
from .kept_record import UNSEALED, contradictions, form
from .promises import PromiseResult
from .record_names import MEASURED
from .standing import standing_of
from .sweep import SweepRecord

SCHEMA = "stackproof-measurement/2"


MOST_FAILED = 0.001
"""Up to this share of operations may fail in a run at a fixed rate without a promise, as in a window of a search."""


@dataclass(frozen=True, slots=True)
class BackendRecord:
    """A backend that was measured."""

    target: str
    concern: str
    backend: str
    digest: str
    server: str
    fidelity: str
    certificate: str
    """Id of the verification that showed that its core contract holds."""


@dataclass(frozen=True, slots=True)
class StepFigures:
    """One step: how long a single execution took."""

    step: str
    concern: str
    times: int
    """Executions in one operation."""
    figures: Figures


@dataclass(frozen=True, slots=True)
class WindowRecord:
    """One window of load, as it was offered and judged."""

    role: str
    """``measured``, ``calibration``, or the step of a search that it was offered for."""
    order: Mapping[str, Any]
    """What was asked: rate, seconds, warmup, arrivals, seed, in_flight, target, limit."""
    workers: int
    elapsed: float
    """Seconds from the beginning of the measured part to the end of its last operation."""
    complete: bool
    invalid: tuple[str, ...]
    """Why its figures must not be used."""
    limiter: str
    limiter_reason: str
    counts: Mapping[str, int]
    """offered = ok + late + skipped + dropped + failed; and sent_late, of whatever outcome."""
    warmup: Mapping[str, int]
    """Outcomes of the warm-up, which is in no other figure."""
    errors: Mapping[str, int]
    rates: Mapping[str, float]
    """offered and achieved, operations a second; achieved as `stackproof.scenarios.orders.Offered.achieved`."""
    latency: Mapping[str, Figures]
    client: Mapping[str, float]
    """cpu_seconds; cpu_share of a core and busiest worker's share of one, as long as load was offered; cpu_us_per_operation."""
    most_in_flight: int
    gaps: tuple[Mapping[str, Any], ...]
    checks: Mapping[str, Any]
    locust: Mapping[str, int]
    series: tuple[Mapping[str, Any], ...]
    """One row for each second, by the intended start."""
    histograms: Mapping[str, Any]
    """intended, real, lag, and steps by name: HdrHistogram V2, in microseconds. Merge these, never percentiles."""

    started: float = 0.0
    """When it was ordered, in seconds since 1970."""
    pair: str = ""
    """The window of another run with the same text here was offered just before or after it; empty for none."""

    @property
    def valid(self) -> bool:
        return self.complete and not self.invalid


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about a run beside what the generator recorded."""

    id: str
    created: str
    version: str
    command: str
    stack: str
    origin: str
    scenario: Mapping[str, Any]
    load: Mapping[str, Any]
    backends: tuple[BackendRecord, ...]
    servers: tuple[Mapping[str, Any], ...]
    environment: Mapping[str, str]
    suite_digest: str


@dataclass(frozen=True, slots=True)
class Measurement(Facts):
    """The record of one run of load."""

    interrupted: bool
    """Whether somebody cut it short."""
    complete: bool
    """Whether everything that was planned was offered."""
    invalid: tuple[str, ...]
    """Why the figures must not be used; empty for a valid run."""
    warnings: tuple[str, ...]
    limiter: str
    """none (the rate was held), server, client, quota, slo, error, or not-converged."""
    limiter_reason: str
    counts: Mapping[str, int]
    """Of all measured windows together, as is everything down to ``curve``."""
    errors: Mapping[str, int]
    rates: Mapping[str, float]
    latency: Mapping[str, Figures]
    steps: tuple[StepFigures, ...]
    client: Mapping[str, float]
    checks: Mapping[str, Any]
    """Of a sweep over concurrencies those of all its windows."""
    locust: Mapping[str, int]
    slo: tuple[PromiseResult, ...]
    curve: Mapping[str, Sequence[tuple[float, float]]]
    calibration: Mapping[str, Any]
    """The self-check. Where several sessions were needed, that of the one whose figures are the least to be believed."""
    windows: tuple[WindowRecord, ...]
    """Every window that was offered, in order, also those that prepared or explain the measured ones."""
    removed: bool
    left_behind: tuple[str, ...] = ()
    ceiling: CeilingRecord | None = None
    sweep: SweepRecord | None = None
    """What a search for the highest rate that holds came to; the measured windows are then those that confirmed it."""

    @property
    def level(self) -> str:
        """VALID, INVALID or PARTIAL."""
        if not self.complete:
            return "PARTIAL"
        return "INVALID" if self.invalid else "VALID"

    @property
    def checked(self) -> bool:
        """Whether the generator was checked against a server of known speed, for every window: else nobody knows what it saw."""
        return self.calibration["stub"] is not None

    @property
    def client_limited(self) -> bool:
        """Whether its figures are about the generator. A search that the generator ended has a lower bound all the same."""
        return self.ceiling is None and self.limiter == "client"

    @property
    def fails(self) -> bool:
        """Whether more operations failed than `MOST_FAILED`, where no promise says what may fail, and no search asked."""
        asked = self.ceiling is not None or self.slo
        return not asked and self.counts["failed"] > MOST_FAILED * self.counts["offered"]

    @property
    def measured(self) -> tuple[WindowRecord, ...]:
        """The windows whose figures are those of the run."""
        return tuple(window for window in self.windows if window.role == MEASURED)

    @property
    def gaps(self) -> tuple[Mapping[str, Any], ...]:
        """Whiles in which the generator was blocked, in measured windows."""
        return tuple(gap for window in self.measured for gap in window.gaps)

    @property
    def series(self) -> tuple[Mapping[str, Any], ...]:
        """The seconds of the measured windows, counted on from one window to the next."""
        rows: list[Mapping[str, Any]] = []
        for window in self.measured:
            first = 1 + rows[-1]["second"] if rows else 0
            rows += [{**row, "second": first + row["second"]} for row in window.series]
        return tuple(rows)


def from_json(text: str) -> Measurement:
    """A measurement from its JSON text; ValueError where it is none of this schema, was changed since it was written, or
    contradicts itself: whoever reads a record, nobody reads one that cannot be true.

    One without a seal says so in its warnings.
    """
    data = read(text, numbers_only=False)
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise ValueError(f"this is no measurement of schema {SCHEMA}")
    if wrong := misshapen(data, form()):
        raise ValueError(f"it has not the shape of a measurement: {wrong[0]}")
    if data.get("seal", None) not in (None, seal_of(data)):
        raise ValueError("it was changed after it was written: its seal does not fit")
    sealed, told = "seal" in data, {name: data[name] for name in ("level", "heading") if name in data}
    record = _built(data)
    for name, follows in derived_of(record).items():
        if told.get(name, follows) != follows:
            raise ValueError(f"it contradicts itself: it says {told[name]}, and from the rest follows {follows}")
    for sentence in contradictions(record):
        raise ValueError(f"it contradicts itself: {sentence}")
    return record if sealed else replace(record, warnings=(*record.warnings, UNSEALED))


def _built(data: dict[str, Any]) -> Measurement:
    """The record whose fields, as JSON holds them, these are."""
    for derived in ("schema", "level", "heading", "seal"):
        data.pop(derived, None)
    for name in ("servers", "invalid", "warnings", "left_behind"):
        data[name] = tuple(data[name])
    data["backends"] = tuple(BackendRecord(**row) for row in data["backends"])
    data["latency"] = _latency(data["latency"])
    data["steps"] = tuple(StepFigures(**{**row, "figures": Figures(**row["figures"])}) for row in data["steps"])
    data["calibration"] = calibration_from(data["calibration"])
    data["slo"] = tuple(PromiseResult(**row) for row in data["slo"])
    data["curve"] = {name: [(p, ms) for p, ms in points] for name, points in data["curve"].items()}
    data["windows"] = tuple(window_from(row) for row in data["windows"])
    if data.get("ceiling") is not None:
        data["ceiling"] = CeilingRecord.from_data(data["ceiling"])
    if data.get("sweep") is not None:
        data["sweep"] = SweepRecord.from_data(data["sweep"])
    return Measurement(**data)


def window_from(data: dict[str, Any]) -> WindowRecord:
    """The window whose fields, as JSON holds them, these are."""
    for name in ("invalid", "gaps", "series"):
        data[name] = tuple(data[name])
    return WindowRecord(**{**data, "latency": _latency(data["latency"])})


def calibration_from(data: Mapping[str, Any]) -> dict[str, Any]:
    """The self-check (`judgement.calibration_of`) whose fields, as JSON holds them, these are."""
    return {**data, **{name: Figures(**data[name]) for name in ("latency", "lag")}}


def _latency(data: Mapping[str, Any]) -> dict[str, Figures]:
    return {name: Figures(**figures) for name, figures in data.items()}


def derived_of(measurement: Measurement) -> dict[str, str]:
    """What a record says as a whole, which follows from the rest of it."""
    return {"level": measurement.level, "heading": standing_of(measurement).word}


def to_json(measurement: Measurement) -> str:
    """The measurement as JSON text."""
    data = {"schema": SCHEMA, **derived_of(measurement), **asdict(measurement)}
    data["seal"] = seal_of(data)
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
