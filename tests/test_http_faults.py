"""The HTTP proxy and its rewriters: what the client is told, and what the service really stored."""

from __future__ import annotations

import gzip
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPException
from typing import Any

import pytest
from http_services import Asked, Bulk, Client, DynamoDB, Entries, HttpService, Told, echo

from stackproof.contracts import eventually
from stackproof.servers.http_faults import (
    DYNAMODB_THROTTLED,
    EVENTBRIDGE_PUT_EVENTS,
    KINESIS_PUT_RECORDS,
    LOGS_GONE,
    LOGS_THROTTLED,
    OPENSEARCH_THROTTLED,
    BulkRejected,
    SearchError,
    ShortPages,
    Throttled,
    UnprocessedItems,
)
from stackproof.servers.http_proxy import HttpProxy

Behind = Callable[[Callable[[Asked], Told]], tuple[HttpService, HttpProxy, Client]]


@pytest.fixture
def behind() -> Iterator[Behind]:
    """A service, the proxy in front of it, and a client of the proxy."""
    made: list[Any] = []

    def make(respond: Callable[[Asked], Told]) -> tuple[HttpService, HttpProxy, Client]:
        service = HttpService(respond)
        proxy = HttpProxy("127.0.0.1", service.port)
        client = Client(proxy.port)
        made.extend((client, proxy, service))
        return service, proxy, client

    yield make
    for each in made:
        each.close()


def puts(*numbers: int) -> list[dict[str, Any]]:
    return [{"PutRequest": {"Item": {"id": {"N": str(n)}}}} for n in numbers]


def numbers(items: list[dict[str, Any]]) -> list[int]:
    return [int(item["id"]["N"]) for item in items]


# The proxy


def test_without_a_rewriter_everything_is_forwarded_on_one_connection(behind: Behind) -> None:
    service, proxy, client = behind(echo)
    long = bytes(range(256)) * 1000
    for method, body in (("POST", long), ("PUT", b"x"), ("GET", b""), ("DELETE", b"")):
        status, headers, answer = client.ask(method, "/a%20b?c=d&e", body, Authorization="AWS4-HMAC-SHA256 x")
        assert (status, headers["x-path"], headers["x-method"], answer) == (200, "/a%20b?c=d&e", method, body)
    assert client.ask("HEAD", "/head")[2] == b""
    assert service.heard[0][2]["authorization"] == "AWS4-HMAC-SHA256 x"
    assert service.heard[0][2]["host"] == f"127.0.0.1:{proxy.port}", "the host is signed, too"
    assert proxy.counts == {"requests": 5}
    assert proxy.open_connections == 1


def test_chunked_and_announced_bodies_arrive(behind: Behind) -> None:
    _, proxy, client = behind(echo)
    client.connection.request("POST", "/", iter([b"abc", b"def"]), encode_chunked=True)
    assert client.connection.getresponse().read() == b"abcdef"
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 100")
        raw.sendall(b"ok")
        answer = b""
        while not answer.endswith(b"ok"):
            answer += raw.recv(1000)


