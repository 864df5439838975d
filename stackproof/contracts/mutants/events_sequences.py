"""Event buses whose defect shows only after a certain sequence of subscriptions and events."""

from __future__ import annotations

from stackproof.adapters.events.memory import MemoryEventPublisher, MemorySubscription
from stackproof.interfaces import Event, Handler

from . import mutant
from .events_bases import WithMembers


@mutant(of=MemoryEventPublisher, killed_by="EVENT-40", imitates="E44")
class ClosingEndsAnother(WithMembers):
    """A subscription that is closed also ends another one of its topic, without a word."""

    class Member(MemorySubscription):
        siblings: list[MemorySubscription]

        def close(self) -> None:
            super().close()
            others = [each for each in self.siblings if each.topic == self.topic and each.active]
            if others:
                others[-1].stop()

    def _subscribed(self, topic: str, handler: Handler, group: str | None) -> MemorySubscription:
        subscription = super()._subscribed(topic, handler, group)
        subscription.siblings = self._subscriptions  # type: ignore[attr-defined]
        return subscription


@mutant(of=MemoryEventPublisher, killed_by="EVENT-40", imitates="E19")
class DropsWhatFollowsABurst(MemoryEventPublisher):
    """Of each sixty events on a topic that follow each other the last one is dropped."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self._topic, self._row = "", 0

    def publish(self, topic: str, event: Event) -> None:
        self._row = self._row + 1 if topic == self._topic else 1
        self._topic = topic
        if self._row % 60:
            super().publish(topic, event)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-40", imitates="E4")
class TheThirdSubscriptionHearsTheFirstTwice(WithMembers):
    """The first event after a third subscription was made on a topic is put before the one that came before it."""

    def publish(self, topic: str, event: Event) -> None:
        counts = getattr(self, "_counts", {})
        held = counts.pop(topic, None)
        if held is None and len([each for each in self._subscriptions if each.topic == topic and each.active]) >= 3:
            counts[topic] = event
            self._counts = counts
            return
        super().publish(topic, event)
        if held is not None:
            super().publish(topic, held)
