"""The planner of the search for the ceiling, on simulated servers: it ends, it is right, and it says why."""

from __future__ import annotations

import itertools
import json
import random
import statistics
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulated_load import TOLERANCE, SimulatedServer, answered, bimodal, gaussian, quiet, right, searched

from stackproof.measurement.ceiling_record import record_of
from stackproof.measurement.promises import Promise, PromiseResult
from stackproof.measurement.saturation import _limiter, conclude, next_step, time_left
from stackproof.measurement.search_evidence import CONCURRENCY, Evidence, evidence_of
from stackproof.measurement.search_journal import (
    EVIDENCE_ROLES,
    SHORT,
    Ceiling,
    Entry,
    Limiter,
    Role,
    Search,
    SearchSettings,
    Seen,
    Step,
    Verdict,
)
from stackproof.measurement.search_judgement import LEAST_SECONDS, Judgement, judge
from stackproof.measurement.search_steps import promises_of

PROMISE = Promise.parse("p99=20ms")
SETTINGS = SearchSettings(promises=(PROMISE,))
SHORT_SETTINGS = replace(SHORT, promises=(PROMISE,))
SEEDS = 60


# -- what it finds --------------------------------------------------------------------------------------------------


def test_a_quiet_server_is_bracketed_to_five_per_cent_and_both_ends_are_shown() -> None:
    for capacity in (700.0, 2_345.0, 8_000.0, 19_000.0):
        server = SimulatedServer(capacity=capacity)
        ceiling, journal = searched(server, SETTINGS)
        assert right(ceiling.holds, ceiling.fails, server.knee(PROMISE)), (capacity, ceiling)
        assert ceiling.fails is not None
        assert ceiling.fails / ceiling.holds <= 1.06
        assert ceiling.limiter in (Limiter.SERVER, Limiter.SLO)
        assert ceiling.confirmed
        found = evidence_of(journal)
        assert len(found.fresh(ceiling.holds, held=True)) >= 3
        assert len(found.fresh(ceiling.fails, held=False)) >= 2
        assert ceiling.recovery == 2.0
        assert ceiling.interval is not None
        assert ceiling.interval.windows >= 3


def test_the_limiter_is_the_promise_where_the_server_keeps_up_and_is_only_late() -> None:
    ceiling, _ = searched(
        SimulatedServer(service=0.010, capacity=2_000.0), SearchSettings(promises=(Promise(99.0, 12.0),))
    )
    assert ceiling.limiter is Limiter.SLO
    assert ceiling.holds < 0.9 * 2_000


@pytest.mark.parametrize("share", [0.03, 0.10])
def test_with_noise_of_the_windows_the_bracket_contains_the_knee(share: float) -> None:
    good = 0
    for seed in range(SEEDS):
        server = SimulatedServer(noise=gaussian(share), seed=seed)
        ceiling, _ = searched(server, SETTINGS)
        good += right(ceiling.holds, ceiling.fails, server.knee(PROMISE)) and ceiling.limiter in ("server", "slo")
    assert good >= 0.95 * SEEDS


@pytest.mark.parametrize(("noise", "least"), [(0.0, 0.98), (0.03, 0.95), (0.10, 0.90)])
def test_the_short_form_brackets_the_knee_as_surely_and_less_closely(noise: float, least: float) -> None:
    short = SHORT_SETTINGS
    good, factors, times = 0, [], []
    for seed in range(SEEDS):
        capacity = 500.0 * 40 ** (seed / SEEDS)
        server = SimulatedServer(capacity=capacity, noise=gaussian(noise) if noise else quiet, seed=seed)
        ceiling, journal = searched(server, short)
        good += right(ceiling.holds, ceiling.fails, server.knee(PROMISE)) and ceiling.limiter in ("server", "slo")
        if ceiling.fails is not None and ceiling.limiter is not Limiter.NOT_CONVERGED:
            assert ceiling.confirmed
            assert len(evidence_of(journal).fresh(ceiling.holds, held=True)) >= 3
            assert len(evidence_of(journal).fresh(ceiling.fails, held=False)) >= 3
            factors.append(ceiling.fails / ceiling.holds)
        times.append(sum(entry.took for entry in journal if entry.step.role is not Role.CALIBRATION))
    assert good >= least * SEEDS
    assert statistics.median(factors) <= (1.16 if not noise else 1.35)
    assert statistics.median(times) < (75.0 if noise < 0.1 else 90.0)


