"""Mutants of the search index: `MemorySearchIndex` with one defect each. Words and endings are in modules of their own."""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

from stackproof.adapters.search.memory import Entry, MemorySearchIndex, Space
from stackproof.interfaces import (
    MAX_HITS,
    BackendError,
    Document,
    Hit,
    RejectedError,
    SearchCapabilities,
    SearchQuery,
)

from . import (
    mutant,
    search_faults,
    search_histories,
    search_lifecycle,
    search_matching,
    search_processes,
    search_sequences,
)
from .search_text import DefectiveIndex

__all__ = [
    "search_faults",
    "search_histories",
    "search_lifecycle",
    "search_matching",
    "search_processes",
    "search_sequences",
]


@mutant(of=MemorySearchIndex, killed_by="SEARCH-02", imitates="S1")
class DropsRejections(MemorySearchIndex):
    """The items that the bulk answer names as failed are ignored, and the batch counts as indexed."""

    def index(self, documents: Iterable[Document]) -> int:
        batch = list(documents)
        try:
            return super().index(batch)
        except RejectedError:
            return len(batch)


@mutant(of=MemorySearchIndex, killed_by="SEARCH-02", imitates="S5")
class NamesNobody(MemorySearchIndex):
    """The error says how many documents failed, and not which."""

    def index(self, documents: Iterable[Document]) -> int:
        try:
            return super().index(documents)
        except RejectedError as error:
            raise RejectedError(f"{len(error.failed)} documents failed") from error


@mutant(of=MemorySearchIndex, killed_by="SEARCH-02", imitates="S3")
class OneBadSpoilsAll(MemorySearchIndex):
    """One document that is rejected keeps its whole batch out."""

    def index(self, documents: Iterable[Document]) -> int:
        batch = list(documents)
        failed = {d.id: reason for d in batch if (reason := self.reason_to_reject(d))}
        if failed:
            raise RejectedError("the batch was rejected", failed)
        return super().index(batch)


class SendsParts(MemorySearchIndex):
    """Sends a batch in parts of the back-end's own size: the base of mutants that lose track of them."""

    def parts(self, documents: Iterable[Document]) -> list[list[Document]]:
        latest = list({(d.tenant, d.id): d for d in documents}.values())
        size = self.capabilities.batch_size
        return [latest[start : start + size] for start in range(0, len(latest), size)] or [[]]


@mutant(of=MemorySearchIndex, killed_by="SEARCH-02", imitates="S3")
class GivesUpAfterABadPart(SendsParts):
    """The parts of a batch that come after one with a bad document are not sent."""

    def index(self, documents: Iterable[Document]) -> int:
        return sum(super(SendsParts, self).index(part) for part in self.parts(documents))


@mutant(of=MemorySearchIndex, killed_by="SEARCH-02", imitates="S1")
class ReportsTheLastPart(SendsParts):
    """The bad documents of all parts but the last one are passed over."""

    def index(self, documents: Iterable[Document]) -> int:
        *parts, last = self.parts(documents)
        count = 0
        for part in parts:
            good = [d for d in part if not self.reason_to_reject(d)]
            count += super().index(good)
        return count + super().index(last)


@mutant(of=MemorySearchIndex, killed_by="SEARCH-03", imitates="S18")
class NeverRefreshes(MemorySearchIndex):
    """Documents of the second and later calls are found only after the next call."""

    _waiting: list[Document] | None = None

    def index(self, documents: Iterable[Document]) -> int:
        batch = list(documents)
        if self._waiting is None:
            self._waiting = []
            return super().index(batch)
        super().index(self._waiting)
        self._waiting = batch
        return len({(d.tenant, d.id) for d in batch})


@mutant(of=MemorySearchIndex, killed_by="SEARCH-04", imitates="S14")
class OldWordsStay(DefectiveIndex):
    """A new version adds its words to those of the old one."""

    def stored(self, document: Document) -> Document:
        old = self._space.entries.get((document.tenant, document.id))
        return replace(document, text=f"{document.text} {old.document.text} {old.document.title}") if old else document


@mutant(of=MemorySearchIndex, killed_by="SEARCH-04", imitates="S15")
class OldKindStays(DefectiveIndex):
    """A new version keeps the kind of the first one."""

    def stored(self, document: Document) -> Document:
        old = self._space.entries.get((document.tenant, document.id))
        return replace(document, kind=old.document.kind) if old else document


