"""What repeated windows of load say together: intervals, spread, steadiness, and the ratio of two runs. Pure.

A window is the unit: its percentiles come from one merged histogram, and windows differ by more than chance within one
window explains. So nothing here pools the samples of several windows, and no interval is made from one.

Ratios are taken on the log scale, where a doubling and a halving are equally far apart. Their intervals turn a rank test
around (Hodges and Lehmann 1963): they ask for no normal distribution, are exact for few windows, and one window that went
wrong moves them little.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Values = NDArray[np.float64]

NOISY = 0.10
"""A coefficient of variation above this is flagged: the windows of that run do not agree."""
LEAST_SECONDS = 10
"""A series shorter than this says nothing about steadiness."""
DRIFT = 0.05
"""A trend that moves the level by more than this share over the series is one, where it is not chance."""
SIGMA_RATIO = 3.0
"""The spread of the second half may be this many times that of the first, or this part of it."""
UNLIKELY = 0.01
"""A trend that chance would make more often than this is no trend."""
LONGEST_CHANCE = 3.0
"""Seconds for which a steady series may stay above or below its level by chance."""
LEAST_SIDE = 3
"""A level takes this many seconds: what is shorter is a stall, and shows in the high percentiles."""
STEP_ERRORS, STEP_SIGMAS = 3.3, 2.6
"""A step is so many standard errors, and so many standard deviations within both sides, apart. The second keeps noise that is
alike for a few seconds from being taken for two levels."""
PAIRED, UNPAIRED = "paired: Hodges-Lehmann, Wilcoxon", "unpaired: Hodges-Lehmann, Mann-Whitney"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A statistic of a run with its interval, in the unit of the values."""

    value: float
    low: float
    high: float
    confidence: float
    method: str
    """BCa, or percentile."""


def bootstrap(
    values: Sequence[float],
    statistic: Callable[..., Any] = np.median,
    *,
    confidence: float = 0.95,
    seed: int = 7,
    resamples: int = 4999,
) -> Estimate | None:
    """The statistic of a run over its windows, with a bootstrap interval; None for fewer than three windows, or equal ones.

    ``statistic`` takes ``axis`` as numpy's do. The interval is bias-corrected and accelerated (Efron 1987), but for the median,
    whose jack-knife is degenerate, and where BCa has no answer: there it is the percentile interval.
    """
    sample = _sample(values)
    if len(sample) < 3 or _constant(sample):
        return None
    for method in ("percentile",) if statistic is np.median else ("BCa", "percentile"):
        with np.errstate(all="ignore"):
            found = stats.bootstrap(
                (sample,),
                statistic,
                n_resamples=resamples,
                confidence_level=confidence,
                method=method,
                rng=np.random.default_rng(seed),
            ).confidence_interval
        if math.isfinite(found.low) and math.isfinite(found.high):
            return Estimate(float(statistic(sample)), float(found.low), float(found.high), confidence, method)
    return None


def median(values: Sequence[float]) -> float | None:
    """The middle of the values; None where there is none."""
    return float(np.median(_sample(values))) if len(values) else None


def variation(values: Sequence[float]) -> float | None:
    """The coefficient of variation: standard deviation over mean; None where there is none (fewer than two, or a mean of 0)."""
    sample = _sample(values)
    mean = float(sample.mean()) if len(sample) else 0.0
    return None if len(sample) < 2 or not mean else float(sample.std(ddof=1)) / abs(mean)


def is_noisy(values: Sequence[float]) -> bool:
    """Whether the coefficient of variation is above `NOISY`."""
    found = variation(values)
    return found is not None and found > NOISY


