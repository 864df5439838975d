"""asyncio caches for the tests of the bridge: a correct one, and three with one defect each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from stackproof.adapters.cache.values import check_key, check_ttl, copy_value
from stackproof.contracts import bridged
from stackproof.interfaces import MISSING, CacheCapabilities, CacheStore, CacheValue, ClosedError, Missing

Fetch = Callable[[], Awaitable[CacheValue]]


class AsyncCache:
    """A dictionary with lifetimes, a lock per key for fetches, and a task that sweeps."""

    capabilities = CacheCapabilities()

    def __init__(self) -> None:
        self._entries: dict[str, tuple[CacheValue | Missing, float | None]] = {}
        self._fetching: dict[str, asyncio.Lock] = {}
        self._writes: dict[str, int] = {}
        self._closed = False
        self._sweeper = asyncio.get_running_loop().create_task(self._sweep())

    async def get(self, key: str) -> CacheValue | Missing:
        self._check(key)
        value, expires = self._entries.get(key, (MISSING, None))
        if value is MISSING or (expires is not None and expires <= time.monotonic()):
            return MISSING
        return copy_value(value)

    async def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
        self._check(key)
        seconds = check_ttl(ttl)
        kept = copy_value(value)
        self._writes[key] = self._writes.get(key, 0) + 1
        self._entries[key] = (kept, None if seconds is None else time.monotonic() + seconds)

    async def delete(self, key: str) -> bool:
        existed = await self.get(key) is not MISSING
        self._writes[key] = self._writes.get(key, 0) + 1
        self._entries.pop(key, None)
        return existed

    async def get_or_fetch(self, key: str, fetch: Fetch, ttl: float | None = None) -> CacheValue:
        self._check(key)
        check_ttl(ttl)
        async with self._fetching.setdefault(key, asyncio.Lock()):
            return await self._fetched(key, fetch, ttl)

    async def _fetched(self, key: str, fetch: Fetch, ttl: float | None) -> CacheValue:
        found = await self.get(key)
        if found is not MISSING:
            return found
        writes = self._writes.get(key, 0)
        fetched = copy_value(await fetch())
        if self._writes.get(key, 0) == writes and not self._closed:
            await self.set(key, fetched, ttl)
        return fetched

    async def ping(self) -> bool:
        return not self._closed

    async def disconnect(self) -> None:
        self._closed = True
        self._sweeper.cancel()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(30)
            gone = [key for key, (_, expires) in self._entries.items() if expires and expires <= time.monotonic()]
            for key in gone:
                del self._entries[key]

    def _check(self, key: str) -> None:
        if self._closed:
            raise ClosedError("this cache was disconnected")
        check_key(key, self.capabilities.max_key_bytes)


class NoSingleFlight(AsyncCache):
    """Every caller fetches for itself."""

    async def get_or_fetch(self, key: str, fetch: Fetch, ttl: float | None = None) -> CacheValue:
        self._check(key)
        check_ttl(ttl)
        return await self._fetched(key, fetch, ttl)


class KeepsItsLock(AsyncCache):
    """A fetch that is cancelled keeps the lock of its key."""

    async def get_or_fetch(self, key: str, fetch: Fetch, ttl: float | None = None) -> CacheValue:
        self._check(key)
        check_ttl(ttl)
        lock = self._fetching.setdefault(key, asyncio.Lock())
        await lock.acquire()
        try:
            fetched = await self._fetched(key, fetch, ttl)
        except Exception:
            lock.release()
            raise
        lock.release()
        return fetched


class LeavesItsSweeper(AsyncCache):
    """disconnect forgets the task that sweeps."""

    async def disconnect(self) -> None:
        self._closed = True


class ForgetsToAwait(AsyncCache):
    """disconnect calls a coroutine function and does not await it."""

    async def disconnect(self) -> None:
        await super().disconnect()
        self._flush()  # type: ignore[unused-coroutine]

    async def _flush(self) -> None:
        self._entries.clear()


def make(kind: type[Any]) -> Callable[[str], CacheStore]:
    """A factory of such a cache, behind the bridge."""

    def factory(_namespace: str) -> CacheStore:
        return bridged(CacheStore, kind)

    factory.capabilities = kind.capabilities  # type: ignore[attr-defined]
    return factory


good = make(AsyncCache)
no_single_flight = make(NoSingleFlight)
keeps_its_lock = make(KeepsItsLock)
leaves_its_sweeper = make(LeavesItsSweeper)
forgets_to_await = make(ForgetsToAwait)
