"""The last resort against a driver that hangs while it connects, and with it every thread that could tell so.

A greenlet that blocks in C blocks all others, so that neither a time limit of the driver nor one of Python is ever looked at.
Only a thread that gevent knows nothing of still runs, and all that it can do is to end the process, with a sentence.
"""

from __future__ import annotations

import _thread
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CONNECT_SECONDS = 15.0
HUNG = 74
"""Exit code of a process that was ended because it hung."""
OF_DRIVERS = (
    "; a driver with threads of its own (CQL, Kafka) does so where gevent has replaced them: use the native engine"
)


@contextmanager
def ended_if_it_hangs(what: str, seconds: float = CONNECT_SECONDS, advice: str = OF_DRIVERS) -> Iterator[None]:
    """End the process with code `HUNG` and one line on standard error, if what is inside takes longer than this."""
    start, allocate = _original("start_new_thread"), _original("allocate_lock")
    over = allocate()
    over.acquire()

    def watch() -> None:
        if not over.acquire(timeout=seconds):
            os.write(2, f"{what} did not end within {seconds:g} s and hangs{advice}\n".encode())
            os._exit(HUNG)

    start(watch, ())
    try:
        yield
    finally:
        over.release()


def _original(name: str) -> Any:
    monkey = sys.modules.get("gevent.monkey")
    return getattr(_thread, name) if monkey is None else monkey.get_original("_thread", name)
