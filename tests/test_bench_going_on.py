"""Runs of `stackproof bench` that can be gone on with: what `report` says of them, and searches whose budget is used up."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from bench_samples import FACTS, LOAD, offered, recorded, self_check_of
from click.testing import CliRunner, Result
from simulated_load import simulated_window
from test_bench_resume import FIXED, SEARCH, asked, begun_with_windows, go_on

from stackproof.commands.bench_going_on import going_on
from stackproof.commands.bench_load import Load
from stackproof.commands.bench_run import load_of, run
from stackproof.commands.bench_search import measured
from stackproof.commands.bench_stored import note
from stackproof.commands.report import report
from stackproof.interfaces import ConfigurationError
from stackproof.measurement.ceiling import JOURNAL, find_ceiling
from stackproof.measurement.judgement import measurement_of, window_of
from stackproof.measurement.record import Measurement, to_json
from stackproof.measurement.record_names import MEASURED
from stackproof.measurement.search_journal import Search, Step
from stackproof.measurement.window_log import WINDOWS, WindowLog, kept_windows
from stackproof.scenarios.orders import Offered, Order

SCHEMA = json.loads(
    (Path(__file__).parent.parent / "stackproof/verification/report.schema.json").read_text(encoding="utf-8")
)
CHECK = self_check_of()
NEWER = "the record is older than what was measured: {} kept beside it, and not in it"


def reported(directory: Path, *words: str) -> tuple[Result, dict[str, Any]]:
    """What `report` says of a run, and its JSON form."""
    target = directory.parent / "report.json"
    told = CliRunner().invoke(report, [str(directory), "--json", str(target), *words], standalone_mode=False)
    assert told.exception is None, told.exception
    data = json.loads(target.read_text(encoding="utf-8"))
    jsonschema.validate(data, SCHEMA)
    return told, data


# -- a fixed rate ---------------------------------------------------------------------------------------------------


def with_record(directory: Path, windows: int, *, options: str = FIXED, cut_short: bool = True) -> Load:
    """A run of 6 windows, 3 of which are kept; its record has so many, and where it was cut short a part of the next one."""
    load = load_of(asked(options))
    kept = kept_windows(begun_with_windows(directory, options))
    assert kept is not None
    mine = list(kept.windows[:windows])
    if cut_short:
        order = replace(load.order, seed=load.order.seed + windows, number=windows)
        mine.append(window_of(MEASURED, offered(recorded(10), order=order, interrupted=True, complete=False), CHECK))
    planned = 6 if cut_short else windows
    result = measurement_of(load.workload, CHECK, mine, FACTS, (), interrupted=cut_short, planned=planned)
    (directory / "run.json").write_text(to_json(result), encoding="utf-8")
    return load


def test_a_report_on_what_was_interrupted_names_what_goes_on_with_it(tmp_path: Path) -> None:
    load = with_record(tmp_path / "a run", 3)
    command = f"{load.command()} --resume '{tmp_path}/a run'"
    told, data = reported(tmp_path / "a run")
    assert told.stdout == f"{tmp_path}/a run/measurement.html\n"
    assert told.stderr == f"go on with it: {command}\n"
    assert data["resume"] == {"command": command, "newer_windows": 0}
    told, data = reported(tmp_path / "a run", "--jsonl", str(tmp_path / "table"))
    assert told.stderr == f"go on with it: {command}\n"
    assert data["tables"]


@pytest.mark.parametrize(("recorded_windows", "said"), [(2, "1 window is"), (1, "2 windows are")])
def test_a_record_that_is_older_than_the_windows_says_so(tmp_path: Path, recorded_windows: int, said: str) -> None:
    """It was interrupted, gone on with, and killed then."""
    load = with_record(tmp_path / "run", recorded_windows)
    command = f"{load.command()} --resume {tmp_path}/run"
    told, data = reported(tmp_path / "run")
    assert told.stderr.splitlines() == [NEWER.format(said), f"go on with it: {command}"]
    assert data["resume"] == {"command": command, "newer_windows": 3 - recorded_windows}


def test_what_may_be_left_on_servers_is_told_with_and_without_a_record(tmp_path: Path) -> None:
    with_record(tmp_path / "run", 3)
    note(tmp_path / "run", "bench0123456789")
    left = "what it stored may still be on its servers, under the namespace bench0123456789, see docs/"
    told, _ = reported(tmp_path / "run")
    assert told.stderr.splitlines()[1].startswith(left)
    (tmp_path / "run" / "run.json").unlink()
    refused = CliRunner().invoke(report, [str(tmp_path / "run")], standalone_mode=False)
    assert f"was cut short ({left}" in str(refused.exception)


def test_a_record_that_is_complete_is_all_that_there_is(tmp_path: Path) -> None:
    with_record(tmp_path / "run", 3, cut_short=False)
    told, data = reported(tmp_path / "run")
    assert told.stderr == ""
    assert "resume" not in data


def test_pairs_are_not_gone_on_with(tmp_path: Path) -> None:
    with_record(tmp_path / "run", 3)
    path = tmp_path / "run" / WINDOWS
    head, *rest = path.read_text(encoding="utf-8").splitlines()
    data = json.loads(head)
    data["command"] += " --against cache=local"
    path.write_text("\n".join([json.dumps(data), *rest]) + "\n", encoding="utf-8")
    told, _ = reported(tmp_path / "run")
    assert told.stderr == ""


@pytest.mark.parametrize("what", ["build", "damage"])
def test_why_a_run_is_not_gone_on_with_is_said_and_its_page_is_written(tmp_path: Path, what: str) -> None:
    with_record(tmp_path / "run", 3)
    path = tmp_path / "run" / WINDOWS
    lines = path.read_text(encoding="utf-8").splitlines()
    if what == "build":
        head = json.loads(lines[0])
        head["identity"]["build"] = "other"
        lines[0] = json.dumps(head)
    else:
        lines[3] = "{}"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    told, data = reported(tmp_path / "run")
    assert told.stderr.startswith("stackproof: it cannot be gone on with: ")
    assert ("another build" if what == "build" else "is damaged in line 4") in told.stderr
    assert "resume" not in data
    assert (tmp_path / "run" / "measurement.html").is_file()


# -- a search -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Searched:
    directory: Path
    load: Load
    found: Search
    result: Measurement


def searched(directory: Path, options: str, *, took: float = 0.0, recorded_windows: int | None = None) -> Searched:
    """A search over a simulated server, each window of which takes so long, with the record of so many of its windows."""
    one = asked(options)
    load = load_of(one)
    assert one.find is not None
    settings = one.find.settings(load.order, load.promises)
    directory.mkdir()
    identity = load.identity() | {"digests": {}}
    log = WindowLog(directory, identity, load.command())
    windows = list(log.begin())
    ticks = itertools.count(0.0, took)

    def keep(step: Step, one: Offered) -> None:
        windows.append(window_of(str(step.role), one, CHECK))
        log.keep(windows[-1], CHECK)

    def offer(order: Order) -> Offered:
        return simulated_window(order, callers=2, service=0.002)

    path = directory / JOURNAL
    found = find_ceiling(offer, settings, path, identity, keep=keep, clock=lambda: next(ticks))
    part = replace(found, journal=found.journal[:recorded_windows])
    result = measured(part, settings, load, windows, CHECK, replace(FACTS, load={**LOAD, "rate": 100.0}))
    keep_record(directory, result)
    return Searched(directory, load, found, result)


def keep_record(directory: Path, result: Measurement) -> None:
    (directory / "run.json").write_text(to_json(result), encoding="utf-8")


def without(words: Sequence[str], *names: str) -> list[str]:
    """A command's words without these options and their values."""
    return [word for before, word in itertools.pairwise(["", *words]) if word not in names and before not in names]


