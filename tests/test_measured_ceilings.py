"""Kept runs as measured ceilings: what each kind of run gives, and what is never used."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from ceiling_samples import BACKENDS, FOUND, SERVER, fixed, searched
from hypothesis import given, settings
from hypothesis import strategies as st
from planning_samples import ceiling

from stackproof.measurement.ceiling_record import UNCONFIRMED, StepRow
from stackproof.measurement.promises import PromiseResult
from stackproof.measurement.record import Measurement, to_json
from stackproof.measurement.search_journal import Limiter
from stackproof.planning.capacity import promised, upper
from stackproof.planning.ceilings import MeasuredCeiling, ceiling_of, promise_of, read_ceilings
from stackproof.planning.choosing import latest


def with_backend(**changes: Any) -> Measurement:
    return searched(backends=(replace(BACKENDS[0], **changes), BACKENDS[1]))


# -- what a run gives -----------------------------------------------------------------------------------------------


def test_a_search_gives_its_bracket() -> None:
    found = ceiling_of(searched())
    assert found.valid, found.refused
    assert (found.low, found.high, found.limiter, found.searched) == (400.0, 420.0, "slo", True)
    assert found.backends == ("cache=redis", "events=redis")
    assert (found.scenario, found.unit, found.origin, found.run) == ("decision", "decisions/s", "embedded", "id")
    assert found.promises == ("p99 within 20 ms",)
    assert (found.fidelity, found.date) == ("native", "2026-01-02T03:04:05+00:00")


def test_where_the_client_is_the_limit_the_upper_end_is_unknown() -> None:
    found = ceiling_of(searched(replace(FOUND, limiter="client")))
    assert (found.low, found.high, found.valid) == (400.0, None, True)
    assert "at least" in found.sentence


@pytest.mark.parametrize("limiter", ["server", "slo", "quota", "error"])
def test_whatever_else_limits_bounds_from_above(limiter: str) -> None:
    assert ceiling_of(searched(replace(FOUND, limiter=limiter))).high == 420.0


def test_a_search_that_held_nothing_and_refuted_a_rate_is_an_interval_from_nothing() -> None:
    found = ceiling_of(searched(replace(FOUND, holds=0.0)))
    assert (found.low, found.high, found.valid) == (0.0, 420.0, True)


def test_that_no_rate_has_figures_is_no_fault_of_a_search_that_refuted_one() -> None:
    none = replace(FOUND, holds=0.0, confirming_windows=0, achieved=None, p99_ms=None)
    found = ceiling_of(searched(none, invalid=(UNCONFIRMED,)))
    assert (found.low, found.high, found.valid) == (0.0, 420.0, True)
    assert "was shown to hold no rate, and fails at 420/s" in found.sentence
    assert not ceiling_of(searched(none, invalid=(UNCONFIRMED, "3 answers of backends were wrong."))).valid
    assert not ceiling_of(searched(replace(none, confirmed=False), invalid=(UNCONFIRMED,))).valid


def test_a_server_that_is_too_slow_for_one_caller_is_refuted_at_what_it_did_for_that_one() -> None:
    idle = replace(
        FOUND, holds=0.0, fails=None, confirmed=False, confirming_windows=0, steps=(probe(1, 5.9), probe(2, 5.1))
    )
    found = ceiling_of(searched(idle, invalid=(UNCONFIRMED,)))
    assert found.valid, found.refused
    assert (found.low, found.high) == (0.0, 5.9)
    of_another_cause = tuple(
        (probe(1, 5.9), replace(probe(2, 5.1), cause=cause)) for cause in ("server", "quota", "error", "client")
    )
    for steps in ((), idle.steps[:1], (probe(1, 5.9), probe(2, 5.1, verdict="holds")), *of_another_cause):
        assert not ceiling_of(searched(replace(idle, steps=steps), invalid=(UNCONFIRMED,))).valid


def probe(number: int, achieved: float, verdict: str = "fails") -> StepRow:
    return step(number, "probe", 200.0, verdict, achieved=achieved)


def step(number: int, role: str, rate: float, verdict: str, achieved: float = 0.0) -> StepRow:
    p99 = 9.0 if verdict == "holds" else 90.0
    return StepRow(
        number, role, "backends", rate, 3.0, 64, 600, 600, achieved or rate, 5.0, p99, 0.2, verdict, "slo", "A window."
    )


def unfinished(*windows: tuple[Any, ...]) -> MeasuredCeiling:
    """Of a search that did not converge; windows as rate, verdict and, where it is another one, what was achieved."""
    steps = tuple(step(number, "bisect", *window) for number, window in enumerate(windows, 1))
    return ceiling_of(
        searched(
            replace(
                FOUND,
                limiter="not-converged",
                confirmed=False,
                confirming_windows=0,
                achieved=None,
                p99_ms=None,
                steps=steps,
            ),
            invalid=(UNCONFIRMED,),
        )
    )


@pytest.mark.parametrize(
    ("windows", "low", "high"),
    [
        # Three held at 100/s or above it, and nothing at or below it did not.
        ([(100.0, "holds"), (200.0, "holds"), (400.0, "holds"), (800.0, "fails")], 100.0, None),
        ([(100.0, "holds"), (200.0, "holds"), (200.0, "holds"), (200.0, "holds"), (800.0, "fails")], 200.0, None),
        # The generator's own failing says nothing about the server, and nothing about what lies above it.
        ([(100.0, "holds"), (200.0, "holds"), (400.0, "holds"), (800.0, "client-limited")], 100.0, None),
        ([(50.0, "not-steady"), (100.0, "holds"), (200.0, "holds"), (400.0, "holds")], 0.0, None),
        # The same from above.
        ([(800.0, "fails"), (400.0, "fails"), (200.0, "fails"), (100.0, "holds")], 0.0, 800.0),
        ([(800.0, "fails"), (800.0, "fails"), (400.0, "fails"), (600.0, "holds")], 0.0, 800.0),
        ([(800.0, "fails"), (700.0, "client-limited"), (600.0, "fails")], 0.0, None),
        ([(100.0, "holds")] * 3 + [(200.0, "fails")] * 3, 100.0, 200.0),
        # What held at first and failed later holds nowhere.
        ([(100.0, "holds")] * 3 + [(100.0, "fails")] * 3, 0.0, None),
        # A rate did not hold although a higher one did: what was served then is all that is sure.
        ([(60.0, "holds")] * 3 + [(100.0, "holds")] * 3 + [(80.0, "fails", 30.0)], 0.0, None),
        ([(60.0, "holds")] * 3 + [(100.0, "holds")] * 3 + [(80.0, "fails", 70.0)], 60.0, None),
        # Beyond all that held, serving less is what an overload looks like.
        ([(60.0, "holds")] * 3 + [(200.0, "fails", 30.0)], 60.0, None),
    ],
)
def test_of_a_search_that_did_not_converge_windows_at_several_rates_add_up(
    windows: list[tuple[Any, ...]], low: float, high: float | None
) -> None:
    found = unfinished(*windows)
    assert (found.low, found.high) == (low, high)
    assert found.valid is (low > 0 or high is not None)


def test_a_search_that_was_not_done_in_time_counts_like_a_rate_that_was_held() -> None:
    found = unfinished(*[(100.0, "holds")] * 3)
    assert not found.searched
    assert "holds 100/s; the search did not converge on where that ends" in found.sentence
    assert (promised(found, 20.0), promised(found, 5.0)) == (100.0, None)
    done = ceiling_of(searched(replace(FOUND, holds=50.0, fails=52.0)))
    assert latest([found, done]) is done


def test_what_such_a_search_failed_at_may_be_its_promise() -> None:
    found = unfinished(*[(800.0, "fails")] * 3)
    assert "does not hold 800/s; the search did not converge on what it holds" in found.sentence
    assert (upper(found, 20.0), upper(found, 50.0)) == (800.0, None)


def test_where_nothing_failed_the_upper_end_is_unknown() -> None:
    assert ceiling_of(searched(replace(FOUND, fails=None, limiter="client"))).high is None


def test_windows_at_a_fixed_rate_that_was_held_give_a_lower_bound_only() -> None:
    run = fixed()
    slowest = replace(run.windows[0], rates={"offered": 100.0, "achieved": 99.0})
    found = ceiling_of(replace(run, windows=(run.windows[0], slowest, run.windows[0])))
    assert found.valid, found.refused
    assert (found.low, found.high, found.limiter, found.searched) == (99.0, None, "none", False)
    assert found.promises == ("p99 within 20 ms",)
    assert "more was not offered" in found.sentence


def test_every_backend_and_the_worst_fidelity_are_told() -> None:
    assert ceiling_of(with_backend(fidelity="compatible-engine")).fidelity == "compatible-engine"
    assert ceiling_of(with_backend(fidelity="compatible-engine")).valid


def test_what_served_each_backend_comes_along_where_the_run_tells() -> None:
    backends = (replace(BACKENDS[0], server="redis-cluster"), replace(BACKENDS[1], server="old"))
    servers = (
        {"name": "redis-cluster", "fidelity": "native", "technology": "valkey"},
        {"name": "old", "fidelity": "native"},
    )
    found = ceiling_of(searched(backends=backends, servers=servers))
    assert found.engines == ((BACKENDS[0].target, "valkey"),)
    assert (found.engine(BACKENDS[0].target), found.engine(BACKENDS[1].target)) == ("valkey", "")


def test_the_warnings_of_the_run_come_along() -> None:
    warning = "The generator was not checked: these figures are not to be published."
    assert ceiling_of(searched(warnings=(warning,))).warnings == (warning,)


# -- what is never used ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "because"),
    [
        (with_backend(fidelity="emulator"), "it was measured on an emulator, whose speed is no evidence"),
        (
            searched(servers=(SERVER, {**SERVER, "name": "aws", "fidelity": "emulator"})),
            "it was measured on an emulator, whose speed is no evidence",
        ),
        (with_backend(fidelity="simulated"), "its fidelity 'simulated' is not known"),
        (with_backend(certificate=""), "there is no certificate that events=redis keeps its contract"),
        (searched(backends=()), "it names no backend"),
        (searched(invalid=("3 answers of backends were wrong.",)), "it is invalid: 3 answers of backends were wrong."),
        (
            searched(calibration={**fixed().calibration, "stub": None}),
            "its generator was not checked against a server of known",
        ),
        (searched(complete=False), "it was cut short"),
        (searched(interrupted=True), "it was cut short"),
        (searched(replace(FOUND, invalid=("wrong answers",))), "it is invalid: wrong answers"),
        (searched(replace(FOUND, limiter="not-converged")), "its search did not converge: latency is the limit"),
        (searched(replace(FOUND, limiter="fate")), "its limiter 'fate' is not known"),
        (searched(replace(FOUND, confirmed=False)), "the ends of its bracket were not confirmed in fresh windows"),
        (
            searched(replace(FOUND, holds=0.0, fails=0.0, confirmed=False)),
            "the ends of its bracket were not confirmed in fresh windows",
        ),
        (searched(replace(FOUND, holds=math.nan)), "its figures are no rates"),
        (searched(replace(FOUND, holds=math.inf, fails=None)), "its figures are no rates"),
        (searched(replace(FOUND, holds=-1.0)), "its figures are no rates"),
        (searched(replace(FOUND, fails=399.0)), "its figures are no rates"),
        (searched(replace(FOUND, fails=math.nan)), "its figures are no rates"),
        (fixed(windows=2), "2 windows at a fixed rate are too few to rest on: 3 are needed"),
        (fixed(load={"arrivals": "closed"}), "its callers waited for their answers (closed loop), so that no rate was"),
        (
            replace(fixed(), windows=tuple(replace(w, limiter="server") for w in fixed().windows)),
            "its fixed rate was not held",
        ),
        (
            fixed(slo=(PromiseResult(99.0, 20.0, 9.0, "held"), PromiseResult(50.0, 2.0, 3.0, "missed"))),
            "its promise of latency was not shown to be kept",
        ),
        (
            replace(fixed(), windows=(*fixed().windows, replace(fixed().windows[0], limiter="error"))),
            "its fixed rate was not",
        ),
        (fixed(slo=(PromiseResult(99.0, 20.0, 30.0, "missed"),)), "its promise of latency was not shown to be kept"),
        (fixed(slo=(PromiseResult(99.0, 20.0, None, "unknown"),)), "its promise of latency was not shown to be kept"),
    ],
)
def test_what_must_not_be_used_says_why(run: Measurement, because: str) -> None:
    found = ceiling_of(run)
    assert not found.valid
    assert [reason for reason in found.refused if reason.startswith(because)], found.refused


def test_a_run_that_must_not_be_used_is_still_named() -> None:
    assert ceiling_of(with_backend(certificate="")).run == "id"


@settings(deadline=None)
@given(
    limiter=st.sampled_from([*Limiter]),
    confirmed=st.booleans(),
    complete=st.booleans(),
    certificate=st.sampled_from(["", "c"]),
    fidelity=st.sampled_from(["native", "compatible-engine", "emulator"]),
    invalid=st.sampled_from([(), ("wrong",)]),
)
def test_only_a_sound_run_is_valid(
    limiter: Limiter, confirmed: bool, complete: bool, certificate: str, fidelity: str, invalid: tuple[str, ...]
) -> None:
    run = replace(
        SOUND,
        ceiling=replace(FOUND, limiter=str(limiter), confirmed=confirmed),
        complete=complete,
        invalid=invalid,
        backends=(replace(BACKENDS[0], certificate=certificate, fidelity=fidelity),),
    )
    sound = (
        limiter is not Limiter.NOT_CONVERGED
        and confirmed
        and complete
        and certificate
        and fidelity != "emulator"
        and not invalid
    )
    assert ceiling_of(run).valid is bool(sound)


SOUND = searched()


# -- records on disk ------------------------------------------------------------------------------------------------


def test_records_are_read_and_damaged_ones_are_told_apart() -> None:
    good = to_json(searched())
    no_date = json.dumps({**json.loads(good), "created": "yesterday"})
    no_unit = json.dumps({**json.loads(good), "scenario": {"name": "x"}})
    found, unreadable = read_ceilings(
        {"a": good, "b": "{", "c": '{"schema": "else"}', "d": "[]", "e": no_date, "f": no_unit, "g": good[:-20]}
    )
    assert [one.run for one in found] == ["id"]
    assert [one.name for one in unreadable] == ["b", "c", "d", "e", "f", "g"]
    assert all(one.reason.startswith(f"{one.name} cannot be read as a run of load: ") for one in unreadable)


@pytest.mark.parametrize("field", sorted(json.loads(to_json(SOUND))))
@pytest.mark.parametrize("value", [None, 5, "text", [], {}, [5]])
def test_no_damage_ends_the_reader(field: str, value: object) -> None:
    damaged = json.dumps({**json.loads(to_json(SOUND)), field: value})
    found, unreadable = read_ceilings({"a": damaged, "b": to_json(SOUND)})
    assert len(found) + len(unreadable) == 2
    assert found[-1] == ceiling_of(SOUND)


# -- records that are only nearly some, and what is told ---------------------------------------------------------------


@pytest.mark.parametrize(("field", "value"), [("p99_ms", []), ("p99_ms", "x"), ("promises", None), ("promises", [1])])
def test_what_is_only_nearly_a_record_is_none(field: str, value: object) -> None:
    data = json.loads(to_json(searched()))
    data["ceiling"][field] = value
    found, unreadable = read_ceilings({"near": json.dumps(data), "sound": to_json(searched())})
    assert [one.run for one in found] == ["id"]
    assert [one.name for one in unreadable] == ["near"]


def test_a_sentence_has_the_rate_the_limiter_the_promise_and_the_run() -> None:
    found: MeasuredCeiling = ceiling(412, 433)
    for part in ("412/s", "433/s", "slo", "p99 within 20 ms", found.run, "2026-01-02", "native", "embedded", "ingest"):
        assert part in found.sentence
    assert "without a promise of latency" in ceiling(1, 2, promises=()).sentence


@pytest.mark.parametrize(
    ("name", "promise"),
    [
        ("p99 within 20 ms", (99.0, 20.0)),
        ("p99.9 within 0.5 ms", (99.9, 0.5)),
        *(
            (name, (0.0, math.inf))
            for name in ("", "p99", "p99 within nan ms", "pnan within 20 ms", "p99 within inf ms")
        ),
        *((name, (0.0, math.inf)) for name in ("p99 within -1 ms", "p0 within 20 ms", "p100 within 20 ms")),
    ],
)
def test_what_is_no_promise_promises_nothing(name: str, promise: tuple[float, float]) -> None:
    assert promise_of(name) == promise
