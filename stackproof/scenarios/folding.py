"""The numbers of operations under load, kept in arrays, and what they become afterwards: the histograms and counts of a recorder.

A recorder is for one thread, and telling it of an operation costs microseconds, which is more than some operations cost
themselves. A number in an array costs next to nothing, whichever thread puts it there.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .histogram import Histogram
from .recorder import LATE_SECONDS, Counts, Recorder, Second

Seconds: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.int64]
Members: TypeAlias = NDArray[np.bool_]
UNENDED, DROPPED, SKIPPED = -1.0, -2.0, -3.0


class Operations:
    """All operations of a window by their index. Each change is a single step of the interpreter, so that no lock is needed.

    ``due``, ``started_at`` and ``ended`` are readings of one clock, in seconds. ``ended`` is `UNENDED` until the end, and
    `DROPPED` or `SKIPPED` of what was not started. ``finished`` holds the indices of those that ended, in that order.
    """

    def __init__(self) -> None:
        self.first = 0.0
        """When the measured part begins."""
        self.due = array("d")
        self.started_at = array("d")
        self.ended = array("d")
        self.finished = array("q")
        self.failures: dict[int, str] = {}
        self.steps: list[tuple[int, str, float]] = []
        self.started = 0
        self.folded = self.folded_ends = self.folded_steps = 0
        """How many of those that were due, that ended, and of steps, have been counted."""

    def start(self, due: float, now: float) -> int:
        """The next operation begins; its index."""
        self.due.append(due)
        self.started_at.append(now)
        self.ended.append(UNENDED)  # last: its length is how many are complete
        self.started += 1
        return len(self.ended) - 1

    def turn_away(self, due: float, *, dropped: bool) -> None:
        """The next operation is not started: dropped, or skipped."""
        self.due.append(due)
        self.started_at.append(due)
        self.ended.append(DROPPED if dropped else SKIPPED)

    def took(self, index: int, step: str, seconds: float) -> None:
        """One step of an operation ended well."""
        self.steps.append((index, step, seconds))


def fold(operations: Operations, measured: Recorder, warm: Recorder, *, unfinished: str = "") -> None:
    """Count and record what has come since the last time. ``unfinished`` says how what still runs failed; else it goes on.

    For one thread at a time, while others go on to change the operations.
    """
    _fold_starts(operations, measured, warm)
    upto = len(operations.finished)
    indices = _copy(operations.finished, operations.folded_ends, upto, np.int64)
    # What began only after the starts were counted waits for the next time.
    known = np.flatnonzero(indices >= operations.folded)
    indices = indices[: known[0]] if len(known) else indices
    operations.folded_ends += len(indices)
    _fold_ends(operations, indices, measured, warm)
    _fold_steps(operations, measured, warm)
    if unfinished:
        _fold_unfinished(operations, measured, warm, unfinished)


def _fold_starts(operations: Operations, measured: Recorder, warm: Recorder) -> None:
    first, upto = operations.folded, len(operations.ended)
    due = _copy(operations.due, first, upto, np.float64)
    lags = np.maximum(_copy(operations.started_at, first, upto, np.float64) - due, 0.0)
    ended = _copy(operations.ended, first, upto, np.float64)
    operations.folded = upto
    started = (ended >= 0) | (ended == UNENDED)
    for recorder, members, offsets in _parts(due - operations.first, measured, warm):
        _count(recorder, "offered", offsets)
        for name, turned_away in (("dropped", DROPPED), ("skipped", SKIPPED)):
            _count(recorder, name, offsets[ended[members] == turned_away])
        sent = lags[members & started]
        recorder.lag.record_all(sent)
        recorder.sent_late += int(np.count_nonzero(sent > LATE_SECONDS))


def _fold_ends(operations: Operations, indices: Indices, measured: Recorder, warm: Recorder) -> None:
    if not len(indices):
        return
    first, upto = int(indices.min()), int(indices.max()) + 1
    due, started_at, ended = (
        _copy(values, first, upto, np.float64)[indices - first]
        for values in (operations.due, operations.started_at, operations.ended)
    )
    ours = set(indices.tolist()) if operations.failures else set()
    kinds = {index: operations.failures.pop(index) for index in list(operations.failures) if index in ours}
    failed = np.isin(indices, np.fromiter(kinds, np.int64, len(kinds)))
    for recorder, members, offsets in _parts(due - operations.first, measured, warm):
        well = members & ~failed
        _succeed(recorder, offsets[~failed[members]], (ended - due)[well], (ended - started_at)[well])
        for index, offset in zip(indices[members & failed].tolist(), offsets[failed[members]].tolist(), strict=True):
            recorder.fail(offset, kinds[index])


def _succeed(recorder: Recorder, offsets: Seconds, from_intended: Seconds, from_real: Seconds) -> None:
    recorder.intended.record_all(from_intended)
    recorder.real.record_all(from_real)
    too_late = np.full(len(offsets), False) if recorder.limit is None else from_intended > recorder.limit
    _count(recorder, "late", offsets[too_late])
    _count(recorder, "ok", offsets[~too_late])
    for second, members in _by_second(offsets):
        _second(recorder, second).latency.record_all(from_intended[members])


def _fold_steps(operations: Operations, measured: Recorder, warm: Recorder) -> None:
    upto = len(operations.steps)
    steps = operations.steps[operations.folded_steps : upto]
    operations.folded_steps = upto
    found: dict[tuple[bool, str], list[float]] = {}
    for index, step, seconds in steps:
        found.setdefault((operations.due[index] >= operations.first, step), []).append(seconds)
    for (is_measured, step), times in found.items():
        recorder = measured if is_measured else warm
        recorder.steps.setdefault(step, Histogram()).record_all(np.asarray(times))


def _fold_unfinished(operations: Operations, measured: Recorder, warm: Recorder, kind: str) -> None:
    ended = _copy(operations.ended, 0, operations.folded, np.float64)
    left = (ended >= 0) | (ended == UNENDED)  # what ends only now ends after the end
    left[_copy(operations.finished, 0, operations.folded_ends, np.int64)] = False
    due = _copy(operations.due, 0, operations.folded, np.float64)[left]
    for recorder, _, offsets in _parts(due - operations.first, measured, warm):
        for offset in offsets.tolist():
            recorder.fail(offset, kind)


def _parts(offsets: Seconds, measured: Recorder, warm: Recorder) -> Iterator[tuple[Recorder, Members, Seconds]]:
    """Each part that has members: its recorder, which these are, and their offsets."""
    in_time = offsets >= 0
    for recorder, members in ((measured, in_time), (warm, ~in_time)):
        if members.any():
            yield recorder, members, offsets[members]


def _count(recorder: Recorder, name: str, offsets: Seconds) -> None:
    """So many more of a kind, in all and in each second."""
    _add(recorder, name, len(offsets))
    for second, members in _by_second(offsets):
        _add(_second(recorder, second), name, len(members))


def _add(counts: Counts, name: str, number: int) -> None:
    setattr(counts, name, getattr(counts, name) + number)


def _by_second(offsets: Seconds) -> Iterator[tuple[int, Indices]]:
    seconds = np.trunc(offsets).astype(np.int64)
    for second in np.unique(seconds).tolist():
        yield second, np.flatnonzero(seconds == second)


def _second(recorder: Recorder, number: int) -> Second:
    return recorder.series.setdefault(number, Second())


def _copy(values: Any, first: int, upto: int, kind: type[Any]) -> NDArray[Any]:
    """A part of an array that others append to meanwhile: a view of it would keep them from that."""
    return np.array(values[first:upto], dtype=kind)
