"""The self-test: each clause must kill the mutants that name it, and the references must pass everything."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stackproof.contracts import CONCERNS, contract_for
from stackproof.contracts.clauses import planned_clauses
from stackproof.contracts.ledger import Ledger
from stackproof.contracts.mutants import Mutant, all_mutants
from stackproof.contracts.verdicts import Verdict

from .plan import Plan, PlannedTarget
from .worker import Observer, WorkerRun

SCHEMA = "stackproof-selftest/1"

REFERENCES = dict.fromkeys(CONCERNS, "memory") | {"logs": "console"}
"""What must pass everything. For logs the handler that writes to a stream: one in memory has no destination that can fail."""


@dataclass(frozen=True, slots=True)
class MutantRow:
    """What happened to one mutant."""

    mutant: str
    concern: str
    clause: str
    imitates: str
    defect: str
    killed: bool
    seen: str
    """The verdict of the clause on it, and why."""


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What the suite proved about itself."""

    rows: tuple[MutantRow, ...]
    uncovered: tuple[str, ...]
    """Clauses without a mutant, as ``concern CLAUSE``."""
    reference_troubles: tuple[str, ...]
    """Clauses that a reference did not pass."""
    seed: int

    @property
    def holds(self) -> bool:
        return (
            bool(self.rows)
            and all(row.killed for row in self.rows)
            and not self.uncovered
            and not self.reference_troubles
        )


def run_selftest(concerns: Sequence[str], seed: int, directory: Path, observer: Observer) -> SelfTest:
    """Run every mutant of these concerns against its clause, and the references against everything, in shuffled order."""
    mutants = [m for m in all_mutants() if m.concern in concerns]
    targets = [PlannedTarget(m.name, m.concern, m.name, mutant=True, clauses=(m.killed_by,)) for m in mutants]
    targets += [PlannedTarget(f"reference:{c}", c, REFERENCES[c]) for c in CONCERNS if c in concerns]
    random.Random(seed).shuffle(targets)  # noqa: S311 - an order, not a secret
    work = WorkerRun(directory, dict(os.environ), observer)
    ledger = work.execute(Plan(tuple(targets), profile="full", seed=seed))
    return judge_mutants(mutants, ledger, concerns, seed)


def judge_mutants(mutants: Iterable[Mutant], ledger: Ledger, concerns: Sequence[str], seed: int) -> SelfTest:
    """What the results say about the suite. Pure."""
    rows = []
    for mutant in mutants:
        result = ledger.results.get((mutant.name, mutant.killed_by))
        seen = "its clause does not exist" if result is None else f"{result.verdict} {result.reason}".strip()
        killed = result is not None and result.verdict is Verdict.FAIL
        rows.append(
            MutantRow(mutant.name, mutant.concern, mutant.killed_by, mutant.imitates, mutant.defect, killed, seen)
        )
    uncovered = _uncovered(concerns)
    good = (Verdict.PASS, Verdict.NOT_SUPPORTED)
    troubles = tuple(
        f"{row.concern} {row.clause}: {row.verdict} {row.reason}"
        for row in ledger.rows()
        if row.target.startswith("reference:") and row.verdict not in good
    )
    return SelfTest(tuple(rows), uncovered, troubles, seed)


def _uncovered(concerns: Sequence[str]) -> tuple[str, ...]:
    """The clauses of these concerns that no mutant names. A clause that several contracts share (LIFE) is one clause."""
    clauses = {(c, planned.clause.id): planned.clause for c in CONCERNS for planned in planned_clauses(contract_for(c))}
    covered = {clauses[m.concern, m.killed_by] for m in all_mutants() if (m.concern, m.killed_by) in clauses}
    bare = [(concern, clause) for (concern, _), clause in clauses.items() if clause not in covered]
    return tuple(f"{concern} {clause.id}" for concern, clause in bare if concern in concerns)
