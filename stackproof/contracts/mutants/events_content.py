"""Event buses with one defect each: what an event carries, and which topics and namespaces it stays in."""

from __future__ import annotations

import fnmatch
import json
from dataclasses import replace
from datetime import UTC
from typing import Any

from stackproof.adapters.events.common import to_json
from stackproof.adapters.events.memory import MemoryEventPublisher
from stackproof.interfaces import Event, Handler, Subscription

from . import mutant


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
        payload = json.loads(json.dumps(dict(event.payload)), parse_int=_as_double, parse_float=_as_double)
        super().publish(topic, replace(event, payload=payload))


def _as_double(text: str) -> Any:
    value = float(text)
    return int(value) if value.is_integer() else value


@mutant(of=MemoryEventPublisher, killed_by="EVENT-10")
class LeavesOutEmptyValues(MemoryEventPublisher):
    """Values that are empty are left out, to save space."""

    def publish(self, topic: str, event: Event) -> None:
        kept = {key: value for key, value in event.payload.items() if value not in (None, "", [], {})}
        super().publish(topic, replace(event, payload=kept))


@mutant(of=MemoryEventPublisher, killed_by="EVENT-14")
class LocalTime(MemoryEventPublisher):
    """The time zone of a timestamp is lost on the way, and taken for UTC."""

    def publish(self, topic: str, event: Event) -> None:
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


@mutant(of=MemoryEventPublisher, killed_by="EVENT-23")
class EmptyTopicIsATopic(MemoryEventPublisher):
    """An empty topic is taken for one called `default`."""

    def publish(self, topic: str, event: Event) -> None:
        super().publish(topic or "default", event)

    def subscribe(self, topic: str, handler: Handler, group: str | None = None) -> Subscription:
        return super().subscribe(topic or "default", handler, group)


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


@mutant(of=MemoryEventPublisher, killed_by="EVENT-14")
class LongTypesAreDiscarded(MemoryEventPublisher):
    """An event whose type has more than 128 characters is accepted and discarded."""

    def publish(self, topic: str, event: Event) -> None:
        if len(event.type) <= 128:
            super().publish(topic, event)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-15", imitates="E37")
class LimitIsOfTheEnvelope(MemoryEventPublisher):
    """Type, key and id count too: beyond the payload's limit and 300 bytes, the event is accepted and discarded."""

    def publish(self, topic: str, event: Event) -> None:
        envelope = to_json(event, self.capabilities.max_payload_bytes)
        if len(envelope) <= self.capabilities.max_payload_bytes + 300:
            super().publish(topic, event)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-15")
class LimitIsInCharacters(MemoryEventPublisher):
    """The payload's limit is counted in characters, not in bytes."""

    def publish(self, topic: str, event: Event) -> None:
        self._check_open()
        text = json.dumps(dict(event.payload), ensure_ascii=False, separators=(",", ":"))
        if len(text) > self.capabilities.max_payload_bytes:
            super().publish(topic, event)  # which rejects it
        else:
            self._space.put(topic, to_json(event, 6 * len(text)))
