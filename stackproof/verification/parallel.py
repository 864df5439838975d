"""Several plans in a few worker processes at once, told as one stream into one ledger.

The plans wait in one queue and each worker takes the next one: so the work is shared by how long it really takes on this
machine, and nobody keeps a table of durations.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from stackproof.contracts.ledger import Ledger
from stackproof.contracts.stream import RunEnded, StreamEvent

from .plan import Plan
from .worker import Observer, WorkerRun, noted_signals

WORKERS = 2


@dataclass(slots=True)
class _Merged:
    """The one ledger and the one observer, for events that come from several threads."""

    observer: Observer
    ledger: Ledger = field(default_factory=Ledger)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, event: StreamEvent) -> None:
        if isinstance(event, RunEnded):
            return  # of one plan; that all have ended is told once
        with self._lock:
            self.ledger.feed(event)
            self.observer(event)


def run_in_parallel(
    plans: Iterable[Plan], directory: Path, environ: Mapping[str, str], observer: Observer, workers: int = WORKERS
) -> Ledger:
    """Run all plans; no target may be in two of them. Ctrl-C is passed on to every worker, and raised again at the end."""
    waiting: queue.SimpleQueue[tuple[int, Plan]] = queue.SimpleQueue()
    for number, plan in enumerate(plans):
        waiting.put((number, plan))
    merged = _Merged(observer)
    with noted_signals() as signals, ThreadPoolExecutor(workers) as pool:

        def work() -> None:
            while not signals:
                try:
                    number, plan = waiting.get_nowait()
                except queue.Empty:
                    return
                place = directory / f"plan-{number:02d}"
                place.mkdir(parents=True, exist_ok=True)
                WorkerRun(place, environ, merged.take, signals=signals).execute(plan)

        futures = [pool.submit(work) for _ in range(workers)]
        for future in futures:
            future.result()
        if signals:
            raise KeyboardInterrupt
    merged.ledger.feed(RunEnded(0.0))
    return merged.ledger
