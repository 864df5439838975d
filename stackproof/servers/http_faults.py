"""What goes wrong at HTTP services that answer: rewriters for the HTTP proxy (`http_proxy`), as values.

A part that is refused is really not applied: it is taken out of the request, and the answer names it in the service's
own form. So what a client does about it decides what the service has in the end.

    proxy.rewrite(KINESIS_PUT_RECORDS)                # every second record is refused
    proxy.rewrite(Throttled(LOGS_THROTTLED), times=1) # the next call, and no other

They count "throttled" (calls), "items refused" and "items taken" (of batches), "pages cut" and "empty pages".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from .http_proxy import Answer, Request, Service

T = TypeVar("T")

OK = 200
TOO_MANY_REQUESTS = 429


class Refusal(Protocol):
    """How a service says that it refuses a whole call."""

    def answer(self) -> Answer: ...


@dataclass(frozen=True, slots=True)
class AwsError:
    """An error of a service that speaks AWS JSON: ``__type`` names its kind, some put a namespace before it."""

    kind: str
    message: str
    namespace: str = ""
    version: str = "1.1"
    status: int = 400

    def answer(self) -> Answer:
        kind = f"{self.namespace}#{self.kind}" if self.namespace else self.kind
        headers = (("Content-Type", f"application/x-amz-json-{self.version}"),)
        return Answer(headers, _json({"__type": kind, "message": self.message}), self.status)


@dataclass(frozen=True, slots=True)
class SearchError:
    """An error of OpenSearch, whose rejections are called ``rejected_execution_exception``; Elasticsearch has ``es_`` before."""

    kind: str = "rejected_execution_exception"
    reason: str = "rejected execution of coordinating operation"
    status: int = TOO_MANY_REQUESTS

    def answer(self) -> Answer:
        cause = {"type": self.kind, "reason": self.reason}
        body = {"error": {"root_cause": [cause], **cause}, "status": self.status}
        return Answer((("Content-Type", "application/json; charset=UTF-8"),), _json(body), self.status)


DYNAMODB_THROTTLED = AwsError(
    "ProvisionedThroughputExceededException",
    "The level of configured provisioned throughput for the table was exceeded. "
    "Consider increasing your provisioning level with the UpdateTable API.",
    namespace="com.amazonaws.dynamodb.v20120810",
    version="1.0",
)
KINESIS_THROTTLED = AwsError("ProvisionedThroughputExceededException", "Rate exceeded for shard shardId-000000000000.")
EVENTBRIDGE_THROTTLED = AwsError("ThrottlingException", "Rate exceeded")
LOGS_THROTTLED = AwsError("ThrottlingException", "Rate exceeded")
LOGS_GONE = AwsError("ResourceNotFoundException", "The specified log stream does not exist.")
"""The stream was deleted, by a retention job, say: the client has to make it again, or to count what it gives up."""
OPENSEARCH_THROTTLED = SearchError()


@dataclass(frozen=True, slots=True)
class Throttled:
    """Calls are refused as a whole, and nothing of them reaches the service."""

    error: Refusal
    calls: frozenset[str] = frozenset()
    """The names of the calls (``PutLogEvents``, ``_bulk``); none given: all."""

    def applies(self, request: Request) -> bool:
        return not self.calls or _call(request) in self.calls

    def answer(self, request: Request, service: Service) -> Answer:  # noqa: ARG002 - whatever was asked
        service.count("throttled")
        return self.error.answer()


@dataclass(frozen=True, slots=True)
class UnprocessedItems:
    """DynamoDB's BatchWriteItem and BatchGetItem: a part of the items comes back as ``UnprocessedItems`` / ``UnprocessedKeys``.

    A batch of which nothing is taken is throttled as a whole, as the service does it.
    """

    def applies(self, request: Request) -> bool:
        return _call(request) in ("BatchWriteItem", "BatchGetItem")

    def answer(self, request: Request, service: Service) -> Answer:
        asked = json.loads(request.body)
        writes = _call(request) == "BatchWriteItem"
        kept, refused = _split_tables(asked["RequestItems"], writes, service)
        service.count("items refused", _size(refused, writes))
        if not kept:
            service.count("throttled")
            return DYNAMODB_THROTTLED.answer()
        answer = service.forward(request.with_body(_json({**asked, "RequestItems": kept})))
        if answer.status != OK:
            return answer
        told = json.loads(answer.body)
        name = "UnprocessedItems" if writes else "UnprocessedKeys"
        left = told.get(name) or {}
        service.count("items taken", _size(kept, writes) - _size(left, writes))
        told[name] = _merged(left, refused, writes)
        return answer.with_body(_json(told))


@dataclass(frozen=True, slots=True)
class FailedEntries:
    """AWS calls whose answer has one entry for each of the request: the refused ones have an error code instead of an id."""

    call: str
    entries: str
    """The name of the list, in the request and in the answer."""
    count: str
    """The name of the number of failed entries."""
    code: str
    message: str

    def applies(self, request: Request) -> bool:
        return _call(request) == self.call

    def answer(self, request: Request, service: Service) -> Answer:
        asked = json.loads(request.body)
        kept, refusals = _kept(asked[self.entries], service)
        if kept:
            answer = service.forward(request.with_body(_json({**asked, self.entries: kept})))
            if answer.status != OK:
                return answer
        else:
            answer = Answer((("Content-Type", "application/x-amz-json-1.1"),), b"{}", OK)
        told = json.loads(answer.body)
        own = int(told.get(self.count, 0))
        service.count("items taken", len(kept) - own)
        error = {"ErrorCode": self.code, "ErrorMessage": self.message}
        told[self.entries] = _woven(told.get(self.entries, []), [error if refused else None for refused in refusals])
        told[self.count] = own + sum(refusals)
        return answer.with_body(_json(told))


KINESIS_PUT_RECORDS = FailedEntries(
    "PutRecords",
    "Records",
    "FailedRecordCount",
    "ProvisionedThroughputExceededException",
    "Rate exceeded for shard shardId-000000000000 in stream under account 000000000000.",
)
EVENTBRIDGE_PUT_EVENTS = FailedEntries(
    "PutEvents", "Entries", "FailedEntryCount", "ThrottlingException", "Rate exceeded"
)


@dataclass(frozen=True, slots=True)
class BulkRejected:
    """``_bulk`` of OpenSearch and Elasticsearch: the answer is 200 with ``errors: true``, a refused item has 429."""

    error: SearchError = OPENSEARCH_THROTTLED

    def applies(self, request: Request) -> bool:
        return _call(request) == "_bulk"

    def answer(self, request: Request, service: Service) -> Answer:
        actions = list(_actions(request.body))
        kept, refusals = _kept(actions, service)
        if kept:
            answer = service.forward(request.with_body(b"".join(action.lines for action in kept)))
            if answer.status != OK:
                return answer
        else:
            answer = Answer((("Content-Type", "application/json; charset=UTF-8"),), b'{"took":0}', OK)
        told = json.loads(answer.body)
        done = told.get("items", [])
        service.count("items taken", sum(_status(item) < 300 for item in done))
        pairs = zip(actions, refusals, strict=True)
        told["items"] = _woven(done, [self._refused(action, request) if no else None for action, no in pairs])
        told["errors"] = bool(told.get("errors")) or any(refusals)
        return answer.with_body(_json(told))

    def _refused(self, action: _Action, request: Request) -> dict[str, Any]:
        index = action.meta.get("_index") or request.path.partition("?")[0].strip("/").rpartition("/")[0]
        cause = {"type": self.error.kind, "reason": self.error.reason}
        return {
            action.name: {"_index": index, "_id": action.meta.get("_id"), "status": self.error.status, "error": cause}
        }


@dataclass(frozen=True, slots=True)
class ShortPages:
    """DynamoDB's Query and Scan: pages end early, with a ``LastEvaluatedKey`` that the service itself made.

    With ``empty``, every second question for a further page gets an empty one that ends where it began: a filter leaves
    such pages, and only a missing ``LastEvaluatedKey`` is the end.
    """

    limit: int = 1
    empty: bool = False

    def applies(self, request: Request) -> bool:
        return _call(request) in ("Query", "Scan")

    def answer(self, request: Request, service: Service) -> Answer:
        asked = json.loads(request.body)
        begin = asked.get("ExclusiveStartKey")
        if self.empty and begin and service.refusals(1)[0]:
            service.count("empty pages")
            page = {"Count": 0, "ScannedCount": 0, "LastEvaluatedKey": begin}
            items: dict[str, object] = {} if asked.get("Select") == "COUNT" else {"Items": []}
            return Answer((("Content-Type", "application/x-amz-json-1.0"),), _json(items | page), OK)
        limit = min(self.limit, asked.get("Limit", self.limit))
        answer = service.forward(request.with_body(_json({**asked, "Limit": limit})))
        if answer.status == OK and json.loads(answer.body).get("LastEvaluatedKey") and limit != asked.get("Limit"):
            service.count("pages cut")
        return answer


def _call(request: Request) -> str:
    """The name of a call: the operation of an AWS service, or the last part of the path."""
    target = request.header("x-amz-target")
    return target.rpartition(".")[2] if target else request.path.partition("?")[0].rstrip("/").rpartition("/")[2]


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _kept(items: Sequence[T], service: Service) -> tuple[list[T], list[bool]]:
    """Those of a batch that the service gets, and for each of the batch whether it is refused."""
    refusals = service.refusals(len(items))
    service.count("items refused", sum(refusals))
    return [item for item, refused in zip(items, refusals, strict=True) if not refused], refusals


def _woven(done: Sequence[T], refused: Sequence[T | None]) -> list[T]:
    """The results of the service, with those that were refused in their places."""
    results = iter(done)
    return [next(results) if each is None else each for each in refused]


# DynamoDB: {table: [{"PutRequest": ...}, ...]} for writes, {table: {"Keys": [...], ...}} for reads


def _split_tables(tables: dict[str, Any], writes: bool, service: Service) -> tuple[dict[str, Any], dict[str, Any]]:
    kept: dict[str, Any] = {}
    refused: dict[str, Any] = {}
    for table, wanted in tables.items():
        items = wanted if writes else wanted["Keys"]
        refusals = service.refusals(len(items))
        for part, is_refused in ((kept, False), (refused, True)):
            these = [item for item, no in zip(items, refusals, strict=True) if no is is_refused]
            if these:
                part[table] = these if writes else {**wanted, "Keys": these}
    return kept, refused


def _size(tables: dict[str, Any], writes: bool) -> int:
    return sum(len(wanted if writes else wanted["Keys"]) for wanted in tables.values())


def _merged(one: dict[str, Any], other: dict[str, Any], writes: bool) -> dict[str, Any]:
    merged = dict(one)
    for table, wanted in other.items():
        if table not in merged:
            merged[table] = wanted
        elif writes:
            merged[table] = [*merged[table], *wanted]
        else:
            merged[table] = {**wanted, "Keys": [*merged[table]["Keys"], *wanted["Keys"]]}
    return merged


# OpenSearch: a line that says what to do, and for all but "delete" one with the document


@dataclass(frozen=True, slots=True)
class _Action:
    name: str
    meta: dict[str, Any]
    lines: bytes


def _actions(body: bytes) -> Iterator[_Action]:
    lines = iter([line for line in body.split(b"\n") if line.strip()])
    for line in lines:
        ((name, meta),) = json.loads(line).items()
        document = b"" if name == "delete" else next(lines) + b"\n"
        yield _Action(name, meta, line + b"\n" + document)


def _status(item: dict[str, Any]) -> int:
    return int(next(iter(item.values())).get("status", OK))
