"""A closed-loop sweep: what is offered, what it says, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench_samples import ORDER, judged, offered, recorded

from stackproof.commands.bench_load import Load
from stackproof.commands.bench_sweep import levels_of, plan
from stackproof.commands.bench_sweep import offered as offered_levels
from stackproof.interfaces import ConfigurationError
from stackproof.measurement.record import WindowRecord, from_json, to_json
from stackproof.measurement.record_names import SWEEP
from stackproof.measurement.sweep import sweep_of
from stackproof.measurement.window_log import WindowLog
from stackproof.reports.measurement import render
from stackproof.scenarios.orders import CLOSED, Offered, Order


def window(in_flight: int, throughput: float, **changes: Any) -> WindowRecord:
    [one] = judged(recorded(1_000)).measured
    order = {**one.order, "in_flight": in_flight, "arrivals": CLOSED}
    return replace(one, role=SWEEP, order=order, rates={"offered": throughput, "achieved": throughput}, **changes)


def law(callers: int) -> float:
    """1,000/s for one caller, contention of 5 % and coherency of 0.1 %: a peak at 31."""
    return 1_000 * callers / (1 + 0.05 * (callers - 1) + 0.001 * callers * (callers - 1))


LEVELS = (1, 2, 4, 8, 16, 32, 64)


def test_the_law_behind_a_sweep_is_found() -> None:
    found = sweep_of([window(n, law(n) * factor) for n in LEVELS for factor in (0.98, 1.0, 1.02)])
    assert found is not None
    assert found.contention == pytest.approx(0.05, rel=0.1)
    assert found.coherency == pytest.approx(0.001, rel=0.1)
    assert found.peak == pytest.approx(30.8, rel=0.05)
    assert [level.in_flight for level in found.levels] == list(LEVELS)
    assert found.levels[2].throughput == pytest.approx(law(4))
    assert found.best == 32


def test_what_follows_no_law_is_shown_and_not_fitted() -> None:
    found = sweep_of([window(n, 5_000.0 if n % 3 else 100.0) for n in (*LEVELS, 3, 9)])
    assert found is not None
    assert found.contention is None
    assert found.sentence.startswith("No law was fitted")
    assert len(found.levels) == 9


def test_windows_that_must_not_be_used_are_left_out() -> None:
    windows = [window(n, law(n)) for n in LEVELS] + [window(128, 1e9, invalid=("answers were wrong",))]
    found = sweep_of(windows)
    assert found is not None
    assert found.best == 32
    assert sweep_of([replace(windows[0], role="measured")]) is None


def test_concurrencies_are_offered_in_a_drawn_order_each_as_often_as_asked() -> None:
    seen: list[Order] = []

    def offer(order: Order) -> Offered:
        seen.append(order)
        return offered(recorded(100), order=order)

    load = Load("memory", (), "decision", {}, ORDER, 3, 1, (), "embedded")
    windows, interrupted = offered_levels(offer, load, (1, 2, 4, 8))
    assert not interrupted
    assert sorted(order.in_flight for order in seen) == sorted([1, 2, 4, 8] * 3)
    assert [order.in_flight for order in seen] != sorted(order.in_flight for order in seen)
    assert len({order.seed for order in seen}) == 12, "no two windows repeat each other"
    assert {order.arrivals for order in seen} == {CLOSED}
    assert {one.role for one in windows} == {SWEEP}


def test_an_interruption_keeps_what_was_offered_before() -> None:
    answers = iter([offered(recorded(100)), offered(recorded(10), interrupted=True, complete=False)])
    load = Load("memory", (), "decision", {}, ORDER, 3, 1, (), "embedded")
    windows, interrupted = offered_levels(lambda _order: next(answers), load, (1, 2))
    assert (len(windows), interrupted) == (1, True)


def test_each_window_is_kept_before_the_next_one_and_only_missing_ones_are_offered_again(tmp_path: Path) -> None:
    load, levels = Load("memory", (), "decision", {}, ORDER, 2, 1, (), "embedded"), (1, 2, 4)
    seen: list[Order] = []
    log = WindowLog(tmp_path, load.identity())
    assert log.begin() == ()

    def offer(order: Order) -> Offered:
        assert len(WindowLog(tmp_path, load.identity()).begin()) == len(seen), "the last one is not on disk yet"
        seen.append(order)
        return offered(recorded(100), order=order, interrupted=len(seen) == 3, complete=len(seen) != 3)

    before, interrupted = offered_levels(offer, load, levels, (), log.keep)
    assert (len(before), interrupted) == (2, True)
    kept = WindowLog(tmp_path, load.identity()).begin()
    assert kept == tuple(before)
    again: list[Order] = []

    def go_on(order: Order) -> Offered:
        again.append(order)
        return offered(recorded(100), order=order)

    windows, interrupted = offered_levels(go_on, load, levels, kept, log.keep)
    assert (len(windows), interrupted) == (6, False)
    assert windows[:2] == list(kept)
    assert [order.seed for order in again] == [seen[2].seed, *range(seen[2].seed + 1, seen[2].seed + 4)]
    assert sorted(one.order["in_flight"] for one in windows) == [1, 1, 2, 2, 4, 4]
    assert len(WindowLog(tmp_path, load.identity()).begin()) == 6


def test_more_rounds_begin_with_the_same_windows() -> None:
    levels = (1, 2, 4, 8)
    few, many = plan(levels, 2, seed=3), plan(levels, 5, seed=3)
    assert many[: len(few)] == few
    assert [sorted(many[at : at + 4]) for at in range(0, 20, 4)] == [list(levels)] * 5
    assert plan(levels, 5, seed=4) != many


def test_a_sweep_is_not_gone_on_with_as_another_one(tmp_path: Path) -> None:
    load = Load("memory", (), "decision", {}, ORDER, 2, 1, (), "embedded")
    WindowLog(tmp_path, load.identity() | {"sweep": [1, 2]}).begin()
    with pytest.raises(ConfigurationError, match="differs in sweep; repeat its command"):
        WindowLog(tmp_path, load.identity() | {"sweep": [1, 4]}).begin()
    with pytest.raises(ConfigurationError, match="differs in sweep"):
        WindowLog(tmp_path, load.identity()).begin()


@pytest.mark.parametrize("text", ["", "1", "1,1", "0,1", "1,x", "1,20000", "1.5,2"])
def test_what_is_no_list_of_callers_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--sweep"):
        levels_of(text)


def test_a_record_with_a_sweep_can_be_read_again_and_its_page_shows_it() -> None:
    found = sweep_of([window(n, law(n)) for n in LEVELS])
    result = replace(judged(recorded(1_000)), sweep=found)
    assert from_json(to_json(result)) == result
    page = render(result)
    assert "Over concurrencies" in page
    assert found is not None
    assert found.sentence in page
