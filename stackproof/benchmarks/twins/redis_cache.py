"""The caches on the protocol of Redis, against redis-py and msgpack."""

from __future__ import annotations

import os
from typing import Any, ClassVar

import msgpack
import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.retry import Retry

from stackproof.adapters.cache import redis as adapter
from stackproof.adapters.cache.dragonfly import DragonflyCache
from stackproof.adapters.cache.elasticache import ElastiCacheCache
from stackproof.adapters.cache.redis import RedisCache
from stackproof.adapters.cache.upstash import UpstashCache
from stackproof.adapters.redis_connections import IDLE_CHECK_SECONDS, read_address
from stackproof.adapters.redis_settings import redis_options
from stackproof.adapters.settings import Settings
from stackproof.benchmarks.pairs import Pair, Twins, operation
from stackproof.interfaces import MISSING

from .samples import CACHED

TTL = 300
_KEPT = ("username", "password", "db")


def raw_client(settings: Settings, *, cluster: bool = False) -> Any:
    """redis-py as a careful user makes it: bounded in time, certificates verified, nothing repeated that might do harm."""
    options = redis_options(settings, "the adapter tax")
    address = read_address(**options, cluster=cluster)
    said: dict[str, Any] = {
        "socket_connect_timeout": options["connect_timeout"],
        "socket_timeout": options["operation_timeout"],
        "socket_keepalive": True,
        "health_check_interval": IDLE_CHECK_SECONDS,
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
        **{name: value for name, value in address.options.items() if name in _KEPT},
    }
    if settings.get("REDIS_URL").startswith("rediss://"):
        said |= {"ssl": True, "ssl_cert_reqs": "required", "ssl_check_hostname": True}
        said |= {name: value for name, value in address.options.items() if name == "ssl_ca_certs"}
    if address.cluster:
        said.pop("db", None)
        return redis.RedisCluster(startup_nodes=[_node(*node) for node in address.nodes], **said)
    host, port = address.nodes[0]
    return redis.Redis(host=host, port=port, **said)


class RedisCacheTwins(Twins):
    """get, set, delete and get_or_fetch. A value in Redis is MessagePack either way."""

    backend = "cache=redis"
    driver = "redis-py"
    cache_class: ClassVar[type[RedisCache]] = RedisCache

    def open(self) -> None:
        self.cache = self.cache_class.from_settings(self.settings, self.namespace)
        self.client = raw_client(self.settings, cluster=self.cache_class.cluster)
        self.prefix = self.cache._prefix
        self.cache.set("hot", CACHED)

    def close(self) -> None:
        if hasattr(self, "cache"):
            self.cache.drop_namespace()
            self.cache.disconnect()
        if hasattr(self, "client"):
            self.client.close()

    @operation("get, found")
    def found(self) -> Pair:
        return Pair(lambda _: self.cache.get("hot"), lambda _: self._get("hot"), int)

    @operation("get, missing")
    def missing(self) -> Pair:
        return Pair(lambda _: self.cache.get("cold"), lambda _: self._get("cold"), int)

    @operation("set")
    def set(self) -> Pair:
        client, prefix = self.client, self.prefix
        return Pair(
            lambda key: self.cache.set(key, CACHED),
            lambda key: client.set(prefix + key, msgpack.packb(CACHED, strict_types=True)),
            _one_of_many,
            comparable=False,
        )

    @operation("set, ttl")
    def set_ttl(self) -> Pair:
        client, prefix = self.client, self.prefix
        return Pair(
            lambda key: self.cache.set(key, CACHED, ttl=TTL),
            lambda key: client.set(prefix + key, msgpack.packb(CACHED, strict_types=True), px=TTL * 1000),
            _one_of_many,
            comparable=False,
        )

    @operation("delete")
    def delete(self) -> Pair:
        client, prefix = self.client, self.prefix

        def raw(key: str) -> bool:
            # The script tells a value from the mark of a fetch that is under way: a DEL alone could not.
            return client.eval(adapter._DELETE, 1, f"{prefix}b{key}") not in (b"", adapter.MARK)

        def there(number: int) -> str:
            """One for each of the two."""
            key = _one_of_many(number)
            for mine in "ab":
                client.set(f"{prefix}{mine}{key}", b"\xc0")
            return key

        return Pair(lambda key: self.cache.delete(f"a{key}"), raw, there)

    @operation("get_or_fetch, found")
    def fetch_found(self) -> Pair:
        return Pair(lambda _: self.cache.get_or_fetch("hot", _source, TTL), lambda _: self._get("hot"), int)

    @operation("get_or_fetch, missing")
    def fetch_missing(self) -> Pair:
        client, prefix = self.client, self.prefix

        def raw(key: str) -> object:
            """One fetch for callers of all processes: the look, the mark, and the value in its place."""
            name = prefix + key
            packed = client.get(name)
            if packed is None:
                mark = adapter.MARK + os.urandom(16)
                found = client.eval(adapter._READ_OR_MARK, 1, name, mark, "5000")
                if found == mark:
                    packed = msgpack.packb(_source(), strict_types=True)
                    client.eval(adapter._WRITE_BACK, 1, name, mark, packed, str(TTL * 1000))
            return msgpack.unpackb(packed, raw=False, strict_map_key=False)

        return Pair(
            lambda key: self.cache.get_or_fetch(f"a{key}", _source, TTL), lambda key: raw(f"b{key}"), lambda n: f"m{n}"
        )

    @operation("ping")
    def ping(self) -> Pair:
        return Pair(lambda _: self.cache.ping(), lambda _: self.client.ping(), int)

    def _get(self, key: str) -> object:
        packed = self.client.get(self.prefix + key)
        # The mark of a fetch of another process stands for no value: who reads has to know it, whatever the client.
        if packed is None or packed[:1] == adapter.MARK:
            return MISSING
        return msgpack.unpackb(packed, raw=False, strict_map_key=False)


class ElastiCacheTwins(RedisCacheTwins):
    """Against redis-py's RedisCluster."""

    backend = "cache=elasticache"
    driver = "redis-py, RedisCluster"
    cache_class = ElastiCacheCache


class DragonflyTwins(RedisCacheTwins):
    backend = "cache=dragonfly"
    cache_class = DragonflyCache


class UpstashTwins(RedisCacheTwins):
    backend = "cache=upstash"
    cache_class = UpstashCache


def _node(host: str, port: int) -> Any:
    return ClusterNode(host, port)  # type: ignore[no-untyped-call]


def _source() -> Any:
    return CACHED


def _one_of_many(number: int) -> str:
    return f"k{number % 5_000}"
