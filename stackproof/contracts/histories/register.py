"""The register checker: is there, for each key, an order of the operations that explains every answer?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from stackproof.interfaces import JsonValue

from .operation import Operation, Outcome, by_key
from .register_argument import argue
from .shrinking import smallest_part
from .verdict import (
    Budget,
    BudgetExhausted,
    HistoryVerdict,
    invalid,
    refuse_other_kinds,
    unknown,
    valid_if_seen,
)

KINDS = ("get", "set", "delete")
STEPS = 500_000
"""The default budget: some seconds."""


def check_register(history: Iterable[Operation], *, steps: int = STEPS) -> HistoryVerdict:
    """Whether the history is linearizable, each key being a register that is empty at first.

    Operations: ``get`` (its result is the value, None where there was none), ``set`` (its value), ``delete`` (its result
    says whether there was a value; None where that was not observed). A failed one did not take effect; an indeterminate
    ``set`` or ``delete`` may take effect once, at any time after its beginning, or never.

    The method is that of Wing and Gong, with Lowe's memory of configurations that were tried, on each key by itself:
    a history of registers is linearizable when that of each key is (Herlihy and Wing's locality).

    *Blind spots*: what several keys show together (a transaction) is not judged; values that are written twice hide which
    write was read, so use each value once (values are text or numbers); expiry is not modelled, so record entries that
    live longer than the history.

    *Cost*: exponential in the number of operations of one key that overlap, times the number of operations; near to linear
    for values that are written once. Each configuration takes one of ``steps``; when they are used up, the answer is unknown.
    """
    history = list(history)
    refuse_other_kinds(history, KINDS)
    waiting = by_key(history)
    for share in (steps // 2, steps - steps // 2):
        # Half of the budget is spent on all keys alike, so that one hard key cannot hide that another one is bad.
        undecided: dict[str, list[Operation]] = {}
        for key, operations in waiting.items():
            try:
                good = linearizable(operations, Budget(share // len(waiting)))
            except BudgetExhausted:
                undecided[key] = operations
                continue
            if not good:
                return _rejected(operations)
        waiting = undecided
    if waiting:
        return unknown(f"the budget of {steps} steps was not enough to decide about {', '.join(map(repr, waiting))}")
    return valid_if_seen(history, ("get", "set"), "every key has an order of its operations that explains every answer")


def _rejected(operations: Sequence[Operation]) -> HistoryVerdict:
    part = _smallest(operations)
    argument, named = argue(part)
    # What the argument names is often all that is needed: the rest only showed that nothing else explains it.
    if named and not linearizable(named, Budget(SHRINKING_STEPS)):
        part = named
    return invalid("not linearizable", argument, part)


SHRINKING_STEPS = 300_000
"""The budget of making the bad part smaller. When it ends, the part is larger than it could be."""


def _smallest(operations: Sequence[Operation]) -> list[Operation]:
    """A small bad part. Most are bad without any absence, and writes alone are left out much more easily than with deletes."""
    budget = Budget(SHRINKING_STEPS)
    present = [each for each in operations if each.kind == "set" or (each.kind == "get" and each.result is not None)]
    try:
        start = operations if linearizable(present, budget) else present
    except BudgetExhausted:
        return list(operations)
    return smallest_part(start, lambda part: not linearizable(part, budget), _may_go)


def _may_go(some: Sequence[Operation], rest: Sequence[Operation]) -> set[int]:
    """Which of some operations can be left out so that an order which explains all of them explains the others too.

    Whatever changes nothing can go. A write can go where nobody observed it: otherwise its absence would be what is wrong.
    """
    gone = {place for place, each in enumerate(some) if _changes_nothing(each)}
    left = [*rest, *(each for place, each in enumerate(some) if place not in gone)]
    read = {each.result for each in left if each.kind == "get" and each.ok}
    found = any(each.kind == "delete" and each.result is True for each in left)
    absent = sum(map(_observes_absence, left))
    for place, each in enumerate(some):
        if each.kind == "set" and each.value not in read and not (found and each.may_have_happened):
            gone.add(place)
        if each.kind == "delete" and absent == int(_observes_absence(each)):
            gone.add(place)
    return gone


def _changes_nothing(operation: Operation) -> bool:
    found_nothing = operation.kind == "delete" and operation.ok and operation.result is False
    failed_delete = operation.kind == "delete" and not operation.may_have_happened
    return operation.kind == "get" or found_nothing or failed_delete


def _observes_absence(operation: Operation) -> bool:
    """Whether the answer may be owed to a delete."""
    return operation.ok and (
        (operation.kind == "get" and operation.result is None)
        or (operation.kind == "delete" and operation.result is False)
    )


def _observed(write: Operation, operations: Sequence[Operation]) -> bool:
    """Whether any answer can be owed to this write."""
    if write.kind == "delete":
        return any(map(_observes_absence, operations))
    return any(
        each.ok and ((each.kind == "get" and each.result == write.value) or (each.kind == "delete" and each.result))
        for each in operations
    )


@dataclass(frozen=True, slots=True)
class _Configuration:
    """How far an order has come: which operations it has used, and what the register holds."""

    low: int
    """All operations that must occur before this one, in order of beginning, are used."""
    used: int
    """Which ones from ``low`` on are used, as bits."""
    optional: int
    """Which of the indeterminate ones are used, as bits."""
    state: JsonValue


def linearizable(operations: Sequence[Operation], budget: Budget) -> bool:
    """Whether some order of the operations of one key explains every answer. Raises `BudgetExhausted`."""
    return _Search(operations, budget).succeeds()


class _Search:
    def __init__(self, operations: Sequence[Operation], budget: Budget) -> None:
        ordered = sorted(operations, key=lambda each: (each.start, each.end))
        self._must = [each for each in ordered if each.ok]
        # An indeterminate write that nobody can have observed explains nothing: it need not be tried.
        self._may = [
            each
            for each in ordered
            if each.outcome is Outcome.INDETERMINATE and each.kind != "get" and _observed(each, self._must)
        ]
        self._budget = budget

    def succeeds(self) -> bool:
        waiting = [_Configuration(0, 0, 0, None)]
        known = set(waiting)
        while waiting:
            self._budget.spend()
            configuration = waiting.pop()
            if configuration.low == len(self._must):
                return True
            for following in self._following(configuration):
                if following not in known:
                    known.add(following)
                    waiting.append(following)
        return False

    def _following(self, at: _Configuration) -> Iterator[_Configuration]:
        candidates, deadline = self._candidates(at)
        for place in candidates:
            # A read that fits now can come now: it changes nothing, so no order is lost by trying nothing else.
            if self._must[place].kind == "get" and self._must[place].result == at.state:
                yield self._after(at, place, at.state)
                return
        for index, operation in enumerate(self._may):
            if not at.optional >> index & 1 and operation.start <= deadline:
                state = operation.value if operation.kind == "set" else None
                yield _Configuration(at.low, at.used, at.optional | 1 << index, state)
        for place in reversed(candidates):  # the earliest is tried first: it is on the top of the stack
            operation = self._must[place]
            if operation.kind == "set":
                yield self._after(at, place, operation.value)
            elif operation.kind == "delete" and operation.result in (None, at.state is not None):
                yield self._after(at, place, None)

    def _candidates(self, at: _Configuration) -> tuple[list[int], float]:
        """The unused operations that no other unused one precedes, and the instant by which the next one must have begun."""
        deadline = self._must[at.low].end
        found: list[int] = []
        for place in range(at.low, len(self._must)):
            operation = self._must[place]
            if operation.start > deadline:
                break
            if not at.used >> (place - at.low) & 1:
                self._budget.spend()
                found.append(place)
                deadline = min(deadline, operation.end)
        return [place for place in found if self._must[place].start <= deadline], deadline

    def _after(self, at: _Configuration, place: int, state: JsonValue) -> _Configuration:
        low, used = at.low, at.used | 1 << (place - at.low)
        while used & 1:
            low, used = low + 1, used >> 1
        return _Configuration(low, used, at.optional, state)
