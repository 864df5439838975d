"""The Universal Scalability Law: what it finds again, and what it refuses."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from stackproof.measurement.scalability import Fit, Point, Refused, fit

LEVELS = (1, 2, 4, 8, 16, 32, 48)


def sweep(
    contention: float, coherency: float, *, noise: float = 0.0, levels: Sequence[int] = LEVELS, seed: int = 1
) -> list[Point]:
    rng = np.random.default_rng(seed)
    return [
        Point(n, 1000 * n / (1 + contention * (n - 1) + coherency * n * (n - 1)) * math.exp(rng.normal(0, noise)))
        for n in levels
    ]


def fitted(points: Sequence[Point]) -> Fit:
    found = fit(points)
    assert isinstance(found, Fit), found
    return found


def refused(points: Sequence[Point]) -> str:
    found = fit(points)
    assert isinstance(found, Refused), found
    return found.sentence


@pytest.mark.parametrize(("contention", "coherency"), [(0.05, 0.001), (0.2, 0.0), (0.0, 0.002), (0.0, 0.0)])
def test_the_law_that_made_the_points_is_found_again(contention: float, coherency: float) -> None:
    found = fitted(sweep(contention, coherency))
    assert found.rate == pytest.approx(1000)
    assert found.contention == pytest.approx(contention, abs=1e-6)
    assert found.coherency == pytest.approx(coherency, abs=1e-8)
    assert found.r2 == pytest.approx(1)


def test_noise_of_three_per_cent_moves_it_little() -> None:
    for seed in range(20):
        found = fitted(sweep(0.05, 0.001, noise=0.03, seed=seed))
        assert found.contention == pytest.approx(0.05, abs=0.03)
        assert found.peak == pytest.approx(math.sqrt(0.95 / 0.001), rel=0.3)
        assert found.r2 > 0.95


def test_a_coefficient_that_is_negative_by_chance_is_none() -> None:
    found = [fit(sweep(0.1, 0.0, noise=0.02, seed=seed)) for seed in range(40)]
    good = [one for one in found if isinstance(one, Fit)]
    assert len(good) >= 34
    assert any(one.coherency == 0 for one in good)
    assert all(one.coherency >= 0 for one in good)


def test_the_peak_is_said_to_be_measured_or_predicted() -> None:
    inside, beyond = fitted(sweep(0.05, 0.002)), fitted(sweep(0.05, 0.0002))
    assert "peaks at 22 in flight (measured), with 7," in inside.sentence
    assert "(not measured, but predicted)" in beyond.sentence
    assert fitted(sweep(0.2, 0.0)).peak > 1e6
    assert Fit(1000, 0.2, 0.0, 1.0, 48).peak == math.inf
    assert "no peak within 2 times" in fitted(sweep(0.2, 0.0)).sentence


def test_it_answers_up_to_twice_the_last_point_and_no_further() -> None:
    found = fitted(sweep(0.05, 0.001))
    assert found.throughput(96) == pytest.approx(1000 * 96 / (1 + 0.05 * 95 + 0.001 * 96 * 95))
    for outside in (96.1, 1000, 0.5, math.nan):
        answer = found.throughput(outside)
        assert isinstance(answer, Refused)
        assert "was not seen" in answer.sentence


def test_few_points_are_no_fit() -> None:
    assert "5 different concurrencies are too few" in refused(sweep(0.05, 0.001, levels=LEVELS[:5]))
    assert "5 different concurrencies are too few" in refused(sweep(0.05, 0.001, levels=LEVELS[:5]) * 3)
    assert "0 different concurrencies" in refused([])


def test_throughput_that_grows_faster_than_the_load_is_no_fit() -> None:
    assert "would be negative" in refused([Point(n, 1000 * n**1.4) for n in LEVELS])


def test_points_that_follow_no_law_are_no_fit() -> None:
    chaos = [Point(n, x) for n, x in zip(LEVELS, (900, 4000, 1000, 5000, 800, 4500, 2000), strict=True)]
    assert isinstance(fit(chaos), Refused)


def test_a_flat_line_explains_nothing() -> None:
    found = refused([Point(n, 1000 + (n % 3)) for n in LEVELS])
    assert "R2" in found or "do not follow" in found


@pytest.mark.parametrize("bad", [Point(0, 10), Point(4, 0), Point(4, math.nan), Point(math.inf, 10), Point(4, -1)])
def test_points_that_cannot_be_are_refused(bad: Point) -> None:
    assert "needs at least 1 in flight" in refused([*sweep(0.05, 0.001), bad])
