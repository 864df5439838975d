"""`stackproof bench --find-max`: its options, its record, its page, and that a search that was killed goes on."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from bench_samples import FACTS, LOAD, certificate, judged, keep_certificate, recorded, self_check_of
from bench_samples import offered as sample_of
from rich.console import Console
from simulated_load import SimulatedServer, gaussian, searched, simulated_window

from stackproof.commands.bench import bench
from stackproof.commands.bench_load import Load
from stackproof.commands.bench_run import _exit_code
from stackproof.commands.bench_search import as_found, confirming_of, exit_code, measured
from stackproof.commands.search_options import Find, asked_for
from stackproof.exits import Exit
from stackproof.measurement.ceiling import JOURNAL, find_ceiling
from stackproof.measurement.ceiling_record import record_of, row_of
from stackproof.measurement.judgement import measurement_of, window_of
from stackproof.measurement.promises import Promise
from stackproof.measurement.record import Measurement, WindowRecord, from_json, to_json
from stackproof.measurement.saturation import conclude
from stackproof.measurement.search_journal import Entry, Limiter, Role, Search, SearchSettings, Step
from stackproof.measurement.standing import standing_of
from stackproof.measurement.window_log import WINDOWS
from stackproof.reports.ceiling_terminal import SearchView, print_ceiling, print_journal, step_line
from stackproof.reports.ceiling_words import bracket, headline
from stackproof.reports.measurement import render
from stackproof.reports.measurement_terminal import print_measurement
from stackproof.scenarios.catalogue import DECISION
from stackproof.scenarios.orders import CLOSED, Offered, Order
from stackproof.verification.digests import suite_digest

ROOT = Path(__file__).parent.parent
SCHEMA = json.loads((ROOT / "stackproof/measurement/measurement.schema.json").read_text(encoding="utf-8"))
PROMISE = Promise.parse("p99=20ms")
SHORT = SearchSettings(
    promises=(PROMISE,), window=1.5, warmup=0.0, longest=4.0, null_rate=200.0, fastest=4_000.0, null_window=0.5
)
SHORT_UNPROMISED = replace(SHORT, promises=())
ASKED = Load("memory", (), "decision", {}, Order(100.0, 20.0), 1, 1, (PROMISE,), "embedded", search=("--find-max",))
FIND = Find(60, 15.0, None, None, None)


def found_in(directory: Path, settings: SearchSettings = SHORT) -> tuple[Search, Measurement]:
    """A search over a simulated server, and its record."""
    windows: list[WindowRecord] = []
    calibration = self_check_of()

    def keep(step: Step, offered: Offered) -> None:
        windows.append(window_of(str(step.role), offered, calibration))

    def offer(order: Order) -> Offered:
        return simulated_window(order, callers=2, service=0.002)

    search = find_ceiling(offer, settings, directory / JOURNAL, {}, keep=keep)
    facts = replace(FACTS, load={**LOAD, "rate": search.ceiling.holds, "duration": 4.0, "repeat": 3})
    return search, measured(search, settings, ASKED, windows, calibration, facts)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Search, Measurement]:
    return found_in(tmp_path_factory.mktemp("search"))


def shown(result: Measurement, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_measurement(result, console, Path("run"))
    return console.file.getvalue()  # type: ignore[attr-defined]


# -- options --------------------------------------------------------------------------------------------------------


def test_lengths_that_nobody_typed_are_those_of_a_search() -> None:
    order = Order(100.0, 20.0, 3.0, in_flight=64, seed=5)
    usual = FIND.settings(order, (PROMISE,))
    assert (usual.window, usual.warmup, usual.in_flight, usual.most_in_flight) == (5.0, 1.0, 64, 256)
    assert (usual.seed, usual.promises, usual.most_seconds) == (5, (PROMISE,), 900.0)
    typed = Find(10, 2.0, 40.0, 0.5, 8).settings(replace(order, in_flight=8), ())
    assert (typed.window, typed.longest, typed.warmup, typed.in_flight, typed.most_in_flight) == (40.0, 40.0, 0.5, 8, 8)


def test_the_command_that_repeats_a_search_has_what_was_typed_and_no_rate() -> None:
    words = replace(ASKED, search=Find(10, 2.5, 4.0, None, None).words()).command()
    assert "--find-max --max-steps 10 --max-minutes 2.5 --duration 4 " in words
    assert "--rate" not in words
    assert "--repeat" not in words
    assert "--slo p99=20ms" in words


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--max-steps", "5"], "--max-steps is about a search"),
        (["--max-minutes", "5"], "--max-minutes is about a search"),
        (["--find-max", "--rate", "5"], "--rate has no meaning"),
        (["--find-max", "--repeat", "5"], "--repeat has no meaning"),
        (["--find-max", "--arrivals", CLOSED], "in a closed loop"),
        (["--find-max", "--arrivals", "step:10s@1,5s@3"], "--arrivals step:10s@1,5s@3 does not have"),
        (["--find-max", "--max-minutes", "0"], "max-minutes"),
    ],
)
def test_options_that_do_not_go_together_are_one_sentence(
    options: Sequence[str], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from stackproof.cli import main

    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        main(["bench", "--stack", "memory", *options])
    assert ended.value.code == Exit.USAGE
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said


# -- the record -----------------------------------------------------------------------------------------------------


def test_the_figures_of_a_search_are_those_of_the_windows_that_confirmed_it(whole: tuple[Search, Measurement]) -> None:
    search, result = whole
    confirming = confirming_of(search)
    assert len(confirming) >= 3
    assert len(result.measured) == len(confirming)
    assert result.counts["offered"] == sum(entry.seen.offered for entry in confirming)
    assert [window.order["rate"] for window in result.measured] == [search.ceiling.holds] * len(confirming)
    assert len(result.windows) == len(search.journal)
    assert {"calibration", "probe", "ramp", "bisect", "confirm"} <= {window.role for window in result.windows}
    assert result.complete
    assert not result.invalid
    assert result.limiter == search.ceiling.limiter
    assert exit_code(result) is Exit.HOLDS


def test_the_record_keeps_to_its_schema_and_is_read_back(whole: tuple[Search, Measurement]) -> None:
    _, result = whole
    data = json.loads(to_json(result))
    jsonschema.validate(data, SCHEMA)
    assert from_json(to_json(result)).ceiling == result.ceiling
    assert all(row["sentence"].endswith(".") for row in data["ceiling"]["steps"])


def test_a_search_that_was_cut_short_is_partial_and_has_no_answer(tmp_path: Path) -> None:
    search, result = found_in(tmp_path, replace(SHORT, most_steps=7))
    assert exit_code(result) is Exit.INCONCLUSIVE
    assert result.ceiling is not None
    assert result.ceiling.limiter == "not-converged"
    assert "No rate was confirmed" in result.invalid[-1]
    jsonschema.validate(json.loads(to_json(result)), SCHEMA)
    assert "the budget of 7 steps is used up" in shown(result)
    assert "The ceiling" in render(result)
    broken = replace(search, interrupted=True)
    partial = measured(broken, SHORT, ASKED, result.windows, result.calibration, FACTS)
    assert partial.level == "PARTIAL"
    assert exit_code(partial) is Exit.INTERRUPTED


def without_answer(result: Measurement, *, confirmed: bool) -> Measurement:
    """A search whose windows at its ends came out by turns, or were limited by the generator."""
    assert result.ceiling is not None
    row = next(row for row in result.ceiling.steps if row.role == "confirm")
    seen = [(3_820.0, "holds")] * 4 + [(3_820.0, "client-limited")] + [(6_140.0, "client-limited")] * 3
    steps = tuple(replace(row, rate=rate, verdict=verdict) for rate, verdict in (*seen, (6_140.0, "holds")))
    ends = {"holds": 3_820.0, "fails": 6_140.0, "limiter": "not-converged", "reasons": ("the budget is used up",)}
    found = replace(result.ceiling, **ends, confirmed=confirmed, steps=steps)  # type: ignore[arg-type]
    return replace(result, ceiling=found, limiter="not-converged")


@pytest.mark.parametrize("confirmed", [True, False])
def test_a_search_without_an_answer_says_so_with_one_word_and_of_its_ends_only_what_was_seen(
    whole: tuple[Search, Measurement], confirmed: bool
) -> None:
    result = without_answer(whole[1], confirmed=confirmed)
    assert result.level == "VALID"
    text, page = shown(result, 200), render(result)
    assert text.startswith("NO ANSWER  ")
    assert "VALID" not in text
    assert ">NO ANSWER</span>" in page
    seen = "5 windows at 3,820/s (4 held, 1 limited by the generator), 4 windows at 6,140/s (1 held, 3 limited by the generator)"
    for told in (text, page):
        assert seen in told
        assert "no answer between 3,820/s and 6,140/s" in told
        for claim in (
            "3,820/s holds",
            "6,140/s does not",
            "6,140/s fails",
            "which fails",
            "onfirmed in fresh",
            "onfirming",
        ):
            assert claim not in told, claim
        assert "below it the load holds" not in told
        assert "bracket of the ceiling" not in told


@pytest.mark.parametrize(
    ("promise", "word"), [("p99=20ms", "VALID"), ("p99=1ms", "MISSED"), ("p99.99=20ms", "NOT KNOWN")]
)
def test_terminal_and_page_are_headed_by_one_word(promise: str, word: str) -> None:
    result = judged(recorded(2000), promise=promise)
    assert shown(result).startswith(f"{word}  ")
    assert f">{word}</span>" in render(result)


def test_a_fixed_rate_is_no_success_where_operations_failed_or_the_client_was_the_limit() -> None:
    held = replace(judged(recorded(2000)), slo=())
    failing = replace(judged(recorded(1990, failed=10)), slo=())
    few = replace(judged(recorded(1999, failed=1)), slo=())
    for result, word, code in (
        (held, "VALID", Exit.HOLDS),
        (few, "VALID", Exit.HOLDS),
        (failing, "FAILURES", Exit.BROKEN),
        (judged(recorded(1990, failed=10), promise="p50=20ms"), "VALID", Exit.HOLDS),
        (judged(recorded(2000), busiest=0.9), "CLIENT LIMITED", Exit.INCONCLUSIVE),
        (replace(held, calibration={**held.calibration, "stub": None}), "UNCHECKED", Exit.HOLDS),
    ):
        assert (standing_of(result).word, _exit_code(result)) == (word, code)
        assert json.loads(to_json(result))["heading"] == word
        assert shown(result).startswith(f"{word}  ")
        assert f">{word}</span>" in render(result)


def test_a_record_is_headed_by_what_follows_from_it() -> None:
    told = json.loads(to_json(judged(recorded(2000), promise="p99=1ms")))
    del told["seal"]
    assert told["heading"] == "MISSED"
    assert from_json(json.dumps({**told, "heading": "MISSED"})).level == "VALID"
    with pytest.raises(ValueError, match="it says VALID, and from the rest follows MISSED"):
        from_json(json.dumps({**told, "heading": "VALID"}))
    del told["heading"]  # as in records of older versions
    assert from_json(json.dumps(told)).level == "VALID"


def test_a_generator_that_is_the_limit_at_every_rate_makes_none_fail() -> None:
    ceiling, journal = searched(SimulatedServer(), SHORT)
    found = replace(ceiling, holds=0.0, fails=45.0, limiter=Limiter.CLIENT)
    record = record_of(Search(found, journal, interrupted=False))
    assert bracket(record) == "not known"
    assert headline(record) == (
        "No rate was shown to hold; the client is the limit, so nothing is known about the server."
    )


def test_an_answer_that_is_wider_than_was_asked_for_is_no_plain_valid(whole: tuple[Search, Measurement]) -> None:
    result = whole[1]
    assert result.ceiling is not None
    assert shown(result).startswith("VALID  ")
    wide = replace(result, ceiling=replace(result.ceiling, fails=1.3 * result.ceiling.holds))
    assert shown(wide).startswith("WIDE  ")
    assert ">WIDE</span>" in render(wide)
    assert exit_code(wide) is Exit.HOLDS


def test_what_the_generator_could_not_vouch_for_is_not_said_not_to_hold(whole: tuple[Search, Measurement]) -> None:
    assert whole[1].ceiling is not None
    limited = replace(whole[1].ceiling, holds=4_700.0, fails=4_950.0, limiter="client")
    assert bracket(limited) == "4,700/s and more"
    assert headline(limited) == (
        "4,700/s holds, and for 4,950/s the generator could not vouch; the client is the limit, so the server carries at least "
        "what holds."
    )


def test_a_bracket_that_must_not_be_used_is_quoted_nowhere(whole: tuple[Search, Measurement]) -> None:
    search, result = whole
    spoilt = replace(search, ceiling=replace(search.ceiling, invalid=("3 answers were wrong",)))
    load = as_found(ASKED, replace(search, journal=search.journal[:4]))  # no fresh window: no length of one
    facts = replace(FACTS, load={**LOAD, "rate": load.order.rate, "duration": load.order.seconds, "warmup": 0.0})
    invalid = measured(spoilt, SHORT, ASKED, (), result.calibration, facts)
    assert invalid.ceiling is not None
    invalid = replace(invalid, complete=True)
    assert invalid.level == "INVALID"
    text, page = shown(invalid, 200), render(invalid)
    for told in (text, page):
        assert bracket(invalid.ceiling) not in told
        assert headline(invalid.ceiling) not in told
        assert "no ceiling is shown" in told
        assert " 0 s" not in told
    assert "none of which was confirmed" in page


def test_a_search_that_ended_before_any_window_on_the_backends_knows_nothing(whole: tuple[Search, Measurement]) -> None:
    search, result = whole
    journal = tuple(entry for entry in search.journal if entry.step.role is Role.CALIBRATION)
    early = Search(conclude(journal, SHORT_UNPROMISED), journal, interrupted=True)
    partial = measured(early, SHORT_UNPROMISED, ASKED, (), result.calibration, FACTS)
    assert partial.ceiling is not None
    assert bracket(partial.ceiling) == "not known"
    for told in (shown(partial, 200), render(partial)):
        assert "none holds" not in told
        assert "What has to hold" in told
        assert "not known: it follows from the base service time" in " ".join(told.split())
    assert partial.level == "PARTIAL"
    jsonschema.validate(json.loads(to_json(partial)), SCHEMA)


def test_nothing_that_was_offered_is_no_rate_that_was_held() -> None:
    nothing = window_of("measured", sample_of(recorded(0)))
    assert (nothing.limiter, nothing.limiter_reason) == ("unknown", "nothing was offered")
    result = judged(recorded(0))
    assert result.limiter == "unknown"
    jsonschema.validate(json.loads(to_json(result)), SCHEMA)
    for told in (shown(result, 200), render(result)):
        assert "the rate was held" not in told
    one = judged(recorded(200)).windows[0]
    both = measurement_of(DECISION, result.calibration, [nothing, one], FACTS, [PROMISE], planned=2)
    assert both.limiter == "none", "of two windows, the one that offered something says what it says"


def test_a_short_search_has_bounds_of_its_own() -> None:
    def bounds(*words: str) -> tuple[int, float]:
        context = bench.make_context("bench", ["--find-max", *words])
        find = asked_for(context)
        assert find is not None
        return find.steps, find.minutes

    assert bounds() == (60, 15.0)
    assert bounds("--short") == (40, 3.0)
    assert bounds("--short", "--max-minutes", "5", "--max-steps", "50") == (50, 5.0)


@pytest.mark.parametrize(
    ("server", "code", "words"),
    [
        (SimulatedServer(service=0.05), Exit.BROKEN, "No rate was shown to hold"),
        (
            SimulatedServer(capacity=1e6),
            Exit.HOLDS,
            "the client is the limit, so the server carries at least what holds",
        ),
        (SimulatedServer(generator=5.0), Exit.INCONCLUSIVE, "nothing is known about the server"),
        (SimulatedServer(errors_from=3_000), Exit.HOLDS, "errors are the limit"),
        (SimulatedServer(collapses_from=3_000, never_drains=True), Exit.HOLDS, "not confirmed in fresh windows"),
    ],
)
def test_each_end_has_its_words_and_its_exit_code(
    whole: tuple[Search, Measurement], server: SimulatedServer, code: Exit, words: str
) -> None:
    ceiling, journal = searched(server, SearchSettings(promises=(PROMISE,)))
    record = record_of(Search(ceiling, journal, interrupted=False))
    assert words in headline(record)
    assert exit_code(replace(whole[1], ceiling=record)) is code


# -- how it is shown ------------------------------------------------------------------------------------------------


def test_terminal_and_page_show_the_same_bracket_and_the_journal(whole: tuple[Search, Measurement]) -> None:
    _, result = whole
    assert result.ceiling is not None
    text, page = shown(result, 200), render(result)
    assert bracket(result.ceiling) in text
    assert bracket(result.ceiling) in page
    assert headline(result.ceiling) in text
    assert 'aria-label="Latency over the offered rate"' in page
    assert page.count('<tr role="row"><th role="rowheader" scope="row" class="number">') == len(result.ceiling.steps)
    assert "must hold in 3 fresh windows" in page
    console = Console(file=io.StringIO(), width=90)
    print_journal(result.ceiling, console)
    print_ceiling(result.ceiling, headline(result.ceiling), console)
    assert console.file.getvalue().count("Holds:") >= 5  # type: ignore[attr-defined]


def test_what_others_chose_cannot_hurt_the_reader_of_a_journal(whole: tuple[Search, Measurement]) -> None:
    _, result = whole
    assert result.ceiling is not None
    row = replace(result.ceiling.steps[-1], sentence="<script>alert(1)</script>\x1b[0m \u202e")
    page = render(replace(result, ceiling=replace(result.ceiling, steps=(row,), reasons=("<b>boom",))))
    assert "<script" not in page
    assert "<b>boom" not in page
    console = Console(file=io.StringIO(), width=90)
    print_journal(replace(result.ceiling, steps=(row,)), console)
    assert "\x1b" not in console.file.getvalue()  # type: ignore[attr-defined]


def test_a_look_at_the_idle_server_is_not_said_to_be_endless_and_to_hold() -> None:
    _, journal = searched(SimulatedServer(), SHORT)
    probe = next(row for entry in journal if (row := row_of(entry)).role == "probe")
    dropping = replace(probe, p99_ms=None, answered_p99_ms=1.5)
    assert "p99  1.50 ms" in step_line(dropping).plain
    assert "p99        –" in step_line(replace(dropping, answered_p99_ms=None, offered=1000)).plain
    assert "p99    never" in step_line(replace(dropping, role="ramp", offered=1000)).plain


def test_the_live_line_says_what_runs_and_how_long_at_most() -> None:
    journal: tuple[Entry, ...]
    settings = SearchSettings(promises=(PROMISE,))
    _, journal = searched(SimulatedServer(noise=gaussian(0.05)), settings)
    console = Console(file=io.StringIO(), width=120)
    now = 0.0
    view = SearchView(console, settings, clock=lambda: now)
    assert view.picture().plain == "starting …"
    view.step(journal[:12], journal[12].step)
    state = {"target": "backends", "rate": 4000, "left": 3.0, "seconds": 2.0, "offered": 8000, "ok": 7990, "late": 0}
    view.progress({**state, "failed": 2, "dropped": 0, "p99": 0.0043})
    line = view.picture().plain
    assert re.fullmatch(
        r"step 13 of at most 60   ramp   at most \d+ min left   offered 4,000/s   done 3,995/s   p99 4\.30 ms   failed 2",
        line,
    )
    console.width = 80
    where, figures = view.picture().plain.splitlines()
    assert f"{where}   {figures}" == line
    assert max(len(where), len(figures)) <= 80
    view.step(journal[:13], journal[13].step)
    assert len(console.file.getvalue().splitlines()) == 13  # type: ignore[attr-defined]
    assert "warm-up" in (view.progress({**state, "seconds": -0.5, "failed": 0, "p99": None}) or view.picture().plain)


# -- for real -------------------------------------------------------------------------------------------------------


def test_a_search_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    suite_digest.cache_clear()
    keep_certificate(tmp_path / ".stackproof" / "runs", certificate())
    options = [
        "--stack",
        "memory",
        "--find-max",
        "--slo",
        "p90=5s",
        "--duration",
        "1",
        "--warmup",
        "0",
        "--no-calibration",
    ]
    command = [sys.executable, "-m", "stackproof", "bench", *options]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    journal = tmp_path / "run" / JOURNAL
    with subprocess.Popen([*command, "--max-steps", "40", "--out", "run"], cwd=tmp_path, env=environ) as first:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and not (journal.exists() and len(journal.read_text().splitlines()) > 3):
            time.sleep(0.05)
        first.send_signal(signal.SIGKILL)
    before = journal.read_text().splitlines()
    assert len(before) > 3
    kept = len(before) - 1
    ended = subprocess.run(
        [*command, "--max-steps", str(kept + 1), "--resume", "run", "--json", "-"],
        cwd=tmp_path, env=environ, text=True, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert ended.returncode == Exit.INCONCLUSIVE, ended.stderr
    assert journal.read_text().splitlines()[: len(before)] == before
    data = json.loads(ended.stdout)
    jsonschema.validate(data, SCHEMA)
    assert [row["number"] for row in data["ceiling"]["steps"]] == list(range(1, kept + 2))
    assert len(data["windows"]) == kept + 1
    assert data["removed"]
    assert data["id"] == (tmp_path / "run" / "run.lock").read_text().strip() != "run"
    assert (tmp_path / "run" / WINDOWS).exists(), "a search without an answer may go on with a larger budget"
    longer = re.search(
        r"^go on with it: stackproof bench .* --max-steps (\d+) .* --resume run$", ended.stderr, re.MULTILINE
    )
    assert longer is not None, ended.stderr
    assert int(longer[1]) == 2 * (kept + 1)
    other = subprocess.run(
        [*command, "--seed", "99", "--resume", "run"],
        cwd=tmp_path, env=environ, text=True, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert other.returncode == Exit.USAGE
    assert "--seed 7 (now 99)" in other.stderr
