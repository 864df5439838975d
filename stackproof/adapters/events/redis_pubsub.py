"""The event bus on Redis pub/sub: SUBSCRIBE and PUBLISH, nothing kept by the server."""

from __future__ import annotations

import random
import threading
import time
from queue import SimpleQueue
from typing import Any, Self
from urllib.parse import quote

import redis

from stackproof.adapters.redis_client import RedisClient
from stackproof.adapters.redis_cluster import open_client
from stackproof.adapters.redis_errors import translated
from stackproof.adapters.redis_settings import redis_options
from stackproof.adapters.settings import Settings
from stackproof.interfaces import (
    BackendError,
    ConfigurationError,
    Delivery,
    Event,
    EventCapabilities,
    EventPublisher,
    Handler,
    Order,
    Subscription,
    UnavailableError,
    UnsupportedError,
)

from .common import call_handler, check_topic, from_json, logger, to_json

BUFFER_BYTES = 64 * 1024 * 1024
"""How much of what arrived can wait for the handler of one subscription."""
TICK_SECONDS = 0.05
"""How often an idle reader looks whether it shall end: the longest that closing waits for it."""
SILENCE_SECONDS = 2.0
"""After so much silence a reader asks whether its server is still there: where a network is cut, often nobody closes the
connection, and until somebody asks, events are missed and nobody knows."""
BACK_OFF_SECONDS = (0.05, 2.0)
"""The first and the longest pause between attempts to reconnect; each is shortened at random by up to a half."""


