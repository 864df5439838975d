"""Log handlers with one defect each: how many records and extras they take, and what they do to a record beside delivering it."""

from __future__ import annotations

import logging
import time

from stackproof.adapters.logs.fields import STANDARD_ATTRIBUTES
from stackproof.adapters.logs.memory import MemoryLogHandler

from . import mutant


@mutant(of=MemoryLogHandler, killed_by="LOG-01", imitates="L12")
class LimitsItsRate(MemoryLogHandler):
    """Takes 500 records a second; those beyond are lost, and not counted."""

    _taken, _second = 0, 0

    def emit(self, record: logging.LogRecord) -> None:
        second = int(time.monotonic())
        self._taken = self._taken + 1 if second == self._second else 1
        self._second = second
        if self._taken <= 500:
            super().emit(record)


class _FewerExtras(MemoryLogHandler):
    """A base for handlers that leave out some extras."""

    def _kept(self, extras: dict[str, object]) -> dict[str, object]:
        return extras

    def emit(self, record: logging.LogRecord) -> None:
        own = {name: value for name, value in record.__dict__.items() if name in STANDARD_ATTRIBUTES}
        extras = {name: value for name, value in record.__dict__.items() if name not in STANDARD_ATTRIBUTES}
        super().emit(logging.makeLogRecord(own | self._kept(extras)))


@mutant(of=MemoryLogHandler, killed_by="LOG-18")
class FalsyIsAbsent(_FewerExtras):
    """Leaves out extras that are None, False, zero or empty."""

    def _kept(self, extras: dict[str, object]) -> dict[str, object]:
        return {name: value for name, value in extras.items() if value or type(value) in (list, dict)}


@mutant(of=MemoryLogHandler, killed_by="LOG-18")
class KeepsTenExtras(_FewerExtras):
    """Keeps the first ten extras of a record."""

    def _kept(self, extras: dict[str, object]) -> dict[str, object]:
        return dict(list(extras.items())[:10])


@mutant(of=MemoryLogHandler, killed_by="LOG-18")
class IntegersAreFloats(_FewerExtras):
    """Integers pass through a float and lose their last digits beyond 2**53."""

    def _kept(self, extras: dict[str, object]) -> dict[str, object]:
        return {name: int(float(value)) if type(value) is int else value for name, value in extras.items()}


@mutant(of=MemoryLogHandler, killed_by="LOG-20")
class PreparesTheRecordItself(MemoryLogHandler):
    """Merges the message and takes arguments and exception off the record that other handlers get too."""

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        record.msg, record.args, record.exc_info = record.getMessage(), None, None


@mutant(of=MemoryLogHandler, killed_by="LOG-21")
class AsksNoFilter(MemoryLogHandler):
    """Delivers without asking its filters."""

    def filter(self, record: logging.LogRecord) -> bool:
        return True
