"""What a checker answers: valid, invalid with the bad part and an argument, or unknown with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from .operation import Operation

LINES = 12
"""So many operations of the bad part are written out."""


class Judgement(StrEnum):
    VALID = "valid"
    INVALID = "invalid"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class HistoryVerdict:
    """The answer of a checker."""

    judgement: Judgement
    argument: str
    """Why, so that a person can follow it."""
    bad_part: tuple[Operation, ...] = ()
    """A part of the history, in order of time, which no backend that keeps the promise could have answered."""
    rule: str = ""
    """Which rule was broken, in a word or two: for the queue, say, ``lost``."""

    @property
    def valid(self) -> bool:
        return self.judgement is Judgement.VALID

    @property
    def invalid(self) -> bool:
        return self.judgement is Judgement.INVALID

    def explanation(self) -> str:
        """The argument and the operations it speaks of."""
        if not self.bad_part:
            return self.argument
        lines = [str(operation) for operation in self.bad_part[:LINES]]
        if len(self.bad_part) > LINES:
            lines.append(f"... and {len(self.bad_part) - LINES} more")
        return "; ".join([self.argument, *lines])


class BudgetExhausted(Exception):  # noqa: N818 - a state on its way to a verdict
    """The checker has done as much as it was allowed to."""


class Budget:
    """How much work a checker may still do."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.left = steps

    def spend(self, steps: int = 1) -> None:
        self.left -= steps
        if self.left < 0:
            raise BudgetExhausted(f"the budget of {self.steps} steps was not enough")


def invalid(rule: str, argument: str, bad_part: Iterable[Operation]) -> HistoryVerdict:
    """A verdict of INVALID, its bad part in order of time."""
    part = sorted(bad_part, key=lambda each: (each.start, each.end))
    return HistoryVerdict(Judgement.INVALID, argument, tuple(part), rule)


def unknown(reason: str) -> HistoryVerdict:
    return HistoryVerdict(Judgement.UNKNOWN, reason)


def valid_if_seen(history: Sequence[Operation], required: Iterable[str], argument: str) -> HistoryVerdict:
    """VALID, but UNKNOWN where an operation of some kind never succeeded: such a history shows nothing."""
    if not history:
        return unknown("the history is empty")
    tried = {operation.kind for operation in history} | set(required)
    succeeded = {operation.kind for operation in history if operation.ok}
    if tried - succeeded:
        return unknown(f"no {' and no '.join(sorted(tried - succeeded))} ever succeeded")
    return HistoryVerdict(Judgement.VALID, argument)


def refuse_other_kinds(history: Iterable[Operation], known: Iterable[str]) -> None:
    """Raise ValueError for an operation that the checker does not know: leaving it out could hide what explains the rest."""
    other = sorted({operation.kind for operation in history} - set(known))
    if other:
        raise ValueError(f"this checker knows no operation {', '.join(other)}")
