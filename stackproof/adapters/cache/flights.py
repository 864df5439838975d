"""One fetch for many callers within a process: the caller that fetches leads a flight, the others join it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Generic, TypeVar

from stackproof.interfaces import RejectedError

T = TypeVar("T")

Interrupted = CancelledError
"""What `Flight.join` raises when the leader was interrupted, so that there is neither a result nor an error."""


class Flight(Generic[T]):
    """A fetch that is under way, led by the thread that made it."""

    def __init__(self) -> None:
        self._leader = threading.get_ident()
        self._process = os.getpid()
        self._landed: Future[T] = Future()

    @property
    def orphaned(self) -> bool:
        """Whether the leader stayed behind in the parent process: then it never lands here."""
        return self._process != os.getpid()

    def lead(self, work: Callable[[], T]) -> T:
        """Do the work and tell everyone who joined how it ended: they get the same result, or the same error."""
        try:
            result = work()
        except Exception as error:
            self._landed.set_exception(error)
            raise
        self._landed.set_result(result)
        return result

    def abandon(self) -> None:
        """The leader gives up. If nothing has landed, it was interrupted (KeyboardInterrupt, a killed greenlet): that is its
        own affair, and those who joined try themselves."""
        self._landed.cancel()

    def join(self) -> T:
        """Wait for the leader; its result, its error, or `Interrupted`."""
        if self._leader == threading.get_ident():
            raise RejectedError("fetch asks the cache for the very key that it is fetching")
        return self._landed.result()
