"""How late the sleepers of a dispatcher wake, what that costs, and that nobody else is held up meanwhile.

Medians only, and coarse bounds: the machine may be busy with other things, and what a thread waits for a processor is taken
off. That gevent's own sleep is ten times coarser is measured in the same breath, turn by turn.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator

import gevent
import pytest
from run_queue import own_seconds_in_line

from stackproof.scenarios import precise_sleep
from stackproof.scenarios.precise_sleep import (
    LONGEST_LEAD_SECONDS,
    CoarseSleeper,
    Lead,
    PreciseSleeper,
    SpinningSleeper,
    TimerSleeper,
    has_timers,
)

GAP = 0.0023
needs_timers = pytest.mark.skipif(not has_timers(), reason="timers that are descriptors are Linux's own")
MAKERS: list[Callable[[], PreciseSleeper]] = [PreciseSleeper.green, PreciseSleeper.native, CoarseSleeper]


@pytest.fixture
def timer() -> Iterator[TimerSleeper]:
    with TimerSleeper() as sleeper:
        yield sleeper


def lateness(sleeper: PreciseSleeper, times: int) -> list[float]:
    """Seconds that each of so many waits of `GAP` ended after its moment; negative would be early."""
    found = []
    for _ in range(times):
        due = time.perf_counter() + GAP
        sleeper.until(due)
        found.append(time.perf_counter() - due)
    return found


def own_lateness(sleeper: PreciseSleeper, times: int) -> list[float]:
    """The same, without what the thread waited for a processor meanwhile: that is the machine's, not the sleeper's."""
    found = []
    for _ in range(times):
        before = own_seconds_in_line()
        (late,) = lateness(sleeper, 1)
        found.append(max(0.0, late - (own_seconds_in_line() - before)))
    return found


class TestLead:
    def test_it_learns_what_waking_up_takes_and_a_little_more_where_that_varies(self) -> None:
        steady, restless = Lead(), Lead()
        for turn in range(300):
            steady.learn(0.00003)
            restless.learn(0.00002 if turn % 2 else 0.00004)
        assert steady.seconds == pytest.approx(0.00003, rel=0.01)
        assert 0.000035 < restless.seconds < 0.00005

    def test_a_hiccup_makes_nobody_spin_for_long(self) -> None:
        lead = Lead()
        for _ in range(300):
            lead.learn(0.01)
        assert lead.seconds == LONGEST_LEAD_SECONDS


class TestEverySleeper:
    @pytest.mark.parametrize("make", MAKERS)
    def test_it_never_wakes_early(self, make: Callable[[], PreciseSleeper]) -> None:
        with make() as sleeper:
            assert min(lateness(sleeper, 100)) >= 0.0

    @pytest.mark.parametrize("make", MAKERS)
    def test_sleep_is_counted_from_now(self, make: Callable[[], PreciseSleeper]) -> None:
        with make() as sleeper:
            began = time.perf_counter()
            sleeper.sleep(0.01)
            assert 0.01 <= time.perf_counter() - began < 1.0

    def test_closing_twice_is_closing_once(self) -> None:
        for make in MAKERS:
            sleeper = make()
            sleeper.close()
            sleeper.close()


@needs_timers
class TestTheTimer:
    def test_it_is_what_a_greenlet_gets(self) -> None:
        with PreciseSleeper.green() as sleeper:
            assert isinstance(sleeper, TimerSleeper)

    def test_it_is_far_finer_than_the_clock_of_gevent(self, timer: TimerSleeper) -> None:
        fine, coarse = [], []
        other = CoarseSleeper()
        for _ in range(20):
            fine += own_lateness(timer, 10)
            coarse += own_lateness(other, 10)
        assert statistics.median(fine) < statistics.median(coarse) / 3
        assert statistics.median(fine) < 0.00025

    def test_what_waking_up_takes_is_learnt(self, timer: TimerSleeper) -> None:
        lateness(timer, 100)
        assert 0.0 < timer._lead.seconds <= LONGEST_LEAD_SECONDS

    def test_others_run_between_waits_that_are_shorter_than_waking_up(self, timer: TimerSleeper) -> None:
        turns = 0

        def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                gevent.sleep(0)

        counter = gevent.spawn(count)
        try:
            lateness(timer, 100)
            turns = 0
            for _ in range(100):
                timer.sleep(timer._lead.seconds / 2)
        finally:
            counter.kill()
        assert turns >= 90

    def test_it_does_not_spin(self, timer: TimerSleeper) -> None:
        began = time.process_time()
        lateness(timer, 200)
        assert (time.process_time() - began) / 200 < GAP / 8  # 1 % is usual; whoever spins uses all of it

    def test_others_run_while_it_waits(self, timer: TimerSleeper) -> None:
        turns = 0

        def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                gevent.sleep(0)

        counter = gevent.spawn(count)
        try:
            timer.sleep(0.05)
        finally:
            counter.kill()
        assert turns > 10

    def test_others_run_where_the_moment_is_past(self, timer: TimerSleeper) -> None:
        ran: list[int] = []
        gevent.spawn(ran.append, 1)
        timer.until(time.perf_counter() - 1.0)
        assert ran == [1]

    def test_a_dispatcher_that_was_killed_leaves_it_usable(self, timer: TimerSleeper) -> None:
        waiting = gevent.spawn(timer.sleep, 0.02)
        gevent.sleep(0)
        waiting.kill()
        late = lateness(timer, 1)
        gevent.sleep(0.03)  # the first one's timer would have fired by now
        assert late[0] >= 0.0
        assert lateness(timer, 1)[0] >= 0.0

    def test_two_at_a_time_are_refused(self, timer: TimerSleeper) -> None:
        waiting = gevent.spawn(timer.sleep, 5.0)
        gevent.sleep(0)
        try:
            with pytest.raises(RuntimeError, match="one greenlet at a time"):
                timer.sleep(0.01)
        finally:
            waiting.kill()

    def test_a_switch_from_elsewhere_is_no_end(self, timer: TimerSleeper) -> None:
        ended: list[float] = []
        due = time.perf_counter() + 0.05

        def wait() -> None:
            timer.until(due)
            ended.append(time.perf_counter())

        waiting = gevent.spawn(wait)
        gevent.sleep(0)
        gevent.get_hub().loop.run_callback(waiting.switch)
        waiting.join(5.0)
        assert ended
        assert ended[0] >= due

    def test_its_descriptor_is_given_back(self) -> None:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            TimerSleeper().close()
        assert len(os.listdir("/proc/self/fd")) <= before


class TestOtherSystems:
    def test_without_timers_gevent_sleeps(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(precise_sleep, "has_timers", lambda: False)
        assert isinstance(PreciseSleeper.green(), CoarseSleeper)

    def test_a_native_thread_is_late_by_microseconds(self) -> None:
        sleeper = SpinningSleeper()
        late = own_lateness(sleeper, 200)
        assert statistics.median(late) < 0.0001

    def test_a_native_thread_spins_for_the_rest_only(self) -> None:
        sleeper = SpinningSleeper()
        began = time.process_time()
        lateness(sleeper, 200)
        assert (time.process_time() - began) / 200 < GAP / 4
