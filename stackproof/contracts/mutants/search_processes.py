"""Search indexes with one defect each: forks, and the end of a program."""

from __future__ import annotations

from stackproof.adapters.search.memory import MemorySearchIndex
from stackproof.interfaces import Hit, SearchQuery

from . import mutant
from .processes_bases import FlushesAtExit, OwnedByOneProcess


@mutant(of=MemorySearchIndex, killed_by="LIFE-12")
class FailsInAChild(OwnedByOneProcess, MemorySearchIndex):
    """In a forked child every search raises an error of the driver's."""

    def search(self, query: SearchQuery) -> list[Hit]:
        self.check_owner()
        return super().search(query)


@mutant(of=MemorySearchIndex, killed_by="LIFE-13")
class ComplainsAtExit(FlushesAtExit, MemorySearchIndex):
    """A program that ends without disconnecting ends with a traceback."""
