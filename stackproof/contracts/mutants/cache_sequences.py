"""Caches whose defect shows only after a certain sequence of operations, or at a border that must be drawn on purpose."""

from __future__ import annotations

import time

from stackproof.adapters.cache.memory import MemoryCache
from stackproof.interfaces import MISSING, CacheValue, Missing

from . import mutant

RACE = 0.002
"""Seconds between the two steps of an operation that should be one: long enough for another caller to come between."""


@mutant(of=MemoryCache, killed_by="CACHE-40")
class CutsTextsAt64Bytes(MemoryCache):
    """A text of more than 64 bytes is cut."""

    def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
        super().set(key, value.encode()[:64].decode(errors="ignore") if isinstance(value, str) else value, ttl)


@mutant(of=MemoryCache, killed_by="CACHE-40")
class WritesAllEntriesBack(MemoryCache):
    """set writes all entries back as they were when it began: a racing write to another key is lost."""

    def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
        before = dict(self._space.entries)
        time.sleep(RACE)
        super().set(key, value, ttl)
        with self._space.lock:
            mine = self._space.entries.get(key)
            self._space.entries.clear()
            self._space.entries.update(before)
            self._space.entries.pop(key, None)
            if mine is not None:
                self._space.entries[key] = mine


@mutant(of=MemoryCache, killed_by="CACHE-40", imitates="C42")
class DeletesByPrefix(MemoryCache):
    """delete removes every key that begins with the one that is given."""

    def delete(self, key: str) -> bool:
        existed = super().delete(key)
        for other in [each for each in self._space.entries if each.startswith(key)]:
            super().delete(other)
        return existed


@mutant(of=MemoryCache, killed_by="CACHE-40", imitates="C17")
class ARefusalBringsTheOldValueBack(MemoryCache):
    """After a write that was refused, a key has the value that it had before the last write that was not."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self._earlier: dict[str, CacheValue | Missing] = {}

    def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
        try:
            found = super().get(key)
            super().set(key, value, ttl)
            self._earlier[key] = found
        except Exception:
            earlier = self._earlier.get(key, MISSING)
            if earlier is not MISSING:
                super().set(key, earlier)
            raise
