"""Log handlers whose defect shows only after a certain sequence of records, levels and re-openings."""

from __future__ import annotations

import logging
from typing import Any

from stackproof.adapters.logs.memory import MemoryLogHandler

from . import mutant


@mutant(of=MemoryLogHandler, killed_by="LOG-40", imitates="L8")
class LosesWhatFollowsAnOddRecord(MemoryLogHandler):
    """The record after one whose arguments did not fit is lost."""

    _odd = False

    def emit(self, record: logging.LogRecord) -> None:
        lost, self._odd = self._odd, False
        try:
            record.getMessage()
        except Exception:
            self._odd = True
        if not lost:
            super().emit(record)


@mutant(of=MemoryLogHandler, killed_by="LOG-40", imitates="L1")
class ForgetsTheLastRecordAtClose(MemoryLogHandler):
    """The last record before close is written when the next one comes, or by a flush before close; close forgets it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._held: str | None = None

    def write_line(self, line: str) -> None:
        held, self._held = self._held, line
        if held is not None:
            super().write_line(held)

    def flush(self) -> None:
        if self._held is not None and self._open:
            held, self._held = self._held, None
            super().write_line(held)

    def close(self) -> None:
        self._held = None
        super().close()


@mutant(of=MemoryLogHandler, killed_by="LOG-40", imitates="L2")
class AHigherLevelStays(MemoryLogHandler):
    """A level that was raised once is not lowered again."""

    def setLevel(self, level: int | str) -> None:  # noqa: N802
        super().setLevel(level)
        self.level = max(self.level, getattr(self, "_highest", 0))
        self._highest = self.level if self.level > logging.INFO else 0
