"""Search indexes with one defect each: forks, the end of a program, and an end in the middle of the work."""

from __future__ import annotations

from collections.abc import Iterable

from stackproof.adapters.search.memory import MemorySearchIndex
from stackproof.interfaces import Document, Hit, SearchQuery

from . import mutant
from .processes_bases import FailsTheCallers, FlushesAtExit, OwnedByOneProcess
from .processes_doubles import FileIndex, KeepsOneBack


@mutant(of=MemorySearchIndex, killed_by="LIFE-12")
class FailsInAChild(OwnedByOneProcess, MemorySearchIndex):
    """In a forked child every search raises an error of the driver's."""

    def search(self, query: SearchQuery) -> list[Hit]:
        self.check_owner()
        return super().search(query)


@mutant(of=MemorySearchIndex, killed_by="LIFE-13")
class ComplainsAtExit(FlushesAtExit, MemorySearchIndex):
    """A program that ends without disconnecting ends with a traceback."""


@mutant(of=MemorySearchIndex, killed_by="LIFE-14", imitates="E18")
class ForgetsTheLastWrite(KeepsOneBack, FileIndex):
    """Acknowledges a write before it is handed over, and disconnect forgets the last one."""


@mutant(of=MemorySearchIndex, killed_by="LIFE-14")
class ThrowsAtItsCallers(FailsTheCallers, MemorySearchIndex):
    """A caller whose index is running at disconnect gets an error of the driver's."""

    def index(self, documents: Iterable[Document]) -> int:
        return self.during(lambda: MemorySearchIndex.index(self, documents))
