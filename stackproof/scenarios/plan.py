"""What the command tells the load-generating process: plain values, handed over as JSON. Holds no secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self

PLAN_VARIABLE = "STACKPROOF_BENCH_PLAN"
"""The environment variable that holds the plan."""
RESULT_VARIABLE = "STACKPROOF_BENCH_RESULT"
"""The environment variable that names the file which the results are written to."""
PROGRESS_VARIABLE = "STACKPROOF_BENCH_PROGRESS"
"""The environment variable that holds the number of the descriptor which progress is written to."""

IN_FLIGHT = 64
"""Decisions that may run at the same time, unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One run of the generator."""

    scenario: str
    backends: Mapping[str, str]
    """Concern -> name of a backend, or ``package.module:factory``."""
    namespace: str
    rate: float
    duration: float
    warmup: float
    arrivals: str
    seed: int
    in_flight: int = IN_FLIGHT
    calibration: float = 2.0
    """Seconds of the null step before the warm-up."""
    drain: float = 15.0
    """How long decisions that are in flight at the end are waited for."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))
