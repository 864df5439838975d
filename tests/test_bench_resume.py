"""`stackproof bench --resume`: other options than those of the run are refused before anything starts, by their names."""

from __future__ import annotations

import io
import json
import shlex
import signal
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import click
import pytest
from bench_samples import offered, recorded, self_check_of
from click.testing import CliRunner
from rich.console import Console

from stackproof.commands import bench_run
from stackproof.commands.bench import Asked, bench
from stackproof.commands.bench_load import Run
from stackproof.commands.bench_resume import to_go_on_with
from stackproof.commands.bench_run import load_of
from stackproof.commands.bench_sweep import levels_of
from stackproof.commands.report import report
from stackproof.commands.search_options import asked_for
from stackproof.commands.series import Wanted, find_for, task_of
from stackproof.exits import Exit
from stackproof.interfaces import ConfigurationError
from stackproof.measurement.ceiling import BUDGET, JOURNAL, SCHEMA, find_ceiling, load_journal
from stackproof.measurement.environment import read_environment
from stackproof.measurement.judgement import window_of
from stackproof.measurement.promises import Promise
from stackproof.measurement.record_names import MEASURED
from stackproof.measurement.window_log import WINDOWS, WindowLog
from stackproof.verification.runs import NoRecordError

FIXED = "--stack memory --rate 50 --duration 2 --slo p99=20ms --repeat 6"
FOUND = ("find_max", "short", "max_steps", "max_minutes")
"""What `asked_for` makes one thing of."""
SEED = 7
"""Of the scenario: the first window has it."""
SEARCH = "--stack memory --find-max --duration 2 --slo p99=20ms"


def asked(options: str, resume: Path | None = None) -> Asked:
    context = click.Context(bench)
    words = [*options.split(), *([] if resume is None else ["--resume", str(resume)])]
    bench.parse_args(context, words)
    typed = {name: value for name, value in context.params.items() if name not in FOUND}
    return Asked(**typed, find=asked_for(context))


def begun(directory: Path, options: str, *, command: bool = True) -> Path:
    """What a run with these options keeps before its first window."""
    directory.mkdir()
    one = asked(options)
    load = load_of(one)
    more: dict[str, object] = {"digests": {"cache=memory": "d"}}
    if one.find is not None:
        settings = asdict(one.find.settings(load.order, load.promises))
        kept = {name: value for name, value in settings.items() if name not in BUDGET}
        head = json.dumps({"schema": SCHEMA, "identity": {}, "settings": kept})
        (directory / JOURNAL).write_text(head + "\n", encoding="utf-8")
    if one.sweep:
        more |= {"sweep": list(levels_of(one.sweep))}
    planned = load.planned(levels_of(one.sweep) if one.sweep else ())
    WindowLog(directory, load.identity() | more, load.command() if command else "", planned).begin()
    return directory


