"""An event bus on NATS, by its own client `nats-py`, whose event loop runs in a thread of the bus."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import CancelledError as FutureCancelledError
from concurrent.futures import TimeoutError as FutureTimeoutError
from datetime import datetime
from math import ceil
from queue import SimpleQueue
from typing import Any, Self, TypeVar

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from stackproof.interfaces import (
    BackendError,
    ClosedError,
    Event,
    EventCapabilities,
    EventPublisher,
    Handler,
    IndeterminateError,
    OperationTimeoutError,
    Order,
    RejectedError,
    Subscription,
    UnavailableError,
    UnsupportedError,
)

T = TypeVar("T")

logger = logging.getLogger("stackproof")

RECONNECT_SECONDS = 0.2
LONGEST_PLAIN_TOPIC = 512
"""In bytes; of a longer one the digest is used. NATS reads a line of 4 KB at most, and a byte takes two characters."""


class NatsSubscription(Subscription):
    """A subscription of NATS, and a thread that calls the handler with what came."""

    def __init__(self, bus: NatsBus, topic: str, handler: Handler) -> None:
        self._bus = bus
        self._topic = topic
        self._handler = handler
        self._events: SimpleQueue[bytes | None] = SimpleQueue()
        self._closed = False
        self._at_server: Any = None
        self._thread = threading.Thread(target=self._work, name=f"acme-nats-{topic}", daemon=True)

    async def open(self, client: Client, subject: str, timeout: float) -> None:
        self._at_server = await client.subscribe(subject, cb=self._came, pending_msgs_limit=0, pending_bytes_limit=0)
        await client.flush(ceil(timeout))  # the server knows of it when it answers
        self._thread.start()
        if self._closed:  # the caller was interrupted meanwhile
            await self._at_server.unsubscribe()

    async def _came(self, message: Msg) -> None:
        self._events.put(message.data)

    def _work(self) -> None:
        while (data := self._events.get()) is not None:
            if self._closed:
                return
            event = _from_json(data)
            try:
                self._handler(event)
            except BaseException:
                logger.exception("the handler of topic %r failed on event %s", self._topic, event.event_id)

    def close(self) -> None:
        if not self._closed:
            self.stop()
            self._bus.unsubscribe(self._at_server)
        self.wait(None)

    def stop(self) -> None:
        """No event reaches the handler from now on."""
        self._closed = True
        self._events.put(None)

    def wait(self, seconds: float | None) -> None:
        """Until the handler does not run any more; from inside of it, not at all."""
        if self._thread.ident is not None and threading.current_thread() is not self._thread:
            self._thread.join(seconds)

    @property
    def active(self) -> bool:
        return not self._closed and self._bus.connected


class NatsBus(EventPublisher):
    """NATS without JetStream: at most once, in the order of each publisher, nothing is kept.

    `publish` returns when the server has the event. After a cut the client connects again by itself and subscribes anew; what was
    published meanwhile is lost, and `Subscription.active` is false for as long. What waits for a handler is in memory.
    A forked child has no bus: its operations raise `UnavailableError`.
    """

    capabilities = EventCapabilities(order=Order.TOTAL, remote=True)

    def __init__(self, url: str, namespace: str = "", timeout: float = 5.0) -> None:
        self._url = url
        self._prefix = f"acme.n{namespace.encode().hex()}"
        self._timeout = timeout
        self._client: Client | None = None
        self._connecting: asyncio.Lock | None = None
        self._subscriptions: list[NatsSubscription] = []
        self._open = True
        self._process = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="acme-nats-loop", daemon=True)
        self._thread.start()

    @classmethod
    def from_settings(cls, settings: Any, namespace: str = "") -> Self:
        url = settings.require("NATS_URL", "the event bus on NATS", "nats://localhost:4222")
        return cls(url, namespace, settings.operation_timeout)

    def publish(self, topic: str, event: Event) -> None:
        self._check_open()
        subject, data = self._subject(topic), _to_json(event, self.capabilities.max_payload_bytes)
        self._run(self._publish(subject, data))

    def subscribe(self, topic: str, handler: Handler, group: str | None = None) -> Subscription:
        self._check_open()
        if group is not None:
            raise UnsupportedError("this bus has no groups")
        subscription = NatsSubscription(self, topic, handler)
        try:
            self._run(self._subscribe(subscription, self._subject(topic)))
        except BaseException:
            subscription.stop()
            raise
        self._subscriptions = [each for each in self._subscriptions if not each._closed] + [subscription]
        return subscription

    def ping(self) -> bool:
        try:
            self._check_open()
            self._run(self._ping())
        except BackendError:
            return False
        return True

    def disconnect(self) -> None:
        if not self._open or os.getpid() != self._process:
            self._open = False
            return
        self._open = False
        deadline = time.monotonic() + self._timeout
        for subscription in self._subscriptions:
            subscription.stop()
        asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        self._thread.join(self._timeout)
        if not self._thread.is_alive():
            self._loop.close()
        for subscription in self._subscriptions:
            subscription.wait(max(0.0, deadline - time.monotonic()))

    def unsubscribe(self, at_server: Any) -> None:
        """Tell the server, if it is there."""
        if self._open:
            try:
                self._run(at_server.unsubscribe())
            except BackendError:
                logger.warning("NATS was not told that a subscription has ended")

    @property
    def connected(self) -> bool:
        return self._open and self._client is not None and self._client.is_connected

    # On the loop

    async def _connected(self) -> Client:
        if self._connecting is None:
            self._connecting = asyncio.Lock()
        async with self._connecting:
            if self._client is None:
                self._client = await self._connect()
        if not self._client.is_connected:
            raise UnavailableError("the connection to NATS is broken, and being made anew")
        return self._client

    async def _connect(self) -> Client:
        client = Client()
        options: dict[str, Any] = {"max_reconnect_attempts": -1, "reconnect_time_wait": RECONNECT_SECONDS}
        options |= {"connect_timeout": self._timeout, "ping_interval": 2, "max_outstanding_pings": 2}
        try:
            # The client would try for ever, the first time too.
            await asyncio.wait_for(client.connect([self._url], error_cb=_told, **options), self._timeout)
        except (NatsError, OSError, TimeoutError) as error:
            await client.close()
            raise UnavailableError(f"NATS cannot be reached: {type(error).__name__}") from error
        return client

    async def _publish(self, subject: str, data: bytes) -> None:
        client = await self._connected()
        await client.publish(subject, data)
        try:
            await client.flush(ceil(self._timeout))
        except (NatsError, OSError, TimeoutError) as error:
            raise IndeterminateError("NATS did not confirm the event, which it may have or not") from error

    async def _subscribe(self, subscription: NatsSubscription, subject: str) -> None:
        client = await self._connected()
        await subscription.open(client, subject, self._timeout)

    async def _ping(self) -> None:
        client = await self._connected()
        await client.flush(ceil(self._timeout))

    async def _end(self) -> None:
        """Close the connection, and end what still waits for it."""
        try:
            if self._client is not None:
                await asyncio.wait_for(self._client.close(), self._timeout / 2)
        except (NatsError, OSError, TimeoutError) as error:
            logger.warning("NATS was left without a farewell: %s", type(error).__name__)
        finally:
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            self._loop.call_soon(self._loop.stop)

    # From the threads of the callers

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something on the loop, and wait for it.

        Whoever is interrupted, or waits for too long, leaves it there: it ends by itself. A request that is cancelled in its
        middle puts the client out of step with the answers of its server.
        """
        if os.getpid() != self._process:
            work.close()
            raise UnavailableError("this bus was opened by the parent process; open another one")
        try:
            waiting = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError as error:
            work.close()
            raise ClosedError("this bus was disconnected") from error
        try:
            return waiting.result(2 * self._timeout)
        except FutureCancelledError as error:
            raise ClosedError("this bus was disconnected") from error
        except FutureTimeoutError as error:
            raise OperationTimeoutError(f"NATS did not answer within {2 * self._timeout:g} s") from error
        except (NatsError, OSError) as error:
            raise UnavailableError(f"NATS cannot be asked: {type(error).__name__}: {error}") from error

    def _check_open(self) -> None:
        if not self._open:
            raise ClosedError("this bus was disconnected")

    def _subject(self, topic: str) -> str:
        """Topics as hexadecimal text: in NATS ``*``, ``>`` and dots have a meaning."""
        try:
            name = topic.encode()
        except UnicodeEncodeError as error:
            raise RejectedError("a topic has a UTF-8 form") from error
        if not name:
            raise RejectedError("a topic is a non-empty text")
        if len(name) > LONGEST_PLAIN_TOPIC:
            return f"{self._prefix}.d{hashlib.sha256(name).hexdigest()}"
        return f"{self._prefix}.t{name.hex()}"


async def _told(error: Exception) -> None:
    """What the client meets beside the calls: cuts, above all. It connects again by itself."""
    logger.debug("NATS: %s", error)


def _to_json(event: Event, most: int) -> bytes:
    try:
        payload = json.dumps(event.payload, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        size = len(payload.encode())
        faithful = json.loads(payload) == event.payload
        head = {"type": event.type, "key": event.key, "event_id": event.event_id}
        head["timestamp"] = event.timestamp.isoformat()
        whole = f"[{json.dumps(head, ensure_ascii=False)},{payload}]".encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise RejectedError(f"the event has no JSON form: {error}") from error
    if not faithful:
        raise RejectedError("the payload has values that JSON would alter")
    if size > most:
        raise RejectedError(f"a payload has at most {most} bytes of JSON; this one has {size}")
    return whole


def _from_json(data: bytes) -> Event:
    head, payload = json.loads(data)
    return Event(payload=payload, **(head | {"timestamp": datetime.fromisoformat(head["timestamp"])}))
