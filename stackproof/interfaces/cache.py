"""The cache: values by key, with a lifetime, and one fetch for many callers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from enum import Enum
from typing import ClassVar, Final, Literal, TypeAlias

from .capabilities import CacheCapabilities
from .lifecycle import Backend


class _Missing(Enum):
    MISSING = "MISSING"

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> Literal[False]:
        return False


MISSING: Final = _Missing.MISSING
"""What `CacheStore.get` returns where there is no entry. It is not None: None is a value that can be stored."""
Missing: TypeAlias = Literal[_Missing.MISSING]

CacheValue: TypeAlias = "None | bool | int | float | str | bytes | list[CacheValue] | dict[str, CacheValue]"
"""What can be cached. Integers fit 64 bits. Anything else is either kept equal or rejected, never altered."""


class CacheStore(Backend):
    """Values by key, each with a lifetime.

    **Keys** are any non-empty text: case, white space, separators, control characters and NUL are significant, and two
    different keys never share an entry. A key beyond ``capabilities.max_key_bytes``, an empty one, or one that has no
    UTF-8 form (lone surrogates) raises `RejectedError` before anything is sent.

    **Values** come back equal and of the same type, and are never shared with the caller: changing an object
    after `set` or after `get` changes nothing in the cache. A value that cannot be kept raises `RejectedError`.

    **ttl** is in seconds, fractions included. ``None`` means no expiry; zero or less means that the entry is gone
    at once (an existing one is removed). `set` always decides the lifetime anew: it never keeps an old ttl.
    An entry is returned for at least its ttl and never later than one ``ttl_resolution`` after it.
    A ttl of a century is valid; NaN and infinity raise `RejectedError`.

    **Concurrent** operations on one key take effect one after the other, each at an instant between its call and its return.

    **Isolation**: instances of different namespaces never see each other's entries.
    """

    capabilities: ClassVar[CacheCapabilities]

    @abstractmethod
    def get(self, key: str) -> CacheValue | Missing:
        """The value of ``key``, or `MISSING`."""

    @abstractmethod
    def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
        """Store ``value`` under ``key`` for ``ttl`` seconds, replacing value and lifetime of what was there."""

    @abstractmethod
    def delete(self, key: str) -> bool:
        """Remove ``key``; whether there was a live entry."""

    @abstractmethod
    def get_or_fetch(self, key: str, fetch: Callable[[], CacheValue], ttl: float | None = None) -> CacheValue:
        """The value of ``key``; where there is none, ``fetch()`` is called once and its result stored for ``ttl`` seconds.

        Callers that ask for the same key while one of them fetches wait for that one: N concurrent callers cause one
        ``fetch``. If it raises, nothing is stored, the caller that ran it gets its exception, and each waiter
        gets that exception too or tries itself; nobody gets None instead, and nobody waits for ever. The key is free again
        when the fetcher failed, was interrupted, or died.

        A `set` or `delete` of the key that completes while ``fetch`` runs wins: the fetched value is returned to its
        callers but not stored over it.
        """
