"""PostgreSQL in a container, plain and with TLS."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from stackproof.servers.ports import LOOPBACK

from .container import ContainerServer
from .recipe import Recipe

FOLDER = "/stackproof"
SETTINGS = ("fsync", "full_page_writes", "max_connections", "shared_buffers", "ssl", "synchronous_commit", "wal_level")

# The image runs it as the server's own account when the data directory is new. A key has to belong to that account.
TLS_SCRIPT = f"""
for file in server-key server-chain; do cp {FOLDER}/$file.pem "$PGDATA/$file.pem"; chmod 600 "$PGDATA/$file.pem"; done
cat >> "$PGDATA/postgresql.conf" <<'END'
ssl = on
ssl_key_file = 'server-key.pem'
ssl_cert_file = 'server-chain.pem'
END
sed -i 's/^host /hostssl /' "$PGDATA/pg_hba.conf"
# In its own words, rather than for lack of a line that fits.
echo 'hostnossl all all all reject' > "$PGDATA/pg_hba.conf.new"
cat "$PGDATA/pg_hba.conf" >> "$PGDATA/pg_hba.conf.new"
mv "$PGDATA/pg_hba.conf.new" "$PGDATA/pg_hba.conf"
"""


class PostgresContainer(ContainerServer):
    """PostgreSQL with its honest defaults: a commit is on disk when it is acknowledged."""

    name = "postgres"
    technology = "postgres"
    title = "PostgreSQL"
    image_name = "postgres"
    official_image = "postgres:17"
    user = "stackproof"
    database = "postgres"

    def variables(self) -> Mapping[str, str]:
        """Return DATABASE_URL."""
        return {"DATABASE_URL": f"postgresql://{self.user}:{self._password}@{LOOPBACK}:{self.port}/{self.database}"}

    def version(self) -> str:
        """Return the version, for example "17.5"."""
        return self.ask("show server_version").split()[0]

    def _facts(self) -> Mapping[str, str]:
        """Return what durability and speed depend on."""
        listed = ", ".join(f"'{name}'" for name in SETTINGS)
        lines = self.ask(f"select name, current_setting(name) from pg_settings where name in ({listed}) order by name")  # noqa: S608 - fixed names
        return dict(line.split("=", 1) for line in lines.splitlines())

    def ask(self, sql: str) -> str:
        """Run one statement through the image's own psql, on its unix socket; rows are lines, columns separated by "="."""
        where = ("--username", self.user, "--dbname", self.database, "--port", str(self.port))
        return self.execute("psql", "--no-psqlrc", *where, "-v", "ON_ERROR_STOP=1", "-AtF", "=", "-c", sql)

    def _recipe(self) -> Recipe:
        return Recipe(
            environment={
                "POSTGRES_USER": self.user,
                "POSTGRES_DB": self.database,
                "POSTGRES_PASSWORD_FILE": f"{FOLDER}/password",
                # On the host's network the outside comes from 127.0.0.1 too, which the image would trust.
                "POSTGRES_INITDB_ARGS": "--auth-host=scram-sha-256 --auth-local=trust --encoding=UTF8 --locale=C.UTF-8",
                "TZ": "UTC",
            },
            command=["postgres", "-c", f"listen_addresses={self._listen_addresses}", "-c", f"port={self.port}"],
            files={f"{FOLDER}/password": self._password.encode(), **self._tls_files()},
        )

    @property
    def _listen_addresses(self) -> str:
        return LOOPBACK if self.on_host else "*"

    def _tls_files(self) -> dict[str, bytes]:
        return {}

    def _answers(self) -> bool:
        """The server that the image starts for its own preparation listens on no TCP address."""
        self.execute("pg_isready", "--quiet", "--host", LOOPBACK, "--port", str(self.port))
        return True


class PostgresTlsContainer(PostgresContainer):
    """PostgreSQL that takes nobody without TLS."""

    name = "postgres-tls"
    title = "PostgreSQL with TLS"
    tls = True

    def variables(self) -> Mapping[str, str]:
        """Return DATABASE_URL, with the authority that the server's certificate must come from."""
        url = super().variables()["DATABASE_URL"]
        return {"DATABASE_URL": f"{url}?sslmode=verify-full&sslrootcert={quote(str(self.certificates.ca))}"}

    def _tls_files(self) -> dict[str, bytes]:
        return {
            f"{FOLDER}/server-key.pem": self.certificates.server_key.read_bytes(),
            f"{FOLDER}/server-chain.pem": self.certificates.server_chain.read_bytes(),
            "/docker-entrypoint-initdb.d/tls.sh": TLS_SCRIPT.encode(),
        }
