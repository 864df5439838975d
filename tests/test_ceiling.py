"""The search for the ceiling as it runs: windows are judged, the journal is on disk, and an interrupted search goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest
from simulated_load import offered_of, simulated_window

from stackproof.interfaces import ConfigurationError
from stackproof.measurement.ceiling import JOURNAL, find_ceiling, judged_entry, load_journal, order_of
from stackproof.measurement.ceiling_record import row_of
from stackproof.measurement.promises import Promise
from stackproof.measurement.saturation import conclude, next_step
from stackproof.measurement.search_evidence import CONCURRENCY, Evidence
from stackproof.measurement.search_journal import Entry, Limiter, Role, SearchSettings, Seen, Step, Verdict
from stackproof.measurement.search_judgement import Judgement, judge, look
from stackproof.reports.ceiling_terminal import step_line
from stackproof.scenarios.orders import Gap, Offered, Offering, Order
from stackproof.scenarios.recorder import Recorder
from stackproof.scenarios.session import GeneratorError

PROMISE = Promise.parse("p99=20ms")
SETTINGS = SearchSettings(
    promises=(PROMISE,), window=1.5, warmup=0.0, longest=4.0, null_rate=200.0, fastest=4_000.0, null_window=0.5
)
IDENTITY = {"scenario": "cache-hot", "backends": "cache=redis", "build": "a1b2"}
BASE = Seen(800, 800, service_p50_ms=2.0, service_p99_ms=6.0)


def offer(order: Order) -> Offered:
    """Two callers' worth of a server with 2 ms: it saturates at 1,000/s, and p99 20 ms is lost a little before."""
    return simulated_window(order, callers=2, service=0.002)


def verdict(offered: Offered, step: Step | None = None, settings: SearchSettings = SETTINGS) -> Judgement:
    step = step or a_step(offered.order.rate, offered.order.seconds, offered.order.in_flight)
    return judge(step, look(offered, (PROMISE,)), settings, BASE, (PROMISE,))


def a_step(rate: float, seconds: float = 5.0, in_flight: int = 64, role: Role = Role.RAMP) -> Step:
    return Step(1, role, rate, seconds, 0.0, in_flight, "backends", "Because of the test.")


def window(
    rate: float = 200.0,
    seconds: float = 5.0,
    *,
    failed: int = 0,
    dropped: int = 0,
    latency: float = 0.004,
    slow: float = 0.0,
    slow_ms: float = 100.0,
    lag: float = 0.0002,
    growth: float = 0.0,
    error: str = "publish: UnavailableError",
    **changes: object,
) -> Offered:
    """A window of regular arrivals: ``slow`` is the share that takes ``slow_ms``, ``growth`` seconds are added by its end."""
    recorder = Recorder()
    count = round(rate * seconds)
    for number in range(count):
        offset = number / rate
        recorder.offer(offset)
        if number < dropped:
            recorder.drop(offset)
        elif number < dropped + failed:
            recorder.sent(lag)
            recorder.fail(offset, error)
        else:
            took = slow_ms / 1000 if number % 1000 < 1000 * slow else latency + growth * number / count
            recorder.sent(lag)
            recorder.succeed(offset, took + lag, took)
    return offered_of(Order(rate, seconds), recorder, **{"elapsed": seconds, **changes})


# -- windows --------------------------------------------------------------------------------------------------------


def test_a_window_that_keeps_everything_holds_and_says_with_what_numbers() -> None:
    found = verdict(window())
    assert found.verdict is Verdict.HOLDS
    assert found.reasons == ("1,000 of 1,000 ended well (100.0%); p99 4.20 ms, within 20 ms; client at 10% of a core",)


