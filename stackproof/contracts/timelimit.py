"""A time limit for code that may hang: a signal raises `OutOfTime` in the main thread.

The limit is for what has no bound of its own. A wait for what the backend has promised has one, which may be long where
the backend declares so: that time is added to the limit, or the wait could never end in its own words.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

_AGAIN = 2.0
"""Seconds after which the signal comes again: a backend may have swallowed the first one."""


class OutOfTime(BaseException):
    """The limit passed. Not an `Exception`, so that a backend that catches everything does not swallow it."""


@contextmanager
def time_limit(seconds: float, what: str) -> Iterator[None]:
    """Raise `OutOfTime` inside the block after ``seconds``, and every `_AGAIN` seconds again while the block goes on.

    Where there is no such signal (Windows, or not in the main thread) the block runs without a limit. Inside another
    limit the one that ends earlier counts.
    """
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return

    outer = signal.getsignal(signal.SIGALRM)
    ring = _Ring(time.monotonic() + seconds, f"{what} did not end within {seconds:g} s")
    if isinstance(outer, _Ring) and outer.latest <= ring.latest:
        yield
        return
    if isinstance(outer, _Ring):
        ring.outer = outer
    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if isinstance(outer, _Ring):
            outer.set()  # by what it is now: waiting may have moved it


@contextmanager
def waiting(seconds: float) -> Iterator[None]:
    """The block waits for the backend, and ends by itself after so many seconds: that time does not count for the limit."""
    ring = signal.getsignal(signal.SIGALRM) if hasattr(signal, "SIGALRM") else None
    if not isinstance(ring, _Ring) or threading.current_thread() is not threading.main_thread():
        yield
        return
    began = time.monotonic()
    ring.move(seconds)
    try:
        yield
    finally:
        ring.move(-max(0.0, seconds - (time.monotonic() - began)))


def pause(seconds: float) -> None:
    """Sleep for as long as the backend has declared to take."""
    with waiting(seconds):
        time.sleep(seconds)


@dataclass(slots=True)
class _Ring:
    """What the signal does, and when it is due."""

    latest: float
    sentence: str
    outer: _Ring | None = None

    def move(self, seconds: float) -> None:
        """Let this limit, and those around it, end so much later."""
        ring: _Ring | None = self
        while ring is not None:
            ring.latest += seconds
            ring = ring.outer
        self.set()

    def set(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, max(self.latest - time.monotonic(), 0.001), _AGAIN)

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        raise OutOfTime(self.sentence)
