"""Log handlers with one defect each. They are judged while they deliver into the sink of the contract."""

from __future__ import annotations

import json
import logging
import threading
from typing import Any

from stackproof.adapters.logs.fields import fields_of, line_of
from stackproof.adapters.logs.memory import MemoryLogHandler
from stackproof.interfaces import LogCapabilities

from . import logs_faults, logs_lifecycle, logs_processes, logs_records, logs_sequences, mutant

__all__ = ["logs_faults", "logs_lifecycle", "logs_processes", "logs_records", "logs_sequences"]


@mutant(of=MemoryLogHandler, killed_by="LOG-01", imitates="L1")
class ForgetsItsBuffer(MemoryLogHandler):
    """Collects records in batches of 64 and forgets the last batch at close."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._batch: list[str] = []

    def write_line(self, line: str) -> None:
        self._batch.append(line)
        if len(self._batch) == 64:
            self._write_batch()

    def _write_batch(self) -> None:
        for line in self._batch:
            super().write_line(line)
        self._batch = []

    def flush(self) -> None:
        if self._open:
            self._write_batch()

    def close(self) -> None:
        self._open = False
        super().close()


@mutant(of=MemoryLogHandler, killed_by="LOG-01", imitates="L5")
class SendsTwice(MemoryLogHandler):
    """Repeats every fiftieth record, as a retry after an answer that came late does."""

    _count = 0

    def write_line(self, line: str) -> None:
        self._count += 1
        super().write_line(line)
        if self._count % 50 == 0:
            super().write_line(line)


@mutant(of=MemoryLogHandler, killed_by="LOG-02", imitates="L8")
class RaisesOnOddObjects(MemoryLogHandler):
    """Lets the error of the JSON encoder out into the application."""

    def emit(self, record: logging.LogRecord) -> None:
        json.dumps({key: value for key, value in record.__dict__.items() if key == "odd"})
        super().emit(record)


@mutant(of=MemoryLogHandler, killed_by="LOG-02", imitates="L7")
class RaisesOnBadArguments(MemoryLogHandler):
    """Formats the message without a guard."""

    def emit(self, record: logging.LogRecord) -> None:
        record.getMessage()
        super().emit(record)


@mutant(of=MemoryLogHandler, killed_by="LOG-04", imitates="L2")
class GivesUpForEver(MemoryLogHandler):
    """Stops writing after the first failure, as a sender thread that died."""

    def failed(self, error: Exception) -> None:
        self._open = False


@mutant(of=MemoryLogHandler, killed_by="LOG-04", imitates="L7")
class RaisesWhenTheStreamFails(MemoryLogHandler):
    """Lets the error of the stream out into the application."""

    def failed(self, error: Exception) -> None:
        raise error


@mutant(of=MemoryLogHandler, killed_by="LOG-05")
class IgnoresItsLevel(MemoryLogHandler):
    """Takes every record, whatever its level is set to."""

    def setLevel(self, level: int | str) -> None:  # noqa: N802 - the name in logging
        super().setLevel(logging.NOTSET)


@mutant(of=MemoryLogHandler, killed_by="LOG-05")
class HoldsBackItsLevel(MemoryLogHandler):
    """Delivers only what is above the level, not what is at it."""

    def handle(self, record: logging.LogRecord) -> bool:
        return record.levelno > self.level and super().handle(record)


@mutant(of=MemoryLogHandler, killed_by="LOG-06", imitates="L2")
class RejectsOversize(MemoryLogHandler):
    """Loses a record that is too large."""

    def write_line(self, line: str) -> None:
        if "[cut]" not in line:
            super().write_line(line)


@mutant(of=MemoryLogHandler, killed_by="LOG-06")
class CutsSilently(MemoryLogHandler):
    """Cuts a record that is too large without a mark."""

    def write_line(self, line: str) -> None:
        super().write_line(line.replace("...[cut]", ""))


@mutant(of=MemoryLogHandler, killed_by="LOG-07", imitates="L11")
class LocksItself(MemoryLogHandler):
    """Formats under a lock that its own thread cannot take twice."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._once = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        with self._once:
            super().emit(record)