@pytest.mark.parametrize(
    ("offered", "expected", "cause", "said"),
    [
        (window(slow=0.02), Verdict.FAILS, Limiter.SLO, "p99 100 ms, not within 20 ms"),
        (window(dropped=30), Verdict.FAILS, Limiter.SERVER, "970 of 1,000 ended well (97.0%), less than 98%"),
        (window(failed=2), Verdict.FAILS, Limiter.ERROR, "2 of 1,000 operations failed"),
        (window(failed=9, error="record: ThrottlingException"), Verdict.FAILS, Limiter.QUOTA, "ThrottlingException"),
        (window(failed=5, error="unfinished: still running"), Verdict.FAILS, Limiter.SERVER, "did not drain"),
        (window(checks={"wrong": 3}), Verdict.FAILS, Limiter.ERROR, "3 answers were wrong"),
        (window(checks={"duplicated": 2}), Verdict.FAILS, Limiter.ERROR, "2 answers were wrong or came twice"),
        (window(checks={"unhandled": 400}), Verdict.FAILS, Limiter.SERVER, "400 of 1,000 operations were accepted"),
        (window(checks={"lost": 4}), Verdict.FAILS, Limiter.ERROR, "4 things that were acknowledged are gone"),
        (window(busiest=0.9, checks={"lost": 1, "examples": ["c1"]}), Verdict.FAILS, Limiter.ERROR, "for example: c1"),
        (
            window(checks={"unchecked": ["no"]}),
            Verdict.NOT_STEADY,
            Limiter.NOT_CONVERGED,
            "whether anything is lost: no",
        ),
        (window(slow=0.02, checks={"unchecked": ["no"]}), Verdict.FAILS, Limiter.SLO, "p99 100 ms"),
        (window(busiest=0.84), Verdict.CLIENT_LIMITED, Limiter.CLIENT, "84% of a core"),
        (window(lag=0.120), Verdict.CLIENT_LIMITED, Limiter.CLIENT, "sent too late"),
        (window(latency=0.018, lag=0.004), Verdict.CLIENT_LIMITED, Limiter.CLIENT, "own send lag"),
        (window(growth=0.012), Verdict.NOT_STEADY, Limiter.SERVER, "latency rose"),
        (window(rate=50.0), Verdict.NOT_STEADY, Limiter.NOT_CONVERGED, "too few for a p99"),
        (window(complete=False, trouble="generator died"), Verdict.NOT_STEADY, Limiter.NOT_CONVERGED, "generator died"),
        (window(slow=0.02, gaps=(Gap(1.0, 0.3, 0.1, "none"),)), Verdict.NOT_STEADY, Limiter.CLIENT, "0.30 s"),
    ],
)
def test_each_bound_has_its_verdict_its_cause_and_its_numbers(
    offered: Offered, expected: Verdict, cause: Limiter, said: str
) -> None:
    found = verdict(offered)
    assert (found.verdict, found.cause) == (expected, cause), found
    assert any(said in reason for reason in found.reasons), found


def test_the_busiest_worker_decides_whether_the_generator_is_the_limit() -> None:
    assert verdict(window(cpu_seconds=7.0, workers=2, busiest=0.75)).verdict is Verdict.HOLDS
    assert verdict(window(cpu_seconds=5.0, workers=2, busiest=0.90)).verdict is Verdict.CLIENT_LIMITED


def test_what_was_skipped_is_the_fault_of_the_generator() -> None:
    late = window()
    for number in range(50):
        late.recorder.offer(number / 10)
        late.recorder.skip(number / 10)
    found = verdict(late)
    assert (found.verdict, found.cause) == (Verdict.CLIENT_LIMITED, Limiter.CLIENT)
    assert "50 of 1,050 operations to send them at all" in found.reasons[0]


def test_places_in_flight_are_the_limit_only_while_the_server_answers_like_an_idle_one() -> None:
    full = {"dropped": 100, "most_in_flight": 64}
    assert verdict(window(latency=0.003, **full)).cause == CONCURRENCY
    assert verdict(window(latency=0.015, **full)).cause == Limiter.SERVER


def test_a_single_straggler_after_the_end_is_no_backlog() -> None:
    assert verdict(window(elapsed=9.0)).verdict is Verdict.HOLDS
    assert look(window(elapsed=9.0), (PROMISE,)).achieved == 200.0


def test_a_straggler_in_a_window_that_missed_its_promise_does_not_make_the_server_slow() -> None:
    """Two windows that served far less than others held are another speed of the server; a wait at their ends is none."""
    held = [(a_step(200.0), look(window(), (PROMISE,)), True)] * 4
    missed = (a_step(200.0), look(window(slow=0.02, elapsed=7.1), (PROMISE,)), False)
    assert missed[1].achieved == 200.0
    assert _slow([*held, missed, missed]) == 0
    # What really served less did so before the end, too.
    dragged = look(window(slow=0.02, elapsed=7.1, offering=Offering(5.0, 500, 0.5)), (PROMISE,))
    assert dragged.achieved == 1_000 / 7.1
    few = look(window(slow=0.02, dropped=500, offering=Offering(5.0, 500, 0.5)), (PROMISE,))
    assert _slow([*held, (a_step(200.0), few, False)]) == 1


