"""The interaction store on Amazon DynamoDB."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, ClassVar, Self, TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, stop_after_delay, wait_random_exponential

from stackproof.adapters.aws_client import AwsClient, Effect
from stackproof.adapters.aws_errors import THROTTLED, answer_of, code_of
from stackproof.adapters.aws_names import namespaced
from stackproof.adapters.interactions.dynamodb_items import (
    PARTITION,
    SORT,
    Item,
    Kept,
    Range,
    empty_summaries,
    event_item,
    event_key,
    partition_of,
    range_of,
)
from stackproof.adapters.interactions.dynamodb_turns import Turns
from stackproof.adapters.interactions.rules import (
    Position,
    check_event,
    check_query_texts,
    cursor_after,
    page_size,
    position_of_cursor,
)
from stackproof.adapters.settings import Settings
from stackproof.interfaces import (
    BackendError,
    ConfigurationError,
    IndeterminateError,
    Interaction,
    InteractionCapabilities,
    InteractionStore,
    RejectedError,
    SummariesPage,
    SummariesQuery,
    UnavailableError,
)

T = TypeVar("T")

TABLE_SECONDS = 60.0
"""How long a table may take until it can be used, or is gone."""
TRIES = 40
"""How often a contact is tried that others were faster than, or of which the service took a part only."""
LONGEST_TABLE_NAME = 255
LONGEST_SORT_KEY = 1024
ROWS_AT_ONCE = 1000
"""How many items a page of the service looks at where a filter leaves some out."""

_NOT_THERE = "ResourceNotFoundException"
_CANCELLED = "TransactionCanceledException"
_NEW = f"attribute_not_exists({PARTITION})"
_BUSY = THROTTLED | {"ThrottlingError", "TransactionConflict", "ConditionalCheckFailed"}
"""Reasons of a cancelled transaction that a later one may not have."""


class _OthersWereFasterError(Exception):
    """The transaction was cancelled, because of what others write, or because the service has too much to do."""

    def __init__(self, cause: BackendError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class DynamoDbInteractionStore(InteractionStore):
    """Interactions and their summaries in one DynamoDB table, which is made (on demand billing) where it is missing.

    **Guarantees.** An interaction is one transaction: the item of its event, on condition that there is none, and its four
    summaries, on condition that they are as they were read. So nothing is counted twice, and concurrent writers lose
    nothing: who was slower reads again, a bounded number of times, and then `UnavailableError` says that nothing was applied.
    Reads are consistent and go on to the last page of the service, whose short and empty pages change nothing. Sums are added
    here, exactly, since nobody says what the service's own addition does beyond 38 digits. Cursors hold a position,
    not a page: they outlive instances, tables that grow, and the service's own pages. Nothing expires: there is no TTL attribute.

    **Limits.** Text holds no NUL and no lone surrogates, in 256 bytes (a sort key of three of them has 1,024). Values and sums
    lie between 1E-130 and 9.99E+125, and have 38 digits. There is no bulk operation: a transaction takes a hundred items,
    so that a batch of any size cannot be stored all or nothing.

    **Cost.** A contact is a read of five items and a transactional write of five (ten write units, where items are small).
    All contacts of one customer with one offer change the same items, one after the other; those of others share none.
    """

    capabilities: ClassVar[InteractionCapabilities] = InteractionCapabilities(
        max_text_bytes=256, remote=True, throttles=True, partial_batches=True, paged_reads=True
    )

    def __init__(self, client: AwsClient, *, table: str, namespace: str = "") -> None:
        self._client = client
        self._table = table
        self._namespace = namespace
        self._turns = Turns(client.place.operation_timeout)

    @classmethod
    def from_settings(cls, settings: Settings, namespace: str = "") -> Self:
        """A store in the table ``DYNAMODB_TABLE_PREFIX`` + ``interactions``, and the namespace where there is one."""
        prefix = settings.get("DYNAMODB_TABLE_PREFIX", "stackproof-")
        table = namespaced(prefix, "interactions", namespace, LONGEST_TABLE_NAME)
        return cls(AwsClient.from_settings("dynamodb", settings), table=table, namespace=namespace)

    def record_event(self, event: Interaction) -> None:
        """Store one interaction, unless its id is known, and count it."""
        check_event(event, self.capabilities, nul_allowed=False)
        _check_key(event)
        with self._turns.of((event.tenant, event.customer, event.offer)):
            self._in_table(lambda: self._until_nobody_was_faster(event))

    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        """One page, by a range of the customer's sort keys, which are in page order."""
        size = page_size(query)
        after = position_of_cursor(query)
        check_query_texts(query, nul_allowed=False)
        rows = self._in_table(lambda: self._read_rows(query, after, size + 1))
        page = tuple(kept.summary for kept in rows[:size])
        return SummariesPage(page, cursor_after(query, page[-1]) if len(rows) > size else None)

    def ping(self) -> bool:
        """Whether the service answers, and the table is there or can be made."""
        try:
            self._in_table(self._read_nothing)
        except BackendError:
            return False
        return True

    def disconnect(self) -> None:
        """Wait for what runs, and close every connection."""
        self._client.close()

    def drop_namespace(self) -> None:
        """Delete the table of the (non-empty) namespace, and wait until it is gone."""
        if not self._namespace:
            raise ConfigurationError("the empty namespace holds real data; it is not dropped as a whole")
        try:
            self._client.call("delete_table", Effect.IDEMPOTENT, TableName=self._table)
            self._wait_for(None)
        except BackendError as error:
            if code_of(error) != _NOT_THERE:
                raise

    # Writing

    def _until_nobody_was_faster(self, event: Interaction) -> None:
        """Read, and write on condition that nothing changed; from the beginning while something did."""
        trying = Retrying(
            stop=stop_after_attempt(TRIES) | stop_after_delay(self._client.place.operation_timeout),
            wait=wait_random_exponential(multiplier=0.005, max=0.2),
            retry=retry_if_exception_type(_OthersWereFasterError),
            reraise=True,
        )
        unsure = False
        try:
            for attempt in trying:
                with attempt:
                    try:
                        self._record(event)
                    except _OthersWereFasterError as again:
                        unsure = unsure or isinstance(again.cause, IndeterminateError)
                        raise
        except _OthersWereFasterError as again:
            if unsure:
                raise IndeterminateError(f"the contact may be stored or not: {again}") from again.cause
            raise UnavailableError(f"others were always faster, nothing was stored: {again}") from again.cause

    def _record(self, event: Interaction) -> None:
        before = self._read_before(event)
        if before is None:
            return
        after = [kept.with_contact(event) for kept in before]
        try:
            self._client.call("transact_write_items", Effect.IDEMPOTENT, TransactItems=self._writes(event, after))
        except BackendError as error:
            if code_of(error) != _CANCELLED:
                raise
            reasons = [str(reason.get("Code", "None")) for reason in answer_of(error).get("CancellationReasons", [])]
            if reasons[:1] == ["ConditionalCheckFailed"]:
                return  # it is stored: by somebody else, or by an attempt of ours whose answer was lost
            if {reason for reason in reasons if reason != "None"} <= _BUSY:
                raise _OthersWereFasterError(error) from error
            raise

    def _writes(self, event: Interaction, after: list[Kept]) -> list[dict[str, Any]]:
        return [self._put(event_item(event), 0), *(self._put(kept.item(), kept.version - 1) for kept in after)]

    def _put(self, item: Item, version: int) -> dict[str, Any]:
        """Write an item on condition that the one that is there has this version; 0: that none is there."""
        put: dict[str, Any] = {"TableName": self._table, "Item": item, "ConditionExpression": _NEW}
        if version:
            put["ConditionExpression"] = "#version = :version"
            put["ExpressionAttributeNames"] = {"#version": "version"}
            put["ExpressionAttributeValues"] = {":version": {"N": str(version)}}
        return {"Put": put}

    def _read_before(self, event: Interaction) -> list[Kept] | None:
        """The summaries that this contact changes, as they are; None where it is stored already."""
        empty = empty_summaries(event)
        found = self._read_items([event_key(event), *(kept.key for kept in empty)])
        if event_key(event)[PARTITION]["S"] in {item[PARTITION]["S"] for item in found}:
            return None
        by_key = {item[SORT]["S"]: Kept.read(event.tenant, event.customer, item) for item in found}
        return [by_key.get(kept.key[SORT]["S"], kept) for kept in empty]

    # Reading

    def _read_items(self, keys: list[Item]) -> list[dict[str, Any]]:
        """The items of these keys that are there. What the service leaves unprocessed is asked for again, alone."""
        found: list[dict[str, Any]] = []
        wanted: dict[str, Any] = {self._table: {"Keys": keys, "ConsistentRead": True}}
        pauses = wait_random_exponential(multiplier=0.005, max=0.2)
        for attempt in Retrying(
            stop=stop_after_attempt(TRIES) | stop_after_delay(self._client.place.operation_timeout),
            wait=pauses,
            retry=retry_if_exception_type(_UnprocessedError),
            retry_error_callback=_given_up,
        ):
            with attempt:
                answer = self._client.call("batch_get_item", Effect.NONE, RequestItems=wanted)
                found += answer.get("Responses", {}).get(self._table, [])
                wanted = answer.get("UnprocessedKeys") or {}
                if wanted:
                    raise _UnprocessedError
        return found

    def _read_rows(self, query: SummariesQuery, after: Position | None, number: int) -> list[Kept]:
        """The first so many rows of a query after a position, over as many pages of the service as it takes."""
        where = range_of(query, after)
        asked = self._question(query, where)
        rows: list[Kept] = []
        while len(rows) < number:
            asked["Limit"] = ROWS_AT_ONCE if where.filters else number - len(rows)
            answer = self._client.call("query", Effect.NONE, **asked)
            rows += [Kept.read(query.tenant, query.customer, item) for item in answer.get("Items", [])]
            if not answer.get("LastEvaluatedKey"):
                break
            asked["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
        return rows[:number]

    def _question(self, query: SummariesQuery, where: Range) -> dict[str, Any]:
        partition = partition_of("customer", query.tenant, query.customer)
        values = {":partition": partition, ":first": where.first, ":last": where.last}
        names = {"#partition": PARTITION, "#sort": SORT}
        question: dict[str, Any] = {"TableName": self._table, "ConsistentRead": True}
        question["KeyConditionExpression"] = "#partition = :partition AND #sort BETWEEN :first AND :last"
        if where.filters:
            names |= {f"#{name}": name for name in where.filters}
            values |= {f":{name}": text for name, text in where.filters.items()}
            question["FilterExpression"] = " AND ".join(f"#{name} = :{name}" for name in where.filters)
        question["ExpressionAttributeNames"] = names
        question["ExpressionAttributeValues"] = {name: {"S": text} for name, text in values.items()}
        return question

    def _read_nothing(self) -> None:
        key = {PARTITION: {"S": "ping"}, SORT: {"S": "ping"}}
        self._client.call("get_item", Effect.NONE, TableName=self._table, Key=key)

    # The table

    def _in_table(self, work: Callable[[], T]) -> T:
        """Run ``work``; where its table is missing, make that and run it again."""
        try:
            return work()
        except BackendError as error:
            if code_of(error) != _NOT_THERE:
                raise
        self._make_table()
        return work()

    def _make_table(self) -> None:
        try:
            self._client.call(
                "create_table",
                Effect.IDEMPOTENT,
                TableName=self._table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in (PARTITION, SORT)],
                KeySchema=[
                    {"AttributeName": PARTITION, "KeyType": "HASH"},
                    {"AttributeName": SORT, "KeyType": "RANGE"},
                ],
            )
        except BackendError as error:
            if code_of(error) != "ResourceInUseException":
                raise
        self._wait_for("ACTIVE")

    def _wait_for(self, status: str | None) -> None:
        """Wait until the table has this status; None: until it is not there (then the service says so by an error)."""
        deadline, pause = time.monotonic() + TABLE_SECONDS, 0.02
        while True:
            table = self._client.call("describe_table", Effect.NONE, TableName=self._table)["Table"]
            if table["TableStatus"] == status:
                return
            if time.monotonic() > deadline:
                raise UnavailableError(f"the table {self._table} is {table['TableStatus']} after {TABLE_SECONDS:g} s")
            time.sleep(pause)
            pause = min(2 * pause, 1.0)


class _UnprocessedError(Exception):
    """The service left a part of a batch unprocessed."""


def _given_up(_: object) -> None:
    raise UnavailableError("DynamoDB left a part of a read unprocessed, again and again; nothing was applied")


def _check_key(event: Interaction) -> None:
    """Control characters that keys need to escape can make one too long, although each text is short enough."""
    if max(len(kept.key[SORT]["S"].encode()) for kept in empty_summaries(event)) > LONGEST_SORT_KEY:
        raise RejectedError(
            "the interaction cannot be stored: offer, creative and channel hold too many control characters"
        )
