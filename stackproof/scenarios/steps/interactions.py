"""Steps on the interaction store: writes that are counted again afterwards, and reads of what is known to be there."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from threading import Lock
from typing import Any

from stackproof.interfaces import (
    BulkInteractionStore,
    Interaction,
    InteractionType,
    OperationTimeoutError,
    PeriodType,
    SummariesQuery,
    Summary,
    summarise,
)
from stackproof.scenarios.counting_words import ACKNOWLEDGED, COUNTED
from stackproof.scenarios.item import Item

from .base import SHARED_TENANT, Action, Bench, Deferrable, Done, Step, Tell
from .filling import fill

CHECKED_CUSTOMERS = 8
"""The summaries of one customer in this many are checked (customer 1, the busiest, among them)."""
COUNTED_AGAIN = 50
"""Customers whose interactions are counted again after a window whatever it takes: the busiest ones."""
COUNTING_SECONDS = 3.0
"""For so long after each window the others are counted again, too, as many as there is time for."""
BATCH = 500
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class Impressions:
    """What this worker recorded, by customer."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._guard = Lock()
        self.attempted: Counter[int] = Counter()
        """Interactions of each customer whose recording began."""
        self.recorded: Counter[int] = Counter()
        """Interactions of each customer whose recording ended well."""
        self._new: Counter[int] = Counter()
        """Of those, the ones that nobody counted again so far."""
        self._order = random.Random(f"{bench.seed} {bench.tenant}")  # noqa: S311 - an order, no secret
        self._gone: Counter[int] = Counter()
        """Of those, what was told to be gone: it is told once, and not again after every later window."""
        self._surplus: Counter[int] = Counter()
        """What was told to be there beyond what was sent."""

    @staticmethod
    def checks(customer: int) -> bool:
        return customer % CHECKED_CUSTOMERS == 1

    def begin(self, customer: int) -> None:
        with self._guard:
            self.attempted[customer] += 1

    def end(self, customer: int) -> None:
        with self._guard:
            self.recorded[customer] += 1
            self._new[customer] += 1

    def least(self, customer: int) -> int:
        """So many must be there now, beside what was told to be gone."""
        return self.recorded[customer] - self._gone[customer]

    def most(self, customer: int) -> int:
        """More cannot be there now, beside what was told to be too much."""
        return self.attempted[customer] + self._surplus[customer]

    def told(self, customer: int, acknowledged: int, seen: int) -> None:
        """Expect from now on that ``seen`` are there of those acknowledged by then, or more than were sent: it has been told."""
        with self._guard:
            self._gone[customer] = max(self._gone[customer], acknowledged - seen)
            self._surplus[customer] = max(self._surplus[customer], seen - self.attempted[customer])

    def count_again(self, deadline: float) -> None:
        """After a window: whether customers have what was acknowledged, and nothing twice.

        The busiest first, whatever it takes; then those with something that nobody counted yet, then all others, each in an order
        of chance, while `COUNTING_SECONDS` last: a store that loses one write in a thousand loses it of anybody. What share of
        the acknowledged writes was counted is told.
        """
        checks, began = self._bench.checks, time.monotonic()
        with self._guard:  # what did not end in time may end now
            checks.saw(ACKNOWLEDGED, self._new.total())
            busiest = [customer for customer, _ in self.recorded.most_common(COUNTED_AGAIN)]
            others = self._others(busiest)
        for number, customer in enumerate([*busiest, *others]):
            if number < len(busiest):
                if self._bench.over(deadline):
                    raise OperationTimeoutError(
                        f"no time was left to count more than {number} of the {len(busiest)} busiest customers again"
                    )
            elif self._bench.over(min(deadline, began + COUNTING_SECONDS)):
                return
            self._count(customer)

    def _others(self, busiest: Sequence[int]) -> list[int]:
        known = set(busiest)
        fresh = sorted(self._new.keys() - known)
        older = sorted(self.recorded.keys() - self._new.keys() - known)
        for customers in (fresh, older):
            self._order.shuffle(customers)
        return fresh + older

    def _count(self, customer: int) -> None:
        store, checks = self._bench.interactions, self._bench.checks
        with self._guard:
            acknowledged, least, new = self.recorded[customer], self.least(customer), self._new.pop(customer, 0)
        seen = sum(row.impressions for row in store.all_summaries(_all_time(self._bench.tenant, customer)))
        most = self.most(customer)
        checks.saw("customers counted again")
        checks.saw(COUNTED, new)
        if least <= seen <= most:
            return
        said = f"of customer c{customer} {least} impressions were acknowledged and {most} sent; {seen} are there"
        if seen < least:
            checks.lose(least - seen, said)
        else:
            checks.double(seen - most, said)
        self.told(customer, acknowledged, seen)


