"""Log handlers with one defect each: forks, the end of a program, and an end in the middle of the work."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from stackproof.adapters.logs.memory import MemoryLogHandler

from . import mutant


class _Batches(MemoryLogHandler):
    """A base for handlers that collect lines and hand them on later."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._batch: list[str] = []

    def write_line(self, line: str) -> None:
        self._batch.append(line)

    def flush(self) -> None:
        """Write what was collected."""
        with self._inside_the_lock():
            batch, self._batch = self._batch, []
            for line in batch:
                super().write_line(line)

    def _inside_the_lock(self) -> threading.RLock:
        assert self.lock is not None
        return self.lock


@mutant(of=MemoryLogHandler, killed_by="LIFE-12")
class HangsInAChild(MemoryLogHandler):
    """Writes under a lock of its own, which stays locked in a child that was forked while another thread wrote."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._turn = threading.Lock()

    def write_line(self, line: str) -> None:
        with self._turn:
            super().write_line(line)


@mutant(of=MemoryLogHandler, killed_by="LIFE-12")
class SendsTheBatchOfItsParent(_Batches):
    """A forked child sends what its parent had collected, and so does the parent."""


@mutant(of=MemoryLogHandler, killed_by="LIFE-12")
class MuteInAChild(MemoryLogHandler):
    """Hands its lines to a thread that a forked child has not got."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._owner = os.getpid()

    def write_line(self, line: str) -> None:
        if os.getpid() == self._owner:
            super().write_line(line)


@mutant(of=MemoryLogHandler, killed_by="LIFE-13", imitates="L1")
class SendsThroughAPool(_Batches):
    """Sends its last batch through a pool of threads, which takes nothing more when the interpreter ends."""

    def flush(self) -> None:
        try:
            with ThreadPoolExecutor(1) as pool:
                pool.submit(super().flush).result(timeout=1)
        except (RuntimeError, TimeoutError):
            self.dropped += len(self._batch)


@mutant(of=MemoryLogHandler, killed_by="LIFE-13", imitates="X2")
class HoldsTheProgram(MemoryLogHandler):
    """A thread that only close ends keeps the program alive for ever: logging.shutdown comes after the threads."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        threading.Thread(target=self._tick).start()

    def _tick(self) -> None:
        while self._open:
            time.sleep(0.02)


@mutant(of=MemoryLogHandler, killed_by="LIFE-13")
class ComplainsAtExit(MemoryLogHandler):
    """A program that did not close it ends with a traceback."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        atexit.register(self._check)

    def _check(self) -> None:
        if self._open:
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")


@mutant(of=MemoryLogHandler, killed_by="LIFE-14", imitates="L1")
class DropsWhatWaits(_Batches):
    """Sends its batch for the threads that log; a close in another one, beside them, drops what waits."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._threads: set[int] = set()

    def write_line(self, line: str) -> None:
        self._threads.add(threading.get_ident())
        super().write_line(line)

    def flush(self) -> None:
        if threading.get_ident() in self._threads:
            super().flush()

    def close(self) -> None:
        if threading.get_ident() not in self._threads:
            self._batch = []
        super().close()


@mutant(of=MemoryLogHandler, killed_by="LIFE-14", imitates="X1")
class FailsInTheCallers(MemoryLogHandler):
    """A thread that logs while the handler is closed gets an error for it."""

    def handle(self, record: logging.LogRecord) -> bool:
        was_open = self._open
        time.sleep(0.001)
        handled = super().handle(record)
        if was_open and not self._open:
            raise ValueError("I/O operation on closed file.")
        return handled
