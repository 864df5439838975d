"""One log stream of Amazon CloudWatch Logs: what a batch may hold, and sending one, wherever the stream has gone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from stackproof.adapters.aws_client import AwsClient, Effect
from stackproof.adapters.aws_errors import code_of
from stackproof.interfaces import BackendError, RejectedError

BATCH_BYTES = 1_048_576
BATCH_EVENTS = 10_000
BATCH_MILLISECONDS = 24 * 3600 * 1000 - 1
EVENT_OVERHEAD = 26
"""The service adds so many bytes to each event, for its limits as for its bill."""
EVENT_BYTES = 256 * 1024 - EVENT_OVERHEAD

_GONE = "ResourceNotFoundException"
_THERE = ("ResourceAlreadyExistsException", "OperationAbortedException")


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One line, which is ASCII, and when it happened, in milliseconds."""

    timestamp: int
    line: str

    @property
    def size(self) -> int:
        return len(self.line) + EVENT_OVERHEAD


def batches(events: Sequence[LogEvent]) -> Iterator[list[LogEvent]]:
    """All events in the order of their times, those of one time as they came, in as few batches as the limits allow."""
    batch: list[LogEvent] = []
    size = 0
    for event in sorted(events, key=lambda each: each.timestamp):
        if batch and (
            len(batch) >= BATCH_EVENTS
            or size + event.size > BATCH_BYTES
            or event.timestamp - batch[0].timestamp > BATCH_MILLISECONDS
        ):
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += event.size
    if batch:
        yield batch


class CloudWatchStream:
    """A stream, which is made where it is missing, and its group with it. Used by one thread at a time."""

    def __init__(self, client: AwsClient, group: str, stream: str) -> None:
        self._client = client
        self.group = group
        self.stream = stream

    def put(self, batch: Sequence[LogEvent]) -> int:
        """Send one batch; how many of its events the service has refused for good.

        An error is of the whole batch: of nothing in it (`UnavailableError` and the like), or perhaps of all
        (`IndeterminateError`). What is refused because of single events is sent again in halves, until those are alone.
        """
        try:
            return self._put(batch)
        except RejectedError:
            if len(batch) == 1:
                return 1
            middle = len(batch) // 2
            return self.put(batch[:middle]) + self.put(batch[middle:])

    def _put(self, batch: Sequence[LogEvent]) -> int:
        events = [{"timestamp": event.timestamp, "message": event.line} for event in batch]
        try:
            return self._call(events)
        except BackendError as error:
            if code_of(error) != _GONE:
                raise
        self._make()
        return self._call(events)

    def _call(self, events: list[dict[str, Any]]) -> int:
        # Sent twice where an answer was lost: a record that is there twice is better than one that is not.
        answer = self._client.call(
            "put_log_events",
            Effect.IDEMPOTENT,
            logGroupName=self.group,
            logStreamName=self.stream,
            logEvents=events,
        )
        return _refused(answer.get("rejectedLogEventsInfo") or {}, len(events))

    def _make(self) -> None:
        """The group and the stream; that somebody else was faster is no error."""
        for operation, names in (
            ("create_log_group", {"logGroupName": self.group}),
            ("create_log_stream", {"logGroupName": self.group, "logStreamName": self.stream}),
        ):
            try:
                self._client.call(operation, Effect.IDEMPOTENT, **names)
            except BackendError as error:
                if code_of(error) not in _THERE:
                    raise


def _refused(info: dict[str, int], number: int) -> int:
    """How many events were too old, expired or too new: the first two are told by their end, the last by its begin."""
    old = max(info.get("tooOldLogEventEndIndex", 0), info.get("expiredLogEventEndIndex", 0))
    return min(number, old) + max(0, number - max(old, info.get("tooNewLogEventStartIndex", number)))
