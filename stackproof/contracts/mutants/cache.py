"""Caches with one defect each: hits, fetches and lifetimes. Keys and values are in the modules that this one imports."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from stackproof.adapters.cache.flights import Flight
from stackproof.adapters.cache.memory import Entry, MemoryCache, Space
from stackproof.adapters.cache.values import copy_value
from stackproof.interfaces import MISSING, CacheValue, Missing

from . import (
    cache_faults,
    cache_histories,
    cache_keys,
    cache_lifecycle,
    cache_processes,
    cache_sequences,
    cache_values,
    mutant,
)

__all__ = [
    "cache_faults",
    "cache_histories",
    "cache_keys",
    "cache_lifecycle",
    "cache_processes",
    "cache_sequences",
    "cache_values",
]

Fetch = Callable[[], CacheValue]


@mutant(of=MemoryCache, killed_by="CACHE-01", imitates="C23")
class FalsyIsAMiss(MemoryCache):
    """A stored value counts as a hit only if it is truthy."""

    def get(self, key: str) -> CacheValue | Missing:
        return super().get(key) or MISSING


@mutant(of=MemoryCache, killed_by="CACHE-01", imitates="C1")
class NoneIsFetchedAgain(MemoryCache):
    """get_or_fetch takes a stored None for a miss."""

    def get_or_fetch(self, key: str, fetch: Fetch, ttl: float | None = None) -> CacheValue:
        if super().get(key) is None:
            self.delete(key)
        return super().get_or_fetch(key, fetch, ttl)


@mutant(of=MemoryCache, killed_by="CACHE-02", imitates="C2")
class NoneForMissing(MemoryCache):
    """get returns None where there is no entry."""

    def get(self, key: str) -> CacheValue | Missing:
        found = super().get(key)
        return None if found is MISSING else found


@mutant(of=MemoryCache, killed_by="CACHE-11")
class DeleteIsAlwaysTrue(MemoryCache):
    """delete says True also where there was nothing."""

    def delete(self, key: str) -> bool:
        super().delete(key)
        return True


@mutant(of=MemoryCache, killed_by="CACHE-11", imitates="C42")
class DeleteLeavesTheEntry(MemoryCache):
    """delete says what it would have removed, and removes nothing."""

    def delete(self, key: str) -> bool:
        return self.get(key) is not MISSING


@mutant(of=MemoryCache, killed_by="CACHE-11", imitates="C23")
class DeleteJudgesTheValue(MemoryCache):
    """delete says True only for truthy values."""

    def delete(self, key: str) -> bool:
        value = self.get(key)
        super().delete(key)
        return bool(value)


@mutant(of=MemoryCache, killed_by="CACHE-03", imitates="C21")
class NoSingleFlight(MemoryCache):
    """Every caller fetches for itself."""

    def get_or_fetch(self, key: str, fetch: Fetch, ttl: float | None = None) -> CacheValue:
        found = self.get(key)
        if found is MISSING:
            found = copy_value(fetch())
            self.set(key, found, ttl)
        return found


@mutant(of=MemoryCache, killed_by="CACHE-18", imitates="C3")
class FlightsPerInstance(MemoryCache):
    """Callers share a fetch only within one instance."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._shared = self._space  # keeps the entries alive
        self._space = Space(entries=self._shared.entries, lock=self._shared.lock)


@mutant(of=MemoryCache, killed_by="CACHE-04", imitates="C7")
class WaitersGetNone(MemoryCache):
    """A caller that waits for a fetch which fails gets None."""

    def get_or_fetch(self, key: str, fetch: Fetch, ttl: float | None = None) -> CacheValue:
        mine: list[bool] = []

        def noted() -> CacheValue:
            mine.append(True)
            return fetch()

        try:
            return super().get_or_fetch(key, noted, ttl)
        except Exception:
            if mine:
                raise
            return None


@mutant(of=MemoryCache, killed_by="CACHE-04", imitates="C7")
class ErrorsAreKept(MemoryCache):
    """Once the fetch of a key has failed, everybody who asks for the key gets that error."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._errors: dict[str, Exception] = {}

    def get_or_fetch(self, key: str, fetch: Fetch, ttl: float | None = None) -> CacheValue:
        if key in self._errors:
            raise self._errors[key]
        try:
            return super().get_or_fetch(key, fetch, ttl)
        except Exception as error:
            self._errors[key] = error
            raise


@mutant(of=MemoryCache, killed_by="CACHE-05", imitates="C8")
class LockIsNeverReleased(MemoryCache):
    """A fetch that raises keeps the lock of its key."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._locks: dict[str, threading.Lock] = {}

    def get_or_fetch(self, key: str, fetch: Fetch, ttl: float | None = None) -> CacheValue:
        lock = self._locks.setdefault(key, threading.Lock())
        lock.acquire()
        value = super().get_or_fetch(key, fetch, ttl)
        lock.release()
        return value


