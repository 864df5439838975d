"""The record of a run of the adapter tax, as JSON (``stackproof-tax/1``) and as a page of Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .rows import Cost, Row, markdown
from .run import Found

SCHEMA = "stackproof-tax/1"


@dataclass(frozen=True, slots=True)
class Record:
    """What was measured, where, and what was not."""

    id: str
    created: str
    version: str
    command: str
    origin: str
    seed: int
    limit: float
    environment: Mapping[str, str]
    servers: tuple[Mapping[str, str], ...]
    found: tuple[Found, ...]
    left_out: Mapping[str, str]
    """Backend -> why."""
    interrupted: bool = False

    @property
    def rows(self) -> list[Row]:
        return [found.row for found in self.found]

    def above(self) -> list[Row]:
        """The operations whose time or processor time is surely above the limit."""
        return [row for row in self.rows if "above" in (row.time.judged(self.limit), row.cpu.judged(self.limit))]


def to_json(record: Record) -> str:
    """The document, with the fields of its schema."""
    document = {
        "schema": SCHEMA,
        **{name: getattr(record, name) for name in ("id", "created", "version", "command", "origin", "seed", "limit")},
        "interrupted": record.interrupted,
        "environment": dict(record.environment),
        "servers": [dict(server) for server in record.servers],
        "rows": [_row(found, record.limit) for found in record.found],
        "left_out": [{"backend": backend, "reason": reason} for backend, reason in record.left_out.items()],
    }
    return json.dumps(document, indent=2) + "\n"


def _row(found: Found, limit: float) -> dict[str, Any]:
    row = found.row
    return {
        **asdict(row),
        "time": _cost(row.time, limit),
        "cpu": _cost(row.cpu, limit),
        "latency": dict(found.latency),
        "raw_latency": dict(found.raw_latency),
    }


def _cost(cost: Cost, limit: float) -> dict[str, Any]:
    return {**asdict(cost), "judged": cost.judged(limit)}


def to_markdown(record: Record) -> str:
    """A page: where, the table, and what was left out."""
    environment = record.environment
    where = ", ".join(environment[name] for name in ("processor", "cores", "python") if name in environment)
    servers = ", ".join(f"{server['name']} {server['version']}".strip() for server in record.servers) or "none"
    lines = [
        f"stackproof {record.version}, {record.created}; {where}; servers ({record.origin}): {servers}.",
        f"`{record.command}`",
        "",
        markdown(record.rows, record.limit),
        *(f"- {backend}: {reason}." for backend, reason in record.left_out.items()),
    ]
    return "\n".join(lines) + "\n"
