"""Mutants of the interaction store, part three: order, filters, the last contact, counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from stackproof.adapters.interactions.memory import MemoryInteractionStore
from stackproof.interfaces import (
    Interaction,
    InteractionType,
    SummariesQuery,
    Summary,
    summarise,
    summary_order,
)

from .interactions_bases import Reshown, Rewritten
from .registry import mutant

Store = MemoryInteractionStore


# STORE-13, 14, 16, 17, 18: order, filters, last contact, counts


@mutant(of=Store, killed_by="STORE-13")
class InOrderOfArrival(Reshown):
    """Rows come in the order in which their offers were first seen."""

    def show(self, rows: list[Summary], query: SummariesQuery) -> list[Summary]:
        events = self._space.events.get((query.tenant, query.customer), [])
        arrival = {offer: n for n, offer in reversed(list(enumerate(event.offer for event in events)))}
        return sorted(rows, key=lambda row: (row.period_type.value, arrival[row.offer]))


@mutant(of=Store, killed_by="STORE-13")
class OldestPeriodFirst(Reshown):
    """Periods come in ascending order."""

    def show(self, rows: list[Summary], query: SummariesQuery) -> list[Summary]:
        return sorted(
            rows, key=lambda row: (row.period_type.value, row.period_key, row.offer, row.creative, row.channel)
        )


@mutant(of=Store, killed_by="STORE-13")
class OrderWithoutCase(Reshown):
    """Offers are ordered as a locale does, without case."""

    def show(self, rows: list[Summary], query: SummariesQuery) -> list[Summary]:
        return sorted(rows, key=lambda row: (*summary_order(row)[:2], row.offer.lower(), row.creative, row.channel))


@mutant(of=Store, killed_by="STORE-13")
class OrderOfUtf16(Reshown):
    """Offers are ordered by UTF-16 units, as in Java and JavaScript."""

    def show(self, rows: list[Summary], query: SummariesQuery) -> list[Summary]:
        return sorted(
            rows,
            key=lambda row: (
                *summary_order(row)[:2],
                row.offer.encode("utf-16-be", "surrogatepass"),
                row.creative,
                row.channel,
            ),
        )


class Refiltered(MemoryInteractionStore):
    """Reads with other filters than the ones that were given."""

    def filters(self, query: SummariesQuery) -> SummariesQuery:
        raise NotImplementedError

    def _summaries(self, query: SummariesQuery) -> list[Summary]:
        return super()._summaries(self.filters(query))


@mutant(of=Store, killed_by="STORE-14", imitates="C23")
class EmptyFiltersAreNone(Refiltered):
    """A filter on the empty text is taken for no filter."""

    def filters(self, query: SummariesQuery) -> SummariesQuery:
        return replace(query, creative=query.creative or None, channel=query.channel or None)


@mutant(of=Store, killed_by="STORE-14")
class IgnoresTheChannel(Refiltered):
    """The filter on the channel has no effect where the offer is given, too."""

    def filters(self, query: SummariesQuery) -> SummariesQuery:
        return query if query.offer is None else replace(query, channel=None)


@mutant(of=Store, killed_by="STORE-14")
class FiltersAreOred(MemoryInteractionStore):
    """A row that matches one of the filters is returned."""

    def _summaries(self, query: SummariesQuery) -> list[Summary]:
        names = [name for name in ("period_type", "offer", "creative", "channel") if getattr(query, name) is not None]
        if not names:
            return super()._summaries(query)
        return [
            row
            for row in summarise(self._space.events.get((query.tenant, query.customer), ()))
            if any(getattr(row, name) == getattr(query, name) for name in names)
        ]


@mutant(of=Store, killed_by="STORE-14", imitates="C39")
class FiltersWithoutCase(MemoryInteractionStore):
    """Offers are compared without case."""

    def _summaries(self, query: SummariesQuery) -> list[Summary]:
        found = super()._summaries(replace(query, offer=None))
        return [row for row in found if query.offer is None or row.offer.lower() == query.offer.lower()]


class MergesSpellings(MemoryInteractionStore):
    """Contacts whose creative or channel differ in case are counted under the first spelling."""

    field = ""

    def _summaries(self, query: SummariesQuery) -> list[Summary]:
        first: dict[str, str] = {}
        events = []
        for event in list(self._space.events.get((query.tenant, query.customer), ())):
            text = getattr(event, self.field)
            changes: dict[str, Any] = {self.field: first.setdefault(text.lower(), text)}
            events.append(replace(event, **changes))
        names = [name for name in ("period_type", "offer", "creative", "channel") if getattr(query, name) is not None]
        return [row for row in summarise(events) if all(getattr(row, n) == getattr(query, n) for n in names)]


@mutant(of=Store, killed_by="STORE-14", imitates="C39")
class MergesCreatives(MergesSpellings):
    """Creatives are grouped without case."""

    field = "creative"


@mutant(of=Store, killed_by="STORE-14", imitates="C39")
class MergesChannels(MergesSpellings):
    """Channels are grouped without case."""

    field = "channel"


class LastContactByArrival(Reshown):
    """Takes the last contact from the event that `last` chooses; events of one customer, offer and period only."""

    def last(self, events: Sequence[Interaction]) -> Interaction:
        raise NotImplementedError

    def show(self, rows: list[Summary], query: SummariesQuery) -> list[Summary]:
        events = self._space.events.get((query.tenant, query.customer), [])
        if not events or len({(event.offer, event.creative, event.channel) for event in events}) > 1:
            return rows
        last = self.last(events)
        return [replace(row, last_contact_at=last.timestamp, last_outcome=last.outcome) for row in rows]


@mutant(of=Store, killed_by="STORE-16")
class LastArrivalWins(LastContactByArrival):
    """The last contact is the one that arrived last."""

    def last(self, events: Sequence[Interaction]) -> Interaction:
        return events[-1]


@mutant(of=Store, killed_by="STORE-16")
class TiesGoToTheFirst(LastContactByArrival):
    """Of two contacts at the same instant, the one that arrived first is the last."""

    def last(self, events: Sequence[Interaction]) -> Interaction:
        return max(events, key=lambda event: event.timestamp)


@mutant(of=Store, killed_by="STORE-16")
class TiesGoToTheLast(LastContactByArrival):
    """Of two contacts at the same instant, the one that arrived last is the last."""

    def last(self, events: Sequence[Interaction]) -> Interaction:
        return max(reversed(events), key=lambda event: event.timestamp)


@mutant(of=Store, killed_by="STORE-17")
class ConvertsAreNotPositive(Reshown):
    """A conversion is counted as such only, not as a positive contact."""

    def show(self, rows: list[Summary], query: SummariesQuery) -> list[Summary]:
        return [replace(row, positive=row.positive - row.converts) for row in rows]


@mutant(of=Store, killed_by="STORE-17")
class DismissalsAreNegative(Rewritten):
    """A dismissal counts as a negative contact."""

    def spoil(self, event: Interaction) -> Interaction:
        dismissed = event.interaction_type is InteractionType.DISMISS
        return replace(event, interaction_type=InteractionType.COMPLAINT) if dismissed else event


@mutant(of=Store, killed_by="STORE-18")
class OneSummaryPerOffer(Reshown):
    """Where an offer was shown in several channels, the contacts of the last one are missing."""

    def show(self, rows: list[Summary], query: SummariesQuery) -> list[Summary]:
        channels = {row.channel for row in rows}
        return [row for row in rows if len(channels) < 3 or row.channel != max(channels)]


@mutant(of=Store, killed_by="STORE-18")
class DirectionOfTheFirst(Reshown):
    """The direction is the one of the first contact, not of the last."""

    def show(self, rows: list[Summary], query: SummariesQuery) -> list[Summary]:
        first = {e.offer: e.direction for e in reversed(self._space.events.get((query.tenant, query.customer), []))}
        return [replace(row, direction=first[row.offer]) for row in rows]