@mutant(of=MemoryCache, killed_by="CACHE-05", imitates="C27")
class InterruptionKeepsTheKey(MemoryCache):
    """The key is freed after an ordinary error only, not when the fetch is interrupted."""

    def get_or_fetch(self, key: str, fetch: Fetch, ttl: float | None = None) -> CacheValue:
        def interruptible() -> CacheValue:
            try:
                return fetch()
            except Exception:
                raise
            except BaseException:
                self._space.flights[key] = Flight()  # nobody will ever land it
                raise

        return super().get_or_fetch(key, interruptible, ttl)


@mutant(of=MemoryCache, killed_by="CACHE-08", imitates="C4")
class FetchOverwritesNewerValues(MemoryCache):
    """What was fetched is stored without a look at what happened meanwhile."""

    def _fetch(self, key: str, flight: Flight[CacheValue], fetch: Fetch, ttl: float | None) -> CacheValue:
        entry = self._entry(fetch(), ttl)
        with self._space.lock:
            self._put(key, entry)
        return entry.value


@mutant(of=MemoryCache, killed_by="CACHE-08", imitates="C4")
class FetchUndoesDeletes(MemoryCache):
    """A fetched value gives way to a newer value, but not to a delete."""

    def delete(self, key: str) -> bool:
        with self._space.lock:
            existed = self._live(key) is not None
            self._space.entries.pop(key, None)
        return existed


class _OtherLifetimes(MemoryCache):
    """A base for caches that change a ttl before they use it."""

    def _lifetime(self, ttl: float | None) -> float | None:
        return ttl

    def _entry(self, value: CacheValue, ttl: float | None) -> Entry:
        return super()._entry(value, self._lifetime(ttl))


@mutant(of=MemoryCache, killed_by="CACHE-06", imitates="C12")
class WholeSeconds(_OtherLifetimes):
    """A ttl is cut to whole seconds, and none left means for ever."""

    def _lifetime(self, ttl: float | None) -> float | None:
        return ttl if ttl is None or ttl <= 0 else int(ttl) or None


@mutant(of=MemoryCache, killed_by="CACHE-06", imitates="C41")
class SecondsRoundedDown(_OtherLifetimes):
    """A ttl beyond one second is cut to whole seconds: the entry goes early."""

    def _lifetime(self, ttl: float | None) -> float | None:
        return ttl if ttl is None or ttl < 1 else float(int(ttl)) if ttl < 1e6 else ttl


@mutant(of=MemoryCache, killed_by="CACHE-06")
class SecondsRoundedUp(_OtherLifetimes):
    """A ttl is rounded up to whole seconds: the entry stays too long."""

    def _lifetime(self, ttl: float | None) -> float | None:
        return ttl if ttl is None else math.ceil(ttl) if math.isfinite(ttl) else ttl


@mutant(of=MemoryCache, killed_by="CACHE-06", imitates="C11")
class ZeroIsForEver(_OtherLifetimes):
    """A ttl of zero means no expiry."""

    def _lifetime(self, ttl: float | None) -> float | None:
        return ttl or None


@mutant(of=MemoryCache, killed_by="CACHE-06")
class NegativeIsForEver(_OtherLifetimes):
    """A negative ttl means no expiry."""

    def _lifetime(self, ttl: float | None) -> float | None:
        return None if ttl is not None and -math.inf < ttl < 0 else ttl


@mutant(of=MemoryCache, killed_by="CACHE-06", imitates="C15")
class NoneIsADefault(_OtherLifetimes):
    """No ttl means a default of half a second."""

    def _lifetime(self, ttl: float | None) -> float | None:
        return 0.5 if ttl is None else ttl


@mutant(of=MemoryCache, killed_by="CACHE-06")
class LongLifetimesAreDates(_OtherLifetimes):
    """A ttl beyond thirty days is taken for a point in time, which lies in the past."""

    def _lifetime(self, ttl: float | None) -> float | None:
        return -1.0 if ttl is not None and 30 * 86_400 < ttl < math.inf else ttl


