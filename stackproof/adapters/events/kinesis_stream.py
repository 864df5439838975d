"""One Kinesis stream: made when it is missing, written in batches, marked, listed, and read shard by shard."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring as quoted
from typing import Any

from stackproof.adapters.aws_client import AwsClient, Effect
from stackproof.adapters.aws_errors import THROTTLED, code_of
from stackproof.interfaces import BackendError, RejectedError, UnavailableError

from .outbox import Refusal

MOST_ENTRIES = 500
MOST_BYTES = 5 * 1024 * 1024
"""What one PutRecords takes. (Since 2025 it may be 10 MiB; emulators and older regions know 5.)"""
RECORD_BYTES = 1024 * 1024
"""The largest record, with its partition key: the default of a stream."""
PAGE = 1000
"""Records in one answer: more than the five answers a second that a shard gives could carry at 1,000 records a second."""
_PASSING = THROTTLED | {"InternalFailure"}
_MARK = b'{"mark":true}'


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of the stream. One that was split or merged is closed, and has children."""

    id: str
    parents: tuple[str, ...]
    first_hash: str
    open: bool


@dataclass(frozen=True, slots=True)
class Record:
    sequence: int
    """Grows within a shard; the digits are those of the service."""
    data: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """What one reading gave."""

    records: Sequence[Record]
    following: str
    """The iterator to read on with; empty at the end of a closed shard."""
    size: int


@dataclass(frozen=True, slots=True)
class StreamEntry:
    """One record to be written."""

    data: bytes
    partition_key: str
    lane: str

    @property
    def size(self) -> int:
        return len(self.data) + len(self.partition_key)


def stream_name(base: str, namespace: str) -> str:
    """A stream for each namespace; two of them never have the same."""
    if not namespace:
        return base
    if re.fullmatch(r"[a-z0-9_]{1,24}", namespace):
        return f"{base}-{namespace}"
    plain = re.sub(r"[^a-z0-9_]", "", namespace)[:12]
    return f"{base}-{plain}X{hashlib.sha256(namespace.encode()).hexdigest()[:16]}"


def head_of(topic: str) -> bytes:
    """What the records of a topic begin with, and those of no other one."""
    return f'{{"topic":{quoted(topic)},"event":'.encode()


def entry_of(topic: str, key: str, envelope: bytes) -> StreamEntry:
    """The record of an event. Raises `RejectedError` where it would be too large.

    Topic and key decide the shard, by a digest of both: a partition key of Kinesis is at most 256 characters long. Events
    with a key go one at a time; those without may share a batch.
    """
    data = head_of(topic) + envelope + b"}"
    partition = hashlib.sha256(f"{len(topic)}:{topic}{key}".encode()).hexdigest()
    entry = StreamEntry(data, partition, partition if key else "")
    if entry.size > RECORD_BYTES:
        raise RejectedError(f"an event with all that it carries has at most {RECORD_BYTES} bytes, not {entry.size}")
    return entry


