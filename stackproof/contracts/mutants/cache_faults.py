"""Caches behind a simulated link, with one defect each: what they do when the connection breaks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from stackproof.interfaces import BackendError, CacheValue, Missing, OperationTimeoutError

from . import mutant
from .remote import BusyError, RemoteCache, T
from .remote_bases import GivesUpForEver, TakesTimeOutsForNothingDone


@mutant(of=RemoteCache, killed_by="LIFE-09", imitates="E14")
class HasNoTimeLimit(RemoteCache):
    """A read whose answer does not come is waited for without a limit."""

    def get(self, key: str) -> CacheValue | Missing:
        try:
            return super().get(key)
        except OperationTimeoutError:
            threading.Event().wait(60)
            raise


@mutant(of=RemoteCache, killed_by="LIFE-09")
class PingIsGreenInABlackHole(RemoteCache):
    """ping looks at the state of the connection, which a black hole leaves open, and asks nobody."""

    def ping(self) -> bool:
        return not self._closed


@mutant(of=RemoteCache, killed_by="CACHE-25", imitates="C27")
class TakesALateAnswerForTheNext(RemoteCache):
    """A connection whose answer came too late is used again, and the old answer is read for the next question."""

    def get(self, key: str) -> CacheValue | Missing:
        if self.link.late:
            late: CacheValue | Missing = self.link.late.popleft()
            return late
        return super().get(key)


@mutant(of=RemoteCache, killed_by="CACHE-25")
class GivesNothingWhenItBreaks(RemoteCache):
    """A fetch whose cache cannot store the value gives None instead of the value."""

    def get_or_fetch(self, key: str, fetch: Callable[[], CacheValue], ttl: float | None = None) -> CacheValue:
        try:
            return super().get_or_fetch(key, fetch, ttl)
        except BackendError:
            return None


@mutant(of=RemoteCache, killed_by="LIFE-11")
class TakesEveryTimeOutForNothingDone(TakesTimeOutsForNothingDone, RemoteCache):
    """A write that timed out is given up on as something that the caller may repeat: nothing was applied, it says."""


@mutant(of=RemoteCache, killed_by="LIFE-16")
class HammersABusyServer(RemoteCache):
    """What the server refuses for the moment is sent again at once, a thousand times."""

    def patiently(self, serve: Callable[[], T]) -> T:
        for _ in range(1000):
            try:
                return self.link.ask(serve)
            except BusyError:
                time.sleep(0)
        return self.link.ask(serve)


@mutant(of=RemoteCache, killed_by="LIFE-16")
class PassesOnTheDriversError(RemoteCache):
    """Throttling is not among the errors that the adapter translates."""

    def over(self, serve: Callable[[], T], *, writes: bool) -> T:
        try:
            return super().over(serve, writes=writes)
        except BackendError as error:
            if isinstance(error.__cause__, BusyError):
                raise error.__cause__ from None
            raise


@mutant(of=RemoteCache, killed_by="LIFE-16", imitates="L5")
class TakesARefusedWriteForDone(RemoteCache):
    """A write that is throttled is given up, and nobody is told."""

    def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
        try:
            super().set(key, value, ttl)
        except BackendError as error:
            if not isinstance(error.__cause__, BusyError):
                raise


@mutant(of=RemoteCache, killed_by="LIFE-10", imitates="E13")
class NeverConnectsAgain(GivesUpForEver, RemoteCache):
    """Whose connection was refused once does not try another one."""
