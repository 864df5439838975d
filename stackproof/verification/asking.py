"""What an external server says about itself: version, and the settings that a certificate depends on.

The embedded servers answer through `stackproof.servers`; an external one can only be asked with its driver, over the address that
the adapters use too. Nothing is read but settings, and what the server does not tell is left out.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stackproof.adapters.settings import Settings
from stackproof.interfaces import BackendError, ConfigurationError, RejectedError, UnavailableError

if TYPE_CHECKING:
    from stackproof.adapters.redis_client import RedisClient

_SECONDS = 5

_POSTGRES_SETTINGS = ("fsync", "synchronous_commit", "full_page_writes", "wal_level")
_REDIS_SETTINGS = ("appendonly", "appendfsync", "maxmemory", "maxmemory-policy", "save")


def ask_external(variables: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Version and settings of the server that these variables name; empty where it does not tell or its driver is not there."""
    if "DATABASE_URL" in variables:
        return _ask_postgres(variables["DATABASE_URL"])
    if "REDIS_URL" in variables:
        return _ask_redis(variables["REDIS_URL"])
    if "OPENSEARCH_URL" in variables:
        return _ask_opensearch(variables)
    return "", {}


def _ask_postgres(url: str) -> tuple[str, dict[str, str]]:
    try:
        import psycopg

        from stackproof.adapters.postgres_tls import protected
    except ImportError:
        return "", {}
    try:
        address = protected(Settings({**os.environ, "DATABASE_URL": url}))
        with psycopg.connect(address, connect_timeout=_SECONDS, autocommit=True) as connection:
            rows = connection.execute(
                "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [[*_POSTGRES_SETTINGS, "server_version"]]
            ).fetchall()
    except (psycopg.Error, ConfigurationError) as error:
        return "", {"not told": type(error).__name__}
    facts = {str(setting): str(value) for setting, value in rows}
    return facts.pop("server_version", ""), facts


def _ask_opensearch(variables: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    try:
        from opensearchpy import OpenSearch, OpenSearchException

        from stackproof.adapters.search.opensearch_place import OpenSearchPlace
    except ImportError:
        return "", {}
    try:
        place = OpenSearchPlace.of(Settings({**os.environ, **variables}))
        with OpenSearch(hosts=[place.host_options()], timeout=_SECONDS) as client:
            version = client.info()["version"]
            nodes = client.cluster.health()["number_of_nodes"]
    except (OpenSearchException, ConfigurationError, LookupError) as error:
        return "", {"not told": type(error).__name__}
    # The adapter's indexes do not change it: a write is in the log on disk when it is acknowledged.
    facts = {"nodes": str(nodes), "translog.durability": "request (default of an index)"}
    return str(version["number"]), facts | {"distribution": str(version.get("distribution", "not told"))}


def _ask_redis(url: str) -> tuple[str, dict[str, str]]:
    try:
        from stackproof.adapters.redis_cluster import open_client
    except ImportError:
        return "", {}
    from stackproof.adapters.redis_settings import redis_options

    limits = {"STACKPROOF_CONNECT_TIMEOUT": str(_SECONDS), "STACKPROOF_OPERATION_TIMEOUT": str(_SECONDS)}
    settings = Settings({**os.environ, "REDIS_URL": url, **limits})
    try:
        client = open_client(**redis_options(settings, "a question to the server"))
    except ConfigurationError as error:  # the backend will say what is wrong
        return "", {"not told": type(error).__name__}
    try:
        version = _lines(client.execute("INFO", "server", repeatable=True)).get("redis_version", "")
        facts = _redis_facts(client)
    except BackendError as error:
        return "", {"not told": type(error).__name__}
    finally:
        client.close()
    if urlsplit(url).scheme == "rediss":
        facts["tls"] = "yes"
    return version, facts


def _redis_facts(client: RedisClient) -> dict[str, str]:
    facts: dict[str, str] = {}
    try:
        for setting in _REDIS_SETTINGS:  # one by one: several at once need Redis 7
            pair = client.execute("CONFIG", "GET", setting, repeatable=True)
            facts |= dict([[word.decode() for word in pair]] if pair else [])
    except (RejectedError, UnavailableError):  # managed services forbid CONFIG
        facts = {"settings": "not told (CONFIG is refused)"}
    return facts


def _lines(info: bytes) -> dict[str, str]:
    pairs = (line.partition(":") for line in info.decode().splitlines())
    return {name: value for name, colon, value in pairs if colon}
