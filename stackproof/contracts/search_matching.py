"""The clauses of the search index about queries that mean something else than every word: any word, phrases, beginnings.

What must be found follows from the definition of `Match` and of a word, and from nothing that a back-end has.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any

from stackproof.interfaces import (
    MAX_HITS,
    MAX_MATCH_WORDS,
    Document,
    Hit,
    Match,
    RejectedError,
    SearchQuery,
    UnsupportedError,
    words_of,
)

from .clauses import absence, clause
from .evidence import Evidence
from .expectations import expect, expect_error
from .search_sequences import SearchSequenceClauses
from .search_text import TENANT, document_of, ids

WORDS = ("go", "gold", "golden", "card", "cards", "car", "blue", "über", "übermut")
"""Few, and some the beginning of others, so that whatever can be confused is."""
PARTS = ("g", "c", "ü", "old", "nothing")
"""What begins words, ends them, or is in none."""
NEITHER_ALL = (Match.ANY, Match.PHRASE, Match.PREFIX)


class SearchMatchingClauses(SearchSequenceClauses):
    """Optional: what `MatchingIndex` promises."""

    @clause(
        "SEARCH-24",
        "A query for any of its words finds the documents that have at least one of them, each once.",
        because="what a visitor types is seldom all in one document; without the others a page stays empty",
        needs="matching",
        sees=(("documents found by one of several words", 4), ("queries compared with the definition", 40)),
    )
    def test_any_word_is_enough(self, index: Any, evidence: Evidence) -> None:
        self.add(
            index,
            document_of("title", "gold card"),
            document_of("text", "", "the gold of a silver mine"),
            document_of("part", "golden", "marigold"),
            document_of("none", "copper"),
        )
        found = sorted(matched(index, Match.ANY, "Gold SILVER missing"))
        expect(found, "ids found by any of: gold, silver, missing").equals(["text", "title"])
        evidence.saw("documents found by one of several words", len(found))
        expect(matched(index, Match.ANY, "missing nothing"), "ids found by words that no document has").equals([])
        many = " ".join([*(f"w{number}" for number in range(MAX_MATCH_WORDS - 1)), "copper"])
        found = matched(index, Match.ANY, many)
        expect(found, f"ids found by the last of {MAX_MATCH_WORDS} words").equals(["none"])
        evidence.saw("documents found by one of several words", len(found))
        found = matched(index, Match.ANY, "golden golden golden")
        expect(found, "ids found by a word that is repeated").equals(["part"])
        evidence.saw("documents found by one of several words", len(found))
        self._agrees(index, Match.ANY, evidence)

    @clause(
        "SEARCH-25",
        "A query for a phrase finds the documents in which its words follow each other, in the title or in the text.",
        because="a name of two words that also finds every page with both somewhere is found by nobody",
        needs="matching",
        sees=(("documents found by a phrase", 5), ("queries compared with the definition", 40)),
    )
    def test_a_phrase_is_words_in_a_row(self, index: Any, evidence: Evidence) -> None:
        self.add(
            index,
            document_of("row", "Gold-Card", "one two three"),
            document_of("apart", "gold and card", "three two one"),
            document_of("turned", "card gold", "two two"),
            document_of("across", "gold", "card"),
        )
        for phrase, wanted in (
            ("gold card", ["row"]),
            ("GOLD, card!", ["row"]),
            ("card gold", ["turned"]),
            ("two three", ["row"]),
            ("two two", ["turned"]),
            ("card one", []),  # the title does not go on into the text
            ("one three", []),
            ("two two two", []),
            ("gold car", []),
        ):
            found = sorted(matched(index, Match.PHRASE, phrase))
            expect(found, f"ids found by the phrase {phrase!r}").equals(wanted)
            evidence.saw("documents found by a phrase", len(found))
        self._agrees(index, Match.PHRASE, evidence)

    @clause(
        "SEARCH-26",
        "A query for beginnings finds the documents in which every word of the query begins some word.",
        because="suggestions while somebody types ask for beginnings; what also finds middles suggests nonsense",
        needs="matching",
        sees=(("documents found by a beginning", 5), ("queries compared with the definition", 40)),
    )
    def test_words_begin_with_what_is_asked_for(self, index: Any, evidence: Evidence) -> None:
        self.add(
            index,
            document_of("long", "golden cards"),
            document_of("short", "gold", "a car"),
            document_of("inner", "marigold", "scarce"),
            document_of("one", "goldfish"),
        )
        for text, wanted in (
            ("gol", ["long", "one", "short"]),
            ("GOLD", ["long", "one", "short"]),
            ("golde", ["long"]),
            ("gold card", ["long"]),
            ("ca go", ["long", "short"]),
            ("old", []),
            ("goldens", []),
            ("gol nothing", []),
        ):
            found = sorted(matched(index, Match.PREFIX, text))
            expect(found, f"ids found by words that begin with {text!r}").equals(wanted)
            evidence.saw("documents found by a beginning", len(found))
        self._agrees(index, Match.PREFIX, evidence)

    @clause(
        "SEARCH-27",
        "Kinds, tenants, limits, the order of hits and text that is no syntax hold for every kind of match.",
        because="a second way to ask is a second way to another tenant's documents, and to the parser of the server",
        needs="matching",
        sees=(("matches compared", 4), ("queries that were too long", 3)),
    )
    def test_every_match_keeps_the_rules_of_a_search(self, index: Any, evidence: Evidence) -> None:
        mine = [Document(tenant=TENANT, id=f"m{n}", title="gold " * (n % 3 + 1), kind="offer") for n in range(7)]
        self.add(
            index,
            *mine,
            Document(tenant=TENANT, id="page", title="gold", kind="page"),
            Document(tenant="other", id="theirs", title="gold"),
        )
        for match in Match:
            hits = _hits(index, match, "gold")
            self._expect_rules(index, match, hits)
            evidence.saw("matches compared")
        whole = [hit.id for hit in _hits(index, Match.ALL, "gold")]
        expect(whole, "ids found for all words, by search_for").equals(ids(index, "gold"))
        for match in NEITHER_ALL:
            with expect_error(RejectedError, f"a query for {match.value} of {MAX_MATCH_WORDS + 1} words"):
                _hits(index, match, " ".join(f"w{number}" for number in range(MAX_MATCH_WORDS + 1)))
            evidence.saw("queries that were too long")

    @staticmethod
    def _expect_rules(index: Any, match: Match, hits: Sequence[Hit]) -> None:
        what = f"for {match.value}"
        order = sorted(hits, key=lambda hit: (-hit.score, hit.id))
        expect([hit.id for hit in hits], f"ids {what}").equals([hit.id for hit in order])
        expect(sorted(hit.id for hit in hits), f"ids of one's own tenant {what}").equals(
            [*(f"m{n}" for n in range(7)), "page"]
        )
        first = [hit.id for hit in _hits(index, match, "gold", limit=3)]
        expect(first, f"the best three {what}").equals([hit.id for hit in hits][:3])
        of_kind = [hit.id for hit in _hits(index, match, "gold", kind="page")]
        expect(of_kind, f"ids of one kind {what}").equals(["page"])
        for text in ("", "-- ' * ? : & | <-> ~ ( ) \\", "\0"):
            expect(_hits(index, match, text), f"hits of {text!r} {what}, in which is no word").equals([])
        for text in ("gold*", "gold:*", "'gold'", "(gold)", "gold -", "!gold", "gold~2"):
            wanted = [hit.id for hit in _hits(index, match, " ".join(words_of(text)))]
            expect([hit.id for hit in _hits(index, match, text)], f"ids of {text!r} {what}").equals(wanted)
        expect(_hits(index, match, "go*d"), f"hits of a pattern {what}").equals([])

    def _agrees(self, index: Any, match: Match, evidence: Evidence) -> None:
        """Random queries over few words find exactly what the definition says."""
        draw = random.Random(24)  # noqa: S311 - test data
        documents = [
            document_of(
                f"d{number}",
                " ".join(draw.choices(WORDS, k=draw.randint(0, 3))),
                " ".join(draw.choices(WORDS, k=draw.randint(0, 7))),
            )
            for number in range(80)
        ]
        others = [document_of(hit, "replaced") for hit in ("title", "text", "part", "none", "row", "apart", "turned")]
        others += [document_of(hit, "replaced") for hit in ("across", "long", "short", "inner", "one")]
        self.add(index, *documents, *others)
        for _ in range(50):
            text = " ".join(draw.choices([*WORDS, *PARTS], k=draw.randint(1, 3)))
            wanted = sorted(document.id for document in documents if finds(match, text, document))
            found = sorted(matched(index, match, text, limit=MAX_HITS))
            expect(found, f"ids found by {text!r} for {match.value}").equals(wanted)
            evidence.saw("queries compared with the definition")

    def _prove_absent(self, index: Any, match: Match, evidence: Evidence) -> None:
        self.add(index, document_of("a", "gold card"))
        if callable(getattr(index, "search_for", None)):
            with expect_error(UnsupportedError, f"search_for({match.value}), which is not declared"):
                matched(index, match, "gold card")
        expect(ids(index, "gold"), "ids found by search").equals(["a"])
        evidence.saw("absence probes")

    @absence("SEARCH-24")
    def prove_that_any_is_not_offered(self, index: Any, evidence: Evidence) -> None:
        self._prove_absent(index, Match.ANY, evidence)

    @absence("SEARCH-25")
    def prove_that_phrases_are_not_offered(self, index: Any, evidence: Evidence) -> None:
        self._prove_absent(index, Match.PHRASE, evidence)

    @absence("SEARCH-26")
    def prove_that_beginnings_are_not_offered(self, index: Any, evidence: Evidence) -> None:
        self._prove_absent(index, Match.PREFIX, evidence)

    @absence("SEARCH-27")
    def prove_that_no_match_is_offered(self, index: Any, evidence: Evidence) -> None:
        self._prove_absent(index, Match.ALL, evidence)


def matched(index: Any, match: Match, text: str, *, limit: int = 20) -> list[str]:
    """The ids that are found."""
    return [hit.id for hit in _hits(index, match, text, limit=limit)]


def _hits(index: Any, match: Match, text: str, *, kind: str | None = None, limit: int = 20) -> list[Hit]:
    hits: list[Hit] = index.search_for(match, SearchQuery(tenant=TENANT, text=text, kind=kind, limit=limit))
    return hits


def finds(match: Match, text: str, document: Document) -> bool:
    """Whether a query means this document: the definition of `Match`, word by word."""
    words = words_of(text)
    title, body = words_of(document.title), words_of(document.text)
    has = {*title, *body}
    if not words:
        return False
    if match is Match.ALL:
        return has >= set(words)
    if match is Match.ANY:
        return bool(has & set(words))
    if match is Match.PREFIX:
        return all(any(word.startswith(beginning) for word in has) for beginning in words)
    return _has_row(title, words) or _has_row(body, words)


def _has_row(words: Iterable[str], row: Sequence[str]) -> bool:
    words = list(words)
    return any(words[at : at + len(row)] == list(row) for at in range(len(words) - len(row) + 1))
