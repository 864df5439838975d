"""Interaction stores with one defect each: forks, the end of a program, and an end in the middle of the work."""

from __future__ import annotations

from stackproof.adapters.interactions.memory import MemoryInteractionStore
from stackproof.interfaces import Interaction

from . import mutant
from .processes_bases import FailsTheCallers, FlushesAtExit, OwnedByOneProcess
from .processes_doubles import FileStore, KeepsOneBack


@mutant(of=MemoryInteractionStore, killed_by="LIFE-12")
class FailsInAChild(OwnedByOneProcess, MemoryInteractionStore):
    """In a forked child every write raises an error of the driver's."""

    def record_event(self, event: Interaction) -> None:
        self.check_owner()
        super().record_event(event)


@mutant(of=MemoryInteractionStore, killed_by="LIFE-13")
class ComplainsAtExit(FlushesAtExit, MemoryInteractionStore):
    """A program that ends without disconnecting ends with a traceback."""


@mutant(of=MemoryInteractionStore, killed_by="LIFE-14", imitates="E18")
class ForgetsTheLastWrite(KeepsOneBack, FileStore):
    """Acknowledges a write before it is handed over, and disconnect forgets the last one."""


@mutant(of=MemoryInteractionStore, killed_by="LIFE-14")
class ThrowsAtItsCallers(FailsTheCallers, MemoryInteractionStore):
    """A caller whose write is running at disconnect gets an error of the driver's."""

    def record_event(self, event: Interaction) -> None:
        self.during(lambda: MemoryInteractionStore.record_event(self, event))
