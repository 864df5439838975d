"""The in-process cache for applications: the reference with a bounded number of entries."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Self

from stackproof.adapters.settings import Settings
from stackproof.interfaces import CacheCapabilities, ConfigurationError

from .memory import Entry, MemoryCache, Space

MAX_ENTRIES = 10_000


class LocalCache(MemoryCache):
    """A cache in this process that keeps at most ``max_entries`` entries; the least recently used one goes first.

    This is what the container falls back to where no REDIS_URL is set. Limits: nothing is shared with another
    process, nor with another instance in this one; the bound counts entries, not bytes, and an entry that has expired
    counts until it is evicted or its key is used.
    """

    capabilities = CacheCapabilities(ttl_resolution=0.001, shared=False)

    def __init__(
        self,
        *,
        namespace: str = "",
        max_entries: int = MAX_ENTRIES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if max_entries < 1:
            raise ConfigurationError(f"a cache keeps at least one entry, not {max_entries}")
        self._max_entries = max_entries
        super().__init__(namespace=namespace, clock=clock)

    @classmethod
    def from_settings(cls, settings: Settings, namespace: str = "") -> Self:
        """The cache with CACHE_MAX_ENTRIES entries at most (10,000 where that is not set)."""
        return cls(namespace=namespace, max_entries=int(settings.number("CACHE_MAX_ENTRIES", MAX_ENTRIES, minimum=1)))

    def _make_space(self) -> Space:
        return Space(entries=_LeastRecentlyUsed(self._max_entries))


class _LeastRecentlyUsed(OrderedDict[str, Entry]):
    """A dictionary that forgets the key which was longest not read and not written."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def get(self, key: str, default: Entry | None = None) -> Entry | None:  # type: ignore[override]
        if key not in self:
            return default
        self.move_to_end(key)
        return self[key]

    def __setitem__(self, key: str, entry: Entry) -> None:
        super().__setitem__(key, entry)
        self.move_to_end(key)
        if len(self) > self._limit:
            self.popitem(last=False)
