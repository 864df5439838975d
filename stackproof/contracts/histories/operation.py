"""One operation of a history: who did what, from when to when, and how it ended. And how operations overlap."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from stackproof.interfaces import JsonValue


class Outcome(StrEnum):
    """How an operation ended, as its caller knows it."""

    OK = "ok"
    FAIL = "fail"
    """It certainly did not take effect."""
    INDETERMINATE = "indeterminate"
    """It may have taken effect, may still do so at any later time, or never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation, from its invocation (``start``) to its answer (``end``).

    Times are seconds of one clock that never goes back. The interval is closed: operations that touch in one instant count
    as concurrent. One that nobody saw end has an ``end`` of infinity, and is indeterminate.
    """

    kind: str
    key: str
    start: float
    end: float = math.inf
    process: int = 0
    """Who called: a process calls one operation after the other."""
    outcome: Outcome = Outcome.OK
    value: JsonValue = None
    """What was given: the value that was set, the event that was published."""
    result: JsonValue = None
    """What was answered. None stands for *nothing there*, so histories use values other than None."""

    def __post_init__(self) -> None:
        if not self.start <= self.end:
            raise ValueError(f"an operation cannot end ({self.end}) before it began ({self.start})")
        if self.end == math.inf and self.outcome is not Outcome.INDETERMINATE:
            raise ValueError("an operation that nobody saw end is indeterminate")

    @property
    def ok(self) -> bool:
        return self.outcome is Outcome.OK

    @property
    def may_have_happened(self) -> bool:
        return self.outcome is not Outcome.FAIL

    @property
    def latest(self) -> float:
        """The last instant at which it may take effect: an indeterminate one may do so at any later time."""
        return math.inf if self.outcome is Outcome.INDETERMINATE else self.end

    def precedes(self, other: Operation) -> bool:
        """Whether this one was over before the other began."""
        return self.latest < other.start

    def to_json(self) -> dict[str, Any]:
        """The operation as JSON values; what has its default is left out."""
        row: dict[str, Any] = {"process": self.process, "kind": self.kind, "key": self.key}
        row |= {name: found for name in ("value", "result") if (found := getattr(self, name)) is not None}
        row["start"] = self.start
        if self.end != math.inf:
            row["end"] = self.end
        if self.outcome is not Outcome.OK:
            row["outcome"] = str(self.outcome)
        return row

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Operation:
        """The operation that `to_json` wrote."""
        return cls(**{**row, "outcome": Outcome(row.get("outcome", "ok"))})

    def __str__(self) -> str:
        given = f" {self.value!r}" if self.value is not None else ""
        answer = "" if self.ok else f", which ended {self.outcome}"
        if self.ok and self.kind not in ("set", "index", "record", "publish", "subscribe", "unsubscribe", "deliver"):
            answer = " -> nothing" if self.result is None else f" -> {self.result!r}"
        when = f"{self.start:.6g} to {self.end:.6g}" if self.end != math.inf else f"{self.start:.6g}, never seen to end"
        return f"[{when}] process {self.process}: {self.kind} {self.key!r}{given}{answer}"


def by_key(history: Iterable[Operation]) -> dict[str, list[Operation]]:
    """The operations of each key, in order of their beginning."""
    found: defaultdict[str, list[Operation]] = defaultdict(list)
    for operation in sorted(history, key=lambda each: (each.start, each.end)):
        found[operation.key].append(operation)
    return dict(found)


def overlapping(history: Iterable[Operation]) -> int:
    """The largest number of operations that were under way at one instant."""
    history = list(history)
    borders = sorted([(each.start, 0, 1) for each in history] + [(each.end, 1, -1) for each in history])
    most = now = 0
    for _, _, step in borders:
        now += step
        most = max(most, now)
    return most


def overlapping_pairs(history: Iterable[Operation]) -> int:
    """How many pairs of operations on the same key overlapped: measured, since threads alone do not make concurrency."""
    pairs = 0
    for operations in by_key(history).values():
        running: list[float] = []
        for operation in operations:
            running = [end for end in running if end >= operation.start]
            pairs += len(running)
            running.append(operation.end)
    return pairs
