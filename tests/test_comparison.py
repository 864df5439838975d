"""The gate at its edges: what it refuses, what it cannot tell, and what each of its rules is there for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from comparison_corpus import PAIRED, two_runs

from stackproof.measurement.compared import SETTINGS, Comparison, MetricResult, Outcome, Run, Window
from stackproof.measurement.comparison import RECOMMENDED_PAIRS, Verdict, compare
from stackproof.measurement.figures import NEVER_MS

Figures = Mapping[str, float | None]


def pair_of_runs(
    first: Callable[[int, float], Figures],
    second: Callable[[int, float], Figures],
    count: int = 20,
    **window: Any,
) -> tuple[Run, Run]:
    """Two interleaved runs; the figures of a window from its number and a noise of 1 % around 1."""
    rng = np.random.default_rng(1)

    def run(name: str, figures: Callable[[int, float], Figures], later: float) -> Run:
        windows = tuple(
            Window(figures(at, float(np.exp(rng.normal(0, 0.01)))), pair=str(at), started=2.0 * at + later, **window)
            for at in range(count)
        )
        return Run(name, {"cores": "2"}, {"scenario": "ingest"}, {"cache=redis": "redis 8"}, windows, seed="7")

    return run("a", first, 0.0), run("b", second, 1.0)


def p50(factor: float = 1.0) -> Callable[[int, float], Figures]:
    return lambda _, noise: {"p50": 4.0 * factor * noise}


def only(result: Comparison) -> MetricResult:
    (row,) = result.metrics
    return row


def test_the_four_verdicts_of_a_latency() -> None:
    for factor, verdict, outcome in (
        (1.10, Verdict.REGRESSION, Outcome.REGRESSION),
        (0.90, Verdict.IMPROVEMENT, Outcome.NO_REGRESSION),
        (1.01, Verdict.NO_DIFFERENCE, Outcome.NO_REGRESSION),
        (0.99, Verdict.NO_DIFFERENCE, Outcome.NO_REGRESSION),
        (1.048, Verdict.CANNOT_TELL, Outcome.CANNOT_TELL),
    ):
        result = compare(*pair_of_runs(p50(), p50(factor)))
        assert (only(result).verdict, result.outcome) == (verdict, outcome), factor
        assert result.paired


def test_less_of_a_rate_is_worse_and_more_of_it_is_better() -> None:
    def rate(factor: float) -> Callable[[int, float], Figures]:
        return lambda _, noise: {"achieved": 100 * factor * noise}

    for factor, verdict in ((0.9, Verdict.REGRESSION), (1.12, Verdict.IMPROVEMENT), (1.0, Verdict.NO_DIFFERENCE)):
        assert only(compare(*pair_of_runs(rate(1.0), rate(factor), offered=200.0))).verdict is verdict, factor


def test_a_rate_that_was_held_by_both_is_no_measure_and_costs_no_confidence() -> None:
    held: Callable[[int, float], Figures] = lambda _, noise: {"p50": 4.0 * noise, "achieved": 100.0}  # noqa: E731
    result = compare(*pair_of_runs(held, held, offered=100.0))
    assert [row.verdict for row in result.metrics] == [Verdict.NO_DIFFERENCE] * 2
    assert result.metrics[1].effect is None
    assert result.confidence == pytest.approx(0.9)
    lost: Callable[[int, float], Figures] = lambda _, noise: {"p50": 4.0 * noise, "achieved": 90.0 * noise}  # noqa: E731
    assert compare(*pair_of_runs(held, lost, offered=100.0)).outcome is Outcome.REGRESSION


def test_every_metric_more_widens_the_intervals() -> None:
    def all_of(_: int, noise: float) -> Figures:
        return {"p50": noise, "p99": 3 * noise**2, "cpu": 0.1 * noise, "p90": 2 * noise}

    runs = pair_of_runs(all_of, all_of)
    found = [compare(*runs, names).confidence for names in (["p50"], ["p50", "p99"], ["p50", "p90", "p99", "cpu"])]
    assert found == pytest.approx([0.9, 0.95, 0.975])


def test_the_worst_verdict_decides() -> None:
    def good(_: int, noise: float) -> Figures:
        return {"p50": 4 * noise, "p99": 9 * noise}

    def mixed(_: int, noise: float) -> Figures:
        return {"p50": 3 * noise, "p99": 10 * noise}

    result = compare(*pair_of_runs(good, mixed))
    assert [row.verdict for row in result.metrics] == [Verdict.IMPROVEMENT, Verdict.REGRESSION]
    assert result.outcome is Outcome.REGRESSION
    assert compare(*pair_of_runs(good, mixed), ["p50"]).outcome is Outcome.NO_REGRESSION


# What cannot be told


@pytest.mark.parametrize("count", [1, 2, 4])
def test_too_few_windows(count: int) -> None:
    row = only(compare(*pair_of_runs(p50(), p50(3.0), count)))
    assert row.verdict is Verdict.CANNOT_TELL
    assert f"{count} pairs of windows are too few" in row.sentence
    assert f"at least 5, and {RECOMMENDED_PAIRS} pairs are recommended" in row.sentence


def test_zero_variance() -> None:
    same: Callable[[int, float], Figures] = lambda *_: {"p50": 4.0}  # noqa: E731
    slower: Callable[[int, float], Figures] = lambda *_: {"p50": 8.0}  # noqa: E731
    copied: Callable[[int, float], Figures] = lambda at, _: {"p50": 4.0 + at}  # noqa: E731
    for first, second in ((same, same), (same, slower), (same, p50()), (p50(), same), (copied, copied)):
        result = compare(*pair_of_runs(first, second))
        assert result.outcome is Outcome.CANNOT_TELL
        assert only(result).effect is None


def test_an_interval_across_the_threshold_says_how_many_windows_would_settle_it() -> None:
    runs = two_runs(2, PAIRED[-1], slower=1.04, pairs=12)
    row = only(compare(*runs, ["p50"]))
    assert row.verdict is Verdict.CANNOT_TELL
    assert "pairs of windows would settle it; 12 were compared" in row.sentence


def test_a_metric_that_one_run_lacks() -> None:
    both: Callable[[int, float], Figures] = lambda _, noise: {"p50": noise, "p99": 2 * noise}  # noqa: E731
    row = compare(*pair_of_runs(both, p50(0.25))).metrics[1]
    assert row.verdict is Verdict.CANNOT_TELL
    assert row.sentence == "20 of 20 windows of the second run have too small a sample for it."
    assert only(compare(*pair_of_runs(p50(), p50()), ["ceiling"])).verdict is Verdict.CANNOT_TELL


def test_a_few_windows_without_a_figure_go_with_their_partners_and_many_are_no_sample() -> None:
    def lacks(every: int) -> Callable[[int, float], Figures]:
        return lambda at, noise: {"p50": None if at % every == 0 else 4.0 * noise}

    few, many = only(compare(*pair_of_runs(p50(), lacks(10)))), only(compare(*pair_of_runs(p50(), lacks(4))))
    assert few.effect is not None
    assert few.effect.windows == (18, 18)
    assert many.verdict is Verdict.CANNOT_TELL


# Pairs


def shifted(run: Run, by: float) -> Run:
    return replace(run, windows=tuple(replace(window, started=(window.started or 0) + by) for window in run.windows))


def test_windows_are_pairs_only_where_they_were_taken_one_after_the_other() -> None:
    first, second = pair_of_runs(p50(), p50())
    assert compare(first, second).paired
    in_a_row = compare(first, shifted(second, 1000.0))
    assert not in_a_row.paired
    assert "not taken one after the other" in in_a_row.notes[0]
    timeless = replace(second, windows=tuple(replace(window, started=None) for window in second.windows))
    assert not compare(first, timeless).paired
    nameless = replace(second, windows=tuple(replace(window, pair="") for window in second.windows))
    assert "not paired" in compare(first, nameless).notes[0]


def test_unpaired_windows_need_the_whole_interval_beyond_the_threshold() -> None:
    first, second = pair_of_runs(p50(), p50(1.055))
    assert compare(first, second).outcome is Outcome.REGRESSION
    assert compare(first, shifted(second, 1000.0)).outcome is Outcome.CANNOT_TELL
    first, second = pair_of_runs(p50(), p50(1.1))
    assert compare(first, shifted(second, 1000.0)).outcome is Outcome.REGRESSION


def test_a_window_without_a_partner_is_left_out() -> None:
    first, second = pair_of_runs(p50(), p50())
    result = compare(first, replace(second, windows=second.windows[:-2]))
    assert result.paired
    assert "no partner are left out: 2." in result.notes[0]


def test_a_fixed_order_within_pairs_is_noted() -> None:
    assert any("same run went first" in note for note in compare(*pair_of_runs(p50(), p50())).notes)
    assert not any("went first" in note for note in compare(*two_runs(1, PAIRED[0], pairs=20)).notes)


@pytest.mark.parametrize("paired", [True, False])
def test_the_order_in_which_windows_are_listed_does_not_matter(paired: bool) -> None:
    """That of time does: drifting windows count as fewer."""
    runs = two_runs(1, PAIRED[2], slower=1.1, pairs=40, paired=paired)
    mixed = [
        replace(run, windows=tuple(run.windows[at] for at in np.random.default_rng(1).permutation(40))) for run in runs
    ]
    assert compare(*mixed).metrics == compare(*runs).metrics


# Data that proves nothing


def test_a_run_without_windows_is_no_data() -> None:
    first, second = pair_of_runs(p50(), p50())
    result = compare(first, replace(second, windows=()))
    assert (result.outcome, result.metrics) == (Outcome.NO_DATA, ())
    assert result.reasons == ("The run b has no window of load.",)
    nothing: Callable[[int, float], Figures] = lambda *_: {"p50": None}  # noqa: E731
    assert compare(*pair_of_runs(nothing, nothing)).outcome is Outcome.NO_DATA


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, 0.0])
def test_a_figure_that_cannot_be_makes_the_run_invalid(value: float) -> None:
    odd: Callable[[int, float], Figures] = lambda at, noise: {"p50": value if at == 3 else 4 * noise}  # noqa: E731
    result = compare(*pair_of_runs(p50(), odd))
    assert result.outcome is Outcome.INVALID
    assert "Window 4 of the run b: p50 is" in result.reasons[0]


def test_an_invalid_run_is_no_side_of_a_comparison() -> None:
    first, second = pair_of_runs(p50(), p50())
    result = compare(replace(first, invalid=("3 answers of backends were wrong.",)), second)
    assert result.outcome is Outcome.INVALID
    assert result.reasons == ("The run a is invalid: 3 answers of backends were wrong.",)


def test_a_few_invalid_windows_are_left_out_and_many_make_the_run_invalid() -> None:
    def spoilt(run: Run, count: int) -> Run:
        bad = tuple(replace(window, invalid=("The event loop was blocked.",)) for window in run.windows[:count])
        return replace(run, windows=bad + run.windows[count:])

    first, second = pair_of_runs(p50(), p50())
    few = compare(first, spoilt(second, 4))
    assert only(few).effect is not None
    assert only(few).first.windows == 16
    assert "Invalid windows of the run b are left out: 4." in few.notes[0]
    many = compare(first, spoilt(second, 5))
    assert many.outcome is Outcome.INVALID
    assert "5 of 20 windows" in many.reasons[0]


def test_a_run_compared_with_itself_shows_nothing() -> None:
    first, _ = pair_of_runs(p50(), p50())
    result = compare(first, first)
    assert result.outcome is Outcome.INVALID
    assert "compared with itself" in result.reasons[0]


def test_two_windows_for_one_pair_are_no_data_to_trust() -> None:
    first, second = pair_of_runs(p50(), p50())
    doubled = replace(second, windows=(*second.windows, second.windows[0]))
    assert compare(first, doubled).outcome is Outcome.INVALID


# Runs that are not comparable


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"environment": {"cores": "4"}}, "environment"),
        ({"environment": {}}, "environment"),
        ({"backends": {"cache=redis": "redis 7"}}, "backend"),
        ({"backends": {"cache=dragonfly": "dragonfly 1"}}, "backend"),
        ({"seed": "8"}, "seed"),
    ],
)
def test_another_environment_is_refused_unless_it_is_accepted(change: dict[str, Any], kind: str) -> None:
    first, second = pair_of_runs(p50(), p50(1.2))
    second = replace(second, **change)
    refused = compare(first, second)
    assert (refused.outcome, refused.metrics) == (Outcome.OTHER, ())
    assert f"--accept {kind}" in refused.reasons[0]
    others = {"environment", "backend", "seed"} - {kind}
    assert compare(first, second, accepted=others).outcome is Outcome.OTHER
    accepted = compare(first, second, accepted=["environment", "backend", "seed"])
    assert accepted.outcome is Outcome.REGRESSION
    assert accepted.accepted == (kind,)
    assert any(note.startswith("Accepted, but it may be the whole difference") for note in accepted.notes)


def test_another_workload_is_never_accepted() -> None:
    first, second = pair_of_runs(p50(), p50())
    other = replace(second, workload={"scenario": "decision"})
    for accepted in ((), ("environment", "backend", "seed"), ("workload",)):
        result = compare(first, other, accepted=accepted)
        assert result.outcome is Outcome.OTHER
        assert "--accept" not in result.reasons[0]


def test_what_is_compared_may_differ_and_is_told() -> None:
    first, second = pair_of_runs(p50(), p50())
    result = compare(replace(first, subject={"stackproof": "1"}), replace(second, subject={"stackproof": "2"}))
    assert result.outcome is Outcome.NO_REGRESSION
    assert "What was compared: stackproof 1 with 2." in result.notes


# Ceilings


def ceilings(holds: float, fails: float, wobble: float = 0.0, count: int = 8) -> tuple[Window, ...]:
    rng = np.random.default_rng(int(holds))
    found = []
    for at in range(count):
        level = float(np.exp(rng.normal(0, wobble))) if wobble else 1.0
        low, high = holds * level, fails * level
        found.append(Window({"ceiling": (low + high) / 2}, pair=str(at), started=float(at), bracket=(low, high)))
    return tuple(found)


def of_ceilings(first: tuple[Window, ...], second: tuple[Window, ...]) -> MetricResult:
    one, two = pair_of_runs(p50(), p50())
    return only(
        compare(
            replace(one, windows=first),
            replace(two, windows=tuple(replace(w, started=(w.started or 0) + 0.5) for w in second)),
        )
    )


def test_ceilings_whose_brackets_overlap_are_not_told_apart() -> None:
    for second in (ceilings(1000, 1050, 0.01), ceilings(1030, 1080, 0.01), ceilings(960, 1010, 0.01)):
        row = of_ceilings(ceilings(1000, 1050, 0.01), second)
        assert row.verdict is Verdict.CANNOT_TELL
        assert row.effect is not None
        assert row.effect.high / row.effect.low > 1.09  # two half brackets on either side


def test_ceilings_far_apart_are() -> None:
    assert of_ceilings(ceilings(1000, 1050, 0.01), ceilings(800, 840, 0.01)).verdict is Verdict.REGRESSION
    assert of_ceilings(ceilings(1000, 1050, 0.01), ceilings(1200, 1260, 0.01)).verdict is Verdict.IMPROVEMENT


def test_a_search_on_a_grid_finds_the_same_bracket_each_time_and_that_is_no_zero_variance() -> None:
    assert of_ceilings(ceilings(1000, 1050), ceilings(800, 840)).verdict is Verdict.REGRESSION
    assert of_ceilings(ceilings(1000, 1050), ceilings(1000, 1050)).verdict is Verdict.CANNOT_TELL
    assert of_ceilings(ceilings(1000, 1010), ceilings(1000, 1010)).verdict is Verdict.NO_DIFFERENCE


@pytest.mark.parametrize(
    ("holds", "fails", "verdict", "said"),
    [
        (500, 525, Verdict.REGRESSION, "the brackets lie apart, by more than 5 %"),
        (900, 945, Verdict.REGRESSION, "the brackets lie apart, by more than 5 %"),
        (1150, 1200, Verdict.IMPROVEMENT, "the brackets lie apart, by more than 5 %"),
        (960, 990, Verdict.CANNOT_TELL, "lower, for the brackets lie apart, but whether by more than 5 % stays open"),
        (1060, 1100, Verdict.CANNOT_TELL, "higher, for the brackets lie apart"),
        (1030, 1080, Verdict.CANNOT_TELL, "the brackets overlap, and allow more than 5 %"),
    ],
)
def test_one_search_each_is_judged_by_the_brackets(holds: float, fails: float, verdict: Verdict, said: str) -> None:
    row = of_ceilings(ceilings(1000, 1050, count=1), ceilings(holds, fails, count=1))
    assert row.verdict is verdict
    assert said in row.sentence
    assert row.effect is not None
    assert row.effect.low == pytest.approx(holds / 1050)
    assert row.effect.high == pytest.approx(fails / 1000)
    assert (row.effect.p, row.effect.confidence) == (None, None)  # a bracket is no sample


def test_narrow_brackets_of_one_search_each_are_equal() -> None:
    row = of_ceilings(ceilings(1000, 1020, count=1), ceilings(1010, 1030, count=1))
    assert row.verdict is Verdict.NO_DIFFERENCE


def test_a_few_searches_count_as_the_bracket_that_holds_all_of_them() -> None:
    apart = (*ceilings(1000, 1050, count=1), replace(ceilings(800, 840, count=1)[0], pair="1", started=1.0))
    row = of_ceilings(apart, ceilings(790, 830, count=2))
    assert row.verdict is Verdict.CANNOT_TELL
    assert row.effect is not None
    assert row.effect.low == pytest.approx(790 / 1050)


def test_a_search_without_a_bracket_says_why() -> None:
    (found,) = ceilings(1000, 1050, count=1)
    none = replace(found, figures={"ceiling": None}, bracket=None, missing="no rate held")
    for sides in (((found,), (none,)), ((none,), (none,))):
        row = of_ceilings(*sides)
        assert row.verdict is Verdict.CANNOT_TELL
        assert "gave no bracket: no rate held" in row.sentence


def test_a_bracket_that_is_none_makes_the_run_invalid() -> None:
    first, second = pair_of_runs(p50(), p50())
    wrong = replace(second.windows[0], bracket=(1050.0, 1000.0))
    assert compare(first, replace(second, windows=(wrong, *second.windows[1:]))).outcome is Outcome.INVALID


# Settings of servers


def with_settings(run: Run, settings: dict[str, dict[str, str]], unknown: Sequence[str] = ()) -> Run:
    return replace(run, settings=settings, unknown=frozenset(unknown))


def test_a_setting_that_differs_is_another_backend_and_is_named() -> None:
    one, two = pair_of_runs(p50(), p50())
    first = with_settings(one, {"postgres": {"fsync": "on", "jit": "off"}})
    second = with_settings(two, {"postgres": {"fsync": "off", "jit": "off"}})
    result = compare(first, second)
    assert result.outcome is Outcome.OTHER
    assert result.reasons == ("backend fsync of postgres: on in the first run, off in the second (--accept backend).",)
    accepted = compare(first, second, accepted=["backend"])
    assert accepted.outcome is Outcome.NO_REGRESSION
    assert any("fsync of postgres" in note for note in accepted.notes)


def test_a_setting_that_is_not_known_is_equal_to_nothing() -> None:
    one, two = pair_of_runs(p50(), p50())
    settings = {"redis": {"appendonly": "not known: CONFIG is forbidden"}}
    first, second = (with_settings(run, settings, ["appendonly of redis"]) for run in (one, two))
    assert compare(first, second).outcome is Outcome.OTHER
    assert compare(with_settings(one, settings), with_settings(two, settings)).outcome is Outcome.NO_REGRESSION


def test_a_server_that_one_run_did_not_use_is_told_by_its_backends() -> None:
    one, two = pair_of_runs(p50(), p50())
    first = with_settings(one, {"redis": {"appendonly": "no"}})
    second = replace(two, backends={"cache=local": "no server of its own"})
    assert {difference.name for difference in compare(first, second).differences} == {"cache=local", "cache=redis"}


def test_settings_that_were_not_kept_are_one_difference() -> None:
    one, two = pair_of_runs(p50(), p50())
    nothing = with_settings(one, {"redis": {SETTINGS: "not known: no evidence"}}, [f"{SETTINGS} of redis"])
    full = with_settings(two, {"redis": {"appendonly": "no", "save": ""}})
    (difference,) = compare(nothing, full).differences
    assert (difference.kind, difference.name) == ("backend", "settings of redis")


def p99_never(share: float, seed: int) -> Callable[[int, float], Figures]:
    """A p99 that this share of windows, chosen by chance, never reaches."""
    chosen = np.random.default_rng(seed).random(1000) < share
    return lambda at, noise: {"p99": NEVER_MS if chosen[at] else 9.0 * noise}


@pytest.mark.parametrize("paired", [True, False])
def test_a_latency_that_one_run_never_reaches_is_a_regression_and_the_other_way_an_improvement(paired: bool) -> None:
    reached, lost = pair_of_runs(p99_never(0.0, 1), p99_never(1.0, 1))
    if not paired:
        reached, lost = (
            replace(run, windows=tuple(replace(window, pair="") for window in run.windows)) for run in (reached, lost)
        )
    worse, better = compare(reached, lost), compare(lost, reached)
    assert (only(worse).verdict, worse.outcome) == (Verdict.REGRESSION, Outcome.REGRESSION)
    assert only(worse).sentence.startswith("Never reached in the second run, in none of its windows")
    assert (only(better).verdict, better.outcome) == (Verdict.IMPROVEMENT, Outcome.NO_REGRESSION)


def test_a_latency_that_neither_run_reaches_or_that_few_windows_show_cannot_be_told() -> None:
    neither = compare(*pair_of_runs(p99_never(1.0, 1), p99_never(1.0, 1)))
    assert (only(neither).verdict, neither.outcome) == (Verdict.CANNOT_TELL, Outcome.CANNOT_TELL)
    assert "neither run reached it" in only(neither).sentence.lower()
    few = compare(*pair_of_runs(p99_never(0.0, 1), p99_never(1.0, 1), count=4))
    assert only(few).verdict is Verdict.CANNOT_TELL


@pytest.mark.parametrize(("first", "second"), [(0.0, 0.7), (0.3, 1.0), (0.1, 0.8)])
def test_windows_that_sometimes_never_reach_it_are_ordered_right(first: float, second: float) -> None:
    better, worse = pair_of_runs(p99_never(first, 1), p99_never(second, 2), count=40)
    assert only(compare(better, worse)).verdict is Verdict.REGRESSION
    assert only(compare(worse, better)).verdict is Verdict.IMPROVEMENT


def test_a_few_windows_that_never_reach_it_are_not_lost_in_a_typical_ratio() -> None:
    result = only(compare(*pair_of_runs(p99_never(0.0, 1), p99_never(0.1, 2), count=40)))
    assert result.verdict is Verdict.CANNOT_TELL
    assert "0 windows of the first run and" in result.sentence
