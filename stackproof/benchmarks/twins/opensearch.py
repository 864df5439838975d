"""The search index on OpenSearch, against opensearch-py with the same requests on the same index."""

from __future__ import annotations

import json
import time
from typing import Any

import urllib3
from opensearchpy import OpenSearch

from stackproof.adapters.search.opensearch import OpenSearchSearchIndex
from stackproof.adapters.search.opensearch_bulk import Write, key_of, routing_of
from stackproof.adapters.search.opensearch_place import OpenSearchPlace
from stackproof.adapters.search.opensearch_query import search_body
from stackproof.benchmarks.pairs import Pair, Twins, operation
from stackproof.interfaces import Document, Hit, SearchQuery, words_of

from .samples import TENANT, document

BATCH = 100


class OpenSearchTwins(Twins):
    """index (with the refresh that makes it visible), search and delete."""

    backend = "search=opensearch"
    driver = "opensearch-py"

    def open(self) -> None:
        self.index = OpenSearchSearchIndex.from_settings(self.settings, self.namespace)
        self.index.index(document(-1 - n) for n in range(1_000))
        self.alias = self.index._alias
        self.timeout = urllib3.Timeout(connect=self.settings.connect_timeout, read=self.settings.operation_timeout)
        self.api = OpenSearch(
            hosts=[OpenSearchPlace.of(self.settings).host_options()],
            timeout=self.timeout,
            pool_maxsize=16,
            max_retries=0,
            retry_on_status=(),
        )

    def close(self) -> None:
        if hasattr(self, "api"):
            self.api.close()
        if hasattr(self, "index"):
            self.index.drop_namespace()
            self.index.disconnect()

    @operation("index, 1")
    def one(self) -> Pair:
        return self._indexed(1)

    @operation(f"index, {BATCH}")
    def batch(self) -> Pair:
        return self._indexed(BATCH)

    @operation("search")
    def search(self) -> Pair:
        def raw(query: SearchQuery) -> list[Hit]:
            where = routing_of(query.tenant)
            answer = self.api.search(
                body=search_body(query, words_of(query.text), query.limit),
                index=self.alias,
                params={"routing": where, "preference": where, "allow_partial_search_results": "false"},
            )
            hits = []
            for found in answer["hits"]["hits"]:
                source = found["_source"]
                hits.append(Hit(id=source["id"], kind=source["kind"], title=source["title"], score=found["sort"][0]))
            return hits

        return Pair(self.index.search, raw, lambda n: SearchQuery(tenant=TENANT, text=f"n{n % 50}"))

    @operation("delete")
    def delete(self) -> Pair:
        def raw(ids: list[str]) -> int:
            routing = routing_of(TENANT)
            self._must_be_there()
            lines = [
                {
                    "delete": {
                        "_id": key_of(TENANT, each),
                        "routing": routing,
                        "version": _version(),
                        "version_type": "external",
                    }
                }
                for each in ids
            ]
            answer = self._bulk(b"".join(map(_line, lines)))
            return sum(item["delete"]["status"] == 200 for item in answer["items"])

        return Pair(lambda ids: self.index.delete(TENANT, ids), raw, lambda n: [f"gone{n}"])

    def _indexed(self, count: int) -> Pair:
        def raw(documents: list[Document]) -> int:
            version = _version()
            answer = self._bulk(b"".join(Write.of(each).lines(version) for each in documents))
            self.api.indices.refresh(index=self.alias)
            if answer["errors"]:
                raise AssertionError(str(answer)[:300])
            return sum(item["index"]["status"] in (200, 201) for item in answer["items"])

        return Pair(self.index.index, raw, lambda n: [document((n * count + each) % 5_000) for each in range(count)])

    def _bulk(self, body: bytes) -> Any:
        # Both: the driver takes a timeout alone for its own, and sends nothing of it.
        params = {"require_alias": "true", "timeout": "5000ms", "request_timeout": self.timeout}
        return self.api.bulk(body=body, index=self.alias, params=params)

    def _must_be_there(self) -> None:
        """A bulk request that only removes would make the index where it is missing."""
        if not self.api.indices.exists_alias(name=self.alias):
            raise AssertionError(f"{self.alias} is gone")


def _version() -> int:
    return time.time_ns() // 1000 << 10


def _line(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
