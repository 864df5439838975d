"""The search index on OpenSearch, own or Amazon's: BM25 over words of ours, bulk requests with an end for each document."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

from opensearchpy import OpenSearch
from opensearchpy.exceptions import TransportError

from stackproof.adapters.settings import Settings
from stackproof.interfaces import (
    BackendError,
    ConfigurationError,
    DeletableIndex,
    Document,
    Hit,
    IndeterminateError,
    Match,
    MatchingIndex,
    OperationTimeoutError,
    RejectedError,
    SearchCapabilities,
    SearchIndex,
    SearchQuery,
    UnavailableError,
    words_of,
)

from . import opensearch_mapping as mapping
from .checks import raise_if_any, too_large, utf8_length, words_to_match
from .opensearch_bulk import BulkWriter, RequestTooLargeError, Tally, Write, chunks, routing_of
from .opensearch_client import Effect, OpenSearchClient
from .opensearch_errors import TOO_LARGE, reason_of, status_of
from .opensearch_place import OpenSearchPlace, service_of
from .opensearch_query import checked, groups_of, hit_of, match_body, narrowing_body, search_body

MAX_FIELD_BYTES = 1024
"""Largest tenant, id and kind."""
BULK_BYTES = 2 * 1024 * 1024
"""About how large a bulk request is: each has to end in the operation timeout, and Amazon takes 10 MB on small machines."""
PAGE = 1000
"""How many candidates are looked at in one step, where a query has too many words for one request."""
SERVERLESS_SECONDS = 60.0
"""After how long Serverless shows what was indexed; nobody can make it sooner there."""


class OpenSearchSearchIndex(SearchIndex, DeletableIndex, MatchingIndex):
    """Documents of a namespace in one index, behind the alias of the namespace; ranked by BM25.

    **Words** are worked out here, by `words_of`, and are whole terms for the server: no text is syntax, and no analyzer of the
    server changes what is found. A word of the title counts three times. Scores depend on how frequent a word is in the shard,
    also in documents of other tenants; which documents are found does not.

    **Visible** at once: `index` and `delete` refresh the index once before they return, which costs the server some
    milliseconds. For a stream of small writes give ``visible_within`` (2 seconds or more, ``OPENSEARCH_VISIBLE_WITHIN``): then
    the server's own refresh, once a second, makes them visible, and that is what is declared. A tenant's searches
    go to the same copy of the shard as long as the cluster does not move it, so that they never go back in time.

    **Any number** of documents, in requests of up to 1,000 documents and about 2 MB; one that the server finds too large is
    halved. What the server refuses for the moment is sent again, alone, for as long as the operation timeout; then it is
    named in the `RejectedError`. Where it refuses everything, the error is an `UnavailableError`. Where a later request
    fails, it is an `IndeterminateError`; repeating the call is safe.

    **Order of writes**: each has a version, so that a request that was given up and reaches the server late does not replace
    what was indexed since; for 60 seconds (``index.gc_deletes``) it does not bring back what was deleted either.

    **Rejected** by name: lone surrogates in title, tenant, id or kind; a tenant, id or kind beyond 1,024 bytes. Together tenant
    and id may be longer than OpenSearch's 512 bytes for a key: then the key is a digest of 256 bits.

    **A query** of more than 900 different words takes further requests, and is ranked by the first 900.

    **Limits**: a tenant lives in one shard (so a tenant is as large as a shard may be). Amazon's Serverless was never tried; it
    is taken to show changes after a minute.
    """

    capabilities: ClassVar[SearchCapabilities] = SearchCapabilities(
        delete=True, matching=True, remote=True, throttles=True, partial_batches=True
    )

    def __init__(
        self,
        place: OpenSearchPlace,
        *,
        namespace: str = "",
        connect_timeout: float = 5.0,
        operation_timeout: float = 5.0,
        max_connections: int = 16,
        compress: bool = False,
        visible_within: float = 0.0,
        bulk_bytes: int = BULK_BYTES,
        options: mapping.IndexOptions | None = None,
    ) -> None:
        if 0 < visible_within < 2 * mapping.REFRESH_SECONDS:
            raise ConfigurationError(
                f"visible_within={visible_within:g} cannot be kept: the server refreshes once a second and takes its time; "
                "give 0 (each call refreshes) or 2 and more"
            )
        # The class declares what holds by default; this instance may be told to be seen later.
        self.capabilities = replace(type(self).capabilities, visible_within=visible_within)  # type: ignore[misc]
        self._alias = mapping.alias_of(namespace)
        self._namespace = namespace
        self._options = options or mapping.IndexOptions()
        self._bulk_bytes = bulk_bytes
        self._patience = operation_timeout
        self._ready = False
        self._client = OpenSearchClient(
            place,
            connect_timeout=connect_timeout,
            operation_timeout=operation_timeout,
            max_connections=max_connections,
            compress=compress,
        )
        self._writer = BulkWriter(self._send, operation_timeout, self._client.check_open)
        self._remover = BulkWriter(self._send_once, operation_timeout, self._client.check_open)

    @classmethod
    def from_settings(cls, settings: Settings, namespace: str = "") -> Self:
        serverless = settings.get("OPENSEARCH_AUTH").lower() == "sigv4" and service_of(settings) == "aoss"
        return cls(
            OpenSearchPlace.of(settings),
            namespace=namespace,
            connect_timeout=settings.connect_timeout,
            operation_timeout=settings.operation_timeout,
            max_connections=int(settings.number("OPENSEARCH_MAX_CONNECTIONS", 16, minimum=1)),
            compress=settings.get("OPENSEARCH_COMPRESS", "no").lower() in ("yes", "true", "1"),
            visible_within=settings.number("OPENSEARCH_VISIBLE_WITHIN", SERVERLESS_SECONDS if serverless else 0.0),
            bulk_bytes=int(settings.number("OPENSEARCH_BULK_BYTES", BULK_BYTES, minimum=1)),
            options=mapping.IndexOptions.of(settings),
        )

    def index(self, documents: Iterable[Document]) -> int:
        self._client.check_open()
        latest = {(document.tenant, document.id): document for document in documents}
        tally = Tally()
        self._write(self._writer, self._writes(latest.values(), tally), tally)
        raise_if_any(tally.failed)
        return tally.done

    def search(self, query: SearchQuery) -> list[Hit]:
        self._client.check_open()
        words = list(dict.fromkeys(words_of(query.text)))
        if not words or _unstorable(query.tenant) or (query.kind is not None and _unstorable(query.kind)):
            return []  # no document can have such a tenant or kind
        self._make_ready()
        first, *further = groups_of(words)
        if not further:
            return [hit_of(found) for found in self._page(query, first, query.limit)]
        return self._narrowed(query, first, further)

    def search_for(self, match: Match, query: SearchQuery) -> list[Hit]:
        if match is Match.ALL:
            return self.search(query)
        self._client.check_open()
        words = words_to_match(match, query)
        if not words or _unstorable(query.tenant) or (query.kind is not None and _unstorable(query.kind)):
            return []
        self._make_ready()
        return [hit_of(found) for found in self._found(query.tenant, match_body(match, query, words))]

    def delete(self, tenant: str, ids: Iterable[str]) -> int:
        self._client.check_open()
        wanted = [document_id for document_id in dict.fromkeys(ids) if not _unstorable(document_id)]
        if not wanted or _unstorable(tenant):
            return 0
        self._make_ready()
        mapping.must_be_there(self._client, self._alias)
        tally = Tally()
        self._write(self._remover, (Write.removal(tenant, document_id) for document_id in wanted), tally)
        raise_if_any(tally.failed, "removed")
        return tally.done

    def ping(self) -> bool:
        return self._client.ping()

    def disconnect(self) -> None:
        self._client.close()

    def rebuild(self) -> str:
        """Put a new index, as this release and these options want it, behind the alias; its name.

        Searches go on meanwhile; `index` and `delete` raise `UnavailableError`. See `opensearch_mapping.rebuild`.
        """
        return mapping.rebuild(self._client, self._alias, self._options)

    def drop_namespace(self) -> None:
        """Remove everything that was indexed under this namespace."""
        if not self._namespace:
            raise ConfigurationError("the empty namespace cannot be dropped")
        mapping.drop(self._client, sorted(mapping.behind(self._client, f"{self._alias}-v*")))
        self._ready = False

    # Writing

    def _writes(self, documents: Iterable[Document], tally: Tally) -> Iterator[Write]:
        """The documents that can be indexed; the others are noted."""
        for document in documents:
            reason = self._reason_to_reject(document)
            if reason:
                tally.refused[document.id] = reason
            else:
                yield Write.of(document)

    def _reason_to_reject(self, document: Document) -> str:
        short = f"{document.tenant}{document.id}{document.kind}{document.title}"
        if not _is_plain(short):  # else no part of it needs a closer look: the usual case
            for name in ("tenant", "id", "kind"):
                reason = _unstorable(getattr(document, name))
                if reason:
                    return f"the {name} {reason}"
            if not _has_utf8(document.title):
                return "the title has a lone surrogate"
        return too_large(document, self.capabilities.max_document_bytes)

    def _write(self, writer: BulkWriter, writes: Iterable[Write], tally: Tally) -> None:
        """Write everything and make it visible. An error after something was done is indeterminate."""
        try:
            for chunk in chunks(writes, self.capabilities.batch_size, self._bulk_bytes):
                self._make_ready()
                writer.write(chunk, tally)
            if tally.done and not self.capabilities.visible_within:
                self._refresh()
        except BackendError as error:
            if not tally.done and not tally.in_doubt:
                raise
            raise IndeterminateError(f"{tally.done} documents were written before this: {error}") from error
        if tally.postponed and not tally.done and not tally.refused:
            reason = next(iter(tally.postponed.values()))
            if tally.in_doubt:
                raise IndeterminateError(f"{self._client.where} may have taken some documents, or not: {reason}")
            raise UnavailableError(f"{self._client.where} took no document, nothing was applied: {reason}")

    def _send(self, body: bytes) -> tuple[dict[str, Any], bool]:
        return self._send_as(body, Effect.IDEMPOTENT)

    def _send_once(self, body: bytes) -> tuple[dict[str, Any], bool]:
        """For removals: a second time the answer would say that there was nothing."""
        return self._send_as(body, Effect.ONCE)

    def _send_as(self, body: bytes, effect: Effect) -> tuple[dict[str, Any], bool]:
        params = {"require_alias": "true", **self._client.server_limit(self._patience)}

        def send(api: OpenSearch) -> Any:
            return api.bulk(body=body, index=self._alias, params=params)

        try:
            return self._client.call_noting(send, effect)
        except RejectedError as error:
            cause = error.__cause__
            if isinstance(cause, TransportError) and status_of(cause) == TOO_LARGE:
                told = reason_of(cause.info) or "no reason given"
                raise RequestTooLargeError(
                    f"the server does not take a request of {len(body)} bytes: {told}"
                ) from error
            raise

    def _refresh(self) -> None:
        answer = self._client.call(lambda api: api.indices.refresh(index=self._alias), Effect.IDEMPOTENT)
        if answer["_shards"]["failed"]:
            raise IndeterminateError(f"{self._client.where} could not make visible what was written")

    # Searching

    def _page(self, query: SearchQuery, words: Sequence[str], size: int, after: Sequence[Any] = ()) -> list[Any]:
        """The best documents with these words, as the server gives them."""
        return self._found(query.tenant, search_body(query, words, size, after))

    def _found(self, tenant: str, body: dict[str, Any]) -> list[Any]:
        where = routing_of(tenant)
        params = {"routing": where, "preference": where, "allow_partial_search_results": "false"}

        def ask(api: OpenSearch) -> Any:
            return api.search(body=body, index=self._alias, params=params)

        return checked(self._client.call(ask, Effect.NONE), self._client.where)

    def _narrowed(self, query: SearchQuery, first: Sequence[str], further: Sequence[Sequence[str]]) -> list[Hit]:
        """For more words than one request takes: candidates by the first ones, which are then asked for the others."""
        hits: list[Hit] = []
        after: Sequence[Any] = ()
        deadline = time.monotonic() + 2 * self._patience
        while True:
            page = self._page(query, first, PAGE, after)
            if page:
                left = self._having(query.tenant, [found["_id"] for found in page], further)
                hits += [hit_of(found) for found in page if found["_id"] in left]
            if len(page) < PAGE or len(hits) >= query.limit:
                return hits[: query.limit]
            if time.monotonic() > deadline:
                raise OperationTimeoutError(
                    f"{self._client.where}: too many documents match the first words of a query of so many"
                )
            after = page[-1]["sort"]

    def _having(self, tenant: str, keys: Sequence[str], groups: Sequence[Sequence[str]]) -> set[str]:
        """Those of the documents that have every word of every group."""
        where = routing_of(tenant)
        header = {"routing": where, "preference": where, "allow_partial_search_results": False}
        body = [part for words in groups for part in (header, narrowing_body(keys, words))]

        def ask(api: OpenSearch) -> Any:
            return api.msearch(body=body, index=self._alias)

        answers = self._client.call(ask, Effect.NONE)["responses"]
        found = ({hit["_id"] for hit in checked(answer, self._client.where)} for answer in answers)
        return set(keys).intersection(*found)

    def _make_ready(self) -> None:
        """Make the index where it is not there; asked once. If it vanishes later, that is an error, and not a new, empty one."""
        if not self._ready:
            mapping.ensure(self._client, self._alias, self._options)
            self._ready = True


def _is_plain(text: str) -> bool:
    """Whether any part of it can be stored as a key, for which no closer look is needed."""
    return len(text) <= MAX_FIELD_BYTES and text.isascii()


def _unstorable(key: str) -> str:
    """Why a tenant, id or kind cannot be stored; empty where it can."""
    if _is_plain(key):
        return ""
    if not _has_utf8(key):
        return "has a lone surrogate"
    size = utf8_length(key)
    return f"has {size} bytes, the limit is {MAX_FIELD_BYTES}" if size > MAX_FIELD_BYTES else ""


def _has_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
