"""Console logs: one line of compact JSON a record, on standard error, standard output or any text stream."""

from __future__ import annotations

import logging
import sys
from contextlib import nullcontext
from typing import Self

from stackproof.adapters.settings import Settings
from stackproof.interfaces import ConfigurationError

from .fields import DEFAULT_RECORD_BYTES
from .handler import LineHandler, TextStream, say_on_stderr

STANDARD_STREAMS = ("stderr", "stdout")


class ConsoleJsonHandler(LineHandler):
    """Writes each record as one line of ASCII JSON, with one ``write`` and one ``flush``.

    Guarantees, each held by the contract of the logs concern: whatever object is logged, the record arrives and
    nothing is raised into the application; a record larger than ``max_record_bytes`` is cut with a visible mark; a
    stream that fails costs the records that it refused, counted in ``dropped`` and reported once on standard error
    (unless ``logging.raiseExceptions`` is off), and the handler goes on when the stream works again.

    Limits: "delivered" means that the stream took the line; a record counts as dropped when ``write`` or ``flush``
    raised, although a buffered stream may have kept a part of it. The stream is not closed by `close`. A stream that
    blocks (a full pipe that nobody reads) blocks the callers, as it does for `logging.StreamHandler`.

    Why not a formatter of a library behind `logging.StreamHandler`: held to the same contract, python-json-logger 4.2 and
    structlog 26.1 lose records whose arguments do not fit (LOG-11), with extras that are cyclic (LOG-10), have keys
    that are no text or integers of thousands of digits, and write NaN, which is not JSON (LOG-08); the stream handler raises
    RecursionError into the application (LOG-02). ``examples/third_party_backends/logs.py`` tells each of them.

    ``stream`` is "stderr" or "stdout", then looked up for every record so that a redirection is followed, or a stream.
    A stream has no namespaces: ``namespace`` is only kept.
    """

    def __init__(
        self,
        *,
        stream: str | TextStream = "stderr",
        level: int | str = logging.NOTSET,
        max_record_bytes: int = DEFAULT_RECORD_BYTES,
        namespace: str = "",
    ) -> None:
        super().__init__(level=level, max_record_bytes=max_record_bytes)
        if isinstance(stream, str) and stream not in STANDARD_STREAMS:
            raise ConfigurationError(f"stream={stream!r} is not one of {', '.join(STANDARD_STREAMS)}")
        self.namespace = namespace
        self._stream = stream
        self._reported = False

    @classmethod
    def from_settings(cls, settings: Settings, namespace: str = "") -> Self:
        """Reads ``LOG_LEVEL`` (a name or a number, default INFO) and ``LOG_STREAM`` (stderr or stdout, default stderr)."""
        stream = settings.get("LOG_STREAM", "stderr").lower()
        if stream not in STANDARD_STREAMS:
            raise ConfigurationError(f"LOG_STREAM={stream!r} is unknown; known are {', '.join(STANDARD_STREAMS)}")
        return cls(stream=stream, level=level_of(settings.get("LOG_LEVEL", "INFO")), namespace=namespace)

    @property
    def stream(self) -> TextStream | None:
        """The stream that the next record goes to; None where the process has no such stream."""
        return getattr(sys, self._stream) if isinstance(self._stream, str) else self._stream

    def setStream(self, stream: TextStream) -> None:  # noqa: N802 - the name that logging.StreamHandler gives it
        """Write to this stream from the next record on."""
        with self.lock or nullcontext():
            self._stream = stream

    def write_line(self, line: str) -> None:
        stream = self.stream
        if stream is None:
            raise ValueError(f"this process has no {self._stream}")
        stream.write(line + "\n")
        stream.flush()

    def failed(self, error: Exception) -> None:
        """Say once, where it can still be read, that records are lost."""
        if self._reported or not logging.raiseExceptions:
            return
        self._reported = True
        text = f"log records are being dropped, the stream of {type(self).__name__} failed: {type(error).__name__}"
        say_on_stderr(text, unless=self.stream)

    def flush(self) -> None:
        """Flush the stream. Records are flushed one by one anyway, so that a failure here loses nothing new."""
        with self.lock or nullcontext():
            stream = self.stream
            if not self._open or stream is None:
                return
            try:
                stream.flush()
            except Exception as error:  # noqa: BLE001 - the stream's trouble is not the application's
                self.failed(error)


def level_of(text: str) -> int:
    """A level by name or by number."""
    if text.isdecimal():
        return int(text)
    levels = logging.getLevelNamesMapping()
    if text.upper() not in levels:
        raise ConfigurationError(f"LOG_LEVEL={text!r} is unknown; known are {', '.join(levels)}, or a number")
    return levels[text.upper()]