def test_a_body_that_is_too_large_is_refused(behind: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stackproof.servers.http_proxy.LARGEST_BODY", 10)
    service, _, client = behind(echo)
    assert client.ask("POST", "/", b"x" * 11)[0] == 413
    assert client.ask("POST", "/", b"x" * 10)[0] == 200
    assert len(service.heard) == 1


def test_a_service_that_ends_its_connections_is_no_error(behind: Behind) -> None:
    service, _, client = behind(echo)
    service.closing = True
    for _ in range(3):
        status, headers, _ = client.ask("POST", "/", b"x")
        assert (status, headers["connection"]) == (200, "close")


def test_a_service_that_is_gone_breaks_the_connection_of_its_client() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with HttpProxy("127.0.0.1", port) as proxy:
        client = Client(proxy.port)
        with pytest.raises((HTTPException, OSError)):
            client.ask("GET", "/")
        client.close()
        assert proxy.counts == {"requests": 1, "unreachable": 1}


def test_nothing_is_left_behind() -> None:
    def held() -> tuple[int, int]:
        return threading.active_count(), len(os.listdir("/proc/self/fd"))

    never = threading.Event()

    def slow(asked: Asked) -> Told:
        if asked[1] == "/slow":
            never.wait(10)
        return echo(asked)

    service = HttpService(slow)
    Client(service.port).close()
    before = held()
    for _ in range(3):
        proxy = HttpProxy("127.0.0.1", service.port)
        clients = [Client(proxy.port) for _ in range(4)]
        assert [client.ask("POST", "/", b"x")[0] for client in clients] == [200] * 4
        clients[0].connection.request("GET", "/slow")  # its thread waits for the service
        eventually(lambda seen=proxy: seen.counts["requests"] == 5, "the last request arrived", 5.0)
        proxy.close()
        proxy.close()
        for client in clients:
            client.close()
    never.set()
    eventually(lambda: held() <= before, "threads and descriptors are given back", 5.0)
    service.close()


def test_a_rewriter_holds_for_so_many_times_and_until_it_is_healed(behind: Behind) -> None:
    _, proxy, client = behind(echo)
    proxy.rewrite(Throttled(OPENSEARCH_THROTTLED), times=2)
    assert [client.ask("POST", "/", b"x")[0] for _ in range(4)] == [429, 429, 200, 200]
    proxy.rewrite(Throttled(OPENSEARCH_THROTTLED))
    assert [client.ask("POST", "/", b"x")[0] for _ in range(4)] == [429] * 4
    proxy.heal()
    assert client.ask("POST", "/", b"x")[0] == 200
    assert proxy.counts["throttled"] == 6


# Throttling


@pytest.mark.parametrize(
    ("error", "target", "kind"),
    [
        (
            DYNAMODB_THROTTLED,
            "DynamoDB_20120810.PutItem",
            "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
        ),
        (LOGS_THROTTLED, "Logs_20140328.PutLogEvents", "ThrottlingException"),
        (LOGS_GONE, "Logs_20140328.PutLogEvents", "ResourceNotFoundException"),
    ],
)
def test_aws_calls_are_throttled_and_nothing_reaches_the_service(
    behind: Behind, error: Any, target: str, kind: str
) -> None:
    service, proxy, client = behind(Entries())
    proxy.rewrite(Throttled(error))
    status, told = client.aws(target, logEvents=[{"message": "m", "timestamp": 1}])
    assert (status, told["__type"]) == (400, kind)
    assert told["message"]
    assert service.heard == []


def test_only_the_named_calls_are_throttled(behind: Behind) -> None:
    entries = Entries()
    _, proxy, client = behind(entries)
    proxy.rewrite(Throttled(LOGS_THROTTLED, frozenset({"PutLogEvents"})))
    assert client.aws("Logs_20140328.CreateLogStream", logStreamName="s")[0] == 200
    assert client.aws("Logs_20140328.PutLogEvents", logEvents=[1])[0] == 400
    proxy.heal()
    assert client.aws("Logs_20140328.PutLogEvents", logEvents=[2])[0] == 200
    assert entries.stored == [2]


@pytest.mark.parametrize("kind", ["rejected_execution_exception", "es_rejected_execution_exception"])
def test_a_search_engine_is_throttled(behind: Behind, kind: str) -> None:
    bulk = Bulk()
    _, proxy, client = behind(bulk)
    proxy.rewrite(Throttled(SearchError(kind), frozenset({"_bulk"})))
    status, _, answer = client.ask("POST", "/offers/_bulk?refresh=true", b'{"index":{"_id":"1"}}\n{}\n')
    told = json.loads(answer)
    assert (status, told["status"], told["error"]["type"]) == (429, 429, kind)
    assert told["error"]["root_cause"][0]["type"] == kind
    assert bulk.documents == {}


# Batches that are taken in part


def test_unprocessed_items_are_not_stored_and_come_back(behind: Behind) -> None:
    dynamodb = DynamoDB()
    _, proxy, client = behind(dynamodb)
    proxy.rewrite(UnprocessedItems())
    status, told = client.aws("DynamoDB_20120810.BatchWriteItem", RequestItems={"a": puts(*range(5)), "b": puts(9)})
    assert status == 200
    assert told["UnprocessedItems"] == {"a": puts(0, 2, 4)}
    assert numbers(dynamodb.tables["a"]) == [1, 3]
    assert numbers(dynamodb.tables["b"]) == [9]
    left, rounds = told["UnprocessedItems"], 0
    while left:
        status, told = client.aws("DynamoDB_20120810.BatchWriteItem", RequestItems=left)
        left, rounds = (told["UnprocessedItems"] if status == 200 else left), rounds + 1
    assert rounds < 6
    assert sorted(numbers(dynamodb.tables["a"])) == [0, 1, 2, 3, 4]
    assert proxy.counts["items taken"] == 6


def test_what_the_service_itself_did_not_process_is_kept(behind: Behind) -> None:
    dynamodb = DynamoDB(most=1)
    _, proxy, client = behind(dynamodb)
    proxy.rewrite(UnprocessedItems())
    _, told = client.aws("DynamoDB_20120810.BatchWriteItem", RequestItems={"a": puts(*range(6))})
    left = [put["PutRequest"]["Item"] for put in told["UnprocessedItems"]["a"]]
    assert sorted(numbers(left) + numbers(dynamodb.tables["a"])) == list(range(6))
    assert proxy.counts["items taken"] == len(dynamodb.tables["a"]) == 1


def test_a_batch_of_which_nothing_is_taken_is_throttled_as_a_whole(behind: Behind) -> None:
    dynamodb = DynamoDB()
    _, proxy, client = behind(dynamodb)
    proxy.rewrite(UnprocessedItems())
    status, told = client.aws("DynamoDB_20120810.BatchWriteItem", RequestItems={"a": puts(1)})
    assert (status, told["__type"].partition("#")[2]) == (400, "ProvisionedThroughputExceededException")
    assert dynamodb.tables == {}
    assert client.aws("DynamoDB_20120810.BatchWriteItem", RequestItems={"a": puts(1)})[0] == 200


def test_unprocessed_keys_come_back_with_the_rest_of_their_question(behind: Behind) -> None:
    dynamodb = DynamoDB()
    _, proxy, client = behind(dynamodb)
    client.aws("DynamoDB_20120810.BatchWriteItem", RequestItems={"a": puts(*range(4))})
    proxy.rewrite(UnprocessedItems())
    wanted = {"a": {"Keys": [{"id": {"N": str(n)}} for n in range(4)], "ConsistentRead": True}}
    _, told = client.aws("DynamoDB_20120810.BatchGetItem", RequestItems=wanted)
    assert numbers(told["Responses"]["a"]) == [1, 3]
    assert numbers(told["UnprocessedKeys"]["a"]["Keys"]) == [0, 2]
    assert told["UnprocessedKeys"]["a"]["ConsistentRead"] is True


def test_failed_records_of_kinesis_are_not_stored(behind: Behind) -> None:
    kinesis = Entries()
    _, proxy, client = behind(kinesis)
    proxy.rewrite(KINESIS_PUT_RECORDS)
    records = [{"Data": str(n), "PartitionKey": "k"} for n in range(5)]
    status, told = client.aws("Kinesis_20131202.PutRecords", Records=records, StreamName="s")
    failed = ["ErrorCode" in record for record in told["Records"]]
    assert (status, told["FailedRecordCount"], failed) == (200, 3, [True, False] * 2 + [True])
    assert {record.get("ErrorCode") for record in told["Records"]} == {None, "ProvisionedThroughputExceededException"}
    assert all(("SequenceNumber" in record) != ("ErrorCode" in record) for record in told["Records"])
    assert [record["Data"] for record in kinesis.stored] == ["1", "3"]
    assert proxy.counts == {"requests": 1, "items refused": 3, "items taken": 2}


def test_a_single_event_of_eventbridge_fails_in_an_answer_that_is_200(behind: Behind) -> None:
    bus = Entries()
    _, proxy, client = behind(bus)
    proxy.rewrite(EVENTBRIDGE_PUT_EVENTS)
    entry = {"Source": "s", "DetailType": "t", "Detail": "{}"}
    status, told = client.aws("AWSEvents.PutEvents", Entries=[entry])
    assert (status, told["FailedEntryCount"], bus.stored) == (200, 1, [])
    assert told["Entries"] == [{"ErrorCode": "ThrottlingException", "ErrorMessage": "Rate exceeded"}]
    status, told = client.aws("AWSEvents.PutEvents", Entries=[entry])
    assert (status, told, bus.stored) == (200, {"FailedEntryCount": 0, "Entries": [{"EventId": "{}"}]}, [entry])


def test_items_of_a_bulk_are_refused_in_their_places(behind: Behind) -> None:
    bulk = Bulk()
    bulk.documents["offers", "gone"] = {"text": "old"}
    _, proxy, client = behind(bulk)
    proxy.rewrite(BulkRejected())
    lines = [
        {"index": {"_id": "a"}},
        {"text": "refused"},
        {"delete": {"_id": "gone", "_index": "offers"}},
        {"create": {"_id": "b", "_index": "others"}},
        {"text": "refused"},
        {"index": {"_id": "c"}},
        {"text": "bad"},
        {"index": {"_id": "d"}},
        {"text": "refused"},
        {"index": {"_id": "e"}},
        {"text": "taken"},
    ]
    body = "".join(json.dumps(line) + "\n" for line in lines).encode()
    packed = gzip.compress(body)
    status, _, answer = client.ask("POST", "/offers/_bulk", packed, Content_Encoding="gzip", Accept_Encoding="gzip")
    told = json.loads(answer)
    results = [(name, item["_id"], item["status"]) for each in told["items"] for name, item in each.items()]
    assert (status, told["errors"]) == (200, True)
    assert results == [
        ("index", "a", 429),
        ("delete", "gone", 200),
        ("create", "b", 429),
        ("index", "c", 400),
        ("index", "d", 429),
        ("index", "e", 201),
    ]
    assert told["items"][0]["index"]["error"]["type"] == "rejected_execution_exception"
    assert [next(iter(item.values()))["_index"] for item in told["items"]][:3] == ["offers", "offers", "others"]
    assert bulk.documents == {("offers", "e"): {"text": "taken"}}
    assert proxy.counts == {"requests": 1, "items refused": 3, "items taken": 2}


def test_a_bulk_of_which_nothing_is_taken_does_not_reach_the_service(behind: Behind) -> None:
    bulk = Bulk()
    service, proxy, client = behind(bulk)
    proxy.rewrite(BulkRejected())
    body = b'{"index":{"_id":"a"}}\n{"text":"x"}\n'
    told = json.loads(client.ask("POST", "/offers/_bulk", body)[2])
    assert told["errors"] is True
    assert told["items"][0]["index"]["status"] == 429
    assert service.heard == []
    told = json.loads(client.ask("POST", "/offers/_bulk", body)[2])
    assert (told["errors"], len(bulk.documents)) == (False, 1)


# Pages


@pytest.mark.parametrize("call", ["Query", "Scan"])
@pytest.mark.parametrize("empty", [False, True])
def test_pages_end_early_and_a_walk_finds_everything(behind: Behind, call: str, empty: bool) -> None:
    dynamodb = DynamoDB()
    _, proxy, client = behind(dynamodb)
    client.aws("DynamoDB_20120810.BatchWriteItem", RequestItems={"a": puts(*range(7))})
    proxy.rewrite(ShortPages(limit=2, empty=empty))
    found: list[int] = []
    pages: list[int] = []
    begin: dict[str, Any] = {}
    while True:
        status, told = client.aws(f"DynamoDB_20120810.{call}", TableName="a", **begin)
        assert (status, told["Count"]) == (200, len(told["Items"]))
        found += numbers(told["Items"])
        pages.append(len(told["Items"]))
        if "LastEvaluatedKey" not in told:
            break
        begin = {"ExclusiveStartKey": told["LastEvaluatedKey"]}
    assert found == list(range(7))
    assert pages == ([2, 0, 2, 0, 2, 0, 1] if empty else [2, 2, 2, 1])
    assert proxy.counts["pages cut"] == 3
    assert proxy.counts.get("empty pages", 0) == (3 if empty else 0)


def test_a_smaller_limit_of_the_client_is_kept(behind: Behind) -> None:
    dynamodb = DynamoDB()
    _, proxy, client = behind(dynamodb)
    client.aws("DynamoDB_20120810.BatchWriteItem", RequestItems={"a": puts(*range(7))})
    proxy.rewrite(ShortPages(limit=5))
    assert len(client.aws("DynamoDB_20120810.Query", TableName="a", Limit=3)[1]["Items"]) == 3
    assert "pages cut" not in proxy.counts
