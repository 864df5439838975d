"""Which kept runs an audit rests on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ceiling_samples import FOUND, searched

from stackproof.measurement.promises import Promise
from stackproof.measurement.record import to_json
from stackproof.planning.kept_runs import Here, sift

RUN = searched(environment={"cores": "2", "python": "CPython 3.11.0"})
HERE = Here(RUN.version, RUN.suite_digest, RUN.environment, "container", (Promise(99, 20),))


def sifted(here: Here = HERE, **changes: Any):
    return sift({"runs/a": to_json(replace(RUN, **changes))}, here)


def test_a_run_of_this_build_machine_and_promise_counts_from_wheels_and_from_containers() -> None:
    for origin in ("embedded", "container"):
        kept = sifted(origin=origin)
        assert [one.run for one in kept.ceilings] == ["id"]
        assert kept.left_out == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": "0.0.1"}, "stackproof 0.0.1"),
        ({"suite_digest": "other"}, "another build"),
        ({"environment": {**RUN.environment, "cores": "999"}}, "cores was 999"),
        ({"environment": {"cores": "2"}}, "python was not there"),
        ({"environment": {}}, "does not say where it was made"),
        ({"environment": {**RUN.environment, "hypervisor": "x"}}, "hypervisor was x, and is not there"),
        ({"origin": "external"}, "of the origin external"),
        ({"ceiling": replace(FOUND, promises=("p99 within 50 ms",))}, "with p99 within 50 ms, and the question is"),
        ({"ceiling": replace(FOUND, promises=())}, "without a promise of latency"),
        ({"ceiling": None, "slo": ()}, "without a promise of latency"),
    ],
)
def test_a_run_that_answers_another_question_is_left_out_with_the_reason(changes: dict[str, Any], words: str) -> None:
    kept = sifted(**changes)
    assert kept.ceilings == ()
    (out,) = kept.left_out
    assert out.run == "id"
    assert words in out.reason


def test_a_driver_that_a_run_does_not_tell_of_was_no_part_of_it() -> None:
    later = replace(HERE, machine={**HERE.machine, "a driver of something else": "1.0"})
    assert [one.run for one in sifted(later).ceilings] == ["id"]


def test_the_users_own_servers_are_another_question_than_ours() -> None:
    external = replace(HERE, origin="external")
    assert sifted(external).ceilings == ()
    assert len(sifted(external, origin="external").ceilings) == 1


def test_a_run_that_must_not_be_used_is_both_left_out_and_there_for_the_finding_to_say_so() -> None:
    kept = sifted(interrupted=True)
    assert [one.valid for one in kept.ceilings] == [False]
    assert [one.reason for one in kept.left_out] == ["it was cut short"]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": "stackproof-measurement/2"}', '{"schema": 7}'])
def test_what_is_damaged_hides_nothing_else(text: str) -> None:
    kept = sift({"runs/bad": text, "runs/a": to_json(RUN)}, HERE)
    assert [one.run for one in kept.ceilings] == ["id"]
    assert [out.run for out in kept.left_out] == ["runs/bad"]


def test_a_run_that_was_kept_twice_counts_once() -> None:
    kept = sift({"runs/a": to_json(RUN), "runs/b": to_json(RUN)}, HERE)
    assert len(kept.ceilings) == 1
    assert "twice" in kept.left_out[0].reason
