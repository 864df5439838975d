"""The records that cross the interfaces, and the pure functions that define what a summary is.

All are frozen. Times are aware datetimes; amounts are `decimal.Decimal`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Context, Decimal, Inexact
from enum import StrEnum
from functools import reduce
from typing import Any, TypeAlias

from .errors import RejectedError

MAX_SUMMARIES = 200
"""Largest page of `InteractionStore.get_summaries`, in rows."""

MAX_HITS = 1000
"""Largest `SearchQuery.limit`."""

JsonValue: TypeAlias = "None | bool | int | float | str | list[JsonValue] | dict[str, JsonValue]"


class InteractionType(StrEnum):
    """What the customer did."""

    IMPRESSION = "impression"
    CLICK = "click"
    DISMISS = "dismiss"
    ACCEPT = "accept"
    CONVERT = "convert"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"


class Direction(StrEnum):
    """Who began the contact: the customer (inbound) or the platform (outbound)."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class PeriodType(StrEnum):
    """The periods of summaries, in the order in which summaries are returned (by name)."""

    ALLTIME = "alltime"
    DAILY = "daily"
    MONTHLY = "monthly"
    WEEKLY = "weekly"


_EXACT = Context(prec=2_000, traps=[Inexact])
"""Sums keep every digit: the usual context would round them to 28 of them without a word."""

