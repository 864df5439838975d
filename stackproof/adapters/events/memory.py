"""The event bus in this process: the executable specification of `EventPublisher`.

Each group of subscriptions has one queue; a subscription without a group is a group of its own. Each subscription has one
thread, which takes an event from its queue and keeps it until the handler returned.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import replace
from typing import Any, ClassVar, Self

from stackproof.adapters.settings import Settings
from stackproof.adapters.spaces import Spaces
from stackproof.interfaces import (
    ClosedError,
    ConfigurationError,
    Delivery,
    Event,
    EventCapabilities,
    EventPublisher,
    Handler,
    Order,
    Subscription,
    UnsupportedError,
)

from .common import call_handler, check_topic, from_json, logger, to_json

RETRY_SECONDS = 0.01
"""The pause before an event whose handler raised is delivered again."""


class Queue:
    """The events that wait for the members of one group."""

    def __init__(self) -> None:
        self.events: deque[bytes] = deque()
        self.members = 0


class Space:
    """The queues of one namespace, by topic and group, guarded by one lock.

    The lock is entered itself, not through its condition: then no interruption of a caller can leave it locked.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.queues: dict[str, dict[object, Queue]] = {}

    def put(self, topic: str, envelope: bytes) -> None:
        with self.lock:
            self.hand_out(topic, envelope)

    def hand_out(self, topic: str, envelope: bytes) -> None:
        """Give an event to each group. Called under the lock."""
        for queue in self.queues.get(topic, {}).values():
            queue.events.append(envelope)
        self.changed.notify_all()

    def join(self, topic: str, group: object) -> Queue:
        with self.lock:
            queue = self.queues.setdefault(topic, {}).setdefault(group, Queue())
            queue.members += 1
            return queue

    def leave(self, topic: str, group: object) -> None:
        with self.lock:
            groups = self.queues[topic]
            groups[group].members -= 1
            if not groups[group].members and not self.keeps(group):
                del groups[group]
            if not groups:
                del self.queues[topic]

    def keeps(self, group: object) -> bool:  # noqa: ARG002
        """Whether a group that has no member any more still gets what is published."""
        return False


_spaces = Spaces(Space)


class MemorySubscription(Subscription):
    """One member of one group, with its thread."""

    def __init__(self, space: Space, topic: str, group: object, handler: Handler, delivery: Delivery) -> None:
        self.topic = topic
        self._space = space
        self._group = group
        self._handler = handler
        self._delivery = delivery
        self._closed = False
        self._queue = space.join(topic, group)
        self._thread = threading.Thread(target=self._run, name=f"stackproof-memory-{topic}", daemon=True)
        self._thread.start()

    @property
    def active(self) -> bool:
        return not self._closed

    def close(self) -> None:
        self.stop()
        self.wait(None)

    def stop(self) -> None:
        """Begin no further handler call."""
        with self._space.lock:
            self._closed = True
            self._space.changed.notify_all()

    def wait(self, seconds: float | None) -> bool:
        """Whether the handler ended, waiting for it so long at most; from inside the handler, at once."""
        if threading.current_thread() is not self._thread:
            self._thread.join(seconds)
        return not self._thread.is_alive() or threading.current_thread() is self._thread

    def _run(self) -> None:
        while (envelope := self._next()) is not None:
            self.deliver(envelope)
        self._space.leave(self.topic, self._group)

    def _next(self) -> bytes | None:
        with self._space.lock:
            self._space.changed.wait_for(lambda: self._closed or self._queue.events)
            return None if self._closed else self._queue.events.popleft()

    def deliver(self, envelope: bytes) -> None:
        """Call the handler; at least once: until it returns. What a closed member did not manage is for the next one."""
        while not call_handler(self._handler, from_json(envelope), self.topic):
            if self._delivery is Delivery.AT_MOST_ONCE:
                return
            with self._space.lock:
                if self._space.changed.wait_for(lambda: self._closed, timeout=RETRY_SECONDS):
                    self._queue.events.appendleft(envelope)
                    self._space.changed.notify_all()
                    return


class MemoryEventPublisher(EventPublisher):
    """Events by way of queues in this process. Nothing outlives it.

    At least once: an event whose handler raises is delivered again, before any later one, until the handler returns; an
    event that cannot be handled at all therefore stops its subscription. A group lives as long as it has members.
    `disconnect` waits at most ``close_seconds`` for handlers that run.
    """

    capabilities = EventCapabilities(
        delivery=Delivery.AT_LEAST_ONCE,
        order=Order.TOTAL,
        delivery_seconds=0.5,
        groups=True,
        shared=True,
        remote=False,
    )
    close_seconds = 5.0
    known_spaces: ClassVar[Spaces[Any]] = _spaces

    def __init__(self, *, namespace: str = "") -> None:
        self.namespace = namespace
        self._space = self.known_spaces.of(namespace)
        self._subscriptions: list[MemorySubscription] = []
        self._closed = False
        self._lock = threading.Lock()

    @classmethod
    def from_settings(cls, settings: Settings, namespace: str = "") -> Self:  # noqa: ARG003 - it has no settings
        return cls(namespace=namespace)

    def publish(self, topic: str, event: Event) -> None:
        self._check_open()
        check_topic(topic)
        self._space.put(topic, to_json(event, self.capabilities.max_payload_bytes))

    def subscribe(self, topic: str, handler: Handler, group: str | None = None) -> Subscription:
        self._check_open()
        check_topic(topic)
        if group is not None and not self.capabilities.groups:
            raise UnsupportedError("this event bus has no groups: each subscription gets each event")
        with self._lock:
            self._check_open()
            return self._subscribed(topic, handler, group)

    def ping(self) -> bool:
        return not self._closed

    def disconnect(self) -> None:
        with self._lock:
            self._closed = True
            subscriptions, self._subscriptions = self._subscriptions, []
        deadline = time.monotonic() + self.close_seconds
        for subscription in subscriptions:
            subscription.stop()
        for subscription in subscriptions:
            if not subscription.wait(max(0.0, deadline - time.monotonic())):
                logger.warning("a handler of topic %r still runs after disconnect", subscription.topic)

    def drop_namespace(self) -> None:
        """Forget what waits in the queues of this namespace."""
        if not self.namespace:
            raise ConfigurationError("the empty namespace is not dropped")
        with self._space.lock:
            for groups in self._space.queues.values():
                for queue in groups.values():
                    queue.events.clear()

    def _subscribed(self, topic: str, handler: Handler, group: str | None) -> MemorySubscription:
        return self._member(topic, handler, object() if group is None else group)

    def _member(self, topic: str, handler: Handler, group: object) -> MemorySubscription:
        subscription = MemorySubscription(self._space, topic, group, handler, self.capabilities.delivery)
        self._subscriptions = [each for each in self._subscriptions if each.active] + [subscription]
        return subscription

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the event bus was disconnected and stays so")


class MemoryPubSub(MemoryEventPublisher):
    """The same with the promises of a plain pub/sub server: at most once, no groups."""

    capabilities = replace(MemoryEventPublisher.capabilities, delivery=Delivery.AT_MOST_ONCE, groups=False)
