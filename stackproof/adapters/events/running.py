"""The subscriptions of a publisher that has threads for them: noted when they begin, ended together at `disconnect`."""

from __future__ import annotations

import os
import threading
import time
from abc import abstractmethod
from typing import Generic, Protocol, TypeVar

from stackproof.interfaces import Subscription

from .common import logger


class Threaded(Protocol):
    """A subscription with threads of its own."""

    topic: str

    @property
    def running(self) -> bool: ...

    def stop(self) -> None:
        """Begin no further handler call."""

    def wake(self) -> bool:
        """End what it waits for, as far as that can be done; whether it is worth to try the same with others."""

    def wait(self, seconds: float | None) -> bool:
        """Whether it ended, waiting for it so long at most."""


class ThreadedSubscription(Subscription):
    """A subscription whose one thread goes on until `_stop` is set; what a subclass adds is that thread, and how it is woken."""

    _stop: threading.Event
    _thread: threading.Thread

    def start(self) -> None:
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> None:
        self.stop()
        self.wake()
        self.wait(None)

    def stop(self) -> None:
        """Begin no further handler call."""
        self._stop.set()

    @abstractmethod
    def wake(self) -> bool:
        """See `Threaded`."""

    def wait(self, seconds: float | None) -> bool:
        """Whether it ended, waiting for it so long at most; from inside the handler, at once."""
        if threading.current_thread() is self._thread:
            return True
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self.running


T = TypeVar("T", bound=Threaded)


class Running(Generic[T]):
    """The running subscriptions of one publisher. A forked child has none of its parent's."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._known: list[T] = []

    def add(self, subscription: T) -> None:
        self._of_this_process()
        with self._lock:
            self._known = [each for each in self._known if each.running] + [subscription]

    def end(self, seconds: float) -> None:
        """Stop all, and wait so long at most for handlers that run."""
        self._of_this_process()
        with self._lock:
            subscriptions, self._known = self._known, []
        deadline = time.monotonic() + seconds
        for subscription in subscriptions:
            subscription.stop()
        all(subscription.wake() for subscription in subscriptions)  # where one cannot be woken, nor can the next
        for subscription in subscriptions:
            if not subscription.wait(max(0.0, deadline - time.monotonic())):
                logger.warning("a handler of topic %r still runs after disconnect", subscription.topic)

    def _of_this_process(self) -> None:
        if self._process != os.getpid():
            self._begin()
