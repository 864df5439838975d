"""Mutants of the event bus: the in-memory reference with one defect each."""

from __future__ import annotations

import fnmatch
import json
import threading
import time
from dataclasses import replace
from typing import Any

from stackproof.adapters.events.common import call_handler, check_topic, from_json, logger, to_json
from stackproof.adapters.events.memory import RETRY_SECONDS, MemoryEventPublisher, MemoryPubSub, MemorySubscription
from stackproof.interfaces import Delivery, Event, Handler, Subscription

from . import mutant


class _Custom(MemoryEventPublisher):
    """The reference with subscriptions of another class."""

    Member: type[MemorySubscription] = MemorySubscription

    def _subscribed(self, topic: str, handler: Handler, group: str | None) -> MemorySubscription:
        member_of = object() if group is None else group
        subscription = self.Member(self._space, topic, member_of, handler, self.capabilities.delivery)
        self._subscriptions.append(subscription)
        return subscription


@mutant(of=MemoryEventPublisher, killed_by="EVENT-01", imitates="E12")
class HandlerErrorEndsTheLoop(_Custom):
    """A handler that raises ends the thread of its subscription."""

    class Member(MemorySubscription):
        def deliver(self, envelope: bytes) -> None:
            try:
                self._handler(from_json(envelope))
            except Exception:
                logger.exception("the handler failed")
                self._closed = True


@mutant(of=MemoryEventPublisher, killed_by="EVENT-01", imitates="E10")
class HandlerErrorClosesAll(_Custom):
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
class AcknowledgesFirst(_Custom):
    """An event is acknowledged before its handler runs, so that a failure loses it."""

    class Member(MemorySubscription):
        def deliver(self, envelope: bytes) -> None:
            call_handler(self._handler, from_json(envelope), self.topic)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-02", imitates="E23")
class GivesUpAfterOneRepetition(_Custom):
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
class RequeuesAtTheTail(_Custom):
    """A failed event is put behind those that came later."""

    class Member(MemorySubscription):
        def deliver(self, envelope: bytes) -> None:
            if not call_handler(self._handler, from_json(envelope), self.topic):
                with self._space.lock:
                    self._queue.events.append(envelope)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-03", imitates="E43")
class ReversesABacklog(_Custom):
    """What waited for a slow handler is taken from the wrong end."""

    class Member(MemorySubscription):
        def _next(self) -> bytes | None:
            with self._space.lock:
                self._space.changed.wait_for(lambda: self._closed or self._queue.events)
                return None if self._closed else self._queue.events.pop()


@mutant(of=MemoryEventPublisher, killed_by="EVENT-03", imitates="E24")
class OrdersByKeyOnly(_Custom):
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


@mutant(of=MemoryEventPublisher, killed_by="EVENT-04", imitates="E44")
class CloseKeepsTheHandler(_Custom):
    """close says that the subscription is closed, but the handler stays registered."""

    class Member(MemorySubscription):
        hidden = False

        def close(self) -> None:
            self.hidden = True

        @property
        def active(self) -> bool:
            return not self.hidden and super().active


class _Lazy(MemoryEventPublisher):
    """The reference, which hands over what was published in a thread of its own, a little later."""

    pause = 0.05

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self.buffer: list[tuple[str, bytes]] = []
        self.flusher = threading.Thread(target=self.run, daemon=True)
        self.flusher.start()

    def publish(self, topic: str, event: Event) -> None:
        self._check_open()
        check_topic(topic)
        self.buffer.append((topic, to_json(event, self.capabilities.max_payload_bytes)))

    def run(self) -> None:
        while not self._closed:
            time.sleep(self.pause)
            if not self._closed:
                self.flush()

    def flush(self) -> None:
        waiting, self.buffer = self.buffer, []
        for topic, envelope in waiting:
            self._space.put(topic, envelope)

    def disconnect(self) -> None:
        super().disconnect()
        self.flusher.join()


@mutant(of=MemoryEventPublisher, killed_by="EVENT-05", imitates="E18")
class DisconnectDropsTheBuffer(_Lazy):
    """What was published is buffered, and disconnect forgets the buffer."""