def test_the_windows_that_confirm_a_short_search_are_long_enough_to_show_whether_they_are_steady() -> None:
    _, journal = searched(SimulatedServer(), SHORT_SETTINGS)
    confirming = [entry.step.seconds for entry in journal if entry.step.role is Role.CONFIRM]
    assert len(confirming) >= 6
    assert min(confirming) >= LEAST_SECONDS
    assert not {Role.OVERLOAD, Role.RECOVERY} & {entry.step.role for entry in journal}


def test_a_short_search_without_time_has_no_answer() -> None:
    ceiling, _ = searched(SimulatedServer(), replace(SHORT, promises=(PROMISE,), most_seconds=30.0))
    assert ceiling.limiter is Limiter.NOT_CONVERGED
    assert not ceiling.confirmed


def test_five_searches_of_a_noisy_server_agree() -> None:
    overlap = close = 0
    groups = 20
    for group in range(groups):
        five = [searched(SimulatedServer(noise=gaussian(0.10), seed=5 * group + n), SETTINGS)[0] for n in range(5)]
        ends = [(ceiling.holds, ceiling.fails) for ceiling in five if ceiling.fails is not None]
        assert len(ends) == 5
        overlap += max(low for low, _ in ends) <= min(high for _, high in ends)
        middles = [(low + high) / 2 for low, high in ends]
        middle = statistics.median(middles)
        close += all(abs(value / middle - 1) <= 0.10 for value in middles)
    assert overlap >= 0.9 * groups
    assert close >= 0.95 * groups


def test_a_generator_that_is_the_limit_is_said_to_be() -> None:
    server = SimulatedServer(client_cost=1e-4)
    ceiling, _ = searched(server, SETTINGS)
    assert ceiling.limiter is Limiter.CLIENT
    assert ceiling.fails is not None
    assert ceiling.holds <= 0.8 / (1e-4 + 1 / 60_000) <= ceiling.fails
    assert any("the server carries at least" in reason for reason in ceiling.reasons)
    assert ceiling.recovery is None


def test_nothing_is_offered_beyond_the_reach_of_the_generator() -> None:
    server = SimulatedServer(capacity=1e6)
    ceiling, journal = searched(server, SETTINGS)
    assert ceiling.limiter is Limiter.CLIENT
    assert ceiling.fails is None
    assert ceiling.generator is not None
    assert 0.9 * 0.8 * 60_000 <= ceiling.generator <= 0.8 * 60_000  # a worker is full at 80 % of a core
    assert max(order.rate for order in server.orders if order.target != "null") <= 0.801 * ceiling.generator
    assert any("within reach of the generator's own ceiling" in reason for reason in ceiling.reasons)
    assert ceiling.confirmed
    assert len(evidence_of(journal).fresh(ceiling.holds, held=True)) == 3


def test_places_in_flight_that_are_too_few_are_raised_where_that_is_allowed() -> None:
    few = SimulatedServer(capacity=1e6, service=0.004)  # 64 in flight reach 16,000/s
    ceiling, journal = searched(few, SETTINGS)
    assert ceiling.limiter is Limiter.CLIENT
    assert ceiling.fails is not None
    assert ceiling.holds <= 16_000 <= ceiling.fails
    assert any("64 places in flight" in reason for reason in ceiling.reasons)
    first = next(entry for entry in journal if entry.step.role is Role.RAMP)
    assert "By Little's law 64 in flight reach 16,000/s" in first.step.why

    ceiling, journal = searched(few, replace(SETTINGS, most_in_flight=256))
    assert ceiling.fails is None
    assert ceiling.holds > 30_000
    assert any(entry.cause == CONCURRENCY for entry in journal)
    assert max(entry.step.in_flight for entry in journal) in (128, 256)


@pytest.mark.parametrize(
    ("error", "limiter"), [("publish: UnavailableError", Limiter.ERROR), ("record: ThrottlingException", Limiter.QUOTA)]
)
def test_errors_from_a_rate_on_are_the_limit(error: str, limiter: Limiter) -> None:
    ceiling, _ = searched(SimulatedServer(errors_from=3_000.0, error=error), SETTINGS)
    assert ceiling.limiter is limiter
    assert right(ceiling.holds, ceiling.fails, 3_000.0)