class RecordEvent(Step):
    """An `InteractionStore.record_event` of an impression of the offer.

    Checked after each window: that what was acknowledged is there, once, for as many customers as there is time for.
    """

    name = "record event"
    concern = "interactions"

    def bind(self, bench: Bench) -> Action | Deferrable:
        record, impressions, tenant = bench.interactions.record_event, bench.part(Impressions, bench), bench.tenant
        record_deferred: Any = getattr(bench.interactions, "record_event_deferred", None)
        value = Decimal("0.25")

        def event_of(item: Item) -> Interaction:
            return Interaction(
                event_id=item.event_id,
                tenant=tenant,
                customer=f"c{item.key}",
                offer=f"o{item.offers[-1]}" if item.offers else "o1",
                interaction_type=InteractionType.IMPRESSION,
                timestamp=datetime.now(UTC),
                channel="web",
                value=value,
            )

        def act(item: Item, _turn: int) -> None:
            customer = item.key
            impressions.begin(customer)
            record(event_of(item))
            impressions.end(customer)

        def begin(item: Item, _turn: int, done: Done) -> None:
            customer = item.key

            def ended(error: BaseException | None) -> None:
                if error is None:
                    impressions.end(customer)
                done(error)

            impressions.begin(customer)
            record_deferred(event_of(item), ended)

        bench.settle_with(impressions.count_again)
        return act if record_deferred is None else Deferrable(act, begin)


class SummariesRead(Step):
    """An `InteractionStore.get_summaries` of the customer: one page, all time, against what this worker has recorded."""

    name = "summaries read"
    concern = "interactions"

    def bind(self, bench: Bench) -> Action:
        read, checks, impressions = bench.interactions.get_summaries, bench.checks, bench.part(Impressions, bench)

        def act(item: Item, _turn: int) -> None:
            customer = item.key
            checked = impressions.checks(customer)
            acknowledged, least = impressions.recorded[customer], impressions.least(customer)
            page = read(_all_time(bench.tenant, customer))
            if not checked:
                return
            seen = sum(row.impressions for row in page.rows)
            most = impressions.most(customer)
            checks.saw("summaries")
            if seen > most or (seen < least and page.next_cursor is None):
                impressions.told(customer, acknowledged, seen)
                raise checks.wrong_answer(
                    f"get_summaries of customer c{customer} counts {seen} impressions; "
                    f"{least} were recorded before it was asked, and {most} at most can be there"
                )

        return act


@dataclass(frozen=True)
class HistoryRead(Step):
    """An `InteractionStore.get_summaries` (one page, all time) of a customer who has a history of a given depth.

    Checked, for one customer in eight: every field of every row, against the definition of a summary.
    """

    depth: int = 100
    """Interactions of each customer."""

    name = "summaries read"
    concern = "interactions"

    def bind(self, bench: Bench) -> Action:
        read, checks, depth = bench.interactions.get_summaries, bench.checks, self.depth
        expected: dict[int, tuple[Summary, ...]] = {}
        tenant = bench.apart + SHARED_TENANT

        def prepare(tell: Tell, deadline: float) -> None:
            first, step = bench.share("interactions")
            _record_histories(bench, range(first + 1, bench.keys.size + 1, step), depth, tell, deadline)
            # Before the load: a summary of thousands of interactions takes milliseconds, which would be seen in it.
            for customer in range(1, bench.keys.size + 1, CHECKED_CUSTOMERS):
                rows = [
                    row
                    for row in summarise(history(customer, depth, bench.apart))
                    if row.period_type is PeriodType.ALLTIME
                ]
                expected[customer] = tuple(rows)

        def act(item: Item, _turn: int) -> None:
            query = _all_time(tenant, item.key)
            rows = read(query).rows
            known = expected.get(item.key)
            if known is None:
                return
            checks.saw("summaries")
            if rows != known[: query.limit]:
                raise checks.wrong_answer(
                    f"get_summaries of customer c{item.key}, who has {depth} interactions, {_difference(rows, known)}"
                )

        bench.prepare_with(prepare)
        return act


def history(customer: int, depth: int, apart: str = "") -> list[Interaction]:
    """The interactions of a customer: the same in every process. ``apart`` keeps those of one scenario from those of another."""
    kinds = tuple(InteractionType)
    return [
        Interaction(
            event_id=f"{apart}h{customer}-{number}",
            tenant=apart + SHARED_TENANT,
            customer=f"c{customer}",
            offer=f"o{(customer + number * 7) % 20}",
            interaction_type=kinds[number % 11 % len(kinds)],
            timestamp=_BEGAN + timedelta(minutes=number * 41 + customer % 60),
            channel="web" if number % 3 else "mail",
            value=Decimal(number % 5) / 4,
        )
        for number in range(depth)
    ]


def _record_histories(bench: Bench, customers: Sequence[int], depth: int, tell: Tell, deadline: float) -> None:
    """In batches where the store takes batches, and many at once."""
    store = bench.interactions
    what = f"recording histories of {depth:,}, interactions"
    events = (event for customer in customers for event in history(customer, depth, bench.apart))
    total = len(customers) * depth
    if isinstance(store, BulkInteractionStore):
        batches = iter(lambda: list(islice(events, BATCH)), [])
        fill(what, batches, -(-total // BATCH), store.record_events, tell, deadline, at_once=4)
    else:
        fill(what, events, total, store.record_event, tell, deadline)


def _difference(rows: Sequence[Summary], known: Sequence[Summary]) -> str:
    if len(rows) < len(known):
        return f"has {len(rows)} rows; {len(known)} must be there"
    wrong = next((seen for seen, must in zip(rows, known, strict=False) if seen != must), rows[-1])
    return f"has the row {wrong}, which is not what its interactions add up to"


def _all_time(tenant: str, customer: int) -> SummariesQuery:
    return SummariesQuery(tenant=tenant, customer=f"c{customer}", period_type=PeriodType.ALLTIME)
