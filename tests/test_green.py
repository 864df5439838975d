"""The green engine's dispatcher: what is due begins at once, what is overdue begins together, and every arrival is counted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import gevent
import pytest

from stackproof.scenarios import green
from stackproof.scenarios.green import GreenWindow
from stackproof.scenarios.orders import CLOSED, Order
from stackproof.scenarios.window import UNFINISHED, Took


class Waits:
    """Each operation notes that it began, and waits a moment."""

    def __init__(self, seconds: float = 0.003) -> None:
        self.seconds = seconds
        self.begun: list[int] = []

    def item(self, number: int) -> int:
        return number

    def decide(self, item: Any, took: Took) -> None:
        self.begun.append(item)
        gevent.sleep(self.seconds)
        took("wait", self.seconds)


class Noted(GreenWindow):
    """Notes of each arrival how late it was, and whether its operation had begun when the dispatcher went on."""

    def _start(self, number: int, due: float) -> None:
        late, before = time.perf_counter() - due, len(self.acts.begun)
        super()._start(number, due)
        self.noted.append((late, len(self.acts.begun) > before))

    @classmethod
    def over(cls, order: Order, acts: Waits) -> Noted:
        window = cls(order, acts)
        window.acts, window.noted = acts, []
        return window

    acts: Waits
    noted: list[tuple[float, bool]]


def wait_until(condition: Callable[[], bool]) -> None:
    """Let the others run until a condition holds."""
    with gevent.Timeout(30.0):
        while not condition():
            gevent.sleep(0.002)


def run(window: Noted) -> Noted:
    window.run(time.perf_counter() + 0.01)
    return window


def test_what_is_due_has_begun_before_the_dispatcher_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    # Whatever the pace of the machine, no arrival is overdue: on a busy one, most would be late by more than the usual limit.
    monkeypatch.setattr(green, "AT_ONCE_SECONDS", 60.0)
    window = run(Noted.over(Order(200.0, 0.5, in_flight=100), Waits()))
    recorder = window.measured
    assert (recorder.offered, recorder.ok, recorder.adds_up) == (100, 100, True)
    assert [begun for _, begun in window.noted] == [True] * 100
    assert window.most_in_flight >= 1


def test_nothing_begins_early_though_it_was_made_ready_before(monkeypatch: pytest.MonkeyPatch) -> None:
    # Early enough for any machine: in 25 us a slow one does not come as far as making the item.
    monkeypatch.setattr(green, "EARLY_SECONDS", 0.002)
    monkeypatch.setattr(green, "EARLY_SHARE", 1.0)

    class Clocked(Waits):
        def __init__(self) -> None:
            super().__init__()
            self.made: list[float] = []
            self.began: list[float] = []

        def item(self, number: int) -> int:
            self.made.append(time.perf_counter())
            return number

        def decide(self, item: Any, took: Took) -> None:
            self.began.append(time.perf_counter())

    acts = Clocked()
    window = Noted(Order(200.0, 0.5, in_flight=64), acts)
    window.acts, window.noted = acts, []
    begin = time.perf_counter() + 0.02
    window.run(begin)
    due = [begin + number / 200 for number in range(100)]
    assert all(began >= at - 1e-7 for began, at in zip(acts.began, due, strict=True))
    ready = sum(made < at for made, at in zip(acts.made, due, strict=True))
    assert ready > 0, "items are made before they are due, as far as the machine allows it"


def test_what_is_overdue_is_only_spawned() -> None:
    acts = Waits(0.0)
    window = Noted.over(Order(200.0, 0.5, in_flight=64), acts)
    window._began = time.perf_counter() - 0.1
    window._hub = gevent.get_hub()
    window._start(0, window._began)
    assert window.noted[0][1] is False
    assert acts.begun == []
    window.close(1.0)
    assert len(acts.begun) == 1
    assert window.measured.adds_up


def test_an_operation_that_needs_no_wait_is_counted_once() -> None:
    class Nothing(Waits):
        def decide(self, item: Any, took: Took) -> None:
            self.begun.append(item)

    window = run(Noted.over(Order(500.0, 0.4, in_flight=64), Nothing()))
    assert (window.measured.offered, window.measured.ok, window.measured.adds_up) == (200, 200, True)


def test_a_dispatcher_that_is_killed_loses_no_arrival_and_is_not_woken_again() -> None:
    window = Noted.over(Order(400.0, 5.0, in_flight=64), Waits(0.002))
    woken = []

    def dispatcher() -> None:
        try:
            window.run(time.perf_counter())
        finally:
            gevent.sleep(0.05)  # a second wake-up would end this early, or break it
            woken.append(time.perf_counter())

    running = gevent.spawn(dispatcher)
    wait_until(lambda: window.measured.offered > 20)
    killed = time.perf_counter()
    running.kill()
    window.close(1.0)
    assert woken[0] - killed >= 0.045
    assert window.measured.adds_up


@pytest.mark.parametrize("arrivals", ["constant", CLOSED])
def test_a_window_that_is_closed_early_waits_for_nothing_that_hangs(arrivals: str) -> None:
    window = Noted.over(Order(100.0, 60.0, arrivals=arrivals, in_flight=4, drain=60.0), Waits(120.0))
    running = gevent.spawn(window.run, time.perf_counter())
    wait_until(lambda: len(window.acts.begun) == 4)
    began = time.perf_counter()
    window.close(0.2)
    running.join(30.0)
    assert running.ready()
    assert time.perf_counter() - began < 30.0
    assert window.measured.adds_up
    assert window.measured.errors == {UNFINISHED: 4}


def test_callers_whose_operations_hang_are_given_up_when_the_drain_time_is_over() -> None:
    window = Noted.over(Order(0.0, 0.2, arrivals=CLOSED, in_flight=3, drain=0.3), Waits(120.0))
    began = time.perf_counter()
    run(window)
    assert time.perf_counter() - began < 30.0
    assert window.measured.adds_up
    assert window.measured.errors == {UNFINISHED: 3}
    assert window.elapsed >= 0.5


def test_what_load_was_offered_ends_with_the_window_and_not_with_a_straggler() -> None:
    class Straggles(Waits):
        def decide(self, item: Any, took: Took) -> None:
            self.begun.append(item)
            gevent.sleep(0.001 if item else 1.0)

    window = run(Noted.over(Order(100.0, 0.3, in_flight=64), Straggles()))
    assert (window.measured.ok, window.measured.adds_up) == (30, True)
    assert window.elapsed >= 0.9
    assert 0.3 <= window.offering.seconds < window.elapsed
    assert window.offering.answered <= 29
    assert 0.0 < window.offering.cpu_seconds <= window.cpu_seconds


@pytest.mark.parametrize("error", [OSError("gone"), gevent.Timeout(1), asyncio.CancelledError()])
def test_a_failure_in_an_operation_does_not_reach_the_dispatcher(error: BaseException) -> None:
    class Fails(Waits):
        def decide(self, item: Any, took: Took) -> None:
            raise error

    window = run(Noted.over(Order(200.0, 0.2, in_flight=8, drain=1.0), Fails()))
    assert (window.measured.offered, window.measured.failed) == (40, 40)
    assert dict(window.measured.errors) == {type(error).__name__: 40}
