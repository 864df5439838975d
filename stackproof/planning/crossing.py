"""Where one backend overtakes another as the number of records grows: a bracket, or why there is none. Pure.

At each number of records at which both were measured, one is ahead where the intervals do not touch, else nobody is. A crossing
lies between the last number at which the one was ahead for certain and the first at which the other was. That takes one
assumption: the lead changes at most once. Where it is seen to change twice, there is no answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from .ceilings import MeasuredCeiling
from .choosing import latest


class Better(StrEnum):
    """Which way is better."""

    HIGHER = "higher"
    """Of ceilings."""
    LOWER = "lower"
    """Of latencies."""


@dataclass(frozen=True, slots=True)
class Point:
    """What was measured of one backend at one number of records: an interval."""

    backend: str
    kind: str
    """The kind of query, such as search-term."""
    records: int
    low: float
    """0: nothing was shown to hold, as where no rate keeps the promise; it has an upper end then."""
    high: float | None
    """None: not known upwards, as of a ceiling at which the client was the limit."""
    run: str = ""
    terms: tuple[object, ...] = ()
    """What must be equal before two points may be compared, such as the promise and the machine."""

    def __post_init__(self) -> None:
        open_above = self.high is None and 0 < self.low < math.inf
        between = self.high is not None and 0 <= self.low <= self.high < math.inf and self.high > 0
        if self.records < 1 or not (open_above or between):
            raise ValueError(f"{self.backend} at {self.records} records: [{self.low}, {self.high}] cannot be compared")


class Outcome(StrEnum):
    """What the points say."""

    CROSSING = "crossing"
    NO_CROSSING = "no crossing within what was measured"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Crossing:
    """How two backends compare for one kind of query as the number of records grows."""

    first: str
    second: str
    kind: str
    outcome: Outcome
    leads: tuple[tuple[int, str], ...]
    """For each number of records at which both were measured: who is ahead for certain, empty for nobody."""
    low: int | None
    """Of a crossing: the last number of records at which the one was ahead for certain."""
    high: int | None
    """Of a crossing: the first number of records at which the other one was."""
    estimate: tuple[float, float] | None
    """Of a crossing: where it lies if both go as powers of the number of records between `low` and `high`. A model, no
    measurement."""
    sentence: str
    runs: tuple[str, ...] = ()


def crossing(points: Iterable[Point], first: str, second: str, kind: str, better: Better = Better.HIGHER) -> Crossing:
    """Compare two backends. ValueError where one of them has two points at one number of records: choose first."""
    points = tuple(points)
    ours, theirs = (_by_records(points, backend, kind) for backend in (first, second))
    common = sorted(ours.keys() & theirs.keys())
    names = {1: first, 0: "", -1: second}
    leads = tuple((records, names[_lead(ours[records], theirs[records], better)]) for records in common)
    told = [(records, name) for records, name in leads if name]
    changes = [(a, b) for a, b in pairwise(told) if a[1] != b[1]]
    outcome, sentence = _outcome(f"{first} and {second}", kind, leads, told, changes)
    if any(ours[records].terms != theirs[records].terms for records in common):
        sentence += " Points that were measured under different promises or on different machines were not compared."
    low = high = estimate = None
    if outcome is Outcome.CROSSING:
        ((low, name), (high, _)) = changes[0]
        before, after = (ours, theirs) if name == first else (theirs, ours)
        estimate = _estimate(low, high, before, after, better)
    runs = tuple(dict.fromkeys(point.run for at in common for point in (ours[at], theirs[at]) if point.run))
    return Crossing(first, second, kind, outcome, leads, low, high, estimate, sentence, runs)


def points_of(ceilings: Iterable[MeasuredCeiling], scenario: str, setting: str = "records") -> tuple[Point, ...]:
    """The points that ceilings of one scenario give: for each backend and number of records the run that counts."""
    groups: dict[tuple[str, int], list[MeasuredCeiling]] = {}
    for ceiling in ceilings:
        size = ceiling.settings.get(setting)
        usable = ceiling.valid and ceiling.scenario == scenario and len(ceiling.backends) == 1
        if usable and isinstance(size, int) and size >= 1:
            groups.setdefault((ceiling.backend, size), []).append(ceiling)
    found = []
    for (backend, size), group in sorted(groups.items()):
        chosen = latest(group)
        if chosen is not None and (chosen.low > 0 or chosen.high):
            terms = (chosen.promises, chosen.machine, _other_settings(chosen, setting))
            found.append(Point(backend, scenario, size, chosen.low, chosen.high, chosen.run, terms))
    return tuple(found)


def _other_settings(ceiling: MeasuredCeiling, setting: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, str(value)) for name, value in ceiling.settings.items() if name != setting))


def _by_records(points: Sequence[Point], backend: str, kind: str) -> Mapping[int, Point]:
    found: dict[int, Point] = {}
    for point in points:
        if (point.backend, point.kind) == (backend, kind):
            if point.records in found:
                raise ValueError(f"{backend} has two points of {kind} at {point.records:,} records")
            found[point.records] = point
    return found


def _lead(ours: Point, theirs: Point, better: Better) -> int:
    """1 where ours is ahead for certain, -1 where theirs is, 0 where nobody is."""
    if ours.terms != theirs.terms:
        return 0
    above = theirs.high is not None and ours.low > theirs.high
    below = ours.high is not None and theirs.low > ours.high
    lead = above - below
    return lead if better is Better.HIGHER else -lead


_Told = tuple[int, str]


def _outcome(
    both: str, kind: str, leads: Sequence[_Told], told: Sequence[_Told], changes: Sequence[tuple[_Told, _Told]]
) -> tuple[Outcome, str]:
    if not leads:
        return Outcome.CANNOT_TELL, f"{kind}: there is no number of records at which {both} were both measured."
    over = _span(leads)
    if len(changes) > 1:
        where = ", then ".join(f"{name} at {records:,}" for records, name in told)
        return Outcome.CANNOT_TELL, f"{kind}: the lead changes more than once ({where})."
    if changes:
        ((before, name), (after, other)) = changes[0]
        return Outcome.CROSSING, f"{kind}: {name} is ahead up to {before:,} records, {other} from {after:,} on."
    if not told:
        return Outcome.CANNOT_TELL, f"{kind}: of {both} nobody is ahead for certain at {over}."
    if (told[0], told[-1]) == (leads[0], leads[-1]):
        return (
            Outcome.NO_CROSSING,
            f"{kind}: {told[0][1]} is ahead at {over}; there is no crossing within what was measured.",
        )
    return (
        Outcome.CANNOT_TELL,
        f"{kind}: {told[0][1]} is ahead at {_span(told)}; elsewhere, within {over}, nobody is for certain.",
    )


def _span(leads: Sequence[_Told]) -> str:
    first, last = leads[0][0], leads[-1][0]
    return f"{first:,} records" if first == last else f"{first:,} to {last:,} records"


def _estimate(
    low: int, high: int, before: Mapping[int, Point], after: Mapping[int, Point], better: Better
) -> tuple[float, float]:
    """Between two numbers of records the logarithm of the ratio goes straight down (a power law for each of the two)."""
    nearest_before, furthest_before = _logs(before[low], after[low], better)
    nearest_after, furthest_after = _logs(after[high], before[high], better)
    shares = (
        nearest_before / (nearest_before + furthest_after),
        1.0 if math.isinf(furthest_before) else furthest_before / (furthest_before + nearest_after),
    )
    return (low * (high / low) ** shares[0], low * (high / low) ** shares[1])


def _logs(ahead: Point, behind: Point, better: Better) -> tuple[float, float]:
    """By how much the one is ahead, as a logarithm: at least, and at most."""
    if better is Better.LOWER:
        ahead, behind = behind, ahead
    assert behind.high is not None  # else it would not be behind for certain
    furthest = math.inf if ahead.high is None or not behind.low else math.log(ahead.high / behind.low)
    return math.log(ahead.low / behind.high), furthest
