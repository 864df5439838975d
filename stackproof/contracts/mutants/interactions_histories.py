"""Interaction stores whose defect shows only to those who read while others record."""

from __future__ import annotations

import time
from dataclasses import replace

from stackproof.adapters.interactions.memory import MemoryInteractionStore
from stackproof.interfaces import Interaction, SummariesQuery, Summary

from . import mutant

RACE = 0.001
"""Seconds between the two steps of an operation that should be one: long enough for a read to come between."""


@mutant(of=MemoryInteractionStore, killed_by="STORE-26", imitates="I26")
class CountsFirstAndTakesBack(MemoryInteractionStore):
    """A contact that is known is counted again, and taken back when that is noticed."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self._twice: list[Interaction] = []

    def record_event(self, event: Interaction) -> None:
        if (event.tenant, event.event_id) not in self._space.ids:
            super().record_event(event)
            return
        self._twice.append(event)
        time.sleep(RACE)
        self._twice.remove(event)

    def _summaries(self, query: SummariesQuery) -> list[Summary]:
        more = sum((event.tenant, event.customer) == (query.tenant, query.customer) for event in list(self._twice))
        return [replace(row, positive=row.positive + more) for row in super()._summaries(query)]


@mutant(of=MemoryInteractionStore, killed_by="STORE-26")
class ReadsAMomentAgo(MemoryInteractionStore):
    """Summaries are remembered for a moment while they are read often, and then are older than what was recorded."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self._remembered: dict[SummariesQuery, tuple[float, list[Summary]]] = {}

    def _summaries(self, query: SummariesQuery) -> list[Summary]:
        until, rows = self._remembered.get(query, (0.0, []))
        if time.monotonic() > until:
            rows = super()._summaries(query)
            self._remembered[query] = (time.monotonic() + 50 * RACE, rows)
        return rows
