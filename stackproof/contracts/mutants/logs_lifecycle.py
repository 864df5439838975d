"""Log handlers with one defect each: how they end, and what an end or an interruption leaves behind."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from typing import Any

from stackproof.adapters.logs.memory import MemoryLogHandler

from . import mutant


@mutant(of=MemoryLogHandler, killed_by="LIFE-01")
class CannotCloseTwice(MemoryLogHandler):
    """Raises when it is closed again."""

    def close(self) -> None:
        if not self._open:
            raise ValueError("already closed")
        super().close()


@mutant(of=MemoryLogHandler, killed_by="LIFE-01")
class CannotCloseInTwoThreads(MemoryLogHandler):
    """Of two threads that close at once, the later one stumbles over what the earlier one took away."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._links = [object()]

    def close(self) -> None:
        if self._links:
            time.sleep(0.005)  # says good-bye to its server
            self._links.pop()
        super().close()


@mutant(of=MemoryLogHandler, killed_by="LIFE-15", imitates="X2")
class IsKeptForTheExit(MemoryLogHandler):
    """Registers its close for the exit of the program, which keeps every handler until then."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        atexit.register(self.close)


@mutant(of=MemoryLogHandler, killed_by="LIFE-02", imitates="X1")
class RaisesAfterClose(MemoryLogHandler):
    """Raises into the application for a record that comes after close."""

    def handle(self, record: logging.LogRecord) -> bool:
        if not self._open:
            raise RuntimeError("the handler is closed")
        return super().handle(record)


@mutant(of=MemoryLogHandler, killed_by="LIFE-02", imitates="X1")
class HangsAfterClose(MemoryLogHandler):
    """Waits for ever for a sender that ended."""

    def handle(self, record: logging.LogRecord) -> bool:
        if not self._open:
            threading.Event().wait()
        return super().handle(record)


@mutant(of=MemoryLogHandler, killed_by="LIFE-03", imitates="X2")
class LeavesDescriptors(MemoryLogHandler):
    """Opens a file for its own use and never closes it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        os.open(os.devnull, os.O_WRONLY)


@mutant(of=MemoryLogHandler, killed_by="LIFE-03", imitates="X4")
class LeavesThreads(MemoryLogHandler):
    """Starts a flushing thread that close does not end."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()


@mutant(of=MemoryLogHandler, killed_by="LIFE-04", imitates="E20")
class HangsWhileClosing(MemoryLogHandler):
    """Holds its lock while close waits for the callers that need it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._inside = 0

    def handle(self, record: logging.LogRecord) -> bool:
        self._inside += 1
        try:
            return super().handle(record)
        finally:
            self._inside -= 1

    def close(self) -> None:
        deadline = time.monotonic() + 12  # long enough to be found out, short enough to get out of the way then
        self.acquire()
        time.sleep(0.01)
        while self._inside and time.monotonic() < deadline:
            time.sleep(0.01)
        super().close()
        self.release()


@mutant(of=MemoryLogHandler, killed_by="LIFE-06", imitates="C27")
class KeepsItsLock(MemoryLogHandler):
    """Takes its lock and gives it back without a finally."""

    def emit(self, record: logging.LogRecord) -> None:
        self.acquire()
        super().emit(record)
        self.release()


@mutant(of=MemoryLogHandler, killed_by="LIFE-06", imitates="C27")
class StaysBusy(MemoryLogHandler):
    """Remembers for ever that it was writing when it was interrupted, and drops what comes."""

    _busy = False

    def _deliver(self, line: str, problem: Exception | None) -> None:
        if self._busy:
            return
        self._busy = True
        self.write_line(line)
        self._busy = False


@mutant(of=MemoryLogHandler, killed_by="LIFE-07")
class ClosesTheStream(MemoryLogHandler):
    """Closes a stream that is not its own."""

    def close(self) -> None:
        super().close()
        getattr(self._stream, "close", lambda: None)()
