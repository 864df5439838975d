"""What a PostgreSQL says of itself.

Meanings follow PostgreSQL's manual: "Write Ahead Log" and "Replication" under Server Configuration, and "Reliability and the
Write-Ahead Log".
"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from stackproof.adapters.postgres_tls import postgres_options, protected
from stackproof.adapters.settings import Settings
from stackproof.interfaces import UnavailableError
from stackproof.targets import Target

from .records import Setting, Told

MEANINGS = {
    "version": "The release of the server.",
    "fsync": "Whether the server makes sure that its log has reached the disk; off gives up all safety against a power cut.",
    "synchronous_commit": "What a commit waits for before it is acknowledged: on waits for the log on disk, off for nothing.",
    "full_page_writes": "Whether pages that a power cut tore in two can be repaired from the log.",
    "wal_level": "How much is written to the log; replicas need at least replica.",
    "wal_sync_method": "How the log is forced to disk.",
    "wal_writer_delay": "How often the log is written by itself; with synchronous_commit off, three times this can be lost.",
    "synchronous_standby_names": "Which replicas a commit waits for; empty: for none.",
    "replicas": "Replicas that are connected now, and how many of them a commit waits for.",
    "shared_buffers": "Memory for pages of tables and indexes.",
    "max_connections": "How many connections the server takes in all.",
}
_ASKED = tuple(name for name in MEANINGS if name not in ("version", "replicas"))
_SETTINGS = "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY(%s)"
_REPLICAS = """
    SELECT count(*), count(sync_state), count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')) FROM pg_stat_replication
"""


def ask(settings: Settings, _targets: Sequence[Target], _namespace: str | None) -> Told:
    """Asks as the adapters' own user, whose defaults count. `UnavailableError` or `ConfigurationError` where that fails."""
    seconds = max(2, round(settings.connect_timeout))
    try:
        # One transaction that cannot write. What a role or a database sets for its sessions is in force here, too.
        with psycopg.connect(protected(settings), connect_timeout=seconds) as connection:
            connection.read_only = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{settings.operation_timeout:g}s"])
                rows = cursor.execute(_SETTINGS, [[*_ASKED, "server_version"]]).fetchall()
                counts = cursor.execute(_REPLICAS).fetchone()
    except psycopg.Error as error:
        # The message names host and user: neither belongs into a record.
        raise UnavailableError(f"PostgreSQL did not tell ({type(error).__name__})") from error
    values = {str(name): str(value) for name, value in rows}
    values["version"] = values.pop("server_version")
    connected, told, synchronous = counts or (0, 0, 0)
    if told < connected:
        return Told(
            "postgres", "", values, {"replicas": "the user of the adapter may not see which replicas are synchronous"}
        )
    values["replicas"] = f"{connected} connected, {synchronous} synchronous"
    return Told("postgres", "", values)


def client(settings: Settings, _targets: Sequence[Target]) -> tuple[Setting, ...]:
    """How the adapters connect."""
    options = postgres_options(settings, "a question to the server")
    url = psycopg.conninfo.conninfo_to_dict(protected(settings))
    return (
        Setting("connect timeout", f"{options['connect_timeout']:g} s", "How long making a connection may take."),
        Setting("operation timeout", f"{options['operation_timeout']:g} s", "How long one operation may take."),
        Setting("connections", str(options["max_connections"]), "How many connections each adapter opens at most."),
        Setting("sslmode", str(url.get("sslmode", "prefer")), "How the connection is protected."),
        Setting(
            "autocommit", "yes", "Each statement of an adapter is a transaction of its own, unless it needs several."
        ),
    )
