"""How the built-in backends are looked at around their adapters: one question, asked of the server itself."""

from __future__ import annotations

from typing import Any

from stackproof.adapters.settings import Settings
from stackproof.contracts.around import Around


def around(concern: str, server: str, settings: Settings, namespace: str, name: str = "") -> Around | None:
    """A look at what this server keeps for a namespace of a concern; None where nothing lasts that could be looked at.

    ``name`` is that of the backend, where several use one server under different variables.
    """
    if server == "cassandra" and concern == "interactions":
        prefix = "KEYSPACES" if name == "keyspaces" else "SCYLLA"
        return _InCassandra(settings, prefix, namespace) if _is_plain(settings, prefix) else None
    if server == "postgres" and concern in _TABLES:
        return _InPostgres(settings, concern, namespace)
    if server == "opensearch" and concern == "search":
        return _InOpenSearch(settings, namespace)
    if concern == "cache" and server in REDIS_KINDS:
        return _InRedis(settings, namespace, cluster=server == "redis-cluster")
    return None


REDIS_KINDS = ("redis", "redis-tls", "redis-cluster", "valkey")
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
        from psycopg.errors import UndefinedTable

        try:
            row = self._connection.execute(self._query, [name]).fetchone()
        except UndefinedTable:  # the adapter makes it with the first write that it does not refuse itself
            return 0
        return int(row[0]) if row is not None else 0

    def close(self) -> None:
        self._connection.close()


class _InOpenSearch:
    """Counts the documents of a tenant, as they are stored: also those that no search would show yet."""

    def __init__(self, settings: Settings, namespace: str) -> None:
        from opensearchpy import OpenSearch

        from stackproof.adapters.search.opensearch_mapping import alias_of
        from stackproof.adapters.search.opensearch_place import OpenSearchPlace

        self._alias = alias_of(namespace)
        self._client: Any = OpenSearch(hosts=[OpenSearchPlace.of(settings).host_options()], timeout=5)

    def kept(self, name: str) -> int:
        from opensearchpy import NotFoundError

        try:
            self._client.indices.refresh(index=self._alias)
            return int(self._client.count(index=self._alias, body={"query": {"term": {"tenant": name}}})["count"])
        except NotFoundError:  # the adapter makes the index with the first document
            return 0

    def close(self) -> None:
        self._client.close()


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


def _is_plain(settings: Settings, prefix: str) -> bool:
    """Whether it can be looked at without a password or TLS, so that none of the adapter's code is needed."""
    names = ("USERNAME", "CA_FILE", "TLS") if prefix == "SCYLLA" else ()
    return not any(settings.get(f"{prefix}_{name}") for name in names) and (
        prefix == "SCYLLA" or settings.get("KEYSPACES_AUTH").lower() == "none"
    )


class _InCassandra:
    """Counts the claims of a tenant."""

    def __init__(self, settings: Settings, prefix: str, namespace: str) -> None:
        from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
        from cassandra.connection import DefaultEndPoint
        from cassandra.policies import RoundRobinPolicy

        given = settings.get("SCYLLA_CONTACT_POINTS" if prefix == "SCYLLA" else "KEYSPACES_ENDPOINT").split(",")[0]
        host, _, port = given.rpartition(":")
        profile = ExecutionProfile(load_balancing_policy=RoundRobinPolicy(), request_timeout=15)
        self._cluster: Any = Cluster(
            [DefaultEndPoint(host, int(port))],
            port=int(port),
            protocol_version=4,
            execution_profiles={EXEC_PROFILE_DEFAULT: profile},
            schema_metadata_enabled=False,
            token_metadata_enabled=False,
        )
        self._session: Any = self._cluster.connect()
        keyspace = settings.get(f"{prefix}_KEYSPACE", "stackproof")
        self._namespace = namespace
        self._query = (
            f"SELECT count(*) FROM {keyspace}.named_interactions WHERE namespace = %s AND tenant = %s ALLOW FILTERING"  # noqa: S608
        )

    def kept(self, name: str) -> int:
        from cassandra import InvalidRequest

        try:
            return int(self._session.execute(self._query, [self._namespace, name]).one()[0])
        except InvalidRequest as error:
            if "unconfigured table" in str(error) or "does not exist" in str(error):
                return 0  # the adapter makes it when it first connects
            raise

    def close(self) -> None:
        self._cluster.shutdown()
