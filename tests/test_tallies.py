"""Summaries computed from contacts are those of the definition, from every cursor and over the whole of time."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from stackproof.adapters.interactions.rules import Position
from stackproof.adapters.interactions.tallies import Contact, _end_of, microseconds, summaries_page
from stackproof.contracts.interaction_samples import about, contact, history
from stackproof.interfaces import Interaction, PeriodType, SummariesQuery, Summary, period_keys, summarise


class Table:
    """Contacts as a database keeps them, and how many of them were read."""

    def __init__(self, events: Iterable[Interaction]) -> None:
        rows = [
            Contact(
                microseconds(event.timestamp),
                event.event_id,
                event.offer,
                event.creative,
                event.channel,
                event.interaction_type.value,
                event.direction.value,
                event.value,
                event.outcome,
            )
            for event in events
        ]
        self.rows = sorted(rows, key=lambda row: (row.happened_at, row.event_id), reverse=True)
        self.read = 0

    def scan(self, before: int | None) -> Iterable[Contact]:
        for row in self.rows:
            if before is None or row.happened_at < before:
                self.read += 1
                yield row


def rows_of(events: Iterable[Interaction], query: SummariesQuery) -> list[Summary]:
    return [
        row
        for row in summarise(events)
        if query.period_type in (None, row.period_type)
        and query.offer in (None, row.offer)
        and query.creative in (None, row.creative)
        and query.channel in (None, row.channel)
    ]


def unique(events: Iterable[Interaction]) -> list[Interaction]:
    first: dict[str, Interaction] = {}
    for event in events:
        if (event.tenant, event.customer) == ("bank", "c-1"):
            first.setdefault(event.event_id, event)
    return list(first.values())


QUERIES = (
    about(),
    about(offer="gold"),
    about(creative="", channel="web"),
    about(period_type=PeriodType.WEEKLY),
    about(period_type=PeriodType.DAILY, channel=""),
    about(offer="nobody's"),
)


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("seed", range(3))
def test_pages_are_those_of_the_definition_from_every_position(query: SummariesQuery, seed: int) -> None:
    events = unique(history(random.Random(seed), 160))
    expected = rows_of(events, query)
    table = Table(events)
    assert summaries_page(query, None, 10_000, table.scan) == expected
    for place, row in enumerate(expected):
        rest = expected[place + 1 :]
        assert summaries_page(query, Position.of(row), 5, table.scan) == rest[:5]


def test_the_ends_of_time_have_their_periods() -> None:
    moments = [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)]
    events = [contact(timestamp=moment, value=Decimal("0.1")) for moment in moments]
    expected = summarise(events)
    table = Table(events)
    assert summaries_page(about(), None, 100, table.scan) == expected
    for place, row in enumerate(expected):
        assert summaries_page(about(), Position.of(row), 100, table.scan) == expected[place + 1 :]


def test_reading_stops_where_a_page_of_days_is_full_and_begins_where_it_begins() -> None:
    noon = datetime(2026, 6, 1, 12, tzinfo=UTC)
    events = [contact(timestamp=noon - timedelta(days=day)) for day in range(1000)]
    table = Table(events)
    query = about(period_type=PeriodType.DAILY)
    page = summaries_page(query, None, 20, table.scan)
    assert len(page) == 20
    assert table.read <= 21
    table.read = 0
    assert summaries_page(query, Position.of(page[-1]), 20, table.scan)[0].period_key == "2026-05-12"
    assert table.read <= 22


@pytest.mark.parametrize("kind", [PeriodType.DAILY, PeriodType.WEEKLY, PeriodType.MONTHLY])
def test_a_period_ends_where_the_next_one_begins(kind: PeriodType) -> None:
    rng = random.Random(7)
    for _ in range(300):
        moment = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(days=rng.randrange(20_000), seconds=rng.randrange(86_400))
        key = period_keys(moment)[kind]
        end = _end_of(kind, key)
        assert end is not None
        at_end = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=end)
        assert moment < at_end
        assert period_keys(at_end - timedelta(microseconds=1))[kind] == key
        assert period_keys(at_end)[kind] > key
