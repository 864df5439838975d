"""Caches with one defect each: how keys and namespaces are mapped, and what instances share."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any, ClassVar

from stackproof.adapters.cache.memory import MemoryCache, Space
from stackproof.interfaces import CacheCapabilities, CacheValue, Missing

from . import mutant


class _OtherKeys(MemoryCache):
    """A base for caches that map a key to another one."""

    def _map(self, key: str) -> str:
        return key

    def get(self, key: str) -> CacheValue | Missing:
        self._check(key)
        return super().get(self._map(key))

    def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
        self._check(key)
        super().set(self._map(key), value, ttl)

    def delete(self, key: str) -> bool:
        self._check(key)
        return super().delete(self._map(key))

    def get_or_fetch(self, key: str, fetch: Callable[[], CacheValue], ttl: float | None = None) -> CacheValue:
        self._check(key)
        return super().get_or_fetch(self._map(key), fetch, ttl)


@mutant(of=MemoryCache, killed_by="CACHE-09", imitates="C38")
class KeysAreCut(_OtherKeys):
    """Keys are cut at 250 characters."""

    def _map(self, key: str) -> str:
        return key[:250]


@mutant(of=MemoryCache, killed_by="CACHE-09")
class KeysAreLowerCase(_OtherKeys):
    """Keys are compared without case."""

    def _map(self, key: str) -> str:
        return key.lower()


@mutant(of=MemoryCache, killed_by="CACHE-09", imitates="C37")
class KeysAreStripped(_OtherKeys):
    """White space around a key is lost."""

    def _map(self, key: str) -> str:
        return key.strip() or "blank"


@mutant(of=MemoryCache, killed_by="CACHE-09")
class KeysAreNormalised(_OtherKeys):
    """Keys are brought into Unicode's composed form."""

    def _map(self, key: str) -> str:
        return unicodedata.normalize("NFC", key)


@mutant(of=MemoryCache, killed_by="CACHE-09")
class KeysEndAtNul(_OtherKeys):
    """A key ends at its first NUL."""

    def _map(self, key: str) -> str:
        return key.partition("\0")[0] or "empty"


@mutant(of=MemoryCache, killed_by="CACHE-09", imitates="C36")
class KeysAreEscapedCarelessly(_OtherKeys):
    """Colons are escaped, but the character that escapes them is not."""

    def _map(self, key: str) -> str:
        return key.replace(":", "%3A")


class _OtherLimits(MemoryCache):
    """A base for caches that take other keys than they declare."""

    def _takes(self, key: str) -> bool:
        return True

    def _check(self, key: str) -> None:
        super()._check("checked by the mutant" if self._takes(key) else key)


@mutant(of=MemoryCache, killed_by="CACHE-19", imitates="C38")
class LongKeysAreTaken(_OtherLimits):
    """A key longer than the declared limit is taken."""

    def _takes(self, key: str) -> bool:
        return len(key) > 500


@mutant(of=MemoryCache, killed_by="CACHE-19")
class LimitCountsCharacters(_OtherLimits):
    """The limit of a key is counted in characters."""

    def _takes(self, key: str) -> bool:
        return 500 < len(key) <= self.capabilities.max_key_bytes


@mutant(of=MemoryCache, killed_by="CACHE-19")
class EmptyKeysAreTaken(_OtherLimits):
    """The empty key is taken for a key."""

    def _takes(self, key: str) -> bool:
        return not key


@mutant(of=MemoryCache, killed_by="CACHE-19")
class SurrogatesAreTaken(_OtherLimits):
    """A key without a UTF-8 form is taken."""

    def _takes(self, key: str) -> bool:
        return any("\ud800" <= c <= "\udfff" for c in key)


@mutant(of=MemoryCache, killed_by="CACHE-19", imitates="C38")
class TheLongestKeyIsRefused(MemoryCache):
    """A key of exactly the declared limit is refused."""

    def _check(self, key: str) -> None:
        super()._check(key + "x" if len(key.encode(errors="replace")) == self.capabilities.max_key_bytes else key)


@mutant(of=MemoryCache, killed_by="CACHE-16", imitates="C39")
class NamespaceIsJoinedToTheKey(_OtherKeys):
    """Namespace and key are joined by an underscore, which both may contain."""

    def __init__(self, *, namespace: str = "", **options: Any) -> None:
        super().__init__(namespace="one space for all", **options)
        self._name = namespace

    _join = "_"

    def _map(self, key: str) -> str:
        return f"{self._name}{self._join}{key}"

    def _check(self, key: str) -> None:
        super()._check(key.removeprefix(f"{self._name}{self._join}"))


@mutant(of=MemoryCache, killed_by="CACHE-16", imitates="C39")
class NamespaceIsJoinedByAColon(NamespaceIsJoinedToTheKey):
    """Namespace and key are joined by a colon, which both may contain."""

    _join = ":"


@mutant(of=MemoryCache, killed_by="CACHE-16", imitates="C40")
class NamespaceIsOnlyAPrefix(_OtherKeys):
    """Namespace and key are written one after the other."""

    def __init__(self, *, namespace: str = "", **options: Any) -> None:
        super().__init__(namespace="another space for all", **options)
        self._name = namespace

    def _map(self, key: str) -> str:
        return self._name + key

    def _check(self, key: str) -> None:
        super()._check(key.removeprefix(self._name) or key)


@mutant(of=MemoryCache, killed_by="CACHE-16", imitates="C39")
class NamespaceIsIgnored(MemoryCache):
    """All namespaces are one."""

    def __init__(self, *, namespace: str = "", **options: Any) -> None:
        super().__init__(namespace="the same for all", **options)


@mutant(of=MemoryCache, killed_by="CACHE-17", imitates="C42")
class SharedInNameOnly(MemoryCache):
    """Each instance has entries of its own, although `shared` is declared."""

    def _make_space(self) -> Space:
        return Space()


@mutant(of=MemoryCache, killed_by="CACHE-17")
class NearCacheGrowsStale(MemoryCache):
    """An instance keeps what it has read, and does not hear of other instances' writes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._near: dict[str, CacheValue | Missing] = {}

    def get(self, key: str) -> CacheValue | Missing:
        if key not in self._near:
            self._near[key] = super().get(key)
        return self._near[key]

    def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
        self._near.pop(key, None)
        super().set(key, value, ttl)

    def delete(self, key: str) -> bool:
        self._near.pop(key, None)
        return super().delete(key)


@mutant(of=MemoryCache, killed_by="CACHE-17")
class SharedButUndeclared(MemoryCache):
    """Instances share their entries, and nobody says so."""

    capabilities: ClassVar[CacheCapabilities] = CacheCapabilities(shared=False)


@mutant(of=MemoryCache, killed_by="CACHE-18")
class SharedFetchesButUndeclared(MemoryCache):
    """Instances share their fetches, and nobody says so."""

    capabilities: ClassVar[CacheCapabilities] = CacheCapabilities(shared=False)
