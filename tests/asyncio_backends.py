"""asyncio backends of the other concerns for the tests of the bridge: a bus, and the references behind coroutine functions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from stackproof.adapters.events.common import check_topic, from_json, to_json
from stackproof.adapters.interactions.memory import MemoryInteractionStore
from stackproof.adapters.search.memory import MemorySearchIndex
from stackproof.contracts import EventCapabilities, Order, bridged
from stackproof.interfaces import (
    ClosedError,
    Event,
    EventPublisher,
    InteractionStore,
    SearchIndex,
    UnsupportedError,
)

logger = logging.getLogger("stackproof")


class AsyncSubscription:
    """A queue, and the task that takes events out of it and awaits the handler."""

    def __init__(self, handler: Callable[[Event], Awaitable[None]]) -> None:
        self.queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.active = True
        self._handler = handler
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """End; a handler that runs is awaited, for its thread cannot be stopped."""
        self.active = False
        self.queue.put_nowait(b"")
        await self._task

    async def _run(self) -> None:
        while (envelope := await self.queue.get()) and self.active:
            try:
                await self._handler(from_json(envelope))
            except Exception:  # a handler may raise anything
                logger.exception("a handler failed")


class AsyncBus:
    """At most once, in order, within the instance."""

    capabilities = EventCapabilities(order=Order.TOTAL, shared=False, delivery_seconds=0.5)

    def __init__(self) -> None:
        self._subscriptions: dict[str, list[AsyncSubscription]] = {}
        self._closed = False

    async def publish(self, topic: str, event: Event) -> None:
        self._check_open()
        check_topic(topic)
        envelope = to_json(event, self.capabilities.max_payload_bytes)
        for subscription in self._subscriptions.get(topic, []):
            subscription.queue.put_nowait(envelope)

    async def subscribe(
        self, topic: str, handler: Callable[[Event], Awaitable[None]], group: str | None = None
    ) -> AsyncSubscription:
        self._check_open()
        check_topic(topic)
        if group is not None:
            raise UnsupportedError("this bus has no groups")
        subscription = AsyncSubscription(handler)
        self._subscriptions.setdefault(topic, []).append(subscription)
        return subscription

    async def ping(self) -> bool:
        return not self._closed

    async def disconnect(self) -> None:
        self._closed = True
        topics, self._subscriptions = self._subscriptions, {}
        for subscription in (each for topic in topics.values() for each in topic):
            try:
                await asyncio.wait_for(subscription.close(), 5.0)
            except TimeoutError:
                logger.warning("a handler still runs after disconnect")

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("this bus was disconnected")


class AsyncLog(AsyncBus):
    """The same with all events kept, for `replay`."""

    capabilities = replace(AsyncBus.capabilities, replay=True)

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[str, list[bytes]] = {}

    async def publish(self, topic: str, event: Event) -> None:
        await super().publish(topic, event)
        self._kept.setdefault(topic, []).append(to_json(event, self.capabilities.max_payload_bytes))

    async def replay(self, topic: str, handler: Callable[[Event], Awaitable[None]]) -> AsyncSubscription:
        subscription = await self.subscribe(topic, handler)
        for envelope in self._kept.get(topic, []):
            subscription.queue.put_nowait(envelope)
        return subscription


class Coroutines:
    """A synchronous backend whose methods are coroutine functions."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.capabilities = backend.capabilities

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._backend, name)

        async def call(*arguments: Any, **options: Any) -> Any:
            await asyncio.sleep(0)
            return method(*arguments, **options)

        return call


def make_bus(_namespace: str) -> EventPublisher:
    return bridged(EventPublisher, AsyncBus)


def make_log(_namespace: str) -> EventPublisher:
    return bridged(EventPublisher, AsyncLog)


def make_search(namespace: str) -> SearchIndex:
    return bridged(SearchIndex, lambda: Coroutines(MemorySearchIndex(namespace=namespace)))


def make_store(namespace: str) -> InteractionStore:
    return bridged(InteractionStore, lambda: Coroutines(MemoryInteractionStore(namespace=namespace)))