@mutant(of=MemoryEventPublisher, killed_by="EVENT-05")
class SharedUndeclared(MemoryEventPublisher):
    """Not shared is declared, but other instances get the events."""

    capabilities = replace(MemoryEventPublisher.capabilities, shared=False)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-28")
class NotReallyApart(SharedUndeclared):
    """Not shared is declared, but the subscriptions of other instances go on."""


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


@mutant(of=MemoryEventPublisher, killed_by="EVENT-10")
class ReplacesCharacters(MemoryEventPublisher):
    """Text is sent as Latin-1, and what does not fit becomes a question mark."""

    def publish(self, topic: str, event: Event) -> None:
        text = json.dumps(dict(event.payload), ensure_ascii=False)
        super().publish(topic, replace(event, payload=json.loads(text.encode("latin-1", "replace").decode("latin-1"))))


@mutant(of=MemoryEventPublisher, killed_by="EVENT-10")
class RoundsNumbers(MemoryEventPublisher):
    """Numbers go through a double, as in JavaScript: 2**63 + 1 and 1.0 come back changed."""

    def publish(self, topic: str, event: Event) -> None:
        payload = json.loads(json.dumps(dict(event.payload)), parse_int=float, parse_float=_as_double)
        super().publish(topic, replace(event, payload=payload))


def _as_double(text: str) -> Any:
    value = float(text)
    return int(value) if value.is_integer() else value


@mutant(of=MemoryEventPublisher, killed_by="EVENT-11", imitates="E5")
class RedeliversWhileHandled(_Custom):
    """An event whose handler takes more than 0.3 s is given to it again meanwhile."""

    class Member(MemorySubscription):
        def deliver(self, envelope: bytes) -> None:
            impatient = threading.Timer(0.3, lambda: self._handler(from_json(envelope)))
            impatient.start()
            super().deliver(envelope)
            impatient.cancel()


@mutant(of=MemoryEventPublisher, killed_by="EVENT-11", imitates="E24")
class HandlesConcurrently(_Custom):
    """Each event is handled in a thread of its own."""

    class Member(MemorySubscription):
        def deliver(self, envelope: bytes) -> None:
            threading.Thread(target=super().deliver, args=(envelope,), daemon=True).start()


@mutant(of=MemoryEventPublisher, killed_by="EVENT-12", imitates="E44")
class CloseDoesNotWait(_Custom):
    """close returns while the handler still runs."""

    class Member(MemorySubscription):
        def close(self) -> None:
            self.stop()


@mutant(of=MemoryEventPublisher, killed_by="EVENT-13")
class CloseWaitsForItself(_Custom):
    """close called by the handler waits for the handler."""

    close_seconds = 0.2

    class Member(MemorySubscription):
        def close(self) -> None:
            self.stop()
            while self._thread.is_alive():
                time.sleep(0.01)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-14")
class LocalTime(MemoryEventPublisher):
    """The time zone of a timestamp is lost on the way, and taken for UTC."""

    def publish(self, topic: str, event: Event) -> None:
        from datetime import UTC

        super().publish(topic, replace(event, timestamp=event.timestamp.replace(tzinfo=UTC)))


@mutant(of=MemoryEventPublisher, killed_by="EVENT-14")
class NewId(MemoryEventPublisher):
    """Each event gets a new id when it is sent."""

    def publish(self, topic: str, event: Event) -> None:
        super().publish(topic, Event(type=event.type, payload=event.payload, timestamp=event.timestamp, key=event.key))


@mutant(of=MemoryEventPublisher, killed_by="EVENT-15", imitates="E37")
class Truncates(MemoryEventPublisher):
    """Long texts are cut to what fits, instead of rejecting the event."""

    def publish(self, topic: str, event: Event) -> None:
        most = self.capabilities.max_payload_bytes - 20
        cut = {k: v[:most] if isinstance(v, str) else v for k, v in event.payload.items()}
        super().publish(topic, replace(event, payload=cut))


@mutant(of=MemoryEventPublisher, killed_by="EVENT-15", imitates="E37")
class LowerLimit(MemoryEventPublisher):
    """The real limit is a little lower than the declared one: events above it are accepted and discarded."""

    def publish(self, topic: str, event: Event) -> None:
        envelope = to_json(event, self.capabilities.max_payload_bytes)
        if len(envelope) <= self.capabilities.max_payload_bytes:
            super().publish(topic, event)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-16")