def test_a_server_that_collapses_is_given_time_to_come_back() -> None:
    server = SimulatedServer(collapses_from=6_000.0, collapsed_windows=1)
    ceiling, journal = searched(server, SETTINGS)
    assert right(ceiling.holds, ceiling.fails, 6_000.0)
    assert ceiling.limiter is Limiter.SERVER
    assert ceiling.confirmed
    for before, after in itertools.pairwise(journal):
        if not before.seen.drained and before.step.role is not Role.RECOVERY:
            assert after.step.role is Role.RECOVERY
            assert after.step.rate <= before.step.rate / 2


def test_a_server_that_never_comes_back_ends_the_search() -> None:
    ceiling, journal = searched(SimulatedServer(collapses_from=6_000.0, never_drains=True), SETTINGS)
    assert ceiling.limiter is Limiter.SERVER
    assert not ceiling.confirmed
    assert ceiling.holds < 6_000 <= (ceiling.fails or 0)
    assert "did not come back" in ceiling.reasons[0]
    assert [entry.step.role for entry in journal[-3:]] == [Role.RECOVERY] * 3


def test_a_promise_that_does_not_hold_even_idle_ends_the_search_at_once() -> None:
    ceiling, journal = searched(SimulatedServer(service=0.05), SETTINGS)
    assert (ceiling.holds, ceiling.limiter) == (0.0, Limiter.SLO)
    assert "already one operation at a time" in ceiling.reasons[0]
    assert ceiling.service_ms == pytest.approx(50, rel=0.2), "it was measured, and is what ends the search"
    assert sum(entry.step.role is Role.PROBE for entry in journal) == 2
    assert not any(entry.step.role is Role.RAMP for entry in journal)


def test_a_server_that_does_too_few_for_a_judgement_is_looked_at_longer() -> None:
    ceiling, journal = searched(SimulatedServer(service=0.6), SHORT_SETTINGS)
    probes = [entry for entry in journal if entry.step.role is Role.PROBE]
    assert [(entry.step.seconds, entry.cause) for entry in probes] == [(3.0, "server"), (12.0, "slo"), (12.0, "slo")]
    assert (ceiling.holds, ceiling.limiter) == (0.0, Limiter.SLO), "what stops it is its latency"


def idle(seen: Seen, settings: SearchSettings = SETTINGS) -> Judgement:
    """The verdict on an idle probe."""
    step = next_step((), settings)
    assert step is not None
    return judge(replace(step, role=Role.PROBE), seen, settings, None, ())


def test_a_generator_that_stood_still_does_not_make_an_idle_server_late() -> None:
    late = Seen(200, 200, service_p50_ms=1.0, service_p99_ms=90.0)
    assert (idle(late).verdict, idle(late).cause) == (Verdict.FAILS, Limiter.SLO)
    blocked = idle(replace(late, blocked=0.3))
    assert (blocked.verdict, blocked.cause) == (Verdict.NOT_STEADY, Limiter.CLIENT)
    assert "the generator itself did not run for 0.30 s" in blocked.reasons[0]
    assert idle(replace(late, blocked=0.3, service_p99_ms=9.0)).verdict is Verdict.HOLDS


@pytest.mark.parametrize(
    ("promise", "verdict"), [("p99.9=20ms", "fails"), ("p50=20ms", "holds"), ("p25=0.5ms", "holds")]
)
def test_an_idle_server_is_held_to_the_percentiles_that_a_promise_covers(promise: str, verdict: str) -> None:
    settings_ = SearchSettings(promises=(Promise.parse(promise),))
    assert idle(Seen(200, 200, service_p50_ms=1.0, service_p99_ms=90.0), settings_).verdict == verdict


def test_a_server_with_two_speeds_is_not_given_the_faster_one() -> None:
    """Each window has one speed or the other by chance, so that chance decides a few searches whatever is done."""
    slow, fast, honest = 0.4 * 8_000, 8_000, 0
    for seed in range(40):
        ceiling, _ = searched(SimulatedServer(noise=bimodal(0.4), seed=seed), SETTINGS)
        assert ceiling.holds <= fast * TOLERANCE
        assert ceiling.fails is None or ceiling.fails >= slow / TOLERANCE
        told = ceiling.limiter is Limiter.NOT_CONVERGED and any("speed" in reason for reason in ceiling.reasons)
        honest += told or ceiling.holds <= slow * 1.2
    assert honest >= 0.85 * 40


