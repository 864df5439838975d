"""The native engine: load from a process whose threads are threads, for drivers that have some of their own (Kafka, CQL).

One thread starts what is due, by the same index-based schedules as the green engine; what it starts ends on a thread of the
driver, which stamps the time, or on one of a bounded number of threads for steps that wait. Nothing of an operation is
recorded while it is under way but a few numbers in arrays: these become histograms afterwards, which costs no operation anything.
"""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from .arrivals import Schedule, schedule_of
from .folding import Operations, Part, fold
from .plan import Plan
from .precise import sleep_precisely
from .recorder import Recorder
from .work import StepFailedError

TICK_SECONDS = 0.000_25
"""The dispatcher sleeps at least so long, and then starts all that is due: at high rates several at once."""
GIVE_UP_SECONDS = 5.0
"""An arrival that the generator is this late for is dropped: a rate beyond its powers must not make the run endless."""
UNFINISHED = "unfinished: still running when the drain time was over"
_NEVER = float("nan")

Took = Callable[[str, float], None]
Ended = Callable[[BaseException | None], None]


class Begin(Protocol):
    """Begin one item and return at once. ``ended`` is called once, on any thread, after ``took(step, seconds)`` for each step."""

    def __call__(self, item: Any, took: Took, ended: Ended, /) -> None: ...


def dispatch_due(
    schedule: Schedule,
    end: float,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    start: Callable[[int, float], None],
    stopped: Callable[[], bool] = lambda: False,
    tick: float = TICK_SECONDS,
) -> int:
    """`arrivals.dispatch` for rates at which a sleep between two arrivals is too much: all that is due is started in one go.

    ``start(number, due)`` is called in order, never early, and at most ``tick`` seconds later than by a dispatcher that sleeps
    until each. The number of arrivals within ``end`` seconds is the same, and so is when each of them was due.
    """
    began, number = clock(), 0
    intended = schedule.intended
    offset = intended(0)
    while offset < end and not stopped():
        now = clock()
        while offset < end and began + offset <= now:
            start(number, began + offset)
            number += 1
            offset = intended(number)
            if not number & 0xFF:  # a dispatcher that lags must still hear that it shall stop
                if stopped():
                    return number
                now = clock()
        if offset < end:
            sleep(max(began + offset - clock(), tick))
    return number


class NativeWindow:
    """Load for some seconds, as `generator.Window`: arrivals before ``warmup`` go to one recorder, those after it to another.

    ``item(number)`` makes what ``begin`` begins; `run` belongs on a native thread, since it blocks the one that it is called in.
    ``only_step`` names the step of items that have just one, whose time is then that of the item: ``begin`` need not tell it.
    ``measured`` and ``warm`` may be looked at while it runs, and are complete when `run` or `close` has returned.
    """

    def __init__(
        self,
        plan: Plan,
        item: Callable[[int], Any],
        begin: Begin,
        *,
        seconds: float,
        warmup: float,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] | None = None,
        tick: float = TICK_SECONDS,
        only_step: str = "",
    ) -> None:
        self._plan = plan
        self._item = item
        self._begin_item = begin
        self._seconds = seconds
        self._warmup = warmup
        self._clock = clock
        self._sleep = sleep
        self._tick = tick
        self._only_step = only_step
        self._limit = plan.in_flight
        self._operations = Operations()
        self._began = 0.0
        self._ended = 0.0
        self._measuring = False
        self._cpu_began: float | None = None
        self._cpu_ended = 0.0
        self._stopped = False
        self._closed = False
        self._closing = threading.RLock()
        self._measured = Part()
        self._warm = Part()
        self.most_in_flight = 0

    def run(self) -> None:
        """Offer the load, then wait for what is in flight, at most for the plan's drain time."""
        schedule = schedule_of(self._plan.arrivals, self._plan.rate, self._plan.seed)
        whole = self._warmup + self._seconds
        with sleep_precisely() as precise:
            sleep = self._sleep or precise
            self._began = self._clock()
            self._operations.began = self._began
            self._operations.warmup = self._warmup
            dispatch_due(
                schedule,
                whole,
                clock=self._clock,
                sleep=sleep,
                start=self._start,
                stopped=lambda: self._stopped,
                tick=self._tick,
            )
            # The window ends by the clock and not with its last arrival, which may be due long before.
            while not self._stopped and (left := self._began + whole - self._clock()) > 0:
                sleep(min(left, 0.05))
        self.close(self._plan.drain)

    def close(self, drain: float) -> None:
        """Start nothing more, wait for what runs, and count what still runs then as failed. A second call does nothing."""
        self._stopped = True
        until = time.monotonic() + drain
        while self.in_flight and time.monotonic() < until and not self._closed:
            time.sleep(0.001)
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._cpu_ended = _cpu_seconds()
            self._ended = self._clock()
            self._fold(unfinished=UNFINISHED)

    @property
    def in_flight(self) -> int:
        """Operations that were started and have not ended."""
        return self._operations.started - len(self._operations.finished)

    @property
    def measured(self) -> Recorder:
        """What is known of the measured part by now."""
        self._fold()
        return self._measured.recorder

    @property
    def warm(self) -> Recorder:
        """What is known of the warm-up by now."""
        self._fold()
        return self._warm.recorder

    @property
    def offset(self) -> float:
        """Seconds of the measured part that have passed; negative during the warm-up."""
        return self._clock() - self._began - self._warmup

    @property
    def planned_seconds(self) -> float:
        """Length of the measured part."""
        return self._seconds

    @property
    def elapsed(self) -> float:
        """Seconds from the beginning of the measured part to the end of its last operation (or to its planned end, if later)."""
        return max(0.0, self._ended - self._began - self._warmup)

    @property
    def cpu_seconds(self) -> float:
        """Processor time of this process, all its threads, since the measured part began."""
        return 0.0 if self._cpu_began is None else self._cpu_ended - self._cpu_began

    def _start(self, number: int, due: float) -> None:
        operations = self._operations
        if not self._measuring and due - self._began >= self._warmup:
            self._measuring, self._cpu_began = True, _cpu_seconds()
        now = self._clock()
        open_now = operations.started - len(operations.finished)
        if open_now >= self._limit or now - due > GIVE_UP_SECONDS:
            operations.add(due, _NEVER)
            return
        if open_now >= self.most_in_flight:
            self.most_in_flight = open_now + 1
        operations.add(due, now)
        operations.started += 1
        ended = partial(self._end, number)
        try:
            took = _untold if self._only_step else partial(operations.took, number)
            self._begin_item(self._item(number), took, ended)
        except Exception as error:  # noqa: BLE001 - it could not even begin: that is how it ended
            ended(error)

    def _end(self, number: int, error: BaseException | None = None) -> None:
        """On whichever thread an operation ends. Each single step here is one of the interpreter, so that no lock is needed."""
        operations = self._operations
        if operations.ended[number] >= 0.0:
            return  # a step that tells its end twice must not make room for two
        operations.ended[number] = self._clock()
        if error is not None:
            operations.failures[number] = _kind(error)
        operations.finished.append(number)

    def _fold(self, unfinished: str = "") -> None:
        with self._closing:
            if self._closed and not unfinished:
                return
            fold(self._operations, self._measured, self._warm, only_step=self._only_step, unfinished=unfinished)


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _kind(error: BaseException) -> str:
    return error.kind if isinstance(error, StepFailedError) else type(error).__name__


def _untold(_step: str, _seconds: float) -> None:
    """Where an item has one step only, its time is the item's."""
