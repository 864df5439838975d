"""The reference interaction store: a list of interactions in this process; the executable specification."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar, Self

from stackproof.adapters.settings import Settings
from stackproof.adapters.spaces import Spaces
from stackproof.interfaces import (
    BulkInteractionStore,
    ClosedError,
    ConfigurationError,
    Interaction,
    InteractionCapabilities,
    InteractionStore,
    PeriodType,
    RejectedError,
    SummariesPage,
    SummariesQuery,
    Summary,
    period_keys,
    summarise,
    summary_order,
)
from stackproof.interfaces.records import exact_sum

from .rules import Position, check_batch, check_event, cursor_after, page_size, position_of_cursor, significant_digits

SumKey = tuple[str, str, str, str, str, PeriodType, str]


@dataclass(slots=True, weakref_slot=True)
class Space:
    """What the instances of one namespace share: all interactions, by customer, and the running sums of values."""

    events: dict[tuple[str, str], list[Interaction]] = field(default_factory=dict)
    ids: set[tuple[str, str]] = field(default_factory=set)
    sums: dict[SumKey, Decimal] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)


_spaces = Spaces(Space)


class MemoryInteractionStore(InteractionStore, BulkInteractionStore):
    """Keeps every interaction and computes the summaries from them when asked, with `records.summarise`.

    It is exact and simple, and as slow as that: a query costs time in proportion to the customer's interactions. It is
    durable as far as a process is: instances of the same namespace share their data, as long as one of them exists.
    """

    capabilities: ClassVar[InteractionCapabilities] = InteractionCapabilities(bulk=True)

    def __init__(self, *, namespace: str = "") -> None:
        self._namespace = namespace
        self._space = _spaces.of(namespace)
        self._closed = False

    @classmethod
    def from_settings(cls, settings: Settings, namespace: str = "") -> Self:  # noqa: ARG003
        """The store needs no settings."""
        return cls(namespace=namespace)

    def record_event(self, event: Interaction) -> None:
        """Store one interaction, unless its id is known."""
        self._require_open()
        check_event(event, self.capabilities, nul_allowed=True)
        with self._space.lock:
            self._apply([event])

    def record_events(self, events: Sequence[Interaction]) -> None:
        """Store those of the batch whose ids are new, or nothing."""
        self._require_open()
        check_batch(events, self.capabilities, nul_allowed=True)
        with self._space.lock:
            self._apply(events)

    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        """One page, cut out of all matching summaries."""
        self._require_open()
        size = page_size(query)
        after = position_of_cursor(query)
        rows = [row for row in self._summaries(query) if after is None or _comes_after(row, after)]
        page = tuple(rows[:size])
        return SummariesPage(page, cursor_after(query, page[-1]) if len(rows) > size else None)

    def ping(self) -> bool:
        """True until `disconnect`."""
        return not self._closed

    def disconnect(self) -> None:
        """Nothing is open; further operations are refused."""
        self._closed = True

    def drop_namespace(self) -> None:
        """Remove everything that the instances of this namespace stored."""
        if not self._namespace:
            raise ConfigurationError("an empty namespace is private to its instance and cannot be dropped")
        with self._space.lock:
            self._space.events.clear()
            self._space.ids.clear()
            self._space.sums.clear()

    def _apply(self, events: Sequence[Interaction]) -> None:
        new: dict[tuple[str, str], Interaction] = {}
        for event in events:
            if (event.tenant, event.event_id) not in self._space.ids:
                new.setdefault((event.tenant, event.event_id), event)
        self._space.sums.update(self._sums_with(list(new.values())))
        self._space.ids.update(new)
        for event in new.values():
            self._space.events.setdefault((event.tenant, event.customer), []).append(event)

    def _sums_with(self, events: Sequence[Interaction]) -> dict[SumKey, Decimal]:
        """The sums that change with these events; `RejectedError` when one would need too many digits."""
        sums: dict[SumKey, Decimal] = {}
        for event in events:
            for key in _sum_keys(event):
                sums[key] = exact_sum([sums.get(key, self._space.sums.get(key, Decimal(0))), event.value])
        digits = self.capabilities.value_digits
        too_long = {key for key, total in sums.items() if significant_digits(total) > digits}
        failed = {
            event.event_id: f"a sum of values would need more than {digits} digits"
            for event in events
            if not too_long.isdisjoint(_sum_keys(event))
        }
        if failed:
            raise RejectedError(f"a sum of values would need more than {digits} digits; nothing was stored", failed)
        return sums

    def _summaries(self, query: SummariesQuery) -> list[Summary]:
        with self._space.lock:
            events = list(self._space.events.get((query.tenant, query.customer), ()))
        return [row for row in summarise(events) if _matches(row, query)]

    def _require_open(self) -> None:
        if self._closed:
            raise ClosedError("the interaction store was disconnected")


def _sum_keys(event: Interaction) -> list[SumKey]:
    return [
        (event.tenant, event.customer, event.offer, event.creative, event.channel, period_type, period_key)
        for period_type, period_key in period_keys(event.timestamp).items()
    ]


def _matches(row: Summary, query: SummariesQuery) -> bool:
    return (
        (query.period_type is None or row.period_type == query.period_type)
        and (query.offer is None or row.offer == query.offer)
        and (query.creative is None or row.creative == query.creative)
        and (query.channel is None or row.channel == query.channel)
    )


def _comes_after(row: Summary, position: Position) -> bool:
    """Whether a row belongs to the pages after a position, in the order of `summary_order`."""
    last = Summary(
        tenant=row.tenant,
        customer=row.customer,
        offer=position.offer,
        creative=position.creative,
        channel=position.channel,
        period_type=position.period_type,
        period_key=position.period_key,
    )
    return summary_order(row) > summary_order(last)
