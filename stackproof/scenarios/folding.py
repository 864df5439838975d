"""The numbers of operations under load, kept in arrays, and what they become afterwards: the histograms and counts of a recorder.

To record a duration in a histogram costs microseconds, more than some operations themselves. In arrays it costs next to nothing,
and counting equal durations before they are recorded makes of millions of them some thousands.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .recorder import LATE_SECONDS, Histogram, Recorder, Second

Seconds: TypeAlias = NDArray[np.float64]
Numbers: TypeAlias = NDArray[np.int64]
UNENDED = -1.0


class Operations:
    """All operations of a window by their number. Each change is a single step of the interpreter, so that no lock is needed.

    ``due``, ``started_at`` and ``ended`` are readings of one clock, in seconds; ``started_at`` is NaN for what was dropped, and
    ``ended`` is `UNENDED` until the end. ``finished`` holds the numbers of those that ended, in that order.
    """

    def __init__(self) -> None:
        self.due = array("d")
        self.started_at = array("d")
        self.ended = array("d")
        self.finished = array("q")
        self.failures: dict[int, str] = {}
        self.steps: list[tuple[int, str, float]] = []
        self.began = 0.0
        self.warmup = 0.0
        self.started = 0
        self.folded = 0
        """How many that were offered have been counted."""
        self.folded_ends = 0
        self.folded_steps = 0

    def add(self, due: float, started_at: float) -> None:
        """The next number is due, and began now; or was dropped, with NaN."""
        self.due.append(due)
        self.started_at.append(started_at)
        self.ended.append(UNENDED)  # last: its length is how many are complete

    def took(self, number: int, step: str, seconds: float) -> None:
        """One step of an operation ended well."""
        self.steps.append((number, step, seconds))


@dataclass(slots=True)
class Part:
    """The warm-up or the measured part of a window."""

    recorder: Recorder = field(default_factory=Recorder)

    def offer(self, offsets: Seconds, lags: Seconds, started: NDArray[np.bool_]) -> None:
        """So many were due, and of these so many started, ``lags`` seconds late; the others were dropped."""
        recorder = self.recorder
        recorder.offered += len(offsets)
        recorder.dropped += int(np.count_nonzero(~started))
        late = np.maximum(lags[started], 0.0)
        recorder.late += int(np.count_nonzero(late > LATE_SECONDS))
        _record(recorder.lag, late)
        for second, members in _by_second(offsets):
            row = self._second(second)
            row.offered += len(members)
            row.dropped += int(np.count_nonzero(~started[members]))

    def succeed(self, offsets: Seconds, from_intended: Seconds, from_real: Seconds) -> None:
        """These ended well."""
        recorder = self.recorder
        recorder.ok += len(offsets)
        _record(recorder.intended, from_intended)
        _record(recorder.real, from_real)
        for second, members in _by_second(offsets):
            row = self._second(second)
            row.ok += len(members)
            _record(row.latency, from_intended[members])

    def fail(self, offsets: Iterable[float], kinds: Iterable[str]) -> None:
        """These ended with an error each, or not at all."""
        for offset, kind in zip(offsets, kinds, strict=True):
            self.recorder.fail(offset, kind)

    def took(self, step: str, seconds: Seconds) -> None:
        """So long did executions of a step take that ended well."""
        if len(seconds):
            _record(self.recorder.steps.setdefault(step, Histogram()), seconds)

    def _second(self, number: int) -> Second:
        return self.recorder.series.setdefault(number, Second())


def fold(operations: Operations, measured: Part, warm: Part, *, only_step: str = "", unfinished: str = "") -> None:
    """Count and record what has come since the last time. ``unfinished`` says how what still runs failed; else it goes on."""
    _fold_starts(operations, measured, warm)
    upto = len(operations.finished)
    numbers = _copy(operations.finished, operations.folded_ends, upto, np.int64)
    operations.folded_ends = upto
    # Each that is finished was started before, but perhaps after the starts were counted: those wait for the next time.
    known = numbers < operations.folded
    if not known.all():
        operations.folded_ends = upto - len(numbers) + int(np.argmin(known))
        numbers = numbers[: int(np.argmin(known))]
    _fold_ends(operations, numbers, measured, warm, only_step)
    _fold_steps(operations, measured, warm)
    if unfinished:
        _fold_unfinished(operations, measured, warm, unfinished)


def _fold_starts(operations: Operations, measured: Part, warm: Part) -> None:
    first, upto = operations.folded, len(operations.ended)
    due = _copy(operations.due, first, upto, np.float64)
    started_at = _copy(operations.started_at, first, upto, np.float64)
    operations.folded = upto
    offsets = due - operations.began - operations.warmup
    started = ~np.isnan(started_at)
    for part, members in _parts(offsets, measured, warm):
        part.offer(offsets[members], (started_at - due)[members], started[members])


def _fold_ends(operations: Operations, numbers: Numbers, measured: Part, warm: Part, only_step: str) -> None:
    if not len(numbers):
        return
    first, upto = int(numbers.min()), int(numbers.max()) + 1
    at = numbers - first
    due, started_at, ended = (
        _copy(values, first, upto, np.float64)[at]
        for values in (operations.due, operations.started_at, operations.ended)
    )
    offsets = due - operations.began - operations.warmup
    ours = set(numbers.tolist()) if operations.failures else set()
    kinds = {number: operations.failures.pop(number) for number in list(operations.failures) if number in ours}
    failed = np.isin(numbers, np.fromiter(kinds, np.int64, len(kinds)))
    for part, members in _parts(offsets, measured, warm):
        well = members & ~failed
        part.succeed(offsets[well], (ended - due)[well], (ended - started_at)[well])
        if only_step:
            part.took(only_step, (ended - started_at)[well])
        ill = members & failed
        part.fail(offsets[ill].tolist(), [kinds[number] for number in numbers[ill].tolist()])


def _fold_steps(operations: Operations, measured: Part, warm: Part) -> None:
    steps = operations.steps[operations.folded_steps :]
    operations.folded_steps += len(steps)
    found: dict[tuple[bool, str], list[float]] = {}
    first = operations.began + operations.warmup
    for number, step, seconds in steps:
        found.setdefault((operations.due[number] >= first, step), []).append(seconds)
    for (is_measured, step), times in found.items():
        (measured if is_measured else warm).took(step, np.asarray(times))


def _fold_unfinished(operations: Operations, measured: Part, warm: Part, kind: str) -> None:
    started_at = _copy(operations.started_at, 0, operations.folded, np.float64)
    left = ~np.isnan(started_at)
    left[_copy(operations.finished, 0, operations.folded_ends, np.int64)] = False
    offsets = _copy(operations.due, 0, operations.folded, np.float64)[left] - operations.began - operations.warmup
    for part, members in _parts(offsets, measured, warm):
        of_part = offsets[members].tolist()
        part.fail(of_part, [kind] * len(of_part))


def _parts(offsets: Seconds, measured: Part, warm: Part) -> Iterator[tuple[Part, NDArray[np.bool_]]]:
    in_time = offsets >= 0
    for part, members in ((measured, in_time), (warm, ~in_time)):
        if members.any():
            yield part, members


def _by_second(offsets: Seconds) -> Iterator[tuple[int, Numbers]]:
    seconds = np.trunc(offsets).astype(np.int64)
    for second in np.unique(seconds).tolist():
        yield second, np.flatnonzero(seconds == second)


def _record(histogram: Histogram, seconds: Seconds) -> None:
    values, counts = np.unique(np.rint(seconds * 1e6).astype(np.int64), return_counts=True)
    histogram.record_counts(values.tolist(), counts.tolist())


def _copy(values: Any, first: int, upto: int, kind: type[Any]) -> NDArray[Any]:
    """A part of an array that others append to meanwhile: a view of it would keep them from that."""
    return np.array(values[first:upto], dtype=kind)
