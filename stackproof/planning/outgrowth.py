"""When a stack is outgrown: how many decisions it carries at most, in which month that is, and what to move to. Pure.

Only decisions grow (`Workload.in_month`); records, customers and what is searched stay as they are given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from stackproof.interfaces import ConfigurationError

from .cost import Choice
from .demand import MOST_DECISIONS, Demand, Workload
from .feasibility import Mark
from .recommendation import Advisor, Answer, Option


@dataclass(frozen=True, slots=True)
class Month:
    """One month of growth."""

    month: int
    """0 is now."""
    demand: Demand
    answer: Answer
    against: tuple[str, ...]
    """Why the stack that is recommended now does not carry it any more; empty where it does."""
    option: Option | None
    """The stack that is recommended now, with its cost in this month; None where it is outgrown."""


@dataclass(frozen=True, slots=True)
class Outgrowth:
    """How far a stack goes."""

    most: int | None
    """Decisions a day that it carries at most; None where no limit is known."""
    against: tuple[str, ...]
    """What stands against a little more than that: the search ends a thousandth apart."""
    beyond: Option | None
    """What carries more than that; None where nothing is known to."""
    month: int | None
    """The first month in which it is outgrown; None where that is not within the months that were asked for."""
    to: Option | None
    """What to move to in that month; None where nothing is known that carries it."""
    cheaper: tuple[int, Option] | None
    """The first month in which another stack ranks before it while it still carries the load, and that one."""
    months: tuple[Month, ...]
    scaled: bool = False
    """Whether `most` takes more machines of something than were measured: that they add up is assumed."""


def outgrowth(advisor: Advisor, workload: Workload, option: Option, months: int) -> Outgrowth:
    """How far this stack goes, and what comes after it."""
    choices = {concern: replace(choice, sizing=type(choice.sizing)()) for concern, choice in option.choices.items()}
    most, too_many, against = _most(advisor, workload, choices)
    beyond, scaled = None, False
    if most is not None and too_many is not None:
        beyond = advisor.answer(Demand.of(replace(workload, decisions_per_day=too_many))).best
        last = advisor.answer(Demand.of(replace(workload, decisions_per_day=most)), choices.values()).best
        scaled = last is not None and any(Mark.SCALED in part.marks for part in last.parts)
    seen = tuple(_months(advisor, workload, choices, months))
    out = next((one for one in seen if one.against), None)
    return Outgrowth(
        most,
        against,
        beyond,
        None if out is None else out.month,
        None if out is None else out.answer.best,
        _cheaper(seen, option),
        seen,
        scaled,
    )


def _months(advisor: Advisor, workload: Workload, choices: Mapping[str, Choice], months: int) -> list[Month]:
    """Month after month, as long as a month can be told from the one before."""
    found: list[Month] = []
    for month in range(months + 1):
        try:
            later = workload.in_month(month)
        except ConfigurationError:
            break  # beyond everything that is planned here; the months before it say so
        if found and later.decisions_per_day == found[-1].demand.workload.decisions_per_day:
            found.append(replace(found[-1], month=month))
            continue
        demand = Demand.of(later)
        answer = advisor.answer(demand)
        ours = advisor.answer(demand, choices.values())
        against = () if ours.best is not None else advisor.carries(choices, demand)
        found.append(Month(month, demand, answer, against, ours.best))
    return found


def _cheaper(months: tuple[Month, ...], option: Option) -> tuple[int, Option] | None:
    for one in months:
        best = one.answer.best
        if one.against:
            return None
        if best is not None and best.name != option.name:
            return one.month, best
    return None


def _most(
    advisor: Advisor, workload: Workload, choices: Mapping[str, Choice]
) -> tuple[int | None, int | None, tuple[str, ...]]:
    """What is carried, what is not any more, and why; by halving: what is not carried is not carried with more, either."""

    def against(decisions: int) -> tuple[str, ...]:
        return advisor.carries(choices, Demand.of(replace(workload, decisions_per_day=decisions)))

    low, high = workload.decisions_per_day, workload.decisions_per_day
    if against(low):
        return None, None, ()
    while not (found := against(high)):
        low = high
        if high >= MOST_DECISIONS:
            return None, None, ()
        high = min(high * 4, MOST_DECISIONS)
    while high - low > max(1, low // 1000):
        middle = (low + high) // 2
        now = against(middle)
        if now:
            high, found = middle, now
        else:
            low = middle
    return low, high, found
