"""The search index on PostgreSQL's own full-text search: tsvector, GIN, ts_rank. Needs no extension."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Self

from stackproof.adapters.postgres_pool import PostgresPool
from stackproof.adapters.postgres_schema import Migration
from stackproof.adapters.postgres_tls import VERIFIED, PostgresTls, postgres_options
from stackproof.adapters.settings import Settings
from stackproof.interfaces import (
    PHRASE_PLACES,
    BackendError,
    ClosedError,
    DeletableIndex,
    Document,
    Hit,
    IndeterminateError,
    Match,
    MatchingIndex,
    RejectedError,
    SearchCapabilities,
    SearchIndex,
    SearchQuery,
    words_of,
)

from .checks import raise_if_any, too_large, utf8_length, words_to_match

MAX_KEY_BYTES = 1024
"""Largest tenant, id and kind: tenant and id together must fit a B-tree entry, which takes 2,704 bytes."""

MAX_POSITIONS = PHRASE_PLACES
"""How many places of one word in a document are kept. PostgreSQL keeps up to 255; ts_rank compares each with each."""

_LAST_POSITION = 16_383
"""The last one that PostgreSQL has: every word behind it is there, and none at the place before, so that none follows another."""
_MAX_VECTOR_BYTES = (1 << 20) - 1

_RANKED_WORDS = 32
"""So many words of a query are looked up in the index and ranked; ts_rank takes quadratic time in their number."""
_WORDS_PER_QUERY = 1000
"""Further words are checked in queries of this size: one tsquery takes 16,384 words at most."""

_BATCH_BYTES = 1 << 20
"""Documents are sent in statements of about this size, so that none of them meets the operation timeout."""

# The tenant is a part of the inverted index: a search costs as much as its own tenant's matches, not everybody's.
# Measured with 60,000 documents: frequent words 2 to 5 times faster with 100 tenants, not slower with one tenant.
# It is an array there because a GIN index over plain text needs an extension (btree_gin).
_MIGRATIONS = (
    Migration(
        1,
        """
        CREATE TABLE documents (
            tenant text COLLATE "C" NOT NULL,
            id text COLLATE "C" NOT NULL,
            kind text COLLATE "C" NOT NULL,
            title text NOT NULL,
            words tsvector NOT NULL,
            PRIMARY KEY (tenant, id)
        );
        CREATE INDEX documents_words ON documents USING gin ((ARRAY[tenant]), words);
        """,
    ),
)

_INDEX = b"""
    INSERT INTO documents (tenant, id, kind, title, words)
    SELECT tenant, id, kind, title, words::tsvector
    FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[]) AS new (tenant, id, kind, title, words)
    ON CONFLICT (tenant, id)
    DO UPDATE SET kind = excluded.kind, title = excluded.title, words = excluded.words
"""

_SEARCH = """
    SELECT id, kind, title, ts_rank(words, %s::tsquery) AS score
    FROM documents
    WHERE ARRAY[tenant] @> ARRAY[%s::text] AND words @@ %s::tsquery{more}
    ORDER BY score DESC, id
    LIMIT %s::int
"""
_OF_KIND = " AND kind = %s::text"
_WITH_FURTHER_WORDS = " AND words @@ ALL(%s::tsquery[])"

# Rows are locked in the order in which `index` writes them, so that the two never wait for each other in a circle.
_DELETE = b"""
    WITH doomed AS (
        SELECT tenant, id FROM documents
        WHERE tenant = %s::text AND id = ANY(%s::text[])
        ORDER BY tenant, id
        FOR UPDATE
    )
    DELETE FROM documents USING doomed WHERE documents.tenant = doomed.tenant AND documents.id = doomed.id
