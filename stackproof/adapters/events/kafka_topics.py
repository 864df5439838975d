"""Topics and groups in a Kafka cluster: made explicitly and waited for, counted, measured, and removed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import NewTopic, OffsetSpec  # type: ignore[attr-defined]

from stackproof.interfaces import BackendError, UnavailableError

from .kafka_client import KafkaClient

T = TypeVar("T")

OLDEST: Any = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
NEWEST: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]
_NOT_YET = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.NOT_COORDINATOR,
    }
)
"""What brokers say while they have not heard of a change yet."""
_GONE_OR_IN_USE = frozenset(
    {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.GROUP_ID_NOT_FOUND, KafkaError.NON_EMPTY_GROUP}
)
_PAUSE_SECONDS = 0.02


def code_of(error: BaseException | None) -> int | None:
    """The code of the driver's error behind one of ours."""
    cause = error.__cause__ if isinstance(error, BackendError) else error
    code: int | None = cause.args[0].code() if isinstance(cause, KafkaException) else None
    return code


class KafkaTopics:
    """The topics that one publisher uses."""

    def __init__(self, client: KafkaClient) -> None:
        self._client = client
        self._known: set[str] = set()

    def ensure(self, name: str) -> None:
        """The topic is there and each partition has a leader."""
        if name in self._known:
            return
        if not self._is_there(name):
            self._make(name)
            self._until_known(lambda: self._is_there(name) or None, f"the topic {name}")
        self._known.add(name)

    def knows(self, name: str) -> bool:
        """Whether `ensure` has nothing to ask."""
        return name in self._known

    def forget(self, name: str) -> None:
        """Look again the next time: somebody may have removed it."""
        self._known.discard(name)

    def partitions(self, name: str) -> list[int]:
        """The numbers of its partitions; empty where there is no such topic."""
        try:
            found = self._client.ask(
                lambda admin, seconds: admin.describe_topics(TopicCollection([name]), request_timeout=seconds)[name]
            )
        except BackendError as error:
            if code_of(error) == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return []
            raise
        return _led(found)

    def partitions_later(self, name: str) -> Callable[[], list[int] | None]:
        """Ask for the same, and do not wait: what comes back has the answer as soon as it is not None."""
        answer: Any = self._client.start_asking(
            lambda admin, seconds: admin.describe_topics(TopicCollection([name]), request_timeout=seconds)[name]
        )

        def numbers() -> list[int] | None:
            if not answer.done():
                return None
            return [] if answer.exception() is not None else _led(answer.result())

        return numbers

    def bounds(self, name: str, *, oldest: bool) -> dict[int, int]:
        """The position of each partition's oldest event, or the one after its newest."""
        spec = OLDEST if oldest else NEWEST

        def ask() -> dict[int, int] | None:
            wanted = {TopicPartition(name, number): spec for number in self.partitions(name)}
            if not wanted:
                return None
            found = self._client.ask_all(lambda admin, seconds: admin.list_offsets(wanted, request_timeout=seconds))
            return {place.partition: result.offset for place, result in found.items()}

        return self._until_known(ask, f"the topic {name}")

    def remove_all(self, prefix: str) -> None:
        """Remove the topics whose names begin so, and the groups, as far as nobody is in them.

        The positions of the others go with their topics, and brokers remove what has neither positions nor members.
        """
        topics = [name for name in self._all_topics() if name.startswith(prefix)]
        if topics:
            self._removed(
                lambda admin, seconds: admin.delete_topics(topics, request_timeout=seconds, operation_timeout=seconds)
            )
        listed = self._client.ask(lambda admin, seconds: admin.list_consumer_groups(request_timeout=seconds))
        groups = [group.group_id for group in listed.valid if group.group_id.startswith(prefix)]
        if groups:
            self._removed(lambda admin, seconds: admin.delete_consumer_groups(groups, request_timeout=seconds))
        self._known = {name for name in self._known if not name.startswith(prefix)}

    def _removed(self, question: Callable[[Any, float], dict[str, Any]]) -> None:
        """Wait until all of it is removed, or gone already, or not to be removed because it has members."""
        for answer in self._client.start_asking(question).values():
            try:
                self._client.ask(lambda _admin, _seconds, answer=answer: answer)  # type: ignore[misc]
            except BackendError as error:
                if code_of(error) not in _GONE_OR_IN_USE:
                    raise

    def _all_topics(self) -> Iterable[str]:
        listed = self._client.start_asking(lambda admin, seconds: admin.list_topics(timeout=seconds))
        names: Iterable[str] = listed.topics
        return names

    def _is_there(self, name: str) -> bool:
        return bool(self.partitions(name))

    def _make(self, name: str) -> None:
        made = self._client.connection
        topic = NewTopic(name, num_partitions=made.partitions, replication_factor=made.replication)
        try:
            self._client.ask(
                lambda admin, seconds: admin.create_topics([topic], request_timeout=seconds, operation_timeout=seconds)[
                    name
                ]
            )
        except BackendError as error:
            if code_of(error) != KafkaError.TOPIC_ALREADY_EXISTS:  # somebody else was faster
                raise

    def _until_known(self, ask: Callable[[], T | None], what: str) -> T:
        """Ask until there is an answer: brokers hear of a new topic one after the other, and of its leaders later."""
        limit = self._client.connection.operation_timeout
        deadline = time.monotonic() + limit
        while True:
            try:
                found = ask()
            except BackendError as error:
                if code_of(error) not in _NOT_YET or time.monotonic() > deadline:
                    raise
                found = None
            if found is not None:
                return found
            if time.monotonic() > deadline:
                raise UnavailableError(f"{what} has no leader for each partition at {self._client.where}")
            time.sleep(_PAUSE_SECONDS)


def _led(found: Any) -> list[int]:
    """The numbers of a topic's partitions, once each has a leader."""
    led = all(partition.leader is not None and partition.leader.id >= 0 for partition in found.partitions)
    return sorted(partition.id for partition in found.partitions) if led else []
