"""When items are due. A schedule is pure and index-based: no wait is ever added to another, so nothing drifts.

The load is *open*: whether an item is due does not depend on how the ones before it went. A dispatcher that is late
starts what is due at once, and the intended start stays what it was: the delay is part of the latency.
"""

from __future__ import annotations

import math
import random
import re
from abc import ABC, abstractmethod
from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, ClassVar

from stackproof.interfaces import ConfigurationError

from .trace import Trace, read_trace

MOST_PER_SECOND = 1_000_000


class Schedule(ABC):
    """The intended starts of a run, as seconds after its beginning."""

    name: ClassVar[str] = ""

    def __init__(self, rate: float, seed: int = 0) -> None:
        _check_rate(rate)
        self.rate = rate
        """Items a second, over all: what it is scaled to."""
        self.seed = seed

    @abstractmethod
    def intended(self, index: int) -> float:
        """When the arrival ``index`` (from 0) is due; infinity where there are no more. Never falls with the index."""

    def number(self, index: int) -> int:
        """The number of the item that arrives then."""
        return index

    @property
    def lasts(self) -> float:
        """Seconds for which something arrives: infinity but for a trace, which ends a mean gap after its last arrival."""
        return math.inf

    def describe(self) -> dict[str, Any]:
        """For the record."""
        return {"process": self.name, "rate": self.rate}


class Constant(Schedule):
    """One item every ``1 / rate`` seconds."""

    name = "constant"

    def intended(self, index: int) -> float:
        return index / self.rate


class Poisson(Schedule):
    """Independent arrivals: gaps are exponential, by seed, so that number n is due at the same time in every run."""

    name = "poisson"

    def __init__(self, rate: float, seed: int = 0) -> None:
        super().__init__(rate, seed)
        self._random = random.Random(seed)  # noqa: S311 - a schedule, not a secret
        self._due = array("d", [0.0])

    def intended(self, index: int) -> float:
        while len(self._due) <= index:
            self._due.append(self._due[-1] + self._random.expovariate(self.rate))
        return self._due[index]

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "seed": self.seed}


class Stepped(Schedule):
    """The rate changes by time: for so many seconds so many times the rate; after the last stage the first one comes again."""

    name = "step"

    def __init__(self, rate: float, stages: Sequence[tuple[float, float]]) -> None:
        """``stages``: seconds, and what the rate is multiplied by meanwhile (0 for a pause)."""
        super().__init__(rate)
        if not stages or any(not (0 < seconds <= 86_400 and 0 <= factor <= 1_000) for seconds, factor in stages):
            raise ConfigurationError("a stage takes between 0 and 86400 s, and multiplies the rate by 0 to 1000")
        if not any(factor for _, factor in stages):
            raise ConfigurationError("in one stage at least something must arrive")
        for _, factor in stages:
            _check_rate(rate * factor or rate)
        self.stages = tuple(stages)
        self._ends = tuple(accumulate(seconds for seconds, _ in stages))
        self._arrived = tuple(accumulate(seconds * factor * rate for seconds, factor in stages))
        """How many (not whole numbers) have arrived by the end of each stage."""

    def intended(self, index: int) -> float:
        rounds, left = divmod(index, self._arrived[-1])
        stage = min(bisect_right(self._arrived, left), len(self.stages) - 1)
        seconds, factor = self.stages[stage]
        began = self._ends[stage] - seconds
        before = self._arrived[stage - 1] if stage else 0.0
        return rounds * self._ends[-1] + began + (left - before) / (factor * self.rate)

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "stages": [list(stage) for stage in self.stages]}


class Replay(Schedule):
    """The arrivals of a recorded trace, stretched or squeezed so that their mean rate is the one that is asked for.

    With the trace's own rate (`natural_rate`) they are as they were recorded. The trace ends, and then nothing arrives.
    """

    name = "replay"

    def __init__(self, rate: float, trace: Trace) -> None:
        super().__init__(rate)
        self.trace = trace
        self._factor = 1.0 if rate == trace.rate else trace.rate / rate

    def intended(self, index: int) -> float:
        offsets = self.trace.offsets
        return offsets[index] * self._factor if index < len(offsets) else math.inf

    @property
    def lasts(self) -> float:
        return self.trace.offsets[-1] * self._factor + 1 / self.rate

    def describe(self) -> dict[str, Any]:
        trace = self.trace
        return {
            **super().describe(),
            "file": trace.name,
            "sha256": trace.sha256,
            "arrivals": len(trace.offsets),
            "recorded_rate": trace.rate,
        }


