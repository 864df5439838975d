"""Event buses with a defect that shows only when subscriptions come and go while others publish."""

from __future__ import annotations

from stackproof.adapters.events.memory import MemoryEventPublisher, MemorySubscription
from stackproof.interfaces import Handler

from . import mutant
from .events_bases import WithMembers


@mutant(of=MemoryEventPublisher, killed_by="EVENT-33", imitates="E19")
class LeavingTakesOneAlong(WithMembers):
    """A subscription that is closed takes the next event away from those who are still there."""

    class Member(MemorySubscription):
        def close(self) -> None:
            super().close()
            with self._space.lock:
                for queue in self._space.queues.get(self.topic, {}).values():
                    if queue.events:
                        queue.events.popleft()


@mutant(of=MemoryEventPublisher, killed_by="EVENT-33")
class NewcomersGetTheBacklog(WithMembers):
    """A new subscription begins with a copy of what still waits for another one."""

    def _subscribed(self, topic: str, handler: Handler, group: str | None) -> MemorySubscription:
        with self._space.lock:
            waiting = [list(queue.events) for queue in self._space.queues.get(topic, {}).values()]
        subscription = super()._subscribed(topic, handler, group)
        with self._space.lock:
            subscription._queue.events.extendleft(reversed(max(waiting, key=len, default=[])))
            self._space.changed.notify_all()
        return subscription


@mutant(of=MemoryEventPublisher, killed_by="EVENT-33")
class NewcomersPushInFront(WithMembers):
    """When a subscription is made, the events that wait for the others are turned round."""

    def _subscribed(self, topic: str, handler: Handler, group: str | None) -> MemorySubscription:
        with self._space.lock:
            for queue in self._space.queues.get(topic, {}).values():
                queue.events.reverse()
        return super()._subscribed(topic, handler, group)
