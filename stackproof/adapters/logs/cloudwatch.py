"""Logs in Amazon CloudWatch Logs: records are handed to a thread, which sends them in batches."""

from __future__ import annotations

import logging
import math
import os
import re
import socket
import threading
import time
from collections.abc import Sequence
from typing import Self
from weakref import WeakSet

from stackproof.adapters.aws_client import AwsClient, Effect
from stackproof.adapters.aws_errors import code_of
from stackproof.adapters.aws_names import namespaced
from stackproof.adapters.settings import Settings
from stackproof.interfaces import BackendError, ConfigurationError, LogCapabilities

from .cloudwatch_stream import EVENT_BYTES, CloudWatchStream, LogEvent, batches
from .console import level_of
from .handler import LineHandler, say_on_stderr
from .sender import Route, Sender

FLUSH_SECONDS = 10.0
CLOSE_SECONDS = 10.0
"""How long is tried to send what still waits. A call that is under way then is waited for; it has its own time limit."""
MOST_BYTES = 64 * 1024 * 1024
"""Of records that wait; what comes then is dropped, and counted."""
OLDEST, NEWEST = 13 * 86_400_000, 3_600_000
"""Milliseconds before and after now, safely inside of what the service takes (14 days, 2 hours)."""
LONGEST_GROUP = 512

_handlers: WeakSet[CloudWatchHandler] = WeakSet()


def _after_fork() -> None:
    for handler in _handlers:
        handler._begin_in_a_child()


os.register_at_fork(after_in_child=_after_fork)


class _Moment(threading.local):
    """When the record that this thread is showing was made."""

    created: float = 0.0


