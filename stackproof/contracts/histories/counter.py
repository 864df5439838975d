"""The counter checker: are the sums that were read possible, given what was recorded when?"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from stackproof.interfaces import JsonValue

from .operation import Operation, by_key
from .verdict import Budget, BudgetExhausted, HistoryVerdict, invalid, refuse_other_kinds, unknown, valid_if_seen

KINDS = ("record", "read")
STEPS = 2_000_000
"""The default budget: some seconds."""


def check_counter(history: Iterable[Operation], *, steps: int = STEPS) -> HistoryVerdict:
    """Whether the history is one of counters (one for each key) on which each id counts once.

    Operations: ``record`` (its value is the id; each counts 1) and ``read`` (its result is the count). A failed record counts
    nothing; an indeterminate one counts once, at any time after its beginning, or never.

    Rules, by the name that the verdict gives: *too low* (fewer than the ids that had been recorded before the read began), *too
    high* (more than the ids whose recording had begun before the read ended), *went back* (fewer than an earlier read). A
    read after everything was recorded is thereby exact; without one the answer is unknown.

    *Blind spots*: which ids were counted is not seen, only how many, so one that is lost can hide behind one that counts
    twice, and a set of reads that are each possible may have no common order. Ids of different keys are different ids.

    *Cost*: n log n in the number of operations; each takes one of ``steps``.
    """
    history = list(history)
    refuse_other_kinds(history, KINDS)
    budget = Budget(steps)
    findings: list[HistoryVerdict] = []
    unsettled: list[str] = []
    try:
        for key, operations in by_key(history).items():
            budget.spend(len(operations))
            counter = _Counter(operations)
            findings += counter.findings()
            if not counter.read_at_the_end:
                unsettled.append(key)
    except BudgetExhausted as error:
        return unknown(str(error))
    if findings:
        first = findings[0]
        more = f" (and {len(findings) - 1} more findings)" if len(findings) > 1 else ""
        return invalid(first.rule, first.argument + more, first.bad_part)
    verdict = valid_if_seen(history, KINDS, "every read lies between what was certain and what was possible")
    if verdict.valid and unsettled:
        return unknown(f"no read began after everything was recorded: {', '.join(map(repr, unsettled))}")
    return verdict


@dataclass(frozen=True, slots=True)
class _Id:
    """What is known about one id: when it may have counted first, and since when it certainly counts."""

    name: JsonValue
    possible: float
    certain: float
    records: tuple[Operation, ...]


class _Counter:
    """The operations of one key."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._reads = [each for each in operations if each.kind == "read" and each.ok]
        records: defaultdict[JsonValue, list[Operation]] = defaultdict(list)
        for each in operations:
            if each.kind == "record" and each.may_have_happened:
                records[each.value].append(each)
        self._ids = [
            _Id(name, min(r.start for r in of_id), min(r.latest for r in of_id), tuple(of_id))
            for name, of_id in records.items()
        ]
        self._possible = sorted(each.possible for each in self._ids)
        self._certain = sorted(each.certain for each in self._ids)
        self.read_at_the_end = any(
            self._at_least(read) == self._at_most(read) == len(self._ids) for read in self._reads
        )

    def _at_least(self, read: Operation) -> int:
        return bisect_left(self._certain, read.start)

    def _at_most(self, read: Operation) -> int:
        return bisect_right(self._possible, read.end)

    def findings(self) -> Iterator[HistoryVerdict]:
        for read in self._reads:
            count, least, most = _count(read), self._at_least(read), self._at_most(read)
            saw = f"the read of {read.key!r} that began at {read.start:.6g} and ended at {read.end:.6g} saw {count}"
            if count < least:
                yield invalid(
                    "too low", f"{saw}; {least} ids had been recorded before it began", self._shown(read, count)
                )
            if count > most:
                yield invalid("too high", f"{saw}; {self._why_too_high(read, most)}", [read, *self._repeated(read)])
        yield from self._went_back()

    def _shown(self, read: Operation, count: int) -> list[Operation]:
        """The read and just so many records as it should have counted and cannot have."""
        before = [each for each in self._ids if each.certain < read.start]
        return [read, *(min(each.records, key=lambda r: r.latest) for each in before[: max(0, count) + 1])]

    def _why_too_high(self, read: Operation, most: int) -> str:
        begun = sum(record.start <= read.end for each in self._ids for record in each.records)
        repeats = f" (recorded {begun} times: an id counts once)" if begun > most else ""
        return f"only {most} ids{repeats} can have been recorded before it ended"

    def _repeated(self, read: Operation) -> list[Operation]:
        """The records of the id that was repeated most often: the first suspect."""
        begun = [[record for record in each.records if record.start <= read.end] for each in self._ids]
        most = max(begun, key=len, default=[])
        return most if len(most) > 1 else []

    def _went_back(self) -> Iterator[HistoryVerdict]:
        by_end = sorted(self._reads, key=lambda each: each.end)
        ends = [each.end for each in by_end]
        highest: list[Operation] = []
        for each in by_end:
            highest.append(max(highest[-1], each, key=_count) if highest else each)
        for read in self._reads:
            before = bisect_left(ends, read.start)
            if before and _count(highest[before - 1]) > _count(read):
                earlier = highest[before - 1]
                argument = (
                    f"the read of {read.key!r} that ended at {earlier.end:.6g} saw {_count(earlier)}; the one that began after "
                    f"it, at {read.start:.6g}, saw {_count(read)}: nothing takes a count back"
                )
                yield invalid("went back", argument, [earlier, read])


def _count(read: Operation) -> int:
    if not isinstance(read.result, int):
        raise TypeError(f"the result of a read is a count, not {read.result!r}")
    return read.result