def test_a_machine_with_two_speeds_is_not_the_fault_of_the_server() -> None:
    told = 0
    for seed in range(20):
        server, source = SimulatedServer(capacity=1e6), random.Random(seed)
        journal: tuple[Entry, ...] = ()
        while (step := next_step(journal, SETTINGS)) is not None:
            entry = answered(step, server, journal, SETTINGS)
            if step.role in EVIDENCE_ROLES and step.rate > 5_000 and source.random() < 0.5:
                seen = replace(entry.seen, achieved=2_000.0)
                entry = Entry(step, seen, Verdict.CLIENT_LIMITED, "client", ("the machine was busy",), entry.took)
            journal = (*journal, entry)
        ceiling = conclude(journal, SETTINGS)
        assert not any("server has more than one speed" in reason for reason in ceiling.reasons)
        told += any("machine of the generator has more than one speed" in reason for reason in ceiling.reasons)
    assert told >= 5


def test_a_single_window_that_failed_by_chance_does_not_end_the_ramp() -> None:
    server = SimulatedServer()
    journal: tuple[Entry, ...] = ()
    spoiled = False
    while (step := next_step(journal, SETTINGS)) is not None:
        entry = answered(step, server, journal, SETTINGS)
        if step.role is Role.RAMP and step.rate >= 1_000 and not spoiled:
            spoiled = True
            seen = replace(entry.seen, promised=(PromiseResult(99.0, 20.0, 80.0, "missed"),))
            entry = Entry(step, seen, Verdict.FAILS, "slo", ("somebody else used the machine",), entry.took)
        journal = (*journal, entry)
    ceiling = conclude(journal, SETTINGS)
    assert right(ceiling.holds, ceiling.fails, server.knee(PROMISE)), ceiling
    assert ceiling.confirmed


def test_windows_that_all_failed_at_first_do_not_hide_what_holds_later() -> None:
    """A machine that is busy while the search begins: even the lowest rate fails then."""
    server = SimulatedServer()
    journal: tuple[Entry, ...] = ()
    while (step := next_step(journal, SETTINGS)) is not None:
        entry = answered(step, server, journal, SETTINGS)
        if step.role is Role.RAMP and len(journal) < 14:
            entry = Entry(step, entry.seen, Verdict.CLIENT_LIMITED, "client", ("the machine was busy",), entry.took)
        journal = (*journal, entry)
    ceiling = conclude(journal, SETTINGS)
    assert ceiling.holds > 0
    assert ceiling.holds <= server.knee(PROMISE) * TOLERANCE


def test_a_generator_that_cannot_do_anything_is_the_limit() -> None:
    ceiling, journal = searched(SimulatedServer(generator=5.0), SETTINGS)
    assert (ceiling.holds, ceiling.limiter) == (0.0, Limiter.CLIENT)
    assert all(entry.step.target == "null" for entry in journal)


def test_without_a_promise_one_is_derived_and_said() -> None:
    limits = set()
    for service in (0.0031, 0.0033, 0.0035, 0.0048):  # that of a repeat is never quite the same
        ceiling, journal = searched(SimulatedServer(service=service), SearchSettings())
        limits.add(ceiling.promises)
        first = next(entry for entry in journal if entry.step.role is Role.RAMP)
        assert "nobody promised anything" in first.step.why
    assert limits == {(Promise(99.0, 100.0),)}
    assert searched(SimulatedServer(service=0.0002), SearchSettings())[0].promises == (Promise(99.0, 10.0),)


# -- that it always ends, and is a pure function of its journal -----------------------------------------------------

numbers = st.integers(0, 100_000)
latency = st.none() | st.floats(0.0, 1e5)