def go_on(directory: Path, options: str) -> Path | None:
    one = asked(options, directory)
    load = load_of(one)
    settings = one.find.settings(load.order, load.promises) if one.find is not None else None
    return to_go_on_with(one, load, settings, levels_of(one.sweep) if one.sweep else ())


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (FIXED, FIXED),
        (FIXED, FIXED.replace("--repeat 6", "--repeat 9")),  # more windows of the same
        (SEARCH, SEARCH),
        (SEARCH, f"{SEARCH} --max-steps 90 --max-minutes 30"),
        (f"{SEARCH} --short", f"{SEARCH} --short"),
        (SEARCH, f"{SEARCH} --no-calibration"),  # whose check says what is kept beside its windows
        ("--stack memory --sweep 1,2,4", "--stack memory --sweep 1,2,4"),
        ("--stack memory --scenario cache-hot --find-max", "--stack memory --scenario cache-hot --find-max"),
    ],
)
def test_the_same_options_go_on(tmp_path: Path, before: str, now: str) -> None:
    directory = begun(tmp_path / "run", before)
    assert go_on(directory, now) == directory


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (FIXED, FIXED.replace("20ms", "30ms"), "was begun with --slo p99=20ms (now p99=30ms); go on"),
        (FIXED, FIXED.replace("--slo p99=20ms", ""), "was begun with --slo p99=20ms (now none); go on"),
        (FIXED, FIXED.replace("50", "60"), "was begun with --rate 50 (now 60); go on"),
        (FIXED, FIXED.replace("--rate 50", ""), "was begun with --rate 50 (now 100); go on"),
        (FIXED, FIXED.replace("--repeat 6", "--repeat 5"), "was begun with --repeat 6 (now 5); go on"),
        (
            "--stack memory --sweep 1,2 --repeat 3",
            "--stack memory --sweep 1,2",
            "was begun with --repeat 3 (now 1); go on",
        ),
        (FIXED, f"{FIXED} --backend cache=local", "was begun with no --backend (now cache=local); go on"),
        (FIXED, f"{FIXED} --scenario cache-hot", "was begun with --scenario decision (now cache-hot); go on"),
        (FIXED, f"{FIXED} --seed 99 --workers 2", "was begun with --workers 1 (now 2), --seed 7 (now 99); go on"),
        (FIXED, SEARCH, "was begun with no --find-max (now given); go on"),
        (SEARCH, FIXED, "was begun with --find-max (now none); go on"),
        (SEARCH, SEARCH.replace("20ms", "30ms"), "was begun with --slo p99=20ms (now p99=30ms); go on"),
        (SEARCH, f"{SEARCH} --slo p50=5s", "was begun with --slo p99=20ms (now p99=20ms, p50=5000ms); go on"),
        (SEARCH, f"{SEARCH} --short", "was begun with no --short (now given); go on"),
        (SEARCH, SEARCH.replace("--duration 2", ""), "was begun with --duration 2 (now none); go on"),
        (SEARCH, f"{SEARCH} --in-flight 64", "was begun with no --in-flight (now 64); go on"),
        ("--stack memory --sweep 1,2", "--stack memory --sweep 1,4", "was begun with --sweep 1,2 (now 1,4); go on"),
    ],
)
def test_other_options_are_named_as_they_are_typed(tmp_path: Path, before: str, now: str, said: str) -> None:
    directory = begun(tmp_path / "run", before)
    with pytest.raises(ConfigurationError) as refused:
        go_on(directory, now)
    assert said in str(refused.value)
    assert str(refused.value).endswith(f"{load_of(asked(before)).command()} --resume {directory}")


def test_a_search_that_has_no_journal_yet_is_known_as_one(tmp_path: Path) -> None:
    directory = begun(tmp_path / "run", SEARCH)
    (directory / JOURNAL).unlink()
    assert go_on(directory, SEARCH) == directory
    with pytest.raises(ConfigurationError, match=r"was begun with --find-max \(now none\)"):
        go_on(directory, FIXED)


def test_a_run_that_did_not_keep_its_command_names_the_options_all_the_same(tmp_path: Path) -> None:
    directory = begun(tmp_path / "run", FIXED, command=False)
    with pytest.raises(ConfigurationError, match="was begun with another --slo; repeat its command"):
        go_on(directory, FIXED.replace("20ms", "30ms"))


def test_the_windows_of_another_build_are_not_gone_on_with(tmp_path: Path) -> None:
    directory = begun(tmp_path / "run", FIXED)
    head = json.loads((directory / WINDOWS).read_text(encoding="utf-8"))
    other = head | {"identity": head["identity"] | {"build": "other"}}
    older = head | {"schema": "stackproof-windows/2"}
    for kept in (other, older):
        (directory / WINDOWS).write_text(json.dumps(kept) + "\n", encoding="utf-8")
        with pytest.raises(ConfigurationError, match=r"was begun by another build of stackproof.*begin a new run"):
            go_on(directory, FIXED)


def test_a_run_that_was_killed_before_its_first_line_begins_anew(tmp_path: Path) -> None:
    directory = begun(tmp_path / "run", FIXED)
    (directory / WINDOWS).write_text('{"schema": "stackp', encoding="utf-8")
    assert go_on(directory, FIXED) == directory
    load = load_of(asked(FIXED))
    assert WindowLog(directory, load.identity(), load.command()).begin() == ()
    assert len((directory / WINDOWS).read_text(encoding="utf-8").splitlines()) == 1