def _slow(windows: list[tuple[Step, Seen, bool]]) -> int:
    entries = [
        (Entry(step, seen, Verdict.HOLDS if held else Verdict.FAILS, "" if held else "slo", (), 5.0), held)
        for step, seen, held in windows
    ]
    return len(Evidence(tuple(entries)).slow)


def test_the_time_to_recover_ends_with_the_last_second_that_broke_the_promise() -> None:
    step = a_step(200.0, role=Role.RECOVERY)
    late = window(growth=0.0)
    for number in range(20):  # the first two seconds are bad
        late.recorder.fail(number / 10, "publish: UnavailableError")
    seen = look(late, (PROMISE,))
    assert seen.recovered == 2.0
    assert judge(step, seen, SETTINGS, BASE, (PROMISE,)).verdict is Verdict.HOLDS
    never = look(window(growth=0.100), (PROMISE,))
    assert never.recovered is None
    assert judge(step, never, SETTINGS, BASE, (PROMISE,)).verdict is Verdict.FAILS


def test_a_stall_in_the_middle_is_seen_as_late_from_the_intended_start() -> None:
    order = Order(200.0, 5.0, in_flight=1000)
    assert verdict(simulated_window(order, callers=4)).verdict is Verdict.HOLDS
    assert verdict(simulated_window(order, callers=4, stall=(2.0, 1.0))).cause == Limiter.SLO


# -- a whole search -------------------------------------------------------------------------------------------------


def test_a_search_over_recorded_windows_finds_the_knee_and_keeps_its_journal(tmp_path: Path) -> None:
    orders: list[Order] = []

    def watched(order: Order) -> Offered:
        orders.append(order)
        return offer(order)

    told: list[tuple[int, Step | None]] = []
    search = find_ceiling(
        watched, SETTINGS, tmp_path / JOURNAL, IDENTITY, lambda journal, step: told.append((len(journal), step))
    )
    ceiling = search.ceiling
    assert 600 <= ceiling.holds < 1_000
    assert ceiling.fails is not None
    assert ceiling.holds < ceiling.fails <= 1_100
    assert ceiling.confirmed
    assert ceiling.limiter in (Limiter.SLO, Limiter.SERVER)
    assert len({order.seed for order in orders}) == len(orders)  # every window has arrivals of its own
    assert [number for number, _ in told] == list(range(len(search.journal) + 1))
    assert told[-1][1] is None
    kept, notes = load_journal(tmp_path / JOURNAL, SETTINGS, IDENTITY)
    assert kept == search.journal
    assert not notes


def test_a_search_that_is_interrupted_goes_on_where_it_was(tmp_path: Path) -> None:
    whole = find_ceiling(offer, SETTINGS, tmp_path / "whole", IDENTITY, clock=lambda: 0.0)
    calls = 0

    def until_ctrl_c(order: Order) -> Offered:
        nonlocal calls
        calls += 1
        if calls == 9:
            raise KeyboardInterrupt
        return offer(order)

    path = tmp_path / JOURNAL
    part = find_ceiling(until_ctrl_c, SETTINGS, path, IDENTITY, clock=lambda: 0.0)
    assert part.interrupted
    assert len(part.journal) == 8
    assert part.ceiling.limiter is Limiter.NOT_CONVERGED
    with path.open("a", encoding="utf-8") as file:
        file.write('{"step": {"number": 9, "ro')  # torn by a power cut
    rest = find_ceiling(offer, SETTINGS, path, IDENTITY, clock=lambda: 0.0)
    assert rest.journal == whole.journal
    assert rest.ceiling == whole.ceiling
    assert rest.notes == (f"the last line of {JOURNAL} was torn and is dropped: its window is offered again",)
    assert load_journal(path, SETTINGS, IDENTITY) == (whole.journal, ())


