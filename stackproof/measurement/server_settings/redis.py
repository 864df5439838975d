"""What a Redis, a Valkey, a Dragonfly or Upstash says of itself; in a cluster, each of its masters.

Meanings follow "Redis persistence" and "Redis replication" of Redis' manual, and the comments of its ``redis.conf``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import redis

from stackproof.adapters.redis_connections import RedisAddress, ShortPool, exchange, read_address
from stackproof.adapters.redis_settings import redis_options
from stackproof.adapters.redis_topology import Topology
from stackproof.adapters.settings import Settings
from stackproof.interfaces import UnavailableError
from stackproof.targets import Target

from .records import Setting, Told, each_of, together

MEANINGS = {
    "version": "The release of the server.",
    "appendonly": "Whether each write goes into a log on disk.",
    "appendfsync": "When the log is forced to disk: always before the answer, everysec once a second, no when the system likes.",
    "save": "After how many seconds and writes a snapshot of everything is taken; empty: never.",
    "maxmemory": "How much data is kept before keys are evicted; 0: no limit.",
    "maxmemory-policy": "Which keys go when memory is full.",
    "io-threads": "Threads that read and write sockets; commands run on one.",
    "min-replicas-to-write": "With fewer replicas than this, writes are refused; replicas still get them after the answer.",
    "masters": "How many nodes share the keys.",
    "replicas": "Replicas of the master that has fewest; each gets a write after it was acknowledged.",
}
_CONFIGURED = (
    "appendonly",
    "appendfsync",
    "save",
    "maxmemory",
    "maxmemory-policy",
    "io-threads",
    "min-replicas-to-write",
)
_BRANDS = {
    "upstash_version": "upstash",
    "dragonfly_version": "dragonfly",
    "valkey_version": "valkey",
    "redis_version": "redis",
}
"""Line of INFO -> what it is. The others also tell a version of Redis, the one that they behave like."""
ELASTICACHE_SERVERLESS = "elasticache-serverless"
_OF_SERVERLESS = re.compile(r"\.serverless\.[a-z0-9-]+\.cache\.amazonaws\.com(\.cn)?$")
"""How ElastiCache names a cache that is serverless; a node of it is a Redis or a Valkey, and says which."""
_REFUSED = "CONFIG is refused, as managed services do"


def ask(settings: Settings, targets: Sequence[Target], _namespace: str | None) -> Told:
    """`UnavailableError` or `ConfigurationError` where nobody answers."""
    address = _address(settings, targets)
    try:
        with _pools(address, settings.operation_timeout) as pools:
            infos = [_lines(exchange(pool, ("INFO", "server"))) for pool in pools]
            replicas = [
                int(_lines(exchange(pool, ("INFO", "replication"))).get("connected_slaves", 0)) for pool in pools
            ]
            told = [_configured(pool) for pool in pools]
    except redis.RedisError as error:
        raise UnavailableError(f"Redis did not tell ({type(error).__name__})") from error
    line, brand = brand_of(infos[0], [host for host, _ in address.nodes])
    values = {
        name: together([answers[name] for answers in told]) for name in _CONFIGURED if all(name in a for a in told)
    }
    values |= {"masters": str(len(infos)), "replicas": str(min(replicas))}
    if line:
        values["version"] = together([info.get(line, "?") for info in infos])
    refused = dict.fromkeys(_CONFIGURED, _REFUSED) if not any(told) else {}
    return Told(brand, each_of(len(infos), "master") if address.cluster else "", values, refused)


def brand_of(info: Container[str], hosts: Sequence[str] = ()) -> tuple[str, str]:
    """The line of INFO that tells the release, and what it is a release of; empty where there is none.

    ElastiCache Serverless passes for the engine that it is compatible with, and is told by its address.
    """
    line, brand = next(((line, brand) for line, brand in _BRANDS.items() if line in info), ("", ""))
    serverless = hosts and all(_OF_SERVERLESS.search(host.lower()) for host in hosts)
    return line, ELASTICACHE_SERVERLESS if brand and serverless else brand


def client(settings: Settings, targets: Sequence[Target]) -> tuple[Setting, ...]:
    """How the adapters connect."""
    address = _address(settings, targets)
    pool = "no limit" if address.max_connections >= 2**31 else str(address.max_connections)
    return (
        Setting("connect timeout", f"{settings.connect_timeout:g} s", "How long making a connection may take."),
        Setting("operation timeout", f"{settings.operation_timeout:g} s", "How long an answer may take."),
        Setting(
            "connections",
            pool,
            "How many connections each adapter opens to a node at most; one for each caller at a time.",
        ),
        Setting("protocol", "cluster" if address.cluster else "one server", "Whether keys are spread over masters."),
        Setting("TLS", _tls(address.options), "Whether the connection is encrypted."),
        Setting("repetition", "reads only, once", "What is sent again when a connection breaks under it."),
        Setting("WAIT", "not used", "A write is acknowledged by its master alone, not by any replica."),
    )


def _tls(options: Mapping[str, Any]) -> str:
    """How the connection is protected, by what `adapters.redis_connections` has made of the URL; it defaults to all of it."""
    required = options.get("ssl_cert_reqs")
    if required is None:
        return "no"
    if required == "none":
        return "yes, not verified"
    return "yes, verified" if options.get("ssl_check_hostname") else "yes, verified, but for any host"


def _address(settings: Settings, targets: Sequence[Target]) -> RedisAddress:
    in_cluster_mode = any(target.server == "redis-cluster" for target in targets)
    return read_address(**redis_options(settings, "a question to the server"), cluster=in_cluster_mode)


@contextmanager
def _pools(address: RedisAddress, seconds: float) -> Iterator[list[ShortPool]]:
    """Connections to each master, closed at the end."""
    topology = Topology(address)
    pools: list[ShortPool] = []
    try:
        masters = topology.masters(time.monotonic() + seconds) if address.cluster else []
        pools = [topology.pool(node) for node in masters] if address.cluster else [address.pool()]
        yield pools
    finally:
        for pool in pools:
            pool.disconnect()


def _configured(pool: ShortPool) -> dict[str, str]:
    """One by one, since several names at once need Redis 7; what a server does not have is left out."""
    found: dict[str, str] = {}
    for name in _CONFIGURED:
        try:
            pair = exchange(pool, ("CONFIG", "GET", name))
        except redis.ResponseError:
            continue
        words = [word.decode(errors="replace") for word in pair] if isinstance(pair, list) else []
        found |= dict(zip(words[::2], words[1::2], strict=False))
    return found


def _lines(info: bytes) -> dict[str, str]:
    pairs = (line.partition(":") for line in info.decode(errors="replace").splitlines())
    return {name: value.strip() for name, colon, value in pairs if colon}
