"""The event bus on Redis pub/sub, against redis-py and json."""

from __future__ import annotations

import json
import threading
from datetime import datetime
from typing import Any

from stackproof.adapters.events.redis_pubsub import RedisPubSubPublisher
from stackproof.benchmarks.pairs import Pair, Twins, operation
from stackproof.interfaces import Event

from .redis_cache import raw_client
from .samples import event

AT_ONCE = 50
WAIT_SECONDS = 20.0


def envelope_of(event: Event) -> bytes:
    """The envelope as a user of json writes it."""
    return json.dumps(
        {
            "type": event.type,
            "event_id": event.event_id,
            "key": event.key,
            "timestamp": event.timestamp.isoformat(),
            "payload": event.payload,
        },
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()


def event_of(envelope: bytes) -> Event:
    """And back."""
    fields = json.loads(envelope)
    fields["timestamp"] = datetime.fromisoformat(fields["timestamp"])
    return Event(**fields)


class Counting:
    """A handler that tells when it was called so often."""

    def __init__(self) -> None:
        self.seen = 0
        self.wanted = 0
        self.reached = threading.Event()

    def __call__(self, _event: Event) -> None:
        self.seen += 1
        if self.seen >= self.wanted:
            self.reached.set()

    def expect(self, more: int) -> None:
        self.reached.clear()
        self.wanted = self.seen + more

    def wait(self) -> None:
        if not self.reached.wait(WAIT_SECONDS):
            raise AssertionError(f"{self.seen} of {self.wanted} events were handled after {WAIT_SECONDS:g} s")


class RedisEventTwins(Twins):
    """publish, and fifty events from `publish` until the handler had them."""

    backend = "events=redis"
    driver = "redis-py"

    def open(self) -> None:
        self.publisher = RedisPubSubPublisher.from_settings(self.settings, self.namespace)
        self.client = raw_client(self.settings)
        self.raw_pubsub: Any = None

    def close(self) -> None:
        if hasattr(self, "publisher"):
            self.publisher.disconnect()
        if getattr(self, "raw_pubsub", None) is not None:
            self.raw_thread.stop()
            self.raw_thread.join(5.0)
        if hasattr(self, "client"):
            self.client.close()

    @operation("publish")
    def publish(self) -> Pair:
        channel = self.publisher._channel("quiet")
        return Pair(
            lambda event: self.publisher.publish("quiet", event),
            lambda event: self.client.publish(channel, envelope_of(event)),
            event,
            comparable=False,
        )

    @operation(f"publish {AT_ONCE}, until handled")
    def delivery(self) -> Pair:
        ours, theirs = Counting(), Counting()
        subscription = self.publisher.subscribe("busy", ours)
        channel = "tax:" + self.namespace
        self.raw_pubsub = self.client.pubsub(ignore_subscribe_messages=True)
        self.raw_pubsub.subscribe(**{channel: lambda message: theirs(event_of(message["data"]))})
        self.raw_thread = self.raw_pubsub.run_in_thread(sleep_time=0.05, daemon=True)

        def adapter(events: list[Event]) -> None:
            ours.expect(len(events))
            for each in events:
                self.publisher.publish("busy", each)
            ours.wait()

        def raw(events: list[Event]) -> None:
            theirs.expect(len(events))
            for each in events:
                self.client.publish(channel, envelope_of(each))
            theirs.wait()

        assert subscription.active
        return Pair(adapter, raw, lambda n: [event(n * AT_ONCE + each) for each in range(AT_ONCE)])

    @operation("ping")
    def ping(self) -> Pair:
        return Pair(lambda _: self.publisher.ping(), lambda _: self.client.ping(), int)
