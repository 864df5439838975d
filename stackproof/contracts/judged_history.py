"""How a clause uses a checker of histories: it fails with the checker's argument, and passes on nothing undecided."""

from __future__ import annotations

from collections.abc import Sequence

from .evidence import Evidence
from .expectations import ContractViolation
from .histories import HistoryVerdict, Operation, overlapping_pairs

DECIDED = "histories decided"
OVERLAPPING = "overlapping pairs of operations"


def must_be_valid(
    verdict: HistoryVerdict, history: Sequence[Operation], evidence: Evidence, what: str, expected: str
) -> None:
    """Raise `ContractViolation` for an invalid history. One that could not be decided leaves the clause without evidence."""
    __tracebackhide__ = True
    evidence.saw(OVERLAPPING, overlapping_pairs(history))
    if verdict.invalid:
        raise ContractViolation(what, expected, verdict.explanation())
    evidence.saw(DECIDED, int(verdict.valid))