@dataclass(slots=True)
class Stream:
    """The stream of a namespace."""

    client: AwsClient
    name: str
    shard_count: int
    _ready: bool = False

    def ensure(self) -> None:
        """Make the stream if it is not there, and wait until it can be used: on AWS up to a minute, here as long as an
        operation may take. Then `UnavailableError`; meanwhile it goes on to be made."""
        deadline = time.monotonic() + self.client.place.operation_timeout
        while not self._ready:
            status = self._status()
            if status in ("ACTIVE", "UPDATING"):
                self._ready = True
                return
            if not status:
                self._create()
            if time.monotonic() > deadline:
                raise UnavailableError(f"the Kinesis stream {self.name} is not ready yet ({status or 'being made'})")
            time.sleep(0.05)

    def put(self, entries: Sequence[StreamEntry]) -> Sequence[Refusal | None]:
        """Write records once; for each, None or how it was refused."""
        records = [{"Data": each.data, "PartitionKey": each.partition_key} for each in entries]
        answer = self._call("put_records", Effect.ONCE, StreamName=self.name, Records=records)
        return [
            Refusal(told["ErrorCode"], told.get("ErrorMessage", ""), told["ErrorCode"] in _PASSING)
            if told.get("ErrorCode")
            else None
            for told in answer["Records"]
        ]

    def shards(self) -> list[Shard]:
        """All shards that still have records, or will get some."""
        found: list[Shard] = []
        asked: dict[str, str] = {"StreamName": self.name}
        while True:
            answer = self._call("list_shards", Effect.NONE, **asked)
            found += [_shard(raw) for raw in answer["Shards"]]
            if not answer.get("NextToken"):
                return found
            asked = {"NextToken": answer["NextToken"]}

    def marks(self) -> Mapping[str, int]:
        """Write a mark into each open shard, and say where it is: all that is published from now on comes after it.

        An iterator at LATEST would do without writing; but where it expires, or its first answer is lost, there is no way
        to tell where it stood. A sequence number stays.
        """
        deadline = time.monotonic() + self.client.place.operation_timeout
        found: dict[str, int] = {}
        pause = 0.05
        while True:
            missing = [shard for shard in self.shards() if shard.open and shard.id not in found]
            if not missing:
                return found
            if found or pause > 0.05:
                if time.monotonic() > deadline:
                    raise UnavailableError(f"no mark could be written into {len(missing)} shards of {self.name}")
                time.sleep(pause)
                pause = min(pause * 2, 1.0)
            found |= self._marked(missing[:MOST_ENTRIES])

    def iterator(self, shard: str, after: int) -> str:
        """Where reading goes on after a record; 0 is before the first one that is kept."""
        where = (
            {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": str(after)}
            if after
            else {"ShardIteratorType": "TRIM_HORIZON"}
        )
        answer = self._call("get_shard_iterator", Effect.NONE, StreamName=self.name, ShardId=shard, **where)
        return str(answer["ShardIterator"])

    def read(self, iterator: str) -> Page:
        answer = self._call("get_records", Effect.NONE, ShardIterator=iterator, Limit=PAGE)
        records = [Record(int(raw["SequenceNumber"]), raw["Data"]) for raw in answer["Records"]]
        return Page(records, answer.get("NextShardIterator") or "", sum(len(each.data) for each in records))

    def answers(self) -> bool:
        """Whether the service answers, and lets us ask for this stream (which need not be there yet)."""
        try:
            self._status()
        except BackendError:
            return False
        return True

    def drop(self) -> None:
        """Remove the stream, with all that is in it."""
        try:
            self.client.call("delete_stream", Effect.IDEMPOTENT, StreamName=self.name, EnforceConsumerDeletion=True)
        except BackendError as error:
            if code_of(error) not in ("ResourceNotFoundException", "ResourceInUseException"):
                raise
        self._ready = False

    def _marked(self, shards: Sequence[Shard]) -> dict[str, int]:
        records = [{"Data": _MARK, "PartitionKey": "mark", "ExplicitHashKey": each.first_hash} for each in shards]
        answer = self._call("put_records", Effect.IDEMPOTENT, StreamName=self.name, Records=records)
        return {told["ShardId"]: int(told["SequenceNumber"]) for told in answer["Records"] if not told.get("ErrorCode")}

    def _status(self) -> str:
        """Empty where there is no such stream."""
        try:
            answer = self.client.call("describe_stream_summary", Effect.NONE, StreamName=self.name)
        except BackendError as error:
            if code_of(error) == "ResourceNotFoundException":
                return ""
            raise
        return str(answer["StreamDescriptionSummary"]["StreamStatus"])

    def _create(self) -> None:
        try:
            self.client.call("create_stream", Effect.IDEMPOTENT, StreamName=self.name, ShardCount=self.shard_count)
        except BackendError as error:
            if code_of(error) != "ResourceInUseException":  # somebody else makes it, or it is being deleted
                raise

    def _call(self, operation: str, effect: Effect, **parameters: object) -> dict[str, Any]:
        try:
            return self.client.call(operation, effect, **parameters)
        except BackendError as error:
            if code_of(error) == "ResourceNotFoundException":
                self._ready = False  # somebody removed it: the next operation makes it again
            raise


def _shard(raw: Mapping[str, dict[str, str]]) -> Shard:
    parents = [raw.get("ParentShardId"), raw.get("AdjacentParentShardId")]
    return Shard(
        str(raw["ShardId"]),
        tuple(str(each) for each in parents if each),
        raw["HashKeyRange"]["StartingHashKey"],
        "EndingSequenceNumber" not in raw["SequenceNumberRange"],
    )
