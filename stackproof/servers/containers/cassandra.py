"""Cassandra in a container: one node whose acknowledged writes survive a kill; plain, and with TLS and a password."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

from stackproof.servers.ports import LOOPBACK

from .container import ContainerServer
from .cql_wire import CqlConnection
from .recipe import Recipe
from .yaml_text import with_settings

FOLDER = "/etc/cassandra"
USER = "cassandra"
FIRST_PASSWORD = "cassandra"  # noqa: S105 - Cassandra's own, changed at once
DATACENTER = "datacenter1"
FACTS = ("authenticator", "commitlog_sync", "commitlog_sync_period", "materialized_views_enabled", "num_tokens")
QUICK_START = (
    "-Dcassandra.skip_wait_for_gossip_to_settle=0",
    "-Dcassandra.ring_delay_ms=1",
    "-Dcassandra.superuser_setup_delay_ms=0",
)
"""A single node has nobody to wait for."""


class CassandraContainer(ContainerServer):
    """One node. Its commit log is written to disk before a write is acknowledged (`commitlog_sync: batch`).

    Cassandra's own default, `periodic`, loses the last writes when it is killed.
    """

    name = "cassandra"
    technology = "cassandra"
    title = "Cassandra"
    image_name = "cassandra"
    official_image = "cassandra:5.0"
    inner_port_count = 2

    def variables(self) -> Mapping[str, str]:
        """Return where it is, also as what stands in for Amazon Keyspaces (with tables of its own)."""
        address = f"{LOOPBACK}:{self.port}"
        return {
            "SCYLLA_CONTACT_POINTS": address,
            "SCYLLA_DATACENTER": DATACENTER,
            "KEYSPACES_ENDPOINT": address,
            "KEYSPACES_AUTH": "none",
            "KEYSPACES_KEYSPACE": "stackproof_keyspaces",
        }

    def version(self) -> str:
        """Return the version, for example "5.0.4"."""
        with self._connection() as cassandra:
            return cassandra.rows("SELECT release_version FROM system.local")[0][0]

    def _facts(self) -> Mapping[str, str]:
        """Return what durability depends on."""
        found = {"tls": "yes" if self.tls else "no"}
        with self._connection() as cassandra:
            for name in FACTS:
                rows = cassandra.rows(f"SELECT value FROM system_views.settings WHERE name = '{name}'")  # noqa: S608 - fixed names
                if rows:
                    found[name] = rows[0][0]
        return found

    def _connection(self) -> CqlConnection:
        return CqlConnection(LOOPBACK, self.port, user=self._user, context=self._context)

    @property
    def _user(self) -> tuple[str, str] | None:
        return None

    @property
    def _context(self) -> ssl.SSLContext | None:
        return None

    def _answers(self) -> bool:
        with self._connection() as cassandra:
            return bool(cassandra.rows("SELECT release_version FROM system.local"))

    def _recipe(self) -> Recipe:
        heap = self._options.heap()
        return Recipe(
            environment={
                "CASSANDRA_LISTEN_ADDRESS": LOOPBACK,
                "CASSANDRA_BROADCAST_ADDRESS": LOOPBACK,
                "CASSANDRA_RPC_ADDRESS": self.bind_address,
                "CASSANDRA_BROADCAST_RPC_ADDRESS": LOOPBACK,
                "CASSANDRA_SEEDS": f"{LOOPBACK}:{self.inner_ports[0]}",
                "MAX_HEAP_SIZE": f"{heap}M",
                "HEAP_NEWSIZE": f"{max(heap // 4, 32)}M",
                "JVM_EXTRA_OPTS": " ".join(QUICK_START),
            },
            files=self._files(),
            edits={f"{FOLDER}/cassandra.yaml": lambda text: with_settings(text, self._settings())},
        )

    def _settings(self) -> dict[str, str | None]:
        storage, storage_tls = self.inner_ports
        return {
            "native_transport_port": str(self.port),
            "storage_port": str(storage),
            "ssl_storage_port": str(storage_tls),
            "commitlog_sync": "batch",
            "commitlog_sync_period": None,
            "materialized_views_enabled": "true",
            "auto_snapshot": "false",
        }

    def _files(self) -> dict[str, bytes]:
        return {}


class CassandraTlsContainer(CassandraContainer):
    """Cassandra that takes nobody without TLS and a password."""

    name = "cassandra-tls"
    title = "Cassandra with TLS"
    tls = True

    def variables(self) -> Mapping[str, str]:
        """Return the address, the authority, user and password."""
        return {  # the stand-in for Keyspaces speaks no TLS
            "SCYLLA_CONTACT_POINTS": f"{LOOPBACK}:{self.port}",
            "SCYLLA_DATACENTER": DATACENTER,
            "SCYLLA_TLS": "true",
            "SCYLLA_CA_FILE": str(self.certificates.ca),
            "SCYLLA_USERNAME": USER,
            "SCYLLA_PASSWORD": self._password,
        }

    @property
    def _user(self) -> tuple[str, str]:
        return USER, self._password if self._set_up_done else FIRST_PASSWORD

    @property
    def _context(self) -> ssl.SSLContext:
        return self.certificates.context()

    def _set_up(self) -> None:
        with self._connection() as cassandra:
            cassandra.rows(f"ALTER ROLE {USER} WITH PASSWORD = '{self._password}'")
        self._set_up_done = True
        self._wait_for(self._answers, "the new password was taken")

    def _settings(self) -> dict[str, str | None]:
        return {
            **super()._settings(),
            "authenticator": "PasswordAuthenticator",
            "authorizer": "CassandraAuthorizer",
            # Else the first password would be good for two more seconds.
            "credentials_validity": "0ms",
            "client_encryption_options": CLIENT_ENCRYPTION,
        }

    def _files(self) -> dict[str, bytes]:
        return {
            f"{FOLDER}/server.pem": self.certificates.server.read_bytes(),
            f"{FOLDER}/ca.pem": self.certificates.ca.read_bytes(),
        }


CLIENT_ENCRYPTION = f"""
  enabled: true
  optional: false
  require_client_auth: false
  ssl_context_factory:
    class_name: org.apache.cassandra.security.PEMBasedSslContextFactory
  keystore: {FOLDER}/server.pem
  truststore: {FOLDER}/ca.pem"""