@pytest.mark.parametrize("words", [[], ["--jsonl", "-"]], ids=["page", "table"])
@pytest.mark.parametrize("options", [FIXED, SEARCH])
def test_a_report_on_a_run_without_a_record_names_what_goes_on_with_it(
    tmp_path: Path, options: str, words: list[str]
) -> None:
    directory = begun(tmp_path / "a run", options)
    refused = CliRunner().invoke(report, [str(directory), *words], standalone_mode=False).exception
    assert isinstance(refused, NoRecordError)
    assert str(refused).endswith(
        f"that run goes on, or was cut short; then go on with it: {load_of(asked(options)).command()} --resume '{directory}'"
    )


def test_a_report_on_pairs_without_a_record_names_no_command_that_is_refused(tmp_path: Path) -> None:
    directory = begun(tmp_path / "run", f"{FIXED} --against cache=local")
    refused = CliRunner().invoke(report, [str(directory)], standalone_mode=False).exception
    assert "pairs are not gone on with, then begin a new run: stackproof bench " in str(refused)
    assert "--resume" not in str(refused)
    with pytest.raises(
        ConfigurationError, match="side of pairs of windows, which are not gone on with; begin a new run"
    ):
        go_on(directory, FIXED)


def test_where_nobody_looks_a_run_begins_with_what_goes_on_with_it(tmp_path: Path) -> None:
    load = load_of(asked(FIXED))
    run = Run(load, (), {}, (), "id", tmp_path / "a run", read_environment(), ())
    console = Console(file=io.StringIO(), width=40)
    bench_run._say_begun(run, console)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        f"run: {tmp_path}/a run",
        f"where it is cut short, go on with it: {load.command()} --resume '{tmp_path}/a run'",
    ]


def test_a_trace_lasts_for_the_whole_window(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("offset\n" + "\n".join(str(n / 100) for n in range(600)), encoding="utf-8")
    replayed = f"--stack memory --arrivals replay:{trace} --warmup 1"
    assert load_of(asked(f"{replayed} --duration 5")).order.rate == pytest.approx(100.0)
    assert load_of(asked(f"{replayed} --duration 11 --rate 50")).order.seconds == 11.0
    with pytest.raises(ConfigurationError) as refused:
        load_of(asked(f"{replayed} --duration 5.1"))
    assert str(refused.value) == (
        f"--arrivals replay:{trace} ends after 6 s at 100/s, and nothing would be offered for the rest of --warmup 1 and "
        "--duration 5.1; make both together no longer than that"
    )


def test_a_closed_loop_is_repeated_by_a_command_without_a_rate() -> None:
    load = load_of(asked("--stack memory --arrivals closed --in-flight 3"))
    assert "--rate" not in load.command()
    assert load_of(asked(load.command().removeprefix("stackproof bench "))).identity() == load.identity()


def test_nothing_is_started_or_verified_for_a_refusal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from stackproof.cli import main

    def started(*_: object) -> None:
        raise AssertionError("something was started")

    directory = begun(tmp_path / "run", FIXED)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(bench_run, "provided_servers", started)
    monkeypatch.setattr(bench_run, "read_environment", started)
    with pytest.raises(SystemExit) as ended:
        main(["bench", *FIXED.split(), "--backend", "cache=local", "--resume", str(directory)])
    assert ended.value.code == Exit.USAGE
    assert "no --backend (now cache=local)" in capsys.readouterr().err


def begun_with_windows(directory: Path, options: str = FIXED, windows: int = 3) -> Path:
    """A run that was cut short after so many windows: lines 3 to 5 of its file, after a head and a self-check."""
    begun(directory, options)
    load = load_of(asked(options))
    log = WindowLog(directory, load.identity() | {"digests": {"cache=memory": "d"}}, load.command())
    log.begin()
    check = self_check_of()
    for number in range(windows):
        order = replace(load.order, seed=load.order.seed + number, number=number)
        log.keep(window_of(MEASURED, offered(recorded(100), order=order)), check)
    assert go_on(directory, options) == directory
    return directory


def _with(row: str, *path: str, value: object) -> str:
    data = json.loads(row)
    inner = data
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return json.dumps(data)


@pytest.mark.parametrize(
    ("line", "damage", "said"),
    [
        (4, lambda _: "{}", "line 4 (the document has no 'role')"),
        (4, lambda _: "garbage", "line 4 (it is no complete JSON"),
        (4, lambda _: "[]", "line 4 (the document is not of type object)"),
        (2, lambda _: '{"self_check": 3}', "line 2 ("),
        (2, lambda _: '{"broken_off": []}', "line 2 ("),
        (4, lambda row: "\n".join([row] * 5), "line 5 (it has the number 1, as line 4 has)"),
        (4, lambda row: _with(row, "order", "seed", value=SEED), "line 4 (it has the seed 7, as line 3 has)"),
        (3, lambda _: '{"self_check": {"latency": {}, "lag": {}}}', "line 3 ("),
        (4, lambda row: _with(row, "counts", "ok", value=10**9), "line 4 (its counters do not add up"),
        (4, lambda row: _with(row, "rates", "achieved", value=float("inf")), "line 4 (its achieved is inf"),
        (4, lambda row: _with(row, "order", "seconds", value=-1), "line 4 (it was offered for -1 s"),
        (4, lambda row: _with(row, "histograms", "real", value="HISTF"), "line 4 (a histogram of it is damaged"),
        (
            4,
            lambda row: _with(row, "histograms", "steps", value={"publish": ""}),
            "line 4 (a histogram of it is damaged",
        ),
        (4, lambda row: _with(row, "latency", "real", "count", value=7), "line 4 (it has 7 latencies (real) of 100"),
        (4, lambda row: _with(row, "series", value=[]), "line 4 (its seconds do not add up"),
        (4, lambda row: _with(row, "checks", "wrong", value=3), "line 4 (answers of backends were not right in it"),
    ],
)
def test_windows_that_cannot_be_true_are_told_with_their_line_before_anything_starts(
    tmp_path: Path, line: int, damage: Callable[[str], str], said: str
) -> None:
    path = begun_with_windows(tmp_path / "run") / WINDOWS
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[line - 1] = damage(lines[line - 1])
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        go_on(tmp_path / "run", FIXED)
    assert str(refused.value).startswith(f"{path} is damaged in {said}")
    assert str(refused.value).endswith("; begin a new run")


def test_a_window_that_was_taken_out_is_missed(tmp_path: Path) -> None:
    path = begun_with_windows(tmp_path / "run") / WINDOWS
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines[:3], *lines[4:]]) + "\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"windows.jsonl is damaged: window 1 is missing; begin a new run"):
        go_on(tmp_path / "run", FIXED)