def test_a_window_that_was_cut_short_by_ctrl_c_is_in_no_journal(tmp_path: Path) -> None:
    def cut(order: Order) -> Offered:
        return replace(offer(order), interrupted=order.rate > 300)

    kept: list[int] = []
    search = find_ceiling(
        cut, SETTINGS, tmp_path / JOURNAL, IDENTITY, keep=lambda step, _offered: kept.append(step.number)
    )
    assert search.interrupted
    assert kept == [entry.step.number for entry in search.journal] != []


def test_a_search_that_has_ended_offers_nothing_when_it_is_resumed(tmp_path: Path) -> None:
    whole = find_ceiling(offer, SETTINGS, tmp_path / JOURNAL, IDENTITY)

    def never(order: Order) -> Offered:
        raise AssertionError(order)

    assert find_ceiling(never, SETTINGS, tmp_path / JOURNAL, IDENTITY).ceiling == whole.ceiling


def test_a_larger_budget_lets_an_ended_search_go_on(tmp_path: Path) -> None:
    short = find_ceiling(offer, replace(SETTINGS, most_steps=6), tmp_path / JOURNAL, IDENTITY)
    assert len(short.journal) == 6
    longer = find_ceiling(offer, replace(SETTINGS, most_steps=8), tmp_path / JOURNAL, IDENTITY)
    assert longer.journal[:6] == short.journal
    assert len(longer.journal) == 8


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"identity": {**IDENTITY, "build": "ffff"}}, "it differs in build"),
        ({"identity": {**IDENTITY, "backends": "cache=memory"}}, "it differs in backends"),
        ({"settings": replace(SETTINGS, promises=(Promise(99.0, 10.0),))}, "it differs in promises"),
        ({"settings": replace(SETTINGS, seed=8)}, "it differs in seed"),
    ],
)
def test_the_journal_of_another_search_is_refused(tmp_path: Path, change: dict[str, object], said: str) -> None:
    path = tmp_path / JOURNAL
    find_ceiling(offer, replace(SETTINGS, most_steps=3), path, IDENTITY)
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match=said):
        find_ceiling(offer, **{"settings": SETTINGS, "path": path, "identity": IDENTITY, **change})
    assert path.read_bytes() == before


def test_a_journal_that_is_damaged_or_was_edited_is_refused(tmp_path: Path) -> None:
    path = tmp_path / JOURNAL
    find_ceiling(offer, replace(SETTINGS, most_steps=5), path, IDENTITY)
    head, *lines = path.read_text().splitlines()
    for damaged, said in (
        ([head, lines[0], lines[1][:40], *lines[2:]], "damaged in line 3"),
        ([head, lines[0], *lines[2:]], "does not go on from line 2"),
        (["{}", *lines], "no journal of a search"),
        (["no json", *lines], "no journal of a search"),
        ([head, json.dumps({"step": 1})], "damaged in line 2"),
    ):
        path.write_text("".join(f"{line}\n" for line in damaged))
        with pytest.raises(ConfigurationError, match=said):
            load_journal(path, SETTINGS, IDENTITY)


def test_a_torn_head_begins_a_new_search(tmp_path: Path) -> None:
    path = tmp_path / JOURNAL
    path.write_text('{"schema": "stackpr')
    search = find_ceiling(offer, replace(SETTINGS, most_steps=2), path, IDENTITY)
    assert len(search.journal) == 2
    assert len(search.notes) == 1
    assert load_journal(path, replace(SETTINGS, most_steps=2), IDENTITY)[0] == search.journal


