"""The rewriters of AWS services as boto3 sees them: it must take their answers for the service's own, checksums included."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from http_services import Asked, DynamoDB, Entries, HttpService, Told, amz

from stackproof.servers.http_faults import (
    DYNAMODB_THROTTLED,
    EVENTBRIDGE_PUT_EVENTS,
    EVENTBRIDGE_THROTTLED,
    KINESIS_PUT_RECORDS,
    KINESIS_THROTTLED,
    LOGS_GONE,
    LOGS_THROTTLED,
    AwsError,
    ShortPages,
    Throttled,
    UnprocessedItems,
)
from stackproof.servers.http_proxy import HttpProxy, Rewriter

Make = Callable[[str, Callable[[Asked], Told], Rewriter], tuple[Any, HttpProxy]]


@pytest.fixture
def behind() -> Iterator[Make]:
    """A boto3 client, with a rewriter between it and a service."""
    made: list[Any] = []

    def make(name: str, respond: Callable[[Asked], Told], rewriter: Rewriter) -> tuple[Any, HttpProxy]:
        service = HttpService(respond)
        proxy = HttpProxy("127.0.0.1", service.port)
        proxy.rewrite(rewriter)
        client = boto3.client(
            name,
            endpoint_url=f"http://127.0.0.1:{proxy.port}",
            region_name="us-east-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",
            config=Config(retries={"mode": "standard", "total_max_attempts": 3}),
        )
        made.extend((client, proxy, service))
        return client, proxy

    yield make
    for each in made:
        each.close()


def at_the_first_attempt(answer: dict[str, Any]) -> dict[str, Any]:
    assert answer["ResponseMetadata"]["RetryAttempts"] == 0, "boto3 did not believe the answer"
    return answer


def put(number: int) -> dict[str, Any]:
    return {"PutRequest": {"Item": {"id": {"S": str(number)}}}}


def test_dynamodb_leaves_items_and_keys_unprocessed(behind: Make) -> None:
    client, _ = behind("dynamodb", DynamoDB(), UnprocessedItems())
    told = at_the_first_attempt(client.batch_write_item(RequestItems={"t": [put(n) for n in range(5)]}))
    assert [each["PutRequest"]["Item"]["id"]["S"] for each in told["UnprocessedItems"]["t"]] == ["0", "2", "4"]
    told = at_the_first_attempt(
        client.batch_get_item(RequestItems={"t": {"Keys": [{"id": {"S": "1"}}, {"id": {"S": "3"}}]}})
    )
    assert len(told["UnprocessedKeys"]["t"]["Keys"]) == 1
    assert len(told["Responses"]["t"]) == 1


@pytest.mark.parametrize("operation", ["query", "scan"])
def test_dynamodb_ends_pages_early(behind: Make, operation: str) -> None:
    client, proxy = behind("dynamodb", DynamoDB(), ShortPages(limit=2, empty=True))
    proxy.heal()
    client.batch_write_item(RequestItems={"t": [put(n) for n in range(5)]})
    proxy.rewrite(ShortPages(limit=2, empty=True))
    begin: dict[str, Any] = {}
    items: list[str] = []
    while True:
        told = at_the_first_attempt(getattr(client, operation)(TableName="t", **begin))
        items += [item["id"]["S"] for item in told["Items"]]
        if not told.get("LastEvaluatedKey"):
            break
        begin = {"ExclusiveStartKey": told["LastEvaluatedKey"]}
    assert items == ["0", "1", "2", "3", "4"]
    assert proxy.counts["empty pages"]
    assert proxy.counts["pages cut"]


def test_kinesis_takes_records_in_part(behind: Make) -> None:
    client, _ = behind("kinesis", Entries(), KINESIS_PUT_RECORDS)
    records = [{"Data": b"x", "PartitionKey": str(n)} for n in range(3)]
    told = at_the_first_attempt(client.put_records(StreamName="s", Records=records))
    assert told["FailedRecordCount"] == 2
    assert [each.get("ErrorCode") for each in told["Records"]] == [
        "ProvisionedThroughputExceededException",
        None,
        "ProvisionedThroughputExceededException",
    ]


def test_eventbridge_takes_entries_in_part(behind: Make) -> None:
    client, _ = behind("events", Entries(), EVENTBRIDGE_PUT_EVENTS)
    entries = [{"Source": "s", "DetailType": "t", "Detail": "{}"} for _ in range(2)]
    told = at_the_first_attempt(client.put_events(Entries=entries))
    assert told["FailedEntryCount"] == 1
    assert [each.get("ErrorCode") for each in told["Entries"]] == ["ThrottlingException", None]


@pytest.mark.parametrize(
    ("name", "operation", "arguments", "error"),
    [
        ("dynamodb", "list_tables", {}, DYNAMODB_THROTTLED),
        ("kinesis", "list_streams", {}, KINESIS_THROTTLED),
        ("events", "list_event_buses", {}, EVENTBRIDGE_THROTTLED),
        ("logs", "describe_log_groups", {}, LOGS_THROTTLED),
    ],
)
def test_what_is_throttled_is_known_as_that_and_comes_again(
    behind: Make, name: str, operation: str, arguments: dict[str, Any], error: AwsError
) -> None:
    client, proxy = behind(name, lambda _: amz({}), Throttled(error))
    with pytest.raises(ClientError) as caught:
        getattr(client, operation)(**arguments)
    assert caught.value.response["Error"]["Code"] == error.kind
    assert proxy.counts["throttled"] == 3, "the SDK takes it for one of the errors that it repeats"


def test_a_stream_that_is_gone_is_known_as_that_and_does_not_come_again(behind: Make) -> None:
    client, proxy = behind("logs", lambda _: amz({}), Throttled(LOGS_GONE))
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.put_log_events(logGroupName="g", logStreamName="s", logEvents=[{"timestamp": 1, "message": "m"}])
    assert proxy.counts["throttled"] == 1
