"""How figures scatter over windows, and which windows had not come to rest."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bench_samples import judged, recorded

from stackproof.measurement.record import WindowRecord
from stackproof.measurement.spread import restless, spread_of


def window(p50: float, seconds: list[float] | None = None) -> WindowRecord:
    [one] = judged(recorded(1_000)).measured
    counted = replace(one.latency["counted"], p50=p50)
    series = tuple({**one.series[0], "second": at, "p50": value} for at, value in enumerate(seconds or [4.0] * 20))
    return replace(one, latency={**one.latency, "counted": counted}, series=series)


def test_a_figure_has_its_median_an_interval_around_it_and_its_variation() -> None:
    spread = {row.metric: row for row in spread_of([window(p50) for p50 in (4.0, 4.1, 3.9, 4.2, 4.0)])}
    p50 = spread["p50"]
    assert (p50.windows, p50.median, p50.unit) == (5, 4.0, "ms")
    assert p50.low is not None
    assert p50.high is not None
    assert 3.9 <= p50.low <= 4.0 <= p50.high <= 4.2
    assert p50.variation == pytest.approx(0.0282, abs=0.0001)
    assert not p50.noisy
    assert spread["achieved"].low is None, "equal windows have no interval"


def test_a_figure_that_varies_by_more_than_ten_per_cent_is_noisy_and_says_so() -> None:
    [p50] = [row for row in spread_of([window(p50) for p50 in (4.0, 6.0, 3.0, 5.0)]) if row.metric == "p50"]
    assert p50.noisy
    assert "p50 varies by 29%" in p50.sentence


def test_two_windows_say_nothing() -> None:
    assert spread_of([window(4.0), window(5.0)]) == ()


def test_a_window_whose_latency_still_rose_is_named() -> None:
    rising = window(4.0, [1.0 + 0.2 * second for second in range(30)])
    sentences = restless([window(4.0, [4.0 + 0.01 * (at % 3) for at in range(30)]), rising])
    assert len(sentences) == 1
    assert "the p50 of window 2 had not come to rest" in sentences[0]
