"""`stackproof compare`, from records on disk to its exit code: what is read, what is refused, and what is said."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from bench_samples import judged, recorded, with_windows
from command_line import stackproof, without
from rich.console import Console

from stackproof.cli import _run
from stackproof.exits import Exit
from stackproof.measurement.ceiling_record import CeilingRecord
from stackproof.measurement.comparable import Unusable, comparable, run_of
from stackproof.measurement.compared import Outcome
from stackproof.measurement.comparison import compare
from stackproof.measurement.comparison_json import to_json as comparison_json
from stackproof.measurement.environment import read_environment
from stackproof.measurement.evidence import Evidence
from stackproof.measurement.evidence import to_json as evidence_json
from stackproof.measurement.figures import NEVER_MS
from stackproof.measurement.record import BackendRecord, Measurement, to_json
from stackproof.measurement.server_settings.records import ServerSettings, Setting
from stackproof.measurement.statistics import NoEffect, unpaired_effect
from stackproof.reports.comparison_terminal import basis, print_comparison
from stackproof.reports.json_page import FORMS
from stackproof.shape import misshapen

SCHEMA = next(form.schema() for form in FORMS if form.name == "comparison")
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def record(name: str, at: float, seconds: float = 0.004, cpu: float = 2.0, **changes: Any) -> Measurement:
    made = judged(recorded(200, seconds=seconds), cpu_seconds=cpu)
    created = (NOON + timedelta(seconds=at)).isoformat(timespec="seconds")
    backend = BackendRecord("cache=memory", "cache", "m.C", "d" * 64, "", "native", "c")
    invalid = changes.pop("invalid", ())
    windows = tuple(replace(window, invalid=invalid) for window in made.windows)
    known: dict[str, Any] = {
        "environment": {"cores": "2"},
        "backends": (backend,),
        "windows": windows,
        "invalid": invalid,
    }
    return replace(made, id=name, created=created, **(known | changes))


def keep(directory: Path, made: Measurement) -> None:
    directory.mkdir(parents=True)
    (directory / "run.json").write_text(to_json(made), encoding="utf-8")


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sets of twelve interleaved windows: two that are equal, and one that takes 20 % longer."""
    root, rng = tmp_path_factory.mktemp("sets"), np.random.default_rng(1)
    for window in range(12):
        for place, (name, factor) in enumerate((("base", 1.0), ("same", 1.0), ("slow", 1.2))):
            noise, busy = np.exp(rng.normal(0, 0.01, 2))
            made = record(f"{name}-{window}", 30 * window + 10 * place, 0.004 * factor * noise, 2.0 * busy)
            keep(root / name / f"{window:02}", made)
    return root


