"""Waiting for PostgreSQL's answers under gevent's patches, at a fifth of what psycopg's own way costs there.

psycopg sees that `select` is patched, and calls gevent's `poll` instead of its own loop in C: a poll object, a watcher, an event
and a timer, new for each wait. One watcher and one timer for the life of a connection do the same.
"""

from __future__ import annotations

import sys
from typing import Any

from psycopg.waiting import WAIT_R

LOOK_SECONDS = 0.1
"""A wait without an answer ends so often, so that the caller can look at its time limit; psycopg's own interval."""
_READ, _READ_OR_WRITE = 1, 3  # of gevent's loops, and of what psycopg wants and is told


class GreenWaits:
    """The waits of one connection, for greenlets of the hub that it was made under. One wait at a time."""

    __slots__ = ("_either", "_getcurrent", "_hub", "_hub_here", "_readable", "_timer")

    def __init__(self, descriptor: int) -> None:
        import gevent

        self._getcurrent, self._hub_here = gevent.getcurrent, gevent.get_hub
        self._hub: Any = gevent.get_hub()
        loop = self._hub.loop
        self._readable, self._either = loop.io(descriptor, _READ), loop.io(descriptor, _READ_OR_WRITE)
        self._timer = loop.timer(LOOK_SECONDS, LOOK_SECONDS)

    @staticmethod
    def wanted() -> bool:
        """Whether gevent has replaced `select`, so that psycopg would wait by it."""
        monkey = sys.modules.get("gevent.monkey")
        return monkey is not None and bool(monkey.is_module_patched("select"))

    @property
    def here(self) -> bool:
        """Whether this is the thread whose hub would wake the caller."""
        return self._hub_here() is self._hub

    def ready(self, wanted: int) -> int:
        """Wait until the socket is ready for what psycopg wants; for what it is, or 0 after `LOOK_SECONDS`."""
        watcher = self._readable if wanted == WAIT_R else self._either
        resume = self._getcurrent().switch
        watcher.start(resume, pass_events=True)
        self._timer.again(resume, 0, update=False)
        try:
            events: int = self._hub.switch()
        finally:  # also where the greenlet is killed, or a timeout of gevent's strikes
            watcher.stop()
            self._timer.stop()
        return events & _READ_OR_WRITE

    def close(self) -> None:
        """Let go of the descriptor, before it is closed."""
        for watcher in (self._readable, self._either, self._timer):
            watcher.close()
