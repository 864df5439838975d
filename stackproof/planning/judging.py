"""What measured ceilings say about a claim, scenario by scenario. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from stackproof.measurement.search_words import a_rate
from stackproof.scenarios.catalogue import find_scenario
from stackproof.targets import find_stack

from .audit_words import USUAL, How, commands
from .ceilings import MeasuredCeiling
from .choosing import latest
from .claims import Claim, Comparison, Measure, Method
from .crossing import Crossing, crossing, points_of
from .headroom import Headroom

LOOSE = 10.0
"""A claim that is exceeded by more than this is loose. A choice: an order of magnitude leaves room for a day whose peak is five
times its mean, and a factor of two to spare. A number that lies further below the ceiling was not made from it."""


class Verdict(StrEnum):
    """What is known about a claim, as a whole or by one scenario."""

    SUPPORTED = "supported"
    """What was measured reaches the number, and does not exceed it by far."""
    LOOSE = "loose"
    """It exceeds the number by far: the claim is true, and something else binds."""
    UNSUPPORTED = "unsupported"
    """What was measured ends before the number."""
    NOT_TESTABLE = "not-testable-here"
    NOT_MEASURED = "not-measured"
    """Nothing was measured, or what was measured decides nothing."""


_RANK = (Verdict.UNSUPPORTED, Verdict.NOT_MEASURED, Verdict.SUPPORTED, Verdict.LOOSE)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Of parts that are all needed; NOT_MEASURED for none."""
    return min(verdicts, key=_RANK.index, default=Verdict.NOT_MEASURED)


@dataclass(frozen=True, slots=True)
class Part:
    """What one scenario says about a claim."""

    verdict: Verdict
    headroom: Headroom | None
    """None where nothing that can be used was measured."""
    limiter: str
    sentences: tuple[str, ...]
    runs: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    """What to type, where this part decides nothing."""


def part_of(claim: Claim, measure: Measure, ceilings: Sequence[MeasuredCeiling], how: How = USUAL) -> Part:
    """What the ceilings of one scenario say about a claim that is judged by rate, size or crossing.

    ``how``: the options of the commands that would measure what is missing.
    """
    found = {Method.RATE: _by_rate, Method.SIZE: _by_size, Method.CROSSING: _by_crossing}[claim.judged_by]
    return found(claim, measure, ceilings, how)


def decide(claim: Claim, room: Headroom) -> Verdict:
    """The rule of the audit, for one head-room."""
    if room.low > LOOSE:
        return Verdict.LOOSE
    if room.low >= 1:
        return Verdict.SUPPORTED
    # "At most 1,000/s" includes 1,000/s; "less than 1,000/s" is not touched by what fails at 1,000/s.
    includes = claim.comparison is Comparison.AT_MOST
    if room.high is not None and (room.high < 1 or (includes and room.high == 1)):
        return Verdict.UNSUPPORTED
    return Verdict.NOT_MEASURED


def about(claim: Claim, measure: Measure, ceilings: Iterable[MeasuredCeiling]) -> list[MeasuredCeiling]:
    """The ceilings of this scenario that are about the claim's subject, with the settings that it means; refused ones, too."""
    settings = dict(find_scenario(measure.scenario, measure.settings).settings)
    settings.pop(claim.setting, None)
    return [
        ceiling
        for ceiling in ceilings
        if ceiling.scenario == measure.scenario
        and _is_about(claim, ceiling)
        and {name: value for name, value in ceiling.settings.items() if name != claim.setting} == settings
    ]


def _is_about(claim: Claim, ceiling: MeasuredCeiling) -> bool:
    if claim.judged_by is Method.CROSSING:
        return ceiling.backends in ((claim.backend,), (claim.against,))
    if claim.backend and claim.backend not in ceiling.backends:
        return False
    if not claim.stack:
        return ceiling.backends == (claim.backend,)
    stack = {f"{concern}={backend}" for concern, backend in find_stack(claim.stack).backends.items()}
    return bool(ceiling.backends) and set(ceiling.backends) <= stack


def refusals(ceilings: Iterable[MeasuredCeiling]) -> tuple[str, ...]:
    """Why runs that are about the claim are not used."""
    return tuple(f"Run {one.run} is not used: {one.refused[0].rstrip('.')}." for one in ceilings if not one.valid)


# -- by rate --------------------------------------------------------------------------------------------------------


def _by_rate(claim: Claim, measure: Measure, ceilings: Sequence[MeasuredCeiling], how: How) -> Part:
    ours = about(claim, measure, ceilings)
    found = latest(ours)
    if found is None:
        return _nothing(claim, measure, ours, how)
    assert claim.rate is not None
    room = _room(f"throughput of {measure.scenario}", claim.rate * measure.per_unit, found.low, found.high, found.run)
    verdict = decide(claim, room)
    sentences = [found.sentence, *_against(found, ours), *_open(verdict, found), *refusals(ours)]
    missing = commands(claim, measure, how=how) if verdict is Verdict.NOT_MEASURED else ()
    return Part(verdict, room, found.limiter, tuple(sentences), (found.run,), found.warnings, missing)


def _room(dimension: str, need: float, low: float, high: float | None, basis: str) -> Headroom:
    return Headroom(dimension, low / need, None if high is None else high / need, basis)


def _nothing(claim: Claim, measure: Measure, ours: Sequence[MeasuredCeiling], how: How) -> Part:
    sentence = f"No run of {measure.scenario} on {claim.subject} can be used."
    return Part(Verdict.NOT_MEASURED, None, "", (sentence, *refusals(ours)), missing=commands(claim, measure, how=how))


