"""A small search backend over HTTP, as a third party would write it, and the service that it talks to."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from http.client import HTTPConnection, HTTPException
from typing import Any, ClassVar
from urllib.parse import quote

from http_services import Asked, HttpService, Told

from stackproof.adapters.search.memory import MemorySearchIndex
from stackproof.contracts import SearchContract
from stackproof.contracts.faulty import Faulty
from stackproof.interfaces import (
    ClosedError,
    Document,
    Hit,
    IndeterminateError,
    OperationTimeoutError,
    RejectedError,
    SearchCapabilities,
    SearchIndex,
    SearchQuery,
    UnavailableError,
)
from stackproof.servers.http_faults import OPENSEARCH_THROTTLED, BulkRejected, Throttled
from stackproof.verification.faults import HttpFaults, HttpWords

TOO_MANY_REQUESTS = 429
PAUSES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2)


def search_service() -> HttpService:
    """``_bulk`` and ``_search`` of an index by name; the searching is that of the reference."""
    indexes: dict[str, MemorySearchIndex] = {}

    def bulk(index: MemorySearchIndex, body: bytes) -> dict[str, Any]:
        lines = [json.loads(line) for line in body.splitlines()]
        items = []
        for action, source in zip(lines[::2], lines[1::2], strict=True):
            index.index([Document(**source)])
            items.append({"index": {"_id": action["index"]["_id"], "status": 201}})
        return {"took": 1, "errors": False, "items": items}

    def respond(asked: Asked) -> Told:
        _, path, _, body = asked
        name, _, call = path.strip("/").partition("/")
        index = indexes.setdefault(name, MemorySearchIndex(namespace=name))
        if call == "_bulk":
            return 200, {}, json.dumps(bulk(index, body)).encode()
        hits = index.search(SearchQuery(**json.loads(body))) if call == "_search" else []
        return 200, {}, json.dumps({"hits": [[hit.id, hit.score, hit.title, hit.kind] for hit in hits]}).encode()

    return HttpService(respond)


class BulkSearchIndex(SearchIndex):
    """Indexes by ``_bulk``: what is refused for the moment is sent again, and nothing else is."""

    capabilities: ClassVar[SearchCapabilities] = SearchCapabilities(
        batch_size=25, remote=True, throttles=True, partial_batches=True
    )

    def __init__(self, port: int, namespace: str, timeout: float = 1.0) -> None:
        self._port, self._path, self._timeout, self._closed = port, f"/{quote(namespace)}", timeout, False

    def index(self, documents: Iterable[Document]) -> int:
        latest = list({(document.tenant, document.id): document for document in documents}.values())
        failed: dict[str, str] = {}
        for begin in range(0, len(latest), self.capabilities.batch_size):
            failed |= self._index_batch(latest[begin : begin + self.capabilities.batch_size])
        if failed:
            raise RejectedError(f"the server refused {len(failed)} documents", failed)
        return len(latest)

    def _index_batch(self, batch: list[Document]) -> dict[str, str]:
        """Those that are refused to the end, with the reason."""
        left = {document.id: document for document in batch}
        for pause in (*PAUSES, 0.0):
            lines = [
                line
                for document in left.values()
                for line in ({"index": {"_id": document.id}}, {n: getattr(document, n) for n in Document.__slots__})
            ]
            body = "".join(json.dumps(line) + "\n" for line in lines)
            answer = self._ask("_bulk", body.encode(), writes=True)
            left = {name: left[name] for name in self.refused(answer)}
            if not left:
                break
            time.sleep(pause)
        return dict.fromkeys(left, "the server has too much to do")

    def refused(self, answer: dict[str, Any]) -> list[str]:
        """The ids of the items that were refused for the moment."""
        return [item["index"]["_id"] for item in answer["items"] if item["index"]["status"] == TOO_MANY_REQUESTS]

    def search(self, query: SearchQuery) -> list[Hit]:
        body = {"tenant": query.tenant, "text": query.text, "kind": query.kind, "limit": query.limit}
        hits = self._ask("_search", json.dumps(body).encode())["hits"]
        return [Hit(id=name, score=score, title=title, kind=kind) for name, score, title, kind in hits]

    def ping(self) -> bool:
        try:
            self._ask("_health", b"{}")
        except (UnavailableError, OperationTimeoutError, ClosedError):
            return False
        return True

    def disconnect(self) -> None:
        self._closed = True

    def _ask(self, call: str, body: bytes, *, writes: bool = False) -> dict[str, Any]:
        for pause in PAUSES[:5]:
            status, answer = self._once(call, body, writes)
            if status != TOO_MANY_REQUESTS:
                found: dict[str, Any] = json.loads(answer)
                return found
            time.sleep(pause)
        raise UnavailableError("the server has too much to do")

    def _once(self, call: str, body: bytes, writes: bool) -> tuple[int, bytes]:
        if self._closed:
            raise ClosedError("this index was disconnected")
        connection = HTTPConnection("127.0.0.1", self._port, timeout=self._timeout)
        try:
            connection.connect()
        except OSError as error:
            raise UnavailableError("the server cannot be reached") from error
        try:
            connection.request("POST", f"{self._path}/{call}", body)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, HTTPException) as error:
            if writes:
                raise IndeterminateError("no answer to the write") from error
            raise OperationTimeoutError("no answer") from error
        finally:
            connection.close()


class IgnoresErrorsTrue(BulkSearchIndex):
    """Takes the answer to a bulk request for a success, as its status says."""

    def refused(self, answer: dict[str, Any]) -> list[str]:
        return []


SERVICE = search_service()
"""One for all clauses; its threads are daemons, it ends with the process."""


class HttpSearchContract(SearchContract):
    """The contract as a third party fills it in."""

    kind: ClassVar[Callable[..., BulkSearchIndex]] = BulkSearchIndex

    def make_backend(self, namespace: str) -> BulkSearchIndex:
        return type(self).kind(SERVICE.port, namespace)

    def make_faulty(self, namespace: str) -> Faulty[SearchIndex]:
        words = HttpWords(Throttled(OPENSEARCH_THROTTLED), BulkRejected())
        faults = HttpFaults("127.0.0.1", SERVICE.port, words)
        return Faulty(type(self).kind(faults.port, namespace), faults)
