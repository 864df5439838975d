"""Backends that take all that they are given, and owe something afterwards; for generators that are processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stackproof.adapters.events.memory_log import MemoryEventLog
from stackproof.adapters.interactions.memory import MemoryInteractionStore
from stackproof.interfaces import Event, SummariesPage, SummariesQuery, UnavailableError


class UnreadableStore(MemoryInteractionStore):
    """Takes every interaction, and answers no question."""

    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        raise UnavailableError("the server is gone")


BACKLOG = 20
"""Events of a backlog that is to be drained from a `SilentBus`."""


class SilentBus(MemoryEventLog):
    """Accepts every event, and brings none but those of the first operation, by which the generator sees that it works."""

    brought = 0

    def subscribe(self, topic: str, handler: Callable[[Event], None], group: str | None = None) -> Any:
        first = BACKLOG if topic.startswith("backlog") else 1

        def bring(event: Event) -> None:
            self.brought += 1
            if self.brought <= first:
                handler(event)

        return super().subscribe(topic, bring, group)


def make_unreadable(namespace: str) -> UnreadableStore:
    return UnreadableStore(namespace=namespace)


def make_silent(namespace: str) -> SilentBus:
    return SilentBus(namespace=namespace)