USED = [
    pytest.param("--max-steps 7", 0.0, "--max-steps", "14", id="steps"),
    pytest.param("--max-minutes 1", 10.0, "--max-minutes", "2", id="time"),
]


@pytest.mark.parametrize(("budget", "took", "option", "larger"), USED)
def test_a_search_whose_budget_is_used_up_goes_on_with_a_larger_one_and_with_no_other(
    tmp_path: Path, budget: str, took: float, option: str, larger: str
) -> None:
    one = searched(tmp_path / "a run", f"{SEARCH} {budget}", took=took)
    command = going_on(one.directory, one.load.command())
    words = command.split()
    assert words[words.index(option) + 1] == larger
    assert without(words, option)[:-3] == without(one.load.command().split(), option)
    assert command.endswith(f"--resume '{one.directory}'")
    with pytest.raises(ConfigurationError) as refused:
        go_on(one.directory, f"{SEARCH} {budget}")
    assert re.fullmatch(
        rf"the search in .* has used \d+ windows and .* s: to go on, {option} must be larger; type: (.*)",
        str(refused.value),
    )
    assert str(refused.value).endswith(command)
    assert go_on(one.directory, f"{SEARCH} {option} {larger}") == one.directory
    told, data = reported(one.directory)
    assert told.stderr == f"go on with it: {command}\n"
    assert data["resume"] == {"command": command, "newer_windows": 0}


