"""Interactions as test data, and how what a store answers is compared with the definition of a summary."""

from __future__ import annotations

import itertools
import random
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from stackproof.interfaces import (
    MAX_SUMMARIES,
    Direction,
    Interaction,
    InteractionCapabilities,
    InteractionStore,
    InteractionType,
    PeriodType,
    RejectedError,
    SummariesQuery,
    Summary,
    summarise,
)

from .expectations import ContractViolation, expect
from .hostile import has_utf8

NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
"""The usual time of a contact: a whole second, so that every resolution keeps it."""
TENANT = "bank"
CUSTOMER = "c-1"

_numbers = itertools.count(1)

USUAL_LIMITS = InteractionCapabilities()

MANY_SECONDS = 150.0
"""How long callers may take for several hundred contacts of one customer, each a transaction of its own over a network."""

ABSURDLY_MANY_PAGES = 2_000
"""No walk of the suite needs so many: a cursor that never ends is a finding, not a hang."""


def contact(**changes: Any) -> Interaction:
    """One interaction; what is not given is the same for all, except the id, which is new."""
    usual: dict[str, Any] = {
        "event_id": f"e-{next(_numbers)}",
        "tenant": TENANT,
        "customer": CUSTOMER,
        "offer": "gold",
        "interaction_type": InteractionType.CLICK,
        "timestamp": NOON,
    }
    return Interaction(**{**usual, **changes})


def new_id(limits: InteractionCapabilities) -> str:
    """An id that nobody has, as far as the declared size of texts allows."""
    return uuid.uuid4().hex[: limits.max_text_bytes]


def about(tenant: str = TENANT, customer: str = CUSTOMER, **filters: Any) -> SummariesQuery:
    """The query for one customer's summaries."""
    return SummariesQuery(tenant=tenant, customer=customer, **filters)


def alltime(store: InteractionStore, **filters: Any) -> Summary | None:
    """The first all-time summary of a customer, None without one."""
    rows = walk(store, about(**{"period_type": PeriodType.ALLTIME, **filters}))
    return rows[0] if rows else None


def walk(
    store: InteractionStore, query: SummariesQuery, after_page: Callable[[Sequence[Summary]], object] | None = None
) -> list[Summary]:
    """All rows over all pages, each page within its limit. ``after_page`` is called with the rows of each page."""
    rows: list[Summary] = []
    for _ in range(ABSURDLY_MANY_PAGES):
        page = store.get_summaries(query)
        expect(len(page.rows), f"rows of a page with the limit {query.limit}").at_most(min(query.limit, MAX_SUMMARIES))
        rows += page.rows
        if after_page is not None:
            after_page(page.rows)
        if page.next_cursor is None:
            return rows
        query = replace(query, cursor=page.next_cursor)
    raise ContractViolation("the walk over all pages", "an end", f"still a cursor after {ABSURDLY_MANY_PAGES} pages")


def walk_in_turns(stores: Sequence[InteractionStore], query: SummariesQuery, limits: Sequence[int]) -> list[Summary]:
    """All rows, where each page is asked of the next store and has the next limit."""
    rows: list[Summary] = []
    turns = zip(itertools.cycle(stores), itertools.cycle(limits), range(ABSURDLY_MANY_PAGES), strict=False)
    for store, limit, _ in turns:
        page = store.get_summaries(replace(query, limit=limit))
        rows += page.rows
        if page.next_cursor is None:
            return rows
        query = replace(query, cursor=page.next_cursor)
    raise ContractViolation("the walk over all pages", "an end", f"still a cursor after {ABSURDLY_MANY_PAGES} pages")


def record_each(store: InteractionStore, events: Iterable[Interaction]) -> None:
    """Record interactions one by one."""
    for event in events:
        store.record_event(event)


def summaries_of(events: Iterable[Interaction], query: SummariesQuery) -> list[Summary]:
    """What the definition says that a query must find."""
    return [
        row
        for row in summarise(events)
        if (row.tenant, row.customer) == (query.tenant, query.customer)
        and (query.period_type is None or row.period_type == query.period_type)
        and (query.offer is None or row.offer == query.offer)
        and (query.creative is None or row.creative == query.creative)
        and (query.channel is None or row.channel == query.channel)
    ]


