"""A correct cache that stalls once: what a bench run must show, and what a careless one hides.

    STALL_AT_CALL=600 stackproof bench --backend cache=examples.stalling_cache:make_stalling --rate 100 --duration 8

Without ``STALL_AT_CALL`` nothing stalls, and the cache passes its contract. With it, call number 600 makes every caller wait for
``STALL_SECONDS`` (1 unless set), as a server does that stops to write its memory to disk. With ``STALL_BLOCKS=1`` it is
not the server that stops but the client: the whole process, as a driver does that waits without giving way.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from stackproof.adapters.cache.memory import MemoryCache
from stackproof.interfaces import CacheStore, CacheValue, Missing


class StallingCache(CacheStore):
    """The in-memory cache behind a door that all callers pass, and that is held shut once."""

    capabilities = MemoryCache.capabilities

    def __init__(self, *, namespace: str = "", stall_at: int = 0, seconds: float = 1.0, blocks: bool = False) -> None:
        self._inner = MemoryCache(namespace=namespace)
        self._stall_at = stall_at
        self._seconds = seconds
        self._sleep = _sleep_of_the_process() if blocks else time.sleep
        self._door = threading.Lock()
        self._calls = 0

    def get(self, key: str) -> CacheValue | Missing:
        self._pass_the_door()
        return self._inner.get(key)

    def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
        self._pass_the_door()
        self._inner.set(key, value, ttl)

    def delete(self, key: str) -> bool:
        self._pass_the_door()
        return self._inner.delete(key)

    def get_or_fetch(self, key: str, fetch: Callable[[], CacheValue], ttl: float | None = None) -> CacheValue:
        self._pass_the_door()
        return self._inner.get_or_fetch(key, fetch, ttl)

    def ping(self) -> bool:
        return self._inner.ping()

    def disconnect(self) -> None:
        self._inner.disconnect()

    def drop_namespace(self) -> None:
        self._inner.drop_namespace()

    def _pass_the_door(self) -> None:
        if not self._stall_at:
            return
        with self._door:
            self._calls += 1
            if self._calls == self._stall_at:
                self._sleep(self._seconds)  # everybody else waits for the door


def make_stalling(namespace: str) -> StallingCache:
    """The factory: ``--backend cache=examples.stalling_cache:make_stalling``."""
    return StallingCache(
        namespace=namespace,
        stall_at=int(os.environ.get("STALL_AT_CALL", "0")),
        seconds=float(os.environ.get("STALL_SECONDS", "1")),
        blocks=os.environ.get("STALL_BLOCKS") == "1",
    )


def _sleep_of_the_process() -> Callable[[float], None]:
    """A sleep that stops every thread, and under gevent every greenlet: what no load generator may mistake for the server."""
    from gevent import monkey

    sleep: Callable[[float], None] = monkey.get_original("time", "sleep")
    return sleep
