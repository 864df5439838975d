"""The shared cache on Redis, Valkey, Dragonfly or anything else that speaks their protocol and runs Lua scripts."""

from __future__ import annotations

import contextlib
import math
import os
import random
import threading
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Final, Self, cast

import msgpack

from stackproof.adapters.redis_client import RedisClient
from stackproof.adapters.redis_cluster import open_client
from stackproof.adapters.redis_settings import redis_options
from stackproof.adapters.settings import Settings
from stackproof.interfaces import (
    MISSING,
    BackendError,
    CacheCapabilities,
    CacheStore,
    CacheValue,
    ConfigurationError,
    Missing,
    RejectedError,
)

from .flights import Flight, Interrupted
from .redis_leases import Leases
from .values import check_key, check_ttl, check_types

MARK: Final = b"\xc1"
"""First byte of the mark that stands where a value is being fetched: the one byte that MessagePack never uses."""
FIRST_PAUSE, LONGEST_PAUSE = 0.004, 0.1
"""Seconds between two looks at a key that another process fetches."""

# One key per script, so that they also work on a cluster. ARGV[1] is the caller's mark.
_DELETE = "local first = redis.call('GETRANGE', KEYS[1], 0, 0) redis.call('DEL', KEYS[1]) return first"
_READ_OR_MARK = """
local found = redis.call('GET', KEYS[1])
if not found then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return ARGV[1] end
return found"""
_WRITE_BACK = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[3] == '' then redis.call('SET', KEYS[1], ARGV[2])
elseif ARGV[3] == '0' then redis.call('DEL', KEYS[1])
else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1"""
_RENEW = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end return redis.call('PEXPIRE', KEYS[1], ARGV[2])"
_RELEASE = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end return redis.call('DEL', KEYS[1])"


class _Fetch(Flight["bytes | None"]):
    """A fetch of this process; None where another process turned out to be faster.

    Its mark is held once the server has it: from then on the server's answer decides.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mark = MARK + os.urandom(16)
        self.held = False
        self.found = b""


