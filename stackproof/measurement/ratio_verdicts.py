"""What a ratio of two runs and its interval say about one metric: the verdict, and the sentence that goes with it. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum

from .figures import NEVER_MS
from .statistics import Effect

ENDLESS = 10_000
"""More windows than this are not worth a recommendation."""


class Verdict(StrEnum):
    """About one metric."""

    REGRESSION = "regression"
    IMPROVEMENT = "improvement"
    NO_DIFFERENCE = "no difference"
    CANNOT_TELL = "cannot tell"


def judged(effect: Effect, paired: bool, threshold: float, *, more_is_better: bool = False) -> tuple[Verdict, str]:
    """Verdict and sentence from the effect, turned so that more is worse."""
    worse, low, high = (math.log(value) for value in (effect.ratio, effect.low, effect.high))
    if more_is_better:
        worse, low, high = -worse, -high, -low
    bound = math.log1p(threshold)
    least = 0.0 if paired else bound
    if low > least and worse > bound:
        return Verdict.REGRESSION, f"{_told(effect)}: worse by more than {percent(threshold)}, and not by chance."
    if high < -least and worse < -bound:
        return Verdict.IMPROVEMENT, f"{_told(effect)}: better by more than {percent(threshold)}, and not by chance."
    if -bound < low and high < bound:
        return Verdict.NO_DIFFERENCE, f"{_told(effect)}: all of it is within {percent(threshold)}."
    return Verdict.CANNOT_TELL, _undecided(effect, worse, low, high, bound, paired)


def never(values: Sequence[float]) -> bool:
    """Whether no window reached it: so large a share of the operations never ended well."""
    return bool(values) and min(values) == NEVER_MS


def judged_by_never(first: Sequence[float], second: Sequence[float], least: int) -> tuple[Verdict, str] | None:
    """Where every window of one run reached it, and none of the other: that needs no ratio. None elsewhere, and for fewer windows
    than ``least`` of either."""
    if (
        never(first) == never(second)
        or NEVER_MS in (first, second)[never(first)]
        or min(len(first), len(second)) < least
    ):
        return None
    verdict, which, other = (
        (Verdict.IMPROVEMENT, "first", "second") if never(first) else (Verdict.REGRESSION, "second", "first")
    )
    told = f"Never reached in the {which} run, in none of its windows: too few operations ended well. Every window of the {other}"
    return verdict, f"{told} run reached it."


def unlike_in_never(first: Sequence[float], second: Sequence[float]) -> str:
    """Why the typical ratio does not show all: one run has more windows that never reached it. Empty where that is not so."""
    one, two = (sum(value == NEVER_MS for value in values) for values in (first, second))
    if one == two:
        return ""
    return (
        f"{one} windows of the first run and {two} of the second never reached it, which a typical ratio does not show"
    )


def judged_by_brackets(effect: Effect, threshold: float) -> tuple[Verdict, str]:
    """Verdict and sentence about two ceilings. What the machine did between them is in neither: the threshold allows for it."""
    told, share, bound = _told(effect), percent(threshold), math.log1p(threshold)
    low, high = math.log(effect.low), math.log(effect.high)
    if high < -bound:
        return Verdict.REGRESSION, f"{told}: the brackets lie apart, by more than {share}."
    if low > bound:
        return Verdict.IMPROVEMENT, f"{told}: the brackets lie apart, by more than {share}."
    if -bound < low and high < bound:
        return Verdict.NO_DIFFERENCE, f"{told}: all that the brackets allow is within {share}."
    if high < 0 or low > 0:
        which = "lower" if high < 0 else "higher"
        return (
            Verdict.CANNOT_TELL,
            f"{told}: {which}, for the brackets lie apart, but whether by more than {share} stays open.",
        )
    return Verdict.CANNOT_TELL, f"{told}: the brackets overlap, and allow more than {share}; narrower ones would tell."


def _undecided(effect: Effect, worse: float, low: float, high: float, bound: float, paired: bool) -> str:
    """What an interval that allows both leaves open, and how many windows would settle it."""
    far = abs(worse)
    aim = bound - far if far < bound else far if paired else far - bound
    half, count = (high - low) / 2, min(effect.windows)
    needed = count * (half / aim) ** 2 if aim > 0 else math.inf
    what = "pairs of windows" if paired else "windows of each run"
    threshold = percent(math.expm1(bound))
    open_ = f"{_told(effect)}: that reaches across the threshold of {threshold}."
    if low > 0 or high < 0:
        which = "worse" if low > 0 else "better"
        open_ = f"{_told(effect)}: {which}, but whether by more than {threshold} stays open."
    if needed > ENDLESS:
        return f"{open_} More windows will hardly settle it."
    first, second = effect.windows
    compared = f"{count}" if first == second else f"{first} and {second}"
    return f"{open_} About {max(count + 1, math.ceil(needed))} {what} would settle it; {compared} were compared."


def _told(effect: Effect) -> str:
    return f"{change(effect.ratio)} ({change(effect.low)} to {change(effect.high)})"


def change(ratio: float) -> str:
    """A ratio as people read it: +10.2 %."""
    return f"{100 * (ratio - 1):+.1f} %"


def percent(share: float) -> str:
    """A share as people read it: 5 %."""
    return f"{100 * share:.3g} %"
