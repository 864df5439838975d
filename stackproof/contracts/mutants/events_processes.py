"""Event buses with one defect each: forks, and the end of a program."""

from __future__ import annotations

from stackproof.adapters.events.memory import MemoryEventPublisher
from stackproof.interfaces import Event

from . import mutant
from .processes_bases import FlushesAtExit, OwnedByOneProcess


@mutant(of=MemoryEventPublisher, killed_by="LIFE-12")
class FailsInAChild(OwnedByOneProcess, MemoryEventPublisher):
    """In a forked child every publish raises an error of the driver's."""

    def publish(self, topic: str, event: Event) -> None:
        self.check_owner()
        super().publish(topic, event)


@mutant(of=MemoryEventPublisher, killed_by="LIFE-13")
class ComplainsAtExit(FlushesAtExit, MemoryEventPublisher):
    """A program that ends without disconnecting ends with a traceback."""
