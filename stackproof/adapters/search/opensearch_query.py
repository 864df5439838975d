"""Queries and their answers: pure, without a connection.

The text of a query is cut into words here, by `words_of`, and each is asked for as a whole term. So no text is syntax.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stackproof.interfaces import Hit, Match, SearchQuery, UnavailableError

WORDS_PER_REQUEST = 900
"""The words of one request. OpenSearch takes 1,024 clauses at most, over all of a request."""


def groups_of(words: Sequence[str]) -> list[Sequence[str]]:
    """The words in parts that fit into a request; the first one is ranked by."""
    return [words[start : start + WORDS_PER_REQUEST] for start in range(0, len(words), WORDS_PER_REQUEST)]


def search_body(query: SearchQuery, words: Sequence[str], size: int, after: Sequence[Any] = ()) -> dict[str, Any]:
    """The best documents that have all these words: by score, then by id. ``after`` is where the page before ended."""
    return _body(query, {"must": [_has(word) for word in words]}, size, after)


def match_body(match: Match, query: SearchQuery, words: Sequence[str]) -> dict[str, Any]:
    """The best documents that match in another way: any of the words, their sequence, or words that begin with them."""
    if match is Match.ANY:
        matching: dict[str, Any] = {"should": [_has(word) for word in words], "minimum_should_match": 1}
    elif match is Match.PHRASE:
        # Cut into words by the analyzer of the field, which separates at the blanks that are put here.
        matching = {"must": [{"match_phrase": {"words": {"query": " ".join(words)}}}]}
    else:
        matching = {"must": [{"prefix": {"words": {"value": word}}} for word in words]}
    return _body(query, matching, query.limit)


def _body(query: SearchQuery, matching: dict[str, Any], size: int, after: Sequence[Any] = ()) -> dict[str, Any]:
    within: list[dict[str, Any]] = [{"term": {"tenant": query.tenant}}]
    if query.kind is not None:
        within.append({"term": {"kind": query.kind}})
    body: dict[str, Any] = {
        "query": {"bool": {"filter": within, **matching}},
        "sort": [{"_score": "desc"}, {"id": "asc"}],
        "size": size,
        "track_total_hits": False,
        "_source": ["id", "kind", "title"],
    }
    if after:
        body["search_after"] = list(after)
    return body


def narrowing_body(keys: Sequence[str], words: Sequence[str]) -> dict[str, Any]:
    """Which of these documents have all these words, too."""
    wanted = [{"ids": {"values": list(keys)}}, *(_has(word) for word in words)]
    return {
        "query": {"bool": {"filter": wanted}},
        "size": len(keys),
        "track_total_hits": False,
        "_source": False,
    }


def checked(answer: dict[str, Any], where: str) -> list[dict[str, Any]]:
    """The hits of an answer that is a whole one: what a shard, or the time, left out is an error."""
    if "error" in answer:
        raise UnavailableError(f"{where} could not search: {answer['error']}")
    if answer.get("timed_out") or answer["_shards"]["failed"]:
        raise UnavailableError(f"{where} could search a part of the index only")
    found: list[dict[str, Any]] = answer["hits"]["hits"]
    return found


def hit_of(found: dict[str, Any]) -> Hit:
    source = found["_source"]
    return Hit(id=source["id"], kind=source["kind"], title=source["title"], score=float(found["sort"][0]))


def _has(word: str) -> dict[str, Any]:
    return {"term": {"words": word}}