@st.composite
def anything(draw: st.DrawFn) -> tuple[Seen, Verdict, str]:
    """Any answer of a window, whether or not it makes sense."""
    verdict = draw(st.sampled_from(Verdict))
    cause = draw(st.sampled_from([*Limiter, CONCURRENCY])) if verdict is not Verdict.HOLDS else ""
    offered = draw(numbers)
    seen = Seen(
        offered,
        draw(st.integers(0, offered)),
        achieved=draw(st.floats(0, 1e6)),
        elapsed=draw(st.floats(0, 100)),
        p99_ms=draw(latency),
        service_p50_ms=draw(latency),
        service_p99_ms=draw(latency),
        cpu_share=draw(st.floats(0, 2)),
        drained=draw(st.booleans()),
        recovered=draw(st.none() | st.floats(0, 30)),
        wrong=draw(st.sampled_from([0, 0, 3])),
    )
    return seen, verdict, str(cause)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(answers=st.lists(anything(), min_size=5, max_size=25), promised=st.booleans(), more=st.sampled_from([64, 1000]))
def test_whatever_the_answers_are_the_search_ends_within_its_steps(
    answers: list[tuple[Seen, Verdict, str]], promised: bool, more: int
) -> None:
    plan = SearchSettings(promises=(PROMISE,) if promised else (), most_steps=40, most_seconds=1e9, most_in_flight=more)
    journal: tuple[Entry, ...] = ()
    for seen, verdict, cause in itertools.cycle(answers):
        step = next_step(journal, plan)
        if step is None:
            break
        assert 0 < step.rate <= 1_000_000
        assert 0 < step.seconds <= plan.longest
        assert step.why.endswith((".", "?")), step.why
        assert step.number == len(journal) + 1
        if step.target == "backends" and verdict is Verdict.CLIENT_LIMITED and step.role is Role.PROBE:
            verdict = Verdict.FAILS  # a probe is never client-limited
        cause_of_verdict = (
            cause if cause != CONCURRENCY or step.role in (Role.RAMP, Role.BISECT, Role.CONFIRM) else "client"
        )
        journal = (*journal, Entry(step, seen, verdict, cause_of_verdict, ("because of the test",), 1.0))
        conclude(journal, plan)  # at any time something can be said
    assert len(journal) <= 40
    ceiling = conclude(journal, plan)
    assert ceiling.reasons
    assert ceiling.fails is None or ceiling.holds < ceiling.fails
    assert time_left(journal, plan) == 0.0


def test_the_budget_of_time_ends_the_search_and_is_said() -> None:
    ceiling, journal = searched(SimulatedServer(), replace(SETTINGS, most_seconds=60.0))
    assert 60 <= sum(entry.took for entry in journal) <= 60 + SETTINGS.longest
    assert ceiling.limiter is Limiter.NOT_CONVERGED
    assert "budget of 60 s" in ceiling.reasons[-1]


def test_the_next_step_depends_on_nothing_but_the_journal() -> None:
    _, journal = searched(SimulatedServer(noise=gaussian(0.10), seed=3), SETTINGS)
    for length in range(len(journal)):
        kept = tuple(Entry.from_data(json.loads(entry.to_json())) for entry in journal[:length])
        assert next_step(kept, SETTINGS) == journal[length].step
    assert next_step(journal, SETTINGS) is None


def test_every_entry_is_a_sentence_with_its_numbers() -> None:
    for server in (
        SimulatedServer(),
        SimulatedServer(collapses_from=6_000, collapsed_windows=1),
        SimulatedServer(client_cost=1e-4),
    ):
        _, journal = searched(server, SETTINGS)
        for entry in journal:
            assert entry.sentence.endswith(".")
            assert ".." not in entry.sentence
            assert any(character.isdigit() for character in entry.sentence)
            assert str(entry.verdict).capitalize() in entry.sentence


def test_the_confirming_windows_alternate_so_that_drift_meets_both_ends() -> None:
    _, journal = searched(SimulatedServer(), SETTINGS)
    expected = [entry.step.expects for entry in journal if entry.step.role is Role.CONFIRM]
    assert expected == ["holds", "fails"] * 3


def test_an_end_that_a_fresh_window_contradicted_is_said_to_be_so() -> None:
    said = 0
    for seed in range(30):
        ceiling, journal = searched(SimulatedServer(noise=gaussian(0.10), seed=seed), SETTINGS)
        found = evidence_of(journal)
        against = found.fresh(ceiling.holds, held=False)
        told = [reason for reason in ceiling.reasons if "fresh windows held" in reason]
        assert bool(against) == bool(told)
        said += bool(told)
    assert 0 < said < 30