@mutant(of=MemorySearchIndex, killed_by="SEARCH-04")
class InsertsOnly(MemorySearchIndex):
    """A document whose id is known already is left as it was (ON CONFLICT DO NOTHING)."""

    def index(self, documents: Iterable[Document]) -> int:
        batch = list(documents)
        super().index([d for d in batch if (d.tenant, d.id) not in self._space.entries])
        return len({(d.tenant, d.id) for d in batch})


@mutant(of=MemorySearchIndex, killed_by="SEARCH-05", imitates="S16")
class FirstBatchOnly(MemorySearchIndex):
    """What is beyond the back-end's largest batch is left out, and counted all the same."""

    def index(self, documents: Iterable[Document]) -> int:
        batch = list(documents)
        super().index(batch[: self.capabilities.batch_size])
        return len({(d.tenant, d.id) for d in batch})


@mutant(of=MemorySearchIndex, killed_by="SEARCH-05", imitates="S6")
class LargeBatchFails(MemorySearchIndex):
    """A batch beyond the back-end's own limit is an error."""

    def index(self, documents: Iterable[Document]) -> int:
        batch = list(documents)
        if len(batch) > self.capabilities.batch_size:
            raise RejectedError(f"the limit of {self.capabilities.batch_size} documents was exceeded")
        return super().index(batch)


@mutant(of=MemorySearchIndex, killed_by="SEARCH-05", imitates="S4")
class CountsTheLastPart(MemorySearchIndex):
    """The count is that of the last part of a batch that was sent in parts."""

    def index(self, documents: Iterable[Document]) -> int:
        return super().index(documents) % self.capabilities.batch_size


@mutant(of=MemorySearchIndex, killed_by="SEARCH-05", imitates="S6")
class RequestIsTooLarge(MemorySearchIndex):
    """A request of more than ten megabytes is refused by the server, and nobody reads the refusal."""

    def index(self, documents: Iterable[Document]) -> int:
        batch = list(documents)
        if sum(len(d.title) + len(d.text) for d in batch) <= 10_000_000:
            return super().index(batch)
        return len({(d.tenant, d.id) for d in batch})


@mutant(of=MemorySearchIndex, killed_by="SEARCH-06")
class TiesBackwards(MemorySearchIndex):
    """Of equal scores the last id comes first."""

    def search(self, query: SearchQuery) -> list[Hit]:
        hits = super().search(replace(query, limit=MAX_HITS))
        hits.reverse()
        return sorted(hits, key=lambda hit: -hit.score)[: query.limit]


@mutant(of=MemorySearchIndex, killed_by="SEARCH-06")
class TiesByLocale(MemorySearchIndex):
    """Equal scores are ordered as a dictionary orders words, without regard to case."""

    def search(self, query: SearchQuery) -> list[Hit]:
        hits = super().search(replace(query, limit=MAX_HITS))
        return sorted(hits, key=lambda hit: (-hit.score, hit.id.casefold(), hit.id))[: query.limit]


@mutant(of=MemorySearchIndex, killed_by="SEARCH-06")
class CutsBeforeSorting(MemorySearchIndex):
    """The limit is applied by id, and only then the hits are sorted by score."""

    def search(self, query: SearchQuery) -> list[Hit]:
        hits = sorted(super().search(replace(query, limit=MAX_HITS)), key=lambda hit: hit.id)[: query.limit]
        return sorted(hits, key=lambda hit: (-hit.score, hit.id))


@mutant(of=MemorySearchIndex, killed_by="SEARCH-06")
class OneTooMany(MemorySearchIndex):
    """One hit more than the limit is returned."""

    def search(self, query: SearchQuery) -> list[Hit]:
        return super().search(replace(query, limit=min(query.limit + 1, MAX_HITS)))


@mutant(of=MemorySearchIndex, killed_by="SEARCH-06")
class NegativeScores(MemorySearchIndex):
    """Scores are distances, so they are negative."""

    def search(self, query: SearchQuery) -> list[Hit]:
        return [replace(hit, score=hit.score - 100) for hit in super().search(query)]


@mutant(of=MemorySearchIndex, killed_by="SEARCH-08", imitates="S10")
class TenantInTheText(DefectiveIndex):
    """The tenant filter is a part of the query text, so the text can name another tenant."""

    def read(self, query: SearchQuery) -> SearchQuery:
        named = re.search(r"tenant:(\w+)", query.text)
        return replace(query, tenant=named[1], text=query.text.replace(named[0], "")) if named else query


@mutant(of=MemorySearchIndex, killed_by="SEARCH-08")
class TenantsFold(DefectiveIndex):
    """Tenants that differ in case are one tenant."""

    def stored(self, document: Document) -> Document:
        return replace(document, tenant=document.tenant.lower())

    def read(self, query: SearchQuery) -> SearchQuery:
        return replace(query, tenant=query.tenant.lower())


