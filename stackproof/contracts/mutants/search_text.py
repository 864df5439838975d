"""Mutants of the search index that get words wrong: `MemorySearchIndex` with one defect each."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import replace

from stackproof.adapters.search.memory import MemorySearchIndex
from stackproof.interfaces import (
    MAX_HITS,
    BackendError,
    Document,
    Hit,
    SearchQuery,
    words_of,
)

from . import mutant


class DefectiveIndex(MemorySearchIndex):
    """The reference with places to put a defect: how a document is stored, and how a query is read."""

    def stored(self, document: Document) -> Document:
        return document

    def read(self, query: SearchQuery) -> SearchQuery:
        return query

    def index(self, documents: Iterable[Document]) -> int:
        return super().index([self.stored(document) for document in documents])

    def search(self, query: SearchQuery) -> list[Hit]:
        return super().search(self.read(query))

    def everything(self, query: SearchQuery) -> list[Hit]:
        """All hits of a query that may be cut or filtered afterwards."""
        return super().search(replace(query, limit=MAX_HITS))


@mutant(of=MemorySearchIndex, killed_by="SEARCH-01", imitates="S7")
class QueryIsTsquery(DefectiveIndex):
    """The query text is parsed as a tsquery, and a quote or a colon is a syntax error."""

    def read(self, query: SearchQuery) -> SearchQuery:
        if re.search(r"['\\:]", query.text):
            raise BackendError(f"syntax error in tsquery: {query.text[:40]!r}")
        return query


@mutant(of=MemorySearchIndex, killed_by="SEARCH-01", imitates="S11")
class QueryIsLucene(DefectiveIndex):
    """The query text is parsed as a query string, and unbalanced brackets are a parse error."""

    def read(self, query: SearchQuery) -> SearchQuery:
        if query.text.count("(") != query.text.count(")"):
            raise BackendError("parse_exception: cannot parse the query")
        return query


@mutant(of=MemorySearchIndex, killed_by="SEARCH-01", imitates="S8")
class TextEndsAtNul(DefectiveIndex):
    """A text is stored up to its first NUL, as a C string."""

    def stored(self, document: Document) -> Document:
        return replace(document, text=document.text.partition("\0")[0])


@mutant(of=MemorySearchIndex, killed_by="SEARCH-10", imitates="S9")
class FormsDiffer(DefectiveIndex):
    """Decomposed letters are taken apart: a combining mark separates words."""

    def stored(self, document: Document) -> Document:
        return replace(document, title=_without_marks(document.title, " "))

    def read(self, query: SearchQuery) -> SearchQuery:
        return replace(query, text=_without_marks(query.text, " "))


@mutant(of=MemorySearchIndex, killed_by="SEARCH-10", imitates="S9")
class Unaccents(DefectiveIndex):
    """Accents and vowel signs are removed, so different words are the same."""

    def stored(self, document: Document) -> Document:
        return replace(document, title=_without_marks(unicodedata.normalize("NFD", document.title), ""))

    def read(self, query: SearchQuery) -> SearchQuery:
        return replace(query, text=_without_marks(unicodedata.normalize("NFD", query.text), ""))


@mutant(of=MemorySearchIndex, killed_by="SEARCH-10")
class Stems(DefectiveIndex):
    """Words are cut to a stem, so that a plural finds its singular."""

    def stored(self, document: Document) -> Document:
        return replace(document, title=re.sub(r"s\b", "", document.title))

    def read(self, query: SearchQuery) -> SearchQuery:
        return replace(query, text=re.sub(r"s\b", "", query.text))


@mutant(of=MemorySearchIndex, killed_by="SEARCH-11", imitates="S10")
class BarMeansOr(DefectiveIndex):
    """A bar between two words means that one of them is enough."""

    def search(self, query: SearchQuery) -> list[Hit]:
        hits = [self.everything(replace(query, text=part)) for part in query.text.split("|")]
        return sorted({hit.id: hit for part in hits for hit in part}.values(), key=lambda h: (-h.score, h.id))[
            : query.limit
        ]


@mutant(of=MemorySearchIndex, killed_by="SEARCH-11", imitates="S10")
class DashMeansNot(DefectiveIndex):
    """A word after a dash must not be in the document."""

    def search(self, query: SearchQuery) -> list[Hit]:
        unwanted = {
            hit.id for word in re.findall(r" -(\w+)", query.text) for hit in self.everything(replace(query, text=word))
        }
        wanted = re.sub(r" -\w+", "", query.text)
        return [hit for hit in self.everything(replace(query, text=wanted)) if hit.id not in unwanted][: query.limit]


@mutant(of=MemorySearchIndex, killed_by="SEARCH-11")
class StopWords(DefectiveIndex):
    """Words that a dictionary calls unimportant are left out of the query."""

    def read(self, query: SearchQuery) -> SearchQuery:
        kept = [word for word in words_of(query.text) if word not in {"or", "and", "not"}]
        return replace(query, text=" ".join(kept) or query.text)


@mutant(of=MemorySearchIndex, killed_by="SEARCH-12", imitates="S13")
class StarIsAWildcard(DefectiveIndex):
    """A star at the end of a word finds all words that begin so."""

    def search(self, query: SearchQuery) -> list[Hit]:
        prefix = re.fullmatch(r"(\w+):?\*", query.text)
        if not prefix:
            return super().search(query)
        words = {word for tenant, word in self._space.ids if tenant == query.tenant and word.startswith(prefix[1])}
        hits = {hit.id: hit for word in words for hit in self.everything(replace(query, text=word))}
        return sorted(hits.values(), key=lambda hit: (-hit.score, hit.id))[: query.limit]


@mutant(of=MemorySearchIndex, killed_by="SEARCH-13")
class NothingFindsAll(MemorySearchIndex):
    """A query without a word returns every document of the tenant."""

    def search(self, query: SearchQuery) -> list[Hit]:
        if words_of(query.text):
            return super().search(query)
        documents = [entry.document for entry in list(self._space.entries.values())]
        mine = sorted((d for d in documents if d.tenant == query.tenant), key=lambda d: d.id)
        return [Hit(id=d.id, kind=d.kind, title=d.title, score=0.0) for d in mine][: query.limit]


@mutant(of=MemorySearchIndex, killed_by="SEARCH-14")
class TrimsTitles(DefectiveIndex):
    """White space at the ends of a title is cut off."""

    def stored(self, document: Document) -> Document:
        return replace(document, title=document.title.strip())


@mutant(of=MemorySearchIndex, killed_by="SEARCH-14")
class NormalisesTitles(DefectiveIndex):
    """Titles are returned in their composed form."""

    def stored(self, document: Document) -> Document:
        return replace(document, title=unicodedata.normalize("NFC", document.title))


@mutant(of=MemorySearchIndex, killed_by="SEARCH-14")
class CutsTitles(DefectiveIndex):
    """Titles are cut at 255 characters."""

    def stored(self, document: Document) -> Document:
        return replace(document, title=document.title[:255])


@mutant(of=MemorySearchIndex, killed_by="SEARCH-14")
class TrimsKinds(DefectiveIndex):
    """Characters that cannot be seen are removed from kinds."""

    def stored(self, document: Document) -> Document:
        return replace(document, kind="".join(filter(str.isprintable, document.kind)))


@mutant(of=MemorySearchIndex, killed_by="SEARCH-17")
class TitleIsJustText(DefectiveIndex):
    """A word weighs the same in a title and in a text."""

    def search(self, query: SearchQuery) -> list[Hit]:
        hits = [replace(hit, score=1.0) for hit in self.everything(query)]
        return sorted(hits, key=lambda hit: hit.id)[: query.limit]


def _without_marks(text: str, instead: str) -> str:
    return "".join(instead if unicodedata.category(c).startswith("M") else c for c in text)
