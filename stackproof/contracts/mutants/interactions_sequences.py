"""Interaction stores whose defect shows only after a certain sequence, or at a border that must be drawn on purpose."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from stackproof.adapters.interactions.memory import MemoryInteractionStore
from stackproof.interfaces import Interaction, RejectedError, SummariesQuery, Summary

from . import mutant
from .interactions_bases import Rewritten

RACE = 0.0005
"""Seconds between the two steps of an operation that should be one: long enough for another caller to come between."""


@mutant(of=MemoryInteractionStore, killed_by="STORE-40", imitates="I16")
class CutsTextsAt64Bytes(Rewritten):
    """A text of more than 64 bytes is cut."""

    def spoil(self, event: Interaction) -> Interaction:
        cut = {
            name: getattr(event, name).encode()[:64].decode(errors="ignore")
            for name in ("offer", "creative", "outcome")
        }
        return replace(event, **cut)


@mutant(of=MemoryInteractionStore, killed_by="STORE-40")
class LosesARacingContact(MemoryInteractionStore):
    """A customer's contacts are read, added to, and written back: a racing contact is lost."""

    def _apply(self, events: Sequence[Interaction]) -> None:
        owner = (events[0].tenant, events[0].customer) if events else ("", "")
        before = list(self._space.events.get(owner, ()))
        self._space.lock.release()
        time.sleep(RACE)
        self._space.lock.acquire()
        known = set(self._space.ids)
        super()._apply(events)
        mine = [each for each in self._space.events.get(owner, ()) if (each.tenant, each.event_id) not in known]
        if owner in self._space.events:
            self._space.events[owner] = [*before, *mine]


@mutant(of=MemoryInteractionStore, killed_by="STORE-40", imitates="C39")
class MatchesCustomersByPrefix(MemoryInteractionStore):
    """A customer's summaries are those of every customer whose name begins so."""

    def _summaries(self, query: SummariesQuery) -> list[Summary]:
        found: list[Summary] = []
        for tenant, customer in list(self._space.events):
            if tenant == query.tenant and customer.startswith(query.customer):
                found += super()._summaries(replace(query, customer=customer))
        return [replace(row, customer=query.customer) for row in found]


@mutant(of=MemoryInteractionStore, killed_by="STORE-40", imitates="I26")
class ARefusedBatchUsesUpItsIds(MemoryInteractionStore):
    """The ids of a batch that was refused count as known, so that its good contacts are never stored."""

    def record_events(self, events: Sequence[Interaction]) -> None:
        try:
            super().record_events(events)
        except RejectedError:
            self._space.ids.update((event.tenant, event.event_id) for event in events)
            raise
