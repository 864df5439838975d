"""Event logs with one defect each: groups that keep their place, and replay."""

from __future__ import annotations

import time
from dataclasses import replace

from stackproof.adapters.events.memory import MemorySubscription
from stackproof.adapters.events.memory_log import MemoryEventLog
from stackproof.interfaces import Handler, Subscription

from . import mutant


@mutant(of=MemoryEventLog, killed_by="EVENT-35", imitates="E9")
class ComesBackAtTheEnd(MemoryEventLog):
    """A group that gets a member again goes on with what is published from then on."""

    def _member(self, topic: str, handler: Handler, group: object) -> MemorySubscription:
        with self._space.lock:
            queue = self._space.queues.get(topic, {}).get(group)
            if queue is not None and not queue.members:
                queue.events.clear()
        return super()._member(topic, handler, group)


@mutant(of=MemoryEventLog, killed_by="EVENT-35")
class ComesBackAtTheStart(MemoryEventLog):
    """A group that gets a member again begins anew with everything that is kept."""

    def _member(self, topic: str, handler: Handler, group: object) -> MemorySubscription:
        with self._space.lock:
            queue = self._space.queues.get(topic, {}).get(group)
            if queue is not None and not queue.members:
                queue.events.clear()
                queue.events.extend(self._space.kept[topic])
        return super()._member(topic, handler, group)


@mutant(of=MemoryEventLog, killed_by="EVENT-35")
class TheLastOneTakesItsEventAlong(MemoryEventLog):
    """What the only member of a group had not done when it closed is lost."""

    def _member(self, topic: str, handler: Handler, group: object) -> MemorySubscription:
        member = _Member(self._space, topic, group, handler, self.capabilities.delivery)
        self._subscriptions.append(member)
        return member


class _Member(MemorySubscription):
    def deliver(self, envelope: bytes) -> None:
        super().deliver(envelope)
        with self._space.lock:
            waiting = self._queue.events
            if self._queue.members == 1 and waiting and waiting[0] is envelope:
                waiting.popleft()


@mutant(of=MemoryEventLog, killed_by="EVENT-35")
class DurableUndeclared(MemoryEventLog):
    """Groups keep their place, which is not declared."""

    capabilities = replace(MemoryEventLog.capabilities, durable=False)


@mutant(of=MemoryEventLog, killed_by="EVENT-40")
class KeepsFiveForAnEmptyGroup(MemoryEventLog):
    """A group without members keeps its place, but of what is published meanwhile only the first five events."""

    def _member(self, topic: str, handler: Handler, group: object) -> MemorySubscription:
        with self._space.lock:
            queue = self._space.queues.get(topic, {}).get(group)
            while queue is not None and not queue.members and len(queue.events) > 5:
                queue.events.pop()
        return super()._member(topic, handler, group)


@mutant(of=MemoryEventLog, killed_by="EVENT-36", imitates="E9")
class ReplaysNothing(MemoryEventLog):
    """A replay begins with what is published from now on."""

    def replay(self, topic: str, handler: Handler) -> Subscription:
        return self.subscribe(topic, handler)


@mutant(of=MemoryEventLog, killed_by="EVENT-36")
class AGapBeforeTheFirstNewOne(MemoryEventLog):
    """What is kept is read first and subscribed to afterwards: what is published in between is missing."""

    def replay(self, topic: str, handler: Handler) -> Subscription:
        with self._space.lock:
            kept = list(self._space.kept.get(topic, ()))
        time.sleep(0.05)
        member = self._member(topic, handler, object())
        with self._space.lock:
            member._queue.events.extendleft(reversed(kept))
            self._space.changed.notify_all()
        return member


@mutant(of=MemoryEventLog, killed_by="EVENT-36")
class AReplayUsesThemUp(MemoryEventLog):
    """What was replayed once is not kept any longer."""

    def replay(self, topic: str, handler: Handler) -> Subscription:
        subscription = super().replay(topic, handler)
        with self._space.lock:
            self._space.kept.pop(topic, None)
        return subscription


@mutant(of=MemoryEventLog, killed_by="EVENT-36")
class ReplayUndeclared(MemoryEventLog):
    """Events can be replayed, which is not declared."""

    capabilities = replace(MemoryEventLog.capabilities, replay=False)
