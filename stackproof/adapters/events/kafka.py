"""The event bus on Kafka, and on what speaks its protocol."""

from __future__ import annotations

import threading
import time
from functools import lru_cache
from typing import Self

from stackproof.adapters.settings import Settings
from stackproof.adapters.waiting_line import Waiting, WaitingLine, tell
from stackproof.interfaces import (
    BackendError,
    ConfigurationError,
    DeferredPublisher,
    Delivery,
    Done,
    Event,
    EventCapabilities,
    EventPublisher,
    Handler,
    Order,
    RejectedError,
    ReplayableEvents,
    StackproofError,
    Subscription,
)

from .common import check_topic, logger, to_json
from .kafka_client import LARGEST_RECORD, KafkaClient
from .kafka_names import group_name, prefix_of, topic_name
from .kafka_positions import TAKEOVER_SECONDS, GroupPositions, OwnPositions, Positions
from .kafka_settings import KafkaConnection, kafka_connection
from .kafka_subscription import KafkaSubscription
from .kafka_topics import KafkaTopics

DROP_SECONDS = 2.0
"""How long dropping a namespace waits for handlers that run."""
OVERHEAD_BYTES = 512
"""Of a record, beside its key and its envelope: generously."""


@lru_cache(maxsize=4096)
def _checked_name(namespace: str, topic: str) -> str:
    """Kept, because most events go to the same few topics. What is refused is refused each time."""
    check_topic(topic)
    return topic_name(namespace, topic)


