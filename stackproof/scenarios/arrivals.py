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
        """When decision ``number`` (from 0) is due."""


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


def dispatch(
    schedule: Schedule,
    end: float,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    start: Callable[[int, float], None],
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Call ``start(number, due)`` for each decision that is due within ``end`` seconds of now; how many there were.

    ``start`` must not wait. It is called in order, never early; late ones follow each other at once, with a ``sleep(0)``
    between them so that what was started can run.
    """
    began = clock()
    number = 0
    while not stopped():
        offset = schedule.intended(number)
        if offset >= end:
            break
        due = began + offset
        sleep(max(0.0, due - clock()))
        while clock() < due:  # a coarse sleep may end early
            sleep(due - clock())
        if stopped():
            break
        start(number, due)
        number += 1
    return number
