"""What a step is, and what it is given: the adapters, the checks, its place among the workers.

A step is a small class that says what it uses and binds itself to a `Bench` once; what it gives back is called for each
item, and should cost next to nothing beside the adapter's own work.
"""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias, TypeVar

from stackproof.interfaces import (
    CacheStore,
    ConfigurationError,
    EventPublisher,
    InteractionStore,
    SearchIndex,
    StackproofError,
)
from stackproof.scenarios.distributions import Keys, Sizes
from stackproof.scenarios.item import Item

EXAMPLES_KEPT = 10
SHARED_TENANT = "bench"

Action: TypeAlias = Callable[[Item, int], None]
"""Does a step once: for an item, the how-manieth time in a row (from 0). Returns when it is done, raises where it failed."""
Done: TypeAlias = Callable[[BaseException | None], None]
"""Is told once how something ended: None, or the error. On any thread, and it must not wait."""
Begin: TypeAlias = Callable[[Item, int, Done], None]
"""Begins a step and returns at once; the end is told, unless beginning already raised."""
Value: TypeAlias = int | float | str
"""Of a setting."""
Tell: TypeAlias = Callable[[str, float], None]
"""Hears how far something long is: what is done, and the share of it that is over (0 to 1)."""
Part = TypeVar("Part")


class WrongAnswerError(StackproofError):
    """A backend answered in time, and wrongly."""


class PreparationError(StackproofError):
    """What a scenario needs could not be filled in."""


@dataclass(frozen=True, slots=True)
class Deferrable:
    """An action with a second form that does not wait, for a client whose driver has threads of its own."""

    act: Action
    begin: Begin


@dataclass(frozen=True)
class Step(ABC):
    """A part of an item, done ``times`` times in a row."""

    times: int = 1

    name: ClassVar[str] = ""
    """How results call one execution of it."""
    concern: ClassVar[str] = ""
    """The concern that it uses."""

    @abstractmethod
    def bind(self, bench: Bench) -> Action | Deferrable:
        """What is called for each item, from many threads or greenlets at once.

        Called once for each worker, before anything else. A backend that cannot do what the step needs is a `ConfigurationError`.
        """


class Checks:
    """What was seen while the load ran, and what was wrong. Lost, duplicated and wrong make a run invalid.

    What was accepted and is not done yet is *unhandled*, and not lost: a backlog, which says how fast the backend is. Of what
    could not be looked at after a window nothing is known, and that is said (*unchecked*).
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        """What was checked and how often, in words: "cache reads", "events handled"."""
        self.measured: dict[str, list[float]] = {}
        """Figures of a scenario's own, by name with unit: "catch-up, events/s"."""
        self.wrong = 0
        self.lost = 0
        self.duplicated = 0
        self.unhandled = 0
        self.unchecked: list[str] = []
        self.examples: list[str] = []
        self._guard = threading.Lock()

    def saw(self, what: str, times: int = 1) -> None:
        """Count what was looked at."""
        with self._guard:
            self.counts[what] += times

    def figure(self, name: str, value: float) -> None:
        """Note a figure that no latency can express."""
        with self._guard:
            self.measured.setdefault(name, []).append(value)

    def wrong_answer(self, sentence: str) -> WrongAnswerError:
        """Note a wrong answer; the error to raise."""
        with self._guard:
            self.wrong += 1
            self._keep(sentence)
        return WrongAnswerError(sentence)

    def lose(self, times: int, sentence: str) -> None:
        """Note that something that was acknowledged is gone."""
        with self._guard:
            self.lost += times
            self._keep(sentence)

    def leave(self, times: int, sentence: str) -> None:
        """Note that something that was accepted is not done yet, or was refused by the backend afterwards, which says so."""
        with self._guard:
            self.unhandled += times
            self._keep(sentence)

    def not_checked(self, sentence: str) -> None:
        """Note that after a window something could not be looked at: which check, and why."""
        with self._guard:
            if len(self.unchecked) < EXAMPLES_KEPT:
                self.unchecked.append(sentence)

    def double(self, times: int, sentence: str) -> None:
        """Note that something came, or counts, more than once."""
        with self._guard:
            self.duplicated += times
            self._keep(sentence)

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, duplicated or wrong, and nothing is left to do."""
        return not (self.wrong or self.lost or self.duplicated or self.unhandled)

    def to_data(self) -> dict[str, Any]:
        """As values that JSON can hold."""
        with self._guard:
            return {
                "counts": dict(sorted(self.counts.items())),
                "measured": {name: list(values) for name, values in self.measured.items()},
                "wrong": self.wrong,
                "lost": self.lost,
                "duplicated": self.duplicated,
                "unhandled": self.unhandled,
                "unchecked": list(self.unchecked),
                "examples": list(self.examples),
            }

    def taken(self) -> dict[str, Any]:
        """As `to_data`, and begin anew: what one window of several saw."""
        data = self.to_data()
        with self._guard:
            self.counts.clear()
            self.measured.clear()
            self.wrong = self.lost = self.duplicated = self.unhandled = 0
            self.unchecked.clear()
            self.examples.clear()
        return data

    def _keep(self, sentence: str) -> None:
        if len(self.examples) < EXAMPLES_KEPT:
            self.examples.append(sentence)


class Filled:
    """How much a worker has filled in for its session so far, by name: what is there need not be filled in again."""

    def __init__(self) -> None:
        self._numbers: Counter[str] = Counter()

    def of(self, what: str) -> int:
        """Things number 0 to this one less one are there, as far as they are this worker's share."""
        return self._numbers[what]

    def up_to(self, what: str, number: int) -> None:
        """So many are there now."""
        self._numbers[what] = max(number, self._numbers[what])


