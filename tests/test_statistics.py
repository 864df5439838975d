"""Intervals, spread, steadiness and ratios: against known values, and against what they promise over many samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, product

import numpy as np
import pytest

from stackproof.measurement import statistics
from stackproof.measurement.statistics import Effect, NoEffect, Steady


def normal(seed: int, count: int, mean: float = 10.0, sigma: float = 1.0) -> list[float]:
    return list(np.random.default_rng(seed).normal(mean, sigma, count))


def process(seed: int, count: int, persistence: float, sigma: float = 0.05) -> list[float]:
    """Levels of a first-order process around 1."""
    rng = np.random.default_rng(seed)
    state, found = rng.normal(), []
    for _ in range(count):
        found.append(math.exp(sigma * state))
        state = persistence * state + math.sqrt(1 - persistence**2) * rng.normal()
    return found


# Intervals of one run


@pytest.mark.parametrize(("statistic", "method"), [(np.mean, "BCa"), (np.median, "percentile")])
def test_a_bootstrap_interval_covers_the_truth_as_often_as_it_says(statistic: object, method: str) -> None:
    inside = 0
    for seed in range(200):
        found = statistics.bootstrap(normal(seed, 20), statistic, resamples=499)  # type: ignore[arg-type]
        assert found is not None
        assert found.method == method
        assert found.low <= found.value <= found.high
        inside += found.low <= 10.0 <= found.high
    assert 0.88 <= inside / 200 <= 0.99


def test_a_bootstrap_is_the_same_for_the_same_seed() -> None:
    values = normal(1, 15)
    assert statistics.bootstrap(values, np.mean, seed=3) == statistics.bootstrap(values, np.mean, seed=3)
    assert statistics.bootstrap(values, np.mean, seed=3) != statistics.bootstrap(values, np.mean, seed=4)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0], [5.0] * 9])
def test_there_is_no_interval_where_nothing_is_known_about_the_spread(values: list[float]) -> None:
    assert statistics.bootstrap(values) is None


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_no_number_is_never_averaged_away(bad: float) -> None:
    values = [1.0, 2.0, 3.0, 4.0, 5.0, bad]
    for function in (statistics.bootstrap, statistics.variation, statistics.effective_size, statistics.median):
        with pytest.raises(ValueError, match="no finite number"):
            function(values)
    with pytest.raises(ValueError, match="no finite number"):
        statistics.paired_effect(values, values)


def test_the_coefficient_of_variation_is_flagged_above_ten_per_cent() -> None:
    assert statistics.variation([9.0, 10.0, 11.0]) == pytest.approx(0.1)
    assert not statistics.is_noisy([9.0, 10.0, 11.0])
    assert statistics.is_noisy([8.9, 10.0, 11.1])
    assert statistics.variation([1.0]) is None


# Autocorrelation


def test_independent_values_count_nearly_fully_and_a_slow_process_hardly() -> None:
    independent = [statistics.effective_size(normal(seed, 40)) for seed in range(50)]
    slow = [statistics.effective_size(process(seed, 40, 0.9)) for seed in range(50)]
    assert max(independent) <= 40
    assert np.median(independent) > 25
    assert np.median(slow) < 8  # 40 * (1 - 0.9) / (1 + 0.9) = 2.1
    assert min(slow) >= 1


def test_a_slow_drift_below_noise_is_seen() -> None:
    hidden = [
        statistics.effective_size(
            [a + b for a, b in zip(process(seed, 200, 0.97), normal(seed + 900, 200, 0.0, 0.05), strict=True)]
        )
        for seed in range(20)
    ]
    assert np.median(hidden) < 200 * (1 - 0.5) / (1 + 0.5) * 0.75  # less than what its first autocorrelation alone says


# Steadiness


def test_a_series_without_a_trend_is_steady_and_chance_seldom_makes_one() -> None:
    for count in (10, 20, 60):
        found = [statistics.steadiness(normal(seed, count)).state for seed in range(100)]
        assert found.count(Steady.STEADY) >= 95, count


def test_a_correlated_series_is_not_taken_for_a_trend() -> None:
    found = [statistics.steadiness(process(seed, 60, 0.7, 0.1)).state for seed in range(100)]
    assert found.count(Steady.STEADY) >= 90


def test_a_warm_up_is_a_trend_and_ends() -> None:
    values = [10 + 20 * math.exp(-second / 4) + noise for second, noise in enumerate(normal(1, 60, 0.0, 0.2))]
    found = statistics.steadiness(values[:25])
    assert found.state is Steady.NOT_STEADY
    assert found.trend is not None
    assert found.trend < -0.05
    assert "moved by -" in found.sentence
    settled = statistics.settled_after(values)
    assert settled is not None
    assert 6 <= settled <= 25


def test_a_growing_spread_is_not_steady() -> None:
    values = [10 + noise * (0.1 if second < 20 else 1.0) for second, noise in enumerate(normal(2, 40, 0.0, 1.0))]
    found = statistics.steadiness(values)
    assert found.state is Steady.NOT_STEADY
    assert found.sigma_ratio is not None
    assert found.sigma_ratio > 3
    assert statistics.steadiness(values[::-1]).state is Steady.NOT_STEADY


@pytest.mark.parametrize(
    ("series", "state"),
    [
        ([], Steady.TOO_SHORT),
        ([1.0] * 9, Steady.TOO_SHORT),
        ([1.0, None] * 9, Steady.TOO_SHORT),
        ([1.0] * 10, Steady.STEADY),
        ([0.0] * 30, Steady.STEADY),
        ([5.0] * 12 + [5.0, 6.0, 5.0, 5.0, 6.0, 5.0, 5.0, 5.0] + [5.0] * 4, Steady.NOT_STEADY),
        ([5.0, 6.0, 5.0, 5.0] * 6, Steady.STEADY),
        ([float(second) for second in range(30)], Steady.NOT_STEADY),
    ],
)
def test_the_edges_of_steadiness(series: Sequence[float | None], state: Steady) -> None:
    assert statistics.steadiness(series).state is state


def stepped(seed: int, count: int, place: int, factor: float) -> list[float]:
    """Noise of 2 % whose level changes at a place."""
    noise = np.random.default_rng(seed).normal(0.0, 0.02, count)
    return list(10.0 * np.exp(noise) * np.where(np.arange(count) < place, 1.0, factor))


@pytest.mark.parametrize("count", [15, 30, 60])
@pytest.mark.parametrize("factor", [1.1, 1 / 1.1, 100.0, 0.01])
def test_a_step_is_seen_at_any_place(count: int, factor: float) -> None:
    shares = []
    for place in (3, 4, count // 3, count // 2, count - 4, count - 3):
        found = [statistics.steadiness(stepped(seed, count, place, factor)).state for seed in range(40)]
        shares.append(found.count(Steady.NOT_STEADY) / len(found))
    assert min(shares) >= 0.9
    assert sum(shares) / len(shares) >= 0.95


def test_a_step_is_told_with_its_place_and_its_size() -> None:
    values = [0.15, 0.16, 0.15, 0.14, 0.15, *[15.5, 15.6, 15.4, 15.5, 15.5, 15.7, 15.5]]
    found = statistics.steadiness(values)
    assert (found.state, found.sentence) == (
        Steady.NOT_STEADY,
        "The level went by +10233% at second 5, and stayed there.",
    )


@pytest.mark.parametrize(
    ("count", "persistence"), [(10, 0.0), (15, 0.0), (60, 0.0), (15, 0.5), (30, 0.5), (30, 0.7), (60, 0.7)]
)
def test_stationary_noise_is_seldom_taken_for_a_step(count: int, persistence: float) -> None:
    found = [statistics.steadiness(process(seed, count, persistence, 0.02)).state for seed in range(200)]
    assert found.count(Steady.NOT_STEADY) <= 10


def test_what_never_settles_is_told() -> None:
    assert statistics.settled_after([float(second) for second in range(1, 60)]) is None


# Ratios: the exact distributions, by counting


@pytest.mark.parametrize("count", [3, 5, 8])
@pytest.mark.parametrize("tail", [0.025, 0.05, 0.1])
def test_the_signed_ranks_are_those_of_all_signs(count: int, tail: float) -> None:
    sums = [sum(rank for rank, sign in enumerate(signs, 1) if sign) for signs in product((0, 1), repeat=count)]
    within = [k for k in range(max(sums) + 1) if sum(one <= k for one in sums) / len(sums) <= tail]
    position = statistics._signed_rank_position(count, tail)
    assert position == pytest.approx(max(within) / max(sums)) if within else math.isnan(position)


@pytest.mark.parametrize(("first", "second"), [(3, 4), (5, 5), (4, 7)])
@pytest.mark.parametrize("tail", [0.025, 0.05, 0.1])
def test_the_rank_sums_are_those_of_all_orders(first: int, second: int, tail: float) -> None:
    places = range(first + second)
    sums = [sum(one) - first * (first - 1) // 2 for one in combinations(places, first)]
    within = [k for k in range(first * second + 1) if sum(one <= k for one in sums) / len(sums) <= tail]
    for found in (
        statistics._rank_sum_position(first, second, tail),
        statistics._rank_sum_position(second, first, tail),
    ):
        assert found == pytest.approx(max(within) / (first * second)) if within else math.isnan(found)


@pytest.mark.parametrize(("count", "critical"), [(10, 8), (20, 52), (40, 264)])
def test_the_critical_values_are_those_of_the_tables(count: int, critical: int) -> None:
    """Wilcoxon, 2.5 % on one side."""
    assert round(statistics._signed_rank_position(count, 0.025) * count * (count + 1) / 2) == critical


@pytest.mark.parametrize(("count", "critical"), [(5, 2), (12, 37), (20, 127)])
def test_the_critical_values_of_two_samples_are_those_of_the_tables(count: int, critical: int) -> None:
    """Mann and Whitney, 2.5 % on one side."""
    assert round(statistics._rank_sum_position(count, count, 0.025) * count * count) == critical


def test_the_least_numbers_of_windows() -> None:
    assert statistics.least_pairs(0.90) == 5
    assert statistics.least_pairs(0.95) == 6
    assert statistics.least_windows(0.95) == 4


# Ratios: what they find


def effect(found: Effect | NoEffect) -> Effect:
    assert isinstance(found, Effect), found
    return found


def none(found: Effect | NoEffect) -> str:
    assert isinstance(found, NoEffect), found
    return found.sentence


@pytest.mark.parametrize("paired", [True, False])
def test_an_interval_of_a_ratio_covers_the_truth_as_often_as_it_says(paired: bool) -> None:
    function = statistics.paired_effect if paired else statistics.unpaired_effect
    inside = 0
    for seed in range(300):
        first, second = normal(seed, 15), [1.2 * value for value in normal(seed + 5000, 15)]
        found = function(first, second, 0.90)
        inside += isinstance(found, Effect) and found.low <= 1.2 <= found.high
    assert 0.86 <= inside / 300 <= 0.96


def test_what_both_windows_of_a_pair_see_is_not_in_the_ratio() -> None:
    drift = process(1, 30, 0.9, 0.3)
    first = [level * noise for level, noise in zip(drift, normal(2, 30, 1.0, 0.01), strict=True)]
    second = [1.1 * level * noise for level, noise in zip(drift, normal(3, 30, 1.0, 0.01), strict=True)]
    found = effect(statistics.paired_effect(first, second))
    assert 1.09 < found.low < 1.1 < found.high < 1.11
    assert found.p < 1e-6
    assert found.effective == 30
    alone = statistics.unpaired_effect(first, second)
    assert isinstance(alone, NoEffect) or alone.high > 1.3


def test_one_window_that_went_wrong_moves_the_ratio_little() -> None:
    first, second = normal(1, 20, 10, 0.2), normal(2, 20, 10, 0.2)
    second[7] *= 50
    for function in (statistics.paired_effect, statistics.unpaired_effect):
        found = effect(function(first, second))
        assert 0.98 < found.low < found.high < 1.02


def test_a_ratio_turns_around_with_its_runs() -> None:
    first, second = normal(1, 12), normal(2, 14)
    there, back = effect(statistics.unpaired_effect(first, second)), effect(statistics.unpaired_effect(second, first))
    assert (there.ratio, there.low, there.high) == pytest.approx((1 / back.ratio, 1 / back.high, 1 / back.low))


def test_pairs_that_follow_each_other_count_as_fewer() -> None:
    drifting = process(4, 40, 0.95, 0.1)
    still = normal(5, 40, 1.0, 0.001)
    found = statistics.paired_effect(still, drifting)
    assert isinstance(found, NoEffect) or found.effective < 20


def test_windows_that_drift_within_a_run_count_as_fewer() -> None:
    wrong = 0
    for seed in range(100):
        both = process(seed, 40, 0.9, 0.09)
        found = statistics.unpaired_effect(both[:20], both[20:], 0.90)
        wrong += isinstance(found, Effect) and not found.low <= 1 <= found.high
    assert wrong <= 20  # of the same drift as independent windows it would be most of them


@pytest.mark.parametrize("function", [statistics.paired_effect, statistics.unpaired_effect])
def test_there_is_no_ratio_where_nothing_varies_or_too_little_was_seen(function: object) -> None:
    assert callable(function)
    assert "too few" in none(function([1.0, 2.0, 3.0], [1.1, 2.2, 3.1]))
    assert "too few" in none(function([], []))
    assert "without variance" in none(function([2.0] * 20, [3.0] * 20))
    with pytest.raises(ValueError, match="above 0"):
        function([0.0] * 20, [1.0] * 20)


def test_equal_values_are_allowed_where_they_are_known_to_be_coarse() -> None:
    found = effect(statistics.paired_effect([1000.0] * 20, [900.0] * 20, resolution=0.05))
    assert (found.ratio, found.low, found.high) == pytest.approx((0.9, 0.9 * math.exp(-0.05), 0.9 * math.exp(0.05)))


def test_what_moves_along_the_windows_of_a_run_is_seen_and_chance_is_not() -> None:
    assert statistics.moved([1.0 + at / 100 for at in range(20)]) == pytest.approx(0.17, abs=0.03)
    assert statistics.moved([1.0] * 20) is None
    assert statistics.moved([1.0, 2.0, 3.0]) is None
    assert sum(statistics.moved(normal(seed, 20)) is not None for seed in range(200)) <= 16


def test_mann_and_whitney() -> None:
    """Two samples of five that do not overlap: 2 of 252 orders are as extreme."""
    assert statistics.mann_whitney([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]) == pytest.approx(2 / 252)