def test_kill_9_loses_nothing_that_was_measured(tmp_path: Path) -> None:
    path = tmp_path / JOURNAL
    script = tmp_path / "search.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import sys, time
            sys.path.insert(0, {str(Path(__file__).parent)!r})
            import test_ceiling as t
            def offer(order):
                if order.rate > 300:
                    print("there", flush=True)
                    time.sleep(600)
                return t.offer(order)
            t.find_ceiling(offer, t.SETTINGS, t.Path({str(path)!r}), t.IDENTITY)
            """
        )
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n"
        os.kill(process.pid, signal.SIGKILL)
    kept, notes = load_journal(path, SETTINGS, IDENTITY)
    assert len(kept) >= 1
    assert not notes
    step = next_step(kept, SETTINGS)
    assert step is not None
    assert step.rate > 300
    began = time.monotonic()
    assert (
        len(find_ceiling(offer, replace(SETTINGS, most_steps=len(kept) + 1), path, IDENTITY).journal) == len(kept) + 1
    )
    assert time.monotonic() - began < 60


def test_two_searches_do_not_write_one_journal(tmp_path: Path) -> None:
    path = tmp_path / JOURNAL

    def second(order: Order) -> Offered:
        with pytest.raises(ConfigurationError, match="another search is writing"):
            find_ceiling(offer, SETTINGS, path, IDENTITY)
        return offer(order)

    assert len(find_ceiling(second, replace(SETTINGS, most_steps=1), path, IDENTITY).journal) == 1


@pytest.mark.parametrize("how", ["gone", "without a worker"])
def test_a_generator_that_is_gone_ends_the_search_which_can_be_resumed(tmp_path: Path, how: str) -> None:
    def broken(order: Order) -> Offered:
        if order.rate > 300 and order.target == "backends":
            if how == "gone":
                raise GeneratorError("the load generator was killed")
            return replace(offer(order), complete=False, trouble="1 of 2 workers were lost")
        return offer(order)

    search = find_ceiling(broken, SETTINGS, tmp_path / JOURNAL, IDENTITY)
    assert ("killed" if how == "gone" else "workers were lost") in search.trouble
    assert not search.interrupted
    assert search.ceiling.limiter is Limiter.NOT_CONVERGED
    assert find_ceiling(offer, SETTINGS, tmp_path / JOURNAL, IDENTITY).ceiling.confirmed


def test_backends_that_cannot_be_used_at_all_are_no_search(tmp_path: Path) -> None:
    def unusable(order: Order) -> Offered:
        if order.target == "backends":
            raise GeneratorError("the load cannot be offered: connection refused")
        return offer(order)

    with pytest.raises(GeneratorError, match="connection refused"):
        find_ceiling(unusable, SETTINGS, tmp_path / JOURNAL, IDENTITY)


def test_an_order_asks_for_what_the_step_says() -> None:
    step = a_step(123.0, 4.5, 7)
    order = order_of(step, replace(SETTINGS, arrivals="poisson", drain=3.0))
    assert (order.rate, order.seconds, order.in_flight, order.arrivals, order.drain) == (123.0, 4.5, 7, "poisson", 3.0)


def test_an_entry_is_the_same_after_it_was_kept() -> None:
    seen = look(window(failed=3), (PROMISE,))
    entry = Entry(a_step(200.0), seen, Verdict.FAILS, "error", ("because of the test",), 5.25)
    assert Entry.from_data(json.loads(entry.to_json())) == entry


def confirmed_by(offered: Offered) -> Entry:
    return judged_entry(a_step(200.0, 50.0, role=Role.CONFIRM), offered, (), SETTINGS, 1.0)


def test_the_p99_that_is_shown_is_the_one_that_decides() -> None:
    """Of the answered operations the p99 was 4 ms, under a promise that the window missed with those that were dropped."""
    entry = confirmed_by(window(seconds=50.0, dropped=90, slow=0.005, slow_ms=65.0))
    row = row_of(entry)
    assert entry.verdict is Verdict.FAILS
    assert entry.seen.promised[0].seen_ms == row.p99_ms == pytest.approx(65.2, rel=0.01)
    assert row.answered_p99_ms == pytest.approx(4.2, rel=0.01)
    assert step_line(row).plain.endswith("p99    65 ms  fails")
    never = row_of(confirmed_by(window(seconds=50.0, dropped=150)))
    assert never.p99_ms is None
    assert step_line(never).plain.endswith("p99    never  fails")
    few = row_of(confirmed_by(window(seconds=2.0)))
    assert step_line(few).plain.endswith("p99        –  not-steady")


def test_the_p99_of_the_windows_that_held_counts_what_was_dropped_too() -> None:
    good = confirmed_by(window(seconds=50.0, dropped=90, slow=0.005, slow_ms=12.0))
    assert good.verdict is Verdict.HOLDS
    interval = conclude((good,), SETTINGS).interval
    assert interval is not None
    assert interval.p99_ms == pytest.approx((12.2, 12.2), rel=0.01)
    never = replace(good, seen=replace(good.seen, p99_ms=None))
    interval = conclude((good, never), SETTINGS).interval
    assert interval is not None
    assert interval.p99_ms is None, "one window never reached it: the other alone says nothing of where it lies"
