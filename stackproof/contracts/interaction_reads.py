"""The clauses about what an interaction store answers: pages, order, filters, periods."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from stackproof.interfaces import (
    MAX_SUMMARIES,
    Interaction,
    InteractionCapabilities,
    InteractionType,
    PeriodType,
    RejectedError,
)

from .callers import Callers
from .clauses import clause
from .evidence import Evidence
from .expectations import expect, expect_error
from .faults_of_batches import InteractionBatchContract
from .interaction_samples import (
    MANY_SECONDS,
    NOON,
    about,
    alltime,
    contact,
    expect_summaries,
    history,
    record_each,
    walk,
    walk_in_turns,
)


class InteractionReads(InteractionBatchContract):
    """The part of `InteractionContract` that is about `get_summaries`."""

    capabilities: InteractionCapabilities

    @pytest.fixture
    def store(self, backend: Any) -> Any:
        return backend

    def record_many(self, store: Any, events: Sequence[Interaction], callers: Callers) -> None:
        """Record interactions as fast as the store allows: in one batch, or else by several callers."""
        if self.capabilities.bulk:
            store.record_events(events)
        else:
            callers.each([partial(record_each, store, events[start::8]) for start in range(8)], within=MANY_SECONDS)

    @clause(
        "STORE-02",
        "A walk over all pages returns every summary, also where one page cannot hold them, and each counts every contact.",
        because="a frequency cap that sees the first page only lets the offer through for ever",
        learnt_from=("I9", "I12", "I13", "I14"),
        sees=(("pages", 2), ("summaries", MAX_SUMMARIES + 1), ("contacts of one customer", 600)),
        seconds=240.0,
    )
    def test_all_pages_together_are_complete(self, store: Any, callers: Callers, evidence: Evidence) -> None:
        events = [contact(offer=f"offer-{n:03}") for n in range(MAX_SUMMARIES // 4 + 10)]
        for event in events:
            store.record_event(event)
        rows = walk(store, about(), after_page=lambda _: evidence.saw("pages"))
        evidence.saw("summaries", len(rows))
        expect_summaries(rows, events, about(), "all pages together")
        # One who was contacted very often: a store that reads contacts in pages of its own must read all of them.
        often = about(customer="often")
        number = 4_003 if self.capabilities.bulk else 603
        many = [
            contact(customer=often.customer, value=Decimal(n % 2), timestamp=NOON - timedelta(seconds=n % 97))
            for n in range(number)
        ]
        self.record_many(store, many, callers)
        expect_summaries(walk(store, often), many, often, f"after {number} contacts of one customer")
        evidence.saw("contacts of one customer", number)

    @clause(
        "STORE-03",
        "At the border of two pages no summary is lost and none comes twice, whatever the sizes of the pages, "
        "and whichever instance reads them.",
        because="a summary that is lost between two pages is lost for the decision that needs it",
        learnt_from=("I9", "I10", "I28", "I29"),
        sees=(("borders", 30), ("page sizes", 5), ("walks in turns", 2)),
    )
    def test_page_borders_have_no_gap_and_no_overlap(
        self, store: Any, another: Callable[[], Any], evidence: Evidence
    ) -> None:
        events = [
            contact(offer=offer, creative=creative, channel=channel, timestamp=NOON - timedelta(days=days))
            for offer in ("a", "a:b")
            for creative, channel in (("", ""), ("", "web"), ("x", ""))
            for days in (0, 40)
        ]
        for event in events:
            store.record_event(event)
        for limit in (1, 2, 3, 7, 42, 43):
            query = about(limit=limit)
            rows = walk(store, query, after_page=lambda _: evidence.saw("borders"))
            evidence.saw("page sizes")
            expect_summaries(rows, events, query, f"pages of {limit}")
        # The next page may be asked with another limit, and of another process where the capabilities promise that
        # instances share their data.
        other = another() if self.capabilities.durable else store
        for stores, limits in (([store], [1, 5, 2, 9]), ([store, other], [4])):
            expect_summaries(walk_in_turns(stores, about(), limits), events, about(), f"pages of {limits} in turns")
            evidence.saw("walks in turns")

    @clause(
        "STORE-11",
        "Summaries that exist throughout a walk are returned exactly once, also while others appear.",
        because="customers do not stop while a job reads their history; pages counted by offset shift under it",
        learnt_from=("I9", "I28"),
        sees=(("pages", 5), ("summaries that appeared meanwhile", 5)),
    )
    def test_a_walk_is_stable_while_others_write(self, store: Any, evidence: Evidence) -> None:
        query = about(period_type=PeriodType.ALLTIME, limit=2)
        for n in range(12):
            store.record_event(contact(offer=f"m-{n:02}"))
        newcomers = iter(range(20))  # they must end: pages by offset would never catch up

        def add_some(_rows: object) -> None:
            n = next(newcomers, None)
            if n is None:
                return
            store.record_event(contact(offer=f"a-{n:02}"))  # before what was read
            store.record_event(contact(offer=f"m-05-{n:02}"))  # in the middle
            evidence.saw("pages")
            evidence.saw("summaries that appeared meanwhile", 2)

        seen = [row.offer for row in walk(store, query, after_page=add_some)]
        kept = [offer for offer in seen if offer.startswith("m-") and len(offer) == 4]
        expect(kept, "the summaries that existed before the walk").equals([f"m-{n:02}" for n in range(12)])
        expect(sorted({offer for offer in seen if seen.count(offer) > 1}), "summaries that came twice").equals([])

    @clause(
        "STORE-12",
        "Periods are those of the instant in UTC: days, months, and ISO weeks with their own year.",
        because="a daily cap that turns over at local midnight, or a week that belongs to two years, counts twice or never",
        learnt_from=("I20", "I22"),
        sees=(("instants", 8), ("instants on another day in UTC", 3)),
    )
    def test_periods_are_in_utc(self, store: Any, evidence: Evidence) -> None:
        kathmandu, kiritimati, pago = (timezone(timedelta(minutes=m)) for m in (345, 840, -660))
        instants = [
            datetime(2024, 12, 30, 0, 0, 0, tzinfo=UTC),  # Monday of week 1 of 2025
            datetime(2027, 1, 1, 9, 0, 0, tzinfo=UTC),  # Friday of week 53 of 2026
            datetime(2023, 1, 1, 9, 0, 0, tzinfo=UTC),  # Sunday of week 52 of 2022
            datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC),
            datetime(2026, 3, 1, 5, 44, 59, tzinfo=kathmandu),  # still February
            datetime(2026, 1, 1, 13, 59, 59, tzinfo=kiritimati),  # still last year
            datetime(2025, 12, 31, 13, 0, 0, tzinfo=pago),  # already next year
            datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC),
        ]
        for n, instant in enumerate(instants):
            event = contact(customer=f"p-{n}", timestamp=instant)
            store.record_event(event)
            query = about(customer=f"p-{n}")
            expect_summaries(walk(store, query), [event], query, f"the periods of {instant.isoformat()}")
            evidence.saw("instants")
            evidence.saw("instants on another day in UTC", int(instant.astimezone(UTC).day != instant.day))

    @clause(
        "STORE-13",
        "Summaries are ordered by period type, then the latest period first, then offer, creative and channel by code point.",
        because="callers take the first rows; an order that depends on a server's locale differs between two servers",
        sees=(("rows in order", 40), ("text borders", 5)),
    )
    def test_rows_are_in_order(self, store: Any, rng: random.Random, evidence: Evidence) -> None:
        # Locales, lower-casing and UTF-16 each sort some of these in another way.
        texts = ["B", "Z", "a", "a b", "a-b", "aa", "b", "\u00e9", "\uff61", "\U0001f600"]
        events = [contact(offer=text) for text in texts]
        events += [contact(offer="a", creative=text, channel="z") for text in texts[:4]]
        events += [contact(offer="a", creative="", channel=text) for text in texts[:4]]
        events += [contact(offer="a", timestamp=NOON - timedelta(days=days)) for days in (1, 8, 45, 400)]
        rng.shuffle(events)
        for event in events:
            store.record_event(event)
        rows = walk(store, about())
        expect_summaries(rows, events, about(), "the rows")
        evidence.saw("rows in order", len(rows))
        evidence.saw("text borders", len({row.offer for row in rows}) - 1)

    @clause(
        "STORE-14",
        "Filters are AND-ed, and an empty text is a filter like any other.",
        because="a filter that is ignored counts contacts on other channels into this channel's policy",
        learnt_from=("C23",),
        sees=(("filters", 10), ("filters that found something", 8), ("filters that found nothing", 1)),
    )
    def test_filters_are_anded(self, store: Any, evidence: Evidence) -> None:
        events = [
            contact(offer=offer, creative=creative, channel=channel)
            for offer in ("gold", "Gold")
            for creative in ("", "banner", "Banner")
            for channel in ("", "web", "Web")
        ]
        for event in events:
            store.record_event(event)
        daily = PeriodType.DAILY
        for query in (
            about(offer="gold"),
            about(creative=""),
            about(channel=""),
            about(creative="", channel=""),
            about(offer="gold", channel="web"),
            about(offer="Gold", creative="banner", channel=""),
            about(period_type=PeriodType.WEEKLY),
            about(period_type=daily, offer="gold"),
            about(period_type=daily, offer="gold", creative="", channel="web"),
            about(offer="gol"),
            about(offer="gold", channel="Web"),
            about(offer="gold", channel="WEB"),
            about(channel="web", limit=3),
        ):
            rows = walk(store, query)
            expect_summaries(rows, events, query, f"the rows of {_filters(query)}")
            evidence.saw("filters")
            evidence.saw("filters that found something" if rows else "filters that found nothing")

    @clause(
        "STORE-15",
        f"A limit above {MAX_SUMMARIES} is lowered to it; below 1 it is rejected, and so is a foreign cursor.",
        because="an endless page takes the store down for all; a bad cursor that starts again from the top loops for ever",
        sees=(("capped pages", 2), ("bad limits", 3), ("bad cursors", 5)),
    )
    def test_limits_and_cursors_are_checked(self, store: Any, evidence: Evidence) -> None:
        for n in range(MAX_SUMMARIES + 3):
            store.record_event(contact(offer=f"offer-{n:03}"))
        for limit in (MAX_SUMMARIES + 1, 10**9):
            page = store.get_summaries(about(limit=limit))
            expect(len(page.rows), f"rows of a page with the limit {limit}").at_most(MAX_SUMMARIES)
            expect(page.next_cursor is None, "the capped page claims to be the last").is_false()
            evidence.saw("capped pages")
        for limit in (0, -1, -(10**9)):
            with expect_error(RejectedError, f"a limit of {limit}"):
                store.get_summaries(about(limit=limit))
            evidence.saw("bad limits")
        good = store.get_summaries(about(limit=2)).next_cursor
        expect(good, "the cursor of a page that is not the last").has_type(str)
        for cursor in (
            "",
            "nonsense",
            "0",
            "'; DROP TABLE summaries; --",
            "A" * 400,
            good + "A",
            good[:-4],
            "\u00e9\0",
        ):
            with expect_error(RejectedError, f"the cursor {cursor[:20]!r}, which no page gave"):
                store.get_summaries(about(limit=2, cursor=cursor))
            evidence.saw("bad cursors")

    @clause(
        "STORE-16",
        "The last contact is the one with the latest time, then the greatest event id, in whatever order they arrive.",
        because="events arrive late and out of order; the last one to arrive is not the last one that happened",
        sees=(("orders of arrival", 4), ("ties", 2)),
    )
    def test_the_last_contact_is_by_time(self, store: Any, evidence: Evidence) -> None:
        early = contact(event_id="z", timestamp=NOON - timedelta(hours=1), outcome="early")
        late = contact(event_id="a", timestamp=NOON, outcome="late")
        tied = contact(event_id="b", timestamp=NOON.astimezone(timezone(timedelta(hours=5))), outcome="tied")
        for n, arrival in enumerate(([early, late, tied], [tied, late, early], [late, tied], [late, early])):
            customer = f"l-{n}"
            events = [
                contact(
                    event_id=f"{event.event_id}-{n}",
                    customer=customer,
                    timestamp=event.timestamp,
                    outcome=event.outcome,
                )
                for event in arrival
            ]
            for event in events:
                store.record_event(event)
            query = about(customer=customer)
            expect_summaries(walk(store, query), events, query, "after " + ", ".join(e.outcome for e in arrival))
            evidence.saw("orders of arrival")
            evidence.saw("ties", int(tied in arrival and late in arrival))

    @clause(
        "STORE-17",
        "Each type of interaction is counted in its columns, and in no other.",
        because="a complaint that counts as a click turns a policy on its head",
        sees=("types", len(InteractionType)),
    )
    def test_types_are_counted(self, store: Any, evidence: Evidence) -> None:
        for place, kind in enumerate(InteractionType):
            for times in (1, 2):
                events = [contact(customer=f"t-{place}-{times}", interaction_type=kind) for _ in range(times)]
                for event in events:
                    store.record_event(event)
                query = about(customer=f"t-{place}-{times}")
                expect_summaries(walk(store, query), events, query, f"the counts of {times} x {kind}")
            evidence.saw("types")

    @clause(
        "STORE-18",
        "After any history, the summaries are those of the definition.",
        because="defects hide in combinations that nobody thought of",
        sees=(("interactions", 150), ("customers", 3), ("repeated ids", 5)),
    )
    def test_any_history_gives_the_defined_summaries(self, store: Any, rng: random.Random, evidence: Evidence) -> None:
        events = history(rng, 160, self.capabilities)
        for event in events:
            store.record_event(event)
        evidence.saw("interactions", len(events))
        evidence.saw("repeated ids", len(events) - len({(event.tenant, event.event_id) for event in events}))
        for tenant in ("bank", "shop"):
            for customer in ("c-1", "c-2"):
                query = about(tenant=tenant, customer=customer)
                expect_summaries(walk(store, query), events, query, f"the summaries of {tenant}, {customer}")
                evidence.saw("customers")
        expect(alltime(store, tenant="bank", customer="c-3"), "a customer without contacts").equals(None)


def _filters(query: Any) -> str:
    names = ("period_type", "offer", "creative", "channel")
    return ", ".join(f"{name}={getattr(query, name)!s}" for name in names if getattr(query, name) is not None)
