"""Where a subscription stands in its topic: kept by itself, or by the brokers for a group."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException, TopicPartition

from stackproof.interfaces import BackendError, OperationTimeoutError

from .common import logger
from .kafka_client import KafkaClient
from .kafka_errors import translated
from .kafka_topics import KafkaTopics

NEW_PARTITIONS_SECONDS = 5.0
"""How often a subscription without a group looks whether its topic has more partitions now."""
FIRST_SHARE_SECONDS = 3.0
"""How long a new member of a group waits until others leave it a partition: where there are enough of them, there is none."""
COORDINATOR_SECONDS = 0.1
"""Between two questions to a group's coordinator that is just moving or starting."""
_COORDINATOR_MOVES = (
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
)
SESSION_SECONDS = 10.0
"""A member that is not heard of for so long is dead, and its partitions go to others."""
TAKEOVER_SECONDS = SESSION_SECONDS + 3.0
"""How long it takes until another member gets what a dead one held: the others learn of its death by a heartbeat, agree anew,
and ask where the group stands."""
JOIN_SECONDS = 15.0
"""How long a group may need to form: brokers wait three seconds for further members, unless they are configured otherwise."""
COMMON = {
    "auto.offset.reset": "earliest",  # a partition without a position is a new one; what was removed meanwhile is left out
    "fetch.wait.max.ms": 200,
    "fetch.error.backoff.ms": 100,
    "queued.max.messages.kbytes": 16 * 1024,
    "enable.auto.offset.store": False,
}


class Positions(ABC):
    """The part of a subscription that differs with and without a group. Used by the thread of the subscription only."""

    def __init__(self, client: KafkaClient, topics: KafkaTopics, topic: str) -> None:
        self._client = client
        self._topics = topics
        self._topic = topic
        self.stopped = False
        """Set by another thread: whoever waits here gives up."""

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """The options of the consumer."""

    @abstractmethod
    def begin(self, consumer: Any, lost: Callable[[Iterable[int]], None]) -> list[Any]:
        """Fix the position and begin to fetch from there; what came already. ``lost`` is told of partitions that others got."""

    @abstractmethod
    def done(self, consumer: Any, message: Any) -> None:
        """The event was handled."""

    def look_around(self, consumer: Any) -> None:  # noqa: B027 - most have nothing to look for
        """Called now and then."""


class OwnPositions(Positions):
    """All partitions, from a position on that nobody else knows."""

    def __init__(self, client: KafkaClient, topics: KafkaTopics, topic: str, *, oldest: bool) -> None:
        super().__init__(client, topics, topic)
        self._oldest = oldest
        self._next: dict[int, int] = {}
        self._looked = time.monotonic()
        self._numbers: Callable[[], list[int] | None] | None = None

    def options(self) -> dict[str, Any]:
        return {**COMMON, "group.id": "stackproof-alone", "enable.auto.commit": False}

    def begin(self, consumer: Any, lost: Callable[[Iterable[int]], None]) -> list[Any]:  # noqa: ARG002 - nobody takes any
        if not self._next:
            self._next = self._topics.bounds(self._topic, oldest=self._oldest)
        consumer.assign([TopicPartition(self._topic, number, offset) for number, offset in self._next.items()])
        return []

    def done(self, consumer: Any, message: Any) -> None:  # noqa: ARG002 - nothing is kept by the brokers
        self._next[message.partition()] = message.offset() + 1

    def look_around(self, consumer: Any) -> None:
        """Take up partitions that were added, from their first event on: all of them came after the subscription."""
        if self._numbers is None:
            if time.monotonic() - self._looked > NEW_PARTITIONS_SECONDS:
                self._looked, self._numbers = time.monotonic(), self._topics.partitions_later(self._topic)
            return
        numbers = self._numbers()
        if numbers is None:
            return
        self._numbers = None
        new = sorted(set(numbers) - self._next.keys())
        if new:
            logger.info("topic %s has %d partitions more", self._topic, len(new))
            self._next.update(dict.fromkeys(new, 0))
            consumer.incremental_assign([TopicPartition(self._topic, number, 0) for number in new])


