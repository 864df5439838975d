"""The gate on pairs of runs whose difference is known. A gate that always gives the same answer fails here, whichever it is.

Several hundred pairs, each from its seed; the noises are in ``comparison_corpus``. With the recommended number of paired
windows: of equal pairs at most 5 % are called regressions, also of every noise alone, and of 10 % slower ones at least 95 %.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest
from comparison_corpus import PAIRED, UNPAIRED, Noise, corpus, two_runs

from stackproof.measurement import statistics
from stackproof.measurement.compared import Outcome
from stackproof.measurement.comparison import RECOMMENDED_PAIRS, Verdict, compare
from stackproof.measurement.statistics import variation

EACH = 60
"""Pairs for every noise: 300 equal and 300 slower ones for the recommended protocol."""


@pytest.fixture(autouse=True)
def _without_what_is_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    """No verdict rests on the bootstrap intervals of the runs, and they take most of the time."""
    monkeypatch.setattr(statistics, "bootstrap", lambda *_, **__: None)


def outcomes(noises: tuple[Noise, ...], slower: float, pairs: int, paired: bool = True) -> dict[str, Counter[Outcome]]:
    found: dict[str, Counter[Outcome]] = {noise.name: Counter() for noise in noises}
    for noise, first, second in corpus(EACH * len(noises), noises, slower=slower, pairs=pairs, paired=paired):
        found[noise.name][compare(first, second).outcome] += 1
    return found


def share(found: dict[str, Counter[Outcome]], outcome: Outcome) -> float:
    return sum(counts[outcome] for counts in found.values()) / sum(counts.total() for counts in found.values())


def test_equal_pairs_raise_a_false_alarm_in_at_most_five_per_cent() -> None:
    found = outcomes(PAIRED, 1.0, RECOMMENDED_PAIRS)
    assert share(found, Outcome.REGRESSION) <= 0.05, found
    for noise, counts in found.items():
        assert counts[Outcome.REGRESSION] / EACH <= 0.05, noise
    # ... and not because it never answers: where windows agree, equal runs are told to be equal.
    assert found["quiet"][Outcome.NO_REGRESSION] / EACH >= 0.6, found
    assert share(found, Outcome.NO_REGRESSION) >= 0.3, found


def test_pairs_that_are_ten_per_cent_slower_are_found_in_at_least_95_per_cent() -> None:
    found = outcomes(PAIRED, 1.1, RECOMMENDED_PAIRS)
    assert share(found, Outcome.REGRESSION) >= 0.95, found
    for noise, counts in found.items():
        assert counts[Outcome.REGRESSION] / EACH >= 0.93, (noise, counts)  # 95 %, less two standard errors of so few
        assert counts[Outcome.NO_REGRESSION] == 0, (noise, counts)


def test_what_is_ten_per_cent_faster_is_an_improvement_and_no_regression() -> None:
    found = Counter(
        {result.metric.name: result.verdict for result in compare(first, second).metrics}["p50"]
        for _, first, second in corpus(100, PAIRED, slower=1 / 1.1, pairs=RECOMMENDED_PAIRS)
    )
    assert found[Verdict.IMPROVEMENT] >= 90, found
    assert found[Verdict.REGRESSION] == 0, found


def test_a_change_below_the_threshold_is_seldom_a_regression() -> None:
    """Two per cent slower: real, and not what the gate is for."""
    found = outcomes(PAIRED[:3], 1.02, RECOMMENDED_PAIRS)
    assert share(found, Outcome.REGRESSION) <= 0.05, found


def test_unpaired_windows_raise_no_more_false_alarms_and_find_less() -> None:
    equal, slower = (outcomes(UNPAIRED, factor, RECOMMENDED_PAIRS, paired=False) for factor in (1.0, 1.1))
    assert share(equal, Outcome.REGRESSION) <= 0.05, equal
    for noise, counts in equal.items():
        assert counts[Outcome.REGRESSION] / EACH <= 0.05, noise
    assert slower["quiet"][Outcome.REGRESSION] / EACH >= 0.95, slower
    assert share(slower, Outcome.NO_REGRESSION) == 0, slower


@pytest.mark.parametrize("pairs", [5, 12, 20])
def test_fewer_windows_raise_no_more_false_alarms(pairs: int) -> None:
    found = outcomes(PAIRED, 1.0, pairs)
    assert share(found, Outcome.REGRESSION) <= 0.05, found


def test_more_windows_find_more() -> None:
    found = [share(outcomes(PAIRED[-1:], 1.1, pairs), Outcome.REGRESSION) for pairs in (10, 20, RECOMMENDED_PAIRS)]
    assert all(more > fewer for fewer, more in pairwise(found)), found


@pytest.mark.parametrize("paired", [True, False])
def test_a_drift_between_two_runs_in_a_row_is_no_regression(paired: bool) -> None:
    """The machine gets 15 % slower along the way. Names of pairs do not help where the windows were not interleaved."""
    from dataclasses import replace

    alarms = 0
    for seed in range(60):
        first, second = two_runs(seed, PAIRED[1], pairs=RECOMMENDED_PAIRS, paired=False)
        windows = [
            tuple(
                replace(
                    window,
                    pair=str(number) if paired else "",
                    figures={
                        name: value and value * (1 + 0.15 * (window.started or 0) / (2 * RECOMMENDED_PAIRS * 12))
                        for name, value in window.figures.items()
                    },
                )
                for number, window in enumerate(run.windows)
            )
            for run in (first, second)
        ]
        result = compare(replace(first, windows=windows[0]), replace(second, windows=windows[1]), ["p50"])
        assert not result.paired
        alarms += result.outcome is Outcome.REGRESSION
    assert alarms <= 3


@pytest.mark.parametrize(
    "always", [Outcome.NO_REGRESSION, Outcome.REGRESSION, Outcome.CANNOT_TELL], ids=lambda outcome: outcome.value
)
def test_a_gate_that_always_says_the_same_fails_the_corpus(always: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    monkeypatch.setattr("test_comparison_corpus.EACH", 5)
    monkeypatch.setattr("test_comparison_corpus.compare", lambda *_: SimpleNamespace(outcome=always))
    tests: list[Callable[[], None]] = [
        test_equal_pairs_raise_a_false_alarm_in_at_most_five_per_cent,
        test_pairs_that_are_ten_per_cent_slower_are_found_in_at_least_95_per_cent,
    ]
    failed = 0
    for test in tests:
        try:
            test()
        except AssertionError:
            failed += 1
    assert failed


def test_the_corpus_has_the_noise_that_it_speaks_of() -> None:
    """CV up to 10 % for the median of a run, of which outlier windows are a part."""
    for noise in PAIRED:
        found = [
            variation(
                [window.figures["p50"] or 0.0 for window in two_runs(seed, noise, pairs=RECOMMENDED_PAIRS)[0].windows]
            )
            for seed in range(20)
        ]
        mean = sum(value or 0.0 for value in found) / len(found)
        assert (0.08 if "CV 10 %" in noise.name else 0.03) <= mean <= 0.115, noise.name
