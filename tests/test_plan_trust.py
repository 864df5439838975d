"""What a plan says of the own runs that it rests on: made by something else, dated in the future, far from ours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ceiling_samples import searched
from plan_samples import BOOK, FACTS, MEASURED, asked, known, one, workload

from stackproof.measurement.record import to_json
from stackproof.planning.ceilings import MeasuredCeiling
from stackproof.planning.choosing import latest
from stackproof.planning.kept_runs import unlike
from stackproof.planning.measured import from_json, known_ceilings
from stackproof.planning.measured import to_json as ceilings_json
from stackproof.planning.planner import Question, make_plan

OWN = one("interactions", "postgres", "ingest", 1_400, 1_600, run="mine")


def warnings_with(*own: MeasuredCeiling) -> list[str]:
    question = Question(workload(1_000_000), asked(20.0))
    made = make_plan(question, known(*own, shipped=MEASURED), BOOK, FACTS)
    return [warning for warning in made.warnings if warning.startswith("run mine")]


def test_a_run_that_was_made_as_things_are_here_is_no_reason_to_warn() -> None:
    assert warnings_with(OWN) == []


def test_a_run_of_another_version_or_machine_is_used_and_told() -> None:
    assert warnings_with(replace(OWN, unlike=("it was made by stackproof 0.0.1, and this is 9",))) == [
        "run mine counts, but it was made by stackproof 0.0.1, and this is 9"
    ]


@pytest.mark.parametrize("factor", [0.1, 10.0])
def test_a_run_that_is_far_from_that_of_the_package_is_told(factor: float) -> None:
    (warning,) = warnings_with(replace(OWN, low=1_500 * factor, high=1_600 * factor))
    assert warning.endswith("of the same: one of them may have measured something else")
    assert "ingest-postgres, which came with the package" in warning
    assert warnings_with(replace(OWN, low=1_500 * factor, high=1_600 * factor, promises=())) == []


def test_a_run_of_the_future_is_the_oldest_and_told() -> None:
    future = replace(OWN, run="mine-2999", date="2999-01-01T00:00:00+00:00", low=4_000.0, high=4_400.0)
    now = known(future, OWN).as_of(1_793_500_000.0)
    assert latest(now.own) == OWN
    assert latest((future, OWN)) == future, "which was the newest"
    assert warnings_with(future, OWN) == [
        "run mine-2999 is of 2999-01-01, which is in the future: it counts as the oldest"
    ]


def test_what_differs_is_read_from_the_runs_and_in_no_file_of_the_package(tmp_path: Path) -> None:
    run = searched(version="1", suite_digest="b", environment={"cpu": "A"})
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "run.json").write_text(to_json(run), encoding="utf-8")
    for version, build, machine, said in (
        ("1", "b", {"cpu": "A"}, []),
        ("2", "b", {"cpu": "A"}, ["it was made by stackproof 1, and this is 2"]),
        ("1", "c", {"cpu": "A"}, ["it was made by another build: its contracts are not those of this one"]),
        ("1", "b", {"cpu": "B"}, ["it was made in another environment: cpu was A, and is B"]),
    ):
        found = known_ceilings(
            tmp_path,
            with_shipped=False,
            unlike=lambda run, v=version, b=build, m=machine: unlike(run, v, b, m),  # type: ignore[misc]
        )
        assert list(found.own[0].unlike) == said
        (again,) = from_json(ceilings_json(found.own), "a file")
        assert again.unlike == ()
