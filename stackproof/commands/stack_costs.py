"""What `stackproof stacks --decisions-per-day N` adds: the cost of a month, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click

from stackproof.adapters.registry import CONCERNS
from stackproof.planning.amount import Amount
from stackproof.planning.bill import BackendCost
from stackproof.planning.cost import EXCLUDED, StackCost
from stackproof.planning.demand import Demand, Workload
from stackproof.planning.measured import Known
from stackproof.planning.price_book import PriceBook, load_prices
from stackproof.planning.sized import HEADROOM, sized_stack_cost
from stackproof.planning.stacks import PlannedStack, reference_stacks

from .options import print_line, print_table
from .stack_evidence import Evidence, ceiling_json, parts_json, shown_variables


@dataclass(frozen=True, slots=True)
class Costed:
    """A reference stack and its cost."""

    stack: PlannedStack
    cost: StackCost
    decisions_per_day: int
    stale: tuple[str, ...]


def costs(
    decisions_per_day: int,
    prices: Path | None,
    known: Known,
    stacks: Iterable[PlannedStack] | None = None,
    today: date | None = None,
) -> dict[str, Costed]:
    """The cost of each stack (the reference stacks, unless others are given), by its name; machines counted from ``known``."""
    book: PriceBook = load_prices(prices)
    demand = Demand.of(Workload(decisions_per_day))
    day = today or datetime.now(UTC).date()
    found = {}
    for stack in reference_stacks() if stacks is None else stacks:
        cost = sized_stack_cost(stack.choices(), demand, known, book)
        found[stack.name] = Costed(stack, cost, decisions_per_day, book.warnings(day, cost.prices))
    return found


def show(found: Mapping[str, Costed], decisions_per_day: int) -> None:
    """A table of costs, and what they leave open."""
    click.echo()
    print_line(f"A month at {decisions_per_day:,} decisions a day:")
    print_line(
        "These are prices. Whether a stack carries so many is not judged here, but by: "
        f"stackproof plan --decisions-per-day {decisions_per_day} --stack NAME"
    )
    click.echo()
    print_table(
        ("stack", *CONCERNS, "total", "published"),
        [
            (
                name,
                *(_short(backend.total) for backend in each.cost.backends),
                str(each.cost.total),
                each.stack.published_cost.text if each.stack.published_cost else "",
            )
            for name, each in found.items()
        ],
    )
    for heading, lines in (
        ("Not known, and so in no sum:", _once(reason for e in found.values() for reason in e.cost.total.unknown)),
        ("Over a quota, or over what was measured to hold at the peak:", _exceeded(found)),
        ("Counted from what was measured, as `stackproof plan` does:", _counted(found)),
    ):
        if lines:
            click.echo()
            print_line(heading)
            for line in lines:
                print_line(line, indent=2)
    stale = _once(text for each in found.values() for text in each.stale)
    if stale:
        click.echo()
        print_line(f"{len(stale)} of the prices are old: {stale[0]}; --json names them all.")
    click.echo()
    print_line(
        f"What is bought beforehand, and machines that were measured, carry {float(HEADROOM):g} times the peak "
        "(head-room, as in `stackproof plan`)."
    )
    print_line(f"Not counted: {'; '.join(EXCLUDED)}. Each line: stackproof stacks --decisions-per-day N --json -")


def row(planned: PlannedStack, costed: Costed | None, evidence: Evidence) -> dict[str, Any]:
    """A stack as JSON."""
    row: dict[str, Any] = {
        "name": planned.name,
        "title": planned.title,
        "backends": dict(planned.stack.backends),
        "variables": shown_variables(planned.variables),
        "concerns": parts_json(planned, evidence),
        "measured": [ceiling_json(one) for one in evidence.whole(planned)],
    }
    if planned.published_cost is not None:
        row["published_cost"] = planned.published_cost.text
    if costed is not None:
        row["cost"] = {
            "decisions_per_day": costed.decisions_per_day,
            "headroom": float(HEADROOM),
            "total": _amount(costed.cost.total),
            "concerns": [_backend(cost) for cost in costed.cost.backends],
            "stale_prices": list(costed.stale),
            "not_counted": list(EXCLUDED),
        }
    return row


def _backend(cost: BackendCost) -> dict[str, Any]:
    return {
        "concern": cost.concern,
        "backend": cost.backend,
        "hosting": cost.hosting,
        "total": _amount(cost.total),
        "lines": [
            {
                "item": line.item,
                "quantity": str(line.quantity),
                "unit": line.unit,
                "price": line.price,
                "amount": _amount(line.amount),
                "formula": line.formula,
            }
            for line in cost.lines
        ],
        "exceeded": [limit.name for limit in cost.exceeded],
        "notes": list(cost.notes),
        "counted": None if cost.counted is None else list(cost.counted),
    }


def _amount(amount: Amount) -> dict[str, Any]:
    """As exact decimals, in texts: a number of JSON is a float to most readers."""
    return {
        "low": f"{amount.low:f}",
        "high": f"{amount.high:f}",
        "currency": amount.currency,
        "unknown": list(amount.unknown),
    }


def _short(amount: Amount) -> str:
    return str(amount).replace(f" {amount.currency}", "").replace("at least ", ">= ")


def _once(texts: Any) -> list[str]:
    return list(dict.fromkeys(texts))


def _counted(found: Mapping[str, Costed]) -> list[str]:
    """What the numbers of machines assume; nothing of those that assume nothing."""
    return [
        f"{name}, {backend.concern}={backend.backend}: {'; '.join(backend.counted)}"
        for name, each in found.items()
        for backend in each.cost.backends
        if backend.counted
    ]


def _exceeded(found: Mapping[str, Costed]) -> list[str]:
    return [
        f"{name}, {concern}: {limit.what}: {float(limit.used or 0):,.0f} of {float(limit.allowed):,.0f} {limit.unit} "
        f"({limit.kind})"
        for name, each in found.items()
        for concern, limit in each.cost.exceeded
    ]
