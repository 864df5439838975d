"""Mutants of the interaction store, part two: texts, identities, concurrency, other instances."""

from __future__ import annotations

import time
import unicodedata
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from stackproof.adapters.interactions.memory import MemoryInteractionStore, Space
from stackproof.adapters.interactions.rules import check_batch
from stackproof.interfaces import (
    ClosedError,
    Interaction,
    RejectedError,
    SummariesPage,
    SummariesQuery,
    Summary,
    UnavailableError,
    summarise,
)

from .interactions_bases import Rewritten
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


@mutant(of=Store, killed_by="STORE-06", imitates="I18")
class PastesNamesIntoTheStatement(MemoryInteractionStore):
    """The customer's name and the campaign become a part of the statement, where a quote ends them."""

    def record_event(self, event: Interaction) -> None:
        if "'" in event.customer + event.campaign:
            raise ValueError("unterminated quoted string")
        super().record_event(event)


@mutant(of=Store, killed_by="STORE-06", imitates="I18")
class PastesIdsIntoTheStatement(MemoryInteractionStore):
    """The ids of the event and of its recommendation become a part of the statement."""

    def record_event(self, event: Interaction) -> None:
        if '"' in event.event_id + event.recommendation_id:
            raise ValueError("zero-length delimited identifier")
        super().record_event(event)


@mutant(of=Store, killed_by="STORE-23")
class RecommendationsAreUuids(MemoryInteractionStore):
    """The id of a recommendation has room for the 36 characters of a UUID."""

    def record_event(self, event: Interaction) -> None:
        if len(event.recommendation_id) > 36:
            raise RejectedError("recommendation_id is too long")
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


class IdsBySpelling(MemoryInteractionStore):
    """Ids are compared after a function."""

    def spelling(self, event_id: str) -> str:
        raise NotImplementedError

    def _apply(self, events: Sequence[Interaction]) -> None:
        super()._apply([replace(event, event_id=self.spelling(event.event_id)) for event in events])


@mutant(of=Store, killed_by="STORE-07", imitates="C39")
class IdsWithoutCase(IdsBySpelling):
    """Event ids are compared without case, as a server's collation does."""

    def spelling(self, event_id: str) -> str:
        return event_id.casefold()


@mutant(of=Store, killed_by="STORE-07")
class IdsWithoutBlanks(IdsBySpelling):
    """Blanks at the end of an event id do not count."""

    def spelling(self, event_id: str) -> str:
        return event_id.rstrip(" ")


@mutant(of=Store, killed_by="STORE-07", imitates="I26")
class RemembersTheLatestIds(CountsKnownIds):
    """Repetitions are recognised among the latest 256 ids only."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self._latest: deque[str] = deque(maxlen=256)

    def record_event(self, event: Interaction) -> None:
        forgotten = (event.tenant, event.event_id) in self._space.ids and event.event_id not in self._latest
        super().record_event(event)
        self._latest.append(event.event_id)
        if forgotten:
            self.store_again(event)

    def record_events(self, events: Sequence[Interaction]) -> None:
        super().record_events(events)
        self._latest.extend(event.event_id for event in events)


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
class BatchesWaitForTheNextCall(MemoryInteractionStore):
    """A batch is kept by the instance until it is used again."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self._batch: list[Interaction] = []

    def record_events(self, events: Sequence[Interaction]) -> None:
        self._send()
        check_batch(events, self.capabilities, nul_allowed=True)
        self._batch = list(events)

    def record_event(self, event: Interaction) -> None:
        self._send()
        super().record_event(event)

    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        self._send()
        return super().get_summaries(query)

    def _send(self) -> None:
        batch, self._batch = self._batch, []
        super().record_events(batch)


@mutant(of=Store, killed_by="STORE-19")
class LosesTheLastBatch(MemoryInteractionStore):
    """The batch that was recorded last is taken back at disconnect, as one that was never committed."""

    _last: Sequence[Interaction] = ()

    def record_events(self, events: Sequence[Interaction]) -> None:
        super().record_events(events)
        self._last = events

    def disconnect(self) -> None:
        super().disconnect()
        for event in self._last:
            self._space.events[event.tenant, event.customer].remove(event)
        self._last = ()


@mutant(of=Store, killed_by="STORE-19")
class ForgetsAtDisconnect(MemoryInteractionStore):
    """What an instance stored goes with it."""

    def disconnect(self) -> None:
        super().disconnect()
        self._space.events.clear()
