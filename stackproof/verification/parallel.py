"""Several plans in a few worker processes at once, told as one stream into one ledger.

The plans wait in one queue and each worker takes the next one: so the work is shared by how long it really takes on this
machine, and nobody keeps a table of durations.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from stackproof.contracts.ledger import Ledger
from stackproof.contracts.stream import RunEnded, StreamEvent
from stackproof.interruption import noted_signals

from .plan import Plan
from .worker import Observer, WorkerRun

_STOP = 0
"""What stands among the noted signals when one worker cannot go on: the others need not end their work."""


@dataclass(slots=True)
class ParallelRun:
    """All plans of one run. The ledger holds what has ended, also when the run was interrupted."""

    directory: Path
    environ: Mapping[str, str]
    observer: Observer
    workers: int
    ledger: Ledger = field(default_factory=Ledger)
    _signals: list[int] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def execute(self, plans: Iterable[Plan]) -> Ledger:
        """Run all plans; no target may be in two of them. Ctrl-C is passed on to every worker, and raised again at the end."""
        waiting: queue.SimpleQueue[tuple[int, Plan]] = queue.SimpleQueue()
        for number, plan in enumerate(plans):
            waiting.put((number, plan))
        with noted_signals() as self._signals, ThreadPoolExecutor(self.workers) as pool:
            working = [pool.submit(self._work, waiting) for _ in range(min(self.workers, waiting.qsize()))]
        self._raise_troubles(working)
        self.ledger.feed(RunEnded(0.0))
        return self.ledger

    def _work(self, waiting: queue.SimpleQueue[tuple[int, Plan]]) -> None:
        """Take plans until there is none, or until a signal came."""
        while not self._signals:
            try:
                number, plan = waiting.get_nowait()
            except queue.Empty:
                return
            place = self.directory / f"plan-{number:02d}"
            place.mkdir(parents=True, exist_ok=True)
            try:
                WorkerRun(place, self.environ, self._take, signals=self._signals).execute(plan)
            except BaseException:
                self._signals.append(_STOP)
                raise

    def _take(self, event: StreamEvent) -> None:
        """The one ledger and the one observer, for events that come from several threads."""
        if isinstance(event, RunEnded):
            return  # of one plan; that all have ended is told once
        with self._lock:
            self.ledger.feed(event)
            self.observer(event)

    def _raise_troubles(self, working: Iterable[Future[None]]) -> None:
        """Raise what ended a worker; that others were interrupted then is its consequence."""
        errors = [error for future in working if (error := future.exception()) is not None]
        for error in sorted(errors, key=lambda error: isinstance(error, KeyboardInterrupt)):
            raise error
        if self._signals:
            raise KeyboardInterrupt
