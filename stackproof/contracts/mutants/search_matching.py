"""Mutants of the search index that get a kind of match wrong: `MemorySearchIndex` with one defect each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from stackproof.adapters.search.memory import MemorySearchIndex
from stackproof.interfaces import (
    MAX_HITS,
    MAX_MATCH_WORDS,
    Document,
    Hit,
    Match,
    SearchCapabilities,
    SearchQuery,
    words_of,
)

from . import mutant


class DefectiveMatches(MemorySearchIndex):
    """The reference with a place to put a defect: what one kind of match does."""

    wrong: Match

    def search_for(self, match: Match, query: SearchQuery) -> list[Hit]:
        return self.wrongly(query) if match is self.wrong else self.rightly(match, query)

    def rightly(self, match: Match, query: SearchQuery) -> list[Hit]:
        return super().search_for(match, query)

    def wrongly(self, query: SearchQuery) -> list[Hit]:
        raise NotImplementedError

    def all_that(self, query: SearchQuery, wanted: Iterable[Document]) -> list[Hit]:
        """These documents as hits, all of one score."""
        hits = (Hit(id=d.id, kind=d.kind, title=d.title, score=1.0) for d in wanted)
        return sorted(hits, key=lambda hit: hit.id)[: query.limit]

    def documents_of(self, query: SearchQuery) -> list[Document]:
        with self._space.lock:
            found = [entry.document for (tenant, _), entry in self._space.entries.items() if tenant == query.tenant]
        return [document for document in found if query.kind is None or document.kind == query.kind]


@mutant(of=MemorySearchIndex, killed_by="SEARCH-24")
class AnyMeansAll(DefectiveMatches):
    """A query for any of its words asks for all of them."""

    wrong = Match.ANY

    def wrongly(self, query: SearchQuery) -> list[Hit]:
        return self.search(query)


@mutant(of=MemorySearchIndex, killed_by="SEARCH-24")
class AnyFindsBeginnings(DefectiveMatches):
    """A query for any of its words also finds words that only begin with one."""

    wrong = Match.ANY

    def wrongly(self, query: SearchQuery) -> list[Hit]:
        words = words_of(query.text)
        return self.all_that(
            query,
            (
                document
                for document in self.documents_of(query)
                if any(has.startswith(word) for has in words_of(f"{document.title} {document.text}") for word in words)
            ),
        )


@mutant(of=MemorySearchIndex, killed_by="SEARCH-24")
class AnyOfTheFirstFew(DefectiveMatches):
    """Only the first ten words of a query for any of them are asked for."""

    wrong = Match.ANY

    def wrongly(self, query: SearchQuery) -> list[Hit]:
        return self.rightly(Match.ANY, replace(query, text=" ".join(words_of(query.text)[:10])))


@mutant(of=MemorySearchIndex, killed_by="SEARCH-24")
class AnyOnceForEachWord(DefectiveMatches):
    """A query for any of its words is one search for each, and a document that has two is a hit twice."""

    wrong = Match.ANY

    def wrongly(self, query: SearchQuery) -> list[Hit]:
        words = dict.fromkeys(words_of(query.text))
        hits = [hit for word in words for hit in self.search(replace(query, text=word))]
        return sorted(hits, key=lambda hit: (-hit.score, hit.id))[: query.limit]


@mutant(of=MemorySearchIndex, killed_by="SEARCH-24")
class MatchesInSecret(MemorySearchIndex):
    """Any, phrases and beginnings are found, and not declared."""

    capabilities = SearchCapabilities(delete=True, matching=False)


@mutant(of=MemorySearchIndex, killed_by="SEARCH-25")
class PhraseIsAllWords(DefectiveMatches):
    """A phrase is a query for all of its words, wherever they are."""

    wrong = Match.PHRASE

    def wrongly(self, query: SearchQuery) -> list[Hit]:
        return self.search(query)


@mutant(of=MemorySearchIndex, killed_by="SEARCH-25")
class PhraseCrossesFields(DefectiveMatches):
    """A phrase may begin in the title and go on in the text."""

    wrong = Match.PHRASE

    def wrongly(self, query: SearchQuery) -> list[Hit]:
        phrase = " ".join(words_of(query.text))
        return self.all_that(
            query,
            (
                document
                for document in self.documents_of(query)
                if phrase and f" {phrase} " in f" {' '.join(words_of(f'{document.title} {document.text}'))} "
            ),
        )


@mutant(of=MemorySearchIndex, killed_by="SEARCH-25")
class PhraseEndsWithABeginning(DefectiveMatches):
    """The last word of a phrase may be the beginning of a word, as in suggestions."""

    wrong = Match.PHRASE

    def wrongly(self, query: SearchQuery) -> list[Hit]:
        phrase = " ".join(words_of(query.text))
        return self.all_that(
            query,
            (
                document
                for document in self.documents_of(query)
                if phrase
                and any(f" {phrase}" in f" {' '.join(words_of(text))}" for text in (document.title, document.text))
            ),
        )


@mutant(of=MemorySearchIndex, killed_by="SEARCH-25")
class PhraseInAnyOrder(DefectiveMatches):
    """The words of a phrase must be neighbours, in any order."""

    wrong = Match.PHRASE

    def wrongly(self, query: SearchQuery) -> list[Hit]:
        words = words_of(query.text)
        rows = (" ".join(order) for order in (words, words[::-1]))
        found = {hit.id: hit for row in rows for hit in self.rightly(Match.PHRASE, replace(query, text=row))}
        return sorted(found.values(), key=lambda hit: (-hit.score, hit.id))[: query.limit]


@mutant(of=MemorySearchIndex, killed_by="SEARCH-26")
class BeginningIsMiddle(DefectiveMatches):
    """A query for beginnings finds words that have it anywhere, as LIKE '%word%' does."""

    wrong = Match.PREFIX

    def wrongly(self, query: SearchQuery) -> list[Hit]:
        words = words_of(query.text)
        return self.all_that(
            query,
            (
                document
                for document in self.documents_of(query)
                if words
                and all(any(word in has for has in words_of(f"{document.title} {document.text}")) for word in words)
            ),
        )


@mutant(of=MemorySearchIndex, killed_by="SEARCH-26")
class OnlyTheLastIsABeginning(DefectiveMatches):
    """Only the last word of a query for beginnings may be one; the others must be whole words."""

    wrong = Match.PREFIX

    def wrongly(self, query: SearchQuery) -> list[Hit]:
        *whole, _ = words_of(query.text) or [""]
        hits = self.rightly(Match.PREFIX, replace(query, limit=MAX_HITS))
        if whole:
            kept = {hit.id for hit in self.search(replace(query, text=" ".join(whole), limit=MAX_HITS))}
            hits = [hit for hit in hits if hit.id in kept]
        return hits[: query.limit]


@mutant(of=MemorySearchIndex, killed_by="SEARCH-26")
class OneBeginningIsEnough(DefectiveMatches):
    """A query for several beginnings finds what has one of them."""

    wrong = Match.PREFIX

    def wrongly(self, query: SearchQuery) -> list[Hit]:
        found = {
            hit.id: hit
            for word in words_of(query.text)
            for hit in self.rightly(Match.PREFIX, replace(query, text=word, limit=MAX_HITS))
        }
        return sorted(found.values(), key=lambda hit: (-hit.score, hit.id))[: query.limit]


@mutant(of=MemorySearchIndex, killed_by="SEARCH-27")
class MatchForgetsTheTenant(DefectiveMatches):
    """A query for any of its words is not bound to its tenant."""

    wrong = Match.ANY

    def wrongly(self, query: SearchQuery) -> list[Hit]:
        with self._space.lock:
            tenants = {tenant for tenant, _ in self._space.entries}
        hits = [hit for tenant in tenants for hit in self.rightly(Match.ANY, replace(query, tenant=tenant))]
        return sorted(hits, key=lambda hit: (-hit.score, hit.id))[: query.limit]


@mutant(of=MemorySearchIndex, killed_by="SEARCH-27")
class MatchForgetsTheKind(DefectiveMatches):
    """A phrase is found in documents of every kind."""

    wrong = Match.PHRASE

    def wrongly(self, query: SearchQuery) -> list[Hit]:
        return self.rightly(Match.PHRASE, replace(query, kind=None))


@mutant(of=MemorySearchIndex, killed_by="SEARCH-27")
class MatchCutsBeforeItSorts(DefectiveMatches):
    """The limit of a query for beginnings takes the first ids, and sorts those by score."""

    wrong = Match.PREFIX

    def wrongly(self, query: SearchQuery) -> list[Hit]:
        hits = self.rightly(Match.PREFIX, replace(query, limit=MAX_HITS))
        first = sorted(hits, key=lambda hit: hit.id)[: query.limit]
        return sorted(first, key=lambda hit: (-hit.score, hit.id))


@mutant(of=MemorySearchIndex, killed_by="SEARCH-27")
class AsteriskIsSyntax(DefectiveMatches):
    """A word of a query for any of them that ends with an asterisk finds what begins with it."""

    wrong = Match.ANY

    def wrongly(self, query: SearchQuery) -> list[Hit]:
        beginning, asterisk, _ = query.text.partition("*")
        if asterisk and words_of(beginning):
            return self.rightly(Match.PREFIX, replace(query, text=beginning))
        return self.rightly(Match.ANY, query)


@mutant(of=MemorySearchIndex, killed_by="SEARCH-27")
class LongQueriesAreCut(DefectiveMatches):
    """Of a phrase that is too long the beginning is searched for, and nobody is told."""

    wrong = Match.PHRASE

    def wrongly(self, query: SearchQuery) -> list[Hit]:
        text = " ".join(words_of(query.text)[:MAX_MATCH_WORDS])
        return self.rightly(Match.PHRASE, replace(query, text=text))
