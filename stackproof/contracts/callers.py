"""Concurrent callers: threads that start together, end in bounded time, and whose overlap is measured."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .expectations import ContractViolation
from .timelimit import waiting

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
        """Run all calls at once; the results in order. The error that came first is raised; with ``errors`` none is, and each
        is returned in its place.

        A call that has not ended after ``within`` seconds is a `ContractViolation`; its thread is a daemon.
        """
        __tracebackhide__ = True
        runs = [_Run(call) for call in calls]
        gate = _Gate(len(runs))
        with _eager_switching():
            for run in runs:
                threading.Thread(target=run, args=(gate,), daemon=True, name="stackproof-caller").start()
            deadline = time.monotonic() + within
            with waiting(within):
                for run in runs:
                    run.ended.wait(max(0.0, deadline - time.monotonic()))
        hung = sum(not run.ended.is_set() for run in runs)
        if hung:
            raise ContractViolation(
                "concurrent calls", f"all {len(runs)} to end within {within:g} s", f"{hung} still running"
            )
        self.overlapping = max(self.overlapping, _overlap(runs))
        failed = [run for run in runs if run.error is not None]
        if failed and not errors:
            # One that waited for another fails because of it, and may yet be seen to end before it.
            first = min(failed, key=lambda run: (isinstance(run.error, threading.BrokenBarrierError), run.finished))
            assert first.error is not None
            raise first.error
        return [run.error if run.error is not None else run.result for run in runs]


@contextmanager
def in_step(barrier: threading.Barrier) -> Iterator[None]:
    """The work of a caller that waits for the others now and then: when it fails they do not wait in vain.

    Otherwise all of them would seem to hang because of the one that has failed.
    """
    try:
        yield
    except BaseException:
        barrier.abort()
        raise


@contextmanager
def _eager_switching() -> Iterator[None]:
    """Let the interpreter change threads every few microseconds instead of every 5 ms.

    Without it, calls that are shorter than that run one after the other, and a race in a backend is never met.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class _Gate:
    """Lets all threads go when the last one has come. They spin at the end: one that sleeps wakes up too late to overlap."""

    def __init__(self, parties: int) -> None:
        self._barrier = threading.Barrier(parties)
        self._awake = 0
        self._parties = parties
        self._lock = threading.Lock()

    def wait(self) -> None:
        self._barrier.wait(_STEP)
        with self._lock:
            self._awake += 1
        latest = time.monotonic() + _STEP
        while self._awake < self._parties and time.monotonic() < latest:
            pass


class _Run:
    def __init__(self, call: Callable[[], Any]) -> None:
        self.call = call
        self.began = self.finished = 0.0
        self.result: Any = None
        self.error: BaseException | None = None
        self.ended = threading.Event()

    def __call__(self, gate: _Gate) -> None:
        try:
            gate.wait()
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
