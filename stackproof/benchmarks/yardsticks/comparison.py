"""Interleaved rounds of our load and a tool's, and what their ratio says. Pure: what runs a side is a function given here.

In each round both sides run once, in an order drawn from the seed: what changes slowly on the machine (a neighbour, heat, a
table that grows) changes both. So the ratio of a round is worth more than the ratio of two averages.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from stackproof.measurement.statistics import bootstrap

from .ours import OurFigures, Ours
from .yardstick import Load, Tool, Yardstick, YardstickError, YardstickFigures

LEAST_ROUNDS = 5
"""Below that, an interval says nothing."""
BUSY = 0.8
"""A client that used this share of its core was limited by it."""
SHARED = 0.2
"""A core of which others took more than this was not the client's alone."""
CROWDED = 0.5
"""Where others took more than this, a rate says more about them than about the client."""
MANY_FAILED = 0.01
"""A side in which more than this share failed did other work than the one it is compared for."""

Theirs = Callable[[Load], YardstickFigures]


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate, and where it lies with 95 % confidence."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Round:
    """One window of each side, one after the other."""

    ours: OurFigures
    theirs: YardstickFigures
    ours_first: bool

    @property
    def ratio(self) -> float:
        """Our throughput in units of the tool's."""
        return self.ours.rate / self.theirs.rate


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the rounds gave, and why they differ."""

    tool: Tool
    target: str
    operation: str
    load: Load
    rounds: tuple[Round, ...]
    ratio: Interval
    reasons: tuple[str, ...]
    invalid: tuple[str, ...] = ()
    """Why the ratio is not to be used; empty for none."""
    costly_start: bool = False
    """Whether the tool's start is a good part of its processor time."""

    @property
    def our_rate(self) -> float:
        return median(each.ours.rate for each in self.rounds)

    @property
    def their_rate(self) -> float:
        return median(each.theirs.rate for each in self.rounds)

    @property
    def our_cpu(self) -> float:
        """Processor seconds of our side for one operation."""
        return median(each.ours.cpu_seconds / max(1, each.ours.operations) for each in self.rounds)

    @property
    def cpu_ratio(self) -> float | None:
        """The tool's processor time for an operation in units of ours: what the ratio would be if only the clients counted.

        It moves little when a machine is busy. None where the tool's processor time cannot be known, or is mostly its start.
        """
        if self.costly_start:
            return None
        ratios = [
            (each.theirs.cpu_seconds / each.theirs.operations) / (each.ours.cpu_seconds / each.ours.operations)
            for each in self.rounds
            if each.theirs.cpu_seconds is not None and each.ours.cpu_seconds and each.ours.operations
        ]
        return median(ratios) if ratios else None

    @property
    def their_cpu(self) -> float | None:
        """The same of the tool, its start included; None where it cannot be known."""
        known = [
            each.theirs.cpu_seconds / each.theirs.operations
            for each in self.rounds
            if each.theirs.cpu_seconds is not None and each.theirs.operations
        ]
        return median(known) if known else None


def compare(
    yardstick: Yardstick, tool: Tool, target: str, load: Load, ours: Ours, theirs: Theirs, *, rounds: int, seed: int = 1
) -> Comparison:
    """A trial of each side, which warms the server and tells how long a tool's operations take, then the rounds."""
    if rounds < LEAST_ROUNDS:
        raise ValueError(f"at least {LEAST_ROUNDS} rounds are needed for an interval, not {rounds}")
    ours(load)
    trial = theirs(replace(load, operations=yardstick.trial_operations))
    if yardstick.counts_operations:
        load = replace(load, operations=trial.lasting(load.seconds))
    order = random.Random(seed)  # noqa: S311 - an order, no secret
    done = tuple(_round(ours, theirs, load, ours_first=order.random() < 0.5) for _ in range(rounds))
    return Comparison(
        tool,
        target,
        yardstick.operation,
        load,
        done,
        interval_of([each.ratio for each in done], seed),
        (*yardstick.differences, *_seen(tool, done)),
        tuple(_invalid(tool, done)),
        yardstick.costly_start,
    )


def _round(ours: Ours, theirs: Theirs, load: Load, *, ours_first: bool) -> Round:
    if ours_first:
        mine = ours(load)
        return Round(mine, _running(theirs(load)), ours_first)
    other = _running(theirs(load))
    return Round(ours(load), other, ours_first)


def _running(figures: YardstickFigures) -> YardstickFigures:
    if figures.rate <= 0:
        raise YardstickError("the tool did nothing in a round")
    return figures


def interval_of(values: Sequence[float], seed: int = 1) -> Interval:
    """The median over the rounds and its bootstrap interval; rounds that are all equal have one of no width."""
    found = bootstrap(values, seed=seed)
    return Interval(values[0], values[0], values[0]) if found is None else Interval(found.value, found.low, found.high)


def _seen(tool: Tool, rounds: Sequence[Round]) -> list[str]:
    """What the figures themselves say about the difference."""
    seen = []
    ours = median(each.ours.cpu_seconds / each.ours.seconds for each in rounds)
    seen += _not_busy("our process", ours, _median(each.ours.others for each in rounds))
    known = [each.theirs.cpu_seconds / each.theirs.seconds for each in rounds if each.theirs.cpu_seconds is not None]
    if known:
        seen += _not_busy(tool.name, median(known), _median(each.theirs.others for each in rounds))
    else:
        seen.append(f"the processor time of {tool.name} cannot be known: its processes make themselves independent")
    return seen


def _not_busy(who: str, share: float, others: float | None) -> list[str]:
    """Why a client did not use its core up: it waited for the server, or others had the core."""
    if share >= BUSY:
        return []
    if others is not None and others >= SHARED:
        return [
            f"{who} used {share:.0%} of its core, and other processes, the server among them, {others:.0%}: its rate is not"
            " what one core can do"
        ]
    return [
        f"{who} used {share:.0%} of its core, and waited for the server the rest of the time: its rate is the server's"
    ]


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _invalid(tool: Tool, rounds: Sequence[Round]) -> list[str]:
    reasons = []
    both: tuple[tuple[str, Sequence[OurFigures | YardstickFigures]], ...] = (
        ("our side", [each.ours for each in rounds]),
        (tool.name, [each.theirs for each in rounds]),
    )
    for name, sides in both:
        failed, good = sum(each.failed for each in sides), sum(each.operations for each in sides)
        if failed > MANY_FAILED * (failed + good):
            reasons.append(f"{failed} of {failed + good} operations of {name} failed")
        crowd = _median(each.others for each in sides)
        if crowd is not None and crowd > CROWDED:
            reasons.append(
                f"the core was not free: other processes took {crowd:.0%} of it from {name}; repeat it in quiet"
            )
    if wrong := sum(each.ours.wrong for each in rounds):
        reasons.append(f"{wrong} answers of the backend were wrong, lost or double")
    return reasons
