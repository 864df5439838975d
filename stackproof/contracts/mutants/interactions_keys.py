"""Mutants of the interaction store, part two: texts, identities, order, filters, concurrency, other instances."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Sequence
from dataclasses import replace

from stackproof.adapters.interactions.memory import MemoryInteractionStore, Space
from stackproof.interfaces import (
    ClosedError,
    Interaction,
    InteractionType,
    RejectedError,
    SummariesPage,
    SummariesQuery,
    Summary,
    UnavailableError,
    summarise,
    summary_order,
)

from .interactions_bases import Reshown, Rewritten
from .registry import mutant

Store = MemoryInteractionStore


# STORE-06, 23: texts


class Respelt(Rewritten):
    """Every text passes through a function."""

    def respell(self, text: str) -> str:
        raise NotImplementedError

    def spoil(self, event: Interaction) -> Interaction:
        return replace(
            event,
            offer=self.respell(event.offer) or "?",
            creative=self.respell(event.creative),
            channel=self.respell(event.channel),
            outcome=self.respell(event.outcome),
        )


@mutant(of=Store, killed_by="STORE-06", imitates="I16")
class StripsNul(Respelt):
    """NUL characters are taken out of texts."""

    def respell(self, text: str) -> str:
        return text.replace("\0", "")


@mutant(of=Store, killed_by="STORE-06")
class TrimsTexts(Respelt):
    """White space at the ends of texts is cut off."""

    def respell(self, text: str) -> str:
        return text.strip()


@mutant(of=Store, killed_by="STORE-06")
class NormalisesTexts(Respelt):
    """Texts are brought into Unicode's composed form."""

    def respell(self, text: str) -> str:
        return unicodedata.normalize("NFC", text)


@mutant(of=Store, killed_by="STORE-06")
class BasicPlaneOnly(Respelt):
    """Characters of four bytes become question marks."""

    def respell(self, text: str) -> str:
        return "".join(c if ord(c) < 0x10000 else "?" for c in text)


@mutant(of=Store, killed_by="STORE-06", imitates="I18")
class RejectsQuotes(MemoryInteractionStore):
    """A text with a quote or a backslash is taken for an attack."""

    def record_event(self, event: Interaction) -> None:
        if set("'\\") & set(event.offer):
            raise RejectedError("suspicious offer")
        super().record_event(event)


@mutant(of=Store, killed_by="STORE-23", imitates="C38")
class CutsLongTexts(Respelt):
    """Texts are cut at 200 characters."""

    def respell(self, text: str) -> str:
        return text[:200]


@mutant(of=Store, killed_by="STORE-23")
class RefusesLongKeys(MemoryInteractionStore):
    """Texts that are long together do not fit into the index."""

    def record_event(self, event: Interaction) -> None:
        if len("".join((event.tenant, event.customer, event.offer, event.creative, event.channel)).encode()) > 2000:
            raise RejectedError("index row size exceeds the maximum")
        super().record_event(event)


@mutant(of=Store, killed_by="STORE-10")
class TakesTextsOfAnyLength(MemoryInteractionStore):
    """The declared size of texts is not enforced: what is longer is cut to it."""

    def record_event(self, event: Interaction) -> None:
        super().record_event(replace(event, offer=event.offer[: self.capabilities.max_text_bytes]))


# STORE-07, 20, 21, 24: identity of events


class CountsKnownIds(MemoryInteractionStore):
    """Stores without looking for the id. The reference's own definition would hide it, so ids are made unique."""

    def store_again(self, event: Interaction) -> None:
        with self._space.lock:
            number = len(self._space.ids)
            self._apply([replace(event, event_id=f"{event.event_id}\0{number}")])


@mutant(of=Store, killed_by="STORE-07", imitates="I26")
class CountsEveryAttempt(CountsKnownIds):
    """An event that is recorded again is counted again."""

    def record_event(self, event: Interaction) -> None:
        super().record_event(event)
        if event.value == 7:
            self.store_again(event)


@mutant(of=Store, killed_by="STORE-07")
class LastAttemptWins(MemoryInteractionStore):
    """Recording an id again replaces what was stored under it."""

    def record_event(self, event: Interaction) -> None:
        with self._space.lock:
            if (event.tenant, event.event_id) in self._space.ids:
                for events in self._space.events.values():
                    events[:] = [e for e in events if (e.tenant, e.event_id) != (event.tenant, event.event_id)]
                self._space.ids.discard((event.tenant, event.event_id))
            super().record_event(event)


@mutant(of=Store, killed_by="STORE-07", imitates="I26")
class IdsArePerCustomer(CountsKnownIds):
    """An event id counts once for each customer."""

    def record_event(self, event: Interaction) -> None:
        known = (event.tenant, event.event_id) in self._space.ids
        same = [e for e in self._space.events.get((event.tenant, event.customer), []) if e.event_id == event.event_id]
        super().record_event(event)
        if known and not same:
            self.store_again(event)


@mutant(of=Store, killed_by="STORE-21", imitates="C39")
class IdsAreGlobal(MemoryInteractionStore):
    """An event id counts once over all tenants."""

    def record_event(self, event: Interaction) -> None:
        if event.event_id not in {event_id for _, event_id in self._space.ids}:
            super().record_event(event)


@mutant(of=Store, killed_by="STORE-20", imitates="I26")
class AsksBeforeItStores(CountsKnownIds):
    """Whether an id is known is asked first, and stored after that, without a lock."""

    def record_event(self, event: Interaction) -> None:
        known = (event.tenant, event.event_id) in self._space.ids
        time.sleep(0.005)
        if known:
            return
        with self._space.lock:
            if (event.tenant, event.event_id) in self._space.ids:
                self.store_again(event)
            super().record_event(event)


