"""The event bus on Amazon Kinesis Data Streams: one stream for all topics, read once by each publisher that has subscriptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from stackproof.adapters.aws_client import AwsClient
from stackproof.adapters.settings import Settings
from stackproof.interfaces import (
    ConfigurationError,
    Delivery,
    Event,
    EventCapabilities,
    EventPublisher,
    Handler,
    Order,
    RejectedError,
    ReplayableEvents,
    Subscription,
)

from .common import check_topic, to_json
from .kinesis_checkpoints import DynamoCheckpoints, group_id
from .kinesis_members import TAKEOVER_SECONDS, Member
from .kinesis_stream import MOST_BYTES, MOST_ENTRIES, Stream, StreamEntry, entry_of, stream_name
from .kinesis_subscription import KinesisSubscription, Source, from_marks, from_the_start
from .kinesis_tail import Tail
from .outbox import Outbox
from .running import Running

SHARDS = 2
"""How many shards a stream gets that is made here."""


class KinesisPublisher(EventPublisher, ReplayableEvents):
    """Kinesis: a log of shards that keeps everything for a day, or for as long as the stream says.

    **At least once, in order per key.** Topic and key decide the shard. `publish` returns when the stream has the record; events
    of one key go one at a time, so that none overtakes one that was refused (events of one thread go so in any case). Each
    subscription has one thread and handles the records of a shard one after the other; one whose handler raises comes again,
    with pauses up to 2 s, and until it is done nothing after it in its shard is delivered. Events without a key share a shard.

    **Publishing.** Events that several threads publish at the same time go in one PutRecords, at most 500 and 5 MiB. Of a call
    that was taken in part the refused ones are sent again, alone, with pauses, as long as one operation may take.

    **One stream** carries all topics, because a shard costs by the hour: ``KINESIS_STREAM``, with the namespace behind it where
    there is one. Where it is missing it is made, with ``KINESIS_SHARDS`` (2) shards; on AWS that takes up to a minute, during
    which operations raise `UnavailableError`. A record is ``{"topic":...,"event":{...}}`` in exactly this form; what has
    another one is left out.

    **Reading.** A shard answers five questions a second and gives 2 MB, to all readers together. So one thread reads the end of
    the stream for all subscriptions of an instance, four times a second, and keeps the last 8 MiB of each shard; who is further
    behind reads by itself, at the same pace. With more than one such instance on a stream the service refuses some
    questions: delivery then takes longer. Expired iterators are renewed from the last record; when shards are split or merged,
    the children are read after their parents.

    **A subscription begins** behind a mark that it writes into each open shard: it needs the right to write. `replay` begins with
    the oldest record that is kept, of all topics: it takes as long as reading the stream takes.

    **Groups** are **durable**: a DynamoDB table (``KINESIS_CHECKPOINT_TABLE``) keeps, for each shard, where the group stands and
    which member reads it. Members share the shards, so more members than shards wait. The place is written once a second and when
    a member closes; after a crash what was handled since then comes again, and another member begins after `LEASE_SECONDS`
    (10 s). A member that is alone writes about once every 3 s for each shard. Without a group nothing is written.

    **Limits.** A record has at most 1 MiB, with topic, key and all else. The order of one key is that of sequence numbers: AWS
    promises it for records that are sent after the one before was acknowledged. `disconnect` waits for handlers as long as two
    operations may take. A forked child can publish and subscribe; subscriptions stay with the parent.
    """

    capabilities = EventCapabilities(
        delivery=Delivery.AT_LEAST_ONCE,
        order=Order.PER_KEY,
        delivery_seconds=3.0,
        groups=True,
        durable=True,
        takeover_seconds=TAKEOVER_SECONDS,
        replay=True,
        shared=True,
        remote=True,
        throttles=True,
        partial_batches=True,
    )

    def __init__(
        self,
        kinesis: AwsClient,
        dynamodb: AwsClient,
        *,
        stream: str = "stackproof-events",
        checkpoint_table: str = "stackproof-kinesis-checkpoints",
        shards: int = SHARDS,
        namespace: str = "",
    ) -> None:
        self.namespace = namespace
        self._kinesis = kinesis
        self._dynamodb = dynamodb
        self._stream = Stream(kinesis, stream_name(stream, namespace), shards)
        self._checkpoints = DynamoCheckpoints(dynamodb, stream_name(checkpoint_table, namespace))
        self._tail = Tail(self._stream)
        self._outbox: Outbox[StreamEntry] = Outbox(
            self._stream.put, MOST_ENTRIES, MOST_BYTES, kinesis.place.operation_timeout
        )
        self._running: Running[KinesisSubscription] = Running()

    @classmethod
    def from_settings(cls, settings: Settings, namespace: str = "") -> Self:
        return cls(
            AwsClient.from_settings("kinesis", settings),
            AwsClient.from_settings("dynamodb", settings),
            stream=settings.get("KINESIS_STREAM", "stackproof-events"),
            checkpoint_table=settings.get("KINESIS_CHECKPOINT_TABLE", "stackproof-kinesis-checkpoints"),
            shards=int(settings.number("KINESIS_SHARDS", SHARDS, minimum=1)),
            namespace=namespace,
        )

    def publish(self, topic: str, event: Event) -> None:
        self._kinesis.check_open()
        check_topic(topic)
        entry = entry_of(topic, event.key, to_json(event, self.capabilities.max_payload_bytes))
        self._stream.ensure()
        self._outbox.send(entry)

    def subscribe(self, topic: str, handler: Handler, group: str | None = None) -> Subscription:
        self._must_be_usable(topic)
        if group is not None:
            return self._joined(topic, handler, group)
        marks = self._stream.marks()
        return self._started(topic, handler, marks, from_marks(self._stream.shards, marks))

    def replay(self, topic: str, handler: Handler) -> Subscription:
        self._must_be_usable(topic)
        marks = self._stream.marks()
        return self._started(topic, handler, marks, from_the_start(self._stream.shards))

    def ping(self) -> bool:
        return self._stream.answers()

    def disconnect(self) -> None:
        seconds = self._kinesis.place.operation_timeout
        self._running.end(2 * seconds)
        self._tail.close(seconds + self._kinesis.place.connect_timeout)
        self._kinesis.close()
        self._dynamodb.close()

    def drop_namespace(self) -> None:
        """Remove the stream and the checkpoints of this namespace."""
        if not self.namespace:
            raise ConfigurationError("the empty namespace is not dropped")
        self._stream.drop()
        self._checkpoints.drop()

    def _must_be_usable(self, topic: str) -> None:
        self._kinesis.check_open()
        check_topic(topic)
        self._stream.ensure()

    def _joined(self, topic: str, handler: Handler, group: str) -> Subscription:
        if not group:
            raise RejectedError("a group has a name that is not empty")
        place, marks = group_id(topic, group), self._stream.marks()
        self._checkpoints.begin(place, marks)
        member = Member(self._checkpoints, place, topic, self._stream.shards)
        try:
            member.begin()
        except BaseException:
            member.end()
            raise
        return self._started(topic, handler, marks, member)

    def _started(self, topic: str, handler: Handler, marks: Mapping[str, int], source: Source) -> Subscription:
        """Hand the source, and a hold of the tail, to a subscription, which gives both back."""
        subscription = KinesisSubscription(self._tail, topic, handler, source)
        self._tail.hold(marks)
        try:
            subscription.start()
            self._running.add(subscription)
            self._kinesis.check_open()  # a disconnect meanwhile may have missed it
        except BaseException:
            if subscription.running:
                subscription.close()
            else:
                self._tail.release()
                source.end()
            raise
        return subscription