class RedisSubscription(Subscription):
    """One connection, one thread that drains it into a buffer, and one thread that calls the handler."""

    def __init__(self, client: RedisClient, channel: bytes, topic: str, handler: Handler, buffer_bytes: int) -> None:
        self.topic = topic
        self.gaps = 0
        """How often the connection was lost and restored: events published meanwhile were missed."""
        self.dropped = 0
        """How many events were dropped because the buffer was full."""
        self._client = client
        self._channel = channel
        self._handler = handler
        self._limit = buffer_bytes
        self._buffer: SimpleQueue[bytes | None] = SimpleQueue()
        self._put_bytes = self._taken_bytes = 0  # each written by one thread only
        self._reported = 0
        self._overflows = False
        self._connected = False
        self._closed = False
        name = f"stackproof-redis-{topic}"
        self._reader = threading.Thread(target=self._read, name=f"{name}-reader", daemon=True)
        self._worker = threading.Thread(target=self._work, name=f"{name}-handler", daemon=True)

    def start(self) -> None:
        """Connect, and return when the server confirmed the subscription."""
        self._connection = self._connect()
        self._connected = True
        self._reader.start()
        self._worker.start()

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def active(self) -> bool:
        return self._connected and not self._closed and self._reader.is_alive()

    def close(self) -> None:
        self.stop()
        self.wait(None)

    def stop(self) -> None:
        """Begin no further handler call."""
        self._closed = True
        self._buffer.put(None)

    def wait(self, seconds: float | None) -> bool:
        """Whether the handler ended, waiting for it so long at most; from inside the handler, at once."""
        if threading.current_thread() is self._worker:
            return True
        if self._reader.is_alive():
            self._reader.join(TICK_SECONDS + self._client.connect_timeout + self._client.operation_timeout)
        if self._worker.is_alive():
            self._worker.join(seconds)
        return not self._worker.is_alive()

    # The reader: nobody else touches the connection.

    def _connect(self) -> Any:
        """A connection that the server confirmed to be subscribed."""
        connection = self._client.dedicated_connection(self._channel)
        try:
            connection.send_command("SUBSCRIBE", self._channel, check_health=False)
            answer = connection.read_response()
        except redis.RedisError as error:
            connection.disconnect()
            limit = self._client.operation_timeout
            raise translated(error, self._client.shown_url, limit, repeatable=True) from error
        if answer[:2] != [b"subscribe", self._channel]:
            connection.disconnect()
            raise UnavailableError(f"Redis at {self._client.shown_url} did not confirm the subscription")
        return connection

    def _read(self) -> None:
        try:
            while not self._closed:
                try:
                    self._drain()
                except (redis.RedisError, OSError) as error:
                    self._connected = False
                    self._reconnect(error)
        finally:
            self._connection.disconnect()

    def _drain(self) -> None:
        heard, asked = time.monotonic(), False
        while not self._closed:
            if self._connection.can_read(timeout=TICK_SECONDS):
                answer = self._connection.read_response()
                heard, asked = time.monotonic(), False
                if answer[0] == b"message":
                    self._put(answer[2])
            elif time.monotonic() - heard > SILENCE_SECONDS + self._client.operation_timeout:
                raise redis.TimeoutError(f"no sign of life for {time.monotonic() - heard:.0f} s")
            elif not asked and time.monotonic() - heard > SILENCE_SECONDS:
                self._connection.send_command("PING", check_health=False)
                asked = True

    def _reconnect(self, error: Exception) -> None:
        """Try until it works or the subscription is closed. One warning at either end, however many attempts."""
        self._connection.disconnect()
        if self._closed:
            return
        lost = time.monotonic()
        where = f"Redis at {self._client.shown_url}"
        text = "the subscription to %r lost its connection to %s: %s; events are missed until it is restored"
        logger.warning(text, self.topic, where, error)
        pause, longest = BACK_OFF_SECONDS
        while not self._closed_within(pause * random.uniform(0.5, 1.0)):  # noqa: S311 - jitter, no secret
            try:
                self._connection = self._connect()
            except BackendError:  # said above; the attempts in between would only fill the log
                pause = min(pause * 2, longest)
                continue
            self.gaps += 1
            self._connected = True
            text = "the subscription to %r at %s was restored after %.1f s; events published in between were missed"
            logger.warning(text, self.topic, where, time.monotonic() - lost)
            return

    def _closed_within(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not self._closed and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, TICK_SECONDS))
        return self._closed

    # The buffer between the two threads.

    @property
    def _waiting_bytes(self) -> int:
        return self._put_bytes - self._taken_bytes

    def _put(self, envelope: bytes) -> None:
        waiting = self._waiting_bytes
        if waiting and waiting + len(envelope) > self._limit:
            self.dropped += 1
            if not self._overflows:
                self._overflows = True
                text = "the handler of topic %r is too slow: %d bytes wait for it; further events are dropped"
                logger.warning(text, self.topic, waiting)
            return
        self._put_bytes += len(envelope)
        self._buffer.put(envelope)

    def _work(self) -> None:
        while (envelope := self._buffer.get()) is not None and not self._closed:
            self._taken_bytes += len(envelope)
            if self._overflows and self._waiting_bytes <= self._limit // 2:
                count, self._reported = self.dropped - self._reported, self.dropped
                self._overflows = False
                logger.warning("the handler of topic %r caught up; %d events were dropped", self.topic, count)
            try:
                event = from_json(envelope)
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                logger.warning("a message on topic %r is no event of ours and was left out: %s", self.topic, error)
                continue
            call_handler(self._handler, event, self.topic)


