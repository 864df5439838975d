"""Waiting for a server's answer under gevent's patches, at a fraction of what drivers pay for it there.

psycopg sees that `select` is patched, and calls gevent's `poll` instead of its own loop in C: a poll object, a watcher, an event
and a timer, new for each wait. A socket of gevent's reads in vain first, and then makes a timeout and a waiter. One watcher and
one timer for the life of a connection do the same.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

READ, WRITE = 1, 2
"""As gevent's loops and psycopg number them; together they are 3."""


class GreenWaits:
    """The waits of one connection, for greenlets of the hub that it was made under. One wait at a time."""

    __slots__ = ("_descriptor", "_getcurrent", "_hub", "_hub_here", "_resume", "_timer", "_watchers")

    def __init__(self, descriptor: int, longest: float) -> None:
        """``longest``: seconds after which a wait ends without an answer."""
        import gevent

        self._getcurrent, self._hub_here = gevent.getcurrent, gevent.get_hub
        self._hub: Any = gevent.get_hub()
        self._descriptor = descriptor
        self._watchers: dict[int, Any] = {}
        self._timer = self._hub.loop.timer(longest, longest)
        self._resume: Callable[[int], object] | None = None

    @staticmethod
    def wanted() -> bool:
        """Whether gevent has replaced what drivers wait by."""
        monkey = sys.modules.get("gevent.monkey")
        return monkey is not None and bool(monkey.is_module_patched("select"))

    @property
    def here(self) -> bool:
        """Whether this is the thread whose hub would wake the caller."""
        return self._hub_here() is self._hub

    def ready(self, wanted: int) -> int:
        """Wait until the descriptor is ready for what is wanted; for what it is, or 0 when the time is over."""
        watcher = self._watchers.get(wanted) or self._watch(wanted)
        self._resume = resume = self._getcurrent().switch
        watcher.start(resume, pass_events=True)
        self._timer.again(resume, 0)
        try:
            events: int = self._hub.switch()
        finally:  # also where the greenlet is killed, or a timeout of gevent's strikes
            self._resume = None
            watcher.stop()
            self._timer.stop()
        return events & (READ | WRITE)

    def _watch(self, wanted: int) -> Any:
        watcher = self._watchers[wanted] = self._hub.loop.io(self._descriptor, wanted)
        return watcher

    def close(self) -> None:
        """Let go of the descriptor, before it is closed. Who waits for it is woken up, to find that out."""
        if self._resume is not None:
            self._hub.loop.run_callback(self._wake, self._resume)
        for watcher in (*self._watchers.values(), self._timer):
            watcher.stop()
            watcher.close()

    def _wake(self, resume: Callable[[int], object]) -> None:
        """Unless it was woken up meanwhile, and waits for something else by now."""
        if self._resume is resume:
            resume(READ)
