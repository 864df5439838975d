"""The calls that a client has under way, so that closing it can wait for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from typing import TypeVar

from stackproof.interfaces import ClosedError

T = TypeVar("T")

_LOOK_EVERY = 0.002


class RunningCalls:
    """Whether a client is open, and which threads are in a call of it.

    There is no lock: an interruption at any point leaves it right, and a forked child can go on with it.
    """

    __slots__ = ("_shown", "_threads", "closed")

    def __init__(self, shown: str) -> None:
        """``shown`` names what the client is connected to, as errors say it."""
        self.closed = False
        self._shown = shown
        self._threads: dict[object, int] = {}

    def __len__(self) -> int:
        return len(self._threads)

    def add(self, mark: object) -> None:
        """A call of this thread begins. Whoever says so discards the mark, whatever happens."""
        self._threads[mark] = threading.get_ident()

    def discard(self, mark: object) -> None:
        """The call has ended."""
        self._threads.pop(mark, None)

    def check_open(self) -> None:
        """Raise `ClosedError` after `close`."""
        if self.closed:
            raise self.closed_error()

    def closed_error(self) -> ClosedError:
        """What a call after `close` fails with."""
        return ClosedError(f"the connection to {self._shown} was disconnected and stays so")

    def run(self, work: Callable[[], T], close_idle: Callable[[], object]) -> T:
        """Run ``work`` so that `close` waits for it.

        If that was in vain (a server that drips), the call closes what it used as it ends: by ``close_idle``.
        """
        mark = object()
        try:
            self.add(mark)
            self.check_open()
            return work()
        finally:
            self.discard(mark)
            if self.closed:
                close_idle()

    def close(self, seconds: float, also: Collection[object] = ()) -> None:
        """Let no further call begin, and wait so many seconds at most until those of all other threads, and ``also``, ended.

        A call of this thread waits itself for us: we are in a handler of a signal that interrupted it.
        """
        self.closed = True
        here, deadline = threading.get_ident(), time.monotonic() + seconds
        while (also or any(thread != here for thread in list(self._threads.values()))) and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY)

    def forget(self) -> None:
        """In a forked child: it has none of the threads whose calls these were."""
        self._threads.clear()