class RedisPubSubPublisher(EventPublisher):
    """Redis pub/sub: fast, ordered, and gone at once for whoever does not listen.

    **At most once.** The server keeps nothing. Subscribers miss what is published while they are not connected; then
    `Subscription.active` is false, one warning tells the beginning and one the end of the gap, and ``gaps`` counts it.
    Reconnecting is tried for ever, with pauses of up to 2 s. A publisher cannot know whether anybody listened. A connection
    that broke without a word is noticed after 2 s of silence, or ``operation_timeout`` later.

    **Order** is total: the server runs one PUBLISH after the other, `publish` returns after its own, and each
    subscription has one connection, one buffer and one handler thread. A `publish` whose answer is lost raises
    `IndeterminateError`; it is never repeated.

    **A slow handler.** Redis disconnects a subscriber for which it must hold more than 32 MB, or 8 MB for a minute
    (``client-output-buffer-limit pubsub 32mb 8mb 60`` in redis.conf). So a thread of its own drains the connection
    into a buffer of ``buffer_bytes`` (64 MB). When it is full, the newest events are dropped and counted in
    ``dropped`` of the subscription; one warning is logged when that begins, and one with the number when the handler
    has caught up.

    **Cost.** Each subscription has a connection and two threads, and while idle takes about 0.1 % of a core (measured
    with 22). Shared ones would be fewer, but one slow or broken subscription could then hold up the others.

    **TLS, clusters.** ``rediss://`` and ``?cluster=true`` mean what they mean for the cache (`RedisCache`). In a cluster every
    node passes each event on to all others. Publishers and subscribers of a topic all use the master of one slot, so that
    its order is total there, too; while a failover or a resharding moves that slot, some use the new master already, and
    events of two publishers may arrive in another order than they were published in. Events that the old master had not
    passed on are lost, which is what *at most once* says.

    **Limits.** Redis has one set of channels for all its databases: namespaces are kept apart by name only
    (``stackproof:events:NAMESPACE:TOPIC``). `disconnect` waits at most ``operation_timeout`` for handlers that run.
    A forked child can publish; subscriptions stay with the parent.
    """

    capabilities = EventCapabilities(
        delivery=Delivery.AT_MOST_ONCE, order=Order.TOTAL, groups=False, shared=True, remote=True
    )

    def __init__(
        self,
        *,
        url: str = "redis://127.0.0.1:6379/0",
        namespace: str = "",
        connect_timeout: float = 5.0,
        operation_timeout: float = 5.0,
        buffer_bytes: int = BUFFER_BYTES,
        ca_file: str = "",
        address_map: str = "",
    ) -> None:
        self.namespace = namespace
        self._client = open_client(
            url,
            connect_timeout=connect_timeout,
            operation_timeout=operation_timeout,
            ca_file=ca_file,
            address_map=address_map,
        )
        self._buffer_bytes = buffer_bytes
        self._subscriptions: list[RedisSubscription] = []
        self._lock = threading.Lock()

    @classmethod
    def from_settings(cls, settings: Settings, namespace: str = "") -> Self:
        return cls(namespace=namespace, **redis_options(settings, "the event bus on Redis"))

    def publish(self, topic: str, event: Event) -> None:
        self._client.check_open()
        channel = self._channel(topic)
        envelope = to_json(event, self.capabilities.max_payload_bytes)
        self._client.execute(b"PUBLISH", channel, envelope, repeatable=False)

    def subscribe(self, topic: str, handler: Handler, group: str | None = None) -> Subscription:
        self._client.check_open()
        channel = self._channel(topic)
        if group is not None:
            raise UnsupportedError("Redis pub/sub has no groups: each subscription gets each event")
        subscription = RedisSubscription(self._client, channel, topic, handler, self._buffer_bytes)
        with self._lock:
            self._subscriptions = [each for each in self._subscriptions if not each.closed] + [subscription]
        try:
            subscription.start()
            self._client.check_open()  # a disconnect meanwhile may have missed it
        except BaseException:
            subscription.close()
            raise
        return subscription

    def ping(self) -> bool:
        return self._client.ping()

    def disconnect(self) -> None:
        with self._lock:
            subscriptions, self._subscriptions = self._subscriptions, []
        deadline = time.monotonic() + self._client.operation_timeout
        for subscription in subscriptions:
            subscription.stop()
        self._client.close()
        for subscription in subscriptions:
            if not subscription.wait(max(0.0, deadline - time.monotonic())):
                logger.warning("a handler of topic %r still runs after disconnect", subscription.topic)

    def drop_namespace(self) -> None:
        """Nothing to do: the server keeps no event."""
        if not self.namespace:
            raise ConfigurationError("the empty namespace is not dropped")

    def _channel(self, topic: str) -> bytes:
        """Injective: a quoted namespace has no colon, so that no other namespace and topic share the channel."""
        check_topic(topic)
        return f"stackproof:events:{quote(self.namespace, safe='')}:{topic}".encode()
