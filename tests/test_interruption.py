"""Ctrl-C and SIGTERM while something must not be torn: where they are raised, and that they are never lost."""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from bench_samples import ORDER, offered, recorded, self_check_of

from stackproof.cli import main
from stackproof.commands import bench_load, bench_pair, bench_sweep
from stackproof.commands.bench_load import Load, windows
from stackproof.commands.bench_pair import interleaved
from stackproof.commands.bench_sweep import offered as offered_levels
from stackproof.exits import Exit
from stackproof.interruption import held_interruptions, interruptible, noted_signals, raise_interruption
from stackproof.measurement import window_log
from stackproof.measurement.record import WindowRecord
from stackproof.measurement.window_log import WindowLog, kept_windows
from stackproof.scenarios.orders import Offered, Order, Setup
from stackproof.scenarios.session import Session


@contextmanager
def raised() -> Iterator[None]:
    """That the interruption is raised in here, and not at the end of it."""
    try:
        yield
    except KeyboardInterrupt:
        return
    pytest.fail("it was not raised")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
class TestHeld:
    def test_it_is_raised_at_the_next_place_where_one_may_be(self, number: signal.Signals) -> None:
        done: list[str] = []
        with held_interruptions():
            os.kill(os.getpid(), number)
            done.append("not torn")
            with raised(), interruptible():
                done.append("torn")
            raise_interruption()  # it is raised once
        assert done == ["not torn"]

    def test_it_is_raised_at_once_where_one_may_wait_for_long(self, number: signal.Signals) -> None:
        with held_interruptions(), raised(), interruptible():
            signal.raise_signal(number)
            pytest.fail("went on")

    def test_where_nothing_waits_it_is_raised_at_the_end(self, number: signal.Signals) -> None:
        done: list[str] = []
        with raised(), held_interruptions():
            signal.raise_signal(number)
            done.append("not torn")
        assert done == ["not torn"]

    def test_a_second_one_is_raised_at_once(self, number: signal.Signals) -> None:
        done: list[str] = []
        with raised(), held_interruptions():
            signal.raise_signal(number)
            done.append("not torn")
            signal.raise_signal(number)
            done.append("went on")
        assert done == ["not torn"]

    def test_after_one_was_raised_the_next_is_raised_at_once(self, number: signal.Signals) -> None:
        with held_interruptions():
            with raised(), interruptible():
                signal.raise_signal(number)
            with raised():
                signal.raise_signal(number)

    def test_an_error_on_its_way_is_not_replaced_by_it(self, number: signal.Signals) -> None:
        def fail() -> None:
            with held_interruptions():
                signal.raise_signal(number)
                raise OSError("full")

        with pytest.raises(OSError, match="full"):
            fail()

    def test_one_within_another_leaves_it_to_the_outer_one(self, number: signal.Signals) -> None:
        done: list[str] = []
        with raised(), held_interruptions():
            with held_interruptions():
                signal.raise_signal(number)
            done.append("after the inner one")
        assert done == ["after the inner one"]

    def test_handlers_are_as_before_afterwards(self, number: signal.Signals) -> None:
        before = signal.getsignal(number)
        with held_interruptions():
            assert signal.getsignal(number) is not before
        assert signal.getsignal(number) is before

    def test_what_is_ignored_stays_ignored(self, number: signal.Signals) -> None:
        before = signal.signal(number, signal.SIG_IGN)
        try:
            with held_interruptions(), interruptible():
                signal.raise_signal(number)
        finally:
            signal.signal(number, before)

    def test_outside_the_main_thread_it_changes_nothing(self, number: signal.Signals) -> None:
        before, seen = signal.getsignal(number), []

        def hold() -> None:
            with held_interruptions():
                seen.append(signal.getsignal(number))

        thread = threading.Thread(target=hold)
        thread.start()
        thread.join()
        assert seen == [before]

    def test_one_that_came_before_the_noting_began_is_noted(self, number: signal.Signals) -> None:
        with held_interruptions():
            signal.raise_signal(number)
            with noted_signals() as came:
                assert len(came) == 1
            raise_interruption()  # it was told once

    def test_noted_ones_are_not_raised(self, number: signal.Signals) -> None:
        with noted_signals() as came:
            signal.raise_signal(number)
            signal.raise_signal(number)
        assert came == [number, number]


SETUP = Setup("cache-hot", {"cache": "stackproof.adapters.cache.memory:MemoryCache"}, "bench-test", seed=1)
LOAD = Load("memory", (), "decision", {}, ORDER, 2, 1, (), "embedded")


def offer(order: Order) -> Offered:
    """As a session does: what came before is raised before anything begins."""
    raise_interruption()
    return offered(recorded(5), order=order)


