"""Caches that nobody here wrote, behind the interface `CacheStore`, with as little of our own as possible.

stackproof verify --backend cache=examples.third_party_backends.caches:make_diskcache
"""

from __future__ import annotations

import math
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cachetools
import diskcache

from stackproof.interfaces import MISSING, CacheCapabilities, CacheStore, CacheValue, ClosedError, Missing


class DiskCache(CacheStore):
    """`diskcache.Cache` and its recipe `diskcache.Lock`; one directory per namespace."""

    capabilities = CacheCapabilities(shared=True)

    def __init__(self, directory: Path) -> None:
        self._cache = diskcache.Cache(str(directory))

    def get(self, key: str) -> CacheValue | Missing:
        return self._cache.get(key, default=MISSING)

    def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
        self._cache.set(key, value, expire=ttl)

    def delete(self, key: str) -> bool:
        return self._cache.delete(key)

    def get_or_fetch(self, key: str, fetch: Callable[[], CacheValue], ttl: float | None = None) -> CacheValue:
        found = self.get(key)
        if found is not MISSING:
            return found
        with diskcache.Lock(self._cache, ("lock of", key)):
            found = self.get(key)
            if found is MISSING:
                found = fetch()
                self.set(key, found, ttl)
            return found

    def ping(self) -> bool:
        return self._cache.volume() >= 0

    def disconnect(self) -> None:
        self._cache.close()

    def drop_namespace(self) -> None:
        self._cache.clear()


class TlruCache(CacheStore):
    """`cachetools.TLRUCache` (a lifetime per entry), and its decorator `cached` with the lock that its manual asks for."""

    capabilities = CacheCapabilities()

    def __init__(self, maxsize: int = 10_000) -> None:
        self._cache: cachetools.Cache[str, tuple[Any, float]] = cachetools.TLRUCache(
            maxsize, ttu=lambda _key, entry, now: now + entry[1]
        )
        self._lock = threading.RLock()
        self._open = True  # there is nothing to close in the library: this much is the adapter's

    def get(self, key: str) -> CacheValue | Missing:
        self._check_open()
        with self._lock:
            return self._cache.get(key, (MISSING,))[0]

    def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
        self._check_open()
        with self._lock:
            self._cache[key] = (value, math.inf if ttl is None else ttl)

    def delete(self, key: str) -> bool:
        self._check_open()
        with self._lock:
            return self._cache.pop(key, None) is not None

    def get_or_fetch(self, key: str, fetch: Callable[[], CacheValue], ttl: float | None = None) -> CacheValue:
        self._check_open()

        @cachetools.cached(self._cache, key=lambda: key, lock=self._lock)
        def entry() -> tuple[CacheValue, float]:
            return fetch(), math.inf if ttl is None else ttl

        return entry()[0]

    def ping(self) -> bool:
        return self._open

    def disconnect(self) -> None:
        self._open = False

    def _check_open(self) -> None:
        if not self._open:
            raise ClosedError("this cache was disconnected")


_directories: dict[str, tempfile.TemporaryDirectory[str]] = {}


def make_diskcache(namespace: str) -> DiskCache:
    directory = _directories.setdefault(namespace, tempfile.TemporaryDirectory(prefix="stackproof-diskcache-"))
    return DiskCache(Path(directory.name))


def make_tlru(_namespace: str) -> TlruCache:
    return TlruCache()
