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
    limit = _limit(advisor, workload, choices)
    beyond = None if limit is None else advisor.answer(limit.failed.demand).best
    seen = tuple(_months(advisor, workload, choices, months))
    out = next((one for one in seen if one.against), None)
    return Outgrowth(
        None if limit is None else limit.carried.demand.workload.decisions_per_day,
        () if limit is None else limit.failed.against,
        beyond,
        None if out is None else out.month,
        None if out is None else out.answer.best,
        _cheaper(seen, option),
        seen,
        scaled=limit is not None and limit.scaled,
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
        found.append(Month(month, demand, answer, ours.against, ours.best))
    return found


def _cheaper(months: tuple[Month, ...], option: Option) -> tuple[int, Option] | None:
    for one in months:
        best = one.answer.best
        if one.against:
            return None
        if best is not None and best.name != option.name:
            return one.month, best
    return None


@dataclass(frozen=True, slots=True)
class _Limit:
    """The two answers between which a stack ends, a thousandth apart."""

    carried: Answer
    failed: Answer

    @property
    def scaled(self) -> bool:
        best = self.carried.best
        return best is not None and any(Mark.SCALED in part.marks for part in best.parts)


def _limit(advisor: Advisor, workload: Workload, choices: Mapping[str, Choice]) -> _Limit | None:
    """Where it ends, by halving: what is not carried is not carried with more, either. None where no end is known."""

    def answer(decisions: int) -> Answer:
        return advisor.answer(Demand.of(replace(workload, decisions_per_day=decisions)), choices.values())

    low = high = workload.decisions_per_day
    carried = answer(low)
    if carried.best is None or low >= MOST_DECISIONS:
        return None
    while True:
        high = min(high * 4, MOST_DECISIONS)
        above = answer(high)
        if above.best is None:
            break
        if high >= MOST_DECISIONS:
            return None
        low, carried = high, above
    while high - low > max(1, low // 1000):
        middle = (low + high) // 2
        now = answer(middle)
        if now.best is None:
            high, above = middle, now
        else:
            low, carried = middle, now
    return _Limit(carried, above)