def told_by(script: list[tuple[float, str, str]]) -> list[str]:
    """The reasons of a search whose windows came out as written: rate, verdict, cause."""
    step = Step(1, Role.CONFIRM, 1.0, 4.0, 0.0, 64, "backends", "")
    windows = tuple(
        (
            Entry(replace(step, rate=rate), Seen(400, 400), Verdict(verdict), cause, (f"{cause or 'all'} well",), 1.0),
            verdict == "holds",
        )
        for rate, verdict, cause in script
    )
    return _limiter([entry for entry, _ in windows], SETTINGS, Evidence(windows))[1]


HELD = [(3_000.0, "holds", "")] * 4


def test_that_a_server_fails_for_sure_is_only_said_where_it_did() -> None:
    failed, limited = (7_000.0, "fails", "slo"), (7_000.0, "client-limited", "client")
    assert "only at 7,000/s they fail for sure" in told_by([*HELD, *[failed] * 3])[0]
    [told] = told_by([*HELD, *[limited] * 3])
    assert "fail for sure" not in told
    assert "at 7,000/s the generator was the limit in each window that did not hold" in told
    [told] = told_by([*HELD, failed, failed, limited])
    assert "the generator was the limit in 1 of 3 windows that did not hold" in told
    # Elsewhere the server failed once; where all is said to fail it never did.
    told = told_by([*HELD, (5_000.0, "fails", "slo"), (5_000.0, "holds", ""), *[limited] * 3])[0]
    assert "the generator was the limit in each window" in told


def test_a_rate_that_the_generator_did_not_reach_is_not_said_to_have_failed() -> None:
    ends = [*HELD, *[(4_000.0, "fails", "slo")] * 4]
    held = (3_500.0, "holds", "")
    assert told_by([*ends, held, (3_500.0, "fails", "slo")])[1:] == ["3,500/s held and failed by turns"]
    limited = (3_500.0, "client-limited", "client")
    assert told_by([*ends, held, limited])[1:] == [
        "at 3,500/s some windows held, in others the generator was the limit"
    ]
    assert told_by([*ends, held, held, limited, (3_500.0, "fails", "slo")])[1:] == [
        "at 3,500/s some windows held, others failed, and in others still the generator was the limit"
    ]


def test_the_reason_of_a_limiter_is_of_a_window_that_it_limited() -> None:
    limited = (4_000.0, "client-limited", "client")
    assert told_by([*HELD, *[(4_000.0, "fails", "slo")] * 3, limited]) == [
        "at 4,000/s, in 3 of 4 windows that did not hold: slo well"
    ]


def test_what_recurs_is_quoted_and_not_what_the_last_window_happened_to_be_limited_by() -> None:
    """In each of three windows the generator was too busy, and in the last one it was late as well."""
    step = Step(1, Role.CONFIRM, 4_950.0, 4.0, 0.0, 64, "backends", "")
    busy = [f"the generator used {share}% of a core, more than 80%" for share in (81, 84, 88)]
    reasons = [(busy[0],), (busy[1],), ("send lag p99 is 25 ms, more than half of the 20 ms", busy[2])]
    limited = [(Entry(step, Seen(400, 400), Verdict.CLIENT_LIMITED, "client", each, 1.0), False) for each in reasons]
    held = [(Entry(replace(step, rate=4_700.0), Seen(400, 400), Verdict.HOLDS, "", ("all well",), 1.0), True)] * 3
    found = Evidence((*held, *limited))
    limiter, told = _limiter([entry for entry, _ in found.windows], SETTINGS, found)
    assert limiter is Limiter.CLIENT
    assert told == [
        "at 4,950/s, in 3 of 3 windows that did not hold: the generator used 88% of a core, more than 80%",
        "the generator is the limit, and could not vouch for 4,950/s: the server carries at least what holds",
    ]


def test_a_rate_at_which_only_the_generator_was_in_the_way_is_never_said_not_to_hold() -> None:
    ceiling, journal = searched(SimulatedServer(client_cost=1e-4), SETTINGS)
    assert ceiling.limiter is Limiter.CLIENT
    assert ceiling.fails is not None
    told = " ".join(entry.step.why for entry in journal)
    assert "not hold" not in told
    assert "must be more than the generator can vouch for" in told
    assert "the generator was the limit" in told