class RedisCache(CacheStore):
    """A cache on a Redis server, shared by all processes that use the same server and namespace.

    **Stampedes**: where a value is missing, the fetching process puts a *mark* in its place, which expires after
    ``lock_seconds`` and is renewed while the fetch runs. Other callers wait: those of the same process for the fetch, those
    of other processes by looking again with growing pauses (4 to 100 ms). If the process dies, they go on after at most
    ``lock_seconds`` plus one pause. They wait as long as the fetch runs: limit its time inside ``fetch``.

    **A newer write wins**: mark and value share one key, so that a `set` or `delete` removes the mark by itself, atomically,
    in one ordinary command; the fetched value is written only where its mark still stands.

    **Cost**: `get`, `set` and a hit in `get_or_fetch` are one round trip each and take no lock; a miss is three.

    **Limits**: the server's wall clock decides about expiry (entries live 0 to 2 ms longer than their ttl); a server that
    evicts under memory pressure, restarts without persistence or fails over to a lagging replica forgets entries, and a
    forgotten mark can cost a second fetch. A write that breaks off in the middle raises `IndeterminateError`. Values are
    MessagePack; the largest are 512 MiB, round trips are promised up to 1 MiB.

    **TLS** is what ``rediss://`` asks for. Certificate and host name are then verified, with the system's CAs or those in
    ``ca_file`` (or ``?ssl_ca_certs=``), unless the URL says ``?ssl_cert_reqs=none``.

    **A cluster** is what ``?cluster=true`` asks for: see `ElastiCacheCache`, whose guarantees are those of any Redis cluster.
    ``address_map`` (``a:1=b:2,c:3=d:4``) says where its nodes are reached, if not where they say.
    """

    capabilities = CacheCapabilities(ttl_resolution=0.002, shared=True, remote=True)

    cluster: ClassVar[bool] = False
    """Whether a URL without ``?cluster=`` names a cluster."""
    largest_packed: int = 512 * 1024 * 1024
    """Bytes of a packed value: the protocol's own limit."""
    longest_milliseconds: ClassVar[int] = 10**15
    """A ttl beyond thirty thousand years counts as that: the server's own clock arithmetic stays far from overflowing."""

    def __init__(
        self,
        *,
        url: str = "redis://127.0.0.1:6379/0",
        namespace: str = "",
        connect_timeout: float = 5.0,
        operation_timeout: float = 5.0,
        lock_seconds: float = 5.0,
        ca_file: str = "",
        address_map: str = "",
    ) -> None:
        if not 0.01 <= lock_seconds <= 3600:
            raise ConfigurationError(f"lock_seconds lies between 0.01 and 3600, not {lock_seconds}")
        if not namespace.isprintable():
            raise ConfigurationError(f"a namespace is printable text, not {namespace!a}")
        self._namespace = namespace
        self._client = open_client(
            url,
            connect_timeout=connect_timeout,
            operation_timeout=operation_timeout,
            ca_file=ca_file,
            address_map=address_map,
            cluster=self.cluster,
        )
        self._prefix = key_prefix(self._client, namespace)
        self._lock_seconds = lock_seconds
        self._start()
        _caches.add(self)

    @classmethod
    def from_settings(cls, settings: Settings, namespace: str = "") -> Self:
        """The cache on the server that REDIS_URL names."""
        return cls(namespace=namespace, **redis_options(settings, "the Redis cache"))

    def get(self, key: str) -> CacheValue | Missing:
        raw = self._client.execute("GET", self._name(key), repeatable=True)
        return _unpack(raw) if _is_value(raw) else MISSING

    def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
        name = self._name(key)
        milliseconds = self._milliseconds(ttl)
        packed = self._pack(value)
        if milliseconds == 0:
            self._client.execute("DEL", name, repeatable=False)
        elif milliseconds is None:
            self._client.execute("SET", name, packed, repeatable=False)
        else:
            self._client.execute("SET", name, packed, "PX", milliseconds, repeatable=False)

    def delete(self, key: str) -> bool:
        return self._run(_DELETE, self._name(key), repeatable=False) not in (b"", MARK)

    def get_or_fetch(self, key: str, fetch: Callable[[], CacheValue], ttl: float | None = None) -> CacheValue:
        name = self._name(key)
        milliseconds = self._milliseconds(ttl)
        while True:
            running = self._fetches.get(name)
            # Looked at before the read: a fetch that held its mark by then, and whose mark the read no longer finds,
            # was overruled by a newer set or delete. Its result is not for callers who come now.
            held = running is not None and running.held
            raw = self._client.execute("GET", name, repeatable=True)
            if _is_value(raw):
                return _unpack(raw)
            if running is None or (held and raw != running.mark):
                mine = _Fetch()
                try:
                    if self._replace(name, running, mine):
                        fetched = mine.lead(partial(self._obtain, name, mine, fetch, milliseconds))
                        return _unpack(mine.found if fetched is None else fetched)
                finally:
                    self._replace(name, mine, None)
                    mine.abandon()
                continue
            # What another process left when our leader looked may be older than a change that was over before this call:
            # so who joined looks for itself, as after an interruption of the leader.
            with contextlib.suppress(Interrupted):
                joined = running.join()
                if joined is not None:
                    return _unpack(joined)

    def ping(self) -> bool:
        return self._client.ping()

    def disconnect(self) -> None:
        for mark, name in self._leases.close():
            self._release(name, mark)
        self._client.close()

    def drop_namespace(self) -> None:
        """Remove every entry of this namespace; `ConfigurationError` where it is the empty one."""
        if not self._namespace:
            raise ConfigurationError("only the entries of a named namespace can be dropped; this cache has none")
        self._client.drop(self._prefix)

    def _start(self) -> None:
        """No fetch is under way: when it is made, and in a child process, where the parent's threads do not run."""
        self._lock = threading.Lock()
        self._fetches: dict[str, _Fetch] = {}
        self._leases = Leases(self._renew, every=self._lock_seconds / 3)

    def _obtain(
        self, name: str, mine: _Fetch, fetch: Callable[[], CacheValue], milliseconds: int | None
    ) -> bytes | None:
        """Fetch and store while our mark stands; None where another process left a value, which is `found`."""
        try:
            mine.found = self._value_or_mark(name, mine.mark)
            if mine.found != mine.mark:
                return None
            mine.held = True
            with self._leases.held(mine.mark, name):
                packed = self._pack(fetch())
                lifetime = "" if milliseconds is None else str(milliseconds)
                self._run(_WRITE_BACK, name, mine.mark, packed, lifetime, repeatable=True)
                return packed
        except BaseException:
            self._release(name, mine.mark)
            raise
        finally:
            self._replace(name, mine, None)  # before it lands: who comes after an error starts anew

    def _value_or_mark(self, name: str, mark: bytes) -> bytes:
        """Wait while another process's mark stands; then the value it left, or our mark, which stands from now on."""
        pause = FIRST_PAUSE
        while True:
            found = cast(bytes, self._run(_READ_OR_MARK, name, mark, self._lease(), repeatable=True))
            if found == mark or _is_value(found):
                return found
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads the lookers, hides no secret
            pause = min(pause * 1.5, LONGEST_PAUSE)

    def _replace(self, name: str, old: _Fetch | None, new: _Fetch | None) -> bool:
        """Put ``new`` in the place of ``old`` (None: nothing there); false where another thread was faster."""
        with self._lock:
            if self._fetches.get(name) is not old:
                return False
            if new is None:
                del self._fetches[name]
            else:
                self._fetches[name] = new
            return True

    def _renew(self, name: str, mark: bytes) -> bool:
        return bool(self._run(_RENEW, name, mark, self._lease(), repeatable=True))

    def _release(self, name: str, mark: bytes) -> None:
        # Where the server is gone or this cache was disconnected, the mark expires by itself.
        with contextlib.suppress(BackendError):
            self._run(_RELEASE, name, mark, repeatable=True)

    def _run(self, script: str, name: str, *arguments: bytes | str, repeatable: bool) -> Any:
        return self._client.execute("EVAL", script, 1, name, *arguments, repeatable=repeatable)

    def _lease(self) -> str:
        return str(math.ceil(self._lock_seconds * 1000))

    def _pack(self, value: CacheValue) -> bytes:
        check_types(value)
        try:
            packed = cast(bytes, msgpack.packb(value, strict_types=True))
        except (ValueError, TypeError, OverflowError) as error:  # lone surrogates, integers beyond 64 bits
            raise RejectedError(f"this value cannot be cached: {error}") from error
        if len(packed) > self.largest_packed:
            raise RejectedError(f"a cached value has at most {self.largest_packed} bytes; this one has {len(packed)}")
        return packed

    def _milliseconds(self, ttl: float | None) -> int | None:
        """A lifetime as the server takes it, never shorter than asked for; 0 for one that is over at once."""
        seconds = check_ttl(ttl)
        if seconds is None:
            return None
        if seconds <= 0:
            return 0
        return min(math.ceil(min(seconds, self.longest_milliseconds / 1000) * 1000), self.longest_milliseconds)

    def _name(self, key: str) -> str:
        return self._prefix + check_key(key, self.capabilities.max_key_bytes)


def key_prefix(client: RedisClient, namespace: str) -> str:
    """What the name of each key of a namespace begins with.

    The length makes it injective: no namespace with any key looks like another namespace with another key.
    """
    return f"{client.key_prefix}stackproof:cache:{len(namespace)}:{namespace}:"


def _is_value(raw: bytes | None) -> bool:
    """Whether bytes of the server are a value: not missing, and no mark."""
    return raw is not None and raw[:1] != MARK


def _unpack(raw: bytes | None) -> CacheValue:
    try:
        return cast(CacheValue, msgpack.unpackb(raw, strict_map_key=False, raw=False))
    except (ValueError, msgpack.UnpackException) as error:
        raise BackendError("the server holds bytes under this key that no cache of this kind has written") from error


_caches: weakref.WeakSet[RedisCache] = weakref.WeakSet()


def _start_again_in_child() -> None:
    for cache in list(_caches):
        cache._start()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_again_in_child)
