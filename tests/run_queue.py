"""How long threads waited for a processor: what a busy machine does to a time is told apart from what our code does."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def seconds_in_line(pid: int) -> float:
    """Seconds that the threads of a process were ready to run and had no processor, since they began.

    0 where the system does not tell; only Linux does.
    """
    return _told(Path(f"/proc/{pid}/task").glob("*/schedstat"))


def own_seconds_in_line() -> float:
    """The same for the calling thread."""
    return _told([Path("/proc/thread-self/schedstat")])


def _told(files: Iterable[Path]) -> float:
    told = 0
    for file in files:
        try:
            told += int(file.read_text().split()[1])
        except (OSError, IndexError):
            continue  # the thread has ended, or the system keeps no such figures
    return told / 1e9
