"""Delivery from an SQS queue to a handler: at least once, and not again while the handler still runs."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from stackproof.adapters.aws_client import AwsClient, Effect
from stackproof.interfaces import BackendError, ClosedError, Event, Handler

from .common import call_handler, from_json, logger
from .eventbridge_names import WAKE, Received, received
from .running import ThreadedSubscription

LONG_POLL_SECONDS = 2
"""How long the server waits for a message before it answers that there is none. Closing sends one, so as not to wait."""
EMPTY_PAUSE = 0.1
"""The pause between questions where the time limits leave no room for a long poll."""
BATCH = 10
"""What SQS gives, and takes, at once."""
BACK_OFF_SECONDS = (0.1, 2.0)
"""The first and the longest pause before a queue that could not be reached is asked again."""
LONGEST_RETRY = 30
"""Seconds after which an event that failed many times is delivered again."""
DELETE_SECONDS = 1.0
"""Handled messages are deleted together: at the end of their batch, and before that with the first that is done when so long
has passed. Until then they are kept from others, as what waits for its handler is; only a crash delivers them again."""


@dataclass(frozen=True, slots=True)
class _Message:
    id: str
    receipt: str
    body: str
    received: int
    """How often it has been received, this time included."""

    @classmethod
    def of(cls, raw: dict[str, Any]) -> _Message:
        times = int(raw.get("Attributes", {}).get("ApproximateReceiveCount", 1))
        return cls(raw["MessageId"], raw["ReceiptHandle"], raw["Body"], times)


class VisibilityKeeper:
    """One thread for all subscriptions of a publisher: what they hold stays invisible to others until they are done."""

    def __init__(self, visibility_seconds: int) -> None:
        self._period = visibility_seconds / 4
        self._holders: list[QueueSubscription] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def watch(self, subscription: QueueSubscription) -> None:
        with self._lock:
            self._holders = [each for each in self._holders if each.running] + [subscription]
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="stackproof-sqs-visibility", daemon=True)
                self._thread.start()

    def close(self) -> None:
        self._stop.set()
        with self._lock:
            thread = self._thread
        if thread is not None and thread.is_alive():
            thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._period):
            for each in self._holders:
                each.keep_invisible(self._period)


class QueueSubscription(ThreadedSubscription):
    """One thread that asks a queue and calls the handler with what it gets, one event after the other."""

    def __init__(
        self,
        sqs: AwsClient,
        url: str,
        topic: str,
        handler: Handler,
        visibility_seconds: int,
        at_end: Callable[[], None],
    ) -> None:
        self.topic = topic
        self._sqs = sqs
        self._url = url
        self._handler = handler
        self._visibility = visibility_seconds
        self._at_end = at_end
        self._poll = max(0, min(LONG_POLL_SECONDS, int(sqs.place.operation_timeout - 1)))
        self._held: dict[str, float] = {}
        """What was received and is neither deleted nor given back: receipt -> since when it is surely invisible."""
        self._handled: list[_Message] = []
        self._deleted_at = time.monotonic()
        self._probes: set[str] = set()
        self._asking = False
        self._connected = True
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"stackproof-sqs-{topic}", daemon=True)

    @property
    def active(self) -> bool:
        return self._connected and not self._stop.is_set() and self.running

    def wake(self) -> bool:
        """End the question that waits for a message, by one; whether that worked. Another member may get it instead."""
        if not (self._asking and self._poll and self._connected):
            return True
        try:
            self._sqs.call("send_message", Effect.IDEMPOTENT, QueueUrl=self._url, MessageBody=WAKE)
        except BackendError as error:
            logger.warning("the wait for events of topic %r could not be cut short: %s", self.topic, error)
            return False
        return True

    def saw_probe(self, probe: str) -> bool:
        """Whether a probe with this text came through the queue."""
        return probe in self._probes

    # The thread

    def _run(self) -> None:
        try:
            pause = BACK_OFF_SECONDS[0]
            while not self._stop.is_set():
                try:
                    self._turn()
                    self._restored()
                    pause = BACK_OFF_SECONDS[0]
                except ClosedError:
                    return
                except BackendError as error:
                    self._lost(error)
                    self._stop.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
                    pause = min(pause * 2, BACK_OFF_SECONDS[1])
        finally:
            self._at_end()

    def _turn(self) -> None:
        messages = self._receive()
        if not messages and not self._poll:
            self._stop.wait(EMPTY_PAUSE)
        left = list(messages)
        try:
            while left and not self._stop.is_set():
                self._handle(left.pop(0))
        finally:
            try:
                self._give_back(left)
            finally:
                self._delete(at_once=True)

    def _receive(self) -> list[_Message]:
        asked = time.monotonic()
        self._asking = True
        try:
            answer = self._sqs.call(
                "receive_message",
                Effect.NONE,
                QueueUrl=self._url,
                MaxNumberOfMessages=BATCH,
                WaitTimeSeconds=0 if self._stop.is_set() else self._poll,
                VisibilityTimeout=self._visibility,
                AttributeNames=["ApproximateReceiveCount"],
            )
        finally:
            self._asking = False
        messages = [_Message.of(raw) for raw in answer.get("Messages", [])]
        self._held |= {each.receipt: asked for each in messages}
        return messages

    def _handle(self, message: _Message) -> None:
        found = self._read(message)
        if isinstance(found, Event) and not call_handler(self._handler, found, self.topic):
            # Whole seconds only: three times at once, then later and later.
            self._make_visible([message], min((message.received - 1) // 3, LONGEST_RETRY))
            return
        self._handled.append(message)
        self._delete(at_once=False)

    def _read(self, message: _Message) -> Event | None:
        """The event of a message; None for a probe, which is noted, and for what is none of ours, which is logged."""
        try:
            found: Received = received(message.body)
            if found.probe:
                self._probes.add(found.probe)
                return None
            return from_json(found.envelope)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            logger.warning("a message on topic %r is no event of ours and was left out: %s", self.topic, error)
            return None

    def _delete(self, at_once: bool) -> None:
        """Delete what was handled. What cannot be deleted comes again, which at-least-once allows."""
        now = time.monotonic()
        if not self._handled or not (at_once or now - self._deleted_at > DELETE_SECONDS):
            return
        handled, self._handled, self._deleted_at = self._handled, [], now
        entries = [{"Id": str(place), "ReceiptHandle": each.receipt} for place, each in enumerate(handled)]
        try:
            answer = self._sqs.call("delete_message_batch", Effect.IDEMPOTENT, QueueUrl=self._url, Entries=entries)
        finally:
            for each in handled:
                self._held.pop(each.receipt, None)
        if answer.get("Failed"):
            logger.warning("%d handled events of topic %r will come again", len(answer["Failed"]), self.topic)

    def _give_back(self, messages: Sequence[_Message]) -> None:
        """What was received and not handled is for others, at once."""
        if messages:
            self._make_visible(messages, 0)

    def _make_visible(self, messages: Sequence[_Message], after: int) -> None:
        for each in messages:
            self._held.pop(each.receipt, None)
        self._change_visibility([each.receipt for each in messages], after)

    def _change_visibility(self, receipts: Sequence[str], seconds: int) -> None:
        entries = [
            {"Id": str(place), "ReceiptHandle": receipt, "VisibilityTimeout": seconds}
            for place, receipt in enumerate(receipts)
        ]
        self._sqs.call("change_message_visibility_batch", Effect.IDEMPOTENT, QueueUrl=self._url, Entries=entries)

    # The keeper's thread

    def keep_invisible(self, period: float) -> None:
        """Ask for more time for what is held, before it runs out."""
        now = time.monotonic()
        receipts = [receipt for receipt, since in list(self._held.items()) if now - since >= period]
        if not receipts:
            return
        try:
            self._change_visibility(receipts[:BATCH], self._visibility)
        except BackendError as error:
            logger.warning("events of topic %r may come again while they are handled: %s", self.topic, error)
            return
        for receipt in receipts:
            if receipt in self._held:
                self._held[receipt] = now

    # What the outside sees of trouble

    def _lost(self, error: BackendError) -> None:
        if self._connected and not self._stop.is_set():
            self._connected = False
            logger.warning("the subscription to %r cannot reach its queue: %s; events wait in it", self.topic, error)

    def _restored(self) -> None:
        if not self._connected:
            self._connected = True
            logger.warning("the subscription to %r reaches its queue again", self.topic)
