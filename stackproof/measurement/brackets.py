"""Ceilings as brackets [holds, fails]: what two of them, or a few, say about a ratio. Pure.

A search confirms both ends in fresh windows, so one search is an answer by itself, unlike one window. The true ceiling may lie
anywhere in the bracket: the ratio of two ceilings lies between the farthest and the nearest that their brackets allow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from .statistics import Effect

Bracket = tuple[float, float]
"""The highest rate that held, and the lowest that failed, 1/s."""

METHOD = "brackets"


def is_bracket(bracket: Bracket) -> bool:
    """Whether these are two rates in order."""
    return 0 < bracket[0] <= bracket[1] < math.inf


def middle(bracket: Bracket) -> float:
    """The mid-point, on the log scale: a ratio of two is then the middle of what their brackets allow."""
    return math.sqrt(bracket[0] * bracket[1])


def half_width(bracket: Bracket) -> float:
    """How far the true ceiling may be from the mid-point, on the log scale, at most."""
    return math.log(bracket[1] / bracket[0]) / 2


def hull(brackets: Sequence[Bracket]) -> Bracket:
    """The smallest bracket that holds all of them: several searches of one thing differ by what the machine did meanwhile."""
    return min(low for low, _ in brackets), max(high for _, high in brackets)


def effect_of_brackets(first: Sequence[Bracket], second: Sequence[Bracket]) -> Effect:
    """The ratio of two ceilings, second over first, and all that the brackets allow for it; at least one on each side.

    It has no confidence and no p: a bracket is no sample.
    """
    one, two = hull(first), hull(second)
    return Effect(
        ratio=middle(two) / middle(one),
        low=two[0] / one[1],
        high=two[1] / one[0],
        confidence=None,
        windows=(len(first), len(second)),
        effective=float(min(len(first), len(second))),
        p=None,
        method=METHOD,
    )
