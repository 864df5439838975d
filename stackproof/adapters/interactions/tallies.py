"""Summaries computed from contacts, in the order of pages: what a store does that keeps contacts and no counters.

Contacts come newest first. Days, weeks and months of that order are runs of it, so their summaries come out run by run, and
reading stops where a page is full; only the all-time summaries need the whole history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import groupby, islice
from typing import NamedTuple

from stackproof.interfaces import Direction, InteractionType, PeriodType, SummariesQuery, Summary, period_keys
from stackproof.interfaces.records import NEGATIVE, NEUTRAL, POSITIVE, exact_sum

from .rules import Position

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAY = 86_400_000_000


class Contact(NamedTuple):
    """What a summary needs of an interaction."""

    happened_at: int
    """Microseconds since 1970."""
    event_id: str
    offer: str
    creative: str
    channel: str
    interaction_type: str
    direction: str
    value: Decimal
    outcome: str


Scan = Callable[[int | None], Iterable[Contact]]
"""A customer's contacts before an instant (None: all), newest first, and of one instant the greatest event id first."""


def microseconds(timestamp: datetime) -> int:
    """An instant as a whole number: every microsecond of the years 1 to 9999 has its own."""
    return (timestamp - EPOCH) // _MICROSECOND


def summaries_page(query: SummariesQuery, after: Position | None, number: int, scan: Scan) -> list[Summary]:
    """The first ``number`` summaries behind a position, in the order of pages."""
    kinds = [query.period_type] if query.period_type is not None else list(PeriodType)
    rows: list[Summary] = []
    for kind in sorted(kinds):
        if after is not None and kind < after.period_type:
            continue
        here = after if after is not None and kind == after.period_type else None
        rows += islice(_rows(query, kind, here, scan), number - len(rows))
        if len(rows) == number:
            break
    return rows


def _rows(query: SummariesQuery, kind: PeriodType, after: Position | None, scan: Scan) -> Iterator[Summary]:
    before = None if after is None else _end_of(kind, after.period_key)
    wanted = (contact for contact in scan(before) if _matches(query, contact))
    for key, contacts in groupby(wanted, lambda contact: _keys_of(contact.happened_at // _DAY)[kind]):
        if after is not None and key > after.period_key:
            continue
        tallies: dict[tuple[str, str, str], _Tally] = {}
        for contact in contacts:
            place = (contact.offer, contact.creative, contact.channel)
            tally = tallies.get(place)
            if tally is None:
                tally = tallies[place] = _Tally(contact)
            tally.add(contact)
        for place in sorted(tallies):
            if after is None or key < after.period_key or place > (after.offer, after.creative, after.channel):
                yield tallies[place].summary(query, kind, key)


def _matches(query: SummariesQuery, contact: Contact) -> bool:
    return (
        query.offer in (None, contact.offer)
        and query.creative in (None, contact.creative)
        and query.channel in (None, contact.channel)
    )


@lru_cache(maxsize=4096)
def _keys_of(day: int) -> dict[PeriodType, str]:
    return period_keys(EPOCH + timedelta(days=day))


def _end_of(kind: PeriodType, key: str) -> int | None:
    """The instant at which a period has ended; None where it ends with time itself."""
    try:
        match kind:
            case PeriodType.ALLTIME:
                return None
            case PeriodType.DAILY:
                last = date.fromisoformat(key)
            case PeriodType.WEEKLY:
                year, _, week = key.partition("-W")
                last = date.fromisocalendar(int(year), int(week), 7)
            case PeriodType.MONTHLY:
                last = (date.fromisoformat(f"{key}-28") + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    except (OverflowError, ValueError):  # the week or the month after the last one of the year 9999
        return None
    return (last.toordinal() + 1 - EPOCH.toordinal()) * _DAY


_POSITIVE, _NEGATIVE, _NEUTRAL = (frozenset(kind.value for kind in kinds) for kinds in (POSITIVE, NEGATIVE, NEUTRAL))


class _Tally:
    """The contacts of one summary, added up. The first one that comes is the last one that happened."""

    __slots__ = ("converts", "impressions", "last", "negative", "neutral", "positive", "total")

    def __init__(self, last: Contact) -> None:
        self.last = last
        self.impressions = self.positive = self.negative = self.neutral = self.converts = 0
        self.total = Decimal(0)

    def add(self, contact: Contact) -> None:
        kind = contact.interaction_type
        self.impressions += kind == InteractionType.IMPRESSION
        self.converts += kind == InteractionType.CONVERT
        self.positive += kind in _POSITIVE
        self.negative += kind in _NEGATIVE
        self.neutral += kind in _NEUTRAL
        if contact.value:
            self.total = exact_sum((self.total, contact.value))

    def summary(self, query: SummariesQuery, kind: PeriodType, key: str) -> Summary:
        return Summary(
            tenant=query.tenant,
            customer=query.customer,
            offer=self.last.offer,
            creative=self.last.creative,
            channel=self.last.channel,
            period_type=kind,
            period_key=key,
            impressions=self.impressions,
            positive=self.positive,
            negative=self.negative,
            neutral=self.neutral,
            converts=self.converts,
            total_value=self.total,
            last_contact_at=EPOCH + self.last.happened_at * _MICROSECOND,
            last_outcome=self.last.outcome,
            direction=Direction(self.last.direction),
        )
