"""Where deferred operations stand that cannot begin at once: their adapter has no connection yet, or doubts the one it has.

Connecting takes a while and blocks. A thread does it, which is there while somebody stands in the line, and begins
the operations in their order; whoever comes meanwhile stands behind them, so that nobody overtakes.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from weakref import WeakSet

from stackproof.interfaces import Done, IndeterminateError, StackproofError, UnavailableError

logger = logging.getLogger("stackproof")

MOST_WAITING = 100_000
"""Operations in one line. An application that begins more without a connection is told so."""


def tell(done: Done, error: StackproofError | None) -> None:
    """Call ``done``; what it raises must not harm the thread that brings the other answers."""
    try:
        done(error)
    except BaseException:  # SystemExit too: it would end that thread without a word
        logger.exception("what was to be told of the end of a deferred operation raised")


class Waiting(ABC):
    """A deferred operation that has not begun."""

    place = ""
    """What it needs beside the connection, a topic say. Where that fails, it fails for all who waited for it then."""

    @abstractmethod
    def connect(self) -> None:
        """Block until there is a connection, or raise within the connection timeout; for all who wait."""

    @abstractmethod
    def begin(self) -> None:
        """Do what is needed, which may block, and begin. Raises where it cannot begin; else it tells its end itself."""

    @abstractmethod
    def fail(self, error: StackproofError) -> None:
        """Tell that it did not begin."""


class WaitingLine:
    """One line for one adapter."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.forget()
        _lines.add(self)

    def forget(self) -> None:
        """In a forked child: who stands there is the parent's."""
        self._lock = threading.Lock()
        self._waiting: deque[tuple[float, Waiting]] = deque()
        self._failures: dict[str, tuple[float, StackproofError]] = {}
        self._thread: threading.Thread | None = None

    @property
    def empty(self) -> bool:
        """Whether nobody would be overtaken."""
        return not self._waiting

    def join(self, operation: Waiting) -> None:
        """Stand at the end of the line. `UnavailableError` where it is too long."""
        with self._lock:
            if len(self._waiting) >= MOST_WAITING:
                raise UnavailableError(f"{MOST_WAITING:,} operations wait for a connection already; nothing was sent")
            self._waiting.append((time.monotonic(), operation))
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
                self._thread.start()

    def wait(self, seconds: float) -> None:
        """Until nobody stands there any more, at most so long."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(seconds)

    def _serve(self) -> None:
        while self._somebody():
            try:
                self._waiting[0][1].connect()
            except BaseException as error:  # noqa: BLE001 - told to all who wait; a bug must not leave them waiting
                self._fail_all(_ours(error))
            else:
                self._begin(*self._waiting[0])
                self._waiting.popleft()  # after it has begun: nobody may overtake it meanwhile

    def _begin(self, came: float, operation: Waiting) -> None:
        failed, error = self._failures.get(operation.place, (came, None))
        if error is not None and failed > came:
            operation.fail(error)
            return
        try:
            operation.begin()
        except BaseException as raised:  # noqa: BLE001 - as above
            operation.fail(ours := _ours(raised))
            self._failures[operation.place] = (time.monotonic(), ours)

    def _somebody(self) -> bool:
        with self._lock:
            if not self._waiting:
                self._thread = None
                self._failures.clear()
            return bool(self._waiting)

    def _fail_all(self, error: StackproofError) -> None:
        """Those too who came meanwhile: one after the other, the last one would wait for many time limits."""
        for _ in range(len(self._waiting)):
            self._waiting[0][1].fail(error)
            self._waiting.popleft()


def _ours(error: BaseException) -> StackproofError:
    if isinstance(error, StackproofError):
        return error
    ours = IndeterminateError(f"{type(error).__name__}: {error}")
    ours.__cause__ = error
    return ours


_lines: WeakSet[WaitingLine] = WeakSet()


def _after_fork() -> None:
    for line in list(_lines):
        line.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