@pytest.mark.parametrize(("fails", "wide"), [(1_150.0, False), (1_190.0, True), (None, False)])
def test_a_bracket_that_is_wider_than_was_asked_for_says_so(fails: float | None, wide: bool) -> None:
    ceiling, journal = searched(SimulatedServer(), SHORT)
    assert ceiling.resolution == SHORT.resolution
    found = replace(ceiling, holds=1_000.0, fails=fails)
    record = record_of(Search(found, tuple(journal), interrupted=False))
    assert record.wide is wide
    assert any("the bracket is 19 % wide, where 15 % were asked for" in note for note in record.notes) is wide
    long = record_of(Search(replace(found, fails=1_080.0, resolution=1.05), tuple(journal), interrupted=False))
    assert not long.wide
    assert any("the bracket is 8 % wide, where 5 % were asked for" in note for note in long.notes)
    in_doubt = record_of(Search(replace(found, limiter=Limiter.NOT_CONVERGED), tuple(journal), interrupted=False))
    assert not in_doubt.wide, "it is no answer at all"


def told_of(
    role: Role, took: float, *, seconds: float = 8.0, warmup: float = 0.0, recovered: float | None = None
) -> Entry:
    step = Step(1, role, 1_000.0, seconds, warmup, 64, "backends", "")
    verdict = Verdict.FAILS if recovered is None else Verdict.HOLDS
    return Entry(step, Seen(8_000, 8_000, recovered=recovered), verdict, "", (), took)


def test_the_time_to_recover_is_counted_from_the_end_of_the_overload() -> None:
    overload = told_of(Role.OVERLOAD, 8.5, seconds=5.0, warmup=1.0)  # 2.5 s until all of it had ended
    failed = told_of(Role.RECOVERY, 9.0)
    at_once, later = (told_of(Role.RECOVERY, 16.2, seconds=16.0, recovered=seconds) for seconds in (0.0, 4.0))
    assert conclude([overload, at_once], SETTINGS).recovery == 2.5
    assert conclude([overload, failed, at_once], SETTINGS).recovery == 11.5
    assert conclude([overload, failed, failed, later], SETTINGS).recovery == 24.5
    assert conclude([overload, failed], SETTINGS).recovery is None
    # Of several the last counts, from its own overload on.
    ramp = told_of(Role.RAMP, 6.0, seconds=5.0, warmup=1.0)
    assert (
        conclude([overload, failed, at_once, ramp, told_of(Role.RECOVERY, 8.0, recovered=1.0)], SETTINGS).recovery
        == 1.0
    )


@pytest.mark.parametrize("role", [Role.RAMP, Role.CONFIRM, Role.OVERLOAD, Role.RECOVERY, Role.PROBE])
def test_what_was_acknowledged_and_is_gone_makes_the_figures_unusable_whenever_it_was(role: Role) -> None:
    _, journal = searched(SimulatedServer(), SETTINGS)
    at = next(number for number, entry in enumerate(journal) if entry.step.role is role)

    def concluded(**seen: object) -> Ceiling:
        changed = replace(journal[at], seen=replace(journal[at].seen, **seen))  # type: ignore[arg-type]
        return conclude([*journal[:at], changed, *journal[at + 1 :]], SETTINGS)

    [said] = concluded(lost=12, example="c1 has 3 of 15").invalid
    assert said.startswith(f"12 things that were acknowledged are gone in step {at + 1}, at ")
    assert said.endswith("for example: c1 has 3 of 15")
    assert concluded(unhandled=12).invalid == (), "a backlog is no lie"


def test_that_the_last_window_could_not_be_checked_is_said() -> None:
    _, journal = searched(SimulatedServer(), SHORT_SETTINGS)

    def reasons(number: int) -> list[str]:
        unchecked = replace(journal[number], seen=replace(journal[number].seen, unchecked="after record event: gone"))
        told = conclude([unchecked if entry is journal[number] else entry for entry in journal], SHORT_SETTINGS).reasons
        return [reason for reason in told if "it is not known whether anything is lost" in reason]

    assert reasons(len(journal) - 2) == [], "the next window counted again what was recorded in all of them"
    [said] = reasons(len(journal) - 1)
    assert said.endswith("after record event: gone")


def test_nothing_is_promised_before_the_service_time_is_known() -> None:
    assert promises_of((), SearchSettings()) == ()
    assert promises_of((), SETTINGS) == (PROMISE,)
