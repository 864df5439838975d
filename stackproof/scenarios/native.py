"""The native engine: load from a process whose threads are threads, for drivers that have some of their own (Kafka, CQL).

One thread starts what is due, by the same index-based schedules as the green engine; what it starts ends on a thread of the
driver, which stamps the time, or on one of a bounded number of threads for steps that wait. Nothing of an operation is
recorded while it is under way but a few numbers in arrays: these become histograms at the end, or once a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from .arrivals import BURST, Schedule
from .folding import Operations, fold
from .orders import Order
from .timer_slack import sleep_precisely
from .window import GIVE_UP_SECONDS, UNFINISHED, Acts, Took, Window
from .work import StepFailedError, is_an_end

TICK_SECONDS = 0.000_25
"""The dispatcher sleeps at least so long, and then starts all that is due: at high rates several at once."""

Ended = Callable[[BaseException | None], None]


class Begin(Protocol):
    """Begin one item, and return at once. On any thread: ``took(step, seconds)`` for each step, then ``ended`` once."""

    def __call__(self, item: Any, took: Took, ended: Ended, /) -> None: ...


def dispatch_due(
    schedule: Schedule,
    end: float,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    start: Callable[[int, float], None],
    began: float | None = None,
    stopped: Callable[[], bool] = lambda: False,
    tick: float = TICK_SECONDS,
) -> int:
    """`arrivals.dispatch` for rates at which a sleep between two arrivals is too much: all that is due is started in one go.

    ``start(number, due)`` is called in order, never early, and at most ``tick`` seconds later than by a dispatcher that sleeps
    until each. The number of arrivals within ``end`` seconds is the same, and so is when each of them was due. One that is
    behind sleeps for an instant after every `BURST`, since a thread of a driver may be waiting for the interpreter.
    """
    began = clock() if began is None else began
    intended, number_of = schedule.intended, schedule.number
    count, offset = 0, intended(0)
    while offset < end and not stopped():
        now, burst = clock(), count + BURST
        while offset < end and began + offset <= now and count < burst:
            start(number_of(count), began + offset)
            count += 1
            offset = intended(count)
        if offset < end:
            wait = began + offset - clock()
            sleep(0.0 if count == burst and wait <= 0 else max(wait, tick))
    return count


class NativeWindow(Window):
    """A window whose `run` belongs on a native thread, since it blocks the one that it is called in.

    ``begin`` begins an item (`deferred.beginner` makes one); ``measured`` and ``warm`` are complete when `run` or `close` has
    returned, and brought up to date by `refresh` before.
    """

    def __init__(
        self,
        order: Order,
        acts: Acts,
        begin: Begin,
        *,
        worker: int = 0,
        workers: int = 1,
        tick: float = TICK_SECONDS,
        close_begin: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(order, acts, worker=worker, workers=workers)
        self._begin_item = begin
        self._tick = tick
        self._close_begin = close_begin
        self._operations = Operations()
        self._closing = threading.RLock()
        self._ends: SimpleQueue[None] | None = SimpleQueue() if self.closed_loop else None
        """One for each operation that ended, where callers wait for the ends."""

    def run(self, begin: float) -> None:
        self._began = begin
        # A trifle early: see `Window.offset_of`.
        self._operations.first = begin + self.order.warmup - 1e-7
        with sleep_precisely() as sleep:
            sleep(max(0.0, begin - time.perf_counter()))
            if self.closed_loop:
                self._call_in_turn()
            else:
                dispatch_due(
                    self.schedule(),
                    self.order.warmup + self.order.seconds,
                    began=begin,
                    clock=time.perf_counter,
                    sleep=sleep,
                    start=self._start,
                    stopped=lambda: self._stopped,
                    tick=self._tick,
                )
                # The window ends by the clock and not with its last arrival, which may be due long before.
                while not self._stopped and (left := self.end - time.perf_counter()) > 0:
                    sleep(min(left, 0.05))
            self._end_offering()
        self.close(self.order.drain)
        self._close_begin()

    def close(self, drain: float) -> None:
        self._stopped = True
        until = time.monotonic() + drain
        while self.in_flight and time.monotonic() < until and not self._closed:
            time.sleep(0.001)
        with self._closing:
            if not self._closed:
                self._end()
                fold(self._operations, self.measured, self.warm, unfinished=UNFINISHED)

    def refresh(self) -> None:
        with self._closing:
            if not self._closed:
                fold(self._operations, self.measured, self.warm)

    @property
    def in_flight(self) -> int:
        """Operations that were started and have not ended."""
        return self._operations.started - len(self._operations.finished)

    def _call_in_turn(self) -> None:
        """Closed loop: each place starts its next operation when its last one has ended."""
        assert self._ends is not None
        number = self._worker
        for _ in range(self._places):
            self._ends.put(None)
        while not self._stopped and time.perf_counter() < self.end:
            try:
                self._ends.get(timeout=min(0.05, max(0.0, self.end - time.perf_counter())))
            except Empty:
                continue
            self._start(number, time.perf_counter())
            number += self._workers

    def _start(self, number: int, due: float) -> None:
        operations = self._operations
        if self._cpu_began is None and due >= operations.first:
            self.part(0.0)  # the measured part begins, and with it the count of processor time
        now = time.perf_counter()
        under_way = operations.started - len(operations.finished)
        if under_way >= self._places:
            operations.turn_away(due, dropped=True)
            return
        if now - due > GIVE_UP_SECONDS:
            operations.turn_away(due, dropped=False)
            return
        if under_way >= self.most_in_flight:
            self.most_in_flight = under_way + 1
        index = operations.start(due, now)
        ended = partial(self._ended_at, index)
        try:
            self._begin_item(self._acts.item(self._first + number), partial(operations.took, index), ended)
        except BaseException as error:
            if not is_an_end(error):
                raise
            ended(error)  # it could not even begin: that is how it ended

    def _ended_at(self, index: int, error: BaseException | None = None) -> None:
        """On whichever thread an operation ends. Each change here is a single step of the interpreter: no lock is needed."""
        operations = self._operations
        if operations.ended[index] >= 0.0:
            return  # a step that tells its end twice must not make room for two
        operations.ended[index] = time.perf_counter()
        if error is not None:
            operations.failures[index] = error.kind if isinstance(error, StepFailedError) else type(error).__name__
        operations.finished.append(index)
        if self._ends is not None:
            self._ends.put(None)
