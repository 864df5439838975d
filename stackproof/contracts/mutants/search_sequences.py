"""Search indexes whose defect shows only after a certain sequence, or at a border that must be drawn on purpose."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from stackproof.adapters.search.memory import MemorySearchIndex
from stackproof.interfaces import Document, Hit, RejectedError, SearchQuery

from . import mutant


@mutant(of=MemorySearchIndex, killed_by="SEARCH-40", imitates="S6")
class ReadsTheFirst64KiB(MemorySearchIndex):
    """Only the first 64 KiB of a text are indexed."""

    def index(self, documents: Iterable[Document]) -> int:
        return super().index(replace(each, text=each.text[:65536]) for each in documents)


@mutant(of=MemorySearchIndex, killed_by="SEARCH-40", imitates="S15")
class DeletesByPrefix(MemorySearchIndex):
    """delete removes every document whose id begins with one of those that are given."""

    def delete(self, tenant: str, ids: Iterable[str]) -> int:
        wanted = tuple(ids)
        for owner, name in [key for key in self._space.entries if key[0] == tenant and key[1] not in wanted]:
            if wanted and name.startswith(wanted):
                super().delete(owner, [name])
        return super().delete(tenant, wanted)


@mutant(of=MemorySearchIndex, killed_by="SEARCH-40", imitates="S14")
class ARefusedDocumentTakesItsOldVersionAlong(MemorySearchIndex):
    """Before a batch is indexed its ids are removed, also that of a document which is then refused."""

    def index(self, documents: Iterable[Document]) -> int:
        batch = list(documents)
        try:
            return super().index(batch)
        except RejectedError as error:
            for each in batch:
                if each.id in error.failed:
                    self.delete(each.tenant, [each.id])
            raise


@mutant(of=MemorySearchIndex, killed_by="SEARCH-40", imitates="S18")
class ANewInstanceMissesTheLastChange(MemorySearchIndex):
    """An instance that is opened does not see the document that was indexed last, until the next one is."""

    _last: dict[str, Document] = {}  # noqa: RUF012 - of all instances on purpose, by namespace

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self._late = self._last.get(namespace)

    def index(self, documents: Iterable[Document]) -> int:
        batch = list(documents)
        self._late = None
        if batch:
            self._last[self._namespace] = batch[-1]
        return super().index(batch)

    def search(self, query: SearchQuery) -> list[Hit]:
        late = self._late
        return [
            hit for hit in super().search(query) if late is None or (query.tenant, hit.id) != (late.tenant, late.id)
        ]