def begun(directory: Path) -> WindowLog:
    directory.mkdir(parents=True)
    log = WindowLog(directory, LOAD.identity())
    log.begin()
    return log


def fixed_rate(directory: Path) -> Sequence[WindowRecord]:
    log = begun(directory)
    return windows(lambda: None, offer, log, LOAD).windows


def sweep(directory: Path) -> Sequence[WindowRecord]:
    log = begun(directory)
    return offered_levels(
        offer, replace(LOAD, repeat=1), (1, 2), keep=lambda one: log.keep(one, self_check_of())
    ).windows


def pairs(directory: Path) -> Sequence[WindowRecord]:
    logs = [begun(directory / side) for side in ("one", "other")]
    one, other = interleaved([offer, offer], logs, LOAD, [self_check_of()] * 2).windows
    assert [window.pair for window in one] == [window.pair for window in other]
    return one


@contextmanager
def interrupted_at(line: int, modules: Sequence[Any]) -> Iterator[list[int]]:
    """Ctrl-C at this line, counted from 0, of those that are executed in these modules."""
    files = {module.__file__ for module in modules}
    seen: list[int] = []

    def trace(frame: FrameType, what: str, _value: Any) -> Any:
        if frame.f_code.co_filename not in files:
            return None
        if what == "line":
            seen.append(frame.f_lineno)
            if len(seen) == line + 1:
                signal.raise_signal(signal.SIGINT)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield seen
    finally:
        sys.settrace(before)


@pytest.mark.parametrize(("measure", "module"), [(fixed_rate, bench_load), (sweep, bench_sweep), (pairs, bench_pair)])
def test_whichever_line_it_meets_what_was_measured_comes_back_and_is_on_disk(
    tmp_path: Path, measure: Callable[[Path], Sequence[WindowRecord]], module: Any
) -> None:
    modules = (module, window_log)
    with interrupted_at(-1, modules) as lines:
        assert len(measure(tmp_path / "whole")) == 2
    assert len(lines) > 30
    numbers = set[int]()
    for line in range(len(lines)):
        directory = tmp_path / str(line)
        done: Sequence[WindowRecord] = ()
        # It is raised at the end, or by what measures, where nothing was measured.
        with suppress(KeyboardInterrupt), held_interruptions(), interrupted_at(line, modules):
            done = measure(directory)
        kept = kept_windows(directory / "one" if measure is pairs else directory)
        assert list(done) == list(kept.windows if kept is not None else ())
        numbers.add(len(done))
    assert numbers == {0, 1, 2}


def test_a_session_removes_what_it_stored_before_an_interruption_is_raised(tmp_path: Path) -> None:
    ended: list[Session] = []
    with raised(), held_interruptions():
        with Session(SETUP, {}, tmp_path, lambda _state: None) as session:
            session.connect()
            window = session.offer(replace(ORDER, rate=50.0, seconds=0.2, warmup=0.0))
            signal.raise_signal(signal.SIGINT)
        ended.append(session)
    assert window.complete
    assert [session.left_behind for session in ended] == [()]
    assert not ended[0].running


def test_no_window_begins_after_an_interruption(tmp_path: Path) -> None:
    phases: list[str] = []
    with held_interruptions(), Session(SETUP, {}, tmp_path, lambda state: phases.append(str(state))) as session:
        session.connect()
        told = len(phases)
        signal.raise_signal(signal.SIGINT)
        with raised():
            session.offer(replace(ORDER, rate=50.0, seconds=60.0))
        assert phases[told:] == []
        assert session.offer(replace(ORDER, rate=50.0, seconds=0.2, warmup=0.0)).complete, "it is as it was"


@pytest.mark.parametrize("place", ["replay.with_scripts", "certificate.to_json", "run.describe_server"])
def test_a_verification_that_was_done_is_written_whichever_step_the_interruption_meets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    module = importlib.import_module(f"stackproof.verification.{place.partition('.')[0]}")
    name = place.partition(".")[2]
    does, met = getattr(module, name), list[bool]()

    def interrupted(*given: Any, **named: Any) -> Any:
        if not met:
            signal.raise_signal(signal.SIGINT)
        met.append(True)
        return does(*given, **named)

    monkeypatch.setattr(module, name, interrupted)
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as ended:
            main(["verify", "--backend", "cache=redis", "--clause", "CACHE-01", "--out", "run", "--junit", "junit.xml"])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert met
    assert ended.value.code == Exit.INTERRUPTED
    certificate = json.loads((tmp_path / "run/certificate.json").read_text(encoding="utf-8"))
    assert [row["verdict"] for row in certificate["clauses"]] == ["PASS"]
    assert not certificate["interrupted"]
    assert (tmp_path / "run/certificate.html").exists()
    assert "CACHE-01" in (tmp_path / "junit.xml").read_text(encoding="utf-8")
