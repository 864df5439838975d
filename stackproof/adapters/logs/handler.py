"""What our log handlers share: a `logging.Handler` that turns records into lines and never raises into the application."""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import nullcontext
from dataclasses import replace
from typing import Protocol

from stackproof.interfaces import ConfigurationError, LogCapabilities

from .fields import DEFAULT_RECORD_BYTES, SMALLEST_RECORD_BYTES, line_of


class TextStream(Protocol):
    """What is asked of a stream."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...


class _ThisThread(threading.local):
    """Whether this thread is writing. For each thread, so that a forked child does not take over that of another one."""

    writing = False


class LineHandler(logging.Handler):
    """Delivers each record as one line of JSON through `write_line`; what could not be delivered is counted in `dropped`.

    A record that is logged while the destination is being written to, by the destination itself or by a signal handler
    in the same thread, is one of these: delivering it could go on for ever.
    """

    capabilities: LogCapabilities = LogCapabilities(counts_drops=True)

    def __init__(self, *, level: int | str = logging.NOTSET, max_record_bytes: int = DEFAULT_RECORD_BYTES) -> None:
        super().__init__(level)
        if max_record_bytes < SMALLEST_RECORD_BYTES:
            raise ConfigurationError(f"max_record_bytes={max_record_bytes} is less than {SMALLEST_RECORD_BYTES}")
        self.capabilities = replace(self.capabilities, max_record_bytes=max_record_bytes)
        self._dropped_here = 0
        self._open = True
        self._this_thread = _ThisThread()

    @property
    def dropped(self) -> int:
        """How many records were given up, ever."""
        return self._dropped_here + self.given_up_later()

    @dropped.setter
    def dropped(self, number: int) -> None:
        self._dropped_here = number

    def write_line(self, line: str) -> None:
        """Hand over one line (without its end). Called by one thread at a time; what it raises makes the record dropped."""
        raise NotImplementedError

    def given_up_later(self) -> int:
        """How many records were given up after `write_line` had taken them."""
        return 0

    def failed(self, error: Exception) -> None:
        """Told about each record that was dropped because of an error, under the lock. Must not log."""

    def handle(self, record: logging.LogRecord) -> bool:
        """As in `logging.Handler`, but the record is shown before the lock is taken.

        An object that is logged may take a lock of the application in its ``__repr__``, and the thread that holds
        that one may be logging too: under our lock this would be a deadlock.
        """
        passed = self.filter(record)
        if passed:
            self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return bool(passed)

    def emit(self, record: logging.LogRecord) -> None:
        problem: Exception | None = None
        line = ""
        try:
            line = line_of(record, self.capabilities.max_record_bytes)
        except Exception as error:  # noqa: BLE001 - nothing that was logged may break the caller, not even at the recursion limit
            problem = error
        with self.lock or nullcontext():
            self._deliver(line, problem)

    def _deliver(self, line: str, problem: Exception | None) -> None:
        if not self._open or self._this_thread.writing:  # closed; or the destination itself logs while it is written to
            self._dropped_here += 1
            return
        self._this_thread.writing = True
        try:
            if problem is not None:
                raise problem
            self.write_line(line)
        except Exception as error:  # noqa: BLE001 - whatever the destination raises: counted, reported, never passed on
            self._dropped_here += 1
            self.failed(error)
        finally:
            self._this_thread.writing = False

    def close(self) -> None:
        """Flush; records that come later are dropped and counted. A second call does nothing."""
        with self.lock or nullcontext():
            if self._open:
                self.flush()
                self._open = False
        super().close()


def say_on_stderr(text: str, unless: TextStream | None = None) -> None:
    """Tell about a handler's own trouble, as a line of JSON like any other, on standard error as it is or as it was.

    Not on the stream that just failed; and where none works there is nobody left to tell: `dropped` has the number.
    """
    line = line_of(logging.makeLogRecord({"name": __name__, "levelname": "ERROR", "msg": text})) + "\n"
    for stream in (sys.stderr, sys.__stderr__):
        if stream is not None and stream is not unless:
            try:
                stream.write(line)
                stream.flush()
            except Exception:  # noqa: BLE001, S112 - see above
                continue
            return
