"""Caches whose defect shows only when several callers use one key at the same time."""

from __future__ import annotations

import time

from stackproof.adapters.cache.memory import MemoryCache
from stackproof.interfaces import MISSING, CacheValue, Missing

from . import mutant

RACE = 0.0005
"""Seconds between the two steps of an operation that should be one: long enough for another caller to come between."""


@mutant(of=MemoryCache, killed_by="CACHE-23", imitates="C4")
class RenewsWhatItRead(MemoryCache):
    """get writes back what it has read, to renew its lifetime, also over what was set or deleted meanwhile."""

    def get(self, key: str) -> CacheValue | Missing:
        found = super().get(key)
        if found is not MISSING:
            time.sleep(RACE)
            super().set(key, found)
        return found


@mutant(of=MemoryCache, killed_by="CACHE-23")
class RemovesBeforeItSets(MemoryCache):
    """set removes the old entry first: between the two steps there is none."""

    def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
        super().delete(key)
        time.sleep(RACE)
        super().set(key, value, ttl)


@mutant(of=MemoryCache, killed_by="CACHE-23", imitates="C42")
class BothDeletesFoundIt(MemoryCache):
    """delete looks first and removes then, so that two callers are both told that they removed the entry."""

    def delete(self, key: str) -> bool:
        existed = self.get(key) is not MISSING
        time.sleep(RACE)
        super().delete(key)
        return existed


@mutant(of=MemoryCache, killed_by="CACHE-23")
class LosesARacingWrite(MemoryCache):
    """A set that finds another one under way gives up without a word, and the other one writes what it had before."""

    _writing: set[str] = set()  # noqa: RUF012 - shared on purpose, like the flag on a server that it stands for

    def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
        if key in self._writing:
            time.sleep(RACE)
            return
        self._writing.add(key)
        try:
            super().set(key, value, ttl)
            time.sleep(RACE / 2)
        finally:
            self._writing.discard(key)
