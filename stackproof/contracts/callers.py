"""Concurrent callers: threads that start together, end in bounded time, and whose overlap is measured."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from .expectations import ContractViolation

_STEP = 30.0
"""Upper bound, in seconds, of waiting for all threads to be ready: starting a thread is not the backend's business."""


class Callers:
    """Runs calls at the same time. ``overlapping`` is the largest number that really ran at one instant, so far."""

    def __init__(self) -> None:
        self.overlapping = 0

    def all_at_once(
        self, number: int, call: Callable[[], Any], within: float = 20.0, errors: bool = False
    ) -> list[Any]:
        """Run ``call`` in ``number`` threads at once; the results in order. See `each`."""
        return self.each([call] * number, within, errors)

    def each(self, calls: Sequence[Callable[[], Any]], within: float = 20.0, errors: bool = False) -> list[Any]:
        """Run all calls at once; the results in order. The first error is raised, or with ``errors`` returned in its place.

        A call that has not ended after ``within`` seconds is a `ContractViolation`; its thread is a daemon.
        """
        __tracebackhide__ = True
        runs = [_Run(call) for call in calls]
        barrier = threading.Barrier(len(runs))
        for run in runs:
            threading.Thread(target=run, args=(barrier,), daemon=True, name="stackproof-caller").start()
        deadline = time.monotonic() + within
        for run in runs:
            run.ended.wait(max(0.0, deadline - time.monotonic()))
        hung = sum(not run.ended.is_set() for run in runs)
        if hung:
            raise ContractViolation(
                "concurrent calls", f"all {len(runs)} to end within {within:g} s", f"{hung} still running"
            )
        self.overlapping = max(self.overlapping, _overlap(runs))
        for run in runs:
            if run.error is not None and not errors:
                raise run.error
        return [run.error if run.error is not None else run.result for run in runs]


class _Run:
    def __init__(self, call: Callable[[], Any]) -> None:
        self.call = call
        self.began = self.finished = 0.0
        self.result: Any = None
        self.error: BaseException | None = None
        self.ended = threading.Event()

    def __call__(self, barrier: threading.Barrier) -> None:
        try:
            barrier.wait(_STEP)
            self.began = time.monotonic()
            self.result = self.call()
        except BaseException as error:  # noqa: BLE001 - handed to the caller, whatever it is
            self.error = error
        finally:
            self.finished = time.monotonic()
            self.ended.set()


def _overlap(runs: Sequence[_Run]) -> int:
    """The largest number of runs whose intervals share an instant."""
    borders = sorted([(run.began, 1) for run in runs] + [(run.finished, -1) for run in runs])
    most = now = 0
    for _, step in borders:
        now += step
        most = max(most, now)
    return most