@mutant(of=MemoryCache, killed_by="CACHE-06")
class ReadingProlongs(MemoryCache):
    """Each read gives the entry another 0.4 s."""

    def get(self, key: str) -> CacheValue | Missing:
        with self._space.lock:
            entry = self._live(key)
            if entry is not None and entry.expires is not None:
                expires = max(entry.expires, self._clock() + 0.4)
                self._space.entries[key] = Entry(entry.value, expires)
        return super().get(key)


@mutant(of=MemoryCache, killed_by="CACHE-07", imitates="C33")
class LazyReaper(MemoryCache):
    """Expired entries are returned until a reaper comes by."""

    def _live(self, key: str) -> Entry | None:
        entry = self._space.entries.get(key)
        reaped = entry is not None and entry.expires is not None and entry.expires + 5 <= self._clock()
        return None if reaped else entry


@mutant(of=MemoryCache, killed_by="CACHE-07", imitates="C32")
class DeleteSeesTheExpired(MemoryCache):
    """delete counts an entry that has expired but is still in memory."""

    def delete(self, key: str) -> bool:
        return self._space.entries.pop(key, None) is not None or super().delete(key)


@mutant(of=MemoryCache, killed_by="CACHE-07", imitates="C35")
class FetchTakesTheExpired(MemoryCache):
    """get_or_fetch returns an entry that has expired but is still in memory."""

    def get_or_fetch(self, key: str, fetch: Fetch, ttl: float | None = None) -> CacheValue:
        entry = self._space.entries.get(key)
        return super().get_or_fetch(key, fetch, ttl) if entry is None else entry.value


@mutant(of=MemoryCache, killed_by="CACHE-12", imitates="C17")
class SetKeepsTheOldLifetime(MemoryCache):
    """set without a ttl leaves the ttl of the old entry in force."""

    def _put(self, key: str, entry: Entry) -> None:
        old = self._live(key)
        expires = old.expires if old is not None and entry.expires is None else entry.expires
        super()._put(key, Entry(entry.value, expires))


@mutant(of=MemoryCache, killed_by="CACHE-12")
class FirstLifetimeWins(MemoryCache):
    """An entry keeps the lifetime with which it was first written."""

    def _put(self, key: str, entry: Entry) -> None:
        old = self._live(key)
        over = entry.expires is not None and entry.expires <= self._clock()
        super()._put(key, entry if old is None or over else Entry(entry.value, old.expires))


@mutant(of=MemoryCache, killed_by="CACHE-13", imitates="C9")
class FetchForgetsTheLifetime(MemoryCache):
    """get_or_fetch stores without the ttl that it was given."""

    def _fetch(self, key: str, flight: Flight[CacheValue], fetch: Fetch, ttl: float | None) -> CacheValue:
        return super()._fetch(key, flight, fetch, None)


@mutant(of=MemoryCache, killed_by="CACHE-13", imitates="C10")
class NothingAfterExpiry(MemoryCache):
    """Once a fetched entry has expired, get_or_fetch returns None and fetches no more."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._fetched: set[str] = set()

    def get_or_fetch(self, key: str, fetch: Fetch, ttl: float | None = None) -> CacheValue:
        if key in self._fetched and self.get(key) is MISSING:
            return None
        value = super().get_or_fetch(key, fetch, ttl)
        self._fetched.add(key)
        return value


@mutant(of=MemoryCache, killed_by="CACHE-21", imitates="C22")
class FractionsFail(MemoryCache):
    """get_or_fetch raises for a ttl that is no integer, while set takes it."""

    def get_or_fetch(self, key: str, fetch: Fetch, ttl: float | None = None) -> CacheValue:
        if isinstance(ttl, float) and math.isfinite(ttl):
            raise TypeError("'float' object cannot be interpreted as an integer")
        return super().get_or_fetch(key, fetch, ttl)


@mutant(of=MemoryCache, killed_by="CACHE-21", imitates="C14")
class NoLifetimeFails(MemoryCache):
    """get_or_fetch makes an integer of the ttl also where there is none."""

    def get_or_fetch(self, key: str, fetch: Fetch, ttl: Any = None) -> CacheValue:
        return super().get_or_fetch(key, fetch, ttl if isinstance(ttl, float) else int(ttl))


@mutant(of=MemoryCache, killed_by="CACHE-21")
class InfinityIsTaken(_OtherLifetimes):
    """An infinite ttl is taken for one without expiry."""

    def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
        super().set(key, value, None if ttl == math.inf else ttl)


@mutant(of=MemoryCache, killed_by="CACHE-20", imitates="C17")
class SetRemovesFirst(MemoryCache):
    """set removes the old entry before it looks at the new one."""

    def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
        self.delete(key)
        super().set(key, value, ttl)


@mutant(of=MemoryCache, killed_by="CACHE-10")
class GetHandsOutItsOwn(MemoryCache):
    """get returns the object that the cache keeps."""

    def get(self, key: str) -> CacheValue | Missing:
        found = super().get(key)
        with self._space.lock:
            entry = self._live(key)
        return found if entry is None else entry.value


@mutant(of=MemoryCache, killed_by="CACHE-10")
class SetKeepsTheCallersObject(MemoryCache):
    """set keeps the object that it was given."""

    def _entry(self, value: CacheValue, ttl: float | None) -> Entry:
        return Entry(value, super()._entry(value, ttl).expires)


@mutant(of=MemoryCache, killed_by="CACHE-10")
class OneObjectForAllWaiters(MemoryCache):
    """All callers that share a fetch get the same object."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._last: dict[str, CacheValue] = {}

    def get_or_fetch(self, key: str, fetch: Fetch, ttl: float | None = None) -> CacheValue:
        value = super().get_or_fetch(key, partial(self._noted, key, fetch), ttl)
        return self._last[key] if self._last.get(key) == value else value

    def _noted(self, key: str, fetch: Fetch) -> CacheValue:
        self._last[key] = fetch()
        return self._last[key]


