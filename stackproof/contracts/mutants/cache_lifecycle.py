"""Caches with one defect each: how they end, and what an end or an interruption leaves behind."""

from __future__ import annotations

import os
import socket
import threading
import time
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, ClassVar

from stackproof.adapters.cache.memory import MemoryCache
from stackproof.interfaces import CacheValue, Missing, UnavailableError

from . import mutant
from .lifecycle_bases import StaysForTheExit


@mutant(of=MemoryCache, killed_by="LIFE-01")
class CannotDisconnectTwice(MemoryCache):
    """The second disconnect raises."""

    def disconnect(self) -> None:
        if self._closed:
            raise RuntimeError("already disconnected")
        super().disconnect()


@mutant(of=MemoryCache, killed_by="LIFE-01")
class CannotDisconnectInTwoThreads(MemoryCache):
    """Of two threads that disconnect at once, the later one stumbles over what the earlier one took away."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._links = [object()]

    def disconnect(self) -> None:
        if self._links:
            time.sleep(0.005)  # says good-bye to its server
            self._links.pop()
        super().disconnect()


@mutant(of=MemoryCache, killed_by="LIFE-15", imitates="X2")
class IsKeptForTheExit(StaysForTheExit, MemoryCache):
    """Registers its disconnect for the exit of the program, which keeps every instance until then."""


@mutant(of=MemoryCache, killed_by="LIFE-15")
class KeepsStatistics(MemoryCache):
    """Counts the reads of each instance in a table of the module, and disconnect leaves its row there."""

    _reads: ClassVar[list[list[str]]] = []

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._own_reads: list[str] = []
        self._reads.append(self._own_reads)

    def get(self, key: str) -> CacheValue | Missing:
        self._own_reads.append(key)
        return super().get(key)


@mutant(of=MemoryCache, killed_by="LIFE-02", imitates="X1")
class WorksAfterDisconnect(MemoryCache):
    """Operations go on after disconnect, as if it had connected again."""

    _gone = False

    def ping(self) -> bool:
        return not self._gone

    def disconnect(self) -> None:
        self._gone = True


@mutant(of=MemoryCache, killed_by="LIFE-02", imitates="X1")
class IsSlowToRefuse(MemoryCache):
    """An operation after disconnect waits some seconds for a connection that nobody makes any more."""

    def _check(self, key: str) -> None:
        if self._closed:
            time.sleep(3)
        super()._check(key)


@mutant(of=MemoryCache, killed_by="LIFE-03", imitates="X2")
class LeavesDescriptors(MemoryCache):
    """Opens a file for its own use and never closes it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        os.open(os.devnull, os.O_WRONLY)


@mutant(of=MemoryCache, killed_by="LIFE-03", imitates="X4")
class LeavesThreads(MemoryCache):
    """Starts a reaper that disconnect does not end."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()


@mutant(of=MemoryCache, killed_by="LIFE-04", imitates="E20")
class ForgetsCallersInFlight(MemoryCache):
    """A caller whose operation is running at disconnect waits for an answer that never comes."""

    def get(self, key: str) -> CacheValue | Missing:
        found = super().get(key)
        time.sleep(0.05)
        if self._closed:
            threading.Event().wait(60)
        return found


@mutant(of=MemoryCache, killed_by="LIFE-05", imitates="E3")
class PingIsAlwaysTrue(MemoryCache):
    """ping says that all is well, also after disconnect."""

    def ping(self) -> bool:
        return True


@mutant(of=MemoryCache, killed_by="LIFE-06", imitates="C27")
class StaysBusy(MemoryCache):
    """A write that is interrupted leaves the cache busy for ever."""

    _busy = False

    def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
        if self._busy:
            raise UnavailableError("another write is under way")
        self._busy = True
        time.sleep(0.005)
        super().set(key, value, ttl)
        self._busy = False


@mutant(of=MemoryCache, killed_by="LIFE-07")
class OneForAll(MemoryCache):
    """Disconnecting one instance disconnects all that use the same pool."""

    _instances: ClassVar[weakref.WeakSet[MemoryCache]] = weakref.WeakSet()

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._instances.add(self)

    def disconnect(self) -> None:
        for instance in list(self._instances):
            MemoryCache.disconnect(instance)


@mutant(of=MemoryCache, killed_by="LIFE-08")
class HasAServerButUndeclared(MemoryCache):
    """Talks to a server over a socket, and nobody says so."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._connection = socket.socket()

    def disconnect(self) -> None:
        self._connection.close()
        super().disconnect()


@mutant(of=MemoryCache, killed_by="CACHE-05", imitates="C8")
class InterruptionForgetsWhoWaits(MemoryCache):
    """An interrupted fetch frees its key, but whoever waits for it already is not told, and waits for ever."""

    def get_or_fetch(self, key: str, fetch: Callable[[], CacheValue], ttl: float | None = None) -> CacheValue:
        def interruptible() -> CacheValue:
            try:
                return fetch()
            except Exception:
                raise
            except BaseException:
                self._space.flights[key]._baton = SimpleQueue()  # they wait at the one that was there
                raise

        return super().get_or_fetch(key, interruptible, ttl)