class Bench:
    """What the steps of one worker work with."""

    def __init__(
        self,
        adapters: Mapping[str, Any],
        *,
        keys: Keys,
        sizes: Sizes,
        offers: Keys | None = None,
        settings: Mapping[str, Value] | None = None,
        worker: int = 0,
        workers: int = 1,
        apart: str = "",
        filled: Filled | None = None,
        seed: int = 7,
    ) -> None:
        self.seed = seed
        self.keys = keys
        self.sizes = sizes
        self.offers = offers
        self.settings: Mapping[str, Value] = settings or {}
        """The settings of the scenario, validated."""
        self.checks = Checks()
        self.worker, self.workers = worker, workers
        """This worker's number (from 0), and how many there are."""
        self.apart = apart
        """What keys and topics begin with that are not shared; empty where the session has one scenario only."""
        self.tenant = apart + (SHARED_TENANT if workers == 1 else f"{SHARED_TENANT}{worker}")
        """A tenant of this worker and this scenario alone: what is read there was written by it, so it knows what must be
        there."""
        self.filled = Filled() if filled is None else filled
        """What scenarios of this session before this one have filled in already."""
        self.preparations: list[Callable[[Tell, float], None]] = []
        self.settlements: list[tuple[str, Callable[[float], None]]] = []
        """What each is called, after the step that asked for it, and what it does."""
        self.binding = ""
        """The name of the step that is being bound."""
        self.hurried = False
        """Somebody wants to end: nothing is waited for any more."""
        self.endings: list[Callable[[], None]] = []
        self._adapters = adapters
        self._parts: dict[type, Any] = {}

    # What a step may ask for when it is bound

    def prepare_with(self, action: Callable[[Tell, float], None]) -> None:
        """``action(tell, deadline)`` is called once before the first window; the deadline is of ``time.monotonic``."""
        self.preparations.append(action)

    def settle_with(self, action: Callable[[float], None]) -> None:
        """``action(deadline)`` is called after each window: wait for what is still under way, then count what is missing.

        It waits no longer than until `over`. What it raises is noted as *unchecked*, and the window is kept.
        """
        self.settlements.append((self.binding, action))

    def over(self, deadline: float) -> bool:
        """Whether what is done after a window must come to its end: its time is up, or somebody wants to end all of it."""
        return self.hurried or time.monotonic() >= deadline

    def end_with(self, action: Callable[[], None]) -> None:
        """``action()`` is called at the end, before the adapters are disconnected."""
        self.endings.append(action)

    def part(self, kind: type[Part], *arguments: Any) -> Part:
        """What several steps share: the one instance of a class, made for the first who asks."""
        if kind not in self._parts:
            self._parts[kind] = kind(*arguments)
        part: Part = self._parts[kind]
        return part

    def share(self, concern: str) -> tuple[int, int]:
        """``(k, n)``: of what the workers fill in together, this one does the numbers k, k + n, ...

        Everything, where the backend lives in this process and nobody else's work would be seen.
        """
        remote = getattr(getattr(self._adapters[concern], "capabilities", None), "remote", True)
        return (self.worker, self.workers) if remote else (0, 1)

    # The adapters

    @property
    def cache(self) -> CacheStore:
        cache: CacheStore = self._of("cache")
        return cache

    @property
    def interactions(self) -> InteractionStore:
        store: InteractionStore = self._of("interactions")
        return store

    @property
    def events(self) -> EventPublisher:
        publisher: EventPublisher = self._of("events")
        return publisher

    @property
    def search(self) -> SearchIndex:
        index: SearchIndex = self._of("search")
        return index

    @property
    def logs(self) -> logging.Handler:
        handler: logging.Handler = self._of("logs")
        return handler

    def _of(self, concern: str) -> Any:
        if concern not in self._adapters:
            raise ConfigurationError(f"a step asks for {concern}, which is not the concern that it names")
        return self._adapters[concern]

    def setting(self, name: str) -> Any:
        """A setting of the scenario; `ConfigurationError` where it has none of that name."""
        if name not in self.settings:
            raise ConfigurationError(f"a step asks for the setting {name!r}, which its scenario does not have")
        return self.settings[name]
