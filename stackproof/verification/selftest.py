"""The self-test: each clause must kill the mutants that name it, and the references must pass everything.

A mutant runs against its own clause only. So one that just another clause would kill is alive here, and fails the self-test.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from stackproof.contracts import CONCERNS, contract_for
from stackproof.contracts.clauses import planned_clauses
from stackproof.contracts.ledger import Ledger
from stackproof.contracts.mutants import Mutant, all_mutants
from stackproof.contracts.verdicts import Verdict

from .parallel import ParallelRun
from .plan import Plan, PlannedTarget
from .worker import Observer

SCHEMA = "stackproof-selftest/1"
REFERENCE = "reference:"
"""How the targets that are references are named."""

_Thing = TypeVar("_Thing")

REFERENCES = dict.fromkeys(CONCERNS, "memory") | {"logs": "console"}
"""What must pass everything. For logs the handler that writes to a stream: one in memory has no destination that can fail."""

MUTANTS_A_PLAN = 12
"""A worker process takes about a second to start: fewer would spend the time on that, more would share the work badly."""

WORKERS = 10
"""So many processes at once, whatever the number of cores: a mutant mostly waits, for what never comes, and so do clauses."""
SHORT_WORKERS = 6
"""So many for the short form: mutants only, which begin all at once."""

BRIEF_SECONDS = 1.0
"""How long a reference's sequences are explored, with every seed but the first: each seed draws other ones anyway."""


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
    def survivors(self) -> tuple[MutantRow, ...]:
        """The mutants that their own clause did not kill."""
        return tuple(row for row in self.rows if not row.killed)

    def table(self) -> dict[tuple[str, str], tuple[int, int]]:
        """(concern, clause) -> how many of its mutants it killed, and how many name it; in the order of the clauses."""
        clauses = [(c, planned.clause.id) for c in CONCERNS for planned in planned_clauses(contract_for(c))]
        named = {(row.concern, row.clause) for row in self.rows}
        order = [key for key in clauses if key in named] + sorted(named - set(clauses))
        found = {}
        for key in order:
            these = [row.killed for row in self.rows if (row.concern, row.clause) == key]
            found[key] = (sum(these), len(these))
        return found

    @property
    def holds(self) -> bool:
        return (
            bool(self.rows)
            and all(row.killed for row in self.rows)
            and not self.uncovered
            and not self.reference_troubles
        )


def run_selftest(concerns: Sequence[str], seed: int, directory: Path, observer: Observer, seeds: int = 1) -> SelfTest:
    """Run every mutant of these concerns against its clause, and the references against everything, in shuffled order.

    The references run once for each of so many ``seeds``, the mutants once.
    """
    mutants = [m for m in all_mutants() if m.concern in concerns]
    plans = list(_reference_plans(concerns, seed))
    plans += shuffled(
        [*(_brief_plan(concerns, seed + number) for number in range(1, seeds)), *_mutant_plans(mutants, seed)], seed
    )
    ledger = ParallelRun(directory, os.environ, observer, WORKERS).execute(plans)
    return judge_mutants(mutants, ledger, concerns, seed)


def run_short_selftest(
    concerns: Sequence[str], only: Sequence[str], seed: int, directory: Path, observer: Observer
) -> SelfTest:
    """One mutant a clause, chosen by the seed: what runs before a full verification. ``only`` these clauses; none: all."""
    mutants = one_mutant_a_clause(concerns, only, seed)
    ledger = ParallelRun(directory, os.environ, observer, SHORT_WORKERS).execute(_mutant_plans(mutants, seed))
    return judge_mutants(mutants, ledger, (), seed)


def one_mutant_a_clause(concerns: Sequence[str], only: Sequence[str], seed: int) -> list[Mutant]:
    """The mutants of the short form: for each clause of each concern one of those that name it."""
    by_clause: dict[tuple[str, str], list[Mutant]] = {}
    for mutant in all_mutants():
        if mutant.concern in concerns and (not only or mutant.killed_by in only):
            by_clause.setdefault((mutant.concern, mutant.killed_by), []).append(mutant)
    chance = random.Random(seed)  # noqa: S311 - a choice, not a secret
    return [chance.choice(these) for these in by_clause.values()]


def summary(outcome: SelfTest) -> dict[str, Any]:
    """What a certificate keeps of the short form."""
    return {
        "seed": outcome.seed,
        "mutants": len(outcome.rows),
        "killed": sum(row.killed for row in outcome.rows),
        "survivors": [f"{row.mutant}: {row.clause} did not catch it ({row.seen})" for row in outcome.survivors],
    }


def _reference_plans(concerns: Sequence[str], seed: int) -> Iterator[Plan]:
    """One plan a reference, so that the longest runs start first and side by side."""
    for target in _references(concerns, seed):
        yield Plan((target,), profile="full", seed=seed)


def _brief_plan(concerns: Sequence[str], seed: int) -> Plan:
    """All references in one process, since this is done once for each of many seeds."""
    targets = (replace(target, explore_seconds=BRIEF_SECONDS) for target in _references(concerns, seed))
    return Plan(tuple(targets), profile="full", seed=seed)


def _references(concerns: Sequence[str], seed: int) -> Iterator[PlannedTarget]:
    for concern in shuffled([c for c in CONCERNS if c in concerns], seed):
        yield PlannedTarget(f"{REFERENCE}{concern} seed {seed}", concern, REFERENCES[concern])


def _mutant_plans(mutants: Iterable[Mutant], seed: int) -> list[Plan]:
    targets = shuffled(
        [PlannedTarget(m.name, m.concern, m.name, mutant=True, clauses=(m.killed_by,)) for m in mutants], seed
    )
    parts = [targets[begin : begin + MUTANTS_A_PLAN] for begin in range(0, len(targets), MUTANTS_A_PLAN)]
    return [Plan(tuple(part), profile="full", seed=seed) for part in parts]


def shuffled(things: Sequence[_Thing], seed: int) -> list[_Thing]:
    """The same things in an order that depends on the seed alone."""
    return random.Random(seed).sample(things, len(things))  # noqa: S311 - an order, not a secret


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
        f"{row.target.removeprefix(REFERENCE)} {row.clause}: {row.verdict} {row.reason}"
        for row in ledger.rows()
        if row.target.startswith(REFERENCE) and row.verdict not in good
    )
    return SelfTest(tuple(rows), uncovered, troubles, seed)


def _uncovered(concerns: Sequence[str]) -> tuple[str, ...]:
    """The clauses of these concerns that no mutant names.

    A clause that several contracts share (LIFE) counts once for each: it works with what the concern's contract gives it,
    and the short self-test of one concern has no other concern's mutants.
    """
    named = {(mutant.concern, mutant.killed_by) for mutant in all_mutants()}
    planned = [(c, plan.clause.id) for c in CONCERNS if c in concerns for plan in planned_clauses(contract_for(c))]
    return tuple(f"{concern} {clause}" for concern, clause in planned if (concern, clause) not in named)