class Share(Schedule):
    """Of a schedule the arrivals k, k + n, k + 2n ...: what worker k of n does."""

    def __init__(self, whole: Schedule, k: int, n: int) -> None:
        if not 0 <= k < n:
            raise ConfigurationError(f"of {n} workers there is no number {k}")
        super().__init__(whole.rate, whole.seed)
        self._whole, self._first, self._step = whole, k, n

    def intended(self, index: int) -> float:
        return self._whole.intended(self._first + index * self._step)

    def number(self, index: int) -> int:
        return self._whole.number(self._first + index * self._step)

    @property
    def lasts(self) -> float:
        return self._whole.lasts

    def describe(self) -> dict[str, Any]:
        return self._whole.describe()


def share(schedule: Schedule, k: int, n: int) -> Schedule:
    """The part of worker ``k`` (from 0) of ``n``: its intended starts are those of the whole, and all parts are the whole."""
    return schedule if n == 1 and k == 0 else Share(schedule, k, n)


KNOWN = "constant, poisson, step:10s@1,5s@3 (seconds at so many times the rate), replay:FILE, closed"
_STAGE = re.compile(r"([0-9.]+)s@([0-9.]+)")


def schedule_of(arrivals: str, rate: float, seed: int) -> Schedule:
    """The schedule that is named; a `ConfigurationError` that lists the known ones, or says what is wrong with its values."""
    process, _, argument = arrivals.partition(":")
    if process == "constant" and not argument:
        return Constant(rate, seed)
    if process == "poisson" and not argument:
        return Poisson(rate, seed)
    if process == "step" and argument:
        return Stepped(rate, _stages(arrivals, argument))
    if process == "replay" and argument:
        return Replay(rate, read_trace(Path(argument)))
    if arrivals == "closed":
        raise ConfigurationError(
            "in a closed loop each caller begins when its last answer has come: it has no schedule"
        )
    raise ConfigurationError(f"the arrival process {arrivals!r} is unknown; known are: {KNOWN}")


def is_steady(arrivals: str) -> bool:
    """Whether every part of it has the rate that is asked for. A trace ends, and stages have rates of their own."""
    return arrivals in ("constant", "poisson")


def natural_rate(arrivals: str) -> float | None:
    """The mean rate that was recorded, for a replay; None for what has no rate of its own."""
    process, _, argument = arrivals.partition(":")
    return read_trace(Path(argument)).rate if process == "replay" and argument else None


def _stages(arrivals: str, text: str) -> list[tuple[float, float]]:
    stages = []
    for part in text.split(","):
        found = _STAGE.fullmatch(part.strip())
        try:
            stages.append((float(found[1]), float(found[2])) if found else (math.nan, math.nan))
        except ValueError:
            found = None
        if found is None:
            raise ConfigurationError(
                f"the stage {part!r} of {arrivals!r} must look like 10s@2: for 10 s, two times the rate"
            )
    return stages


def _check_rate(rate: float) -> None:
    if not 0 < rate <= MOST_PER_SECOND:
        raise ConfigurationError(f"a rate lies above 0 and at most at a million a second, not at {rate:g}")


BURST = 64
"""At most so many arrivals that are overdue are started at once before what was started may run."""


def dispatch(
    schedule: Schedule,
    end: float,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    start: Callable[[int, float], None],
    began: float | None = None,
    burst: int = BURST,
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Call ``start(number, due)`` for each operation that is due within ``end`` seconds of ``began`` (or of now).

    The answer is how many there were; ``number`` is the one of the whole schedule, also for a share of it. ``start`` must
    not wait. It is called in order, never early; those that are overdue follow each other at once, with a ``sleep(0)`` after
    every ``burst`` of them so that what was started can run.
    """
    began = clock() if began is None else began
    count = overdue = 0
    while not stopped():
        offset = schedule.intended(count)
        if offset >= end:
            break
        due = began + offset
        wait = due - clock()
        overdue = overdue + 1 if wait <= 0 else 0
        if wait > 0 or overdue % burst == 0:
            sleep(max(0.0, wait))
            while clock() < due:  # a coarse sleep may end early
                sleep(due - clock())
            if stopped():
                break
        start(schedule.number(count), due)
        count += 1
    return count
