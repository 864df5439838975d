"""A time limit for code that may hang: a signal raises `OutOfTime` in the main thread."""

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
    latest = outer.latest if isinstance(outer, _Ring) else None
    ring = _Ring(time.monotonic() + seconds, f"{what} did not end within {seconds:g} s")
    if latest is not None and latest <= ring.latest:
        yield
        return
    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if latest is not None:
            signal.setitimer(signal.ITIMER_REAL, max(latest - time.monotonic(), 0.001), _AGAIN)


@dataclass(frozen=True, slots=True)
class _Ring:
    """What the signal does, and when it is due."""

    latest: float
    sentence: str

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        raise OutOfTime(self.sentence)
