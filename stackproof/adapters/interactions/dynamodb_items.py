"""How interactions and summaries are items of a DynamoDB table: keys, attributes, and how a summary takes in a contact.

Keys are texts that sort as `summary_order` does, because DynamoDB compares the bytes of UTF-8: fields are escaped so that they
can end with a character which sorts before every other, and periods are written so that the latest comes first.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import Any, TypeAlias

from stackproof.adapters.interactions.rules import (
    GREATEST_EXPONENT,
    LEAST_EXPONENT,
    Position,
    significant_digits,
)
from stackproof.interfaces import (
    Direction,
    Interaction,
    InteractionType,
    PeriodType,
    RejectedError,
    SummariesQuery,
    Summary,
    period_keys,
)
from stackproof.interfaces.records import NEGATIVE, NEUTRAL, POSITIVE, exact_sum

Item: TypeAlias = "dict[str, dict[str, str]]"
"""An item, or the key of one, as the service writes it: ``{"pk": {"S": "..."}, ...}``."""

PARTITION, SORT = "pk", "sk"
"""The attributes of the table's key."""
VALUE_DIGITS = 38
"""Of a number of DynamoDB."""
_DIGITS = Context(prec=VALUE_DIGITS)

_END, _ESCAPE = "\x01", "\x02"
_BEFORE_ALL, _AFTER_ALL = "\x01", "\x7f"
"""Around every sort key: each begins with the name of a period type."""
_FILTERS = ("offer", "creative", "channel")
"""In the order in which sort keys hold them."""
_COUNTERS = ("impressions", "positive", "negative", "neutral", "converts")


def _field(text: str) -> str:
    """A field and its end. What comes before in the order of texts, comes before in the order of these."""
    return text.replace(_ESCAPE, "\x02\x02").replace(_END, "\x02\x01") + _END


def _latest_first(period_key: str) -> str:
    """A period so that a later one of the same type sorts before: periods of a type have the same length."""
    return "".join(chr(0x80 - ord(c)) for c in period_key) + _END


def partition_of(kind: str, *names: str) -> str:
    """The partition of a customer's summaries, or of one event."""
    return _field(kind) + "".join(map(_field, names))


def sort_key(at: Position) -> str:
    """Where a summary is among those of its customer."""
    names = _field(at.offer) + _field(at.creative) + _field(at.channel)
    return f"{_field(at.period_type.value)}{_latest_first(at.period_key)}{names}"


@dataclass(frozen=True, slots=True)
class Range:
    """Where the rows of a query are: between two texts that no sort key is equal to, and which filters that leaves to do."""

    first: str
    last: str
    filters: dict[str, str]


def range_of(query: SummariesQuery, after: Position | None) -> Range:
    """The range of a query's filters, as far as they are a prefix of sort keys, behind a position.

    A prefix ends with a field's end, and nothing that goes on with it sorts after the next character in that place.
    """
    filters = {name: text for name in _FILTERS if (text := getattr(query, name)) is not None}
    prefix = ""
    if query.period_type is not None:
        prefix = _field(query.period_type.value)
        if query.period_type is PeriodType.ALLTIME:
            prefix += _latest_first("all")
            for name in itertools.takewhile(filters.__contains__, _FILTERS):
                prefix += _field(filters.pop(name))
    first = prefix or _BEFORE_ALL if after is None else sort_key(after) + _END
    return Range(first, prefix[:-1] + _ESCAPE if prefix else _AFTER_ALL, filters)


def event_key(event: Interaction) -> Item:
    """The key of an interaction: whoever records it again meets it."""
    return _key(partition_of("event", event.tenant, event.event_id), "event")


def _key(partition: str, sort: str) -> Item:
    return {PARTITION: {"S": partition}, SORT: {"S": sort}}


def event_item(event: Interaction) -> Item:
    """An interaction as it is kept."""
    texts = {
        "event_id": event.event_id,
        "tenant": event.tenant,
        "customer": event.customer,
        "offer": event.offer,
        "creative": event.creative,
        "channel": event.channel,
        "happened_at": _time_text(event.timestamp),
        "interaction_type": event.interaction_type.value,
        "direction": event.direction.value,
        "outcome": event.outcome,
        "campaign": event.campaign,
        "recommendation_id": event.recommendation_id,
        "placement": event.placement,
    }
    return {**event_key(event), **_texts(texts), "value": {"N": _number_text(event.value)}}


