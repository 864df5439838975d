"""A program that is told to end while it works: what runs in the child, and what it reports to the clause."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from types import FrameType
from typing import Self

from stackproof.interfaces import BackendError

ENOUGH = 20
"""After so many acknowledged writes the signal comes."""
CALLERS = 4
WORK_SECONDS = 8.0
"""A backend that does not manage `ENOUGH` writes in this time is not signalled: the clause has no evidence then."""


@dataclass(frozen=True, slots=True)
class Report:
    """What the child had done when it ended."""

    acknowledged: tuple[int, ...] = ()
    """The numbers of the writes that returned, in that order."""
    before_signal: int = 0
    """How many of these had returned when the signal came."""
    at_work: int = 0
    """How many callers were in the middle of their work at that moment: each had written, and none was told to end."""

    def to_text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> Self:
        """From the text that the child said; of a child that said nothing, nothing."""
        if not text.startswith("{"):
            return cls()
        said = json.loads(text)
        return cls(tuple(said["acknowledged"]), said["before_signal"], said["at_work"])


def work_until_sigterm(write: Callable[[int], object], close: Callable[[], object]) -> Report:
    """Write in several threads, the main thread among them, until SIGTERM; then close, and end every thread."""
    work = _Work(write, close)
    sys.setswitchinterval(5e-6)  # so that the signal meets the callers anywhere in their work
    signal.signal(signal.SIGTERM, work.on_sigterm)
    others = [threading.Thread(target=work.call, name=f"caller {number}") for number in range(1, CALLERS)]
    for thread in others:
        thread.start()
    work.call()
    for thread in [*others, *work.closing]:
        thread.join()
    return Report(tuple(work.acknowledged), work.before_signal, len(work.at_work_at_signal))


class _Work:
    """The callers of one backend, and the end that they are told of."""

    def __init__(self, write: Callable[[int], object], close: Callable[[], object]) -> None:
        self.acknowledged: list[int] = []
        self.before_signal = 0
        self.at_work_at_signal: frozenset[int] = frozenset()
        self.closing: list[threading.Thread] = []
        self._write, self._close = write, close
        self._numbers, self._count = itertools.count(1), itertools.count(1)
        self._at_work: set[int] = set()
        self._signalled = threading.Lock()
        self._over = threading.Event()
        self._until = time.monotonic() + WORK_SECONDS

    def call(self) -> None:
        """What each caller does. Where closing makes its write fail, its work is over."""
        try:
            self._write_on()
        finally:
            self._at_work.discard(threading.get_ident())

    def _write_on(self) -> None:
        while not self._over.is_set() and (self.closing or time.monotonic() < self._until):
            number = next(self._numbers)
            try:
                self._write(number)
            except BackendError:
                if self.closing:
                    return
                continue
            self.acknowledged.append(number)
            self._at_work.add(threading.get_ident())
            self._signal_once()

    def _signal_once(self) -> None:
        """When there is enough, and every caller is at work: on a busy machine one may have done it all."""
        enough = next(self._count) >= ENOUGH and len(self._at_work) == CALLERS
        if enough and self._signalled.acquire(blocking=False):
            os.kill(os.getpid(), signal.SIGTERM)

    def on_sigterm(self, _number: int, _frame: FrameType | None) -> None:
        """Close beside the main thread: it may be in the middle of a write, with a lock that closing needs."""
        self.before_signal = len(self.acknowledged)
        self.at_work_at_signal = frozenset(self._at_work)
        self.closing.append(threading.Thread(target=self._end, name="closing"))
        self.closing[0].start()

    def _end(self) -> None:
        try:
            self._close()
        finally:
            self._over.set()
