"""The console log, against `logging.StreamHandler` with the same formatter."""

from __future__ import annotations

import io
import logging
import sys
from typing import Any

from stackproof.adapters.logs.console import ConsoleJsonHandler
from stackproof.adapters.logs.fields import line_of
from stackproof.benchmarks.pairs import Pair, Twins, operation


class _Sink(io.TextIOBase):
    """A stream that keeps the last line, for the comparison of both."""

    def write(self, text: str) -> int:
        self.last = text
        return len(text)

    def flush(self) -> None:
        pass


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return line_of(record)


class ConsoleTwins(Twins):
    """One record, made and handled by a logger of its own: with arguments, with extras, with an exception."""

    backend = "logs=console"
    driver = "logging.StreamHandler"

    def open(self) -> None:
        self.sinks = _Sink(), _Sink()
        self.handler = ConsoleJsonHandler(stream=self.sinks[0], namespace=self.namespace)
        self.raw = logging.StreamHandler(self.sinks[1])
        self.raw.setFormatter(_Json())

    def close(self) -> None:
        if hasattr(self, "handler"):
            self.handler.close()

    @operation("record")
    def plain(self) -> Pair:
        return self._handled(_record)

    @operation("record, extras")
    def extras(self) -> Pair:
        return self._handled(lambda n: _record(n, extra={"customer": "c1", "offers": ["a", "b"], "score": 0.71}))

    @operation("record, exception")
    def exception(self) -> Pair:
        try:
            raise ValueError("what went wrong")
        except ValueError:
            trouble = sys.exc_info()
        return self._handled(lambda n: _record(n, exc_info=trouble))

    def _handled(self, item: Any) -> Pair:
        ours, theirs = self.sinks

        def adapter(record: logging.LogRecord) -> str:
            self.handler.handle(record)
            return ours.last

        def raw(record: logging.LogRecord) -> str:
            self.raw.handle(record)
            return theirs.last

        return Pair(adapter, raw, item)


_logger = logging.Logger("stackproof.tax")


def _record(number: int, exc_info: Any = None, extra: dict[str, object] | None = None) -> logging.LogRecord:
    message = "decided on %s offers for customer %s in %.1f ms"
    record = _logger.makeRecord(
        "stackproof.tax", logging.INFO, "decide.py", 1, message, (3, f"c{number}", 1.5), exc_info, extra=extra
    )
    record.created = 1_764_147_322.25
    return record