POSITIVE = frozenset({InteractionType.CLICK, InteractionType.ACCEPT, InteractionType.CONVERT})
NEGATIVE = frozenset({InteractionType.COMPLAINT, InteractionType.UNSUBSCRIBE})
NEUTRAL = frozenset({InteractionType.DISMISS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """One contact between a customer and an offer.

    Raises `RejectedError` for a naive timestamp, a value that is no finite Decimal, or an empty id.
    """

    event_id: str
    tenant: str
    customer: str
    offer: str
    interaction_type: InteractionType
    timestamp: datetime
    creative: str = ""
    channel: str = ""
    outcome: str = ""
    campaign: str = ""
    recommendation_id: str = ""
    placement: str = ""
    direction: Direction = Direction.INBOUND
    value: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        if self.timestamp.tzinfo is None or self.timestamp.utcoffset() is None:
            raise RejectedError("an interaction needs an aware timestamp; this one has no time zone")
        if not isinstance(self.value, Decimal) or not self.value.is_finite():
            raise RejectedError(f"the value of an interaction is a finite Decimal, not {self.value!r}")
        for name in ("event_id", "tenant", "customer", "offer"):
            if not getattr(self, name):
                raise RejectedError(f"an interaction needs a {name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What one customer did with one offer, creative and channel in one period."""

    tenant: str
    customer: str
    offer: str
    creative: str
    channel: str
    period_type: PeriodType
    period_key: str
    impressions: int = 0
    positive: int = 0
    negative: int = 0
    neutral: int = 0
    converts: int = 0
    total_value: Decimal = Decimal(0)
    last_contact_at: datetime = field(default=datetime.min.replace(tzinfo=UTC))
    last_outcome: str = ""
    direction: Direction = Direction.INBOUND


@dataclass(frozen=True, slots=True, kw_only=True)
class SummariesQuery:
    """Which summaries: tenant and customer always, the other filters AND-ed where given."""

    tenant: str
    customer: str
    period_type: PeriodType | None = None
    offer: str | None = None
    creative: str | None = None
    channel: str | None = None
    limit: int = MAX_SUMMARIES
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class SummariesPage:
    """Some summaries and where to go on: ``next_cursor`` is opaque, and None on the last page."""

    rows: tuple[Summary, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The envelope on the bus: a type such as ``decision.made.v1``, when it happened, and its JSON payload.

    ``key`` is what `Order.PER_KEY` orders by (a customer id, say). ``event_id`` identifies the event for a subscriber
    that removes duplicates.
    """

    type: str
    payload: Mapping[str, JsonValue]
    timestamp: datetime = field(default_factory=lambda: datetime.now(UTC))
    key: str = ""
    event_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        if self.timestamp.tzinfo is None or self.timestamp.utcoffset() is None:
            raise RejectedError("an event needs an aware timestamp; this one has no time zone")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Something that can be found: an offer, a category, a flow. ``kind`` says which."""

    tenant: str
    id: str
    title: str
    text: str = ""
    kind: str = "offer"


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchQuery:
    """What to look for, in which tenant, in which kind (None: all), and how many hits at most (1 to `MAX_HITS`)."""

    tenant: str
    text: str
    kind: str | None = None
    limit: int = 20

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MAX_HITS:
            raise RejectedError(f"a search limit lies between 1 and {MAX_HITS}, not {self.limit}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A document that was found. ``score`` compares within one answer only."""

    id: str
    kind: str
    title: str
    score: float


def period_keys(timestamp: datetime) -> dict[PeriodType, str]:
    """The periods that an instant falls into, in UTC: ``2026-11-23``, ISO week ``2026-W48``, ``2026-11``, and ``all``."""
    utc = timestamp.astimezone(UTC)
    year, week, _ = utc.isocalendar()
    return {
        PeriodType.ALLTIME: "all",
        PeriodType.DAILY: f"{utc.year:04d}-{utc.month:02d}-{utc.day:02d}",
        PeriodType.MONTHLY: f"{utc.year:04d}-{utc.month:02d}",
        PeriodType.WEEKLY: f"{year:04d}-W{week:02d}",
    }


def summary_order(row: Summary) -> tuple[Any, ...]:
    """Sort key of summaries: period type ascending, period key descending, then offer, creative, channel ascending.

    Texts compare by code point.
    """
    descending = tuple(-ord(c) for c in row.period_key)
    return (row.period_type.value, descending, row.offer, row.creative, row.channel)


def exact_sum(values: Iterable[Decimal]) -> Decimal:
    """The sum without rounding. Raises `decimal.Inexact` where it would need more than 2,000 digits."""
    return reduce(_EXACT.add, values, Decimal(0))


def summarise(events: Iterable[Interaction]) -> list[Summary]:
    """The summaries of a list of interactions: the definition that every store is held to.

    Events of a tenant with the same id count once (the first). ``last_contact_at``, ``last_outcome`` and ``direction``
    are those of the event with the greatest (timestamp, event id).
    """
    groups: dict[tuple[str, str, str, str, str, PeriodType, str], list[Interaction]] = {}
    seen: set[tuple[str, str]] = set()
    for event in events:
        if (event.tenant, event.event_id) in seen:
            continue
        seen.add((event.tenant, event.event_id))
        for period_type, period_key in period_keys(event.timestamp).items():
            group = (
                event.tenant,
                event.customer,
                event.offer,
                event.creative,
                event.channel,
                period_type,
                period_key,
            )
            groups.setdefault(group, []).append(event)
    rows = [_summary(*group, events=members) for group, members in groups.items()]
    return sorted(rows, key=lambda row: (row.tenant, row.customer, summary_order(row)))


def _summary(
    tenant: str,
    customer: str,
    offer: str,
    creative: str,
    channel: str,
    period_type: PeriodType,
    period_key: str,
    *,
    events: list[Interaction],
) -> Summary:
    kinds = [event.interaction_type for event in events]
    last = max(events, key=lambda event: (event.timestamp, event.event_id))
    return Summary(
        tenant=tenant,
        customer=customer,
        offer=offer,
        creative=creative,
        channel=channel,
        period_type=period_type,
        period_key=period_key,
        impressions=kinds.count(InteractionType.IMPRESSION),
        positive=sum(kind in POSITIVE for kind in kinds),
        negative=sum(kind in NEGATIVE for kind in kinds),
        neutral=sum(kind in NEUTRAL for kind in kinds),
        converts=kinds.count(InteractionType.CONVERT),
        total_value=exact_sum(event.value for event in events),
        last_contact_at=last.timestamp.astimezone(UTC),
        last_outcome=last.outcome,
        direction=last.direction,
    )
