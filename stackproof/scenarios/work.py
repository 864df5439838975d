"""The work of an item: its steps, bound to the adapters of one worker, timed, and blamed where they are slow.

Knows nothing of Locust, of arrival times or of histograms: it is told an item and reports how long each step took. What
a step does, needs beforehand and checks is the step's own (``steps/``).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

from stackproof.adapters.settings import Settings
from stackproof.interfaces import ConfigurationError, StackproofError
from stackproof.targets import parse_target

from .item import Item
from .scenario import Scenario
from .steps.base import Action, Bench, Checks, Tell
from .steps.logs import dropped_by

PREPARE_SECONDS = 600.0
SETTLE_SECONDS = 15.0


class StepFailedError(StackproofError):
    """A step of an item raised; the cause is its error."""

    def __init__(self, step: str, cause: BaseException) -> None:
        super().__init__(f"{step}: {type(cause).__name__}")
        self.kind = f"{step}: {type(cause).__name__}"


_Turn = tuple[str, str, Action, int]
"""Name of a step, what it is called when it is blamed, its action, and the how-manieth time it is done in a row."""


class Work:
    """The adapters of one worker, under one namespace, and the steps of a scenario on them."""

    def __init__(
        self,
        scenario: Scenario,
        backends: Mapping[str, str],
        settings: Settings,
        namespace: str,
        *,
        worker: int = 0,
        workers: int = 1,
    ) -> None:
        """``backends``: concern -> name or ``package.module:factory``; ``settings``: what the adapters read."""
        adapters = {}
        try:
            for concern in scenario.concerns:
                adapters[concern] = _make(concern, backends[concern], settings, namespace)
            self._bind(scenario, adapters, worker, workers)
        except BaseException:
            for adapter in adapters.values():
                _disconnect(adapter)
            raise

    @classmethod
    def on(cls, scenario: Scenario, adapters: Mapping[str, Any], *, worker: int = 0, workers: int = 1) -> Self:
        """The work on adapters that are there already."""
        work = cls.__new__(cls)
        work._bind(scenario, dict(adapters), worker, workers)
        return work

    def _bind(self, scenario: Scenario, adapters: dict[str, Any], worker: int, workers: int) -> None:
        self.scenario = scenario
        self._adapters = adapters
        self._slowest: tuple[float, str] = (0.0, "none")
        self._asked = 0.0
        self.bench = Bench(
            adapters,
            keys=scenario.keys,
            sizes=scenario.sizes,
            offers=scenario.offers,
            settings=scenario.settings,
            worker=worker,
            workers=workers,
        )
        bound = []
        for step in scenario.steps:
            action, blamed = step.bind(self.bench), f"{step.name} ({type(adapters[step.concern]).__name__})"
            bound.append([(step.name, blamed, action, turn) for turn in range(step.times)])
        self._sequences: tuple[tuple[_Turn, ...], ...] = (
            tuple(map(tuple, bound)) if scenario.weights else (tuple(turn for turns in bound for turn in turns),)
        )

    @property
    def checks(self) -> Checks:
        """What was checked, and what was wrong."""
        return self.bench.checks

    def prepare(self, tell: Tell = lambda _what, _share: None, within: float = PREPARE_SECONDS) -> None:
        """Fill in what the scenario needs: once, before the first window, by all workers before any of them goes on.

        Raises what the backend raises, and `PreparationError` where ``within`` seconds are not enough.
        """
        deadline = time.monotonic() + within
        for prepare in self.bench.preparations:
            prepare(tell, deadline)

    def item(self, number: int) -> Item:
        """The random part of operation ``number``."""
        return self.scenario.item(number)

    def decide(self, item: Item, took: Callable[[str, float], None]) -> None:
        """Do the steps of one item; ``took(step, seconds)`` after each. `StepFailedError` for the first that fails."""
        sequences = self._sequences
        turns = sequences[0] if len(sequences) == 1 else sequences[self.scenario.chosen(item)]
        clock = time.perf_counter
        for name, blamed, action, turn in turns:
            began = clock()
            try:
                action(item, turn)
            except Exception as error:
                self._note(blamed, began, clock() - began)
                raise StepFailedError(name, error) from error
            seconds = clock() - began
            if seconds > self._slowest[0]:
                self._note(blamed, began, seconds)
            took(name, seconds)

    def _note(self, blamed: str, began: float, seconds: float) -> None:
        if seconds > self._slowest[0] and began >= self._asked:
            self._slowest = (seconds, blamed)

    def slowest_step(self) -> tuple[float, str]:
        """Seconds and name of the longest step that both began and ended since this was last asked.

        This is what a blocked event loop is blamed on. A step that had begun before was waiting, and let others run.
        """
        slowest, self._slowest, self._asked = self._slowest, (0.0, "none"), time.perf_counter()
        return slowest

    def settle(self, within: float = SETTLE_SECONDS) -> None:
        """After a window: wait for what is asynchronous, and count in `checks` what was lost, duplicated or wrong."""
        deadline = time.monotonic() + within
        for settle in self.bench.settlements:
            settle(deadline)

    @property
    def lost_log_lines(self) -> int:
        """Log records that the transport says it dropped, where it can say so."""
        return dropped_by(self._adapters.get("logs"))

    def close(self) -> list[str]:
        """End what steps left running, remove everything of the namespace and disconnect; what went wrong, as sentences."""
        troubles = []
        for end in self.bench.endings:
            try:
                end()
            except Exception as error:  # noqa: BLE001 - reported; the others are ended all the same
                troubles.append(f"{type(error).__name__}: {error}")
        self.bench.endings.clear()
        for concern, adapter in reversed(self._adapters.items()):
            troubles += _end(concern, adapter)
        self._adapters.clear()
        return troubles


def drop_namespace(backends: Mapping[str, str], settings: Settings, namespace: str) -> list[str]:
    """Remove what a generator left behind that could not do it itself; what went wrong, as sentences."""
    troubles = []
    for concern, spec in backends.items():
        try:
            adapter = _make(concern, spec, settings, namespace)
        except Exception as error:  # noqa: BLE001 - a third party's factory may raise anything
            troubles.append(f"{concern}: {type(error).__name__}: {error}")
        else:
            troubles += _end(concern, adapter)
    return troubles


def _end(concern: str, adapter: Any) -> list[str]:
    """Remove what an adapter stored, and disconnect it; what went wrong, so that the others are ended all the same."""
    troubles = []
    for action in (_remove, _disconnect):
        try:
            action(adapter)
        except Exception as error:  # noqa: BLE001 - reported
            troubles.append(f"{concern}: {type(error).__name__}: {error}")
    return troubles


def _remove(adapter: Any) -> None:
    if hasattr(adapter, "drop_namespace"):
        adapter.drop_namespace()
    elif getattr(getattr(adapter, "capabilities", None), "remote", False):
        raise ConfigurationError("it has no drop_namespace, so what this run stored stays on its server")


def _make(concern: str, spec: str, settings: Settings, namespace: str) -> Any:
    return parse_target(f"{concern}={spec}").make(settings, namespace)


def _disconnect(adapter: Any) -> None:
    if isinstance(adapter, logging.Handler):
        adapter.close()
    else:
        adapter.disconnect()