@mutant(of=MemoryLogHandler, killed_by="LOG-07", imitates="L11")
class IgnoresWhatComesFromInside(MemoryLogHandler):
    """Drops the records that are logged while it is busy with another one of the same thread."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._busy = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(self._busy, "now", False):
            return
        self._busy.now = True
        try:
            super().emit(record)
        finally:
            self._busy.now = False


@mutant(of=MemoryLogHandler, killed_by="LOG-08", imitates="L8")
class LosesOddObjects(MemoryLogHandler):
    """Catches the error of the JSON encoder, and the record is gone."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            json.dumps(record.__dict__.get("odd"), default=repr)
        except Exception:
            return
        super().emit(record)


@mutant(of=MemoryLogHandler, killed_by="LOG-08", imitates="L8")
class WritesNotANumber(MemoryLogHandler):
    """Writes NaN as it is, which is not JSON."""

    def write_line(self, line: str) -> None:
        super().write_line(line.replace('"nan"', "NaN"))


@mutant(of=MemoryLogHandler, killed_by="LOG-08", imitates="L8")
class LosesTheContextOfOddObjects(MemoryLogHandler):
    """Leaves out all extras of a record when one of them cannot be encoded."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            json.dumps(record.__dict__.get("odd"))
        except Exception:
            for name in ("odd", "beside"):
                record.__dict__.pop(name, None)
        super().emit(record)


@mutant(of=MemoryLogHandler, killed_by="LOG-09", imitates="L9")
class FieldsHideExtras(MemoryLogHandler):
    """Its own fields replace extras of the same name."""

    def emit(self, record: logging.LogRecord) -> None:
        for name in ("time", "level", "logger"):
            record.__dict__.pop(name, None)
        super().emit(record)


@mutant(of=MemoryLogHandler, killed_by="LOG-09", imitates="L9")
class ExtrasHideFields(MemoryLogHandler):
    """An extra called `level` replaces the record's level."""

    def emit(self, record: logging.LogRecord) -> None:
        if "level" in record.__dict__:
            record.levelname = str(record.__dict__.pop("level"))
        super().emit(record)


@mutant(of=MemoryLogHandler, killed_by="LOG-10", imitates="L10")
class LosesCycles(MemoryLogHandler):
    """Catches the error about a circular reference, and the record is gone."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            json.dumps(record.__dict__.get("odd"), default=repr, skipkeys=True)
        except (ValueError, RecursionError) as error:
            if "ircular" in str(error) or isinstance(error, RecursionError):
                return
        except Exception:
            pass
        super().emit(record)


@mutant(of=MemoryLogHandler, killed_by="LOG-11", imitates="L7")
class LosesBadArguments(MemoryLogHandler):
    """Catches the error of the message, and the record is gone."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            record.getMessage()
        except Exception:
            self.handleError(record)
        else:
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name in logging
        self.dropped += 1


@mutant(of=MemoryLogHandler, killed_by="LOG-12")
class LosesTheCause(MemoryLogHandler):
    """Shows the last exception of a chain only."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_info[1].__cause__ = None
            record.exc_info[1].__suppress_context__ = True
        super().emit(record)


@mutant(of=MemoryLogHandler, killed_by="LOG-12")
class LosesTheStack(MemoryLogHandler):
    """Does not know stack_info."""

    def emit(self, record: logging.LogRecord) -> None:
        record.stack_info = None
        super().emit(record)


@mutant(of=MemoryLogHandler, killed_by="LOG-13")
class WritesLineBreaks(MemoryLogHandler):
    """Writes line breaks as they are."""

    def write_line(self, line: str) -> None:
        super().write_line(line.replace("\\n", "\n"))


@mutant(of=MemoryLogHandler, killed_by="LOG-14")
class RemembersContext(MemoryLogHandler):
    """Keeps the extras of earlier records in one dict that all threads share."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._context: dict[str, object] = {}

    def emit(self, record: logging.LogRecord) -> None:
        known = {**self._context, **record.__dict__}
        self._context.update({key: known[key] for key in record.__dict__ if key.startswith("only_")})
        record.__dict__.update(known)
        super().emit(record)


