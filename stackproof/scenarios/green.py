"""The green engine: one gevent loop, for drivers that wait on Python's own sockets (psycopg, redis-py, opensearch-py).

Runs only under gevent's patches, in a process of its own.
"""

from __future__ import annotations

import time

import gevent
from greenlet import greenlet

from .arrivals import BURST, dispatch
from .precise_sleep import PreciseSleeper
from .recorder import Recorder
from .window import GIVE_UP_SECONDS, Window
from .work import StepFailedError, is_an_end

AT_ONCE_SECONDS = 0.001
"""Up to this late, the dispatcher itself begins an operation, as soon as it is due. Beyond that many are overdue, and are begun
together on the loop's next turn, which costs less for each."""


EARLY_SECONDS = 0.000_025
"""The dispatcher comes to an operation so much early: what has to be done before one can begin is no part of its latency."""
EARLY_SHARE = 0.05
"""But for no more than this share of a core: what is left of it is spun, and processor time is scarce at high rates."""
LET_GO_SECONDS = 1.0
"""How long callers whose operations are given up may take to end."""


class GreenWindow(Window):
    """A greenlet for each operation in flight, and one dispatcher."""

    def run(self, begin: float) -> None:
        with PreciseSleeper.green() as sleeper:
            self._began = begin
            self._hub = gevent.get_hub()
            sleeper.until(begin)
            if self.closed_loop:
                self._call_in_turn()
            else:
                self._dispatch(sleeper)
                # The window ends by the clock and not with its last arrival, which may be due long before.
                self._wait_for_the_end()
        self.close(self.order.drain)

    def _dispatch(self, sleeper: PreciseSleeper) -> None:
        early = min(EARLY_SECONDS, EARLY_SHARE * self._workers / self.order.rate)
        dispatch(
            self.schedule(),
            self.order.warmup + self.order.seconds,
            began=self._began,
            clock=lambda: time.perf_counter() + early,
            sleep=sleeper.sleep,
            start=self._start,
            # What was started must be able to end before the places run out, or it would be dropped for our own haste.
            burst=max(1, min(BURST, self._places // 4)),
            stopped=lambda: self._stopped,
        )

    def _wait_for_the_end(self) -> None:
        while not self._stopped and (left := self.end - time.perf_counter()) > 0:
            gevent.sleep(min(left, 0.05))
        self._end_offering()

    def close(self, drain: float) -> None:
        self._stopped = True
        give_up = time.perf_counter() + drain
        while self._open and not self._closed and time.perf_counter() < give_up:
            gevent.sleep(0.001)
        if not self._closed:
            self._end()

    def _start(self, number: int, due: float) -> None:
        offset = self.offset_of(due)
        recorder = self.part(offset)
        if len(self._open) >= self._places:
            recorder.offer(offset)
            recorder.drop(offset)
            return
        late = time.perf_counter() - due
        if late > GIVE_UP_SECONDS:
            recorder.offer(offset)
            recorder.skip(offset)
            return
        self._open[number] = (offset, recorder)
        if len(self._open) > self.most_in_flight:
            self.most_in_flight = len(self._open)
        try:
            if late > AT_ONCE_SECONDS:
                gevent.spawn_raw(self._operate, number, due, offset, recorder)
            else:
                self._begin_at_once(number, due, offset, recorder)
        finally:
            recorder.offer(
                offset
            )  # afterwards, for it would be in the latency; also where this greenlet was killed meanwhile

    def _begin_at_once(self, number: int, due: float, offset: float, recorder: Recorder) -> None:
        """Begin in this very moment; the dispatcher goes on when the operation waits for the first time.

        A greenlet that is only spawned waits until the dispatcher has computed the next arrival and set its timer, and for a turn
        of the loop: some 50 us, which would be in each latency.
        """
        hub = self._hub
        resumed = hub.loop.run_callback(gevent.getcurrent().switch)
        begun = greenlet(self._operate, hub)  # its parent is the hub, as that of every greenlet of gevent's
        begun.loop = hub.loop
        try:
            begun.switch(number, due, offset, recorder)
        finally:
            resumed.stop()  # where the dispatcher is killed meanwhile, nothing must wake it up once more

    def _operate(self, number: int, due: float, offset: float, recorder: Recorder) -> None:
        began = time.perf_counter()
        failure = ""
        try:
            item = self._acts.item(self._first + number)
            while (began := time.perf_counter()) < due:
                pass  # it was made ready a moment early
            recorder.sent(began - due)
            self._acts.decide(item, recorder.step)
        except StepFailedError as error:
            failure = error.kind
        except BaseException as error:
            # Nobody listens to a greenlet: what is not counted here takes its place for ever, and would end the timer as well.
            if not is_an_end(error):
                raise
            failure = type(error).__name__
        ended = time.perf_counter()
        if self._closed:
            return  # counted as unfinished already
        del self._open[number]
        if failure:
            recorder.fail(offset, failure)
        else:
            recorder.succeed(offset, ended - due, ended - began)

    def _call_in_turn(self) -> None:
        """Closed loop: each caller starts its next operation when the last one has ended.

        What is in flight at the end is waited for, unless the window is closed meanwhile; what is given up then is killed.
        """
        numbers = iter(range(self._worker, 1 << 62, self._workers))

        def call() -> None:
            while not self._stopped and (now := time.perf_counter()) < self.end:
                self._operate_now(next(numbers), now)

        callers = [gevent.spawn(call) for _ in range(self._places)]
        self._wait_for_the_end()
        give_up = time.perf_counter() + self.order.drain
        while not self._closed and time.perf_counter() < give_up and not all(map(gevent.Greenlet.ready, callers)):
            gevent.joinall(callers, timeout=0.05)
        self.close(0.0)  # before they are killed: an operation that is cut off has not ended
        gevent.killall(callers, block=False)
        gevent.joinall(callers, timeout=LET_GO_SECONDS)

    def _operate_now(self, number: int, now: float) -> None:
        offset = self.offset_of(now)
        recorder = self.part(offset)
        recorder.offer(offset)
        self._open[number] = (offset, recorder)
        self.most_in_flight = max(self.most_in_flight, len(self._open))
        self._operate(number, now, offset, recorder)
