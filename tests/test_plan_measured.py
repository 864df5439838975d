"""Ceilings in short: what a run shows of latency, the file that comes with the package, and runs of one's own."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from plan_samples import MEASURED
from planning_samples import ceiling
from test_measured_ceilings import FOUND, fixed, searched

import stackproof.planning
from stackproof.interfaces import ConfigurationError
from stackproof.measurement.ceiling_record import StepRow
from stackproof.measurement.record import to_json as run_json
from stackproof.planning import measured
from stackproof.planning.ceilings import ceiling_of
from stackproof.planning.measured import from_json, known_ceilings, main, shipped, to_json

FOLDER = Path(stackproof.planning.__file__).parent


def step(number: int, role: str, rate: float, p99: float | None, verdict: str = "holds") -> StepRow:
    return StepRow(number, role, "backends", rate, 10.0, 64, 1, 1, rate, 1.0, p99, 0.1, verdict, "", "")


def test_a_search_shows_the_latency_of_each_rate_that_held() -> None:
    steps = (
        step(1, "calibrate", 50, 0.1),
        step(2, "ramp", 100, 2.0),
        step(3, "ramp", 200, 4.0),
        step(4, "ramp", 800, 90.0, "fails"),
        step(5, "confirm", 400, 9.0),
        step(6, "confirm", 400, 11.0),
    )
    found = ceiling_of(searched(replace(FOUND, steps=steps)))
    assert found.p99_at == ((100, 2.0), (200, 4.0), (400.0, 11.0))


def test_a_rate_that_was_held_shows_the_worst_of_its_windows() -> None:
    run = fixed()
    worst = max(window.latency["counted"].p99 or 0.0 for window in run.measured)
    assert ceiling_of(run).p99_at == ((ceiling_of(run).low, worst),)


def test_a_window_without_a_p99_shows_none() -> None:
    steps = (step(1, "confirm", 400, None), step(2, "confirm", 400, 2.0))
    assert ceiling_of(searched(replace(FOUND, steps=steps))).p99_at == ()


def test_the_file_of_ceilings_keeps_its_schema() -> None:
    schema = json.loads((FOLDER / "measured.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(to_json(MEASURED)), schema)
    for file in (FOLDER / "measured").glob("*.json"):
        jsonschema.validate(json.loads(file.read_text(encoding="utf-8")), schema)


def test_what_comes_with_the_package_may_all_be_used() -> None:
    assert all(one.valid and one.origin in ("embedded", "container") for one in shipped())


def test_nothing_that_must_not_be_used_gets_into_the_file() -> None:
    with pytest.raises(ValueError, match="it was cut short"):
        to_json([ceiling(1, 2, refused=("it was cut short",))])
    text = to_json([ceiling(1, 2)]).replace('"native"', '"emulator"')
    with pytest.raises(ValueError, match="fidelity"):
        from_json(text, "file")


def test_a_command_makes_the_file_from_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(measured, "__file__", str(tmp_path / "measured.py"))
    (tmp_path / "measured").mkdir()
    run = tmp_path / "one"
    run.mkdir()
    (run / "run.json").write_text(run_json(searched()), encoding="utf-8")
    assert main(["here.json", str(run)]) == 0
    found = from_json((tmp_path / "measured" / "here.json").read_text(encoding="utf-8"), "here.json")
    assert [(one.low, one.high, one.run) for one in found] == [(400.0, 420.0, "id")]
    (run / "run.json").write_text(run_json(searched(interrupted=True)), encoding="utf-8")
    assert main(["here.json", str(run)]) == 2
    assert "it was cut short" in capsys.readouterr().err
    assert main(["here.json", str(tmp_path / "none")]) == 2
    (run / "run.json").write_text(run_json(searched()), encoding="utf-8")
    elsewhere = tmp_path / "elsewhere"
    assert main([str(elsewhere / "mine.json"), str(run)]) == 2
    assert "its directory does not exist" in capsys.readouterr().err
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert main([str(elsewhere / "mine.json"), str(run)]) == main(["./here.json", str(run)]) == 0
    assert sorted(file.name for file in elsewhere.iterdir()) == ["here.json", "mine.json"], "where it was told to write"
    assert [file.name for file in (tmp_path / "measured").iterdir()] == ["here.json"]
    assert f"written: {elsewhere / 'mine.json'}" in capsys.readouterr().out
    assert main([]) == 2


def test_own_runs_are_read_and_what_is_damaged_is_named(tmp_path: Path) -> None:
    for name, text in (("good", run_json(searched())), ("bad", "{")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(text, encoding="utf-8")
    known = known_ceilings(tmp_path, with_shipped=False)
    assert [one.run for one in known.own] == ["id"]
    assert [one.name for one in known.unreadable] == ["bad"]
    assert known_ceilings(tmp_path / "none", with_shipped=False).all == ()


def test_a_run_that_is_no_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"holds no run\.json"):
        measured.usable([tmp_path])


def test_a_pipe_in_the_place_of_a_record_is_told_and_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "odd").mkdir()
    os.mkfifo(tmp_path / "odd" / "run.json")
    found = known_ceilings(tmp_path)
    assert [(one.name, "is no file" in one.reason) for one in found.unreadable] == [("odd", True)]


def test_what_served_a_backend_is_in_the_file_where_it_is_known() -> None:
    served = ceiling(1, 2, engines=(("interactions=postgres", "postgres"),))
    text = to_json([served, ceiling(3, 4)])
    assert from_json(text, "x.json") == (served, ceiling(3, 4))
    assert text.count("engines") == 1, "a file that is older than it is written as it was"
    kept = (FOLDER / "measured" / "reference.json").read_text(encoding="utf-8")
    assert to_json(from_json(kept, "reference.json")) == kept
