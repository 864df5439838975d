"""Sleeping until a moment, to some microseconds, without a spin that would cost the processor time of the client.

Linux lets a sleeping thread oversleep by its timer slack, 50 us unless told otherwise, so as to wake several at once. A thread
may ask for less (``prctl(2)``, PR_SET_TIMERSLACK).
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_PR_SET_TIMERSLACK = 29
_PR_GET_TIMERSLACK = 30


@contextmanager
def sleep_precisely() -> Iterator[Callable[[float], None]]:
    """A sleep for the calling thread; afterwards its timer slack is as before. Elsewhere than on Linux, it is the usual one."""
    if sys.platform != "linux":
        yield time.sleep
        return
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    before = prctl(_PR_GET_TIMERSLACK)
    prctl(_PR_SET_TIMERSLACK, 1)
    try:
        yield time.sleep
    finally:
        prctl(_PR_SET_TIMERSLACK, max(0, before))
