"""A thread that sends what log handlers hand over: later, in the order of arrival, and again while the destination takes nothing.

Whoever hands over waits for nobody and takes no lock of the sender's: also a signal handler may, in the middle of anything.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from random import random
from typing import Generic, TypeVar

from stackproof.interfaces import BackendError, ClosedError

E = TypeVar("E")

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds until what the destination did not take is sent again: at first, and after many times."""
LOOK_SECONDS = 0.05
"""How often somebody who waits looks whether the thread is still there."""
AT_ONCE = 10_000
"""How many are taken from the queue together; where so many wait, nobody waits for more."""


@dataclass(frozen=True, slots=True)
class Route(Generic[E]):
    """How a sender does its work."""

    batches: Callable[[Sequence[E]], Iterable[list[E]]]
    """Cuts what waits into what the destination takes at once."""
    send: Callable[[list[E]], int]
    """Sends a batch; how many of it are given up for good. Raises a `BackendError` for a batch that is to be sent again."""
    size: Callable[[E], int]
    told: Callable[[Exception], object]
    """Hears of each failure."""


class Sender(Generic[E]):
    """Sends what is `put`, at the latest ``linger`` seconds later; of more than ``most_bytes`` that wait, it takes no more."""

    def __init__(self, route: Route[E], *, most_bytes: int, linger: float, name: str) -> None:
        self._route = route
        self._most_bytes = most_bytes
        self._linger = linger
        self._name = name
        self.begin_anew()

    def begin_anew(self) -> None:
        """As when it was made: for a forked child, which has not got the thread. What waited is the parent's to send."""
        self._waiting: deque[E | threading.Event] = deque()
        """What is to be sent, and in between who waits for all before it."""
        self._wakes: SimpleQueue[None] = SimpleQueue()
        self._beginning = threading.Lock()
        self._thread: threading.Thread | None = None
        self._deadline = float("inf")
        self._woken = self._hurry = False
        # Each is changed by one side only, so that neither needs a lock.
        self._bytes_put = self._bytes_done = self._given_up = 0

    @property
    def given_up(self) -> int:
        """How many it has given up, ever."""
        return self._given_up

    @property
    def is_here(self) -> bool:
        """Whether this is its own thread."""
        return threading.current_thread() is self._thread

    def put(self, event: E) -> bool:
        """Hand over; False where too much waits already. Called by one thread at a time."""
        if self._bytes_put - self._bytes_done > self._most_bytes:
            return False
        self._bytes_put += self._route.size(event)
        self._waiting.append(event)
        if self._thread is None:
            self._begin()
        if not self._woken:
            self._woken = True
            self._wakes.put(None)
        return True

    def flush(self, seconds: float) -> bool:
        """Wait until all that was handed over is sent or given up, but no longer than this; whether it is."""
        if not self._runs():
            return not self._waiting
        done, until = threading.Event(), time.monotonic() + seconds
        self._waiting.append(done)
        self._hurry = True
        self._wakes.put(None)
        while (left := until - time.monotonic()) > 0 and not done.wait(min(left, LOOK_SECONDS)):
            if not self._runs():
                break  # it was closed just before
        return done.is_set()

    def close(self, seconds: float) -> None:
        """Send what waits, try no longer than this, and give up the rest. Again: waits for the end."""
        self._deadline = min(self._deadline, time.monotonic() + seconds)
        if self._runs() and self._thread is not None:
            self._wakes.put(None)
            self._thread.join()
        else:
            self._send_what_waits()

    def _runs(self) -> bool:
        if self._thread is None and self._waiting:
            self._begin()
        return self._thread is not None and self._thread.is_alive()

    def _begin(self) -> None:
        if not self._beginning.acquire(blocking=False):
            return  # somebody else does it
        try:
            if self._thread is None:
                thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                thread.start()
                self._thread = thread
        except RuntimeError:  # the interpreter ends and takes no new threads: `close` does the work
            return
        finally:
            self._beginning.release()

    # In the thread

    def _work(self) -> None:
        while not self._closing or self._waiting:
            self._rest()
            self._send_what_waits()

    @property
    def _closing(self) -> bool:
        return self._deadline < float("inf")

    def _rest(self) -> None:
        """Wait until something is there; then for more of it, unless somebody waits for us or it is much already."""
        self._woken = False
        if not self._waiting and not self._closing:
            self._wakes.get()
        until = time.monotonic() + self._linger
        while not (self._hurry or self._closing or len(self._waiting) >= AT_ONCE):
            if not self._wakened_within(until - time.monotonic()):
                break

    def _wakened_within(self, seconds: float) -> bool:
        try:
            self._wakes.get(timeout=max(0.0, seconds))
        except Empty:
            return False
        return True

    def _send_what_waits(self) -> None:
        self._hurry = False
        events: list[E] = []
        flushing: list[threading.Event] = []
        for thing in self._taken():
            if isinstance(thing, threading.Event):
                flushing.append(thing)
            else:
                events.append(thing)
        for batch in self._route.batches(events):
            self._given_up += self._sent(batch)
            self._bytes_done += sum(map(self._route.size, batch))
        for done in flushing:
            done.set()

    def _taken(self) -> Iterator[E | threading.Event]:
        for _ in range(min(len(self._waiting), AT_ONCE)):
            try:
                yield self._waiting.popleft()
            except IndexError:  # several close at once, where there is no thread
                return

    def _sent(self, batch: list[E]) -> int:
        """Send a batch, and again until it is taken; how many of it were given up."""
        pause = FIRST_PAUSE
        while True:
            try:
                return self._route.send(batch)
            except ClosedError:
                return len(batch)
            except BackendError as error:
                self._route.told(error)
            except Exception as error:  # noqa: BLE001 - what this batch has met must not end the thread for those after it
                self._route.told(error)
                return len(batch)
            if time.monotonic() > self._deadline:
                return len(batch)
            self._pause(pause * (0.5 + random() / 2))  # noqa: S311 - jitter
            pause = min(2 * pause, LONGEST_PAUSE)

    def _pause(self, seconds: float) -> None:
        """Only closing makes it shorter: a destination that has too much to do is not asked sooner because somebody flushes."""
        until = time.monotonic() + seconds
        while (left := min(until, self._deadline) - time.monotonic()) > 0:
            self._wakened_within(left)
