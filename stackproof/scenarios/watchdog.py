"""The watch over the generator's own event loop: while it is blocked, no latency that it measures means anything.

A backend that is slow does not block it, because waiting for a socket or a lock gives way to others. What blocks it is
work of the client: a driver that waits without giving way, a long computation, or a machine that gives us no time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import gevent

TICK_SECONDS = 0.010
GAP_SECONDS = 0.100
"""A gap longer than this makes the run invalid."""


class _Clock(Protocol):
    @property
    def offset(self) -> float: ...


class HubWatchdog:
    """Ticks every 10 ms and notes when a tick came much too late."""

    def __init__(self, window: _Clock, slowest_step: Callable[[], tuple[float, str]]) -> None:
        self._window = window
        self._slowest_step = slowest_step
        self._ticker: gevent.Greenlet | None = None
        self.gaps: list[dict[str, float | str]] = []
        """Each with ``at`` (seconds into the measured part), ``seconds``, ``cpu_seconds`` that this process used meanwhile, and
        ``step``: the one that took most of it, or none."""

    def start(self) -> None:
        self._ticker = gevent.spawn(self._tick)

    def stop(self) -> None:
        if self._ticker is not None:
            self._ticker.kill()

    def _tick(self) -> None:
        before, cpu_before = time.perf_counter(), time.process_time()
        while True:
            gevent.sleep(TICK_SECONDS)
            now, cpu = time.perf_counter(), time.process_time()
            gap = now - before - TICK_SECONDS
            at = self._window.offset - gap
            step_seconds, step = self._slowest_step()
            if gap > GAP_SECONDS and at + gap >= 0:
                blamed = step if step_seconds > gap / 2 else "none"
                self.gaps.append({"at": at, "seconds": gap, "cpu_seconds": cpu - cpu_before, "step": blamed})
            before, cpu_before = now, cpu
