"""Event buses with one defect each: when a subscription begins and ends."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

from stackproof.adapters.events.common import call_handler, from_json, to_json
from stackproof.adapters.events.memory import RETRY_SECONDS, MemoryEventPublisher, MemorySubscription
from stackproof.interfaces import Event, Handler, Subscription

from . import mutant
from .events_bases import WithMembers


@mutant(of=MemoryEventPublisher, killed_by="EVENT-04", imitates="E44")
class CloseKeepsTheHandler(WithMembers):
    """close says that the subscription is closed, but the handler stays registered."""

    class Member(MemorySubscription):
        hidden = False

        def close(self) -> None:
            self.hidden = True

        @property
        def active(self) -> bool:
            return not self.hidden and super().active


@mutant(of=MemoryEventPublisher, killed_by="EVENT-28")
class NotReallyApart(MemoryEventPublisher):
    """Not shared is declared, but what one instance publishes goes on to arrive at others."""

    capabilities = replace(MemoryEventPublisher.capabilities, shared=False)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-12", imitates="E44")
class CloseDoesNotWait(WithMembers):
    """close returns while the handler still runs."""

    class Member(MemorySubscription):
        def close(self) -> None:
            self.stop()


@mutant(of=MemoryEventPublisher, killed_by="EVENT-13")
class CloseWaitsForItself(WithMembers):
    """close called by the handler waits for the handler."""

    close_seconds = 0.2

    class Member(MemorySubscription):
        def close(self) -> None:
            self.stop()
            while self._thread.is_alive():
                time.sleep(0.01)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-20", imitates="E17")
class SubscribesLater(MemoryEventPublisher):
    """subscribe returns before the broker knows of it."""

    def _subscribed(self, topic: str, handler: Handler, group: str | None) -> MemorySubscription:
        return _Pending(self, super()._subscribed, topic, handler, group)  # type: ignore[return-value]


class _Pending(Subscription):
    def __init__(self, bus: Any, subscribe: Any, topic: str, handler: Handler, group: str | None) -> None:
        self.real: MemorySubscription | None = None
        self.timer = threading.Timer(0.05, self.begin, (subscribe, topic, handler, group))
        self.timer.start()

    def begin(self, subscribe: Any, *arguments: Any) -> None:
        self.real = subscribe(*arguments)

    def close(self) -> None:
        self.timer.join()
        if self.real is not None:
            self.real.close()

    @property
    def active(self) -> bool:
        return self.real is None or self.real.active


@mutant(of=MemoryEventPublisher, killed_by="EVENT-22", imitates="E9")
class RemembersTheLast(MemoryEventPublisher):
    """A new subscription gets the last event that was published before it."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self.last: dict[str, bytes] = {}

    def publish(self, topic: str, event: Event) -> None:
        super().publish(topic, event)
        self.last[topic] = to_json(event, self.capabilities.max_payload_bytes)

    def _subscribed(self, topic: str, handler: Handler, group: str | None) -> MemorySubscription:
        subscription = super()._subscribed(topic, handler, group)
        if topic in self.last:
            with self._space.lock:
                subscription._queue.events.appendleft(self.last[topic])
                self._space.changed.notify_all()
        return subscription


@mutant(of=MemoryEventPublisher, killed_by="EVENT-27", imitates="E3")
class AlwaysActive(WithMembers):
    """`active` is a constant."""

    class Member(MemorySubscription):
        @property
        def active(self) -> bool:
            return True


@mutant(of=MemoryEventPublisher, killed_by="EVENT-28", imitates="E44")
class DisconnectForgetsSubscriptions(MemoryEventPublisher):
    """disconnect refuses further calls, but lets the subscriptions run."""

    def disconnect(self) -> None:
        self._closed = True


@mutant(of=MemoryEventPublisher, killed_by="EVENT-29")
class HandlersHoldTheLock(MemoryEventPublisher):
    """A lock that publish needs is held while a handler runs."""

    close_seconds = 0.2

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self.busy = threading.Lock()

    def publish(self, topic: str, event: Event) -> None:
        with self.busy:
            super().publish(topic, event)

    def subscribe(self, topic: str, handler: Handler, group: str | None = None) -> Subscription:
        def locked(event: Event) -> None:
            with self.busy:
                handler(event)

        return super().subscribe(topic, locked, group)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-30")
class DeafAfterTheLastClose(MemoryEventPublisher):
    """A topic whose last subscription was closed counts as subscribed: a new one there gets nothing."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self.closed_last: set[str] = set()

    def _subscribed(self, topic: str, handler: Handler, group: str | None) -> MemorySubscription:
        mine = [each for each in self._subscriptions if each.topic == topic]
        if mine and not any(each.active for each in mine):
            self.closed_last.add(topic)
        deaf = topic in self.closed_last
        return super()._subscribed(topic, _ignored if deaf else handler, group)


def _ignored(_: Event) -> None:
    """Take an event to nobody."""


@mutant(of=MemoryEventPublisher, killed_by="EVENT-31", imitates="E11")
class ClosesWithItsEvent(WithMembers):
    """A member that closes before it has done its event takes it along, out of the reach of its group."""

    class Member(MemorySubscription):
        def deliver(self, envelope: bytes) -> None:
            while not call_handler(self._handler, from_json(envelope), self.topic) and not self._closed:
                time.sleep(RETRY_SECONDS)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-31", imitates="E18")
class ClosesWithWhatItFetched(WithMembers):
    """A member fetches some events in advance, and takes them along when it closes."""

    class Member(MemorySubscription):
        def deliver(self, envelope: bytes) -> None:
            with self._space.lock:
                waiting = self._queue.events
                fetched = [envelope] + [waiting.popleft() for _ in range(min(3, len(waiting)))]
            for each in fetched:
                if not self._closed:
                    super().deliver(each)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-32", imitates="C36")
class GroupsEndAtTheColon(MemoryEventPublisher):
    """The name of a group is cut at the first colon."""

    def _subscribed(self, topic: str, handler: Handler, group: str | None) -> MemorySubscription:
        return super()._subscribed(topic, handler, group and group.partition(":")[0])


@mutant(of=MemoryEventPublisher, killed_by="EVENT-32")
class GroupsIgnoreCase(MemoryEventPublisher):
    """Groups whose names differ in case only are one group."""

    def _subscribed(self, topic: str, handler: Handler, group: str | None) -> MemorySubscription:
        return super()._subscribed(topic, handler, group and group.lower())
