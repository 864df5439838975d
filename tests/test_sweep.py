"""A closed-loop sweep: what is offered, what it says, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from bench_samples import CHECKS, FACTS, LOAD, ORDER, judged, offered, recorded, self_check_of
from command_line import stackproof

from stackproof.commands.bench_load import Load
from stackproof.commands.bench_run import _exit_code
from stackproof.commands.bench_sweep import Swept, check_waiting, levels_of, measured, plan, shown_of
from stackproof.commands.bench_sweep import offered as offered_levels
from stackproof.exits import Exit
from stackproof.interfaces import ConfigurationError
from stackproof.measurement import sweep as sweep_module
from stackproof.measurement.record import Measurement, WindowRecord, from_json, to_json
from stackproof.measurement.record_names import SWEEP
from stackproof.measurement.sweep import sweep_of
from stackproof.measurement.window_log import WindowLog
from stackproof.reports.measurement import render
from stackproof.scenarios.orders import CLOSED, Offered, Order
from stackproof.targets import parse_target

SCHEMA = json.loads(
    (Path(__file__).parent.parent / "stackproof/measurement/measurement.schema.json").read_text(encoding="utf-8")
)


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
    swept = offered_levels(offer, load, (1, 2, 4, 8))
    assert not swept.interrupted
    assert sorted(order.in_flight for order in seen) == sorted([1, 2, 4, 8] * 3)
    assert [order.in_flight for order in seen] != sorted(order.in_flight for order in seen)
    assert len({order.seed for order in seen}) == 12, "no two windows repeat each other"
    assert {order.arrivals for order in seen} == {CLOSED}
    assert len({order.number for order in seen}) == 12
    assert {one.role for one in swept.windows} == {SWEEP}


def test_an_interruption_keeps_what_was_offered_before() -> None:
    answers = iter([offered(recorded(100)), offered(recorded(10), interrupted=True, complete=False)])
    load = Load("memory", (), "decision", {}, ORDER, 3, 1, (), "embedded")
    swept = offered_levels(lambda _order: next(answers), load, (1, 2))
    assert (len(swept.windows), swept.interrupted, swept.trouble) == (1, True, "")


def test_each_window_is_kept_before_the_next_one_and_only_missing_ones_are_offered_again(tmp_path: Path) -> None:
    load, levels = Load("memory", (), "decision", {}, ORDER, 2, 1, (), "embedded"), (1, 2, 4)
    seen: list[Order] = []
    check = self_check_of()
    log = WindowLog(tmp_path, load.identity())
    assert log.begin() == ()

    def offer(order: Order) -> Offered:
        assert len(WindowLog(tmp_path, load.identity()).begin()) == len(seen), "the last one is not on disk yet"
        seen.append(order)
        return offered(recorded(100), order=order, interrupted=len(seen) == 3, complete=len(seen) != 3)

    def keep(one: WindowRecord) -> None:
        log.keep(one, check)

    before = offered_levels(offer, load, levels, (), keep)
    assert (len(before.windows), before.interrupted) == (2, True)
    kept = WindowLog(tmp_path, load.identity()).begin()
    assert kept == tuple(before.windows)
    again: list[Order] = []

    def go_on(order: Order) -> Offered:
        again.append(order)
        return offered(recorded(100), order=order)

    swept = offered_levels(go_on, load, levels, kept, keep)
    windows = swept.windows
    assert (len(windows), swept.interrupted) == (6, False)
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


@pytest.mark.parametrize(
    "options",
    [
        ["--scenario", "cache-hot", "--backend", "cache=local"],
        ["--scenario", "cache-hot", "--backend", "cache=stackproof.adapters.cache.memory:MemoryCache"],
        ["--stack", "memory"],
    ],
)
def test_what_never_waits_is_not_swept(options: list[str], tmp_path: Path) -> None:
    done = stackproof("bench", *options, "--sweep", "1,2,4", cwd=tmp_path)
    assert done.returncode == Exit.USAGE
    assert len(done.stderr.splitlines()) == 1
    assert "never waits, so more callers change nothing" in done.stderr
    assert not list(tmp_path.iterdir())


def test_what_waits_for_a_server_is_swept_also_beside_what_does_not() -> None:
    check_waiting([parse_target("cache=redis")])
    check_waiting([parse_target("cache=local"), parse_target("interactions=postgres")])
    check_waiting([parse_target("logs=console")])


def test_a_record_with_a_sweep_can_be_read_again_and_its_page_shows_it() -> None:
    found = sweep_of([window(n, law(n)) for n in LEVELS])
    result = replace(judged(recorded(1_000)), sweep=found)
    assert from_json(to_json(result)) == result
    page = render(result)
    assert "Over concurrencies" in page
    assert found is not None
    assert found.sentence in page


# -- what must not be used ------------------------------------------------------------------------------------------

SWEPT = Load("memory", (), "decision", {}, ORDER, 2, 1, (), "embedded")
WRONG = {**CHECKS, "wrong": 3, "examples": ["cache read: another one's"]}


def swept_by(*levels: int, lost: int = 99, **wrong: Any) -> tuple[Measurement, Swept]:
    """The record of a sweep over these levels: the more callers, the more throughput. A worker is lost in window ``lost``;
    ``wrong`` is what the windows of the fewest callers show instead."""
    seen: list[Order] = []

    def offer(order: Order) -> Offered:
        seen.append(order)
        changes = wrong if order.in_flight == min(levels) else {}
        if len(seen) > lost:
            changes = {"complete": False, "trouble": "1 of 2 workers were lost"}
        return offered(recorded(100 * order.in_flight), order=order, **changes)

    swept = offered_levels(offer, SWEPT, levels)
    best = shown_of(swept.windows, 7)
    facts = replace(FACTS, load={**LOAD, "in_flight": best, "repeat": 2})
    return measured(swept, SWEPT, len(levels), self_check_of(), facts), swept


def test_a_sweep_in_which_nothing_was_wrong_holds() -> None:
    result, swept = swept_by(1, 2, 4)
    assert (result.level, result.invalid, _exit_code(result)) == ("VALID", (), Exit.HOLDS)
    assert [one.order["in_flight"] for one in result.measured] == [4, 4]
    assert len(swept.windows) == 6


def test_what_is_not_complete_is_no_success_whatever_else_is_known_of_it() -> None:
    partial = replace(judged(recorded(1_000)), complete=False)
    assert (partial.level, partial.invalid) == ("PARTIAL", ())
    assert _exit_code(partial) == Exit.INCONCLUSIVE
    assert _exit_code(replace(partial, interrupted=True)) == Exit.INTERRUPTED


def test_wrong_answers_at_any_concurrency_make_the_sweep_invalid() -> None:
    result, _ = swept_by(1, 2, 4, checks=WRONG)
    assert (result.level, _exit_code(result)) == ("INVALID", Exit.INCONCLUSIVE)
    assert result.invalid == (
        "With 1 in flight: 3 answers of backends were wrong; for example: cache read: another one's.",
    )
    assert result.checks["wrong"] == 6, "what was checked in all windows"
    assert result.sweep is not None
    assert [level.in_flight for level in result.sweep.levels] == [2, 4]
    assert "With 1 in flight: 3 answers" in render(result)


def test_a_sweep_without_a_window_that_may_be_used_is_invalid_and_has_nothing_to_go_on_with() -> None:
    def offer(order: Order) -> Offered:
        return offered(recorded(100 * order.in_flight), order=order, checks=WRONG)

    swept = offered_levels(offer, SWEPT, (1, 2))
    best = shown_of(swept.windows, 7)
    assert best == 2
    facts = replace(FACTS, load={**LOAD, "in_flight": best, "repeat": 2})
    result = measured(swept, SWEPT, 2, self_check_of(), facts)
    assert (result.sweep, result.complete, result.level) == (None, True, "INVALID")
    assert _exit_code(result) == Exit.INCONCLUSIVE
    assert len(result.invalid) == 2, "of both concurrencies"


@pytest.mark.parametrize("lost", [0, 3])
def test_a_sweep_that_a_lost_worker_cut_short_is_partial_and_says_why(lost: int) -> None:
    result, swept = swept_by(1, 2, 4, lost=lost)
    assert (len(swept.windows), swept.interrupted) == (lost, False)
    assert (result.level, result.interrupted, _exit_code(result)) == ("PARTIAL", False, Exit.INCONCLUSIVE)
    assert result.invalid[0].startswith("The run was cut short (1 of 2 workers were lost)")


def test_windows_that_the_client_limited_are_shown_and_in_no_law() -> None:
    ours = [window(n, 4_000.0, limiter="client") for n in (128, 256)]
    theirs = [window(n, law(n) * factor) for n in LEVELS for factor in (0.99, 1.01)]
    found, without = sweep_of([*theirs, *ours]), sweep_of(theirs)
    assert found is not None
    assert without is not None
    assert (found.contention, found.coherency, found.peak) == (without.contention, without.coherency, without.peak)
    assert {level.in_flight: level.limiter for level in found.levels} == {
        **dict.fromkeys(LEVELS, "none"),
        128: "client",
        256: "client",
    }
    assert found.sentence == without.sentence + (
        " Left out: 2 windows with 128, 256 in flight, whose limiter was the client (the generator, not the backend)."
    )
    result = replace(judged(recorded(1_000)), sweep=found)
    page = render(result)
    assert "128, 256 in flight, whose limiter was the client" in page
    assert "limited by the client" in page
    assert from_json(to_json(result)) == result


def test_too_few_levels_are_left_for_a_law_where_the_client_limited_the_others() -> None:
    found = sweep_of([window(n, law(n), limiter="client" if n > 8 else "none") for n in LEVELS])
    assert found is not None
    assert found.contention is None
    assert "4 different concurrencies are too few" in found.sentence
    assert "Left out: 3 windows with 16, 32, 64 in flight" in found.sentence


def test_one_window_of_a_level_that_the_client_limited_names_it() -> None:
    found = sweep_of([window(1, 1_000.0), window(2, 2_000.0), window(2, 2_100.0, limiter="client")])
    assert found is not None
    assert [level.limiter for level in found.levels] == ["none", "client"]


def test_an_older_record_does_not_say_what_limited_its_levels() -> None:
    result = replace(judged(recorded(1_000)), sweep=sweep_of([window(n, law(n)) for n in LEVELS]))
    data = json.loads(to_json(result))
    for level in data["sweep"]["levels"]:
        del level["limiter"]
    del data["seal"]
    jsonschema.validate(data, SCHEMA)
    older = from_json(json.dumps(data))
    assert older.sweep is not None
    assert {level.limiter for level in older.sweep.levels} == {""}
    assert "not recorded" in render(older)


def test_the_law_is_fitted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The best number of callers is known without it."""
    fitted: list[int] = []
    original = sweep_module.fit
    monkeypatch.setattr(sweep_module, "fit", lambda points: fitted.append(len(points)) or original(points))
    windows = [window(n, law(n)) for n in LEVELS]
    best = shown_of(windows, 7)
    assert fitted == []
    found = sweep_of(windows)
    assert found is not None
    assert (best, fitted) == (found.best, [len(LEVELS)])
