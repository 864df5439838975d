"""Which of several measured ceilings counts: under one promise, of one group of runs, and of one's own before ours. Pure.

Never by what suits: an older search does not count because it found more, or less, and a rate that held once does not count any
more where a newer run, or one closer to the user's hardware, failed at it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from stackproof.measurement.search_words import a_rate

from .ceilings import NATIVE, MeasuredCeiling
from .origins import EXTERNAL


def refutes(one: MeasuredCeiling, other: MeasuredCeiling) -> bool:
    """Whether one run failed, of the same thing and under a promise no stricter, at what the other one says holds.

    An engine that stands in refutes only one of its kind: the technology itself may carry what that one does not.
    """
    if one.measured != other.measured or one.fidelity not in (NATIVE, other.fidelity):
        return False
    fails = one.fails_under(other.p99_limit_ms)
    return fails is not None and fails <= other.low


def standing(ceilings: Iterable[MeasuredCeiling]) -> list[MeasuredCeiling]:
    """Those that may be used and that no newer one refutes."""
    valid = [one for one in ceilings if one.valid]
    return [one for one in valid if not any(_age(other) > _age(one) and refutes(other, one) for other in valid)]


def latest(ceilings: Iterable[MeasuredCeiling]) -> MeasuredCeiling | None:
    """Of runs that measured the same thing, the one that counts: the last search that ended; without any, the highest rate that
    was held. None where nothing may be used.

    A run on an engine that stands in says less than one on the technology itself, however new it is.
    """
    sound = standing(ceilings)
    usable = [one for one in sound if one.fidelity == NATIVE] or sound
    searched = [one for one in usable if one.searched]
    if searched:
        return max(searched, key=_age)
    return max(usable, key=lambda one: (one.low, _age(one)), default=None)


def closest(groups: Sequence[Sequence[MeasuredCeiling]]) -> MeasuredCeiling | None:
    """Of groups of runs that measured the same thing, the closest to the user's hardware first, the run that counts.

    A search counts before a rate that was only held, wherever it comes from; but a higher rate that was held closer to the
    user's own hardware is a lower bound that a search elsewhere cannot take away, and what failed there holds nowhere further
    off. Before all of that comes the technology itself: what stands in for it counts only where nothing else was measured.
    """
    if any(one.valid and one.fidelity == NATIVE for group in groups for one in group):
        groups = [[one for one in group if one.fidelity == NATIVE] for group in groups]
    held: MeasuredCeiling | None = None
    closer: list[MeasuredCeiling] = []
    for group in groups:
        found = latest(one for one in group if not any(refutes(near, one) for near in closer))
        if found is not None and (held is None or found.low > held.low or (found.searched and found.low == held.low)):
            held = found
        if found is not None and found.searched:
            return held
        closer += standing(group)
    return held


def under_promise(ceilings: Iterable[MeasuredCeiling], p99_ms: float | None) -> tuple[MeasuredCeiling, ...]:
    """Of runs that measured the same thing under several promises, those whose promise says most about this one.

    Searches and fixed rates are chosen among their like: a rate that was only held, without a promise, must not take away what a
    search found under one. What a newer run refutes is left out before, and what must not be used stays, since it is told.
    """
    asked = math.inf if p99_ms is None else p99_ms
    groups: dict[object, list[MeasuredCeiling]] = {}
    refused: list[MeasuredCeiling] = []
    for one in ceilings:
        if one.valid:
            key = (one.measured, one.origin == EXTERNAL, one.fidelity == NATIVE)
            groups.setdefault(key, []).append(one)
        else:
            refused.append(one)
    found = []
    for group in groups.values():
        sound = standing(group)
        for kind in (True, False):
            alike = [one for one in sound if one.at_fixed_rate is kind]
            limit = _telling(alike, asked)
            found += [one for one in alike if one.p99_limit_ms == limit]
    return (*found, *refused)


def _telling(ceilings: Sequence[MeasuredCeiling], asked: float) -> float | None:
    """The limit (ms) that says most about what is asked for; None for no ceilings.

    That is what is asked for itself; else the loosest stricter one under which some rate held, a lower bound; else the strictest
    looser one under which some rate held. A search that ended counts before one that did not.
    """
    rising = sorted(ceilings, key=lambda one: one.low)
    kinds = [{one.p99_limit_ms: one for one in rising if one.searched is ended} for ended in (True, False)]
    for kind in kinds:
        bounds = [limit for limit, one in kind.items() if limit == asked or (limit < asked and one.low)]
        if bounds:
            return max(bounds)
    for kind in kinds:
        looser = [limit for limit, one in kind.items() if limit > asked and one.low]
        if looser:
            return min(looser)
    every = [limit for kind in kinds for limit in kind]
    return max((limit for limit in every if limit <= asked), default=min(every, default=None))


FAR = 5.0
"""Times that a rate may be another one's before one of the two is doubted."""


def far_apart(own: MeasuredCeiling, shipped: Iterable[MeasuredCeiling]) -> list[str]:
    """A sentence where a run and that of the package, of the same thing and under the same promise, are far from each other."""
    return [
        f"run {own.run} holds {a_rate(own.low)}, and run {other.run}, which came with the package, {a_rate(other.low)} of the "
        f"same: one of them may have measured something else"
        for other in shipped
        if other.valid and other.measured == own.measured and other.p99_limit_ms == own.p99_limit_ms
        if own.low and other.low and not 1 / FAR <= own.low / other.low <= FAR
    ][:1]


def _age(one: MeasuredCeiling) -> tuple[float, str]:
    return one.when, one.run
