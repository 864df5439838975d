"""When decisions are due. A schedule is pure and index-based: no wait is ever added to another, so nothing drifts.

The load is *open*: whether a decision is due does not depend on how the ones before it went. A dispatcher that is late
starts what is due at once, and the intended start stays what it was: the delay is part of the latency.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable
from typing import ClassVar

from stackproof.interfaces import ConfigurationError


class Schedule(ABC):
    """The intended starts of a run, as seconds after its beginning."""

    name: ClassVar[str] = ""

    def __init__(self, rate: float, seed: int = 0) -> None:
        if not 0 < rate <= 1_000_000:
            raise ConfigurationError(f"a rate lies above 0 and at most at a million a second, not at {rate:g}")
        self.rate = rate
        self.seed = seed

    @abstractmethod
    def intended(self, number: int) -> float:
        """When operation ``number`` (from 0) is due."""

    def global_number(self, number: int) -> int:
        """Which operation of the whole run this is, where the schedule is one worker's share of it."""
        return number


class Constant(Schedule):
    """One decision every ``1 / rate`` seconds."""

    name = "constant"

    def intended(self, number: int) -> float:
        return number / self.rate


class Poisson(Schedule):
    """Independent arrivals: gaps are exponential, by seed, so that number n is due at the same time in every run."""

    name = "poisson"

    def __init__(self, rate: float, seed: int = 0) -> None:
        super().__init__(rate, seed)
        self._random = random.Random(seed)  # noqa: S311 - a schedule, not a secret
        self._due = array("d", [0.0])

    def intended(self, number: int) -> float:
        while len(self._due) <= number:
            self._due.append(self._due[-1] + self._random.expovariate(self.rate))
        return self._due[number]


ARRIVALS = {schedule.name: schedule for schedule in (Constant, Poisson)}


def schedule_of(name: str, rate: float, seed: int) -> Schedule:
    """The schedule of this name, or a `ConfigurationError` that lists the known ones."""
    if name not in ARRIVALS:
        raise ConfigurationError(f"the arrival process {name!r} is unknown; known are: {', '.join(ARRIVALS)}")
    return ARRIVALS[name](rate, seed)


class _Share(Schedule):
    """Every so-manieth arrival of a schedule: what one of several workers offers."""

    def __init__(self, whole: Schedule, worker: int, workers: int) -> None:
        super().__init__(whole.rate, whole.seed)
        self._whole, self._worker, self._workers = whole, worker, workers

    def intended(self, number: int) -> float:
        return self._whole.intended(self._worker + number * self._workers)

    def global_number(self, number: int) -> int:
        return self._worker + number * self._workers


def share(schedule: Schedule, worker: int, workers: int) -> Schedule:
    """The arrivals of worker k of n: the numbers k, k + n, k + 2n ... of the schedule, at their own intended starts."""
    if not 0 <= worker < workers:
        raise ValueError(f"there is no worker {worker} of {workers}")
    return schedule if workers == 1 else _Share(schedule, worker, workers)


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
        start(schedule.global_number(count), due)
        count += 1
    return count
