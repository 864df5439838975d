"""What several mutants of the event bus are made of. No mutant itself."""

from __future__ import annotations

import threading
import time

from stackproof.adapters.events.common import check_topic, to_json
from stackproof.adapters.events.memory import MemoryEventPublisher, MemorySubscription
from stackproof.interfaces import Event, Handler


class WithMembers(MemoryEventPublisher):
    """The reference with subscriptions of another class."""

    Member: type[MemorySubscription] = MemorySubscription

    def _subscribed(self, topic: str, handler: Handler, group: str | None) -> MemorySubscription:
        member_of = object() if group is None else group
        subscription = self.Member(self._space, topic, member_of, handler, self.capabilities.delivery)
        self._subscriptions.append(subscription)
        return subscription


class Lazy(MemoryEventPublisher):
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
