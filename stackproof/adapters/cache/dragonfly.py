"""The shared cache on Dragonfly: the protocol of Redis, with other limits and another clock for long lifetimes."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from .redis import RedisCache

WHOLE_SECONDS_FROM = 2**25
"""Milliseconds. Lifetimes from here on are kept in whole seconds, rounded to the nearest, by one version or another."""


class DragonflyCache(RedisCache):
    """A `RedisCache` that asks nothing of Dragonfly that it lacks. What follows is from its documentation and source.

    **Lifetimes**: milliseconds where they are short. Long ones are rounded to whole seconds, beyond 49 days in the
    newest versions and from hours on in the first (github.com/dragonflydb/dragonfly/pull/5797,
    src/core/expire_period.h). An entry must not live shorter than asked for, so lifetimes from nine hours on are
    rounded up here; ``ttl_resolution`` is therefore one second. The longest lifetime was 2^28 seconds, and is 2^32 now
    (dragonflydb.io/docs/managing-dragonfly/known-limitations, both versions): more than 8.5 years count as that.

    **Scripts** may touch declared keys only ("script tried accessing undeclared key", unless ``--default_lua_flags``
    says otherwise; dragonflydb.io/docs/managing-dragonfly/scripting). Those here have one key each, which is declared.

    **Sizes**: an argument, and so a value, has at most 256 MB (known-limitations).

    **Memory**: without ``--maxmemory`` it takes its share of what the machine has, and without ``--cache_mode`` it
    refuses writes when that is full (dragonflydb.io/docs/managing-dragonfly/flags): `UnavailableError`, nothing was
    applied. For a cache that rather forgets, start it with ``--cache_mode=true``.

    **No cluster** unless it is started with ``--cluster_mode=emulated`` (one node that answers like a cluster) or
    ``yes``; it is taken for one server unless the URL says ``?cluster=true``. Patterns of SCAN are used without
    escapes. It was never run here: what stands for it in tests is Valkey.
    """

    capabilities = replace(RedisCache.capabilities, ttl_resolution=1.0)
    largest_packed = 256 * 1000 * 1000
    longest_milliseconds: ClassVar[int] = (2**28 - 1) * 1000

    def _milliseconds(self, ttl: float | None) -> int | None:
        milliseconds = super()._milliseconds(ttl)
        if milliseconds is None or milliseconds < WHOLE_SECONDS_FROM:
            return milliseconds
        return -(-milliseconds // 1000) * 1000
