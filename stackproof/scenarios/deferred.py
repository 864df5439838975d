"""How an item is begun by the native engine: by deferred calls where all of its steps have some, else on threads that wait.

A deferred step returns at once, and a thread of its driver tells its end. The next step of the item begins there and then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeAlias

from stackproof.adapters.registry import BUILT_IN
from stackproof.interfaces import DeferredInteractions, DeferredPublisher, Done

from .native import Begin, Ended, Took
from .scenario import Decision, Publish, RecordEvent, Step
from .work import TOPIC, StepFailedError, Work, event_of

Act: TypeAlias = Callable[[Any, Took], None]
"""Does a whole item and waits for it, as `Work.decide`; raises `StepFailedError`."""

STOP_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class DeferredStep:
    """One step of an item that can be begun without waiting."""

    name: str
    begin: Callable[[Any, Done], None]
    """With the item, and what is told its end. Raises what keeps it from beginning."""


class Chain:
    """Deferred steps one after the other."""

    def __init__(self, steps: Sequence[DeferredStep]) -> None:
        self._steps = tuple(steps)
        self.only_step = steps[0].name if len(steps) == 1 else ""

    def begin(self, item: Any, took: Took, ended: Ended) -> None:
        """Begin the first step; the last one's end is that of the item, and so is the first failure."""
        if self.only_step:
            step = self._steps[0]
            _begin(step, item, lambda error: ended(None if error is None else _failed(step, error)))
        else:
            self._next(0, item, took, ended)

    def _next(self, position: int, item: Any, took: Took, ended: Ended) -> None:
        if position == len(self._steps):
            ended(None)
            return
        step, began = self._steps[position], time.perf_counter()

        def done(error: BaseException | None) -> None:
            if error is not None:
                ended(_failed(step, error))
                return
            took(step.name, time.perf_counter() - began)
            self._next(position + 1, item, took, ended)

        _begin(step, item, done)

    def close(self) -> None:
        """Nothing is kept."""


def _begin(step: DeferredStep, item: Any, done: Ended) -> None:
    try:
        step.begin(item, done)
    except Exception as error:  # noqa: BLE001 - that is how the step ended
        done(error)


def _failed(step: DeferredStep, error: BaseException) -> StepFailedError:
    failure = StepFailedError(step.name, error)
    failure.__cause__ = error
    return failure


class Threads:
    """Native threads for items that wait: as many as may be in flight, so that none that was begun waits for a thread."""

    only_step = ""

    def __init__(self, act: Act, number: int) -> None:
        self._act = act
        self._waiting: SimpleQueue[tuple[Any, Took, Ended] | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._serve, name=f"stackproof-load-{each}", daemon=True) for each in range(number)
        ]
        for thread in self._threads:
            thread.start()

    def begin(self, item: Any, took: Took, ended: Ended) -> None:
        """Have one of the threads do it."""
        self._waiting.put((item, took, ended))

    def close(self) -> None:
        """Let go of the threads; one that hangs in its step is not waited for, and does not keep the process."""
        for _ in self._threads:
            self._waiting.put(None)
        until = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _serve(self) -> None:
        while (given := self._waiting.get()) is not None:
            item, took, ended = given
            try:
                self._act(item, took)
            except BaseException as error:  # noqa: BLE001 - that is how it ended; the thread must live on
                ended(error)
            else:
                ended(None)


def beginner(work: Work, in_flight: int) -> Chain | Threads:
    """What begins the items of this work."""
    steps = deferred_steps(work)
    return Threads(work.decide, in_flight) if steps is None else Chain(steps)


def deferred_steps(work: Work) -> list[DeferredStep] | None:
    """The steps of its scenario, where every one of them has a deferred form on the adapter that it uses."""
    found: list[DeferredStep] = []
    for step in work.scenario.steps:
        begin = _deferred(work, step)
        if begin is None:
            return None
        found += [DeferredStep(step.name, begin)] * step.times
    return found


def _deferred(work: Work, step: Step) -> Callable[[Decision, Done], None] | None:
    adapter = work.adapter(step.concern)
    if isinstance(step, Publish) and isinstance(adapter, DeferredPublisher):
        publish = adapter.publish_deferred
        return lambda decision, done: publish(TOPIC, event_of(decision), done)
    if isinstance(step, RecordEvent) and isinstance(adapter, DeferredInteractions):
        return lambda decision, done: work.record_deferred(adapter, decision, done)
    return None


def needs_native_threads(backends: Mapping[str, str]) -> tuple[str, ...]:
    """Those of ``concern=name`` whose drivers have threads of their own: with them, the engine is the native one.

    A backend of a third party is not known here; it says by a `ConfigurationError` of its own what it cannot bear.
    """
    known = {
        f"{entry.concern}={name}" for entry in BUILT_IN if entry.native_threads for name in (entry.name, *entry.aliases)
    }
    return tuple(sorted({f"{concern}={name}" for concern, name in backends.items()} & known))


__all__ = ["Begin", "Chain", "DeferredStep", "Threads", "beginner", "deferred_steps", "needs_native_threads"]
