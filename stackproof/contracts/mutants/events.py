"""Event buses with one defect each: who gets which event, how often and in which order."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from stackproof.adapters.events.common import call_handler, from_json, logger
from stackproof.adapters.events.memory import RETRY_SECONDS, MemoryEventPublisher, MemoryPubSub, MemorySubscription
from stackproof.interfaces import Delivery, Event, Handler, Subscription

from . import (
    events_content,
    events_faults,
    events_groups,
    events_histories,
    events_lifecycle,
    events_log,
    events_processes,
    events_sequences,
    events_subscriptions,
    mutant,
)
from .events_bases import Lazy, WithMembers

__all__ = [
    "events_content",
    "events_faults",
    "events_groups",
    "events_histories",
    "events_lifecycle",
    "events_log",
    "events_processes",
    "events_sequences",
    "events_subscriptions",
]


@mutant(of=MemoryEventPublisher, killed_by="EVENT-01", imitates="E12")
class HandlerErrorEndsTheLoop(WithMembers):
    """A handler that raises ends the thread of its subscription."""

    class Member(MemorySubscription):
        def deliver(self, envelope: bytes) -> None:
            try:
                self._handler(from_json(envelope))
            except Exception:
                logger.exception("the handler failed")
                self._closed = True


@mutant(of=MemoryEventPublisher, killed_by="EVENT-01", imitates="E10")
class HandlerErrorClosesAll(WithMembers):
    """A handler that raises ends every subscription of its topic."""

    class Member(MemorySubscription):
        def deliver(self, envelope: bytes) -> None:
            try:
                self._handler(from_json(envelope))
            except Exception:
                with self._space.lock:
                    for queue in self._space.queues[self.topic].values():
                        queue.events.clear()
                time.sleep(0.05)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-02", imitates="E10")
class AcknowledgesFirst(WithMembers):
    """An event is acknowledged before its handler runs, so that a failure loses it."""

    class Member(MemorySubscription):
        def deliver(self, envelope: bytes) -> None:
            call_handler(self._handler, from_json(envelope), self.topic)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-02", imitates="E23")
class GivesUpAfterOneRepetition(WithMembers):
    """A failed event is delivered a second time, and then dropped."""

    class Member(MemorySubscription):
        def deliver(self, envelope: bytes) -> None:
            for _ in range(2):
                if call_handler(self._handler, from_json(envelope), self.topic):
                    return


@mutant(of=MemoryPubSub, killed_by="EVENT-02")
class RedeliversUndeclared(MemoryPubSub):
    """At most once is declared, but a failed event is delivered again."""

    def _subscribed(self, topic: str, handler: Handler, group: str | None) -> MemorySubscription:
        subscription = MemorySubscription(self._space, topic, object(), handler, Delivery.AT_LEAST_ONCE)
        self._subscriptions.append(subscription)
        return subscription


@mutant(of=MemoryEventPublisher, killed_by="EVENT-03", imitates="E4")
class RequeuesAtTheTail(WithMembers):
    """A failed event is put behind those that came later."""

    class Member(MemorySubscription):
        def deliver(self, envelope: bytes) -> None:
            if not call_handler(self._handler, from_json(envelope), self.topic):
                with self._space.lock:
                    self._queue.events.append(envelope)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-03", imitates="E43")
class ReversesABacklog(WithMembers):
    """What waited for a slow handler is taken from the wrong end."""

    class Member(MemorySubscription):
        def _next(self) -> bytes | None:
            with self._space.lock:
                self._space.changed.wait_for(lambda: self._closed or self._queue.events)
                return None if self._closed else self._queue.events.pop()


@mutant(of=MemoryEventPublisher, killed_by="EVENT-03")
class OrdersByKeyOnly(WithMembers):
    """TOTAL order is declared, but the events of one key overtake those of others."""

    class Member(MemorySubscription):
        def _next(self) -> bytes | None:
            with self._space.lock:
                self._space.changed.wait_for(lambda: self._closed or self._queue.events)
                if self._closed:
                    return None
                first = min(self._queue.events, key=lambda envelope: from_json(envelope).key)
                self._queue.events.remove(first)
                return first


@mutant(of=MemoryEventPublisher, killed_by="EVENT-05", imitates="E18")
class DisconnectDropsTheBuffer(Lazy):
    """What was published is buffered, and disconnect forgets the buffer."""


@mutant(of=MemoryEventPublisher, killed_by="EVENT-05")
class SharedUndeclared(MemoryEventPublisher):
    """Not shared is declared, but other instances get the events."""

    capabilities = replace(MemoryEventPublisher.capabilities, shared=False)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-07", imitates="E19")
class DropsWhenFull(MemoryEventPublisher):
    """A queue of more than 100 events drops what comes then, and publish says nothing."""

    def publish(self, topic: str, event: Event) -> None:
        with self._space.lock:
            full = any(len(queue.events) >= 100 for queue in self._space.queues.get(topic, {}).values())
        if not full:
            super().publish(topic, event)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-09")
class RoundRobin(MemoryEventPublisher):
    """The subscriptions of a topic share the events as if they were one group."""

    def _subscribed(self, topic: str, handler: Handler, group: str | None) -> MemorySubscription:
        return super()._subscribed(topic, handler, group or "everybody")


@mutant(of=MemoryEventPublisher, killed_by="EVENT-11", imitates="E5")
class RedeliversWhileHandled(WithMembers):
    """An event whose handler takes more than 0.3 s is given to it again meanwhile."""

    class Member(MemorySubscription):
        def deliver(self, envelope: bytes) -> None:
            impatient = threading.Timer(0.3, lambda: self._handler(from_json(envelope)))
            impatient.start()
            super().deliver(envelope)
            impatient.cancel()


@mutant(of=MemoryEventPublisher, killed_by="EVENT-11")
class HandlesConcurrently(WithMembers):
    """Each event is handled in a thread of its own."""

    class Member(MemorySubscription):
        def deliver(self, envelope: bytes) -> None:
            threading.Thread(target=super().deliver, args=(envelope,), daemon=True).start()


@mutant(of=MemoryEventPublisher, killed_by="EVENT-19")
class LosesConcurrentEvents(MemoryEventPublisher):
    """Events that are published at the same time overwrite each other."""

    slot: tuple[str, Event] | None = None

    def publish(self, topic: str, event: Event) -> None:
        self._check_open()
        self.slot = (topic, event)
        time.sleep(0.0005)
        if self.slot is not None:
            super().publish(*self.slot)


@mutant(of=MemoryPubSub, killed_by="EVENT-19")
class DoublesUnderLoad(MemoryPubSub):
    """At most once is declared, but an event that took long to send is sent again."""

    sending = 0

    def publish(self, topic: str, event: Event) -> None:
        self.sending += 1
        time.sleep(0.0005)
        busy, self.sending = self.sending > 1, self.sending - 1
        super().publish(topic, event)
        if busy:
            super().publish(topic, event)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-21")
class GroupsAreIgnored(MemoryEventPublisher):
    """Every member of a group gets every event."""

    def _subscribed(self, topic: str, handler: Handler, group: str | None) -> MemorySubscription:
        return super()._subscribed(topic, handler, None)


@mutant(of=MemoryPubSub, killed_by="EVENT-21")
class GroupsAreSilentlyIgnored(MemoryPubSub):
    """No groups are declared, and a subscription that names one is treated as if it did not."""

    def subscribe(self, topic: str, handler: Handler, group: str | None = None) -> Subscription:
        return super().subscribe(topic, handler)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-24")
class DeliversLate(Lazy):
    """Events are handed over twice a second, though five times as much is declared; disconnect flushes."""

    capabilities = replace(MemoryEventPublisher.capabilities, delivery_seconds=0.1)
    pause = 0.5

    def disconnect(self) -> None:
        self.flush()
        super().disconnect()


@mutant(of=MemoryEventPublisher, killed_by="EVENT-26", imitates="E10")
class SwallowsErrors(WithMembers):
    """What a handler raises is repeated as it should, but never logged."""

    class Member(MemorySubscription):
        def deliver(self, envelope: bytes) -> None:
            while not self._closed:
                try:
                    return self._handler(from_json(envelope))
                except Exception:
                    time.sleep(RETRY_SECONDS)
            return None


@mutant(of=MemoryEventPublisher, killed_by="EVENT-01", imitates="E12")
class ExitEndsTheThread(WithMembers):
    """SystemExit in a handler ends the thread of its subscription, which goes on to call itself active."""

    class Member(MemorySubscription):
        def deliver(self, envelope: bytes) -> None:
            exits: list[SystemExit] = []

            def watched(event: Event) -> None:
                try:
                    handler(event)
                except SystemExit as error:
                    exits.append(error)

            handler, self._handler = self._handler, watched
            try:
                super().deliver(envelope)
            finally:
                self._handler = handler
            if exits:
                raise exits[0]


@mutant(of=MemoryEventPublisher, killed_by="EVENT-02", imitates="E23")
class GivesUpAfterFiveAttempts(WithMembers):
    """An event that failed five times is dropped, as a dead-letter policy without a dead-letter queue does."""

    class Member(MemorySubscription):
        def deliver(self, envelope: bytes) -> None:
            for _ in range(5):
                if call_handler(self._handler, from_json(envelope), self.topic):
                    return
                time.sleep(RETRY_SECONDS)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-07", imitates="E19")
class DropsBeyondAThousand(MemoryEventPublisher):
    """A thousand events may wait for one group; what comes then is accepted and dropped."""

    def publish(self, topic: str, event: Event) -> None:
        super().publish(topic, event)
        with self._space.lock:
            for queue in self._space.queues.get(topic, {}).values():
                while len(queue.events) > 1_000:
                    queue.events.pop()