class KafkaEventPublisher(EventPublisher, ReplayableEvents, DeferredPublisher):
    """Kafka: a log that is kept, partitions by key, groups whose place the brokers keep.

    **Accepted** means that all replicas in sync have the event (``acks=all``, with the producer's own repetitions made
    harmless by ``enable.idempotence``); how many there are is a matter of the topic (``min.insync.replicas``). `publish`
    returns after that, so that nothing waits in a buffer at `disconnect`. Where no acknowledgement comes in time, it
    raises `IndeterminateError`, because the driver does not tell whether the event ever left. From then on the brokers
    are asked for a sign of life before each event: while there is none, errors say truly that nothing was applied.

    **At least once.** An event is acknowledged when its handler has returned. One that raises gets the same event again, after
    20 ms to 2 s; meanwhile its partition waits, and the others go on. An event that cannot be handled at all therefore
    stops its partition. Positions of groups are committed twice a second and when a member leaves: so many events come again
    after a crash.

    **Order** holds among the events of one key, which share a partition (murmur2, as in other clients). Events without a key
    share one, too. Where partitions are added to a topic, keys move, and order is not kept across that moment.

    **Topics** are made with ``KAFKA_PARTITIONS`` (3) and ``KAFKA_REPLICATION`` (as the brokers are configured), under names
    like ``stackproof.NAMESPACE.TOPIC``. At most as many members of a group work at the same time as there are partitions.

    **Groups** rebalance cooperatively: who stays keeps working. A slow handler keeps its partition for up to a day. `subscribe`
    returns when the group has formed, which brokers delay by three seconds for the first member unless
    ``group.initial.rebalance.delay.ms`` is less. A member that dies with its process is missed after ten
    seconds. Brokers forget a group that had no member for a week (``offsets.retention.minutes``).
    A subscription without a group joins none: it begins at the end of each partition.

    **Cost.** Each subscription has a consumer of its own, with a few threads and connections, and asks the brokers five times
    a second. `disconnect` waits at most ``operation_timeout`` for handlers that run. A forked child makes connections of its own;
    subscriptions stay with the parent.
    """

    capabilities = EventCapabilities(
        delivery=Delivery.AT_LEAST_ONCE,
        order=Order.PER_KEY,
        max_payload_bytes=768 * 1024,
        delivery_seconds=1.0,
        groups=True,
        durable=True,
        takeover_seconds=TAKEOVER_SECONDS,
        replay=True,
        shared=True,
        remote=True,
    )

    def __init__(self, connection: KafkaConnection, *, namespace: str = "") -> None:
        self.namespace = namespace
        self._client = KafkaClient(connection)
        self._topics = KafkaTopics(self._client)
        self._subscriptions: list[KafkaSubscription] = []
        self._lock = threading.Lock()
        self._line = WaitingLine("stackproof-kafka-line")

    @classmethod
    def from_settings(cls, settings: Settings, namespace: str = "") -> Self:
        return cls(kafka_connection(settings), namespace=namespace)

    def publish(self, topic: str, event: Event) -> None:
        self._client.check_open()
        name, key, envelope = self._record(topic, event)
        self._client.be_connected()
        try:
            self._topics.ensure(name)
            self._client.send(name, key, envelope)
        except BackendError:
            self._topics.forget(name)
            raise

    def publish_deferred(self, topic: str, event: Event, done: Done) -> None:
        """As the interface says. ``done`` is called by the thread that serves the driver's handles.

        In doubt (before the first connection, after a record that was not acknowledged) events wait in a line, while the
        brokers are asked for a sign of life: what fails there was not applied.
        """
        self._client.check_open()
        name, key, envelope = self._record(topic, event)
        if self._line.empty and self._client.ready and self._topics.knows(name):
            try:
                self._client.start_sending(name, key, envelope, done, self._topics.forget)
                return
            except BufferError:
                pass  # the queue is full: the line waits for room
        self._line.join(_LateEvent(self, name, key, envelope, done))

    def _record(self, topic: str, event: Event) -> tuple[str, bytes, bytes]:
        """The name of the topic, the key and the envelope; `RejectedError` for what cannot be published."""
        name = _checked_name(self.namespace, topic)
        envelope = to_json(event, self.capabilities.max_payload_bytes)
        key = event.key.encode()
        size = len(key) + len(envelope) + OVERHEAD_BYTES
        if size > LARGEST_RECORD:
            raise RejectedError(f"an event has at most {LARGEST_RECORD} bytes in all; this one has {size}")
        return name, key, envelope

    def subscribe(self, topic: str, handler: Handler, group: str | None = None) -> Subscription:
        self._client.check_open()
        check_topic(topic)
        name = topic_name(self.namespace, topic)
        if group is None:
            return self._begin(topic, handler, OwnPositions(self._client, self._topics, name, oldest=False))
        try:
            group_id = group_name(self.namespace, topic, group)
        except UnicodeEncodeError as error:
            raise RejectedError(f"the group {group!r} has no UTF-8 form") from error
        return self._begin(topic, handler, GroupPositions(self._client, self._topics, name, group=group_id))

    def replay(self, topic: str, handler: Handler) -> Subscription:
        self._client.check_open()
        check_topic(topic)
        name = topic_name(self.namespace, topic)
        return self._begin(topic, handler, OwnPositions(self._client, self._topics, name, oldest=True))

    def ping(self) -> bool:
        return self._client.ping()

    def disconnect(self) -> None:
        deadline = time.monotonic() + self._client.connection.operation_timeout
        with self._lock:
            subscriptions = list(self._subscriptions)
        for subscription in subscriptions:
            subscription.stop()
        connection = self._client.connection
        self._line.wait(connection.connect_timeout + connection.record_timeout)  # what it begins is flushed below
        self._client.close()
        self._line.wait(connection.operation_timeout)  # whoever came meanwhile is told
        self._end_subscriptions(max(0.0, deadline - time.monotonic()))

    def drop_namespace(self) -> None:
        """Remove the topics and the groups of this namespace. The subscriptions of this instance end."""
        if not self.namespace:
            raise ConfigurationError("the empty namespace is not dropped")
        self._client.check_open()
        self._end_subscriptions(DROP_SECONDS)
        self._topics.remove_all(prefix_of(self.namespace))

    def _end_subscriptions(self, seconds: float) -> None:
        with self._lock:
            subscriptions, self._subscriptions = self._subscriptions, []
        deadline = time.monotonic() + seconds
        for subscription in subscriptions:
            subscription.stop()
        for subscription in subscriptions:
            if not subscription.wait(max(0.0, deadline - time.monotonic())):
                logger.warning("a handler of topic %r still runs after its subscription was ended", subscription.topic)

    def _begin(self, topic: str, handler: Handler, positions: Positions) -> Subscription:
        name = topic_name(self.namespace, topic)
        self._client.be_connected()
        self._topics.ensure(name)
        subscription = KafkaSubscription(self._client, topic, name, handler, positions)
        with self._lock:
            self._subscriptions = [each for each in self._subscriptions if not each.closed] + [subscription]
        try:
            subscription.start()
            self._client.check_open()  # a disconnect meanwhile may have missed it
        except BaseException:
            subscription.stop()
            subscription.wait(0.5)
            raise
        return subscription


class _LateEvent(Waiting):
    """An event that waits for a connection, for its topic, or for room in the driver's queue."""

    def __init__(self, bus: KafkaEventPublisher, name: str, key: bytes, envelope: bytes, done: Done) -> None:
        self._bus, self.place, self._key, self._envelope, self._done = bus, name, key, envelope, done

    def connect(self) -> None:
        self._bus._client.be_connected()

    def begin(self) -> None:
        bus, name = self._bus, self.place
        bus._topics.ensure(name)
        bus._client.start_sending(name, self._key, self._envelope, self._done, bus._topics.forget, patient=True)

    def fail(self, error: StackproofError) -> None:
        self._bus._topics.forget(self.place)
        tell(self._done, error)
