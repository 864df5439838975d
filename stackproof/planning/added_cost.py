"""What a backend adds to the bill of a server that is there anyway: the difference of two bills, line by line. Pure.

"Included with your existing database" is about this difference. The server is there, and stays one: whether it has room for more
is no question of prices. Where both bills buy the same thing, the difference is in its quantity, and what both buy alike costs
nothing more, also where its price is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal

from stackproof.interfaces import ConfigurationError

from .amount import EXACT, Amount, Quantity
from .bill import BackendCost, Line, Sizing
from .cost import SHARED, Choice, StackCost, cost_of_stack
from .demand import Demand
from .price_book import PriceBook

ONE = Sizing(instances=1)
"""The server that is there."""
THERE_FOR: Mapping[tuple[str, str], str] = {
    ("interactions", "postgres"): "search",
    ("search", "postgres"): "interactions",
    ("events", "redis"): "cache",
    ("cache", "redis"): "events",
}
"""Concern and backend -> the concern that its server is there for."""


def added_cost(concern: str, backend: str, demand: Demand, book: PriceBook, hosting: str = "") -> BackendCost:
    """What a month's bill grows by when this concern is put on a server that is there for another one.

    The lines are the differences, with the formula of the larger bill. `ConfigurationError` for a backend that is no server
    of several concerns.
    """
    beside = THERE_FOR.get((concern, backend))
    if beside is None or backend not in SHARED:
        raise ConfigurationError(f"{concern}={backend} shares its server with no other concern")
    there = {beside: Choice(beside, backend, hosting, ONE)}
    before = cost_of_stack(there, demand, book)
    after = cost_of_stack({**there, concern: Choice(concern, backend, hosting, ONE)}, demand, book)
    lines = difference(after, before, book)
    notes = (f"one server is there for {beside}; whether it has room is not counted", *_notes(after))
    hosted = next(cost.hosting for cost in after.backends if cost.concern == concern)
    return BackendCost(concern, backend, hosted, book.currency, lines, (), notes)


def difference(after: StackCost, before: StackCost, book: PriceBook) -> tuple[Line, ...]:
    """What the one bill has more of than the other, by price; ValueError where it has less of something."""
    ours, theirs = _bought(after), _bought(before)
    if less := sorted(theirs.keys() - ours.keys()):
        raise ValueError(f"a bill that grew no longer has {less[0]!r}")
    return tuple(_grown(line, theirs.get(price), book) for price, line in ours.items())


def _grown(line: Line, before: Line | None, book: PriceBook) -> Line:
    if before is None or not line.price:
        return line  # what has no price has an amount of its own: nothing, or not known
    more = _more(line.quantity, before.quantity)
    if more == Quantity.of(0):
        nothing = Amount.of(0, currency=book.currency)
        return replace(
            line, quantity=more, amount=nothing, formula=f"no more than the {before.quantity} that are there"
        )
    formula = f"({line.formula}) - {before.quantity} that are there"
    return replace(line, quantity=more, amount=book.cost(line.price, more), formula=formula)


def _more(after: Quantity, before: Quantity) -> Quantity:
    """The ends that the difference can have; where the smaller one is a lower bound, it may be nothing."""
    least = EXACT.subtract(after.low, before.high) if before.known else Decimal(0)
    most = EXACT.subtract(after.high, before.low)
    if most < 0:
        raise ValueError(f"a bill that grew has less: {after} after {before}")
    return Quantity(max(Decimal(0), least), most, after.unknown)


def _bought(cost: StackCost) -> dict[str, Line]:
    """The lines of all concerns by the price that they are for, those of one price added; what nobody bills by its item."""
    found: dict[str, Line] = {}
    for line in (line for backend in cost.backends for line in backend.lines):
        key = line.price or f"({line.item})"
        if key in found:
            line = _together(found[key], line)  # noqa: PLW2901 - the sum stands for both
        found[key] = line
    return found


def _together(a: Line, b: Line) -> Line:
    low, high = EXACT.add(a.quantity.low, b.quantity.low), EXACT.add(a.quantity.high, b.quantity.high)
    quantity = Quantity(low, high, tuple(dict.fromkeys((*a.quantity.unknown, *b.quantity.unknown))))
    return replace(a, quantity=quantity, amount=a.amount + b.amount, formula=f"{a.formula} + {b.formula}")


def _notes(cost: StackCost) -> Iterable[str]:
    return dict.fromkeys(note for backend in cost.backends for note in backend.notes)
