"""Redis and Valkey in a container, and Redis with TLS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import quote

from stackproof.servers.ports import LOOPBACK
from stackproof.servers.resp import RespConnection

from .container import ContainerServer
from .recipe import Recipe

FOLDER = "/stackproof"
FACTS = ("appendonly", "appendfsync", "save", "maxmemory", "maxmemory-policy")


class RedisContainer(ContainerServer):
    """Redis as a cache: it writes nothing to disk, so `restart()` and `kill()` lose what it held."""

    name = "redis"
    technology = "redis"
    title = "Redis"
    image_name = "redis"
    official_image = "redis:8"
    program: ClassVar[str] = "redis-server"

    def variables(self) -> Mapping[str, str]:
        """Return REDIS_URL."""
        return {"REDIS_URL": f"redis://:{self._password}@{LOOPBACK}:{self.port}/0"}

    def version(self) -> str:
        """Return the version, for example "8.0.2"; Valkey also gives one of Redis, which it is compatible with."""
        with self.connection() as redis:
            lines = str(redis.ask("INFO", "server")).splitlines()
        told = dict(line.split(":", 1) for line in lines if ":" in line)
        return told.get("valkey_version") or told["redis_version"]

    def _facts(self) -> Mapping[str, str]:
        """Return what durability and eviction depend on."""
        found = {"tls": "yes" if self.tls else "no"}
        with self.connection() as redis:
            for name in FACTS:
                reply = redis.ask("CONFIG", "GET", name)
                if isinstance(reply, list):
                    found[name] = str(reply[1])
        return found

    def connection(self, port: int | None = None) -> RespConnection:
        """Open a connection that may do anything."""
        context = self.certificates.context() if self.tls else None
        return RespConnection(port or self.port, self._password, context=context, title=self.title)

    def _recipe(self) -> Recipe:
        return Recipe(
            command=[self.program, f"{FOLDER}/redis.conf"],
            files={f"{FOLDER}/redis.conf": "\n".join(self._settings()).encode() + b"\n", **self._tls_files()},
        )

    def _settings(self) -> list[str]:
        bind = LOOPBACK if self.on_host else "*"
        return [f"port {self.port}", f"bind {bind}", "protected-mode no", *self._common_settings()]

    def _common_settings(self) -> list[str]:
        return [f"requirepass {self._password}", 'save ""', "appendonly no"]

    def _tls_files(self) -> dict[str, bytes]:
        return {}

    def _answers(self) -> bool:
        with self.connection() as redis:
            return redis.ask("PING") == "PONG"


class ValkeyContainer(RedisContainer):
    """Valkey, which speaks what Redis speaks."""

    name = "valkey"
    technology = "valkey"
    title = "Valkey"
    image_name = "valkey"
    official_image = "valkey/valkey:8"
    program = "valkey-server"


class RedisTlsContainer(RedisContainer):
    """Redis that takes nobody without TLS and its password."""

    name = "redis-tls"
    title = "Redis with TLS"
    tls = True

    def variables(self) -> Mapping[str, str]:
        """Return REDIS_URL, with the authority that the server's certificate must come from."""
        where = f"{LOOPBACK}:{self.port}/0?ssl_ca_certs={quote(str(self.certificates.ca))}"
        return {"REDIS_URL": f"rediss://:{self._password}@{where}"}

    def _settings(self) -> list[str]:
        bind = LOOPBACK if self.on_host else "*"
        files = (f"tls-{kind}-file {FOLDER}/{name}.pem" for kind, name in _TLS_FILES.items())
        return [
            *("port 0", f"tls-port {self.port}", f"bind {bind}", "protected-mode no", "tls-auth-clients no", *files),
            *self._common_settings(),
        ]

    def _tls_files(self) -> dict[str, bytes]:
        made = self.certificates
        return {
            f"{FOLDER}/server-chain.pem": made.server_chain.read_bytes(),
            f"{FOLDER}/server-key.pem": made.server_key.read_bytes(),
            f"{FOLDER}/ca.pem": made.ca.read_bytes(),
        }


_TLS_FILES = {"cert": "server-chain", "key": "server-key", "ca-cert": "ca"}
