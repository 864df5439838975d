"""How a core was used while one side ran on it: what neither it nor idling used was taken by others, the server among them."""

from __future__ import annotations

import time
from pathlib import Path

_STAT = Path("/proc/stat")
_IDLE = (3, 4)
"""Columns of a line of /proc/stat that are no work: idle, and waiting for a disk (man 5 proc)."""
_COUNTED = 8
"""Later columns are counted in earlier ones already."""


class CoreUse:
    """The use of one core since this was made."""

    def __init__(self, core: int | None) -> None:
        self._core = core
        self._before = busy_and_all(_STAT.read_text(), core) if core is not None and _STAT.is_file() else None
        self._began = time.monotonic()

    def others(self, own_seconds: float | None) -> float | None:
        """The share that others took, if this side used so many processor seconds; None where that cannot be known."""
        if self._before is None or own_seconds is None or self._core is None:
            return None
        busy, whole = busy_and_all(_STAT.read_text(), self._core)
        ticks = whole - self._before[1]
        if ticks <= 0:
            return None
        elapsed = max(time.monotonic() - self._began, 1e-9)
        return min(1.0, max(0.0, (busy - self._before[0]) / ticks - own_seconds / elapsed))


def busy_and_all(stat: str, core: int) -> tuple[int, int]:
    """Ticks of work, and all ticks, of a core so far. Pure."""
    for line in stat.splitlines():
        name, *numbers = line.split()
        if name == f"cpu{core}":
            counted = [int(number) for number in numbers[:_COUNTED]]
            return sum(counted) - sum(counted[column] for column in _IDLE), sum(counted)
    return 0, 0
