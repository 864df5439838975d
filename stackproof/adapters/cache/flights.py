"""One fetch for many callers within a process: the caller that fetches leads a flight, the others join it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from queue import SimpleQueue
from typing import Generic, TypeVar

from stackproof.interfaces import RejectedError

T = TypeVar("T")

Interrupted = CancelledError
"""What `Flight.join` raises when the leader was interrupted, so that there is neither a result nor an error."""


class Flight(Generic[T]):
    """A fetch that is under way, led by the thread that made it.

    Most flights have no passenger but their leader, so what is made for each is as little as possible: a baton, which is
    there from the landing on. Whoever waits takes it, and gives it to the next.
    """

    __slots__ = ("__weakref__", "_baton", "_leader", "_outcome", "_process")

    def __init__(self) -> None:
        self._leader = threading.get_ident()
        self._process = os.getpid()
        self._outcome: tuple[T | None, BaseException | None] | None = None
        self._baton: SimpleQueue[None] = SimpleQueue()

    @property
    def orphaned(self) -> bool:
        """Whether the leader stayed behind in the parent process: then it never lands here."""
        return self._process != os.getpid()

    def lead(self, work: Callable[[], T]) -> T:
        """Do the work and tell everyone who joined how it ended: they get the same result, or the same error."""
        try:
            result = work()
        except Exception as error:
            self._land(None, error)
            raise
        self._land(result, None)
        return result

    def abandon(self) -> None:
        """The leader gives up. If nothing has landed, it was interrupted (KeyboardInterrupt, a killed greenlet): that is its
        own affair, and those who joined try themselves."""
        # Also after a landing: an interruption may have come before the baton was there. One too many does no harm.
        self._land(None, Interrupted())

    def join(self) -> T:
        """Wait for the leader; its result, its error, or `Interrupted`."""
        if self._leader == threading.get_ident():
            raise RejectedError("fetch asks the cache for the very key that it is fetching")
        outcome = self._outcome
        while outcome is None:
            try:
                self._baton.get()
            finally:
                outcome = self._outcome
                if outcome is not None:  # also where this caller is interrupted now: the next one waits for it
                    self._baton.put(None)
        result, error = outcome
        if error is not None:
            raise error
        return result  # type: ignore[return-value]

    def _land(self, result: T | None, error: BaseException | None) -> None:
        if self._outcome is None:
            self._outcome = (result, error)
        self._baton.put(None)
