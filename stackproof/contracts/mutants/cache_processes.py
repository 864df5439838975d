"""Caches with one defect each: forks, the end of a program, and an end in the middle of the work."""

from __future__ import annotations

import os
import socket
import threading
import time

from stackproof.adapters.cache.memory import MemoryCache
from stackproof.interfaces import CacheValue, Missing

from . import mutant
from .processes_bases import FailsTheCallers, FlushesAtExit, OwnedByOneProcess
from .processes_doubles import FileCache, KeepsOneBack


@mutant(of=MemoryCache, killed_by="LIFE-12")
class FailsInAChild(OwnedByOneProcess, MemoryCache):
    """In a forked child every write raises an error of the driver's."""

    def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
        self.check_owner()
        super().set(key, value, ttl)


@mutant(of=MemoryCache, killed_by="LIFE-12")
class SharesItsConnection(MemoryCache):
    """A forked child goes on with the connection of its parent, and each gets answers of the other."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self._line, self._far_end = socket.socketpair()
        self._line.settimeout(1.0)
        self._turn = threading.Lock()
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self) -> None:
        while question := self._far_end.recv(8):
            time.sleep(0.002)
            self._far_end.sendall(question)
        self._far_end.close()

    def get(self, key: str) -> CacheValue | Missing:
        found = super().get(key)
        with self._turn:
            question = os.urandom(8)
            self._line.sendall(question)
            answer = self._line.recv(8)
        return found if answer == question else "an answer for somebody else"

    def disconnect(self) -> None:
        super().disconnect()
        self._line.close()


@mutant(of=MemoryCache, killed_by="LIFE-13")
class ComplainsAtExit(FlushesAtExit, MemoryCache):
    """A program that ends without disconnecting ends with a traceback."""


@mutant(of=MemoryCache, killed_by="LIFE-13", imitates="X2")
class HoldsTheProgram(MemoryCache):
    """A thread that only disconnect ends keeps the program alive for ever."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        threading.Thread(target=self._sweep).start()

    def _sweep(self) -> None:
        while not self._closed:
            time.sleep(0.02)


@mutant(of=MemoryCache, killed_by="LIFE-14", imitates="E18")
class ForgetsTheLastWrite(KeepsOneBack, FileCache):
    """Acknowledges a write before it is handed over, and disconnect forgets the last one."""


@mutant(of=MemoryCache, killed_by="LIFE-14")
class ThrowsAtItsCallers(FailsTheCallers, MemoryCache):
    """A caller whose write is running at disconnect gets an error of the driver's."""

    def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
        self.during(lambda: MemoryCache.set(self, key, value, ttl))


@mutant(of=MemoryCache, killed_by="LIFE-14", imitates="E20")
class WaitsForItsCallers(MemoryCache):
    """Disconnect waits, under its lock, for callers who wait for this lock."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self._turn = threading.Lock()
        self._callers: set[int] = set()

    def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
        self._callers.add(threading.get_ident())
        try:
            with self._turn:
                super().set(key, value, ttl)
        finally:
            self._callers.discard(threading.get_ident())

    def disconnect(self) -> None:
        with self._turn:
            time.sleep(0.01)
            while self._callers:
                time.sleep(0.01)
            super().disconnect()