def run(*arguments: str | Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = _run(["compare", *map(str, arguments)])
    told = capsys.readouterr()
    return code, told.out, told.err


def answer(*arguments: str | Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    code, out, _ = run(*arguments, "--json", "-", capsys=capsys)
    data: dict[str, Any] = json.loads(out)
    jsonschema.validate(data, SCHEMA)
    assert misshapen(data, SCHEMA) == []
    return code, data


def test_equal_sets_hold_and_a_slower_one_is_a_regression(sets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, data = answer(sets / "base", sets / "same", capsys=capsys)
    assert (code, data["outcome"], data["paired"]) == (Exit.HOLDS, "no regression", True)
    assert {row["metric"]: row["verdict"] for row in data["metrics"]} == dict.fromkeys(
        ("p50", "achieved", "cpu"), "no difference"
    )
    code, data = answer(sets / "base", sets / "slow", capsys=capsys)
    assert (code, data["outcome"]) == (Exit.BROKEN, "regression")
    row = data["metrics"][0]
    assert (row["metric"], row["verdict"]) == ("p50", "regression")
    assert 1.12 < row["effect"]["low"] < row["effect"]["ratio"] < row["effect"]["high"] < 1.25
    assert run(sets / "slow", sets / "base", capsys=capsys)[0] == Exit.HOLDS  # an improvement


def test_the_command_as_a_user_has_it(sets: Path) -> None:
    done = stackproof("compare", "base", "slow", "--metric", "p50", "--json", "out.json", cwd=sets)
    assert done.returncode == Exit.BROKEN, done.stderr
    assert done.stdout.startswith("REGRESSION\n")
    assert "p50 [ms]" in done.stdout
    assert "12 pairs of windows, 90 % intervals, threshold 5 %" in done.stdout
    assert json.loads((sets / "out.json").read_text(encoding="utf-8"))["outcome"] == "regression"
    (sets / "out.json").unlink()


def test_the_page_says_what_the_terminal_says(sets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "difference.html"
    code, out, _ = run(sets / "base", sets / "slow", "--metric", "p50", "--page", page, capsys=capsys)
    html = page.read_text(encoding="utf-8")
    assert code == Exit.BROKEN
    assert ">REGRESSION</span>" in html
    assert next(line for line in out.splitlines() if line.startswith("p50: "))[5:] in html
    assert html.count('<svg class="chart wide"') == 1
    assert "--metric p50" in html
    code, out, err = run(sets / "base", sets / "slow", "--page", "-", capsys=capsys)
    assert out.startswith("<!DOCTYPE html>")
    assert "REGRESSION" in err
    assert run(sets / "base", sets / "slow", "--page", "-", "--json", "-", capsys=capsys)[0] == Exit.USAGE


def test_a_comparison_without_an_answer_has_a_page_too(
    sets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    assert run(sets / "base", sets / "base", "--page", page, capsys=capsys)[0] == Exit.INVALID
    html = page.read_text(encoding="utf-8")
    assert ">INVALID</span>" in html
    assert "is on both sides" in html
    assert '<svg class="chart' not in html


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    done = stackproof("compare", "a", "b", cwd=tmp_path, env=without(tmp_path / "site", wheels=["scipy"]))
    assert done.returncode == Exit.USAGE
    assert "pip install 'stackproof[bench]'" in done.stderr


def test_one_window_each_cannot_be_told(sets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, data = answer(sets / "base" / "00", sets / "slow" / "00", capsys=capsys)
    assert (code, data["outcome"]) == (Exit.INCONCLUSIVE, "cannot tell")
    assert "too few" in data["metrics"][0]["sentence"]


def test_a_larger_threshold_allows_more(sets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(sets / "base", sets / "slow", "--threshold", "30 %", capsys=capsys)[0] == Exit.HOLDS


@pytest.mark.parametrize(
    ("spoil", "code", "said"),
    [
        (lambda file: file.write_text(""), Exit.INVALID, "is empty"),
        (lambda file: file.write_text("  \n"), Exit.INVALID, "is empty"),
        (lambda file: file.write_text("{"), Exit.INVALID, "cannot be read"),
        (lambda file: file.write_text("[" * 100_000), Exit.INVALID, "cannot be read"),
        (lambda file: file.write_bytes(b"\xff\xfe\x00"), Exit.INVALID, "cannot be read"),
        (lambda file: file.write_text("null"), Exit.INVALID, "is empty"),
        (lambda file: file.write_text('{"schema": "stackproof-certificate/1"}'), Exit.INVALID, "is no measurement"),
        (
            lambda file: file.write_text(file.read_text().replace("measurement/2", "measurement/99")),
            Exit.INVALID,
            "is no",
        ),
        (
            lambda file: file.write_text(file.read_text().replace('"p50": 4', '"p50": NaN, "x": 4', 1)),
            Exit.INVALID,
            "NaN",
        ),
        (
            lambda file: file.write_text(file.read_text().replace('"rates": {', '"rates": {"x": 1,')),
            Exit.INVALID,
            "is no",
        ),
        (
            lambda file: file.write_text(file.read_text().replace("2026-01-02T", "yesterday")),
            Exit.INVALID,
            "cannot be read",
        ),
        (lambda file: file.unlink(), Exit.NO_DATA, "holds no record"),
    ],
)
def test_data_that_is_none_has_an_exit_code_of_its_own(
    spoil: Callable[[Path], object], code: Exit, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(tmp_path / "good", record("good", 0))
    keep(tmp_path / "bad", record("bad", 1))
    spoil(tmp_path / "bad" / "run.json")
    for arguments in (("good", "bad"), ("bad", "good")):
        found, data = answer(*(tmp_path / name for name in arguments), capsys=capsys)
        assert (found, data["metrics"]) == (code, [])
        assert said in data["reasons"][0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere", "nowhere"), "there is no run"),
        ((".", ".", "--metric", "p42"), "there is no metric"),
        ((".", ".", "--threshold", "5"), "must look like 5%"),
        ((".", ".", "--threshold", "0%"), "must look like 5%"),
        ((".", ".", "--threshold", "nan%"), "must look like 5%"),
        ((".", ".", "--json", "no/such/file"), "cannot be written"),
    ],
)
def test_wrong_usage(
    arguments: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments, capsys=capsys)
    assert (code, out) == (Exit.USAGE, "")
    assert said in err


def test_runs_that_are_not_comparable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = record("base", 0)
    keep(tmp_path / "base", base)
    for name, changes, accept in (
        ("machine", {"environment": {"cores": "64"}}, "environment"),
        ("seed", {"load": {**base.load, "seed": 99}}, "seed"),
        ("backend", {"origin": "container"}, "backend"),
    ):
        keep(tmp_path / name, record(name, 1, **changes))
        assert run(tmp_path / "base", tmp_path / name, capsys=capsys)[0] == Exit.OTHER, name
        code, data = answer(tmp_path / "base", tmp_path / name, "--accept", accept, capsys=capsys)
        assert (code, data["accepted"]) == (Exit.INCONCLUSIVE, [accept]), name
    for name, changes in (
        ("scenario", {"scenario": {**base.scenario, "name": "ingest"}}),
        ("rate", {"load": {**base.load, "rate": 200.0}}),
    ):
        keep(tmp_path / name, record(name, 1, **changes))
        everything = [word for kind in ("environment", "seed", "backend") for word in ("--accept", kind)]
        assert run(tmp_path / "base", tmp_path / name, *everything, capsys=capsys)[0] == Exit.OTHER, name


def test_an_invalid_run_and_a_copy_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(tmp_path / "base", record("base", 0))
    keep(tmp_path / "copy", record("base", 0))
    keep(tmp_path / "invalid", record("invalid", 1, invalid=("3 answers were wrong.",)))
    assert run(tmp_path / "base", tmp_path / "copy", capsys=capsys)[0] == Exit.INVALID
    assert run(tmp_path / "base", tmp_path / "invalid", capsys=capsys)[0] == Exit.INVALID


# A set of records as one run


def text(name: str, at: float, **changes: Any) -> str:
    return to_json(record(name, at, **changes))


def test_windows_that_were_invalid_or_lost_are_counted_and_not_forgotten() -> None:
    found = comparable("set", {"1": text("a", 0), "2": text("b", 1, invalid=("Blocked.",)), "3": None})
    assert [(window.pair, window.invalid) for window in found.windows] == [
        ("1", ()),
        ("2", ("Blocked.",)),
        ("3", ("it kept no record",)),
    ]
    assert found.invalid == ()
    other = comparable("other", {"1": text("c", 2)})
    assert compare(found, other).outcome is Outcome.INVALID


@pytest.mark.parametrize(
    "changes", [{"environment": {"cores": "4"}}, {"version": "9"}, {"load": {**record("x", 0).load, "rate": 5.0}}]
)
def test_a_set_of_different_runs_is_no_run(changes: dict[str, Any]) -> None:
    with pytest.raises(Unusable, match="is no one run") as caught:
        comparable("set", {"1": text("a", 0), "2": text("b", 1, **changes)})
    assert caught.value.outcome is Outcome.INVALID


def test_nothing_is_no_run() -> None:
    for records in ({}, {"1": None}):
        with pytest.raises(Unusable) as caught:
            comparable("set", records)
        assert caught.value.outcome is Outcome.NO_DATA


def test_a_share_that_was_never_answered_counts_as_an_hour_and_a_small_sample_as_nothing() -> None:
    run = run_of(replace(judged(recorded(900, failed=100)), created=NOON.isoformat()))
    (window,) = run.windows
    assert window.figures["p50"] == pytest.approx(4.5, rel=0.01)
    assert window.figures["p99"] == NEVER_MS
    assert window.figures["p99_9"] is None
    assert window.offered == pytest.approx(100)
    assert window.figures["achieved"] == pytest.approx(90)


def test_sets_that_share_a_run_are_no_two_runs() -> None:
    one, two = (
        comparable("one", {"1": text("a", 0), "2": text("b", 20)}),
        comparable("two", {"1": text("c", 10), "2": text("b", 30)}),
    )
    assert one.id == "one (2 runs)"
    result = compare(one, two)
    assert result.outcome is Outcome.INVALID
    assert result.reasons == ("The run b is on both sides: a run compared with itself shows nothing.",)
    assert compare(one, run_of(record("a", 0))).outcome is Outcome.INVALID


def test_two_runs_of_one_name_are_two_runs() -> None:
    """Records whose id is the name of a directory, which another run may have as well."""

    def named(at: float) -> Measurement:
        made = record("x", at)
        return replace(made, windows=tuple(replace(window, started=1.7e9 + at) for window in made.windows))

    monday, tuesday = run_of(named(0)), run_of(named(86_400))
    assert compare(monday, tuesday).outcome is not Outcome.INVALID
    assert compare(monday, monday).outcome is Outcome.INVALID
    copied = comparable("copy", {"1": to_json(named(0)), "2": to_json(named(86_400))})
    assert compare(copied, tuesday).outcome is Outcome.INVALID


# Evidence beside a record

SERVER = {"name": "redis", "origin": "embedded", "fidelity": "native", "version": "6.2", "technology": "redis"}


def evidence(value: str = "no", unknown: str = "", **machine: Any) -> Evidence:
    settings = (Setting("appendonly", value, "Whether each write is logged.", unknown),)
    redis = ServerSettings("redis", "embedded", "redis", "it", ("cache=redis",), settings, ())
    return Evidence(replace(read_environment(), unknown={}, **machine), (redis,), ())


def keep_both(directory: Path, made: Measurement, found: Evidence | None) -> None:
    keep(directory, replace(made, servers=(SERVER,)))
    if found is not None:
        (directory / "evidence.json").write_text(evidence_json(found), encoding="utf-8")


@pytest.mark.parametrize(
    ("other", "accept", "said"),
    [
        (evidence("yes"), "backend", "backend appendonly of redis: no in the first run, yes in the second"),
        (evidence("", unknown="CONFIG is forbidden"), "backend", "not known: CONFIG is forbidden in the second"),
        (None, "backend", "backend settings of redis: known in the first run, not known: no evidence was kept"),
        (evidence(governor="powersave"), "environment", "environment governor: "),
    ],
)
def test_other_settings_of_a_server_are_another_environment(
    other: Evidence | None, accept: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep_both(tmp_path / "base", record("base", 0), evidence(governor="performance"))
    if other is not None and accept == "backend":
        other = replace(other, environment=evidence(governor="performance").environment)
    keep_both(tmp_path / "other", record("other", 1), other)
    code, data = answer(tmp_path / "base", tmp_path / "other", capsys=capsys)
    assert code == Exit.OTHER
    assert any(said in reason for reason in data["reasons"]), data["reasons"]
    accepted = [word for kind in ("environment", accept) for word in ("--accept", kind)]
    assert answer(tmp_path / "base", tmp_path / "other", *accepted, capsys=capsys)[0] == Exit.INCONCLUSIVE


def test_equal_settings_are_no_difference_and_a_damaged_file_is_invalid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep_both(tmp_path / "base", record("base", 0), evidence())
    keep_both(tmp_path / "same", record("same", 1), evidence())
    keep_both(tmp_path / "none", record("none", 2), None)
    code, data = answer(tmp_path / "base", tmp_path / "same", capsys=capsys)
    assert (code, data["differences"]) == (Exit.INCONCLUSIVE, [])  # one window each cannot be told
    (tmp_path / "none" / "evidence.json").write_text("{}", encoding="utf-8")
    assert run(tmp_path / "base", tmp_path / "none", capsys=capsys)[0] == Exit.INVALID


def test_what_no_window_of_a_set_knows_does_not_break_the_set() -> None:
    records = {
        "1": to_json(replace(record("a", 0), servers=(SERVER,))),
        "2": to_json(replace(record("b", 9), servers=(SERVER,))),
    }
    found = comparable("set", records)
    assert found.unknown == {"settings of redis"}
    known = dict.fromkeys(records, evidence_json(evidence()))
    assert comparable("set", records, known).settings == {"redis": {"appendonly": "no"}}
    with pytest.raises(Unusable, match="backend appendonly of redis is no in one window, and yes in another"):
        comparable("set", records, known | {"2": evidence_json(evidence("yes"))})


# Searches


def searched(name: str, at: float, holds: float, fails: float | None, **changes: Any) -> Measurement:
    made = record(name, at)
    found: dict[str, Any] = {
        "holds": holds,
        "fails": fails,
        "limiter": "server",
        "reasons": (),
        "confirmed": True,
        "promises": ("p99=20ms",),
        "recovery_seconds": None,
        "generator_rate": 9000.0,
        "service_p50_ms": 1.0,
        "confirming_windows": 3,
        "achieved": (holds, holds),
        "p99_ms": None,
        "invalid": (),
        "notes": (),
        "steps": (),
    }
    load = {**made.load, "rate": holds, "duration": 8.0 + at}
    return replace(made, load=load, ceiling=CeilingRecord(**(found | changes)))


def test_two_searches_are_compared_by_their_brackets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(tmp_path / "base", searched("base", 0, 1000, 1050))
    keep(tmp_path / "slow", searched("slow", 1, 900, 945))
    keep(tmp_path / "near", searched("near", 2, 1020, 1070))
    code, data = answer(tmp_path / "base", tmp_path / "slow", capsys=capsys)
    assert (code, [row["metric"] for row in data["metrics"]]) == (Exit.BROKEN, ["ceiling"])
    assert "the brackets lie apart" in data["metrics"][0]["sentence"]
    assert answer(tmp_path / "base", tmp_path / "near", capsys=capsys)[0] == Exit.INCONCLUSIVE
    assert answer(tmp_path / "base", tmp_path / "near", "--threshold", "15%", capsys=capsys)[0] == Exit.HOLDS
    assert answer(tmp_path / "slow", tmp_path / "base", capsys=capsys)[0] == Exit.HOLDS  # an improvement


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fails": None}, "no rate was found that fails"),
        ({"holds": 0.0}, "no rate held"),
        ({"limiter": "client"}, "the load generator was the limit"),
        ({"limiter": "not-converged"}, "it did not converge"),
        ({"confirmed": False}, "not confirmed"),
    ],
)
def test_a_search_without_an_answer_cannot_be_told(changes: dict[str, Any], said: str) -> None:
    base = searched("base", 0, 1000, 1050)
    other = searched("other", 1, **({"holds": 900, "fails": 945} | changes))
    result = compare(run_of(base), run_of(other))
    assert result.outcome is Outcome.CANNOT_TELL
    assert said in result.metrics[0].sentence


def test_a_search_is_not_compared_with_another_promise_nor_with_a_fixed_rate() -> None:
    base = run_of(searched("base", 0, 1000, 1050))
    other = run_of(searched("other", 1, 1000, 1050, promises=("p99=50ms",)))
    assert compare(base, other).outcome is Outcome.OTHER
    assert compare(base, run_of(record("fixed", 1))).outcome is Outcome.OTHER


# What is said


def test_the_table_holds_in_a_narrow_terminal_and_obeys_nothing(sets: Path) -> None:
    base, slow = (
        comparable(name, {path.name: (path / "run.json").read_text() for path in sorted((sets / name).iterdir())})
        for name in ("base", "slow")
    )
    odd = replace(slow, environment={"cores": "[red]\x1b[2J"})
    result = compare(base, odd, accepted=["environment"])
    jsonschema.validate(json.loads(comparison_json(result)), SCHEMA)
    for width in (60, 80, 160):
        shown = io.StringIO()
        print_comparison(result, Console(file=shown, width=width, force_terminal=False))
        said = shown.getvalue()
        assert "\x1b" not in said
        assert "regression" in said
        assert "[red]" in said
        assert max(map(len, said.splitlines())) <= width


# Records of several windows


def repeated(name: str, at: float, count: int, factor: float = 1.0, seed: int = 1) -> Measurement:
    rng = np.random.default_rng(seed)
    made = record(name, at)
    windows = tuple(
        record(name, at, 0.004 * factor * noise, 2.0 * busy).windows[0]
        for noise, busy in np.exp(rng.normal(0, 0.01, (count, 2)))
    )
    return replace(with_windows(made, windows), load={**made.load, "repeat": count})


def test_windows_of_one_record_are_compared_unpaired() -> None:
    base, same, slow = (
        run_of(repeated(name, at, 12, factor, seed=int(at)))
        for name, at, factor in (("a", 1, 1.0), ("b", 2, 1.0), ("c", 3, 1.2))
    )
    assert compare(base, same).outcome is Outcome.NO_REGRESSION
    result = compare(base, slow)
    assert (result.outcome, result.paired) == (Outcome.REGRESSION, False)
    assert result.metrics[0].first.windows == 12
    fewer = run_of(repeated("d", 4, 8))
    assert compare(base, fewer).outcome is not Outcome.OTHER  # how many windows there are is no workload


def test_windows_that_only_prepare_a_measurement_are_not_compared() -> None:
    made = repeated("a", 1, 3)
    prepared = replace(made, windows=(replace(made.windows[0], role="calibration"), *made.windows[1:]))
    assert len(run_of(prepared).windows) == 2
    assert compare(run_of(replace(made, windows=())), run_of(repeated("b", 2, 3))).outcome is Outcome.NO_DATA


def test_one_wrong_answer_in_one_window_makes_the_run_invalid() -> None:
    made = repeated("a", 1, 12)
    sentence = "1 answers of backends were wrong."
    wrong = replace(made.windows[4], checks={**made.windows[4].checks, "wrong": 1}, invalid=(sentence,))
    run = run_of(replace(made, windows=(*made.windows[:4], wrong, *made.windows[5:]), invalid=(sentence,)))
    assert run.invalid == ("Answers of backends were wrong.",)
    assert compare(run, run_of(repeated("b", 2, 12))).outcome is Outcome.INVALID


def test_a_blocked_window_among_many_is_left_out() -> None:
    made = repeated("a", 1, 12)
    blocked = replace(made.windows[4], invalid=("Blocked.",))
    run = run_of(replace(made, windows=(*made.windows[:4], blocked, *made.windows[5:]), invalid=("Blocked.",)))
    result = compare(run, run_of(repeated("b", 2, 12)))
    assert result.metrics[0].first.windows == 11


def test_a_set_of_records_of_several_windows_has_no_pairs() -> None:
    one = comparable("one", {"1": to_json(repeated("a", 1, 6)), "2": to_json(repeated("b", 100, 6, seed=2))})
    two = comparable("two", {"1": to_json(repeated("c", 50, 6, seed=3)), "2": to_json(repeated("d", 150, 6, seed=4))})
    result = compare(one, two)
    assert (len(one.windows), result.paired) == (12, False)


def test_of_unequal_runs_the_one_with_too_few_windows_is_named() -> None:
    result = compare(run_of(repeated("a", 1, 5)), run_of(repeated("b", 2, 3)), ["p50", "p90", "cpu"])
    assert result.metrics[0].sentence == (
        "3 windows of the second run are too few for 96.7 % confidence; it takes at least 4, and 40 pairs are recommended."
    )
    assert basis(result).startswith("5 windows of the first run and 3 of the second, not paired")
    result = compare(run_of(repeated("a", 1, 5)), run_of(repeated("b", 2, 4, 1.06)), ["p50"])
    assert "would settle it; 5 and 4 were compared." in result.metrics[0].sentence
    both = unpaired_effect([1.0], [1.0, 2.0])
    assert isinstance(both, NoEffect)
    assert both.sentence.startswith("1 window of the first run and 2 windows of the second run are too few")


def test_a_comparison_names_the_run_whose_generator_was_not_checked() -> None:
    base, other = repeated("a", 1, 5), repeated("b", 2, 5, seed=2)
    unchecked = replace(other, calibration={**other.calibration, "stub": None})
    told = "The generator of the run b was not checked against a server whose service time is known"
    assert compare(run_of(base), run_of(unchecked)).notes[0].startswith(told)
    assert not any("not checked" in note for note in compare(run_of(base), run_of(other)).notes)
    texts = {"1": to_json(replace(unchecked, id="c")), "2": to_json(base)}
    assert not comparable("set", texts).checked
