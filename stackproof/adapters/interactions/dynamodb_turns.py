"""Turns for those who change the same summaries in one process: in a crowd, all but one would write in vain."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

PLACES = 256
STILL_SECONDS = 1.0
"""So long nobody's turn ends, and whoever has it is taken for gone."""


class Turns:
    """It only saves work: whoever waited for too long goes on without.

    A turn that is not given back (by a thread that was interrupted in the wrong moment, or that a forked child has not got) is
    forgotten as soon as nothing has moved for a while. While turns do end, a slow service is no reason to run all at once.
    """

    def __init__(self, longest: float) -> None:
        """``longest``: seconds that anybody waits at most."""
        self._longest = longest
        self._locks = [threading.Lock() for _ in range(PLACES)]
        self._ended = [0] * PLACES

    @contextmanager
    def of(self, what: Hashable) -> Iterator[None]:
        """The turn of one who changes ``what``."""
        place = hash(what) % PLACES
        lock = self._waited(place)
        try:
            yield
        finally:
            self._ended[place] += 1
            if lock is not None:
                lock.release()

    def _waited(self, place: int) -> threading.Lock | None:
        """The lock of the place, taken; None where it was waited for in vain, and another one stands there now."""
        deadline = time.monotonic() + self._longest
        while True:
            lock, ended = self._locks[place], self._ended[place]
            if lock.acquire(timeout=min(STILL_SECONDS, max(0.0, deadline - time.monotonic()))):
                return lock
            if self._ended[place] == ended or time.monotonic() >= deadline:
                if self._locks[place] is lock:
                    self._locks[place] = threading.Lock()
                return None
