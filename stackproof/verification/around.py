"""How the built-in backends are looked at around their adapters: one question, asked of the server itself."""

from __future__ import annotations

from stackproof.adapters.settings import Settings
from stackproof.contracts.around import Around

from .faulty import VARIABLES


def around(concern: str, server: str, settings: Settings, namespace: str) -> Around | None:
    """A look at what this server keeps for a namespace of a concern; None where nothing lasts that could be looked at."""
    if server == "postgres" and concern in _TABLES:
        return _InPostgres(settings, concern, namespace)
    if concern == "cache" and VARIABLES.get(server) == "REDIS_URL":
        return _InRedis(settings, namespace, cluster=server == "redis-cluster")
    return None


_TABLES = {"interactions": "interactions", "search": "documents"}


class _InPostgres:
    """Counts the rows of a tenant."""

    def __init__(self, settings: Settings, concern: str, namespace: str) -> None:
        import psycopg
        from psycopg import sql

        from stackproof.adapters.postgres_schema import schema_name
        from stackproof.adapters.postgres_tls import protected

        table = sql.Identifier(schema_name(concern, namespace), _TABLES[concern])
        self._query = sql.SQL("SELECT count(*) FROM {} WHERE tenant = %s").format(table)
        self._connection = psycopg.connect(protected(settings), autocommit=True, connect_timeout=5)

    def kept(self, name: str) -> int:
        row = self._connection.execute(self._query, [name]).fetchone()
        return int(row[0]) if row is not None else 0

    def close(self) -> None:
        self._connection.close()


class _InRedis:
    """Asks whether a key exists."""

    def __init__(self, settings: Settings, namespace: str, *, cluster: bool) -> None:
        from stackproof.adapters.cache.redis import key_prefix
        from stackproof.adapters.redis_cluster import open_client
        from stackproof.adapters.redis_settings import redis_options

        self._client = open_client(**redis_options(settings, "a look at the cache"), cluster=cluster)
        self._prefix = key_prefix(self._client, namespace)

    def kept(self, name: str) -> int:
        return int(self._client.execute("EXISTS", self._prefix + name, repeatable=True))

    def close(self) -> None:
        self._client.close()
