"""The ways to PostgreSQL and Redis. Certificates name the host of the URL: it stays, and something beside it says where to go."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from stackproof.adapters.settings import Settings
from stackproof.servers.proxy import FaultProxy

from .proxied import ProxiedFaults, no_place_for_a_proxy


class PostgresWay:
    """libpq goes where ``hostaddr`` says, and checks the certificate of ``host``."""

    def through(self, settings: Settings) -> tuple[ProxiedFaults, dict[str, str]]:
        parts = urlsplit(settings.get("DATABASE_URL"))
        if parts.scheme not in ("postgresql", "postgres") or not parts.hostname:
            raise no_place_for_a_proxy("DATABASE_URL")
        proxy = FaultProxy(parts.hostname, parts.port or 5432)
        user, at, _ = parts.netloc.rpartition("@")
        query = "&".join(filter(None, [parts.query, "hostaddr=127.0.0.1"]))
        netloc = f"{user}{at}{parts.hostname}:{proxy.port}"
        return ProxiedFaults(proxy), {"DATABASE_URL": urlunsplit(parts._replace(netloc=netloc, query=query))}

    def nowhere(self) -> dict[str, str]:
        return {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}


@dataclass(frozen=True, slots=True)
class RedisWay:
    """A proxy for each node; the adapters' map of addresses leads to them."""

    closed: str = "redis://127.0.0.1:1/0"
    """The URL of a server of this kind that is not there."""
    cluster: bool = False

    def through(self, settings: Settings) -> tuple[ProxiedFaults, dict[str, str]]:
        from stackproof.adapters.redis_cluster import open_client
        from stackproof.adapters.redis_connections import map_text
        from stackproof.adapters.redis_settings import redis_options

        client = open_client(**redis_options(settings, "the fault proxy"), cluster=self.cluster)
        try:
            nodes = {node: client.reached_at(node) for node in client.nodes()}
        finally:
            client.close()
        if not nodes:
            raise no_place_for_a_proxy("REDIS_URL")
        proxies = {node: FaultProxy(*reached) for node, reached in nodes.items()}
        proxied = map_text({node: ("127.0.0.1", proxy.port) for node, proxy in proxies.items()})
        return ProxiedFaults(*proxies.values()), {"REDIS_ADDRESS_MAP": proxied}

    def nowhere(self) -> dict[str, str]:
        return {"REDIS_URL": self.closed, "REDIS_CA_FILE": "", "REDIS_ADDRESS_MAP": ""}
