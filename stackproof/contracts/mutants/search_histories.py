"""Search indexes whose defect shows only to those who search while documents change."""

from __future__ import annotations

import time
from collections.abc import Iterable

from stackproof.adapters.search.memory import MemorySearchIndex
from stackproof.interfaces import Document, Hit, SearchQuery, words_of

from . import mutant

RACE = 0.0005
"""Seconds between the two steps of an operation that should be one: long enough for a search to come between."""


@mutant(of=MemorySearchIndex, killed_by="SEARCH-22", imitates="S14")
class RemovesBeforeItReplaces(MemorySearchIndex):
    """A new version is added after the old one was removed: between the two steps the document cannot be found."""

    def index(self, documents: Iterable[Document]) -> int:
        batch = list(documents)
        for document in batch:
            self.delete(document.tenant, [document.id])
        time.sleep(RACE)
        return super().index(batch)


@mutant(of=MemorySearchIndex, killed_by="SEARCH-22", imitates="S15")
class AnswersFromAMomentAgo(MemorySearchIndex):
    """What a search found is remembered for a moment, and is then older than what was indexed."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self._remembered: dict[SearchQuery, tuple[float, list[Hit]]] = {}

    def search(self, query: SearchQuery) -> list[Hit]:
        until, hits = self._remembered.get(query, (0.0, []))
        if time.monotonic() > until:
            hits = super().search(query)
            self._remembered[query] = (time.monotonic() + 50 * RACE, hits)
        return list(hits)


@mutant(of=MemorySearchIndex, killed_by="SEARCH-22", imitates="S14")
class AddsBeforeItRemoves(MemorySearchIndex):
    """A new version is added before the old one is removed: between the two steps both are found, the new one first."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self._leaving: dict[tuple[str, str], Document] = {}

    def index(self, documents: Iterable[Document]) -> int:
        batch = list(documents)
        with self._space.lock:
            before = dict(self._space.entries)
        replaced = {(d.tenant, d.id): before[d.tenant, d.id].document for d in batch if (d.tenant, d.id) in before}
        count = super().index(batch)
        self._leaving.update(replaced)
        time.sleep(RACE)
        for place in replaced:
            self._leaving.pop(place, None)
        return count

    def search(self, query: SearchQuery) -> list[Hit]:
        found = super().search(query)
        words = set(words_of(query.text))
        return found + [
            Hit(id=old.id, kind=old.kind, title=old.title, score=0.0)
            for old in list(self._leaving.values())
            if old.tenant == query.tenant and words and words <= {*words_of(old.title), *words_of(old.text)}
        ]