def _open(verdict: Verdict, found: MeasuredCeiling) -> tuple[str, ...]:
    """Why something that was measured decides nothing."""
    if verdict is not Verdict.NOT_MEASURED:
        return ()
    if found.limiter == "client":
        return (
            "The generator was the limit below the number: that refutes nothing, and takes more workers or machines.",
        )
    if found.limiter == "not-converged":
        shown = "with what holds below the number" if found.low else "and showed no rate that holds"
        return (f"The search did not converge, {shown}: that refutes nothing.",)
    if found.at_fixed_rate:
        return ("The rate that was held lies below the number: that refutes nothing, and takes a search.",)
    return ("The number lies within what was measured to hold and what was measured to fail: that decides nothing.",)


def _against(found: MeasuredCeiling, others: Iterable[MeasuredCeiling]) -> list[str]:
    """Other runs that say something else, which a reader must know of although they do not count."""
    return [
        f"Run {other.run} says something else, and counts less: {other.sentence}"
        for other in others
        if other.valid
        and other.run != found.run
        and ((found.high is not None and other.low > found.high) or (other.high is not None and other.high < found.low))
    ]


# -- by size --------------------------------------------------------------------------------------------------------


def _by_size(claim: Claim, measure: Measure, ceilings: Sequence[MeasuredCeiling], how: How) -> Part:
    ours = about(claim, measure, ceilings)
    by_size = _latest_by_size(ours, claim.setting)
    if not by_size:
        return _nothing(claim, measure, ours, how)
    assert claim.at_rate is not None
    assert claim.quantity is not None
    need = claim.at_rate * measure.per_unit
    fails = {size for size, one in by_size.items() if one.high is not None and one.high <= need}
    holds = {size for size, one in by_size.items() if one.low >= need}
    low, high = _ends(holds, fails)
    room = _room(claim.setting, claim.quantity, low, high, ", ".join(one.run for one in by_size.values()))
    verdict = decide(claim, room)
    seen = (
        f"{a_rate(need)} of {measure.scenario} "
        + (
            f"are carried at {low:,} {claim.setting}"
            if low
            else f"were shown to be carried at no number of {claim.setting}"
        )
        + (f", and no longer at {high:,}." if high is not None else ".")
    )
    sentences = (*(one.sentence for one in by_size.values()), seen, *refusals(ours))
    missing = commands(claim, measure, how=how) if verdict is Verdict.NOT_MEASURED else ()
    first = by_size[high] if high is not None else by_size[max(by_size)]
    warnings = tuple(dict.fromkeys(warning for one in by_size.values() for warning in one.warnings))
    return Part(verdict, room, first.limiter, sentences, tuple(one.run for one in by_size.values()), warnings, missing)


def _ends(good: Iterable[int], bad: Iterable[int]) -> tuple[int, int | None]:
    """The last good size before the first bad one (0: none), and that one."""
    high = min(bad, default=None)
    return max((size for size in good if high is None or size < high), default=0), high


def _latest_by_size(ceilings: Iterable[MeasuredCeiling], setting: str) -> Mapping[int, MeasuredCeiling]:
    groups: dict[int, list[MeasuredCeiling]] = {}
    for ceiling in ceilings:
        size = ceiling.settings.get(setting)
        if isinstance(size, int) and size > 0:
            groups.setdefault(size, []).append(ceiling)
    found = {size: latest(group) for size, group in sorted(groups.items())}
    return {size: one for size, one in found.items() if one is not None}


# -- by crossing ----------------------------------------------------------------------------------------------------


def _by_crossing(claim: Claim, measure: Measure, ceilings: Sequence[MeasuredCeiling], how: How) -> Part:
    ours = about(claim, measure, ceilings)
    found = crossing(points_of(ours, measure.scenario, claim.setting), claim.backend, claim.against, measure.scenario)
    if not found.leads:
        nothing = _nothing(claim, measure, ours, how)
        return Part(nothing.verdict, None, "", (found.sentence, *refusals(ours)), missing=nothing.missing)
    assert claim.quantity is not None
    ahead = [records for records, name in found.leads if name == claim.backend]
    gap = min((size for size in claim.sizes if size not in ahead), default=math.inf)
    low, high = _ends(
        (records for records in ahead if records < gap),
        (records for records, name in found.leads if name == claim.against),
    )
    room = _room(f"{claim.setting} by {measure.scenario}", claim.quantity, low, high, ", ".join(found.runs))
    verdict = decide(claim, room)
    open_ = verdict is Verdict.NOT_MEASURED
    beyond = [records for records in ahead if records > gap]
    sentences = [
        found.sentence,
        *_estimated(found),
        *(_not_below(claim, gap, beyond) if open_ else ()),
        *refusals(ours),
    ]
    missing = commands(claim, measure, found, how) if open_ else ()
    warnings = dict.fromkeys(warning for one in ours if one.run in found.runs for warning in one.warnings)
    return Part(verdict, room, f"{claim.against} is ahead", tuple(sentences), found.runs, tuple(warnings), missing)


def _not_below(claim: Claim, gap: float, beyond: Sequence[int]) -> tuple[str, ...]:
    """Why a lead at a larger size does not count: a lead there says nothing about fewer."""
    if not beyond:
        return ()
    return (
        f"That {claim.backend} is ahead at {gap:,.0f} {claim.setting} was not shown, so that its lead at {beyond[0]:,} says "
        "nothing about fewer.",
    )


def _estimated(found: Crossing) -> tuple[str, ...]:
    if found.estimate is None:
        return ()
    low, high = found.estimate
    return (
        f"If both go as powers of the number of records in between, they cross at {low:,.0f} to {high:,.0f}: "
        "an estimate, which decides nothing.",
    )
