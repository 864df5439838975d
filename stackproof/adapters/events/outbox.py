"""An outbox for services that take events in batches, and may take a part of one: who publishes also sends, for all who wait.

There is no thread and no buffer behind it: `send` returns when the service has the entry, or raises. While one batch is on
its way, the entries of other callers gather for the next one.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from stackproof.interfaces import BackendError, IndeterminateError, RejectedError, UnavailableError

PAUSES = (0.05, 1.0)
"""The first and the longest pause before a refused entry is sent again; each is shortened at random by up to a half."""
BEHIND_SECONDS = 0.005
"""How long an entry waits before it looks again whether the one before it is through."""


class Entry(Protocol):
    """What an outbox sends."""

    @property
    def size(self) -> int:
        """How much of the batch's limit it takes, in bytes."""

    @property
    def lane(self) -> str:
        """Entries of one lane go one at a time, so that none overtakes one that was refused; "" for no lane."""


E = TypeVar("E", bound=Entry)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the service says about an entry that it did not take."""

    code: str
    message: str
    passing: bool
    """Whether it may be taken when it comes again."""


@dataclass(slots=True, eq=False)
class _Waiting(Generic[E]):
    """An entry, and the caller who waits for what becomes of it."""

    entry: E
    deadline: float
    not_before: float = 0.0
    refusals: int = 0
    done: bool = False
    error: BackendError | None = None

    def end(self, error: BackendError | None = None) -> None:
        self.error, self.done = error, True


class Outbox(Generic[E]):
    """Sends entries in batches of at most ``most_entries`` and ``most_bytes``, one batch at a time.

    ``put`` sends a batch once, and says for each entry None or how it was refused. Only what was refused for the moment is
    sent again, after pauses that grow, and no longer than ``seconds``. An error of ``put`` is that of all in the batch.
    """

    def __init__(
        self, put: Callable[[Sequence[E]], Sequence[Refusal | None]], most_entries: int, most_bytes: int, seconds: float
    ) -> None:
        self._put = put
        self._most_entries = most_entries
        self._most_bytes = most_bytes
        self._seconds = seconds
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._turn = threading.Lock()
        self._queue: list[_Waiting[E]] = []

    def send(self, entry: E) -> None:
        """Return when the service has it. Interrupted, the entry may have been sent or not."""
        if self._process != os.getpid():  # forked: who held the turn is not there to give it back
            self._begin()
        waiting = _Waiting(entry, time.monotonic() + self._seconds)
        with self._queued(waiting):
            while not waiting.done:
                time.sleep(max(0.0, waiting.not_before - time.monotonic()))
                with self._turn:
                    if not waiting.done:
                        self._round(waiting)
        if waiting.error is not None:
            raise waiting.error

    @contextmanager
    def _queued(self, waiting: _Waiting[E]) -> Iterator[None]:
        try:
            self._queue.append(waiting)
            yield
        finally:
            if waiting in self._queue:  # its caller was interrupted: nobody asks for it any more
                self._queue.remove(waiting)

    def _round(self, own: _Waiting[E]) -> None:
        """Send what is ready. Called with the turn, by the caller of ``own``."""
        batch = self._ready()
        if not batch:
            if own not in self._queue:  # an interruption took it out before it was sent, and left no word about it
                own.end(IndeterminateError("sending was interrupted; the event may have been sent or not"))
            own.not_before = max(own.not_before, time.monotonic() + BEHIND_SECONDS)
            return
        try:
            refusals = self._put([each.entry for each in batch])
        except BackendError as error:
            for each in batch:
                each.end(_copy(error))
        except BaseException:
            for each in batch:
                each.end(IndeterminateError("sending was interrupted; the event may have been sent or not"))
            raise
        else:
            for each, refusal in zip(batch, refusals, strict=True):
                self._note(each, refusal)
        finally:
            self._queue[:] = [each for each in self._queue if not each.done]

    def _ready(self) -> list[_Waiting[E]]:
        """The next batch, oldest first: of each lane the first entry only, and none whose pause is not over."""
        now, size = time.monotonic(), 0
        batch: list[_Waiting[E]] = []
        lanes: set[str] = set()
        for each in list(self._queue):
            lane = each.entry.lane
            if lane in lanes:
                continue
            if lane:
                lanes.add(lane)
            if each.not_before > now:
                continue
            if batch and size + each.entry.size > self._most_bytes:
                break
            batch.append(each)
            size += each.entry.size
            if len(batch) == self._most_entries:
                break
        return batch

    def _note(self, waiting: _Waiting[E], refusal: Refusal | None) -> None:
        """What the service said about an entry."""
        if refusal is None:
            waiting.end()
            return
        said = f"{refusal.code} {refusal.message}".strip()
        if not refusal.passing:
            waiting.end(RejectedError(f"the service does not take the event: {said}"))
            return
        pause = min(PAUSES[0] * 2**waiting.refusals, PAUSES[1]) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        waiting.refusals += 1
        waiting.not_before = time.monotonic() + pause
        if waiting.not_before > waiting.deadline:
            times = f"{waiting.refusals} times within {self._seconds:g} s"
            waiting.end(UnavailableError(f"the service refused the event {times}, nothing was applied: {said}"))


def _copy(error: BackendError) -> BackendError:
    """One for each caller: an exception that is raised in several threads gets the tracebacks of all."""
    copy = type(error)(*error.args)
    copy.__cause__ = error.__cause__ or error
    return copy
