"""Event buses with one defect each: forks, the end of a program, and an end in the middle of the work."""

from __future__ import annotations

from stackproof.adapters.events.memory import MemoryEventPublisher
from stackproof.interfaces import Event

from . import mutant
from .processes_bases import FailsTheCallers, FlushesAtExit, OwnedByOneProcess
from .processes_doubles import FileBus, KeepsOneBack


@mutant(of=MemoryEventPublisher, killed_by="LIFE-12")
class FailsInAChild(OwnedByOneProcess, MemoryEventPublisher):
    """In a forked child every publish raises an error of the driver's."""

    def publish(self, topic: str, event: Event) -> None:
        self.check_owner()
        super().publish(topic, event)


@mutant(of=MemoryEventPublisher, killed_by="LIFE-13")
class ComplainsAtExit(FlushesAtExit, MemoryEventPublisher):
    """A program that ends without disconnecting ends with a traceback."""


@mutant(of=MemoryEventPublisher, killed_by="LIFE-14", imitates="E18")
class ForgetsTheLastWrite(KeepsOneBack, FileBus):
    """Acknowledges a write before it is handed over, and disconnect forgets the last one."""


@mutant(of=MemoryEventPublisher, killed_by="LIFE-14")
class ThrowsAtItsCallers(FailsTheCallers, MemoryEventPublisher):
    """A caller whose publish is running at disconnect gets an error of the driver's."""

    def publish(self, topic: str, event: Event) -> None:
        self.during(lambda: MemoryEventPublisher.publish(self, topic, event))