def effective_size(values: Sequence[float]) -> float:
    """How many independent values this series, in order of time, is worth; at most its length, at least 1.

    The larger of two autocorrelation times counts: that of a first-order process, its coefficient corrected for the bias of
    a short series (Kendall 1954), and the sum of autocorrelations up to the first negative pair (Geyer 1992), which sees a
    slow drift below noise.
    """
    sample = _sample(values)
    count = len(sample)
    if count < 4 or _constant(sample):
        return float(count)
    correlations = _autocorrelations(sample)
    lag_one = float(correlations[1])
    first = min(0.99, lag_one + (1 + 3 * lag_one) / count)
    total = 0.0
    for lag in range(1, count // 2, 2):
        pair = correlations[lag] + correlations[lag + 1]
        if pair <= 0:
            break
        total += float(pair)
    time = max((1 + first) / (1 - first), 1 + 2 * total, 1.0)
    return max(1.0, count / time)


def _follow_each_other(sample: Values) -> bool:
    """Whether neighbours are alike beyond chance (5 %, one-sided)."""
    return not _constant(sample) and bool(_autocorrelations(sample)[1] > stats.norm.isf(0.05) / math.sqrt(len(sample)))


def _autocorrelations(sample: Values) -> Values:
    centred = sample - sample.mean()
    sums: Values = np.correlate(centred, centred, mode="full")[len(sample) - 1 :]
    return np.asarray(sums / sums[0], dtype=np.float64)


class Steady(StrEnum):
    """Whether a series has come to rest."""

    STEADY = "steady"
    NOT_STEADY = "not steady"
    TOO_SHORT = "too short"


@dataclass(frozen=True, slots=True)
class Steadiness:
    """The answer about a one-second series, and what it rests on."""

    state: Steady
    trend: float | None
    """By what share of its median the level moves from the first second to the last (Theil and Sen's slope)."""
    sigma_ratio: float | None
    """Spread of the second half over that of the first, without the trend (mean deviation from the median)."""
    sentence: str


def steadiness(series: Sequence[float | None]) -> Steadiness:
    """Whether a series of one value a second (a latency, a rate) has come to rest. Seconds without a value are left out."""
    known = [(second, value) for second, value in enumerate(series) if value is not None]
    if len(known) < LEAST_SECONDS:
        return Steadiness(
            Steady.TOO_SHORT, None, None, f"{len(known)} seconds are too few to say; it takes {LEAST_SECONDS}."
        )
    at, values = np.array([second for second, _ in known], float), _sample([value for _, value in known])
    if _constant(values):
        return Steadiness(Steady.STEADY, 0.0, 1.0, "Every second shows the same value.")
    slope = float(stats.theilslopes(values, at)[0])
    level = float(np.median(values))
    trend = slope * float(at[-1] - at[0]) / abs(level) if level else math.copysign(math.inf, slope) if slope else 0.0
    ratio = _sigma_ratio(values - slope * at)
    if abs(trend) > DRIFT and _is_no_chance(at, values):
        sentence = f"The level moved by {trend:+.0%} over {len(known)} seconds."
        return Steadiness(Steady.NOT_STEADY, trend, ratio, sentence)
    if (step := _step(at, values)) is not None:
        sentence = f"The level went by {step[1]:+.0%} at second {step[0]:g}, and stayed there."
        return Steadiness(Steady.NOT_STEADY, trend, ratio, sentence)
    if abs(math.log(ratio)) > math.log(_most_ratio(len(known))):
        sentence = f"The spread of the second half is {ratio:.2g} times that of the first."
        return Steadiness(Steady.NOT_STEADY, trend, ratio, sentence)
    return Steadiness(
        Steady.STEADY, trend, ratio, f"Over {len(known)} seconds there is no trend, and the spread stays."
    )


def _step(at: Values, values: Values) -> tuple[float, float] | None:
    """The second at which the level changed for good, and by what share; None where it did not.

    The place is that which leaves the least squares on both sides. Neighbours that are alike are so beside the step: what is left
    around the two levels says how much a second counts, and not the whole series, which a step makes alike by itself.
    """
    count, centre = len(values), float(np.median(values))
    scaled = np.log(values) if values.min() > 0 else values / (abs(centre) or float(np.abs(values).max()))
    sums = np.cumsum(scaled)
    places = np.arange(LEAST_SIDE, count - LEAST_SIDE + 1)
    before, after = sums[places - 1] / places, (sums[-1] - sums[places - 1]) / (count - places)
    explained = (after - before) ** 2 * places * (count - places) / count
    best = int(np.argmax(explained))
    place = int(places[best])
    rest = np.concatenate([scaled[:place] - before[best], scaled[place:] - after[best]])
    squares = max(float(rest @ rest), 1e-18)
    sigma = math.sqrt(squares / (count - 2))
    alike = float(rest[:-1] @ rest[1:]) / squares
    alike = min(
        0.9, max(0.0, alike + (1 + 4 * alike) / count)
    )  # of a short series it is found too small (Kendall 1954)
    errors = math.sqrt(float(explained[best]) * (1 - alike) / (1 + alike)) / sigma
    first, second = float(np.median(values[:place])), float(np.median(values[place:]))
    moved_by = abs(second - first) / (abs(first) or abs(centre) or 1.0)
    if moved_by <= DRIFT or errors < STEP_ERRORS or abs(float(after[best] - before[best])) < STEP_SIGMAS * sigma:
        return None
    return float(at[place]), math.copysign(moved_by, second - first)


def settled_after(series: Sequence[float | None]) -> int | None:
    """Seconds to leave out at the start so that the rest is steady; None where not even the second half is."""
    for start in range(0, len(series) // 2 + 1, max(1, len(series) // 20)):
        if steadiness(series[start:]).state is Steady.STEADY:
            return start
    return None


def _sigma_ratio(values: Values) -> float:
    least = 1e-12 * max(1.0, float(np.abs(values).max()))
    first, second = (float(np.abs(half - np.median(half)).mean()) for half in np.array_split(values, 2))
    return max(second, least) / max(first, least)


def _most_ratio(count: int) -> float:
    """`SIGMA_RATIO`, or what chance makes of two halves of a short series: a mean deviation of n values is known to 76 %/√n."""
    return max(SIGMA_RATIO, math.exp(3 * 0.76 * math.sqrt(2 / (count / 2))))


def _is_no_chance(at: Values, values: Values) -> bool:
    """Mann and Kendall's test; what the autocorrelation of the rest around the trend takes away is taken from its z.

    Not all of it: the rest around a curve is alike for long, and what is alike for more than `LONGEST_CHANCE` seconds is a
    movement of the level.
    """
    slope = float(stats.theilslopes(values, at)[0])
    share = max(1 / LONGEST_CHANCE, effective_size(list(values - slope * at)) / len(values))
    p = float(stats.kendalltau(at, values).pvalue)
    z = float(stats.norm.isf(max(p, 1e-300) / 2)) * math.sqrt(share)
    return math.erfc(z / math.sqrt(2)) < UNLIKELY


def moved(values: Sequence[float]) -> float | None:
    """By what share of its median a series in order of time moved along; None where that may be chance (5 %).

    Without regard to autocorrelation: what looks like a trend may go on where nobody measured.
    """
    sample, at = _sample(values), np.arange(len(values), dtype=np.float64)
    if len(sample) < 5 or _constant(sample) or float(stats.kendalltau(at, sample).pvalue) > 0.05:
        return None
    return float(stats.theilslopes(sample, at)[0]) * float(at[-1]) / abs(float(np.median(sample)))


@dataclass(frozen=True, slots=True)
class Effect:
    """The ratio of two runs, second over first: 1.10 is ten per cent more."""

    ratio: float
    low: float
    high: float
    confidence: float | None
    """Of the interval; None for brackets of ceilings, which are no samples."""
    windows: tuple[int, int]
    effective: float
    """How many windows, or pairs, count after autocorrelation."""
    p: float | None
    """Of no difference at all, two-sided: Wilcoxon's signed ranks for pairs, else Mann and Whitney's U; None for brackets."""
    method: str


@dataclass(frozen=True, slots=True)
class NoEffect:
    """Why two runs give no ratio with an interval."""

    sentence: str
    least: int | None = None
    """How many windows, or pairs, it takes; None where more windows are no help."""


def paired_effect(
    first: Sequence[float], second: Sequence[float], confidence: float = 0.95, resolution: float = 0.0
) -> Effect | NoEffect:
    """The typical ratio of pairs of windows in order of time, all values above 0.

    What moves both windows of a pair alike (a slow machine, a neighbour) is not in it. Successive pairs should be
    independent; where their autocorrelation is beyond chance, they count as fewer. ``resolution`` is how far a log ratio
    may be off because the values are only known so exactly (mid-points of brackets): it widens the interval, and lets
    values be equal.
    """
    one, two = np.log(_positive(first)), np.log(_positive(second))
    if len(one) != len(two):
        raise ValueError("pairs need two windows each")
    differences = two - one
    count, tail = len(differences), (1 - confidence) / 2
    if _too_few(position := _signed_rank_position(count, tail)):
        return NoEffect(
            f"{count} pairs of windows are too few for {100 * confidence:.3g} % confidence", least_pairs(confidence)
        )
    if _constant(differences) and not resolution:
        return NoEffect("every pair shows the same ratio: without variance there is no interval")
    # Correcting for an autocorrelation that is no more than chance would cost every comparison a fifth of its pairs.
    effective = effective_size(list(differences)) if _follow_each_other(differences) else float(count)
    if effective < count and _too_few(position := _signed_rank_position(int(effective), tail)):
        return NoEffect(f"{count} pairs follow each other so closely that they count as {effective:.0f}: too few")
    rows, columns = np.triu_indices(count)
    means = np.sort((differences[rows] + differences[columns]) / 2)
    p = float(stats.wilcoxon(differences).pvalue) if differences.any() else 1.0
    found = Effect(*_around_the_median(means, position), confidence, (count, count), effective, p, PAIRED)
    return _widened(found, resolution)


def unpaired_effect(
    first: Sequence[float], second: Sequence[float], confidence: float = 0.95, resolution: float = 0.0
) -> Effect | NoEffect:
    """The typical ratio of the windows of two runs, each in order of time, all values above 0; ``resolution`` as above.

    Drift within a run makes its windows count as fewer. What changed between the runs cannot be seen.
    """
    one, two = np.log(_positive(first)), np.log(_positive(second))
    tail = (1 - confidence) / 2
    if _too_few(_rank_sum_position(len(one), len(two), tail)):
        least = least_windows(confidence)
        few = [
            f"{len(run)} window{'' if len(run) == 1 else 's'} of the {which} run"
            for run, which in ((one, "first"), (two, "second"))
            if len(run) < least
        ]
        sentence = f"{' and '.join(few)} are too few for {100 * confidence:.3g} % confidence"
        return NoEffect(sentence, least)
    if _constant(one) and _constant(two) and not resolution:
        return NoEffect("no window of either run differs from the others: without variance there is no interval")
    sizes = [effective_size(list(run)) for run in (one, two)]
    position = _rank_sum_position(int(sizes[0]), int(sizes[1]), tail)
    if _too_few(position):
        return NoEffect(
            f"the windows of a run follow each other so closely that {len(one)} and {len(two)} count as "
            f"{sizes[0]:.0f} and {sizes[1]:.0f}: too few"
        )
    differences = np.sort(np.subtract.outer(two, one).ravel())
    p, around = mann_whitney(first, second), _around_the_median(differences, position)
    return _widened(Effect(*around, confidence, (len(one), len(two)), min(sizes), p, UNPAIRED), resolution)


def mann_whitney(first: Sequence[float], second: Sequence[float]) -> float:
    """p of Mann and Whitney's U test, two-sided: exact for a small sample without ties, else by the normal approximation."""
    return float(stats.mannwhitneyu(_sample(first), _sample(second), alternative="two-sided", method="auto").pvalue)


def least_pairs(confidence: float) -> int:
    """The fewest pairs that can give an interval of this confidence at all."""
    return next(count for count in range(2, 100) if not _too_few(_signed_rank_position(count, (1 - confidence) / 2)))


def least_windows(confidence: float) -> int:
    """The fewest windows of each of two unpaired runs that can give an interval of this confidence at all."""
    return next(
        count for count in range(2, 100) if not _too_few(_rank_sum_position(count, count, (1 - confidence) / 2))
    )


def _around_the_median(ordered: Values, position: float) -> tuple[float, float, float]:
    """Ratios at the median of all ordered log ratios, and at the two that lie a share ``position`` of all from the ends."""
    index = math.floor(position * len(ordered) + 1e-9)
    low, middle, high = (float(np.exp(value)) for value in (ordered[index], np.median(ordered), ordered[-1 - index]))
    return middle, low, high


def _widened(effect: Effect, resolution: float) -> Effect:
    return replace(effect, low=effect.low * math.exp(-resolution), high=effect.high * math.exp(resolution))


def _too_few(position: float) -> bool:
    return math.isnan(position)


@lru_cache(maxsize=4096)
def _signed_rank_position(count: int, tail: float) -> float:
    """Where, as a share of all means of pairs, the interval starts; NaN where so few pairs can have none."""
    if count < 1:
        return math.nan
    ways = np.ones(1)
    for rank in range(1, count + 1):  # each rank is either in the sum or not
        ways = np.concatenate([ways, np.zeros(rank)]) + np.concatenate([np.zeros(rank), ways])
    return _position(ways / ways.sum(), tail, count * (count + 1) // 2)


@lru_cache(maxsize=4096)
def _rank_sum_position(first: int, second: int, tail: float) -> float:
    """The same for all differences of two samples: the distribution of Mann and Whitney's U, by the count of orderings."""
    if min(first, second) < 1:
        return math.nan
    # Mann and Whitney (1947): an ordering ends with a value of one sample or of the other.
    shorter, longer = sorted((first, second))
    row = [np.ones(1)] + [np.ones(1) for _ in range(longer)]
    for ones in range(1, shorter + 1):
        new = [np.ones(1)]
        for twos in range(1, longer + 1):
            ways = np.zeros(ones * twos + 1)
            ways[: len(new[twos - 1])] += new[twos - 1] * (twos / (ones + twos))
            ways[twos : twos + len(row[twos])] += row[twos] * (ones / (ones + twos))
            new.append(ways)
        row = new
    return _position(row[longer], tail, first * second)


def _position(chances: Values, tail: float, total: int) -> float:
    """The largest k whose chance of a sum of at most k is within the tail, as a share of the total."""
    within = int(np.searchsorted(np.cumsum(chances), tail * (1 + 1e-12), side="right"))
    return math.nan if within == 0 else (within - 1) / total


def _sample(values: Sequence[float]) -> Values:
    sample = np.asarray(values, dtype=np.float64)
    if not np.isfinite(sample).all():
        raise ValueError("a value that is no finite number cannot be averaged away")
    return sample


def _positive(values: Sequence[float]) -> Values:
    sample = _sample(values)
    if (sample <= 0).any():
        raise ValueError("a ratio needs values above 0")
    return sample


def _constant(sample: Values) -> bool:
    """Whether nothing varies, but for the rounding of a float."""
    return len(sample) > 0 and float(np.ptp(sample)) <= 1e-12 * max(1.0, float(np.abs(sample).max()))
