"""The work of an item: its steps, bound to the adapters of one worker, timed, and blamed where they are slow.

Knows nothing of Locust, of arrival times or of histograms: it is told an item and reports how long each step took. What
a step does, needs beforehand and checks is the step's own (``steps/``).
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Self

from stackproof.adapters.settings import Settings
from stackproof.interfaces import ConfigurationError, StackproofError
from stackproof.targets import parse_target

from .item import Item
from .scenario import Scenario
from .steps.base import Action, Begin, Bench, Checks, Deferrable, Filled, Tell
from .steps.logs import dropped_by

PREPARE_SECONDS = 600.0
SETTLE_SECONDS = 15.0


class StepFailedError(StackproofError):
    """A step of an item raised; the cause is its error."""

    def __init__(self, step: str, cause: BaseException) -> None:
        super().__init__(f"{step}: {type(cause).__name__}")
        self.kind = f"{step}: {type(cause).__name__}"


def is_an_end(error: BaseException) -> bool:
    """Whether an operation that raised this has ended so, and no process or greenlet was told to end meanwhile.

    Not every error of a client is an `Exception`: `gevent.Timeout` and `asyncio.CancelledError` are none.
    """
    greenlets = sys.modules.get("greenlet")  # where it was never imported, no greenlet was killed
    told = (KeyboardInterrupt, SystemExit, *([greenlets.GreenletExit] if greenlets else []))
    return not isinstance(error, told)


def _failed(step: str, cause: BaseException) -> StepFailedError:
    error = StepFailedError(step, cause)
    error.__cause__ = cause
    return error


_Turn = tuple[str, str, Action, Begin | None, int]
"""Name of a step, what it is called when it is blamed, its action and the form of it that does not wait, and the
how-manieth time it is done in a row."""
Took = Callable[[str, float], None]
Ended = Callable[[StepFailedError | None], None]


class Adapters:
    """The adapters of one worker, under one namespace: each made when a scenario first needs it, and used by all after that."""

    def __init__(self, backends: Mapping[str, str], settings: Settings, namespace: str) -> None:
        """``backends``: concern -> name or ``package.module:factory``; ``settings``: what the adapters read."""
        self._backends, self._settings, self._namespace = backends, settings, namespace
        self._made: dict[str, Any] = {}

    def of(self, concerns: Iterable[str]) -> dict[str, Any]:
        """Those of these concerns, by concern. Raises what a factory raises; those that were made before it stay."""
        for concern in concerns:
            if concern not in self._made:
                self._made[concern] = _make(concern, self._backends[concern], self._settings, self._namespace)
        return {concern: self._made[concern] for concern in concerns}

    def disconnect(self) -> None:
        """Leave what they stored where it is."""
        while self._made:
            _disconnect(self._made.popitem()[1])

    def close(self) -> list[str]:
        """Remove everything of the namespace and disconnect; what went wrong, as sentences."""
        troubles = []
        while self._made:
            troubles += _end(*self._made.popitem())
        return troubles


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
        made = Adapters(backends, settings, namespace)
        try:
            self._bind(scenario, made.of(scenario.concerns), worker, workers)
        except BaseException:
            made.disconnect()
            raise

    @classmethod
    def on(
        cls,
        scenario: Scenario,
        adapters: Mapping[str, Any],
        *,
        worker: int = 0,
        workers: int = 1,
        apart: str = "",
        filled: Filled | None = None,
    ) -> Self:
        """The work on adapters that are there already. Where several scenarios share them, ``apart`` keeps this one's keys from
        those of others, and ``filled`` says what is there already."""
        work = cls.__new__(cls)
        work._bind(scenario, dict(adapters), worker, workers, apart, filled)
        return work

    def _bind(
        self,
        scenario: Scenario,
        adapters: dict[str, Any],
        worker: int,
        workers: int,
        apart: str = "",
        filled: Filled | None = None,
    ) -> None:
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
            apart=apart,
            filled=filled,
            seed=scenario.seed,
        )
        self._primed: list[_Turn] = []
        bound: list[list[_Turn]] = []
        for step in scenario.steps:
            needed, self.bench.binding = len(self.bench.preparations), step.name
            action, blamed = step.bind(self.bench), f"{step.name} ({type(adapters[step.concern]).__name__})"
            act, begin = (action.act, action.begin) if isinstance(action, Deferrable) else (action, None)
            bound.append([(step.name, blamed, act, begin, turn) for turn in range(step.times)])
            if workers == 1 or needed == len(self.bench.preparations):
                self._primed += bound[-1]
        self._sequences: tuple[tuple[_Turn, ...], ...] = (
            tuple(map(tuple, bound)) if scenario.weights else (tuple(turn for turns in bound for turn in turns),)
        )

    def pings(self) -> Iterator[tuple[str, Callable[[], bool]]]:
        """By concern, what connects an adapter that can be asked whether its server answers."""
        for concern, adapter in self._adapters.items():
            if hasattr(adapter, "ping"):
                yield concern, adapter.ping

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

    def prime(self, number: int, watched: Callable[[str], AbstractContextManager[None]] | None = None) -> None:
        """Do each step once, also those of a mix, so that everything is connected and every table is there.

        Among several workers a step whose preparation others may still be at is left out; its own part has connected it. What
        the checks saw is forgotten, unless something was wrong. Each is done under ``watched`` (with the name of the step and its
        adapter). `StepFailedError` for the first that fails.
        """
        item = self.item(number)
        for turn in self._primed:
            with nullcontext() if watched is None else watched(turn[1]):
                self._do(turn, item, lambda *_: None)
        if self.checks.clean:
            self.checks.taken()

    def item(self, number: int) -> Item:
        """The random part of operation ``number``."""
        return self.scenario.item(number)

    def decide(self, item: Item, took: Took) -> None:
        """Do the steps of one item; ``took(step, seconds)`` after each. `StepFailedError` for the first that fails."""
        for turn in self._turns_of(item):
            self._do(turn, item, took)

    @property
    def defers(self) -> bool:
        """Whether some step has a form that does not wait, so that `begin` keeps many items under way with one thread."""
        return any(turn[3] is not None for turns in self._sequences for turn in turns)

    @property
    def waits_for_nothing(self) -> bool:
        """Whether every step has such a form, so that `begin` never waits."""
        return all(turn[3] is not None for turns in self._sequences for turn in turns)

    def begin(self, item: Item, took: Took, ended: Ended) -> None:
        """As `decide`, but steps that can return before they are done do so: the rest follows on the driver's threads.

        ``ended`` is called exactly once, with None or the error, on any thread or before this returns; it must not wait.
        """
        self._go_on(iter(self._turns_of(item)), item, took, ended)

    def _go_on(self, turns: Iterator[_Turn], item: Item, took: Took, ended: Ended) -> None:
        try:
            for turn in turns:
                if turn[3] is not None:
                    self._begin(turn, turns, item, took, ended)
                    return
                self._do(turn, item, took)
        except StepFailedError as error:
            ended(error)
            return
        ended(None)

    def _begin(self, turn: _Turn, turns: Iterator[_Turn], item: Item, took: Took, ended: Ended) -> None:
        name, _, _, begin, times = turn
        assert begin is not None
        began = time.perf_counter()
        told = False

        def done(error: BaseException | None) -> None:
            nonlocal told
            told = True
            if error is not None:
                ended(_failed(name, error))
                return
            took(name, time.perf_counter() - began)
            self._go_on(turns, item, took, ended)

        try:
            begin(item, times, done)
        except BaseException as error:
            if told or not is_an_end(error):
                raise  # it is not the step that failed, but who heard of its end
            ended(_failed(name, error))

    def _turns_of(self, item: Item) -> tuple[_Turn, ...]:
        sequences = self._sequences
        return sequences[0] if len(sequences) == 1 else sequences[self.scenario.chosen(item)]

    def _do(self, turn: _Turn, item: Item, took: Took) -> None:
        name, blamed, action, _, times = turn
        began = time.perf_counter()
        try:
            action(item, times)
        except BaseException as error:
            if not is_an_end(error):
                raise
            self._note(blamed, began, time.perf_counter() - began)
            raise StepFailedError(name, error) from error
        seconds = time.perf_counter() - began
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
        """After a window: wait for what is asynchronous, and count in `checks` what was lost, duplicated or wrong.

        What cannot be looked at is noted there, too: a server that is gone by now does not take with it what was measured before.
        """
        deadline = time.monotonic() + within
        for step, settle in self.bench.settlements:
            why = "" if self.bench.hurried else self._settled(settle, deadline)
            if self.bench.hurried:
                why = "the window was cut short"
            if why:
                self.checks.not_checked(f"after {step}: {why}")

    @staticmethod
    def _settled(settle: Callable[[float], None], deadline: float) -> str:
        """Why it could not be done; empty where it was."""
        try:
            settle(deadline)
        except Exception as error:  # noqa: BLE001 - told with the window, whose figures are there already
            return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
        return ""

    def hurry(self) -> None:
        """Wait for nothing any more, also where `settle` is waiting: somebody wants to end."""
        self.bench.hurried = True

    @property
    def lost_log_lines(self) -> int:
        """Log records that the transport says it dropped, where it can say so."""
        return dropped_by(self._adapters.get("logs"))

    def end(self) -> list[str]:
        """End what steps left running; what went wrong, as sentences."""
        troubles = []
        for end in self.bench.endings:
            try:
                end()
            except Exception as error:  # noqa: BLE001 - reported; the others are ended all the same
                troubles.append(f"{type(error).__name__}: {error}")
        self.bench.endings.clear()
        return troubles

    def close(self) -> list[str]:
        """End what steps left running, remove everything of the namespace and disconnect; what went wrong, as sentences."""
        troubles = self.end()
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
