"""What a worker is told: which targets, which clauses, which seed. Travels as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

PLAN_VARIABLE = "STACKPROOF_PLAN"
"""The environment variable that names the plan's file."""


@dataclass(frozen=True, slots=True)
class PlannedTarget:
    """A target of a plan. ``clauses`` empty: all of the profile."""

    name: str
    concern: str
    spec: str
    mutant: bool = False
    """The spec names a mutant of the self-test instead of a backend."""
    clauses: tuple[str, ...] = ()
    explore_seconds: float | None = None
    """How long sequences of operations are explored; None: as long as the profile says."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a worker needs to know, secrets excepted: those travel in its environment."""

    targets: tuple[PlannedTarget, ...]
    profile: str = "core"
    seed: int = 1
    again: str = ""
    """The command that a failure suggests; ``{target}`` and ``{clause}`` are replaced."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        data = json.loads(text)
        data["targets"] = tuple(PlannedTarget(**{**t, "clauses": tuple(t["clauses"])}) for t in data["targets"])
        return cls(**data)