@mutant(of=Store, killed_by="STORE-24", imitates="I26")
class BatchesCountRepetitions(CountsKnownIds):
    """An id that is repeated within a batch is counted again."""

    def record_events(self, events: Sequence[Interaction]) -> None:
        super().record_events(events)
        seen: set[str] = set()
        for event in events:
            if event.event_id in seen:
                self.store_again(event)
            seen.add(event.event_id)


@mutant(of=Store, killed_by="STORE-24")
class BatchesDeadlock(MemoryInteractionStore):
    """Of two batches that overlap, one fails."""

    busy = 0

    def record_events(self, events: Sequence[Interaction]) -> None:
        if self.busy:
            raise UnavailableError("deadlock detected")
        self.busy += 1
        try:
            time.sleep(0.02)
            super().record_events(events)
        finally:
            self.busy -= 1


# STORE-08, 22: tenants and namespaces


class Renamed(MemoryInteractionStore):
    """Tenant and customer are stored under another name."""

    def rename(self, tenant: str, customer: str) -> tuple[str, str]:
        raise NotImplementedError

    def _apply(self, events: Sequence[Interaction]) -> None:
        super()._apply(events)
        for key in {(event.tenant, event.customer) for event in events}:
            other = self.rename(*key)
            moved = self._space.events.pop(key, []) if other != key else []
            self._space.events.setdefault(other, []).extend(
                replace(event, tenant=other[0], customer=other[1]) for event in moved
            )

    def _summaries(self, query: SummariesQuery) -> list[Summary]:
        tenant, customer = self.rename(query.tenant, query.customer)
        found = super()._summaries(replace(query, tenant=tenant, customer=customer))
        return [replace(row, tenant=query.tenant, customer=query.customer) for row in found]


@mutant(of=Store, killed_by="STORE-08", imitates="C36")
class JoinsKeysWithAColon(Renamed):
    """Tenant and customer are joined with a colon."""

    def rename(self, tenant: str, customer: str) -> tuple[str, str]:
        return "joined", f"{tenant}:{customer}"


@mutant(of=Store, killed_by="STORE-08", imitates="C39")
class FoldsCase(Renamed):
    """Tenants and customers are compared without case."""

    def rename(self, tenant: str, customer: str) -> tuple[str, str]:
        return tenant.lower(), customer.lower()


@mutant(of=Store, killed_by="STORE-08")
class TrimsTenants(Renamed):
    """White space at the end of a tenant does not count, as with char columns."""

    def rename(self, tenant: str, customer: str) -> tuple[str, str]:
        return tenant.rstrip(), customer


@mutant(of=Store, killed_by="STORE-08", imitates="C39")
class FiltersByPrefix(MemoryInteractionStore):
    """A tenant sees those whose names begin with its own."""

    def _summaries(self, query: SummariesQuery) -> list[Summary]:
        found = [
            replace(event, tenant=query.tenant)
            for (tenant, customer), events in self._space.events.items()
            for event in events
            if tenant.startswith(query.tenant) and customer == query.customer
        ]
        return [row for row in summarise(found) if query.offer in (None, row.offer)]


@mutant(of=Store, killed_by="STORE-22", imitates="C36")
class IgnoresTheNamespace(MemoryInteractionStore):
    """All namespaces share one space."""

    everything = Space()

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self._space = self.everything

    def drop_namespace(self) -> None:
        """Nothing can be told apart, so all goes."""
        self._space.events.clear()
        self._space.ids.clear()
        self._space.sums.clear()


# STORE-09, 10, 19: concurrency, errors, durability


@mutant(of=Store, killed_by="STORE-09")
class ReadsModifiesWrites(MemoryInteractionStore):
    """The list of a customer is read, extended and written back without a lock."""

    def record_event(self, event: Interaction) -> None:
        key = (event.tenant, event.customer)
        before = list(self._space.events.get(key, []))
        time.sleep(0.0005)
        super().record_event(event)
        if event not in before and event in self._space.events.get(key, []):
            self._space.events[key] = [*before, event]


@mutant(of=Store, killed_by="STORE-10", imitates="I25")
class AppliesThenRaises(MemoryInteractionStore):
    """An interaction whose value has too many digits is stored with a rounded one, and then rejected."""

    def record_event(self, event: Interaction) -> None:
        try:
            super().record_event(event)
        except ClosedError:
            raise
        except RejectedError:
            with self._space.lock:
                self._apply([replace(event, offer=event.offer[:10], value=round(event.value, 2))])
            raise


@mutant(of=Store, killed_by="STORE-10", imitates="I25")
class RejectedIdsAreUsedUp(MemoryInteractionStore):
    """The id of a rejected interaction counts as known."""

    def record_event(self, event: Interaction) -> None:
        try:
            super().record_event(event)
        except RejectedError:
            self._space.ids.add((event.tenant, event.event_id))
            raise


@mutant(of=Store, killed_by="STORE-19")
class WritesBehind(MemoryInteractionStore):
    """An interaction reaches the shared space with the instance's next call only."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self._waiting: list[Interaction] = []

    def record_event(self, event: Interaction) -> None:
        self._flush()
        self._waiting.append(event)

    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        self._flush()
        return super().get_summaries(query)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            super().record_event(event)


@mutant(of=Store, killed_by="STORE-19")
class ForgetsAtDisconnect(MemoryInteractionStore):
    """What an instance stored goes with it."""

    def disconnect(self) -> None:
        super().disconnect()
        self._space.events.clear()


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
