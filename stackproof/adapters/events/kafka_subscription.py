"""A subscription to a topic in Kafka: one consumer, and one thread that fetches events and calls the handler.

All calls of the consumer are made by that thread, also those that fix its position before `subscribe` returns: an
interrupted caller leaves nothing half done.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from weakref import ref

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from stackproof.interfaces import BackendError, ClosedError, Event, Handler, OperationTimeoutError, Subscription

from .common import call_handler, from_json, logger
from .kafka_client import KafkaClient, readers
from .kafka_errors import text_of, translated
from .kafka_handles import see_to_the_end
from .kafka_positions import JOIN_SECONDS, Positions
from .kafka_topics import NEWEST

TICK_SECONDS = 0.05
"""How often an idle subscription looks whether it shall end: the longest that closing waits for it."""
RETRY_SECONDS = (0.02, 2.0)
"""The first and the longest pause before a handler gets an event again that it failed on; each up to a half shorter."""
REOPEN_SECONDS = (0.1, 2.0)
"""The same between attempts to begin anew after an error that a consumer does not get over."""
CHECK_SECONDS = 0.5
"""How often a subscription with a broken connection asks whether its partitions can be reached."""
END_SECONDS = 3.0
"""How long closing waits for the consumer to say good-bye, once the handler has ended. While the brokers are away, and commits
are under way, the driver takes up to ten seconds for that; it goes on behind then."""


@dataclass(slots=True)
class _Held:
    """An event that the handler failed on. Its partition is paused until it is done."""

    message: Any
    failures: int
    due: float


class KafkaSubscription(Subscription):
    """See the module, and `KafkaEventPublisher` for what is promised."""

    def __init__(self, client: KafkaClient, topic: str, name: str, handler: Handler, positions: Positions) -> None:
        self.topic = topic
        self.interruptions = 0
        """How often its partitions could not be reached for a while: events came later then, and none was missed."""
        self._client = client
        self._name = name
        self._handler = handler
        self._positions = positions
        self._consumer: Any = None
        self._early: list[Any] = []
        self._held: dict[int, _Held] = {}
        self._closed = False
        self._connected = False
        self._doubtful = False
        self._check: tuple[float, dict[Any, Any]] | None = None
        self._opened, self._free = threading.Event(), threading.Event()
        self._free.set()
        self._gate = threading.Lock()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"stackproof-kafka-{topic[:40]}", daemon=True)

    def start(self) -> None:
        """Return when the position is fixed: everything that is published from now on will come."""
        readers.add(self)
        self._thread.start()
        limit = self._client.connection.connect_timeout + 2 * self._client.connection.operation_timeout + JOIN_SECONDS
        if not self._opened.wait(limit):
            raise OperationTimeoutError(f"{self._client.where} did not make the subscription within {limit:g} s")
        if self._failure is not None:
            raise self._failure

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def active(self) -> bool:
        return self._connected and not self._closed and self._thread.is_alive()

    def close(self) -> None:
        self.stop()
        self.wait(None)

    def stop(self) -> None:
        """Begin no further handler call."""
        with self._gate:
            self._closed = self._positions.stopped = True

    def wait(self, seconds: float | None) -> bool:
        """Whether the handler ended, waiting for it so long at most; from inside the handler, at once."""
        if threading.current_thread() is self._thread:
            return True
        if not self._free.wait(seconds):
            return False
        if self._thread.is_alive():  # it says good-bye to the brokers, which may not be there
            self._thread.join(END_SECONDS if seconds is None else min(END_SECONDS, max(0.1, seconds)))
        return True

    def leave_to_the_parent(self) -> None:
        """In a forked child: the thread is not here, and may have had a lock."""
        self._gate, self._free = threading.Lock(), threading.Event()
        self._free.set()
        self._closed = True

    # The thread

    def _run(self) -> None:
        try:
            self._open()
        except BaseException as error:  # noqa: BLE001 - it is for the caller of subscribe
            self._failure = error
        finally:
            self._opened.set()
        try:
            while self._failure is None and not self._closed:
                try:
                    self._step()
                except (KafkaException, BackendError) as error:
                    self._begin_anew(error)
        finally:
            self._end_consumer()
            readers.discard(self)

    def _open(self) -> None:
        self._client.be_connected()
        self._consumer = self._client.new_consumer({**self._positions.options(), "error_cb": self._on_error})
        try:
            self._early = self._positions.begin(self._consumer, self._forget_held)
        except KafkaException as error:
            limit = self._client.connection.operation_timeout
            raise translated(error.args[0], self._client.where, limit, sent=False) from error
        self._connected = True

    def _end_consumer(self) -> None:
        """Leave the group, with what was handled committed. Where nobody can hear it, just drop the consumer: it would wait."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None and self._connected and not self._doubtful:
            try:
                consumer.close()
            except (KafkaException, RuntimeError) as error:
                logger.warning("the consumer of topic %r did not end well: %s", self.topic, text_of(error))
        if consumer is not None:
            left = ref(consumer)
            consumer = None
            see_to_the_end(left)

    def _begin_anew(self, error: Exception) -> None:
        """After an error that the consumer does not get over: end it, and make another one that goes on at its place."""
        self._lose(error)
        pause, longest = REOPEN_SECONDS
        while not self._closed:
            self._end_consumer()
            self._held.clear()
            self._sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
            pause = min(pause * 2, longest)
            try:
                self._open()
            except ClosedError:
                return
            except BackendError:  # said above; the attempts in between would only fill the log
                self._connected = False
                continue
            self._regain()
            return

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._closed and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, TICK_SECONDS))

    # Events

    def _step(self) -> None:
        due = min((held.due for held in self._held.values()), default=None)
        wait = TICK_SECONDS if due is None else max(0.0, min(TICK_SECONDS, due - time.monotonic()))
        message = self._early.pop(0) if self._early else self._consumer.poll(wait)
        if message is not None:
            self._take(message)
        self._try_held_again()
        if self._doubtful and not self._closed:
            self._look_after_connection()
        self._positions.look_around(self._consumer)

    def _take(self, message: Any) -> None:
        error = message.error()
        if error is not None:
            self._doubtful = True
            if error.fatal() or error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._MAX_POLL_EXCEEDED):
                raise KafkaException(error)
            return
        self._regain()
        if not self._closed and not self._handled(message):
            failures = 1
            self._consumer.pause([TopicPartition(self._name, message.partition())])
            self._held[message.partition()] = _Held(message, failures, time.monotonic() + _pause_after(failures))

    def _try_held_again(self) -> None:
        for number, held in list(self._held.items()):
            if self._closed or self._held.get(number) is not held or held.due > time.monotonic():
                continue
            if self._handled(held.message):
                del self._held[number]
                self._consumer.resume([TopicPartition(self._name, number)])
            else:
                held.failures += 1
                held.due = time.monotonic() + _pause_after(held.failures)

    def _handled(self, message: Any) -> bool:
        """Whether the event is done: the handler took it, or nobody could, because it is none of ours."""
        try:
            event = from_json(message.value())
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            place = f"{self._name} [{message.partition()}] at {message.offset()}"
            logger.warning("the record in %s is no event of ours and was left out: %s", place, error)
        else:
            if not self._called(event):
                return False
        self._positions.done(self._consumer, message)
        return True

    def _called(self, event: Event) -> bool:
        """Whether the handler took the event; once the subscription is closed, it is not called any more."""
        with self._gate:
            if self._closed:
                return False
            self._free.clear()
        try:
            return call_handler(self._handler, event, self.topic)
        finally:
            self._free.set()

    def _forget_held(self, numbers: Iterable[int]) -> None:
        """The next owner of these partitions gets the events again that are held here.

        That may be this member once more. The driver remembers what was paused, also of what it had to give away: so it is told.
        """
        for number in numbers:
            if (
                self._held.pop(number, None) is not None and self._consumer is not None
            ):  # there is none when it says good-bye
                self._consumer.resume([TopicPartition(self._name, number)])
            self._early = [message for message in self._early if message.partition() != number]

    # Whether the brokers can be reached

    def _on_error(self, error: KafkaError) -> None:  # noqa: ARG002 - the driver logs it
        """Called by this thread, from inside the consumer."""
        self._doubtful = True

    def _look_after_connection(self) -> None:
        """The driver connects again by itself and says nothing then: so the partitions are asked whether they are there."""
        if self._check is None:
            places = dict.fromkeys(self._consumer.assignment(), NEWEST)
            places = places or {TopicPartition(self._name, 0): NEWEST}
            ask = self._client.start_asking
            self._check = (time.monotonic(), ask(lambda admin, _: admin.list_offsets(places, request_timeout=1.0)))
            return
        began, answers = self._check
        if time.monotonic() - began < CHECK_SECONDS and self._connected is False:
            return
        if not all(answer.done() for answer in answers.values()):
            return
        self._check = None
        errors = [error for answer in answers.values() if (error := answer.exception()) is not None]
        if errors:
            self._lose(errors[0])
        else:
            self._doubtful = False
            self._regain()

    def _lose(self, error: BaseException) -> None:
        """One warning when it begins, however often it is tried."""
        if self._connected and not self._closed:
            self._connected = False
            text = "the subscription to %r cannot reach %s: %s; events come when it can again"
            logger.warning(text, self.topic, self._client.where, text_of(error))

    def _regain(self) -> None:
        if not self._connected:
            self._connected = True
            self.interruptions += 1
            logger.warning("the subscription to %r reaches %s again", self.topic, self._client.where)


def _pause_after(failures: int) -> float:
    first, longest = RETRY_SECONDS
    pause: float = min(longest, first * 2.0 ** min(failures - 1, 20))
    return pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
