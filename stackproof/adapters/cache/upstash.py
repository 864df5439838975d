"""The shared cache on Upstash Redis: TLS only, with limits of the service on what one request holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

from stackproof.adapters.redis_settings import redis_options
from stackproof.adapters.settings import Settings
from stackproof.interfaces import ConfigurationError

from .redis import RedisCache

REQUEST_BYTES = 1_000_000
"""The smallest limit that the service had for its plans."""
ROOM = 8 * 1024
"""Of a request, for all that is not the value: script, key, mark, lifetime."""
HEADER = 5
"""Bytes that MessagePack puts before the largest texts."""
LONGEST_NAMESPACE = 1024


class UpstashCache(RedisCache):
    """A `RedisCache` that keeps to what Upstash allows. What follows is from its documentation, not from an account.

    **Address**: ``rediss://default:TOKEN@NAME.upstash.io:6379``. The service hangs up on a client that speaks without
    TLS (upstash.com/docs/redis/troubleshooting/econn_reset), so ``redis://`` is refused here, in a sentence.

    **Size**: a request holds 10 MB on the plans Free and Pay as you go; in an earlier version of the same page it was
    1 MB (upstash.com/docs/redis/troubleshooting/max_request_size_exceeded). So ``request_bytes``
    (``UPSTASH_MAX_REQUEST_BYTES``) is 1,000,000 unless it is set. ``capabilities.max_value_bytes`` of the instance
    follows from it; what is larger is rejected before anything is sent. Keys have at most 32 KB
    (upstash.com/docs/redis/troubleshooting/max_key_size_exceeded); the namespace is therefore limited to 1024 bytes.

    **Commands**: of those that are supported (upstash.com/docs/redis/overall/rediscompatibility, the list for protocol
    6.2), GET, SET, DEL, EVAL, SCAN, UNLINK, PING and AUTH are used, and in scripts GETRANGE and PEXPIRE. Not on that
    list are, among others, all of CLUSTER, CLIENT, CONFIG, INFO, MONITOR, OBJECT, MIGRATE and DEBUG; none is needed.
    (redis-py says CLIENT SETINFO after it connected, and takes a refusal.) A script holds a lock on the whole database
    (upstash.com/docs/redis/commands/scripting/eval): a miss and a delete are such scripts, a hit is not.

    **Quotas**: "max concurrent connections", "max requests limit" and "DB capacity quota exceeded" are
    `UnavailableError`, nothing was applied. One instance opens as many connections as threads call at the same time;
    ``?max_connections=`` limits it, and what exceeds that is `UnavailableError` at once.

    **Idle connections** that the service closed are replaced before use, and those that were idle for 15 s are asked first.
    """

    capabilities = replace(RedisCache.capabilities, max_value_bytes=REQUEST_BYTES - ROOM)

    def __init__(self, *, namespace: str = "", request_bytes: int = REQUEST_BYTES, **options: Any) -> None:
        if not str(options.get("url", "")).startswith("rediss://"):
            raise ConfigurationError("Upstash takes connections with TLS only: its URL begins with rediss://")
        if len(namespace.encode(errors="replace")) > LONGEST_NAMESPACE:
            raise ConfigurationError(f"on Upstash a namespace has at most {LONGEST_NAMESPACE} bytes")
        if request_bytes <= 2 * ROOM:
            raise ConfigurationError(f"a request of Upstash holds more than {2 * ROOM} bytes, not {request_bytes}")
        largest_value = request_bytes - ROOM
        # Declared for all instances in general, and known better by this one.
        self.capabilities = replace(type(self).capabilities, max_value_bytes=largest_value)  # type: ignore[misc]
        self.largest_packed = largest_value + HEADER
        super().__init__(namespace=namespace, **options)

    @classmethod
    def from_settings(cls, settings: Settings, namespace: str = "") -> Self:
        """The cache that REDIS_URL names, with the limit of UPSTASH_MAX_REQUEST_BYTES."""
        limit = int(settings.number("UPSTASH_MAX_REQUEST_BYTES", REQUEST_BYTES, minimum=1))
        options = redis_options(settings, "the Upstash cache", "rediss://default:TOKEN@NAME.upstash.io:6379")
        return cls(namespace=namespace, request_bytes=limit, **options)
