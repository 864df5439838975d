"""The native engine: nothing of the schedule is lost, ends come on any thread, and the figures are those of the samples."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from stackproof.adapters.settings import Settings
from stackproof.contracts.expectations import eventually
from stackproof.interfaces import (
    DeferredPublisher,
    Done,
    Event,
    EventCapabilities,
    EventPublisher,
    UnavailableError,
)
from stackproof.scenarios.arrivals import Constant, Poisson, dispatch
from stackproof.scenarios.catalogue import find_scenario
from stackproof.scenarios.deferred import Direct, Threads, beginner, needs_native_threads
from stackproof.scenarios.folding import Operations, fold
from stackproof.scenarios.native import NativeWindow, dispatch_due
from stackproof.scenarios.orders import CLOSED, Order
from stackproof.scenarios.recorder import Recorder
from stackproof.scenarios.starvation import NOBODY, StarvationWatch, blamed, thread_seconds
from stackproof.scenarios.timer_slack import sleep_precisely
from stackproof.scenarios.window import UNFINISHED, WINDOW_ITEMS, Nothing
from stackproof.scenarios.work import StepFailedError, Work

ORDER = Order(rate=200.0, seconds=0.5, in_flight=64, drain=5.0)


class Clock:
    """A clock that only sleeping moves, and that oversleeps as told."""

    def __init__(self, oversleeps: Callable[[], float] = lambda: 0.0) -> None:
        self.now = 100.0
        self._oversleeps = oversleeps

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds + self._oversleeps()


# The dispatcher


@pytest.mark.parametrize("schedule", [Constant(1_000), Constant(7.3), Poisson(20_000, seed=3), Constant(100_000)])
def test_the_same_is_due_as_with_the_dispatcher_of_the_green_engine(schedule: Any) -> None:
    ours: list[tuple[int, float]] = []
    theirs: list[tuple[int, float]] = []
    draw = random.Random(1)
    clock = Clock(lambda: draw.expovariate(1_000))

    def start(number: int, due: float) -> None:
        assert due <= clock.now, "never early"
        ours.append((number, due))

    count = dispatch_due(schedule, 2.0, clock=clock, sleep=clock.sleep, start=start)
    other = Clock()
    dispatch(schedule, 2.0, clock=other, sleep=other.sleep, start=lambda number, due: theirs.append((number, due)))
    assert ours == theirs
    assert count == len(theirs)


def test_it_is_late_by_a_tick_at_most() -> None:
    clock, lags = Clock(), []
    dispatch_due(
        Constant(9_999),
        1.0,
        clock=clock,
        sleep=clock.sleep,
        tick=0.001,
        start=lambda _, due: lags.append(clock.now - due),
    )
    assert max(lags) <= 0.001 + 1e-9
    assert len(lags) == 9_999


def test_a_dispatcher_that_lags_hears_that_it_shall_stop() -> None:
    clock, stop = Clock(), []

    def start(number: int, _due: float) -> None:
        clock.now += 1.0  # ever later
        if number == 10:
            stop.append(True)

    count = dispatch_due(Constant(1_000), 60.0, clock=clock, sleep=clock.sleep, start=start, stopped=lambda: bool(stop))
    assert count < 600


def test_sleeping_precisely_leaves_the_thread_as_it_was() -> None:
    with sleep_precisely() as sleep:
        began = time.perf_counter()
        sleep(0.001)
        assert time.perf_counter() - began >= 0.001


# Folding


def random_operations(seed: int, limit: float | None) -> tuple[Operations, list[int], Recorder, Recorder]:
    """Operations with all ends, and the recorders that a call for each of them makes."""
    draw, operations = random.Random(seed), Operations()
    operations.first = 50.7
    recorders = {True: Recorder(limit=limit), False: Recorder(limit=limit)}
    ends: list[int] = []
    for number in range(3_000):
        due = 50.0 + number / 1_000
        offset = due - operations.first
        recorder = recorders[offset >= 0]
        recorder.offer(offset)
        chance = draw.random()
        if chance < 0.15:
            operations.turn_away(due, dropped=chance < 0.1)
            (recorder.drop if chance < 0.1 else recorder.skip)(offset)
            continue
        started_at = due + draw.choice([0.0, 0.000_3, 0.02])
        assert operations.start(due, started_at) == number
        recorder.sent(started_at - due)
        if draw.random() < 0.05:
            recorder.fail(offset, UNFINISHED)
            continue
        ended = operations.ended[number] = started_at + draw.expovariate(300)
        if draw.random() < 0.1:
            operations.failures[number] = "publish: UnavailableError"
            recorder.fail(offset, "publish: UnavailableError")
        else:
            recorder.succeed(offset, ended - due, ended - started_at)
            operations.took(number, "publish", ended - started_at)
            recorder.step("publish", ended - started_at)
        ends.append(number)
    draw.shuffle(ends)
    return operations, ends, recorders[True], recorders[False]


@pytest.mark.parametrize("limit", [None, 0.005])
@pytest.mark.parametrize("parts", [1, 7])
def test_folded_numbers_are_what_a_recorder_is_told_one_by_one(parts: int, limit: float | None) -> None:
    operations, ends, expected, expected_warm = random_operations(3, limit)
    measured, warm = Recorder(limit=limit), Recorder(limit=limit)
    for part in range(parts):
        operations.finished.extend(ends[part::parts])  # type: ignore[arg-type]
        fold(operations, measured, warm, unfinished=UNFINISHED if part == parts - 1 else "")
    assert expected.sent_late
    assert expected.skipped
    assert bool(expected.late) is (limit is not None)
    for found, wanted in ((measured, expected), (warm, expected_warm)):
        assert found.adds_up
        assert found.to_data() == wanted.to_data()


# The window


class Acting:
    """Begins items as told; an item is its number."""

    def __init__(self, begin: Any) -> None:
        self.begin = begin

    def item(self, number: int) -> int:
        return number

    def decide(self, item: int, took: Any) -> None:
        raise AssertionError


def window(begin: Any, **changes: Any) -> NativeWindow:
    return NativeWindow(replace(ORDER, **changes), Acting(begin), begin)


def offered(load: NativeWindow) -> Recorder:
    load.run(time.perf_counter() + 0.01)
    assert load.measured.adds_up
    assert load.warm.adds_up
    return load.measured


def test_ends_come_from_threads_of_the_driver() -> None:
    """What a driver does: it takes the item, and another thread tells the end after a while."""

    def begin(number: int, took: Any, ended: Any) -> None:
        def end() -> None:
            took("step", 0.002)
            ended(UnavailableError("away") if number % 10 == 0 else None)

        threading.Timer(0.002, end).start()

    load = window(begin, warmup=0.2, rate=100.0, in_flight=100)  # more than come, also where threads are held up
    found = offered(load)
    assert (found.offered, load.warm.offered) == (50, 20)
    assert found.dropped == 0
    assert found.errors == {"UnavailableError": 5}
    assert found.steps["step"].count == 50
    assert found.intended.percentiles([0.0])[0.0] >= 0.002
    assert load.most_in_flight >= 1
    assert load.in_flight == 0
    assert load.elapsed >= 0.5
    assert load.cpu_seconds > 0


def test_beyond_what_may_be_in_flight_arrivals_are_dropped_and_what_hangs_is_unfinished() -> None:
    load = window(lambda *_: None, in_flight=3, drain=0.1)
    found = offered(load)
    assert (found.offered, found.failed, found.dropped) == (100, 3, 97)
    assert found.errors == {UNFINISHED: 3}
    assert load.most_in_flight == 3


def test_an_end_after_the_drain_time_changes_nothing_and_a_second_end_makes_no_room() -> None:
    kept: list[Any] = []

    def begin(number: int, _took: Any, ended: Any) -> None:
        kept.append(ended)
        if number > 0:
            ended(None)
            ended(None)

    load = window(begin, in_flight=2, drain=0.05)
    before = offered(load).to_data()
    kept[0](None)
    load.refresh()
    load.close(0.0)
    assert load.measured.to_data() == before
    assert (load.measured.ok, load.measured.failed, load.measured.dropped) == (99, 1, 0)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (StepFailedError("publish", UnavailableError("away")), "publish: UnavailableError"),
        (asyncio.CancelledError(), "CancelledError"),
    ],
)
def test_what_cannot_begin_has_failed(error: BaseException, told: str) -> None:
    def begin(*_: Any) -> None:
        raise error

    assert offered(window(begin)).errors == {told: 100}


def test_a_window_that_is_closed_early_is_whole() -> None:
    load = window(lambda _item, _took, ended: ended(None), seconds=30.0)
    thread = threading.Thread(target=load.run, args=[time.perf_counter()])
    thread.start()
    until = time.monotonic() + 10.0
    while load.measured.offered < 20 and time.monotonic() < until:
        load.refresh()
        time.sleep(0.01)
    load.close(1.0)
    thread.join(10.0)
    assert not thread.is_alive()
    assert load.measured.adds_up
    assert 20 <= load.measured.offered < 5_000


def test_what_load_was_offered_ends_with_the_window_and_not_with_a_straggler() -> None:
    def begin(number: int, _took: Any, ended: Any) -> None:
        threading.Timer(1.5 if number == 0 else 0.001, ended, [None]).start()

    load = window(begin, rate=100.0, seconds=0.3)
    assert offered(load).ok == 30
    assert load.elapsed >= 1.4
    assert 0.3 <= load.offering.seconds < load.elapsed
    assert load.offering.answered <= 29
    assert 0.0 < load.offering.cpu_seconds <= load.cpu_seconds


def test_where_arrivals_are_closed_each_end_begins_the_next() -> None:
    def begin(_number: int, _took: Any, ended: Any) -> None:
        threading.Timer(0.01, ended, [None]).start()

    load = window(begin, arrivals=CLOSED, in_flight=4)
    found = offered(load)
    assert load.most_in_flight <= 4
    assert found.dropped == 0
    assert 8 <= found.ok <= 4 * 51


def test_of_two_workers_each_does_its_share_of_the_items() -> None:
    begun: list[int] = []

    def begin(number: int, _took: Any, ended: Any) -> None:
        begun.append(number)
        ended(None)

    order = replace(ORDER, number=1)
    for worker in (0, 1):
        load = NativeWindow(order, Acting(begin), begin, worker=worker, workers=2)
        assert offered(load).offered == 50
    assert sorted(begun) == list(range(WINDOW_ITEMS, WINDOW_ITEMS + 100))


# What begins items


def test_steps_that_wait_are_done_by_threads_side_by_side() -> None:
    together = threading.Barrier(4, timeout=10.0)

    def act(number: int, took: Any) -> None:
        together.wait()
        took("wait", 0.001)
        if number == 3:
            raise StepFailedError("wait", UnavailableError("away"))
        if number == 2:
            raise SystemExit

    threads, ends = Threads(act, 4), {}
    for number in range(4):
        threads.begin(number, lambda *_: None, lambda error, number=number: ends.setdefault(number, error))  # type: ignore[misc]
    until = time.monotonic() + 10.0
    while len(ends) < 4 and time.monotonic() < until:
        time.sleep(0.001)
    threads.close()
    assert [type(ends[number]).__name__ for number in range(4)] == [
        "NoneType",
        "NoneType",
        "SystemExit",
        "StepFailedError",
    ]


class Bus(EventPublisher, DeferredPublisher):
    """An event bus whose ends come from a thread."""

    capabilities = EventCapabilities()
    published: list[Event] = []  # noqa: RUF012 - one test

    def publish(self, topic: str, event: Event) -> None:
        raise AssertionError

    def subscribe(self, topic: str, handler: Any, group: str | None = None) -> Any:
        raise AssertionError

    def publish_deferred(self, topic: str, event: Event, done: Done) -> None:
        self.published.append(event)
        threading.Thread(target=done, args=[None]).start()

    def ping(self) -> bool:
        return True

    def disconnect(self) -> None: ...


def make_bus(_namespace: str) -> Bus:
    return Bus()


def test_a_scenario_whose_steps_have_deferred_forms_needs_no_threads() -> None:
    for backend, kind in ((f"{__name__}:make_bus", Direct), ("memory", Threads)):
        work = Work(find_scenario("publish"), {"events": backend}, Settings({}), "n")
        work.prepare()
        begin = beginner(work, 8)
        assert isinstance(begin, kind)
        load = NativeWindow(replace(ORDER, seconds=0.2), work, begin.begin)
        assert offered(load).ok == 40
        assert load.measured.steps["publish"].count == 40
        begin.close()
        work.close()
    assert len({event.event_id for event in Bus.published}) == 40


def test_what_a_deferred_step_raises_and_is_no_exception_is_a_failure_of_it() -> None:
    class GivesUp(Bus):
        def publish_deferred(self, topic: str, event: Event, done: Done) -> None:
            raise asyncio.CancelledError

    ends: list[BaseException | None] = []
    work = Work.on(find_scenario("publish"), {"events": GivesUp()})
    work.begin(work.item(1), lambda *_: None, ends.append)
    assert [str(error) for error in ends] == [str(StepFailedError("publish", asyncio.CancelledError()))]


def test_the_null_step_costs_no_thread() -> None:
    acts = Nothing(lambda number: number)
    begin = beginner(acts, 8)
    assert isinstance(begin, Direct)
    assert offered(NativeWindow(ORDER, acts, begin.begin)).ok == 100


def test_the_engine_is_chosen_by_the_drivers() -> None:
    backends = {"events": "redpanda", "interactions": "postgres", "cache": "redis"}
    assert needs_native_threads(backends) == ("events=redpanda",)
    assert needs_native_threads({"events": "memory", "interactions": "my.module:make"}) == ()


# The watch


def test_a_thread_that_holds_the_interpreter_is_named() -> None:
    import sys

    class Window:
        """Is asked for its offset at each tick."""

        ticks = 0

        @property
        def offset(self) -> float:
            self.ticks += 1
            return 1.0

    window = Window()
    watch = StarvationWatch(window)
    watch.start()
    eventually(lambda: window.ticks, "it watches", 10.0)
    before = sys.getswitchinterval()

    def hold() -> None:
        sys.setswitchinterval(5.0)  # from here on nobody else gets the interpreter's lock, as when C code holds it
        until = time.perf_counter() + 0.5
        while time.perf_counter() < until:
            pass
        sys.setswitchinterval(before)

    try:
        holder = threading.Thread(target=hold, name="the-holder")
        holder.start()
        holder.join()
        until = time.monotonic() + 5.0
        while not watch.gaps and time.monotonic() < until:
            time.sleep(0.01)
    finally:
        sys.setswitchinterval(before)
        watch.stop()
    assert watch.gaps
    longest = max(float(gap["seconds"]) for gap in watch.gaps)
    assert longest > 0.1


def test_the_thread_that_used_a_gap_is_named_and_else_the_machine() -> None:
    def busy() -> None:
        while not over.is_set():
            sum(range(1_000))

    over, before = threading.Event(), thread_seconds()
    if not before:
        pytest.skip("this system does not tell what each thread has used")
    thread = threading.Thread(target=busy, name="the-busy-one")
    thread.start()
    until = time.monotonic() + 20.0
    while thread_seconds().get(thread.native_id or 0, 0.0) < 0.2 and time.monotonic() < until:
        time.sleep(0.02)
    said = blamed(before, thread_seconds(), 0.2)
    over.set()
    thread.join()
    assert said.startswith("thread the-busy-one in ")
    after = thread_seconds()
    assert blamed(after, after, 0.2) == NOBODY