def test_a_search_may_have_offered_a_window_again(tmp_path: Path) -> None:
    path = begun_with_windows(tmp_path / "run", SEARCH) / WINDOWS
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines, lines[-1]]) + "\n", encoding="utf-8")
    assert go_on(tmp_path / "run", SEARCH) == tmp_path / "run"


def test_the_command_of_a_search_of_a_series_goes_on_with_it(tmp_path: Path) -> None:
    """The series chose lengths and rates of its own, and read the settings of the scenario as numbers."""
    promises = (Promise.parse("p50=500ms"),)
    task = task_of(Wanted(("cache=memory",), "cache-hot", {"keys": "50"}, promises), "embedded")
    directory = tmp_path / "a run"
    directory.mkdir()
    load = replace(task.load, search=find_for(1.61).words())
    settings = find_for(1.61).settings(load.order, load.promises)
    identity = load.identity() | {"digests": {}}
    with pytest.raises(StopIteration):
        find_ceiling(lambda _: next(iter(())), settings, directory / JOURNAL, identity)
    WindowLog(directory, identity, load.command()).begin()
    words = shlex.split(load.going_on(directory))
    assert words[:2] == ["stackproof", "bench"]
    context = click.Context(bench)
    bench.parse_args(context, words[2:])
    typed = {name: value for name, value in context.params.items() if name not in FOUND}
    one = Asked(**typed, find=asked_for(context))
    now = load_of(one)
    assert one.find is not None
    assert to_go_on_with(one, now, one.find.settings(now.order, now.promises), ()) == directory
    WindowLog(directory, now.identity() | {"digests": {}}).begin()  # as the run itself does, after that
    load_journal(directory / JOURNAL, one.find.settings(now.order, now.promises), now.identity() | {"digests": {}})