class CloudWatchHandler(LineHandler):
    """Sends each record, as one line of JSON, to a log stream, which is made where it is missing, with its group.

    **Guarantees.** The caller never waits for the network, and nothing is raised into the application. A thread sends in
    batches within the limits of the service, in the order of the records' times, at the latest ``send_seconds`` later. What is
    throttled or cannot be sent is sent again after pauses that grow; a stream or group that was deleted is made again. A
    record that is too large is cut with a visible mark. What waits is bounded in bytes. Records beyond that, those that the
    service refuses for good (``rejectedLogEventsInfo``), and what cannot be sent in the time that `close` has are counted in
    ``dropped``; the first failure is told on standard error (unless ``logging.raiseExceptions`` is off). `flush` waits until
    what was logged before it is there. At the end of a program `logging.shutdown` flushes and closes; at SIGTERM the
    program does, or ``logs.sigterm`` for it. A forked child begins with an empty queue, a thread and connections of its own.

    **Limits.** A batch whose answer was lost is sent again, so that its records may be there twice. A record whose time the
    service would not take gets the nearest that it does; the line has its own. What the SDK logs while a batch is sent is
    not taken: each batch would make the next one. A program that is killed loses what waits.

    Why not on watchtower 3.4: held to the same contract, it raises into the application (LOG-02, LOG-11), cuts without a
    mark (LOG-06), loses text with half of a surrogate pair (LOG-17) and, uncounted, what is throttled five times in a row
    (LOG-03), and hangs when it is closed while threads log (LIFE-14). docs/findings.md tells more.
    """

    capabilities: LogCapabilities = LogCapabilities(counts_drops=True, throttles=True, max_record_bytes=EVENT_BYTES)

    def __init__(
        self,
        client: AwsClient,
        *,
        group: str,
        stream: str = "{host}/{process}",
        level: int | str = logging.NOTSET,
        send_seconds: float = 1.0,
        most_bytes: int = MOST_BYTES,
        namespace: str = "",
    ) -> None:
        super().__init__(level=level, max_record_bytes=EVENT_BYTES)
        self.namespace = namespace
        self._client = client
        self._group = namespaced(group, "", namespace, LONGEST_GROUP)
        self._stream_name = stream
        self._moment = _Moment()
        self._reported = False
        self._stream = self._stream_of_this_process()
        route = Route(batches=batches, send=self._send, size=_size, told=self.failed)
        self._sender = Sender(route, most_bytes=most_bytes, linger=send_seconds, name="stackproof-cloudwatch")
        _handlers.add(self)

    @classmethod
    def from_settings(cls, settings: Settings, namespace: str = "") -> Self:
        """Reads ``LOG_LEVEL`` (default INFO), ``CLOUDWATCH_LOG_GROUP`` (stackproof), ``CLOUDWATCH_LOG_STREAM``
        (``{host}/{process}``; the words in braces are replaced) and ``CLOUDWATCH_SEND_SECONDS`` (1)."""
        return cls(
            AwsClient.from_settings("logs", settings),
            group=_group_of(settings),
            stream=settings.get("CLOUDWATCH_LOG_STREAM", "{host}/{process}"),
            level=level_of(settings.get("LOG_LEVEL", "INFO")),
            send_seconds=settings.number("CLOUDWATCH_SEND_SECONDS", 1.0),
            namespace=namespace,
        )

    @staticmethod
    def group_name(settings: Settings, namespace: str) -> str:
        """The log group of a namespace."""
        return namespaced(_group_of(settings), "", namespace, LONGEST_GROUP)

    def given_up_later(self) -> int:
        return self._sender.given_up

    def handle(self, record: logging.LogRecord) -> bool:
        """As in `LineHandler`; what the SDK logs in the sender's thread is left out."""
        return False if self._sender.is_here else super().handle(record)

    def emit(self, record: logging.LogRecord) -> None:
        before, self._moment.created = self._moment.created, record.created
        try:
            super().emit(record)
        finally:
            self._moment.created = (
                before  # of the record that is being shown, where this one was logged by its __repr__
            )

    def write_line(self, line: str) -> None:
        if not self._sender.put(LogEvent(_milliseconds(self._moment.created), line)):
            raise BufferError("too many records wait to be sent to CloudWatch Logs")

    def failed(self, error: Exception) -> None:
        """Say once that records are late or lost."""
        if self._reported or not logging.raiseExceptions:
            return
        self._reported = True
        say_on_stderr(
            f"log records for the group {self._group} are late, and may be dropped: {type(error).__name__}: {error}"
        )

    def flush(self) -> None:
        """Wait until what was logged is sent or given up, for a bounded time. Takes no lock: others log meanwhile."""
        if self._open and not self._sender.is_here:
            self._sender.flush(FLUSH_SECONDS)

    def close(self) -> None:
        """Send what waits, in bounded time; records that come later are dropped and counted."""
        with self.lock or threading.RLock():
            self._open = False
        self._sender.close(CLOSE_SECONDS)
        self._client.close()
        super().close()

    def drop_namespace(self) -> None:
        """Delete the log group of the (non-empty) namespace."""
        if not self.namespace:
            raise ConfigurationError("the empty namespace holds real logs; it is not dropped as a whole")
        try:
            self._client.call("delete_log_group", Effect.IDEMPOTENT, logGroupName=self._group)
        except BackendError as error:
            if code_of(error) != "ResourceNotFoundException":
                raise

    def _send(self, batch: Sequence[LogEvent]) -> int:
        return self._stream.put(batch)

    def _stream_of_this_process(self) -> CloudWatchStream:
        name = self._stream_name.replace("{host}", socket.gethostname()).replace("{process}", str(os.getpid()))
        return CloudWatchStream(self._client, self._group, re.sub(r"[:*]", "_", name)[:LONGEST_GROUP])

    def _begin_in_a_child(self) -> None:
        self._sender.begin_anew()
        self._stream = self._stream_of_this_process()


def _group_of(settings: Settings) -> str:
    group = settings.get("CLOUDWATCH_LOG_GROUP", "stackproof")
    if not re.fullmatch(r"[\w./#-]{1,400}", group, re.ASCII):
        raise ConfigurationError(
            f"CLOUDWATCH_LOG_GROUP={group!r} is no log group's name: letters, digits and _ . / # -"
        )
    return group


def _milliseconds(created: float) -> int:
    """The time of a record as the service takes it; now, where it is no time at all."""
    now = int(time.time() * 1000)
    moment = created * 1000 if isinstance(created, int | float) and math.isfinite(created) else now
    return int(min(max(moment, now - OLDEST), now + NEWEST))


def _size(event: LogEvent) -> int:
    return event.size