@dataclass(frozen=True, slots=True)
class Kept:
    """A summary as it is kept: with the id of its last contact, and a version that every change raises."""

    summary: Summary
    last_event_id: str = ""
    version: int = 0
    """0 is one that is not kept yet."""

    @property
    def key(self) -> Item:
        row = self.summary
        return _key(partition_of("customer", row.tenant, row.customer), sort_key(Position.of(row)))

    def item(self) -> Item:
        """As it is kept in the table."""
        row = self.summary
        texts = {
            "offer": row.offer,
            "creative": row.creative,
            "channel": row.channel,
            "period_type": row.period_type.value,
            "period_key": row.period_key,
            "last_contact_at": _time_text(row.last_contact_at),
            "last_event_id": self.last_event_id,
            "last_outcome": row.last_outcome,
            "direction": row.direction.value,
        }
        numbers = {name: str(getattr(row, name)) for name in _COUNTERS}
        numbers |= {"total_value": _number_text(row.total_value), "version": str(self.version)}
        return {**self.key, **_texts(texts), **{name: {"N": text} for name, text in numbers.items()}}

    @classmethod
    def read(cls, tenant: str, customer: str, item: Mapping[str, Any]) -> Kept:
        """From an item of the table."""
        text = {name: value["S"] for name, value in item.items() if "S" in value}
        number = {name: value["N"] for name, value in item.items() if "N" in value}
        summary = Summary(
            tenant=tenant,
            customer=customer,
            offer=text["offer"],
            creative=text["creative"],
            channel=text["channel"],
            period_type=PeriodType(text["period_type"]),
            period_key=text["period_key"],
            **{name: int(number[name]) for name in _COUNTERS},
            total_value=Decimal(number["total_value"]),
            last_contact_at=datetime.fromisoformat(text["last_contact_at"]),
            last_outcome=text["last_outcome"],
            direction=Direction(text["direction"]),
        )
        return cls(summary, text["last_event_id"], int(number["version"]))

    def with_contact(self, event: Interaction) -> Kept:
        """The summary that counts this interaction too. `RejectedError` where its sum would not be exact."""
        row, kind = self.summary, event.interaction_type
        newer = (event.timestamp, event.event_id) > (row.last_contact_at, self.last_event_id)
        changed = Summary(
            tenant=row.tenant,
            customer=row.customer,
            offer=row.offer,
            creative=row.creative,
            channel=row.channel,
            period_type=row.period_type,
            period_key=row.period_key,
            impressions=row.impressions + (kind is InteractionType.IMPRESSION),
            positive=row.positive + (kind in POSITIVE),
            negative=row.negative + (kind in NEGATIVE),
            neutral=row.neutral + (kind in NEUTRAL),
            converts=row.converts + (kind is InteractionType.CONVERT),
            total_value=_checked_sum(row.total_value, event.value),
            last_contact_at=event.timestamp.astimezone(UTC) if newer else row.last_contact_at,
            last_outcome=event.outcome if newer else row.last_outcome,
            direction=event.direction if newer else row.direction,
        )
        return Kept(changed, event.event_id if newer else self.last_event_id, self.version + 1)


def empty_summaries(event: Interaction) -> list[Kept]:
    """The four summaries that an interaction belongs to, as they are before anything is counted."""
    return [
        Kept(
            Summary(
                tenant=event.tenant,
                customer=event.customer,
                offer=event.offer,
                creative=event.creative,
                channel=event.channel,
                period_type=period_type,
                period_key=period_key,
            )
        )
        for period_type, period_key in period_keys(event.timestamp).items()
    ]


def _checked_sum(total: Decimal, value: Decimal) -> Decimal:
    found = exact_sum((total, value))
    if significant_digits(found) > VALUE_DIGITS:
        raise RejectedError(f"a sum of values would need more than {VALUE_DIGITS} digits; nothing was stored")
    if found and not LEAST_EXPONENT <= found.adjusted() <= GREATEST_EXPONENT:
        raise RejectedError("a sum of values would be too large or too small a number; nothing was stored")
    return found


def _texts(texts: Mapping[str, str]) -> Item:
    return {name: {"S": text} for name, text in texts.items()}


def _time_text(moment: datetime) -> str:
    """In UTC with microseconds, so that texts of the same length sort as the moments do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _number_text(value: Decimal) -> str:
    return str(value.normalize(_DIGITS)) if value else "0"
