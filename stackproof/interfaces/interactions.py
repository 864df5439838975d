"""The interaction store: what happened between a customer and an offer, and its summaries per period."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

from .capabilities import InteractionCapabilities
from .lifecycle import Backend
from .records import Interaction, SummariesPage, SummariesQuery, Summary


class InteractionStore(Backend):
    """Records interactions and keeps their summaries.

    **Durable**: when `record_event` returns, the interaction is stored as safely as the server's settings allow, and every
    instance's next `get_summaries` counts it.

    **Idempotent**: an event id is unique within its tenant. Recording the same id again changes nothing, also
    concurrently, also when the first attempt ended in `IndeterminateError`, whatever the other fields say.

    **Summaries**: one per (tenant, customer, offer, creative, channel, period type, period key); `records.summarise`
    is their definition. Concurrent recording loses none. Sums of values are exact decimals.

    **Errors**: any error but `IndeterminateError` means that nothing of the interaction was applied. Text that the backend cannot
    keep exactly (NUL or lone surrogates on many) raises `RejectedError`; it is never altered, and never harms its neighbours.

    **Isolation**: tenants are disjoint, whatever characters their names hold; so are namespaces.
    """

    capabilities: ClassVar[InteractionCapabilities]

    @abstractmethod
    def record_event(self, event: Interaction) -> None:
        """Store one interaction and count it in its summaries, atomically."""

    @abstractmethod
    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        """One page of summaries that match all given filters, in the order of `records.summary_order`.

        ``query.limit`` above `records.MAX_SUMMARIES` is lowered to it; below 1 it raises `RejectedError`, as does a cursor that
        this store did not make. A cursor is good with any limit, and for every instance that shares the data. A page with
        a ``next_cursor`` of None is the last one. A walk over all pages returns every summary that existed throughout it
        exactly once, whatever pages the server itself reads in.
        """

    def all_summaries(self, query: SummariesQuery) -> Iterator[Summary]:
        """Every summary that matches, over all pages."""
        while True:
            page = self.get_summaries(query)
            yield from page.rows
            if page.next_cursor is None:
                return
            query = replace(query, cursor=page.next_cursor)


class BulkInteractionStore(ABC):
    """Optional (``capabilities.bulk``): many interactions in one call."""

    @abstractmethod
    def record_events(self, events: Sequence[Interaction]) -> None:
        """Store a batch of any size, all or nothing. Ids that are already stored, or repeated in the batch, count once.

        When it returns, the batch is as durable, and as visible to every instance, as after `record_event`.

        A batch with an interaction that cannot be stored raises `RejectedError` whose ``failed`` names it by event
        id, and stores nothing. Where a server takes a part only, the rest is sent again; if it still is refused,
        `IndeterminateError` says that a part may be stored, and repeating the batch with the same ids completes it.
        """