def expect_summaries(rows: Sequence[Summary], events: Iterable[Interaction], query: SummariesQuery, what: str) -> None:
    """The rows are exactly those of the definition, in its order. Says which ones are missing, doubled or different."""
    __tracebackhide__ = True
    expected = summaries_of(events, query)
    seen_keys = [_key(row) for row in rows]
    expected_by_key = {_key(row): row for row in expected}
    expect(sorted(set(expected_by_key) - set(seen_keys)), f"{what}: summaries that are missing").equals([])
    expect(sorted(set(seen_keys) - set(expected_by_key)), f"{what}: summaries of what never happened").equals([])
    doubled = sorted({key for key in seen_keys if seen_keys.count(key) > 1}) if len(rows) != len(expected) else []
    expect(doubled, f"{what}: summaries that came twice").equals([])
    for row in rows:
        right = expected_by_key[_key(row)]
        wrong = [field.name for field in fields(Summary) if getattr(row, field.name) != getattr(right, field.name)]
        which = f"{what}: the summary of {' / '.join(part for part in _key(row) if part)}"
        expect({name: getattr(row, name) for name in wrong}, which).equals(
            {name: getattr(right, name) for name in wrong}
        )
        expect(row.total_value, f"{which}: the total value").has_type(Decimal)
    for place, (seen, right_key) in enumerate(zip(seen_keys, map(_key, expected), strict=True)):
        expect(seen, f"{what}: the row in place {place + 1}").equals(right_key)


def _key(row: Summary) -> tuple[str, ...]:
    return (str(row.period_type), row.period_key, row.offer, row.creative, row.channel)


def history(rng: random.Random, length: int, limits: InteractionCapabilities = USUAL_LIMITS) -> list[Interaction]:
    """A random history of few customers over two years, with repeated ids and ties, on whole seconds.

    The sum of 160 of its values is within the limits, from four digits on.
    """
    values = [Decimal(0)]
    if limits.value_digits >= 4:
        values += [Decimal("0.1"), Decimal("-2.50"), _large_for(limits)]
    moments = [NOON + timedelta(seconds=rng.randrange(-63_000_000, 0)) for _ in range(12)]
    return [
        contact(
            event_id=f"h-{rng.randrange(length)}",
            tenant=rng.choice(("bank", "shop")),
            customer=rng.choice(("c-1", "c-2")),
            offer=rng.choice(("gold", "silver")),
            creative=rng.choice(("", "banner")),
            channel=rng.choice(("", "email", "web")),
            interaction_type=rng.choice(list(InteractionType)),
            direction=rng.choice(list(Direction)),
            outcome=rng.choice(("", "seen", "bought")),
            timestamp=rng.choice(moments),
            value=rng.choice(values),
        )
        for _ in range(length)
    ]


def _large_for(limits: InteractionCapabilities) -> Decimal:
    """A value of which 160 make a sum that the store can keep."""
    if limits.value_digits >= 12:
        return Decimal("123456.789")
    return round(Decimal("1.234").scaleb(limits.value_digits - 4), 1)


def fitting(text: str, limits: InteractionCapabilities) -> str:
    """As much of the beginning of a text as the store takes."""
    while len(text.encode(errors="surrogatepass")) > limits.max_text_bytes:
        surplus = len(text.encode(errors="surrogatepass")) - limits.max_text_bytes
        text = text[: -max(1, surplus // 4)]
    return text


def records(store: InteractionStore, event: Interaction, name: str) -> bool:
    """Record an interaction; False when it was rejected, which only NUL and lone surrogates excuse."""
    try:
        store.record_event(event)
    except RejectedError as error:
        if "\0" not in event.offer + event.customer and has_utf8(event.offer + event.customer):
            raise ContractViolation(f"a text with {name}", "to be kept", f"RejectedError: {error}") from error
        return False
    return True


def values_with_a_long_sum(limits: InteractionCapabilities) -> tuple[Decimal, Decimal]:
    """Two values that can be kept, and whose sum has more digits than the store keeps."""
    return Decimal((0, (9,) * limits.value_digits, 0)), Decimal((0, (1,), -2))


def too_long_for(limits: InteractionCapabilities) -> str:
    """A text of one byte more than the store takes."""
    return "x" * (limits.max_text_bytes + 1)


def longest_for(limits: InteractionCapabilities, salt: str) -> str:
    """A text of exactly as many bytes as the store takes, of two-byte characters that do not compress well."""
    shades = random.Random(salt)  # noqa: S311 - test data
    text = "".join(chr(shades.randrange(0x100, 0x180)) for _ in range(limits.max_text_bytes // 2))
    return text + "x" * (limits.max_text_bytes % 2)


def too_exact_for(limits: InteractionCapabilities) -> Decimal:
    """A value with one significant digit more than the store keeps."""
    return Decimal((0, (1,) * (limits.value_digits + 1), -2))


def exact_values(limits: InteractionCapabilities) -> list[Decimal]:
    """Values that binary fractions, 28-digit contexts, six decimals or integers would spoil; all within the limits."""
    digits = limits.value_digits
    ones = tuple(1 + n % 9 for n in range(digits))
    values = [
        Decimal("0.1"),
        Decimal("30.40"),
        Decimal("-2.675"),
        Decimal("0.0000001"),
        Decimal("1000000000000.000001"),
        Decimal(2**53 + 1),
        Decimal((0, ones, 0)),
        Decimal((1, ones, -digits // 2)),
        Decimal((0, ones, -digits)),
        Decimal((0, (7,), -digits)),
    ]
    return [value for value in values if len(value.as_tuple().digits) <= digits]
