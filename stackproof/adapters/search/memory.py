"""The reference search index: an inverted index in this process. The executable specification of `SearchIndex`."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self

from stackproof.adapters.settings import Settings
from stackproof.adapters.spaces import Spaces
from stackproof.interfaces import (
    ClosedError,
    ConfigurationError,
    DeletableIndex,
    Document,
    Hit,
    Match,
    MatchingIndex,
    SearchCapabilities,
    SearchIndex,
    SearchQuery,
    words_of,
)

from .checks import raise_if_any, too_large, words_to_match

TITLE_WEIGHT = 3.0
"""How much more a word counts in a title than in a text."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A document in the index, and what each of its words weighs."""

    document: Document
    weights: dict[str, float]

    @classmethod
    def of(cls, document: Document) -> Entry:
        """The entry of a document. A word that is repeated weighs more, but never twice as much."""
        weights: defaultdict[str, float] = defaultdict(float)
        for text, weight in ((document.title, TITLE_WEIGHT), (document.text, 1.0)):
            for word, count in Counter(words_of(text)).items():
                weights[word] += weight * (2 - 1 / count)
        return cls(document, dict(weights))


@dataclass(slots=True, weakref_slot=True)
class Space:
    """What the instances of one namespace share: entries by tenant and id, and ids by tenant and word."""

    entries: dict[tuple[str, str], Entry] = field(default_factory=dict)
    ids: defaultdict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, entry: Entry) -> None:
        document = entry.document
        self.remove(document.tenant, document.id)
        self.entries[document.tenant, document.id] = entry
        for word in entry.weights:
            self.ids[document.tenant, word].add(document.id)

    def remove(self, tenant: str, document_id: str) -> bool:
        entry = self.entries.pop((tenant, document_id), None)
        if entry is None:
            return False
        for word in entry.weights:
            self.ids[tenant, word].discard(document_id)
            if not self.ids[tenant, word]:
                del self.ids[tenant, word]
        return True

    def matching(self, tenant: str, words: Iterable[str]) -> list[Entry]:
        """The entries of a tenant that have every word."""
        sets = sorted((self.ids.get((tenant, word), set()) for word in words), key=len)
        found = set.intersection(*sets) if sets else set()
        return [self.entries[tenant, document_id] for document_id in found]

    def clear(self) -> None:
        self.entries.clear()
        self.ids.clear()


_spaces = Spaces(Space)


class MemorySearchIndex(SearchIndex, DeletableIndex, MatchingIndex):
    """An inverted index in this process, exact for any text.

    Instances of one non-empty namespace share their documents as long as one of them lives; nothing outlives the process.
    The score of a hit is the sum of what the words of the query weigh in the document. One lock guards everything: meant for
    tests, development and as the reference, not for load from many threads.
    """

    capabilities: ClassVar[SearchCapabilities] = SearchCapabilities(delete=True, matching=True)

    def __init__(self, *, namespace: str = "") -> None:
        self._namespace = namespace
        self._space = _spaces.of(namespace)
        self._closed = False

    @classmethod
    def from_settings(cls, settings: Settings, namespace: str = "") -> Self:  # noqa: ARG003 - it needs no settings
        return cls(namespace=namespace)

    def index(self, documents: Iterable[Document]) -> int:
        self._must_be_open()
        latest = {(document.tenant, document.id): document for document in documents}
        failed: dict[str, str] = {}
        entries: list[Entry] = []
        for document in latest.values():
            reason = self.reason_to_reject(document)
            if reason:
                failed[document.id] = reason
            else:
                entries.append(Entry.of(document))
        with self._space.lock:
            for entry in entries:
                self._space.put(entry)
        raise_if_any(failed)
        return len(entries)

    def search(self, query: SearchQuery) -> list[Hit]:
        self._must_be_open()
        words = set(words_of(query.text))
        with self._space.lock:
            entries = self._space.matching(query.tenant, words)
        return _best(query, ((entry, sum(entry.weights[word] for word in words)) for entry in entries))

    def search_for(self, match: Match, query: SearchQuery) -> list[Hit]:
        self._must_be_open()
        if match is Match.ALL:
            return self.search(query)
        words = words_to_match(match, query)
        with self._space.lock:
            entries = [entry for (tenant, _), entry in self._space.entries.items() if tenant == query.tenant]
        return _best(query, ((entry, _score(match, words, entry)) for entry in entries))

    def delete(self, tenant: str, ids: Iterable[str]) -> int:
        self._must_be_open()
        wanted = set(ids)
        with self._space.lock:
            return sum(self._space.remove(tenant, document_id) for document_id in wanted)

    def reason_to_reject(self, document: Document) -> str:
        """Why a document cannot be indexed; empty where it can."""
        return too_large(document, self.capabilities.max_document_bytes)

    def ping(self) -> bool:
        return not self._closed

    def disconnect(self) -> None:
        self._closed = True

    def drop_namespace(self) -> None:
        """Remove everything that was indexed under this namespace."""
        if not self._namespace:
            raise ConfigurationError("the empty namespace cannot be dropped")
        with self._space.lock:
            self._space.clear()

    def _must_be_open(self) -> None:
        if self._closed:
            raise ClosedError("the search index was disconnected")


def _score(match: Match, words: Sequence[str], entry: Entry) -> float:
    """What the words of a query weigh in a document; 0 where it does not match."""
    weights = entry.weights
    if not words:
        return 0.0
    if match is Match.ANY:
        return sum(weights.get(word, 0.0) for word in words)
    if match is Match.PREFIX:
        each = [sum(weight for word, weight in weights.items() if word.startswith(prefix)) for prefix in words]
        return sum(each) if all(each) else 0.0
    if not all(word in weights for word in words):
        return 0.0
    texts = (words_of(entry.document.title), words_of(entry.document.text))
    return sum(weights[word] for word in words) if any(_has_run(text, words) for text in texts) else 0.0


def _has_run(text: Sequence[str], run: Sequence[str]) -> bool:
    """Whether these words follow each other somewhere."""
    return any(list(text[at : at + len(run)]) == list(run) for at in range(len(text) - len(run) + 1))


def _best(query: SearchQuery, scored: Iterable[tuple[Entry, float]]) -> list[Hit]:
    hits = [
        Hit(id=entry.document.id, kind=entry.document.kind, title=entry.document.title, score=score)
        for entry, score in scored
        if score > 0 and (query.kind is None or entry.document.kind == query.kind)
    ]
    return sorted(hits, key=lambda hit: (-hit.score, hit.id))[: query.limit]