class TurnsIntoText(MemoryEventPublisher):
    """What has no JSON form is sent as its text."""

    def publish(self, topic: str, event: Event) -> None:
        text = json.dumps(dict(event.payload), default=str, skipkeys=True)
        super().publish(topic, replace(event, payload=json.loads(text, parse_constant=str)))


@mutant(of=MemoryEventPublisher, killed_by="EVENT-17")
class TopicsArePatterns(MemoryEventPublisher):
    """Topics of subscriptions are matched as patterns, as PSUBSCRIBE does."""

    def publish(self, topic: str, event: Event) -> None:
        super().publish(topic, event)
        with self._space.lock:
            others = [name for name in self._space.queues if name != topic and fnmatch.fnmatchcase(topic, name)]
        for name in others:
            super().publish(name, event)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-17")
class TopicsIgnoreCase(MemoryEventPublisher):
    """Topics that differ in case only are one topic."""

    def publish(self, topic: str, event: Event) -> None:
        super().publish(topic.lower(), event)

    def subscribe(self, topic: str, handler: Handler, group: str | None = None) -> Subscription:
        return super().subscribe(topic.lower(), handler, group)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-18")
class OneNamespace(MemoryEventPublisher):
    """The namespace is ignored."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace="everybody")


@mutant(of=MemoryEventPublisher, killed_by="EVENT-18", imitates="C36")
class JoinsNamespaceAndTopic(MemoryEventPublisher):
    """Namespace and topic are joined by an underscore, which both may contain."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace="everybody")
        self.prefix = namespace

    def publish(self, topic: str, event: Event) -> None:
        super().publish(topic and f"{self.prefix}_{topic}", event)

    def subscribe(self, topic: str, handler: Handler, group: str | None = None) -> Subscription:
        return super().subscribe(topic and f"{self.prefix}_{topic}", handler, group)


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


@mutant(of=MemoryEventPublisher, killed_by="EVENT-23")
class EmptyTopicIsATopic(MemoryEventPublisher):
    """An empty topic is taken for one called `default`."""

    def publish(self, topic: str, event: Event) -> None:
        super().publish(topic or "default", event)

    def subscribe(self, topic: str, handler: Handler, group: str | None = None) -> Subscription:
        return super().subscribe(topic or "default", handler, group)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-24")
class DeliversLate(_Lazy):
    """Events are handed over twice a second, though five times as much is declared; disconnect flushes."""

    capabilities = replace(MemoryEventPublisher.capabilities, delivery_seconds=0.1)
    pause = 0.5

    def disconnect(self) -> None:
        self.flush()
        super().disconnect()


@mutant(of=MemoryEventPublisher, killed_by="EVENT-25")
class SubscribersShareThePayload(MemoryEventPublisher):
    """All subscribers of this process get the same object."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self.received: dict[str, Event] = {}

    def subscribe(self, topic: str, handler: Handler, group: str | None = None) -> Subscription:
        return super().subscribe(topic, lambda e: handler(self.received.setdefault(e.event_id, e)), group)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-25")
class PublisherSharesThePayload(MemoryEventPublisher):
    """The object that was published is handed to the subscribers."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self.sent: dict[str, Event] = {}

    def publish(self, topic: str, event: Event) -> None:
        self.sent[event.event_id] = event
        super().publish(topic, event)

    def subscribe(self, topic: str, handler: Handler, group: str | None = None) -> Subscription:
        return super().subscribe(topic, lambda e: handler(self.sent.get(e.event_id, e)), group)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-26", imitates="E10")
class SwallowsErrors(_Custom):
    """What a handler raises is repeated as it should, but never logged."""

    class Member(MemorySubscription):
        def deliver(self, envelope: bytes) -> None:
            while not self._closed:
                try:
                    return self._handler(from_json(envelope))
                except Exception:
                    time.sleep(RETRY_SECONDS)
            return None


@mutant(of=MemoryEventPublisher, killed_by="EVENT-27", imitates="E3")
class AlwaysActive(_Custom):
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
