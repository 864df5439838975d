"""A window of load, whichever engine offers it: who is due, in which part, how it ended, and what the client spent on it."""

from __future__ import annotations

import resource
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

from .arrivals import Schedule, schedule_of, share
from .orders import CLOSED, Offering, Order
from .recorder import Recorder

GIVE_UP_SECONDS = 5.0
"""An arrival that the generator is this late for is skipped: a rate beyond its powers must not make the run endless."""
UNFINISHED = "unfinished: still running when the drain time was over"
WINDOW_ITEMS = 1 << 40
"""No window has more operations than this; the numbers of the next one begin there."""

Took = Callable[[str, float], None]


class Acts(Protocol):
    """What a window does for each arrival: `work.Work`, or a stand-in for it. Raises `StepFailedError` when it fails."""

    def item(self, number: int) -> Any: ...

    def decide(self, item: Any, took: Took) -> None: ...


class Nothing:
    """The null step: what the generator itself costs. Items are made, as for a backend, and nothing is done with them."""

    def __init__(self, item: Callable[[int], Any]) -> None:
        self.item = item

    def decide(self, item: Any, took: Took) -> None:
        """Nothing."""

    def begin(self, _item: Any, _took: Took, ended: Callable[[BaseException | None], None]) -> None:
        """Nothing, without waiting for it."""
        ended(None)


class Window(ABC):
    """Load for some seconds: arrivals before the end of the warm-up go to one recorder, those after it to another."""

    def __init__(self, order: Order, acts: Acts, *, worker: int = 0, workers: int = 1) -> None:
        self.order = order
        self._acts = acts
        self._worker = worker
        self._workers = workers
        self._places = places_of(order, worker, workers)
        self._first = order.number * WINDOW_ITEMS
        self._open: dict[int, tuple[float, Recorder]] = {}
        self._stopped = False
        self._closed = False
        self._began = time.perf_counter()
        self._ended = 0.0
        self._cpu_began: float | None = None
        self._cpu_ended = 0.0
        self._offering: Offering | None = None
        self.measured = Recorder(limit=order.limit)
        self.warm = Recorder(limit=order.limit)
        self.most_in_flight = 0

    @abstractmethod
    def run(self, begin: float) -> None:
        """Offer the load from ``begin`` on (of `time.perf_counter`), then wait for what is in flight, at most for the drain."""

    @abstractmethod
    def close(self, drain: float) -> None:
        """Start nothing more, wait for what runs, and count what still runs then as failed. A second call does nothing."""

    def refresh(self) -> None:  # noqa: B027 - most record at once
        """Bring `measured` and `warm` up to date, where that is not done with each operation."""

    @property
    def closed(self) -> bool:
        """Whether it is over: everything that was offered has its end."""
        return self._closed

    @property
    def closed_loop(self) -> bool:
        """Whether callers wait for their own answers, so that nothing is ever due."""
        return self.order.arrivals == CLOSED

    def schedule(self) -> Schedule:
        """The intended starts of this worker's arrivals."""
        whole = schedule_of(self.order.arrivals, self.order.rate, self.order.seed + self.order.number)
        return share(whole, self._worker, self._workers)

    @property
    def end(self) -> float:
        """The planned end, of `time.perf_counter`."""
        return self._began + self.order.warmup + self.order.seconds

    @property
    def offset(self) -> float:
        """Seconds of the measured part that have passed; negative during the warm-up."""
        return time.perf_counter() - self._began - self.order.warmup

    def offset_of(self, moment: float) -> float:
        """Seconds into the measured part at which something is due; negative during the warm-up.

        To 0.1 us: `time.perf_counter` grows for as long as the machine runs, and after some months its last digits are
        nanoseconds. Without rounding, what is due with the beginning of the measured part would fall before it.
        """
        return round(moment - self._began - self.order.warmup, 7)

    @property
    def planned_seconds(self) -> float:
        """Length of the measured part."""
        return self.order.seconds

    @property
    def elapsed(self) -> float:
        """Seconds from the beginning of the measured part to the end of its last operation (or to its planned end, if later)."""
        return max(0.0, self._ended - self._began - self.order.warmup)

    @property
    def cpu_seconds(self) -> float:
        """Processor time of this process since the measured part began."""
        return 0.0 if self._cpu_began is None else self._cpu_ended - self._cpu_began

    @property
    def offering(self) -> Offering:
        """The measured part until nothing more was due; nothing of it before the window is closed."""
        return self._offering or Offering(0.0, 0, 0.0)

    def _end_offering(self) -> None:
        """Nothing more is due: from now on what is in flight is waited for. A second call does nothing."""
        if self._offering is not None:
            return
        seconds, cpu = max(0.0, self.offset), cpu_seconds()
        self.refresh()
        used = 0.0 if self._cpu_began is None else cpu - self._cpu_began
        self._offering = Offering(seconds, self.measured.answered, used)

    def part(self, offset: float) -> Recorder:
        """The recorder of what is due ``offset`` seconds into the measured part."""
        if offset < 0:
            return self.warm
        if self._cpu_began is None:
            self._cpu_began = cpu_seconds()
        return self.measured

    def _end(self) -> None:
        """What is still open will never end; the clock stops."""
        self._end_offering()
        self._closed = True
        for offset, recorder in list(self._open.values()):
            recorder.fail(offset, UNFINISHED)
        self._cpu_ended = cpu_seconds()
        self._ended = time.perf_counter()


def places_of(order: Order, worker: int, workers: int) -> int:
    """How many may be in flight in this worker: its share, the first ones one more where it does not come out even."""
    return order.in_flight // workers + (worker < order.in_flight % workers)


def cpu_seconds() -> float:
    """Processor time of this process so far, all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
