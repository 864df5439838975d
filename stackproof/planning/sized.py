"""How many machines the backends of a stack have under a demand, counted from what was measured, as a plan counts them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .bill import BackendCost
from .cost import Choice, StackCost, cost_of, cost_of_stack
from .demand import Demand
from .feasibility import Asked, Candidate, Mark, judged
from .measured import Known
from .price_book import PriceBook

HEADROOM = Asked().headroom
"""What a plan has unless it is asked for another one."""
_MACHINES = frozenset({"instance-hour", "node-hour", "broker-hour", "host-hour"})
_TOLD = (Mark.STAND_IN, Mark.SCALED)
"""What is to be known of a number of machines that was counted so."""


def sized_cost(choice: Choice, demand: Demand, known: Known, book: PriceBook) -> BackendCost:
    """What a month of a backend costs, its machines counted from what is known; unknown stays what was not measured."""
    found = _candidate(choice, demand, known.for_promise(None), book)
    return _told(cost_of(found.choice, demand, book), found)


def sized_stack_cost(choices: Mapping[str, Choice], demand: Demand, known: Known, book: PriceBook) -> StackCost:
    """The same of a stack, with what its concerns share bought once."""
    known = known.for_promise(None)
    found = {concern: _candidate(choice, demand, known, book) for concern, choice in choices.items()}
    cost = cost_of_stack({concern: one.choice for concern, one in found.items()}, demand, book)
    return replace(cost, backends=tuple(_told(one, found[one.concern]) for one in cost.backends))


def _candidate(choice: Choice, demand: Demand, known: Known, book: PriceBook) -> Candidate:
    return judged(choice, demand, Asked(headroom=HEADROOM, named=True), known, book)


def _told(cost: BackendCost, found: Candidate) -> BackendCost:
    """With what the number of machines assumes, where they were counted."""
    if found.sizing.per_instance is None or not any(line.unit in _MACHINES for line in cost.lines):
        return cost
    return replace(cost, counted=tuple(str(mark) for mark in found.marks if mark in _TOLD))
