"""Schemas: the name of a namespace's schema, and the migrations that make its tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, TypeAlias

import psycopg
from psycopg import sql

from stackproof.adapters.names import name_of

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

_LONGEST_NAME = 63
"""Bytes of an identifier that PostgreSQL keeps; it cuts longer ones silently."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of a component's schema. Steps are applied once, in order of their version, and never edited later."""

    version: int
    statements: str


def schema_name(component: str, namespace: str) -> str:
    """The schema of a namespace: one to one, and short enough that PostgreSQL keeps every character."""
    if not namespace:
        return "stackproof"
    return name_of(component, namespace, _LONGEST_NAME)


def migrate(connection: Connection, schema: str, component: str, migrations: Sequence[Migration]) -> None:
    """Bring the tables of a component up to date. Safe to run twice, and at the same time from many processes."""
    if _applied(connection, schema, component) >= {step.version for step in migrations}:
        return  # without a lock, and without the right to create anything
    with connection.transaction():
        # CREATE ... IF NOT EXISTS is no protection against a concurrent CREATE of the same name.
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_lock_number(schema)])
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
        connection.execute(
            "CREATE TABLE IF NOT EXISTS migrations (component text, version integer,"
            " applied_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (component, version))"
        )
        applied = _applied(connection, schema, component)
        for step in migrations:
            if step.version not in applied:
                connection.execute(step.statements.encode())
                connection.execute(
                    "INSERT INTO migrations (component, version) VALUES (%s, %s)", [component, step.version]
                )


def _applied(connection: Connection, schema: str, component: str) -> set[int]:
    # The schema is named: without it, search_path leads nowhere and to_regclass is null.
    table = sql.Identifier(schema, "migrations")
    found = connection.execute("SELECT to_regclass(%s)", [table.as_string()]).fetchone()
    if found is None or found[0] is None:
        return set()
    query = sql.SQL("SELECT version FROM {} WHERE component = %s").format(table)
    return {version for (version,) in connection.execute(query, [component])}


def _lock_number(schema: str) -> int:
    return int.from_bytes(blake2b(f"stackproof migrations {schema}".encode(), digest_size=8).digest(), signed=True)
