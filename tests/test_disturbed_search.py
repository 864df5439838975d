"""A search for the ceiling on a machine that others share: single windows that somebody else spoilt must not decide it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace

import pytest
from simulated_load import SimulatedServer, gaussian, right, searched

from stackproof.measurement.promises import Promise
from stackproof.measurement.search_evidence import FAR_BELOW, Evidence, by_the_server, evidence_of
from stackproof.measurement.search_journal import (
    SHORT,
    Ceiling,
    Entry,
    Limiter,
    Role,
    SearchSettings,
    Seen,
    Step,
    Verdict,
)

PROMISE = Promise.parse("p99=20ms")
LONG = SearchSettings(promises=(PROMISE,))
FORMS = {"long": LONG, "short": replace(SHORT, promises=(PROMISE,))}
SEEDS = 40


def server(seed: int, **changes: object) -> SimulatedServer:
    """Of another speed for each seed."""
    return SimulatedServer(capacity=2_000.0 * 4 ** (seed / SEEDS), noise=gaussian(0.03), seed=seed, **changes)  # type: ignore[arg-type]


def answers(settings: SearchSettings, **changes: object) -> tuple[list[Ceiling], list[float]]:
    """The searches that had a right answer, and how long all of them took, in seconds."""
    answered, times = [], []
    for seed in range(SEEDS):
        it = server(seed, **changes)
        found, journal = searched(it, settings)
        times.append(sum(entry.took for entry in journal))
        if found.limiter is not Limiter.NOT_CONVERGED and right(found.holds, found.fails, it.knee(PROMISE)):
            answered.append(found)
    return answered, times


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("window", [1, 2, 3])
def test_one_stall_during_the_ramp_costs_a_few_windows_and_not_the_answer(form: str, window: int) -> None:
    usual, undisturbed = answers(FORMS[form])
    disturbed, times = answers(FORMS[form], stalled=(window,))
    assert len(disturbed) >= SEEDS - 1
    assert statistics.median(times) <= 1.7 * statistics.median(undisturbed)
    widths = [[found.fails / found.holds for found in some if found.fails] for some in (usual, disturbed)]
    assert statistics.median(widths[1]) <= statistics.median(widths[0]) * 1.05


@pytest.mark.parametrize("form", FORMS)
def test_a_stall_in_every_twentieth_window_leaves_most_answers(form: str) -> None:
    disturbed, _ = answers(FORMS[form], stalls=0.05)
    assert len(disturbed) >= 0.85 * SEEDS


def test_a_window_that_does_not_count_is_told_with_the_answer() -> None:
    told = 0
    for seed in range(SEEDS):
        found, journal = searched(server(seed, stalled=(2,)), LONG)
        accidents = evidence_of(journal).accidents
        said = [reason for reason in found.reasons if "something else than the rate" in reason]
        assert bool(accidents) == bool(said)
        if said:
            told += 1
            assert "a window at " in said[0]
            assert ("did not hold" in said[0]) is any(map(by_the_server, accidents))
            assert all(entry.step.rate * FAR_BELOW < found.holds for entry in accidents)
    assert told > SEEDS / 2


def test_what_served_everything_but_late_is_offered_again_before_anything_is_concluded_from_it() -> None:
    _, journal = searched(server(1, stalled=(2,)), LONG)
    ramp = [entry for entry in journal if entry.step.role is Role.RAMP]
    assert [entry.verdict for entry in ramp[:3]] == [Verdict.HOLDS, Verdict.FAILS, Verdict.HOLDS]
    assert ramp[1].step.rate == ramp[2].step.rate
    assert "one window may be somebody else's fault" in ramp[2].step.why


def test_a_rate_that_the_server_did_not_serve_is_not_offered_again() -> None:
    first = set()
    for seed in range(SEEDS):
        _, journal = searched(server(seed), LONG)
        number, failed = next((n, entry) for n, entry in enumerate(journal) if entry.verdict is Verdict.FAILS)
        again = journal[number + 1].step
        assert (again.rate == failed.step.rate) is (failed.cause == Limiter.SLO)
        first.add(failed.cause)
    assert first == {Limiter.SLO, Limiter.SERVER}


def seen(script: Sequence[tuple[float, bool]], achieved: float = 1.0) -> tuple[Entry, ...]:
    """Windows as written: rate, and whether it held; what failed served this share of it."""
    step = Step(1, Role.BISECT, 1.0, 4.0, 0.0, 64, "backends", "")
    return tuple(
        Entry(
            replace(step, rate=rate, number=number),
            Seen(400, 400, achieved=rate * (1.0 if held else achieved)),
            Verdict.HOLDS if held else Verdict.FAILS,
            "" if held else "slo",
            ("",),
            4.0,
        )
        for number, (rate, held) in enumerate(script, 1)
    )


HELD = [(3_000.0, True)] * 4


def test_a_failure_far_below_what_holds_is_an_accident_and_one_near_it_is_not() -> None:
    far = evidence_of(seen([(1_000.0, False), *HELD, (4_000.0, True)]))
    assert [entry.step.rate for entry in far.accidents] == [1_000.0]
    assert (far.low, far.high, far.mixed) == (4_000.0, None, [])
    near = evidence_of(seen([(2_500.0, False), *HELD, (4_000.0, True)]))
    assert near.accidents == ()
    assert (near.low, near.mixed) == (3_000.0, [4_000.0])


def test_a_failure_that_was_not_outweighed_counts() -> None:
    found = evidence_of(seen([(1_000.0, False), *HELD[:3]]))
    assert found.accidents == ()
    assert found.low is None


def test_accidents_that_hide_each_other_are_found_one_after_the_other() -> None:
    script = [(500.0, False), (1_500.0, False), *[(1_000.0, True)] * 4, *[(4_000.0, True)] * 4]
    whole = Evidence(tuple((entry, entry.verdict is Verdict.HOLDS) for entry in seen(script)))
    assert whole.low == 1_000.0
    assert [entry.step.rate for entry in evidence_of(seen(script)).accidents] == [500.0, 1_500.0]
    assert evidence_of(seen(script)).low == 4_000.0


def test_a_server_with_two_speeds_is_still_one_where_its_slow_windows_do_not_count() -> None:
    found = evidence_of(seen([(1_000.0, False), (1_000.0, False), *HELD, *HELD], achieved=0.4))
    assert len(found.accidents) == len(found.slow) == 2
