"""The cheapest stack that carries the workload: which there are, how they are ranked, and whether the cheapest can be told.

Ranks, the best first (docs/plan.md): all that was asked is shown, and the cost is known; something is not shown, and the cost is
known; then the same two with a cost of which a part is unknown. Within a rank the one counts whose upper end is the least; where
there is no upper end, the one with the fewest unknown parts, and then the least known sum. An unknown cost is never the cheapest.
Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from itertools import product

from stackproof.adapters.registry import CONCERNS

from .amount import Amount
from .capacity import DECISION_CONCERNS, Together, asks_nothing, together
from .cost import SHARED, Choice, StackCost, cost_of, cost_of_stack
from .demand import Demand
from .engines import served_right
from .feasibility import SEVERAL, Asked, Candidate, Mark, candidates
from .measured import Known
from .price_book import PriceBook

SHARES = {"search": "interactions", "cache": "events"}
"""Concern -> the one before it whose server it shares where both are one of `SHARED`, had in the same way."""

_TOO_MUCH_TOGETHER = "what two concerns ask of the server that they share is more than was measured to hold"


class Rank(IntEnum):
    """How well a stack answers, the best first."""

    SHOWN = 0
    OPEN = 1
    """Something that was asked is not shown."""
    COST_UNKNOWN = 2
    """All is shown, and a part of the cost is unknown."""
    BOTH = 3


@dataclass(frozen=True, slots=True)
class Option:
    """A stack: one usable candidate for each concern of which something is asked."""

    parts: tuple[Candidate, ...]
    """In the order of `CONCERNS`, without those of which nothing is asked."""
    costs: tuple[Amount, ...]
    """What each of them adds to the bill of the stack: of a server that two share the second one adds the least, or nothing."""
    low: Decimal
    high: Decimal
    known: bool
    """Whether ``high`` is an upper end."""

    @property
    def rank(self) -> Rank:
        marked = any(part.marks for part in self.parts)
        return Rank(marked + 2 * (not self.known))

    @property
    def key(self) -> tuple[int, int, Decimal, int, int, str]:
        """What it is sorted by: its rank, how much of its cost is unknown, its cost; of equals, the fewest servers."""
        cost = self.high if self.known else self.low
        return self.rank, self.unpriced, cost, self.unknowns, self.servers, self.name

    @property
    def unpriced(self) -> int:
        """How many concerns add a cost of which a part is unknown. Fewer are better: what is unknown is not nothing."""
        return sum(not cost.known for cost in self.costs)

    @property
    def not_priced(self) -> tuple[str, ...]:
        """What is unknown of its cost, a sentence for each concern and reason."""
        return tuple(why for cost in self.costs for why in cost.unknown)

    @property
    def servers(self) -> int:
        """How many different ones there are to run, or to pay."""
        return len({(part.backend, part.hosting) for part in self.parts})

    @property
    def unknowns(self) -> int:
        """How many concerns have something that is not shown."""
        return sum(bool(part.marks) for part in self.parts)

    @property
    def documented(self) -> tuple[str, ...]:
        """The concerns of which a documented quota, and no measurement, says that the peak is carried."""
        return tuple(part.concern for part in self.parts if part.documented)

    @property
    def name(self) -> str:
        return ", ".join(f"{part.concern}={part.name}" for part in self.parts)

    @property
    def short(self) -> str:
        """The backends alone."""
        return " + ".join(part.name for part in self.parts)

    @property
    def choices(self) -> dict[str, Choice]:
        return {part.concern: part.choice for part in self.parts}

    def part(self, concern: str) -> Candidate:
        return next(part for part in self.parts if part.concern == concern)


@dataclass(frozen=True, slots=True)
class Answer:
    """What can be recommended under one workload."""

    demand: Demand
    candidates: tuple[Candidate, ...]
    options: tuple[Option, ...]
    """All stacks that are feasible, the recommended one first."""
    refuted: tuple[tuple[Option, Together], ...]
    """Stacks whose backends were measured together, and did not carry the peak."""

    @property
    def best(self) -> Option | None:
        return self.options[0] if self.options else None

    @property
    def against(self) -> tuple[str, ...]:
        """Why nothing that was asked about carries the demand, a sentence each; nothing where a stack does."""
        if self.best is not None:
            return ()
        found = [
            f"{one.concern}={one.name}: {one.reasons[0] if one.reasons else one.status}"
            for one in self.candidates
            if not one.usable
        ]
        found += [f"measured together, {seen.ceiling.sentence}" for _, seen in self.refuted]
        return tuple(found) or (_TOO_MUCH_TOGETHER,)

    @property
    def rivals(self) -> tuple[Option, ...]:
        """Those of which it cannot be told that they cost more than the recommended one."""
        if self.best is None:
            return ()
        upper = self.best.high
        return tuple(one for one in self.options[1:] if not self.best.known or one.low < upper)

    @property
    def equals(self) -> tuple[Option, ...]:
        """Those that may cost as much as the recommended one, and surely do not cost less."""
        if self.best is None or not self.best.known:
            return ()
        return tuple(one for one in self.options[1:] if one.low == self.best.high)

    def missing(self) -> tuple[str, ...]:
        """The concerns without any usable backend."""
        there = {candidate.concern for candidate in self.candidates if candidate.usable}
        return tuple(concern for concern in CONCERNS if concern not in (*there, *self.unused))

    @property
    def unused(self) -> tuple[str, ...]:
        """The concerns of which nothing is asked: a stack has no backend for them."""
        return tuple(concern for concern in CONCERNS if asks_nothing(concern, self.demand))


@dataclass(frozen=True, slots=True)
class Advisor:
    """All that an answer rests on beside the workload."""

    asked: Asked
    known: Known
    book: PriceBook

    def answer(self, demand: Demand, wanted: Iterable[Choice] | None = None) -> Answer:
        """The feasible stacks under a demand, ranked; of the choices that are given, or of all."""
        found = candidates(demand, self.asked, self.known, self.book, wanted)
        made = _options(found, demand, self.book)
        options, refuted = [], []
        for option in sorted(made, key=lambda one: one.key):
            seen = self.seen_together(option.parts, demand)
            if seen is not None and seen.carried is False:
                refuted.append((option, seen))
            else:
                options.append(option)
        return Answer(demand, found, tuple(options), tuple(refuted))

    def seen_together(self, parts: Sequence[Candidate], demand: Demand) -> Together | None:
        """What a run of whole decisions on these backends says."""
        used = [part for part in parts if part.concern in DECISION_CONCERNS]
        names = [f"{part.concern}={part.backend}" for part in used]
        known = self.known
        if any(part.by_request for part in used):
            known = known.of_services()
        known = known.those(
            lambda one: all(served_right(one, part.concern, part.backend, part.hosting) for part in used)
        )
        # Where a part is as many machines as are needed, what one of them failed at says nothing against all.
        grows = any(part.backend in SEVERAL and not part.by_request for part in used)
        return together(names, demand, known, self.asked.headroom, self.asked.p99_ms, grows=grows)

    def cost(self, option: Option, demand: Demand) -> StackCost:
        """What it costs, line by line."""
        return cost_of_stack(option.choices, demand, self.book)


def _options(found: Sequence[Candidate], demand: Demand, book: PriceBook) -> list[Option]:
    groups: list[Sequence[Candidate | None]] = [
        (None,) if asks_nothing(concern, demand) else [one for one in found if one.concern == concern and one.usable]
        for concern in CONCERNS
    ]
    if not all(groups):
        return []
    costs = _Costs(demand, book)
    pairs = [
        [pair for pair in product(groups[0], groups[2]) if _fits(pair) and costs.within_quotas(pair)],
        [pair for pair in product(groups[1], groups[3]) if _fits(pair) and costs.within_quotas(pair)],
    ]
    made = []
    for (interactions, search), (events, cache), logs in product(pairs[0], pairs[1], groups[4]):
        beside = {
            "search": "interactions" if _shared((interactions, search)) else "",
            "cache": "events" if _shared((events, cache)) else "",
        }
        parts = tuple(part for part in (interactions, events, search, cache, logs) if part is not None)
        bills = tuple(costs.of(part, beside.get(part.concern, "")) for part in parts)
        low = sum((bill.low for bill in bills), Decimal(0))
        high = sum((bill.high for bill in bills), Decimal(0))
        made.append(Option(parts, bills, low, high, all(bill.known for bill in bills)))
    return made


class _Costs:
    """What each candidate costs, alone or beside another one on its server; worked out once."""

    def __init__(self, demand: Demand, book: PriceBook) -> None:
        self._demand, self._book = demand, book
        self._seen: dict[tuple[str, str, str, str], Amount] = {}

    def within_quotas(self, pair: tuple[Candidate | None, Candidate | None]) -> bool:
        """Whether the server that two concerns share can be as large as both need it together."""
        first, second = pair
        if first is None or second is None or not _shared(pair):
            return True
        limits = cost_of(second.choice, self._demand, self._book, first.concern).exceeded
        return all(limit.kind == "measured" for limit in limits)

    def of(self, candidate: Candidate, beside: str = "") -> Amount:
        key = (candidate.concern, candidate.backend, candidate.hosting, beside)
        if key not in self._seen:
            bill = cost_of(candidate.choice, self._demand, self._book, beside) if beside else candidate.cost
            self._seen[key] = bill.total
        return self._seen[key]


def _shared(pair: tuple[Candidate | None, Candidate | None]) -> bool:
    first, second = pair
    if first is None or second is None:
        return False
    return first.backend in SHARED and (first.backend, first.hosting) == (second.backend, second.hosting)


_AT_ONE_ADDRESS = {
    "postgres": "DATABASE_URL",
    "redis": "REDIS_URL",
    "elasticache": "REDIS_URL",
    "upstash": "REDIS_URL",
    "dragonfly": "REDIS_URL",
}
"""The variable that says where it is: two backends with the same one are one server, or cannot be had together."""


def _fits(pair: tuple[Candidate | None, Candidate | None]) -> bool:
    """Whether the server that two concerns share carries what both ask of it: the parts that they take add up."""
    first, second = pair
    if first is None or second is None:
        return True
    if _AT_ONE_ADDRESS.get(first.backend, first) == _AT_ONE_ADDRESS.get(second.backend, second) and not _shared(pair):
        return False
    if not _shared(pair):
        return True
    uses: list[Fraction] = [part.use for part in (first, second) if part.use is not None]
    quick: list[Fraction] = [
        part.quick for part in (first, second) if part.quick is not None and Mark.SLOW not in part.marks
    ]
    return sum(uses, Fraction(0)) <= 1 and sum(quick, Fraction(0)) <= 1


def picks(answer: Answer) -> list[tuple[str, Option]]:
    """The alternatives that a reader should know of, each with what it is: none of them twice, nor the recommended one."""
    best = answer.best
    if best is None:
        return []
    shown: list[tuple[str, Callable[[Option], bool]]] = []
    if best.unknowns and any(not one.unknowns for one in answer.options):
        shown = [("the cheapest of which all that was asked is shown", lambda one: not one.unknowns)]
    elif best.unknowns:
        shown = [("the cheapest with fewer unknowns", lambda one: one.unknowns < best.unknowns)]
    tests: list[tuple[str, Callable[[Option], bool]]] = [
        ("the next cheapest", lambda one: one.rank == best.rank),
        *shown,
        ("cheaper, and something is not shown", lambda one: one.known and best.known and one.high < best.high),
        ("of those whose cost is not known in full, the least unknown", lambda one: best.known and not one.known),
    ]
    found: list[tuple[str, Option]] = []
    for title, test in tests:
        first = next((one for one in answer.options if one is not best and test(one)), None)
        # The second one of a kind is not what its title says: where the first is shown already, that is all.
        if first is not None and all(first is not seen for _, seen in found):
            found.append((title, first))
    return found