@mutant(of=MemoryLogHandler, killed_by="LOG-14")
class ReadsContextLate(MemoryLogHandler):
    """Stamps a record with the context of the record that came before it."""

    _before: object = "none"

    def emit(self, record: logging.LogRecord) -> None:
        stamps = record.__dict__
        if "request" in stamps:
            self._before, stamps["request"] = stamps["request"], self._before
        super().emit(record)


@mutant(of=MemoryLogHandler, killed_by="LOG-15")
class WritesInPieces(MemoryLogHandler):
    """Writes the line and its end in two calls, without a lock."""

    def emit(self, record: logging.LogRecord) -> None:
        if self._stream is not None:
            self._stream.write(line_of(record))
            self._stream.write("\n")


@mutant(of=MemoryLogHandler, killed_by="LOG-15")
class LosesUnderContention(MemoryLogHandler):
    """Drops a record when another thread is writing."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._writer = threading.RLock()

    def emit(self, record: logging.LogRecord) -> None:
        if self._writer.acquire(blocking=False):
            try:
                super().emit(record)
            finally:
                self._writer.release()


@mutant(of=MemoryLogHandler, killed_by="LOG-16", imitates="L5")
class ForgetsToCount(MemoryLogHandler):
    """Drops without counting when the stream fails."""

    def failed(self, error: Exception) -> None:
        self.dropped -= 1


@mutant(of=MemoryLogHandler, killed_by="LOG-16", imitates="L12")
class ForgetsToCountAfterClose(MemoryLogHandler):
    """Drops without counting after close."""

    def handle(self, record: logging.LogRecord) -> bool:
        return self._open and super().handle(record)


@mutant(of=MemoryLogHandler, killed_by="LOG-16")
class CountsWithoutSayingSo(MemoryLogHandler):
    """Counts its drops and does not declare it."""

    capabilities = LogCapabilities(counts_drops=False)


@mutant(of=MemoryLogHandler, killed_by="LOG-17")
class KnowsLatinOnly(MemoryLogHandler):
    """Replaces what is not in Latin-1 by question marks."""

    def emit(self, record: logging.LogRecord) -> None:
        record.msg = record.getMessage().encode("latin-1", "replace").decode("latin-1")
        record.args = None
        super().emit(record)


@mutant(of=MemoryLogHandler, killed_by="LOG-17")
class LosesHalfPairs(MemoryLogHandler):
    """Encodes strictly and loses the record that has half of a surrogate pair."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            record.getMessage().encode("utf-8")
        except UnicodeEncodeError:
            return
        super().emit(record)


@mutant(of=MemoryLogHandler, killed_by="LOG-18")
class FlattensExtras(MemoryLogHandler):
    """Leaves out extras that are not simple values."""

    def emit(self, record: logging.LogRecord) -> None:
        record.__dict__.pop("nested", None)
        super().emit(record)


@mutant(of=MemoryLogHandler, killed_by="LOG-18")
class ForgetsTheLogger(MemoryLogHandler):
    """Leaves out the name of the logger."""

    def emit(self, record: logging.LogRecord) -> None:
        record.name = ""
        super().emit(record)


@mutant(of=MemoryLogHandler, killed_by="LOG-18")
class StructuredWithoutSayingSo(MemoryLogHandler):
    """Writes JSON and declares plain text."""

    capabilities = LogCapabilities(structured=False, counts_drops=True)


@mutant(of=MemoryLogHandler, killed_by="LOG-18")
class WritesReprs(MemoryLogHandler):
    """Writes the repr of a dict and calls it JSON."""

    def emit(self, record: logging.LogRecord) -> None:
        with self.lock or threading.RLock():
            self.write_line(repr(fields_of(record)))
