"""A cache that is broken on purpose, to see what stackproof says about it:

    stackproof verify --backend cache=examples.broken_cache:make_broken

Its one defect is a real one (jazzband/django-redis PR 188 and others): a ttl is cut to whole seconds, and where
nothing is left, "no seconds" is taken for "no expiry". So a value that should live 0.4 s lives for ever.
"""

from __future__ import annotations

from stackproof.adapters.cache.memory import MemoryCache
from stackproof.interfaces import CacheValue


class WholeSecondsCache(MemoryCache):
    """The in-memory cache, with the ttl that some clients make of a fraction."""

    def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
        if ttl is not None and 0 < ttl < 1e9:
            ttl = int(ttl) or None
        super().set(key, value, ttl)


def make_broken(namespace: str) -> WholeSecondsCache:
    """What ``--backend`` names: called with a namespace, it returns a new instance."""
    return WholeSecondsCache(namespace=namespace)
