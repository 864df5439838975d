"""Makes a bad history smaller: leaves out what is not needed for it to be bad."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .operation import Operation
from .verdict import BudgetExhausted

Part = Sequence[Operation]


def smallest_part(
    operations: Part, still_bad: Callable[[Part], bool], may_go: Callable[[Part, Part], set[int]]
) -> list[Operation]:
    """A part that is still bad, and from which no single operation that may go can be left out (delta debugging).

    ``may_go(some, rest)`` says which of ``some`` (their places) can be left out together without making a good history bad:
    only then does a bad part show that the whole is bad. ``still_bad`` raises `BudgetExhausted` to end the search: the part
    is then not as small as it could be.
    """
    part = list(operations)
    size = max(1, len(part) // 2)
    try:
        while True:
            part, changed = _leave_out_slices(part, size, still_bad, may_go)
            if size == 1 and not changed:
                return part
            size = max(1, size // 2)
    except _Stopped as stopped:
        return stopped.part


class _Stopped(Exception):  # noqa: N818 - what was reached when the budget ended
    def __init__(self, part: list[Operation]) -> None:
        self.part = part


def _leave_out_slices(
    part: list[Operation], size: int, still_bad: Callable[[Part], bool], may_go: Callable[[Part, Part], set[int]]
) -> tuple[list[Operation], bool]:
    changed, place = False, 0
    while place < len(part):
        some, rest = part[place : place + size], part[:place] + part[place + size :]
        gone = may_go(some, rest)
        smaller = part[:place] + [each for n, each in enumerate(some) if n not in gone] + part[place + size :]
        try:
            if gone and still_bad(smaller):
                part, changed = smaller, True
                place += size - len(gone)
                continue
        except BudgetExhausted as ended:
            raise _Stopped(part) from ended
        place += size
    return part, changed
