"""The in-memory cache: the executable specification of `CacheStore`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from functools import partial

from stackproof.adapters.spaces import Spaces
from stackproof.interfaces import (
    MISSING,
    CacheCapabilities,
    CacheStore,
    CacheValue,
    ClosedError,
    ConfigurationError,
    Missing,
)

from .flights import Flight, Interrupted
from .values import check_key, check_ttl, copy_value


@dataclass(frozen=True, slots=True)
class Entry:
    """A value that nobody outside the cache holds, and the instant of the clock at which it expires (None: never)."""

    value: CacheValue
    expires: float | None


@dataclass(slots=True, weakref_slot=True)
class Space:
    """What the instances of one namespace share."""

    entries: MutableMapping[str, Entry] = field(default_factory=dict)
    flights: dict[str, Flight[CacheValue]] = field(default_factory=dict)
    """Fetches under way whose result is still wanted: `set` and `delete` take theirs out."""
    lock: threading.Lock = field(default_factory=threading.Lock)


_spaces = Spaces(Space)


class MemoryCache(CacheStore):
    """A cache in this process: exact, unbounded, and small enough to be read as the definition of what a cache does.

    Instances with the same non-empty namespace share their entries and their fetches; an empty namespace is private. The
    entries go with the last instance. An expired entry is never returned, but its memory is given back only when its
    key is used again: `stackproof.adapters.cache.local.LocalCache` is the bounded one for applications.
    """

    capabilities = CacheCapabilities(ttl_resolution=0.001, shared=True)

    def __init__(self, *, namespace: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._namespace = namespace
        self._clock = clock
        self._space = self._make_space()
        self._closed = False

    def get(self, key: str) -> CacheValue | Missing:
        self._check(key)
        with self._space.lock:
            entry = self._live(key)
        return MISSING if entry is None else copy_value(entry.value)

    def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
        self._check(key)
        entry = self._entry(value, ttl)
        with self._space.lock:
            self._space.flights.pop(key, None)
            self._put(key, entry)

    def delete(self, key: str) -> bool:
        self._check(key)
        with self._space.lock:
            self._space.flights.pop(key, None)
            existed = self._live(key) is not None
            self._space.entries.pop(key, None)
        return existed

    def get_or_fetch(self, key: str, fetch: Callable[[], CacheValue], ttl: float | None = None) -> CacheValue:
        self._check(key)
        check_ttl(ttl)
        while True:
            mine: Flight[CacheValue] = Flight()
            try:
                with self._space.lock:
                    entry = self._live(key)
                    if entry is not None:
                        return copy_value(entry.value)
                    flight = self._space.flights.get(key, mine)
                    if flight is mine or flight.orphaned:
                        flight = self._space.flights[key] = mine
                if flight is mine:
                    return copy_value(mine.lead(partial(self._fetch, key, mine, fetch, ttl)))
            finally:
                self._free(key, mine)
                mine.abandon()
            try:
                return copy_value(flight.join())
            except Interrupted:
                continue

    def ping(self) -> bool:
        return not self._closed

    def disconnect(self) -> None:
        self._closed = True

    def drop_namespace(self) -> None:
        """Remove every entry of this namespace; `ConfigurationError` where it is the empty one."""
        if not self._namespace:
            raise ConfigurationError("only the entries of a named namespace can be dropped; this cache has none")
        with self._space.lock:
            self._space.entries.clear()
            self._space.flights.clear()

    def _fetch(
        self, key: str, flight: Flight[CacheValue], fetch: Callable[[], CacheValue], ttl: float | None
    ) -> CacheValue:
        """Fetch, and store the result unless a `set` or `delete` came first. Then the key is free, in any case."""
        try:
            entry = self._entry(fetch(), ttl)
            with self._space.lock:
                if self._space.flights.get(key) is flight:
                    self._put(key, entry)
            return entry.value
        finally:
            self._free(key, flight)  # before the flight lands: who comes after an error starts anew

    def _free(self, key: str, flight: Flight[CacheValue]) -> None:
        with self._space.lock:
            if self._space.flights.get(key) is flight:
                del self._space.flights[key]

    def _entry(self, value: CacheValue, ttl: float | None) -> Entry:
        seconds = check_ttl(ttl)
        return Entry(copy_value(value), None if seconds is None else self._clock() + seconds)

    def _put(self, key: str, entry: Entry) -> None:
        self._space.entries[key] = entry
        self._live(key)

    def _live(self, key: str) -> Entry | None:
        """The entry of a key; an expired one is removed."""
        entry = self._space.entries.get(key)
        if entry is not None and entry.expires is not None and entry.expires <= self._clock():
            del self._space.entries[key]
            return None
        return entry

    def _check(self, key: str) -> None:
        if self._closed:
            raise ClosedError("this cache was disconnected")
        check_key(key, self.capabilities.max_key_bytes)

    def _make_space(self) -> Space:
        return _spaces.of(self._namespace)
