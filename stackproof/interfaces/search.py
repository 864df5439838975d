"""The search index: documents in, ranked hits out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from enum import StrEnum
from typing import ClassVar

from .capabilities import SearchCapabilities
from .lifecycle import Backend
from .records import Document, Hit, SearchQuery


class SearchIndex(Backend):
    """Full-text search over titles and texts.

    **Words**: `words.words_of` says what a word is. A document matches when every word of the query is among the words
    of its title and text. Text is data, never syntax: there is no operator, quote, wildcard or escape. A query without
    a word finds nothing.

    **Limits**: ids and kinds of up to 512 bytes of UTF-8 work everywhere; an adapter may reject longer ones.

    **Order**: by score, highest first; equal scores by document id (code point order). Scores are finite, >= 0, and only
    comparable within one answer. A word in a title weighs more than the same word in a text of the same length.

    **Visible**: a document is found at the latest ``capabilities.visible_within`` seconds after `index` returned, and by
    then no older version of it is. The same holds for `delete`. Where it is 0, changes are seen in their order: once a change
    was seen, no state before it is found again, also while `index` or `delete` still runs. No answer has a document twice,
    not even in two versions while it is replaced.

    **Isolation**: a document belongs to its tenant; the same id in two tenants is two documents; no query text reaches
    another tenant. So are namespaces.
    """

    capabilities: ClassVar[SearchCapabilities]

    @abstractmethod
    def index(self, documents: Iterable[Document]) -> int:
        """Add documents, replacing those with the same tenant and id; how many were indexed.

        Takes any number. Documents that cannot be indexed raise `RejectedError` whose ``failed`` names each by id; all others
        are indexed. Documents that the server refuses for the moment are sent again, and named in the same way if it refuses
        them to the end. Of two documents with the same tenant and id in one call, the last one counts.
        """

    @abstractmethod
    def search(self, query: SearchQuery) -> list[Hit]:
        """The best ``query.limit`` hits. An error is an error, never an empty list."""


class DeletableIndex(ABC):
    """Optional (``capabilities.delete``): documents can be taken out again."""

    @abstractmethod
    def delete(self, tenant: str, ids: Iterable[str]) -> int:
        """Remove documents; how many there were."""


class Match(StrEnum):
    """Which documents a query means."""

    ALL = "all"
    """Every word of the query is among the words of title and text: what `SearchIndex.search` does."""
    ANY = "any"
    """At least one word of the query is."""
    PHRASE = "phrase"
    """The words of the query follow each other, in this order, within the title or within the text.

    An adapter may keep only the first places of each word in a document, `PHRASE_PLACES` at least, and only those among the
    first `PHRASE_WORDS` words of title and text, and then says so in its docstring: a phrase further on may be missed there. None
    is found that is not in the document.
    """
    PREFIX = "prefix"
    """For every word of the query there is a word in title or text that begins with it."""


class MatchingIndex(ABC):
    """Optional (``capabilities.matching``): queries that mean something else than every word."""

    @abstractmethod
    def search_for(self, match: Match, query: SearchQuery) -> list[Hit]:
        """The best ``query.limit`` documents that match in this way; otherwise as `SearchIndex.search`.

        `RejectedError` for a query of more than `MAX_MATCH_WORDS` different words, where ``match`` is not ALL.
        """


MAX_MATCH_WORDS = 100
"""So many different words a query may have that does not ask for all of them."""

PHRASE_PLACES = 32
"""So many times a word may stand in a document for each of its phrases to be found by every backend."""

PHRASE_WORDS = 16_000
"""Among so many first words of a document every backend finds phrases."""
