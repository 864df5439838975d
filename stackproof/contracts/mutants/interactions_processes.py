"""Interaction stores with one defect each: forks, and the end of a program."""

from __future__ import annotations

from stackproof.adapters.interactions.memory import MemoryInteractionStore
from stackproof.interfaces import Interaction

from . import mutant
from .processes_bases import FlushesAtExit, OwnedByOneProcess


@mutant(of=MemoryInteractionStore, killed_by="LIFE-12")
class FailsInAChild(OwnedByOneProcess, MemoryInteractionStore):
    """In a forked child every write raises an error of the driver's."""

    def record_event(self, event: Interaction) -> None:
        self.check_owner()
        super().record_event(event)


@mutant(of=MemoryInteractionStore, killed_by="LIFE-13")
class ComplainsAtExit(FlushesAtExit, MemoryInteractionStore):
    """A program that ends without disconnecting ends with a traceback."""
