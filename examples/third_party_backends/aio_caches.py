"""An asyncio cache that nobody here wrote, behind the bridge: `aiocache.SimpleMemoryCache` and its `RedLock`.

    stackproof verify --backend cache=examples.third_party_backends.aio_caches:make_aiocache

What the contract finds is in docs/findings.md.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiocache import SimpleMemoryCache
from aiocache.lock import RedLock

from stackproof.contracts import CacheCapabilities, bridged
from stackproof.interfaces import MISSING, CacheStore, CacheValue, ClosedError, Missing

LEASE = 2
"""Seconds of the lock: the default of the library's own decorator `cached_stampede`."""


class AioCache:
    """The cache as its manual shows it; `get_or_fetch` is what `cached_stampede` does."""

    capabilities = CacheCapabilities()

    def __init__(self, namespace: str) -> None:
        self._cache = SimpleMemoryCache(namespace=namespace)
        self._open = True  # there is nothing to close in the library: this much is the adapter's

    async def get(self, key: str) -> CacheValue | Missing:
        self._check_open()
        found: CacheValue | Missing = await self._cache.get(key, default=MISSING)
        return found

    async def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
        self._check_open()
        await self._cache.set(key, value, ttl=ttl)

    async def delete(self, key: str) -> bool:
        self._check_open()
        return bool(await self._cache.delete(key))

    async def get_or_fetch(
        self, key: str, fetch: Callable[[], Awaitable[CacheValue]], ttl: float | None = None
    ) -> CacheValue:
        found = await self.get(key)
        if found is not MISSING:
            return found
        async with RedLock(self._cache, key, LEASE):
            found = await self.get(key)
            if found is not MISSING:
                return found
            fetched = await fetch()
            await self.set(key, fetched, ttl)
            return fetched

    async def ping(self) -> bool:
        return self._open

    async def disconnect(self) -> None:
        self._open = False
        await self._cache.clear()
        await self._cache.close()

    def _check_open(self) -> None:
        if not self._open:
            raise ClosedError("this cache was disconnected")


def make_aiocache(namespace: str) -> CacheStore:
    return bridged(CacheStore, lambda: AioCache(namespace))
