"""The rows of a plan about what changes: month after month, when its stack is outgrown, and what each input decides. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from .amount import Amount
from .demand import Demand, Workload
from .headroom import rounded
from .outgrowth import Outgrowth
from .plan_basis import LINEAR, Bases, money
from .plan_record import MonthRow, OutgrownRow, SensitivityRow, Statement
from .plan_rows import sentence
from .recommendation import Advisor, Option
from .sensitivity import Changed


def month_rows(grown: Outgrowth | None, advisor: Advisor, now: Demand) -> tuple[MonthRow, ...]:
    """Month after month, with what the recommended stack costs then; this month alone where none is recommended."""
    if grown is None:
        volume, peak = now.workload.decisions_per_day, float(now.decisions.peak)
        return (MonthRow(0, volume, peak, now.log_lines.bytes_per_month, None, carries=False, best=""),)
    rows = []
    for one in grown.months:
        cost = None if one.option is None else money(advisor.cost(one.option, one.demand).total)
        best = one.answer.best
        rows.append(
            MonthRow(
                one.month,
                one.demand.workload.decisions_per_day,
                float(one.demand.decisions.peak),
                one.demand.log_lines.bytes_per_month,
                cost,
                not one.against,
                best.name if best is not None else "",
            )
        )
    return tuple(rows)


def outgrown_row(grown: Outgrowth, best: Option, workload: Workload, months: int, bases: Bases) -> OutgrownRow:
    """How far the recommended stack goes, what stops it there, and what to move to."""
    to = grown.to if grown.month is not None else grown.beyond
    found = [*_how_far(grown, best, workload, bases), *_when(grown, workload, months)]
    if grown.month is not None or grown.most is not None:
        found.append(
            Statement(f"To move to: {_difference(best, to)}.", ())
            if to is not None
            else Statement("What to move to is not known: no stack is known to carry more.", ())
        )
    if grown.cheaper is not None:
        month, other = grown.cheaper
        said = f"From month {month} on another stack ranks before it: {_difference(best, other)}."
        found.append(Statement(said, ()))
    return OutgrownRow(
        grown.most,
        grown.month,
        tuple(found),
        to.name if to is not None else "",
        grown.cheaper[0] if grown.cheaper is not None else None,
        grown.cheaper[1].name if grown.cheaper is not None else "",
    )


def _how_far(grown: Outgrowth, best: Option, workload: Workload, bases: Bases) -> list[Statement]:
    of_parts = (id_ for part in best.parts for id_ in (*bases.runs(part.ceilings), *bases.quotas(part.quotas)))
    basis = tuple(dict.fromkeys(of_parts))
    if grown.most is None:
        return [Statement("No limit of it is known: nothing that was measured or documented ends it.", basis)]
    about = rounded(grown.most, workload.decisions_per_day)
    assumed = ", as far as several machines carry as much more as they are more: assumed, not measured"
    said = f"It carries up to about {about} decisions a day, all else being equal{assumed if grown.scaled else ''}."
    scaled = (bases.assumption(LINEAR),) if grown.scaled else ()
    stops = [Statement(sentence(f"What stops it there: {why}"), ()) for why in grown.against[:3]]
    return [Statement(said, (*basis, *scaled)), *stops]


def _when(grown: Outgrowth, workload: Workload, months: int) -> list[Statement]:
    growth = workload.growth_per_month
    if not growth:
        return [Statement("Nothing grows (--growth-per-month is 0): in no month is it outgrown.", ())]
    if grown.month is not None:
        return [Statement(f"{_growing(growth)} a month it is outgrown in month {grown.month}.", ())]
    reached = grown.months[-1].month
    found = [Statement(f"{_growing(growth)} a month it is not outgrown within {reached} months.", ())]
    if reached < months:
        found.append(Statement("Later months have more decisions than is planned here.", ()))
    return found


def sensitivity_rows(changes: Iterable[Changed], best: Option | None, currency: str) -> tuple[SensitivityRow, ...]:
    """What each input, changed alone, changes."""
    return tuple(_changed(row, best, currency) for row in changes)


def _changed(row: Changed, best: Option | None, currency: str) -> SensitivityRow:
    if row.impossible:
        return SensitivityRow(row.input, row.before, row.after, "not possible", "", None, sentence(row.impossible))
    if row.option is None:
        then = "Then" if best is not None else "Then, too,"
        said = f"{then} no stack is known to carry it."
        return SensitivityRow(row.input, row.before, row.after, "no stack", "", None, said)
    option, cost = row.option, _cost(row.option, currency)
    if best is not None and option.name == best.name:
        before = _cost(best, currency)
        same = (before.low, before.high) == (cost.low, cost.high)
        said = (
            "The same stack, and the same cost."
            if same
            else f"The same stack; a month costs {cost} instead of {before}."
        )
        return SensitivityRow(row.input, row.before, row.after, "same stack", "", money(cost), said)
    differs = _difference(best, option) if best is not None else option.name
    said = f"Another stack: {differs}; a month costs {cost}."
    return SensitivityRow(row.input, row.before, row.after, "another stack", differs, money(cost), said)


def _cost(option: Option, currency: str) -> Amount:
    return Amount(option.low, option.high, currency, () if option.known else ("a part is unknown",))


def _difference(before: Option, after: Option) -> str:
    """The parts of a stack that are others."""
    parts = [
        f"{one.concern}={other.name} instead of {one.name}"
        for one, other in zip(before.parts, after.parts, strict=True)
        if one.name != other.name
    ]
    return ", ".join(parts) or "the same backends"


def _growing(growth: Decimal | Fraction | int) -> str:
    return f"Growing by {_percent(growth)}" if growth > 0 else f"Shrinking by {_percent(-growth)}"


def _percent(growth: Decimal | Fraction | int) -> str:
    return f"{float(growth) * 100:g} %"
