"""The in-process cache, against cachetools behind a lock."""

from __future__ import annotations

import copy
import threading
import time
from typing import Any

import cachetools

from stackproof.adapters.cache.local import MAX_ENTRIES, LocalCache
from stackproof.benchmarks.pairs import Pair, Twins, operation
from stackproof.interfaces import MISSING

from .samples import CACHED

TTL = 300
TEXT = "a text, which nobody has to copy"


class LocalCacheTwins(Twins):
    """Least recently used, a ttl for each entry, safe in threads, and nobody shares what is cached: cachetools and deepcopy."""

    backend = "cache=local"
    driver = "cachetools"

    def open(self) -> None:
        self.cache = LocalCache(namespace=self.namespace)
        self.raw: Any = cachetools.TLRUCache(MAX_ENTRIES, lambda _key, entry, now: now + entry[1], timer=time.monotonic)
        self.lock = threading.Lock()
        self.cache.set("hot", CACHED)
        self._set("hot", CACHED, float("inf"))
        self.cache.set("text", TEXT)
        self._set("text", TEXT, float("inf"))

    def close(self) -> None:
        if hasattr(self, "cache"):
            self.cache.disconnect()

    @operation("get, found")
    def found(self) -> Pair:
        return Pair(lambda _: self.cache.get("hot"), lambda _: self._get("hot"), int)

    @operation("get, a text")
    def found_text(self) -> Pair:
        return Pair(lambda _: self.cache.get("text"), lambda _: self._get("text"), int)

    @operation("get, missing")
    def missing(self) -> Pair:
        return Pair(lambda _: self.cache.get("cold"), lambda _: self._get("cold"), int)

    @operation("set")
    def set(self) -> Pair:
        return Pair(
            lambda key: self.cache.set(key, CACHED), lambda key: self._set(key, CACHED, float("inf")), _one_of_many
        )

    @operation("set, ttl")
    def set_ttl(self) -> Pair:
        return Pair(
            lambda key: self.cache.set(key, CACHED, ttl=TTL), lambda key: self._set(key, CACHED, TTL), _one_of_many
        )

    @operation("set, a text")
    def set_text(self) -> Pair:
        return Pair(lambda key: self.cache.set(key, TEXT), lambda key: self._set(key, TEXT, float("inf")), _one_of_many)

    @operation("delete")
    def delete(self) -> Pair:
        def raw(key: str) -> bool:
            with self.lock:
                return self.raw.pop(key, None) is not None

        return Pair(self.cache.delete, raw, _one_of_many, comparable=False)

    @operation("get_or_fetch, found")
    def fetch_found(self) -> Pair:
        return Pair(lambda _: self.cache.get_or_fetch("hot", lambda: CACHED, TTL), lambda _: self._get("hot"), int)

    def _get(self, key: str) -> object:
        with self.lock:
            entry = self.raw.get(key)
        return MISSING if entry is None else copy.deepcopy(entry[0])

    def _set(self, key: str, value: Any, ttl: float) -> None:
        entry = (copy.deepcopy(value), ttl)
        with self.lock:
            self.raw[key] = entry


def _one_of_many(number: int) -> str:
    return f"k{number % 5_000}"
