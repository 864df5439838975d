"""The measurement: the record of one bench run, as values and as JSON. Pure.

The JSON form is described field by field in ``measurement.schema.json`` beside this file. All times are in milliseconds
unless a field says seconds; None stands for a percentile that the sample is too small for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from stackproof.kept_json import read

from .figures import Figures
from .promises import PromiseResult

SCHEMA = "stackproof-measurement/1"


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
    """Executions in one decision."""
    figures: Figures


@dataclass(frozen=True, slots=True)
class Measurement:
    """The record of one run of load."""

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
    interrupted: bool
    """Whether somebody cut it short."""
    complete: bool
    """Whether everything that was planned was offered."""
    invalid: tuple[str, ...]
    """Why the figures must not be used; empty for a valid run."""
    warnings: tuple[str, ...]
    limiter: str
    """none (the rate was held), server, client or error."""
    limiter_reason: str
    counts: Mapping[str, int]
    errors: Mapping[str, int]
    rates: Mapping[str, float]
    latency: Mapping[str, Figures]
    steps: tuple[StepFigures, ...]
    client: Mapping[str, float]
    calibration: Mapping[str, Any]
    gaps: tuple[Mapping[str, Any], ...]
    checks: Mapping[str, Any]
    locust: Mapping[str, int]
    slo: tuple[PromiseResult, ...]
    curve: Mapping[str, Sequence[tuple[float, float]]]
    series: tuple[Mapping[str, Any], ...]
    histograms: Mapping[str, Any]
    removed: bool
    left_behind: tuple[str, ...] = field(default=())

    @property
    def level(self) -> str:
        """VALID, INVALID or PARTIAL."""
        if not self.complete:
            return "PARTIAL"
        return "INVALID" if self.invalid else "VALID"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about a run beside what the generator recorded."""

    id: str
    created: str
    version: str
    command: str
    stack: str
    origin: str
    backends: tuple[BackendRecord, ...]
    servers: tuple[Mapping[str, Any], ...]
    environment: Mapping[str, str]
    suite_digest: str


def from_json(text: str) -> Measurement:
    """A measurement from its JSON text; ValueError where it is none of this schema."""
    data = read(text, numbers_only=False)
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise ValueError(f"this is no measurement of schema {SCHEMA}")
    for derived in ("schema", "level"):
        data.pop(derived, None)
    for name in ("servers", "invalid", "warnings", "gaps", "series", "left_behind"):
        data[name] = tuple(data[name])
    data["backends"] = tuple(BackendRecord(**row) for row in data["backends"])
    data["latency"] = {name: Figures(**figures) for name, figures in data["latency"].items()}
    data["steps"] = tuple(StepFigures(**{**row, "figures": Figures(**row["figures"])}) for row in data["steps"])
    data["calibration"] |= {name: Figures(**data["calibration"][name]) for name in ("latency", "lag")}
    data["slo"] = tuple(PromiseResult(**row) for row in data["slo"])
    data["curve"] = {name: [(p, ms) for p, ms in points] for name, points in data["curve"].items()}
    return Measurement(**data)


def to_json(measurement: Measurement) -> str:
    """The measurement as JSON text."""
    data = {"schema": SCHEMA, "level": measurement.level, **asdict(measurement)}
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