class _Fetching:
    """The keys that one instance fetches at the moment."""

    def __init__(self) -> None:
        self.keys: set[str] = set()

    def noted(self, key: str, fetch: Fetch) -> CacheValue:
        self.keys.add(key)
        try:
            return fetch()
        finally:
            self.keys.discard(key)


@mutant(of=MemoryCache, killed_by="CACHE-22", imitates="C4")
class WritesElsewhereGoUnnoticed(MemoryCache):
    """A fetch gives way to a newer value of its own instance, but not to one of another instance."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._fetching = _Fetching()

    def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
        if key in self._fetching.keys:
            return super().set(key, value, ttl)
        entry = self._entry(value, ttl)
        with self._space.lock:
            self._put(key, entry)
        return None

    def get_or_fetch(self, key: str, fetch: Fetch, ttl: float | None = None) -> CacheValue:
        return super().get_or_fetch(key, partial(self._fetching.noted, key, fetch), ttl)


@mutant(of=MemoryCache, killed_by="CACHE-13")
class AskingProlongs(MemoryCache):
    """A hit of get_or_fetch begins the lifetime of the entry anew."""

    def get_or_fetch(self, key: str, fetch: Fetch, ttl: float | None = None) -> CacheValue:
        value = super().get_or_fetch(key, fetch, ttl)
        with self._space.lock:
            entry = self._live(key)
            if entry is not None and ttl is not None:
                self._space.entries[key] = Entry(entry.value, self._clock() + ttl)
        return value


@mutant(of=MemoryCache, killed_by="CACHE-13", imitates="C15")
class FetchedForTwoSeconds(MemoryCache):
    """Without a ttl, get_or_fetch stores for two seconds."""

    def get_or_fetch(self, key: str, fetch: Fetch, ttl: float | None = None) -> CacheValue:
        return super().get_or_fetch(key, fetch, 2.0 if ttl is None else ttl)


class _Impatient(MemoryCache):
    """A base for caches whose callers wait so long for the fetch of another, and then fetch themselves."""

    patience = 1.0

    def get_or_fetch(self, key: str, fetch: Fetch, ttl: float | None = None) -> CacheValue:
        with self._space.lock:
            flight = self._space.flights.get(key)
        until = self._clock() + self.patience
        while flight is not None and self._space.flights.get(key) is flight:
            if self._clock() > until:
                return fetch()
            time.sleep(0.01)
        return super().get_or_fetch(key, fetch, ttl)


@mutant(of=MemoryCache, killed_by="CACHE-03", imitates="C3")
class WaitsForASecond(_Impatient):
    """A caller waits one second for the fetch of another caller, then it fetches as well."""


@mutant(of=MemoryCache, killed_by="CACHE-18", imitates="C3")
class WaitsForTwoSeconds(_Impatient):
    """A caller waits two seconds for the fetch of another instance, then it fetches as well."""

    patience = 2.0


@mutant(of=MemoryCache, killed_by="CACHE-26")
class OneLockForAllFetches(MemoryCache):
    """A fetch holds a lock that every other fetch needs, whatever its key."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._turn = threading.Lock()

    def get_or_fetch(self, key: str, fetch: Fetch, ttl: float | None = None) -> CacheValue:
        def alone() -> CacheValue:
            with self._turn:
                return fetch()

        return super().get_or_fetch(key, alone, ttl)