@mutant(of=MemorySearchIndex, killed_by="SEARCH-08")
class TenantsNormalise(DefectiveIndex):
    """Tenants that differ in their Unicode form are one tenant."""

    def stored(self, document: Document) -> Document:
        return replace(document, tenant=unicodedata.normalize("NFC", document.tenant))

    def read(self, query: SearchQuery) -> SearchQuery:
        return replace(query, tenant=unicodedata.normalize("NFC", query.tenant))


@mutant(of=MemorySearchIndex, killed_by="SEARCH-08")
class TenantFilteredLast(MemorySearchIndex):
    """The best 200 hits of all tenants are found, and those of the others are then left out."""

    def search(self, query: SearchQuery) -> list[Hit]:
        tenants = {tenant for tenant, _ in list(self._space.entries)}
        hits = [(hit, t) for t in tenants for hit in super().search(replace(query, tenant=t, limit=MAX_HITS))]
        best = sorted(hits, key=lambda pair: (-pair[0].score, pair[0].id))[:200]
        return [hit for hit, tenant in best if tenant == query.tenant][: query.limit]


@mutant(of=MemorySearchIndex, killed_by="SEARCH-09")
class KindFilteredLast(MemorySearchIndex):
    """The best hits of all kinds are found, up to the limit, and those of other kinds are then left out."""

    def search(self, query: SearchQuery) -> list[Hit]:
        return [hit for hit in super().search(replace(query, kind=None)) if query.kind in (None, hit.kind)]


@mutant(of=MemorySearchIndex, killed_by="SEARCH-09")
class KindIgnored(DefectiveIndex):
    """The kind of the query is not looked at."""

    def read(self, query: SearchQuery) -> SearchQuery:
        return replace(query, kind=None)


@mutant(of=MemorySearchIndex, killed_by="SEARCH-09")
class KindByPrefix(DefectiveIndex):
    """Documents whose kind begins with the one asked for are hits too."""

    def search(self, query: SearchQuery) -> list[Hit]:
        hits = self.everything(replace(query, kind=None))
        return [hit for hit in hits if hit.kind.startswith(query.kind or "")][: query.limit]


@mutant(of=MemorySearchIndex, killed_by="SEARCH-09")
class KindsFold(MemorySearchIndex):
    """Kinds are compared without regard to case."""

    def search(self, query: SearchQuery) -> list[Hit]:
        hits = super().search(replace(query, kind=None, limit=MAX_HITS))
        wanted = (query.kind or "").lower()
        return [hit for hit in hits if not wanted or hit.kind.lower() == wanted][: query.limit]


@mutant(of=MemorySearchIndex, killed_by="SEARCH-15")
class ReadsThenWrites(MemorySearchIndex):
    """Replacing a document reads the old version and writes the new one in two steps that others can come between."""

    def index(self, documents: Iterable[Document]) -> int:
        self._must_be_open()
        latest = {(d.tenant, d.id): d for d in documents}
        rejected = [d for d in latest.values() if self.reason_to_reject(d)]
        for key, document in latest.items():
            if document not in rejected:
                self._replace(key, Entry.of(document))
        super().index(rejected)
        return len(latest)

    def _replace(self, key: tuple[str, str], entry: Entry) -> None:
        tenant, document_id = key
        old = self._space.entries.get(key)
        time.sleep(0)  # the others come between
        for word in old.weights if old else ():
            self._space.ids[tenant, word].discard(document_id)
        self._space.entries[key] = entry
        for word in entry.weights:
            self._space.ids[tenant, word].add(document_id)


@mutant(of=MemorySearchIndex, killed_by="SEARCH-16")
class FirstOfTwoCounts(MemorySearchIndex):
    """Of two documents with the same id in one batch the first one counts."""

    def index(self, documents: Iterable[Document]) -> int:
        return super().index(reversed(list(documents)))


@mutant(of=MemorySearchIndex, killed_by="SEARCH-16")
class CountsRepetitions(MemorySearchIndex):
    """A document that is twice in a batch is counted twice."""

    def index(self, documents: Iterable[Document]) -> int:
        batch = list(documents)
        super().index(batch)
        return len(batch)


@mutant(of=MemorySearchIndex, killed_by="SEARCH-16")
class RowMetTwice(MemorySearchIndex):
    """A batch that repeats an id fails as a whole (ON CONFLICT DO UPDATE cannot affect a row a second time)."""

    def index(self, documents: Iterable[Document]) -> int:
        batch = list(documents)
        if len({(d.tenant, d.id) for d in batch}) < len(batch):
            raise BackendError("the command cannot affect a row a second time")
        return super().index(batch)


