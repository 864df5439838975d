"""What a worker is told: which targets, which clauses, which seed. Travels as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from stackproof.contracts import contract_for
from stackproof.contracts.clauses import planned_clauses
from stackproof.contracts.stream import PlannedClause, TargetPlanned

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

    def expected(self, profile: str) -> TargetPlanned:
        """What a worker would plan for it, without an import of the backend: for one that no worker gets so far with."""
        known = [planned.clause for planned in planned_clauses(contract_for(self.concern), profile)]
        wanted = [clause for clause in known if not self.clauses or clause.id in self.clauses]
        return TargetPlanned(self.name, self.concern, tuple(PlannedClause.of(clause) for clause in wanted))


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
