"""What each claim's subject costs at the volumes that matter: the bridge from the cost models to claims. Pure.

The documentation names no volume with its costs, so that a claim about cost is held against several. A claim about anything else
gets the cost at the volume that it names, so that a reader sees what it would take.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from .added_cost import THERE_FOR, added_cost
from .bill import BackendCost
from .claims import SECONDS, Claim, Comparison, Dimension, Method
from .cost import Choice, StackCost, hostings
from .cost_claims import CostFigure, figure_of
from .demand import Demand, Workload
from .measured import Known
from .price_book import PriceBook
from .sized import HEADROOM, sized_cost, sized_stack_cost
from .stacks import NAMES, find_planned_stack

VOLUMES = (10_000, 100_000, 1_000_000, 10_000_000)
"""Decisions a day."""
NOTHING = Known()


def costs_of(
    claims: Sequence[Claim], book: PriceBook, today: datetime.date, known: Known = NOTHING
) -> Mapping[str, tuple[CostFigure, ...]]:
    """The figures of each claim, by its id, as `audit.audit` takes them; without claims that nothing can be computed for.

    ``known``: what machines are counted from. What was not measured is not known.
    """
    found = {claim.id: tuple(figures_of(claim, book, today, known)) for claim in claims}
    return {id_: figures for id_, figures in found.items() if figures}


def figures_of(claim: Claim, book: PriceBook, today: datetime.date, known: Known = NOTHING) -> Iterable[CostFigure]:
    """What its subject costs at each of its volumes; what it adds to a server that is there, where it claims to add nothing."""
    for workload, at in volumes_of(claim):
        cost = _cost(claim, Demand.of(workload), book, known)
        if cost is not None:
            yield _figure(cost, at + _had(claim, cost), book, today)


def volumes_of(claim: Claim) -> Sequence[tuple[Workload, str]]:
    """The volumes at which a cost is computed, with their words."""
    if claim.judged_by is Method.COST:
        usual = [(Workload(decisions), _day(decisions)) for decisions in VOLUMES]
        if claim.concern == "search":
            # What search stores grows with its records, not with decisions.
            usual += [(Workload(VOLUMES[0], records=records), f"{records:,} records") for records in VOLUMES[2:]]
        return usual
    if claim.quantity is None or not claim.quantity:
        return ()
    least = Workload(VOLUMES[0])
    if claim.dimension is Dimension.THROUGHPUT:
        decisions = math.ceil(claim.quantity / SECONDS[claim.unit.rpartition("/")[2]] * SECONDS["day"])
        return [(replace(least, decisions_per_day=max(1, decisions)), _day(max(1, decisions)))]
    size = max(1, math.ceil(claim.quantity))
    if claim.dimension is Dimension.CUSTOMERS:
        return [(replace(least, customers=size), f"{_day(VOLUMES[0])} and {size:,} customers")]
    return [(replace(least, records=size), f"{_day(VOLUMES[0])} and {size:,} records")]


def _day(decisions: int) -> str:
    return f"{decisions:,} decisions/day"


def _adds_nothing(claim: Claim) -> bool:
    """Whether it says that a backend costs nothing beside what is there: of a whole stack, nothing is nothing."""
    nothing = claim.comparison is Comparison.EQUALS and not claim.quantity
    return claim.judged_by is Method.COST and nothing and bool(claim.backend)


def _there_for(claim: Claim) -> str:
    """The concern that the server of the claim's backend is there for; empty for a server that nothing else uses."""
    return THERE_FOR.get((claim.concern, claim.backend.partition("=")[2]), "")


def _cost(claim: Claim, demand: Demand, book: PriceBook, known: Known) -> BackendCost | StackCost | None:
    """None where there is no model of its subject."""
    backend = claim.backend.partition("=")[2]
    if _adds_nothing(claim):
        return added_cost(claim.concern, backend, demand, book) if _there_for(claim) else None
    if claim.stack:
        if claim.stack not in NAMES:
            return None
        return sized_stack_cost(find_planned_stack(claim.stack).choices(), demand, known, book)
    if not backend or ":" in backend or not hostings(claim.concern, backend):
        return None
    return sized_cost(Choice(claim.concern, backend), demand, known, book)


def _had(claim: Claim, cost: BackendCost | StackCost) -> str:
    """How the backend is had, and that only what it adds is counted, where that is so."""
    if not isinstance(cost, BackendCost):
        return ""
    hosted = f"{cost.backend} had as {cost.hosting}"
    return f" (added to a {hosted} that is there for {_there_for(claim)})" if _adds_nothing(claim) else f" ({hosted})"


def _figure(cost: BackendCost | StackCost, at: str, book: PriceBook, today: datetime.date) -> CostFigure:
    stale = book.warnings(today, cost.prices)
    age = f"; {len(stale)} of its prices are old or have no date" if stale else ""
    counted = _counted(cost)
    figure = figure_of(cost, at, f"list prices of {', '.join(book.files)}{age}{counted}")
    return replace(figure, unknown=(*figure.unknown, *_exceeded(cost)))


def _counted(cost: BackendCost | StackCost) -> str:
    """That runs say how many machines there are, and what that assumes."""
    parts = cost.backends if isinstance(cost, StackCost) else (cost,)
    told = [(f"{part.concern}={part.backend}", ", ".join(part.counted)) for part in parts if part.counted is not None]
    if not told:
        return ""
    of = ", ".join(f"{name} ({assumed})" if assumed else name for name, assumed in told)
    return f"; machines counted from the runs for {float(HEADROOM):g} times the peak: {of}"


def _exceeded(cost: BackendCost | StackCost) -> Iterable[str]:
    """Limits that no money raises: beyond them the sum is that of something which does not carry the volume."""
    for one in cost.backends if isinstance(cost, StackCost) else (cost,):
        for limit in one.exceeded:
            if limit.kind in ("hard", "measured"):
                when = " at the peak" if limit.is_rate else ""
                yield (
                    f"{one.concern}={one.backend} exceeds a limit{when} ({limit.what}: "
                    f"{float(limit.used or 0):,.0f} of {float(limit.allowed):,.0f} {limit.unit})"
                )
