"""A corpus to search in: documents and queries as functions of their numbers, and what must be found. Pure.

The vocabulary is Zipf-distributed as a language is, so that frequent words match a good part of all documents, and rare ones few.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from stackproof.interfaces import Document, Match, SearchQuery, words_of
from stackproof.scenarios.distributions import Zipf

from .base import SHARED_TENANT

VOCABULARY = Zipf(20_000, exponent=1.0)
WORDS_IN_TITLE, WORDS_IN_TEXT = 3, 30
KINDS = ("offer", "category", "flow", "page")
HITS = 20
_CONSONANTS, _VOWELS = "bcdfghjklmnpqrstvwxz", "aeiou"
_SYLLABLES = [consonant + vowel for consonant in _CONSONANTS for vowel in _VOWELS]
_STRIDE = 7_654_321
"""No divisor in common with the number of words of four syllables: so words of neighbouring ranks look nothing alike."""
QUERY_KINDS = ("term", "phrase", "or", "prefix", "filtered")
_SEED_OF_QUERIES = 1 << 50


def word(rank: int) -> str:
    """The word of a rank: four syllables, a different one for each rank."""
    number, parts = rank * _STRIDE % len(_SYLLABLES) ** 4, []
    for _ in range(4):
        number, syllable = divmod(number, len(_SYLLABLES))
        parts.append(_SYLLABLES[syllable])
    return "".join(parts)


_WORDS: list[str] = []


def _word(rank: int) -> str:
    if not _WORDS:
        _WORDS.extend(word(each) for each in range(VOCABULARY.size + 1))
    return _WORDS[rank]


def document(number: int) -> Document:
    """Document ``number``, the same in every process."""
    draw = random.Random(number).random  # noqa: S311 - no secret
    kind = KINDS[int(draw() * len(KINDS))]
    words = [_word(VOCABULARY.rank(draw())) for _ in range(WORDS_IN_TITLE + WORDS_IN_TEXT)]
    return Document(
        tenant=SHARED_TENANT,
        id=f"d{number}",
        title=" ".join([*words[:WORDS_IN_TITLE], f"d{number}"]),
        text=" ".join(words[WORDS_IN_TITLE:]),
        kind=kind,
    )


def number_of(document_id: str) -> int | None:
    """The number of a document by its id; None where it is no id of the corpus."""
    digits = document_id[1:]
    return int(digits) if document_id[:1] == "d" and digits.isascii() and digits.isdigit() else None


@dataclass(frozen=True)
class Wanted:
    """A query, and what it means."""

    match: Match
    query: SearchQuery

    @cached_property
    def words(self) -> tuple[str, ...]:
        return tuple(words_of(self.query.text))

    def finds(self, seen: Seen) -> bool:
        """Whether a document matches: the definition, word by word."""
        if self.query.kind is not None and seen.kind != self.query.kind:
            return False
        if self.match is Match.ALL:
            return seen.words.issuperset(self.words)
        if self.match is Match.ANY:
            return not seen.words.isdisjoint(self.words)
        if self.match is Match.PREFIX:
            return all(prefix in seen.beginnings(len(prefix)) for prefix in self.words)
        return seen.words.issuperset(self.words) and (
            _has_run(seen.title, self.words) or _has_run(seen.text, self.words)
        )


class Seen:
    """A document, taken apart once for all queries that are held to it."""

    def __init__(self, document: Document) -> None:
        self.kind = document.kind
        self.title, self.text = words_of(document.title), words_of(document.text)
        self.words = frozenset([*self.title, *self.text])
        self._beginnings: dict[int, frozenset[str]] = {}

    def beginnings(self, length: int) -> frozenset[str]:
        """The first letters of its words, of those that have so many."""
        if length not in self._beginnings:
            self._beginnings[length] = frozenset(word[:length] for word in self.words if len(word) >= length)
        return self._beginnings[length]


def _has_run(words: Sequence[str], run: Sequence[str]) -> bool:
    length = len(run)
    return any(tuple(words[at : at + length]) == tuple(run) for at in range(len(words) - length + 1))


def query(kind: str, number: int, records: int) -> Wanted:
    """Query ``number`` of a kind over a corpus of so many records. Its words stand in some document: it finds something."""
    draw = random.Random(_SEED_OF_QUERIES + number)  # noqa: S311 - no secret
    source = document(draw.randrange(records))
    words = source.text.split()
    at = draw.randrange(len(words) - 1)
    narrowed = source.kind if kind == "filtered" else None
    match, text = {
        "term": (Match.ALL, words[at]),
        "filtered": (Match.ALL, words[at]),
        "phrase": (Match.PHRASE, f"{words[at]} {words[at + 1]}"),
        "or": (Match.ANY, " ".join([words[at], *(_any_word(draw, records) for _ in range(2))])),
        "prefix": (Match.PREFIX, words[at][:4]),
    }[kind]
    return Wanted(match, SearchQuery(tenant=SHARED_TENANT, text=text, kind=narrowed, limit=HITS))


def _any_word(draw: random.Random, records: int) -> str:
    return draw.choice(document(draw.randrange(records)).text.split())


def matches(wanted: Sequence[Wanted], documents: Iterable[Document]) -> list[int]:
    """How many of the documents each query finds, up to one more than it asks for: the small model of an index."""
    found = [0] * len(wanted)
    unsure = list(enumerate(wanted))
    """Those that have not found as many yet: once there are none, nobody has to look at the other documents."""
    for candidate in documents:
        seen = Seen(candidate)
        for number, each in unsure:
            found[number] += each.finds(seen)
        unsure = [(number, each) for number, each in unsure if found[number] <= each.query.limit]
        if not unsure:
            break
    return found