def test_no_budget_is_larger_than_can_be_asked_for(tmp_path: Path) -> None:
    one = searched(tmp_path / "run", f"{SEARCH} --max-minutes 1440", took=86_400.0)
    assert going_on(one.directory, one.load.command()) == ""
    with pytest.raises(ConfigurationError, match="--max-minutes must be larger; begin a new run"):
        go_on(one.directory, f"{SEARCH} --max-minutes 1440")
    told, _ = reported(one.directory)
    assert told.stderr == ""


def test_a_search_whose_budget_is_used_up_and_that_has_no_record_is_told_the_same(tmp_path: Path) -> None:
    one = searched(tmp_path / "run", f"{SEARCH} --max-steps 7")
    (one.directory / "run.json").unlink()
    told = CliRunner().invoke(report, [str(one.directory)], standalone_mode=False)
    assert str(told.exception).endswith(going_on(one.directory, one.load.command()))
    assert "--max-steps 14" in str(told.exception)


def test_a_record_of_a_search_that_is_older_says_so_and_what_no_journal_knows_does_not_count(tmp_path: Path) -> None:
    one = searched(tmp_path / "run", f"{SEARCH} --max-steps 7", recorded_windows=5)
    told, data = reported(one.directory)
    assert told.stderr.splitlines()[0] == NEWER.format("2 windows are")
    assert data["resume"]["newer_windows"] == 2
    journal = one.directory / JOURNAL
    lines = journal.read_text(encoding="utf-8").splitlines()
    journal.write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")  # killed before the last window was judged
    assert reported(one.directory)[1]["resume"]["newer_windows"] == 1


def test_a_search_that_has_ended_without_an_answer_is_not_gone_on_with(tmp_path: Path) -> None:
    one = searched(tmp_path / "run", SEARCH)
    keep_record(one.directory, replace(one.result, limiter="not-converged"))
    told, data = reported(one.directory)
    assert told.stderr == ""
    assert "resume" not in data
    with pytest.raises(ConfigurationError, match="has ended, and has nothing more to measure; begin a new run"):
        go_on(one.directory, SEARCH)
    (one.directory / "run.json").unlink()
    assert go_on(one.directory, SEARCH) == one.directory, "killed before its record: that is made"


# -- the option that was given --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--against interactions=postgres", "--against interactions=postgres: the scenario cache-hot uses no inter"),
        ("--backend interactions=postgres", "--backend interactions=postgres: the scenario cache-hot uses no inter"),
        ("--against cache=local --against cache=redis", "--against names cache more than once"),
    ],
)
def test_a_backend_that_does_not_fit_is_told_by_the_option_that_was_given(options: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        run(asked(f"--stack memory --scenario cache-hot {options}"))
    assert str(refused.value).startswith(said)
