"""Queries for any word, phrases and beginnings of words: every index that has them finds what the definition says."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from shared_servers import postgres_url, variables_of

from stackproof.adapters.search.memory import MemorySearchIndex
from stackproof.adapters.settings import Settings
from stackproof.interfaces import (
    MAX_MATCH_WORDS,
    ClosedError,
    Document,
    Match,
    MatchingIndex,
    RejectedError,
    SearchIndex,
    SearchQuery,
)
from stackproof.scenarios.steps.corpus import Seen, Wanted

WORDS = ("go", "gold", "golden", "card", "cards", "car", "blue", "ünique", "über")
"""Few, and some the beginning of others: so that whatever can be confused is."""


def made(kind: str, namespace: str) -> Any:
    if kind == "memory":
        return MemorySearchIndex(namespace=namespace)
    if kind == "postgres":
        from stackproof.adapters.search.postgres import PostgresSearchIndex

        return PostgresSearchIndex(postgres_url(), namespace=namespace)
    from stackproof.adapters.search.opensearch import OpenSearchSearchIndex

    return OpenSearchSearchIndex.from_settings(Settings(variables_of("opensearch")), namespace)


def documents() -> list[Document]:
    draw = random.Random(4)
    return [
        Document(
            tenant=draw.choice(["a", "b"]),
            id=f"d{number}",
            title=" ".join(draw.choices(WORDS, k=draw.randint(0, 3))),
            text=" ".join(draw.choices(WORDS, k=draw.randint(0, 8))),
            kind=draw.choice(["offer", "page"]),
        )
        for number in range(150)
    ]


@pytest.fixture(params=["memory", "postgres", "opensearch"], scope="module")
def index(request: pytest.FixtureRequest) -> Iterator[SearchIndex]:
    index = made(request.param, f"matching-{random.SystemRandom().randrange(1 << 40):x}")
    try:
        index.index(documents())
        yield index
        index.drop_namespace()
    finally:
        index.disconnect()


@pytest.mark.parametrize("match", list(Match))
def test_what_is_found_is_what_the_definition_says(index: MatchingIndex, match: Match) -> None:
    draw = random.Random(5)
    seen = [(document, Seen(document)) for document in documents()]
    met = 0
    for _ in range(60):
        words = draw.choices([*WORDS, "g", "c", "ü", "nothing"], k=draw.randint(1, 3))
        query = SearchQuery(
            tenant=draw.choice(["a", "b"]),
            text=" ".join(words).upper(),
            kind=draw.choice([None, "offer", "page"]),
            limit=1000,
        )
        wanted = Wanted(match, query)
        must = {document.id for document, each in seen if document.tenant == query.tenant and wanted.finds(each)}
        hits = index.search_for(match, query)
        assert {hit.id for hit in hits} == must, query
        assert hits == sorted(hits, key=lambda hit: (-hit.score, hit.id))
        assert [hit.id for hit in index.search_for(match, _limited(query))] == [hit.id for hit in hits][:3]
        met += bool(must)
    assert met > 20


def _limited(query: SearchQuery) -> SearchQuery:
    return SearchQuery(tenant=query.tenant, text=query.text, kind=query.kind, limit=3)


def test_a_phrase_does_not_go_on_from_the_title_into_the_text(index: Any) -> None:
    index.index([Document(tenant="c", id="x", title="one two", text="three four")])
    found = {
        text: [hit.id for hit in index.search_for(Match.PHRASE, SearchQuery(tenant="c", text=text))]
        for text in ("one two", "three four", "two three", "two one", "one two one")
    }
    assert found == {"one two": ["x"], "three four": ["x"], "two three": [], "two one": [], "one two one": []}


@pytest.mark.parametrize("match", [Match.ANY, Match.PHRASE, Match.PREFIX])
def test_text_is_data_and_limits_are_kept(index: MatchingIndex, match: Match) -> None:
    def search(text: str) -> list[str]:
        return [hit.id for hit in index.search_for(match, SearchQuery(tenant="a", text=text))]

    assert search("") == search("-- ' * ? : & | <-> \\") == []
    assert search("gold:* | 'card") == search("gold card")
    assert search(" ".join(f"w{number}" for number in range(MAX_MATCH_WORDS))) == []
    with pytest.raises(RejectedError, match=f"has {MAX_MATCH_WORDS} at most"):
        search(" ".join(f"w{number}" for number in range(MAX_MATCH_WORDS + 1)))


def test_after_disconnect_it_is_closed() -> None:
    index = MemorySearchIndex()
    index.disconnect()
    for match in Match:
        with pytest.raises(ClosedError):
            index.search_for(match, SearchQuery(tenant="a", text="gold"))
