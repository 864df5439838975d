"""The watch over a process with native threads: while one of them keeps the others from running, no latency means anything.

A thread that holds the interpreter's lock in C, or a machine that gives the process no time, stops the dispatcher and the
stamps of the driver's threads alike. A ticker, a thread of its own, notices it by waking up much too late.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Protocol

TICK_SECONDS = 0.010
GAP_SECONDS = 0.100
"""A gap longer than this makes the run invalid."""
LOOK_SECONDS = 0.25
"""How often the time that each thread has used is looked up: a gap is blamed by what came since."""
NOBODY = "none of this process' threads: the machine gave it no time"
_TASKS = Path("/proc/self/task")


class _Clock(Protocol):
    @property
    def offset(self) -> float: ...


class StarvationWatch:
    """Ticks every 10 ms and notes when a tick came much too late, and which thread was busy meanwhile."""

    def __init__(self, window: _Clock) -> None:
        self._window = window
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="stackproof-watch", daemon=True)
        self.gaps: list[dict[str, float | str]] = []
        """Each with ``at`` (seconds into the measured part), ``seconds``, ``cpu_seconds`` that this process used meanwhile, and
        ``step``: the thread that used most of it, with where it is now, or that it was none of them."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def _tick(self) -> None:
        before, cpu_before = time.perf_counter(), time.process_time()
        used, looked = thread_seconds(), before
        while not self._over.is_set():
            time.sleep(TICK_SECONDS)
            now, cpu = time.perf_counter(), time.process_time()
            gap = now - before - TICK_SECONDS
            at = self._window.offset - gap
            if gap > GAP_SECONDS and at + gap >= 0:
                culprit = blamed(used, thread_seconds(), gap)
                self.gaps.append({"at": at, "seconds": gap, "cpu_seconds": cpu - cpu_before, "step": culprit})
            if now - looked > LOOK_SECONDS:
                used, looked = thread_seconds(), now
            before, cpu_before = time.perf_counter(), time.process_time()


def thread_seconds() -> dict[int, float]:
    """Processor time that each thread of this process has used so far, by its number; empty where the system does not tell."""
    found = {}
    try:
        for task in os.listdir(_TASKS):
            try:
                found[int(task)] = int((_TASKS / task / "schedstat").read_text().split()[0]) / 1e9
            except (OSError, ValueError, IndexError):
                continue  # it has ended
    except OSError:
        return {}
    return found


def blamed(before: Mapping[int, float], after: Mapping[int, float], gap: float) -> str:
    """The thread that used most of a gap, by its name and the function that it is in; or `NOBODY`."""
    own = threading.get_native_id()
    used = {task: seconds - before.get(task, 0.0) for task, seconds in after.items() if task != own}
    busiest = max(used, key=lambda task: used[task], default=None)
    if busiest is None or used[busiest] < gap / 2:
        return NOBODY
    return _shown(busiest)


def _shown(task: int) -> str:
    for thread in threading.enumerate():
        if thread.native_id == task:
            frame = sys._current_frames().get(thread.ident or 0)
            return f"thread {thread.name}" + (f" in {_place(frame)}" if frame is not None else "")
    try:
        name = (_TASKS / str(task) / "comm").read_text().strip()
    except OSError:
        name = str(task)
    return f"a driver's thread {name}"


def _place(frame: FrameType) -> str:
    code = frame.f_code
    return f"{code.co_name} ({Path(code.co_filename).name}:{frame.f_lineno})"
