"""Searches by kind of query in a corpus that is a function of its size, so that answers can be checked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stackproof.interfaces import ConfigurationError, Document, Hit, Match, MatchingIndex, SearchIndex, SearchQuery
from stackproof.scenarios.item import Item

from . import corpus
from .base import Action, Bench, PreparationError, Step, Tell
from .corpus import Wanted
from .filling import fill

CHECKED = 16
"""One answer in this many is checked hit by hit."""
HITS_CHECKED = 5
COUNTED = 24
"""Queries of which it is known how many documents they find."""
DOCUMENTS_IN_CALL = 1_000
CALLS_AT_ONCE = 2
CORPUS = "corpus"
"""How a session remembers that documents 0 to n are in its index. A larger corpus begins with all of a smaller one."""


@dataclass(frozen=True)
class Search(Step):
    """A `SearchIndex.search` of one kind of query (term, phrase, or, prefix, filtered) over ``records`` documents.

    Checked, in one answer of sixteen: that its best hits match, that scores do not rise; and, for the first queries, that as
    many are found as there are.
    """

    kind: str = "term"
    records: int = 10_000

    name = "search"
    concern = "search"

    def bind(self, bench: Bench) -> Action:
        if self.kind not in corpus.QUERY_KINDS:
            raise ConfigurationError(f"{self.kind!r} is no kind of query; known are: {', '.join(corpus.QUERY_KINDS)}")
        find = _finder(bench.search, self.kind)
        queries = [corpus.query(self.kind, number, self.records) for number in range(bench.keys.size)]
        counts: list[int] = []
        checks = bench.checks

        def prepare(tell: Tell, deadline: float) -> None:
            _index(bench, self.records, tell, deadline)
            counts.extend(_counted(queries[:COUNTED], self.records, tell, deadline))

        def act(item: Item, _turn: int) -> None:
            number = item.key - 1
            wanted = queries[number]
            hits = find(wanted.query)
            counted = number < len(counts)
            if not counted and item.number % CHECKED:
                return
            checks.saw("answers")
            if counted and len(hits) < min(counts[number], wanted.query.limit):
                checks.lose(
                    min(counts[number], wanted.query.limit) - len(hits),
                    f"the {self.kind} query {wanted.query.text!r} finds {len(hits)} documents; {counts[number]} match",
                )
                counts[number] = len(hits)  # they are lost once, and not once more in each answer that follows
                raise LookupError(wanted.query.text)
            trouble = trouble_with(hits[:HITS_CHECKED], wanted, self.records)
            if trouble:
                raise checks.wrong_answer(f"the {self.kind} query {wanted.query.text!r} {trouble}")

        bench.prepare_with(prepare)
        return act


def trouble_with(hits: list[Hit], wanted: Wanted, records: int) -> str:
    """What is wrong with the best hits of an answer; empty where nothing is. Pure."""
    for number, hit in enumerate(hits):
        document = corpus.number_of(hit.id)
        if document is None or document >= records:
            return f"found {hit.id!r}, which is no document of the corpus"
        if not wanted.finds(corpus.Seen(corpus.document(document))):
            return f"found {hit.id!r}, which does not match"
        if number and hit.score > hits[number - 1].score:
            return f"has a score that rises, at {hit.id!r}"
    return ""


def _finder(index: SearchIndex, kind: str) -> Callable[[SearchQuery], list[Hit]]:
    match = {"phrase": Match.PHRASE, "or": Match.ANY, "prefix": Match.PREFIX}.get(kind)
    if match is None:
        return index.search
    if not isinstance(index, MatchingIndex):
        raise ConfigurationError(f"{type(index).__name__} has no {kind} queries: it is no MatchingIndex")
    search_for = index.search_for
    return lambda query: search_for(match, query)


def _index(bench: Bench, records: int, tell: Tell, deadline: float) -> None:
    """This worker's share of the corpus, then the time that the index needs to show it."""
    there = bench.filled.of(CORPUS)
    if there > records:
        raise PreparationError(
            f"the index holds {there:,} documents of this session already: searches among {records:,} have to come first"
        )
    if there == records:
        return
    first, step = bench.share("search")
    calls = range(there + first * DOCUMENTS_IN_CALL, records, step * DOCUMENTS_IN_CALL)

    def put(begin: int) -> None:
        bench.search.index(corpus.document(number) for number in range(begin, min(begin + DOCUMENTS_IN_CALL, records)))

    fill(f"indexing {records - there:,} documents, calls", calls, len(calls), put, tell, deadline, CALLS_AT_ONCE)
    bench.filled.up_to(CORPUS, records)
    time.sleep(getattr(getattr(bench.search, "capabilities", None), "visible_within", 0.0))


def _counted(queries: list[Wanted], records: int, tell: Tell, deadline: float) -> list[int]:
    """How many documents the queries find, by the definition."""

    def documents() -> Iterator[Document]:
        for number in range(records):
            if number % 100 == 0:
                time.sleep(0)  # others may run
            if number % 1000 == 0:
                tell("working out what must be found", number / records)
                if time.monotonic() > deadline:
                    raise PreparationError(f"counting in {records:,} documents took too long; ask for fewer records")
            yield corpus.document(number)

    return corpus.matches(queries, documents())
