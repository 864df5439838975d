"""The event bus on Kafka, against confluent-kafka and json."""

from __future__ import annotations

import threading
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from stackproof.adapters.events.kafka import KafkaEventPublisher
from stackproof.adapters.events.kafka_names import topic_name
from stackproof.benchmarks.pairs import Pair, Twins, operation
from stackproof.interfaces import Event

from .redis_events import AT_ONCE, WAIT_SECONDS, Counting, envelope_of, event_of
from .samples import event


class KafkaTwins(Twins):
    """publish (returns with the acknowledgement of all replicas in sync), and fifty events until the handler had them."""

    backend = "events=kafka"
    driver = "confluent-kafka"

    def open(self) -> None:
        self.publisher = KafkaEventPublisher.from_settings(self.settings, self.namespace)
        client = self.publisher._client
        options = {name: value for name, value in client._options("producer").items() if name != "error_cb"}
        self.producer: Any = Producer(options)
        self.ends = threading.Event()
        self.threads: list[threading.Thread] = []
        self.consumer: Any = None
        self._start(self._poll)

    def close(self) -> None:
        if hasattr(self, "ends"):
            self.ends.set()
            for thread in self.threads:
                thread.join(5.0)
            self.producer.flush(5.0)
        if getattr(self, "consumer", None) is not None:
            self.consumer.close()
            self.consumer = None
        if hasattr(self, "publisher"):
            self.publisher.drop_namespace()
            self.publisher.disconnect()

    @operation("publish")
    def publish(self) -> Pair:
        name = topic_name(self.namespace, "quiet")
        return Pair(
            lambda event: self.publisher.publish("quiet", event),
            lambda event: self._acknowledged(name, event),
            event,
            comparable=False,
        )

    @operation(f"publish {AT_ONCE}, until handled")
    def delivery(self) -> Pair:
        ours, theirs = Counting(), Counting()
        self.publisher.publish("raw", event(-1))  # makes the topic
        subscription = self.publisher.subscribe("busy", ours)
        name = topic_name(self.namespace, "raw")
        self._consume(name, theirs)

        def adapter(events: list[Event]) -> None:
            ours.expect(len(events))
            for each in events:
                self.publisher.publish("busy", each)
            ours.wait()

        def raw(events: list[Event]) -> None:
            theirs.expect(len(events))
            for each in events:
                self._acknowledged(name, each)
            theirs.wait()

        assert subscription.active
        return Pair(adapter, raw, lambda n: [event(n * AT_ONCE + each) for each in range(AT_ONCE)])

    def _acknowledged(self, name: str, event: Event) -> None:
        known = threading.Lock()
        known.acquire()
        errors: list[Any] = []

        def delivered(error: Any, _message: Any) -> None:
            if error is not None:
                errors.append(error)
            known.release()

        self.producer.produce(name, key=event.key, value=envelope_of(event), on_delivery=delivered)
        if not known.acquire(timeout=WAIT_SECONDS) or errors:
            raise AssertionError(f"not acknowledged: {errors}")

    def _poll(self) -> None:
        while not self.ends.is_set():
            self.producer.poll(0.1)

    def _consume(self, name: str, handler: Counting) -> None:
        """From the end of each partition as it is now, as a subscription without a group."""
        options = self.publisher._client.connection.options()
        self.consumer = Consumer({**options, "group.id": f"tax.{self.namespace}", "enable.auto.commit": False})
        numbers = self.consumer.list_topics(name, timeout=WAIT_SECONDS).topics[name].partitions
        places = [TopicPartition(name, number) for number in numbers]
        for place in places:
            place.offset = self.consumer.get_watermark_offsets(place, timeout=WAIT_SECONDS)[1]
        self.consumer.assign(places)

        def run() -> None:
            while not self.ends.is_set():
                message = self.consumer.poll(0.05)
                if message is not None and message.error() is None:
                    handler(event_of(message.value()))

        self._start(run)

    def _start(self, run: Any) -> None:
        thread = threading.Thread(target=run, name="stackproof-tax-kafka", daemon=True)
        self.threads.append(thread)
        thread.start()
