"""Mutants of the search index that end badly: `MemorySearchIndex` with one defect each."""

from __future__ import annotations

import os
import socket
import threading
import time
import weakref
from collections.abc import Iterable
from typing import ClassVar

from stackproof.adapters.search.memory import MemorySearchIndex
from stackproof.interfaces import ClosedError, Document, Hit, SearchQuery

from . import mutant
from .lifecycle_bases import StaysForTheExit


@mutant(of=MemorySearchIndex, killed_by="LIFE-01")
class SecondDisconnectRaises(MemorySearchIndex):
    """The second disconnect raises, as an operation on a closed index does."""

    def disconnect(self) -> None:
        self._must_be_open()
        super().disconnect()


@mutant(of=MemorySearchIndex, killed_by="LIFE-02", imitates="S17")
class ClosedLooksEmpty(MemorySearchIndex):
    """A search after disconnect finds nothing, as if there were no documents."""

    def search(self, query: SearchQuery) -> list[Hit]:
        try:
            return super().search(query)
        except ClosedError:
            return []


@mutant(of=MemorySearchIndex, killed_by="LIFE-02", imitates="X1")
class ComesBack(MemorySearchIndex):
    """Indexing after disconnect connects again."""

    def index(self, documents: Iterable[Document]) -> int:
        self._closed = False
        return super().index(documents)


@mutant(of=MemorySearchIndex, killed_by="LIFE-03", imitates="X2")
class LeavesAFile(MemorySearchIndex):
    """The first use opens a file that disconnect leaves open."""

    _file: int | None = None

    def index(self, documents: Iterable[Document]) -> int:
        if self._file is None:
            self._file = os.open(os.devnull, os.O_WRONLY)
        return super().index(documents)


@mutant(of=MemorySearchIndex, killed_by="LIFE-03", imitates="X4")
class RefreshesForEver(MemorySearchIndex):
    """A thread that refreshes the index goes on after disconnect."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()


@mutant(of=MemorySearchIndex, killed_by="LIFE-04", imitates="E20")
class ForgetsSearchesInFlight(MemorySearchIndex):
    """A search that is running at disconnect waits for an answer that never comes."""

    def search(self, query: SearchQuery) -> list[Hit]:
        hits = super().search(query)
        time.sleep(0.05)
        if self._closed:
            threading.Event().wait(60)
        return hits


@mutant(of=MemorySearchIndex, killed_by="LIFE-05", imitates="E3")
class PingIsAlwaysTrue(MemorySearchIndex):
    """ping says that all is well, also after disconnect."""

    def ping(self) -> bool:
        return True


@mutant(of=MemorySearchIndex, killed_by="LIFE-05", imitates="E22")
class PingRaises(MemorySearchIndex):
    """ping of a closed index raises instead of saying no."""

    def ping(self) -> bool:
        self._must_be_open()
        return True


@mutant(of=MemorySearchIndex, killed_by="LIFE-06", imitates="C27")
class KeepsTheLock(MemorySearchIndex):
    """A call that is interrupted keeps the lock that all others wait for."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self._turn = threading.Semaphore()

    def index(self, documents: Iterable[Document]) -> int:
        self._turn.acquire()
        time.sleep(0.005)
        count = super().index(documents)
        self._turn.release()
        return count


@mutant(of=MemorySearchIndex, killed_by="LIFE-07")
class ClosesItsSiblings(MemorySearchIndex):
    """Instances of a namespace share one connection, and disconnecting one closes it for all."""

    _instances: ClassVar[weakref.WeakSet[ClosesItsSiblings]] = weakref.WeakSet()

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self._instances.add(self)

    def disconnect(self) -> None:
        for instance in list(self._instances):
            if instance._namespace == self._namespace:
                MemorySearchIndex.disconnect(instance)


@mutant(of=MemorySearchIndex, killed_by="LIFE-08")
class HasAServerInSecret(MemorySearchIndex):
    """Holds a socket to a server, and does not declare that it is remote."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self._connection = socket.socket()

    def disconnect(self) -> None:
        self._connection.close()
        super().disconnect()


@mutant(of=MemorySearchIndex, killed_by="LIFE-15", imitates="X2")
class IsKeptForTheExit(StaysForTheExit, MemorySearchIndex):
    """Registers its disconnect for the exit of the program, which keeps every instance until then."""