@mutant(of=MemorySearchIndex, killed_by="SEARCH-18", imitates="S14")
class DeletesNothing(MemorySearchIndex):
    """delete counts the documents, and leaves them."""

    def delete(self, tenant: str, ids: Iterable[str]) -> int:
        return sum((tenant, id_) in self._space.entries for id_ in set(ids))


@mutant(of=MemorySearchIndex, killed_by="SEARCH-18", imitates="S15")
class DeleteSaysWhatItWasTold(MemorySearchIndex):
    """delete returns the number of ids that it was given."""

    def delete(self, tenant: str, ids: Iterable[str]) -> int:
        wanted = list(ids)
        super().delete(tenant, wanted)
        return len(wanted)


@mutant(of=MemorySearchIndex, killed_by="SEARCH-18")
class DeletesForAllTenants(MemorySearchIndex):
    """delete removes the ids of every tenant."""

    def delete(self, tenant: str, ids: Iterable[str]) -> int:
        wanted = list(ids)
        others = {name for name, _ in list(self._space.entries)} - {tenant}
        return super().delete(tenant, wanted) + 0 * sum(
            super(DeletesForAllTenants, self).delete(o, wanted) for o in others
        )


@mutant(of=MemorySearchIndex, killed_by="SEARCH-18", imitates="I15")
class DeletesTheFirstPage(MemorySearchIndex):
    """Of many ids, the documents of the first 1,000 are removed."""

    def delete(self, tenant: str, ids: Iterable[str]) -> int:
        return super().delete(tenant, islice(ids, 1_000))


@mutant(of=MemorySearchIndex, killed_by="SEARCH-18")
class ManyIdsWithoutCase(MemorySearchIndex):
    """Where many ids are given, they are compared without case."""

    def delete(self, tenant: str, ids: Iterable[str]) -> int:
        wanted = set(ids)
        if len(wanted) > 100:
            folded = {id_.lower() for id_ in wanted}
            wanted = {id_ for name, id_ in list(self._space.entries) if name == tenant and id_.lower() in folded}
        return super().delete(tenant, wanted)


@mutant(of=MemorySearchIndex, killed_by="SEARCH-18")
class DeletesInSecret(MemorySearchIndex):
    """delete works, and is not declared."""

    capabilities = SearchCapabilities(delete=False)


@mutant(of=MemorySearchIndex, killed_by="SEARCH-19")
class KeptByTheInstance(MemorySearchIndex):
    """Documents are kept in the instance, although it is declared that others see them."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self._space = Space()


@mutant(of=MemorySearchIndex, killed_by="SEARCH-19", imitates="S14")
class DeletesForItself(MemorySearchIndex):
    """A delete hides documents from the instance that was told, and from no other."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self._hidden: set[tuple[str, str]] = set()

    def delete(self, tenant: str, ids: Iterable[str]) -> int:
        self._must_be_open()
        there = {(tenant, id_) for id_ in ids if (tenant, id_) in self._space.entries} - self._hidden
        self._hidden |= there
        return len(there)

    def index(self, documents: Iterable[Document]) -> int:
        batch = list(documents)
        self._hidden -= {(d.tenant, d.id) for d in batch}
        return super().index(batch)

    def search(self, query: SearchQuery) -> list[Hit]:
        hits = super().search(replace(query, limit=MAX_HITS))
        return [hit for hit in hits if (query.tenant, hit.id) not in self._hidden][: query.limit]


@mutant(of=MemorySearchIndex, killed_by="SEARCH-19")
class SharedInSecret(MemorySearchIndex):
    """Other instances see the documents, although it is declared that they do not."""

    capabilities = SearchCapabilities(delete=True, durable=False)


@mutant(of=MemorySearchIndex, killed_by="SEARCH-20")
class NamespacesMeet(MemorySearchIndex):
    """Namespaces are cut to their first eight characters."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace[:8])


@mutant(of=MemorySearchIndex, killed_by="SEARCH-21", imitates="S16")
class BeginningOnly(DefectiveIndex):
    """Only the first 32 KiB of a text are indexed."""

    def stored(self, document: Document) -> Document:
        return replace(document, text=document.text[: 32 * 1024])


@mutant(of=MemorySearchIndex, killed_by="SEARCH-21", imitates="S16")
class FirstWordsOnly(DefectiveIndex):
    """Only the first 10,000 words of a text are indexed."""

    def stored(self, document: Document) -> Document:
        return replace(document, text=" ".join(islice(document.text.split(), 10_000)))
