"""An event log in this process: the executable specification of groups that keep their place, and of replay."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from stackproof.adapters.spaces import Spaces
from stackproof.interfaces import Handler, ReplayableEvents, Subscription

from .common import check_topic
from .memory import MemoryEventPublisher, Queue, Space

KEPT_EVENTS = 10_000
"""So many events of a topic are kept for a replay; then the oldest one goes."""


class _FromTheStart:
    """The group of one subscription that begins with what is kept."""


class _Log(Space):
    """Queues that stay when their group has no member, and the last events of each topic."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, deque[bytes]] = {}

    def hand_out(self, topic: str, envelope: bytes) -> None:
        self.kept.setdefault(topic, deque(maxlen=KEPT_EVENTS)).append(envelope)
        super().hand_out(topic, envelope)

    def join(self, topic: str, group: object) -> Queue:
        with self.lock:
            queue = self.queues.setdefault(topic, {}).setdefault(group, Queue())
            queue.members += 1
            if isinstance(group, _FromTheStart):  # under the lock that publish takes: no gap before the first new event
                queue.events.extend(self.kept.get(topic, ()))
            return queue

    def keeps(self, group: object) -> bool:
        return isinstance(group, str)


_logs = Spaces(_Log)


class MemoryEventLog(MemoryEventPublisher, ReplayableEvents):
    """The in-memory bus with a memory: groups keep their place, and what was published can be had again.

    A group that has no member any more goes on collecting, without a bound, until the last instance of the namespace is
    gone; so long the last `KEPT_EVENTS` of each topic are kept, too. Nothing outlives the process.
    """

    capabilities = replace(MemoryEventPublisher.capabilities, durable=True, replay=True)
    known_spaces = _logs

    def replay(self, topic: str, handler: Handler) -> Subscription:
        self._check_open()
        check_topic(topic)
        with self._lock:
            self._check_open()
            return self._member(topic, handler, _FromTheStart())

    def drop_namespace(self) -> None:
        """Forget what waits in the queues of this namespace, and what was kept."""
        super().drop_namespace()
        with self._space.lock:
            self._space.kept.clear()
