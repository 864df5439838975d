"""The native engine: nothing of the schedule is lost, ends come on any thread, and the figures are those of the samples."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from stackproof.adapters.settings import Settings
from stackproof.interfaces import DeferredPublisher, Done, Event, EventCapabilities, UnavailableError
from stackproof.scenarios.arrivals import Constant, Poisson, dispatch
from stackproof.scenarios.deferred import Chain, DeferredStep, Threads, beginner, needs_native_threads
from stackproof.scenarios.folding import Operations, Part, fold
from stackproof.scenarios.native import UNFINISHED, NativeWindow, dispatch_due
from stackproof.scenarios.plan import Plan
from stackproof.scenarios.precise import sleep_precisely
from stackproof.scenarios.recorder import Recorder
from stackproof.scenarios.scenario import Publish, Scenario, Sizes, Zipf
from stackproof.scenarios.starvation import NOBODY, StarvationWatch, blamed, thread_seconds
from stackproof.scenarios.work import StepFailedError, Work

PLAN = Plan(
    "decision", {}, "n", rate=200.0, duration=0.5, warmup=0.0, arrivals="constant", seed=7, in_flight=64, drain=5.0
)


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


def random_operations(seed: int, parts: int) -> tuple[Operations, list[int], Recorder, Recorder]:
    """Operations with all ends, and the recorders that a call for each of them makes."""
    draw, operations = random.Random(seed), Operations()
    operations.began, operations.warmup = 50.0, 0.7
    recorders = {True: Recorder(), False: Recorder()}
    ends: list[int] = []
    for number in range(3_000):
        due = 50.0 + number / 1_000
        offset = due - 50.0 - 0.7
        recorder = recorders[offset >= 0]
        recorder.offer(offset)
        if draw.random() < 0.1:
            operations.add(due, float("nan"))
            recorder.drop(offset)
            continue
        started_at = due + draw.choice([0.0, 0.000_3, 0.02])
        operations.add(due, started_at)
        operations.started += 1
        recorder.sent(started_at - due)
        if draw.random() < 0.05:
            recorder.fail(offset, UNFINISHED)
            continue
        ended = started_at + draw.expovariate(300)
        operations.ended[number] = ended
        if draw.random() < 0.1:
            operations.failures[number] = "publish: UnavailableError"
            recorder.fail(offset, "publish: UnavailableError")
        else:
            recorder.succeed(offset, ended - due, ended - started_at)
            recorder.step("publish", ended - started_at)
        ends.append(number)
    draw.shuffle(ends)
    return operations, ends, recorders[True], recorders[False]


@pytest.mark.parametrize("parts", [1, 7])
def test_folded_numbers_are_what_a_recorder_is_told_one_by_one(parts: int) -> None:
    operations, ends, expected, expected_warm = random_operations(3, parts)
    measured, warm = Part(), Part()
    for part in range(parts):
        operations.finished.extend(ends[part::parts])  # type: ignore[arg-type]
        fold(operations, measured, warm, only_step="publish", unfinished=UNFINISHED if part == parts - 1 else "")
    assert expected.late
    for found, wanted in ((measured.recorder, expected), (warm.recorder, expected_warm)):
        assert found.adds_up
        assert found.to_data() == wanted.to_data()


def test_steps_go_where_their_item_was_due() -> None:
    operations, measured, warm = Operations(), Part(), Part()
    operations.began, operations.warmup = 0.0, 1.0
    for number in range(4):
        operations.add(0.5 * number, 0.5 * number)
        operations.took(number, "a", 0.001 * (number + 1))
    fold(operations, measured, warm)
    assert warm.recorder.steps["a"].count == 2
    assert measured.recorder.steps["a"].largest == pytest.approx(0.004, rel=0.01)


# The window


@contextmanager
def window(begin: Any, **changes: Any) -> Iterator[NativeWindow]:
    plan = replace(PLAN, **changes)
    yield NativeWindow(plan, lambda number: number, begin, seconds=plan.duration, warmup=plan.warmup)


def test_ends_come_from_threads_of_the_driver() -> None:
    """What a driver does: it takes the item, and another thread tells the end after a while."""

    def begin(number: int, took: Any, ended: Any) -> None:
        def end() -> None:
            took("step", 0.002)
            ended(UnavailableError("away") if number % 10 == 0 else None)

        threading.Timer(0.002, end).start()

    with window(begin, warmup=0.2, rate=100.0) as load:
        load.run()
    found = load.measured
    assert found.adds_up
    assert load.warm.adds_up
    assert (found.offered, load.warm.offered) == (50, 20)
    assert found.dropped == 0
    assert found.errors == {"UnavailableError": 5}
    assert found.steps["step"].count == 50
    assert found.intended.percentiles([0.0])[0.0] >= 0.002
    assert load.most_in_flight >= 1
    assert load.in_flight == 0
    assert load.elapsed >= 0.5
    assert load.cpu_seconds > 0
    assert load.measured is found


def test_beyond_what_may_be_in_flight_arrivals_are_dropped_and_what_hangs_is_unfinished() -> None:
    with window(lambda *_: None, in_flight=3, drain=0.1) as load:
        load.run()
    found = load.measured
    assert found.adds_up
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

    with window(begin, in_flight=2, drain=0.05) as load:
        load.run()
    before = load.measured.to_data()
    kept[0](None)
    assert load.measured.to_data() == before
    assert (load.measured.ok, load.measured.failed) == (99, 1)
    assert load.measured.dropped == 0


def test_what_cannot_begin_has_failed() -> None:
    def begin(*_: Any) -> None:
        raise StepFailedError("publish", UnavailableError("away"))

    with window(begin) as load:
        load.run()
    assert load.measured.errors == {"publish: UnavailableError": 100}


def test_a_window_that_is_closed_early_is_whole() -> None:
    with window(lambda _item, _took, ended: ended(None), duration=30.0) as load:
        thread = threading.Thread(target=load.run)
        thread.start()
        until = time.monotonic() + 10.0
        while load.measured.offered < 20 and time.monotonic() < until:
            time.sleep(0.01)
        load.close(1.0)
        thread.join(10.0)
    assert not thread.is_alive()
    assert load.measured.adds_up
    assert 20 <= load.measured.offered < 5_000


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


def step_of(name: str, log: list[str], error: Exception | None = None, raises: Exception | None = None) -> DeferredStep:
    def begin(item: Any, done: Done) -> None:
        log.append(f"{name} {item}")
        if raises is not None:
            raise raises
        threading.Thread(target=done, args=[error]).start()

    return DeferredStep(name, begin)


def ends_of(chain: Chain) -> tuple[list[str], list[Any]]:
    took: list[str] = []
    ends: list[Any] = []
    over = threading.Event()

    def ended(error: Any) -> None:
        ends.append(error)
        over.set()

    chain.begin("item", lambda step, _: took.append(step), ended)
    assert over.wait(10.0)
    return took, ends


def test_deferred_steps_begin_one_after_the_other() -> None:
    log: list[str] = []
    took, ends = ends_of(Chain([step_of("a", log), step_of("b", log), step_of("a", log)]))
    assert (took, ends, log) == (["a", "b", "a"], [None], ["a item", "b item", "a item"])


@pytest.mark.parametrize("way", ["error", "raises"])
def test_the_first_deferred_step_that_fails_ends_the_item(way: str) -> None:
    log: list[str] = []
    bad = step_of("b", log, **{way: UnavailableError("away")})
    for steps in ([step_of("a", log), bad, step_of("c", log)], [bad]):
        _, (error,) = ends_of(Chain(steps))
        assert isinstance(error, StepFailedError)
        assert error.kind == "b: UnavailableError"
    assert "c item" not in log


class Bus(DeferredPublisher):
    """An event bus whose ends come from a thread."""

    capabilities = EventCapabilities()
    published: list[Event] = []  # noqa: RUF012 - one test

    def publish_deferred(self, topic: str, event: Event, done: Done) -> None:
        self.published.append(event)
        threading.Thread(target=done, args=[None]).start()

    def disconnect(self) -> None: ...


def make_bus(_namespace: str) -> Bus:
    return Bus()


def test_a_scenario_whose_steps_have_deferred_forms_needs_no_threads() -> None:
    publish = Scenario("p", steps=[Publish()], customers=Zipf(10), payload=Sizes.p50_p99(10, 20), seed=1)
    work = Work(publish, {"events": f"{__name__}:make_bus"}, Settings({}), "n")
    begin = beginner(work, 8)
    assert isinstance(begin, Chain)
    assert begin.only_step == "publish"
    load = NativeWindow(PLAN, publish.decision, begin.begin, seconds=0.2, warmup=0.0, only_step=begin.only_step)
    load.run()
    assert load.measured.ok == 40
    assert load.measured.steps["publish"].count == 40
    assert len({event.event_id for event in Bus.published}) == 40
    blocking = Work(publish, {"events": "memory"}, Settings({}), "n")
    threads = beginner(blocking, 8)
    assert isinstance(threads, Threads)
    load = NativeWindow(PLAN, publish.decision, threads.begin, seconds=0.2, warmup=0.0)
    load.run()
    threads.close()
    blocking.close()
    assert load.measured.ok == 40
    assert load.measured.steps["publish"].count == 40


def test_the_engine_is_chosen_by_the_drivers() -> None:
    backends = {"events": "redpanda", "interactions": "postgres", "cache": "redis"}
    assert needs_native_threads(backends) == ("events=redpanda",)
    assert needs_native_threads({"events": "memory", "interactions": "my.module:make"}) == ()


# The watch


def test_a_thread_that_holds_the_interpreter_is_named() -> None:
    import sys

    watch = StarvationWatch(SimpleNamespace(offset=1.0))
    watch.start()
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