class GroupPositions(Positions):
    """The partitions that the members of the group agree on, from where the group stands."""

    def __init__(self, client: KafkaClient, topics: KafkaTopics, topic: str, *, group: str) -> None:
        super().__init__(client, topics, topic)
        self._group = group
        self._joined = self._has_share = False

    def options(self) -> dict[str, Any]:
        return {
            **COMMON,
            "group.id": self._group,
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": int(SESSION_SECONDS * 1000),
            "heartbeat.interval.ms": 500,  # it is with a heartbeat that members learn of one who comes or goes
            "max.poll.interval.ms": 86_400_000,  # a slow handler keeps its partitions: its event must not come again beside it
            "topic.metadata.refresh.interval.ms": 5000,
            "enable.auto.commit": True,
            "auto.commit.interval.ms": 500,
        }

    def begin(self, consumer: Any, lost: Callable[[Iterable[int]], None]) -> list[Any]:
        self._be_founded(consumer)
        self._joined = self._has_share = False

        def assigned(_: Any, places: list[TopicPartition]) -> None:
            self._joined = True
            self._has_share = self._has_share or bool(places)

        def revoked(_: Any, places: list[TopicPartition]) -> None:
            lost(place.partition for place in places)

        consumer.subscribe([self._topic], on_assign=assigned, on_revoke=revoked, on_lost=revoked)
        return self._await_share(consumer)

    def done(self, consumer: Any, message: Any) -> None:
        try:
            consumer.store_offsets(message=message)
        except KafkaException as error:
            if error.args[0].code() != KafkaError._STATE:  # the partition was taken away; its next owner does it again
                raise

    def _be_founded(self, consumer: Any) -> None:
        """A group is there from its first member on: without a position, it stands at the end.

        The ends are asked for first. Whoever else founds it at the same time did so after that, so that overwriting his
        positions can only move them back. Where he has members already, the brokers refuse it.
        """
        ends = self._topics.bounds(self._topic, oldest=False)
        if self._has_position(consumer, ends):
            return
        places = [TopicPartition(self._topic, number, offset) for number, offset in ends.items()]
        try:
            consumer.commit(offsets=places, asynchronous=False)
        except KafkaException as error:
            if not self._has_position(consumer, ends):
                raise self._translated(error) from error

    def _has_position(self, consumer: Any, numbers: Iterable[int]) -> bool:
        places = [TopicPartition(self._topic, number) for number in numbers]
        deadline = time.monotonic() + self._client.connection.operation_timeout
        while True:
            try:
                found = consumer.committed(places, timeout=max(0.1, deadline - time.monotonic()))
            except KafkaException as error:
                if error.args[0].code() not in _COORDINATOR_MOVES or time.monotonic() > deadline:
                    raise self._translated(error) from error
                time.sleep(COORDINATOR_SECONDS)  # a broker that has just started: asking again harms nobody
            else:
                return any(place.offset != OFFSET_INVALID for place in found)

    def _await_share(self, consumer: Any) -> list[Any]:
        """Wait until the group has taken us in, and left us a partition where it has one to spare; what came meanwhile.

        What is published from now on is not missed in any case; but it would wait until the group has formed.
        """
        came: list[Any] = []
        began = time.monotonic()
        while not self._has_share and not self.stopped:
            waited = time.monotonic() - began
            if self._joined and waited > FIRST_SHARE_SECONDS:
                break
            if waited > JOIN_SECONDS:
                raise OperationTimeoutError(f"the group {self._group} did not form within {JOIN_SECONDS:g} s")
            message = consumer.poll(0.02)
            if message is not None and message.error() and message.error().fatal():
                raise self._translated(KafkaException(message.error()))
            came += [message] if message is not None else []
        return came

    def _translated(self, error: KafkaException) -> BackendError:
        limit = self._client.connection.operation_timeout
        return translated(error.args[0], self._client.where, limit, sent=False)
