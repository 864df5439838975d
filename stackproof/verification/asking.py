"""What an external server says about itself: version, and the settings that a certificate depends on.

The embedded servers answer through `stackproof.servers`; an external one can only be asked with its driver, over the address that
the adapters use too. Nothing is read but settings, and what the server does not tell is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

_SECONDS = 5

_POSTGRES_SETTINGS = ("fsync", "synchronous_commit", "full_page_writes", "wal_level")
_REDIS_SETTINGS = ("appendonly", "appendfsync", "maxmemory", "maxmemory-policy", "save")


def ask_external(variables: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Version and settings of the server that these variables name; empty where it does not tell or its driver is not there."""
    if "DATABASE_URL" in variables:
        return _ask_postgres(variables["DATABASE_URL"])
    if "REDIS_URL" in variables:
        return _ask_redis(variables["REDIS_URL"])
    return "", {}


def _ask_postgres(url: str) -> tuple[str, dict[str, str]]:
    try:
        import psycopg
    except ImportError:
        return "", {}
    try:
        with psycopg.connect(url, connect_timeout=_SECONDS, autocommit=True) as connection:
            rows = connection.execute(
                "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [[*_POSTGRES_SETTINGS, "server_version"]]
            ).fetchall()
    except psycopg.Error as error:
        return "", {"not told": type(error).__name__}
    facts = {str(setting): str(value) for setting, value in rows}
    return facts.pop("server_version", ""), facts


def _ask_redis(url: str) -> tuple[str, dict[str, str]]:
    try:
        import redis
    except ImportError:
        return "", {}
    make: Callable[..., redis.Redis] = redis.Redis.from_url
    client = make(url, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS)
    facts: dict[str, str] = {}
    try:
        version = str(client.info("server").get("redis_version", ""))
        try:
            for setting in _REDIS_SETTINGS:  # one by one: several at once need Redis 7
                facts |= {str(key): str(value) for key, value in client.config_get(setting).items()}
        except redis.ResponseError as error:  # managed services forbid CONFIG
            facts = {"settings": f"not told ({str(error).split()[0]})"}
    except redis.RedisError as error:
        return "", {"not told": type(error).__name__}
    finally:
        client.close()
    if urlsplit(url).scheme == "rediss":
        facts["tls"] = "yes"
    return version, facts