"""


@dataclass(frozen=True, slots=True)
class _Row:
    """A document as it is stored."""

    document: Document
    vector: str

    @property
    def size(self) -> int:
        return len(self.vector) + len(self.document.title)


class PostgresSearchIndex(SearchIndex, DeletableIndex, MatchingIndex):
    """Documents as tsvectors under a GIN index; title weight A, text weight B; ranked by ts_rank.

    **Words** are worked out here, by `words_of`, and reach the server as lexemes, not as text to be parsed. So no text
    is syntax, and neither the server's locale nor its text search configuration changes what is found.

    **Visible** at once: `index` has committed when it returns. A batch is sent in statements of about 1 MB, each a
    transaction of its own. Where a later one fails, the error is an `IndeterminateError`; repeating the call is safe.

    **Rejected** by name: a title with NUL or lone surrogates; a tenant, id or kind with those or beyond 1,024 bytes;
    a document whose distinct words exceed the 1 MB of a tsvector (only characters that grow under normalisation can do
    that: 256 KiB of anything else fit). In a text, NUL and lone surrogates separate words.

    **Ranking** reads every matching row of the tenant, so the time of a search grows with the number of matches. The
    first 32 places of a word in a document and the first 32 words of a query are ranked; all words must match.

    **Phrases** are found where each of their words has its place among the first 32 ones of that word in the document, and
    among the first 16,381 words of title and text together.
    """

    capabilities: ClassVar[SearchCapabilities] = SearchCapabilities(delete=True, matching=True, remote=True)

    def __init__(
        self,
        url: str,
        *,
        namespace: str = "",
        connect_timeout: float = 5.0,
        operation_timeout: float = 5.0,
        max_connections: int = 16,
        tls: PostgresTls = VERIFIED,
    ) -> None:
        self._pool = PostgresPool(
            url,
            component="search",
            migrations=_MIGRATIONS,
            namespace=namespace,
            connect_timeout=connect_timeout,
            operation_timeout=operation_timeout,
            max_connections=max_connections,
            tls=tls,
        )
        self._closed = False

    @classmethod
    def from_settings(cls, settings: Settings, namespace: str = "") -> Self:
        return cls(namespace=namespace, **postgres_options(settings, "the PostgreSQL search index"))

    def index(self, documents: Iterable[Document]) -> int:
        self._must_be_open()
        latest = {(document.tenant, document.id): document for document in documents}
        failed: dict[str, str] = {}
        indexed = 0
        try:
            # In order of their keys: concurrent calls lock rows in the same order and never wait in a circle.
            for batch in _batches(
                self._rows((latest[key] for key in sorted(latest)), failed), self.capabilities.batch_size
            ):
                indexed += self._write(batch, failed)
        except BackendError as error:
            if not indexed:
                raise
            raise IndeterminateError(
                f"{indexed} of {len(latest)} documents were indexed before this: {error}"
            ) from error
        raise_if_any(failed)
        return indexed

    def search(self, query: SearchQuery) -> list[Hit]:
        self._must_be_open()
        words = list(dict.fromkeys(words_of(query.text)))
        if not words or _unstorable(query.tenant) or (query.kind is not None and _unstorable(query.kind)):
            return []  # no document can have such a tenant or kind
        return self._hits(*_search_statement(query, words))

    def search_for(self, match: Match, query: SearchQuery) -> list[Hit]:
        if match is Match.ALL:
            return self.search(query)
        self._must_be_open()
        words = words_to_match(match, query)
        if not words or _unstorable(query.tenant) or (query.kind is not None and _unstorable(query.kind)):
            return []
        return self._hits(*_match_statement(match, query, words))

    def _hits(self, statement: bytes, values: list[Any]) -> list[Hit]:
        found = self._pool.fetch(statement, values)
        return [Hit(id=id_, kind=kind, title=title, score=score) for id_, kind, title, score in found]

    def delete(self, tenant: str, ids: Iterable[str]) -> int:
        self._must_be_open()
        if _unstorable(tenant):
            return 0
        wanted = sorted({document_id for document_id in ids if not _unstorable(document_id)})
        return self._pool.execute(_DELETE, [tenant, wanted])

    def ping(self) -> bool:
        return self._pool.ping()

    def disconnect(self) -> None:
        self._closed = True
        self._pool.close()

    def drop_namespace(self) -> None:
        """Remove everything that was indexed under this namespace."""
        self._pool.drop_namespace()

    def _must_be_open(self) -> None:
        if self._closed:
            raise ClosedError(f"the search index at {self._pool.server} was disconnected")

    def _rows(self, documents: Iterable[Document], failed: dict[str, str]) -> Iterator[_Row]:
        """The rows of the documents that can be stored; the others are added to ``failed``."""
        for document in documents:
            reason = self._reason_to_reject(document)
            vector = None if reason else _vector_of(document)
            if vector is None:
                failed[document.id] = reason or "its distinct words exceed the 1 MB of a tsvector"
            else:
                yield _Row(document, vector)

    def _reason_to_reject(self, document: Document) -> str:
        short = f"{document.tenant}{document.id}{document.kind}{document.title}"
        if not _is_plain(short):  # else no part of it needs a closer look: the usual case
            for name in ("tenant", "id", "kind"):
                reason = _unstorable(getattr(document, name))
                if reason:
                    return f"the {name} {reason}"
            if not _is_storable_text(document.title):
                return "the title has NUL or a lone surrogate"
        return too_large(document, self.capabilities.max_document_bytes)

    def _write(self, rows: Sequence[_Row], failed: dict[str, str]) -> int:
        """Write rows in one transaction; where the server rejects them, by halves, so that it costs nobody but the guilty."""
        columns = [
            [row.document.tenant for row in rows],
            [row.document.id for row in rows],
            [row.document.kind for row in rows],
            [row.document.title for row in rows],
            [row.vector for row in rows],
        ]
        try:
            return self._pool.execute(_INDEX, columns)
        except RejectedError as error:
            if len(rows) == 1:
                failed[rows[0].document.id] = str(error)
                return 0
            half = len(rows) // 2
            return self._write(rows[:half], failed) + self._write(rows[half:], failed)


def _search_statement(query: SearchQuery, words: Sequence[str]) -> tuple[bytes, list[Any]]:
    further = words[_RANKED_WORDS:]
    ranked = _all_of(words[:_RANKED_WORDS])
    values: list[Any] = [ranked, query.tenant, ranked]
    if query.kind is not None:
        values.append(query.kind)
    if further:
        values.append(
            [_all_of(further[start : start + _WORDS_PER_QUERY]) for start in range(0, len(further), _WORDS_PER_QUERY)]
        )
    values.append(query.limit)
    return _search_sql(query.kind is not None, bool(further)), values


@cache
def _search_sql(of_kind: bool, with_further_words: bool) -> bytes:
    more = _OF_KIND * of_kind + _WITH_FURTHER_WORDS * with_further_words
    return _SEARCH.format(more=more).encode()


def _match_statement(match: Match, query: SearchQuery, words: Sequence[str]) -> tuple[bytes, list[Any]]:
    joint, suffix = {Match.ANY: ("|", ""), Match.PHRASE: ("<->", ""), Match.PREFIX: ("&", ":*")}[match]
    wanted = joint.join(f"'{word}'{suffix}" for word in words)
    kind = [] if query.kind is None else [query.kind]
    return _search_sql(query.kind is not None, False), [wanted, query.tenant, wanted, *kind, query.limit]


def _all_of(words: Iterable[str]) -> str:
    """The text form of a tsquery that asks for every word.

    A word has letters, digits and marks only (`words_of`), so between quotes it is one lexeme and needs no escape.
    """
    return "&".join(f"'{word}'" for word in words)


def _vector_of(document: Document) -> str | None:
    """The text form of the tsvector of a document; None where PostgreSQL would not take it."""
    positions: dict[str, list[str]] = {}
    place = 0
    for text, weight in ((document.title, "A"), (document.text, "B")):
        for word in words_of(text):
            place += 1
            places = positions.setdefault(word, [])
            if len(places) < MAX_POSITIONS:
                places.append(f"{place if place < _LAST_POSITION - 1 else _LAST_POSITION}{weight}")
        place += bool(place)  # the last word of the title and the first one of the text are no phrase
    # A lexeme takes its bytes, up to one to align, two for the number of positions and two for each.
    size = sum(utf8_length(word) + 3 + 2 * len(places) for word, places in positions.items())
    if size > _MAX_VECTOR_BYTES:
        return None
    return " ".join(f"'{word}':{','.join(places)}" for word, places in positions.items())


def _batches(rows: Iterable[_Row], most: int) -> Iterator[list[_Row]]:
    """Rows in groups of at most ``most`` and of about `_BATCH_BYTES`."""
    batch: list[_Row] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += row.size
        if size >= _BATCH_BYTES or len(batch) == most:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _is_plain(text: str) -> bool:
    """Whether any part of it can be stored as a key, for which no closer look is needed."""
    return len(text) <= MAX_KEY_BYTES and text.isascii() and "\0" not in text


def _unstorable(key: str) -> str:
    """Why a tenant, id or kind cannot be stored; empty where it can."""
    if _is_plain(key):
        return ""
    if not _is_storable_text(key):
        return "has NUL or a lone surrogate"
    size = utf8_length(key)
    return f"has {size} bytes, the limit is {MAX_KEY_BYTES}" if size > MAX_KEY_BYTES else ""


def _is_storable_text(text: str) -> bool:
    """Whether PostgreSQL can keep it exactly: everything that has a UTF-8 form, except NUL."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
