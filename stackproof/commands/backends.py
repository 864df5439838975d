"""`stackproof backends`: which there are, what serves them, and what was last shown of each."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from stackproof.adapters.registry import BackendEntry
from stackproof.adapters.registry import backends as all_backends

from .options import concern_option, json_option, print_table, write_result

if TYPE_CHECKING:
    from stackproof.verification.latest import Shown

NOT_YET = "not verified yet"


@dataclass(frozen=True, slots=True)
class _Row:
    """Entries of one adapter on one server, such as scylla and cassandra: they differ in what they are for."""

    entries: tuple[BackendEntry, ...]

    @property
    def first(self) -> BackendEntry:
        return self.entries[0]

    @property
    def names(self) -> list[str]:
        return [name for entry in self.entries for name in (entry.name, *entry.aliases)]


@click.command()
@concern_option
@click.option("--references", is_flag=True, help="List the in-memory references, too.")
@json_option
def backends(concern: str | None, references: bool, json_file: str | None) -> None:
    """List the backends, their servers and last verdicts. Those of the entry point group `stackproof.adapters` are included."""
    from stackproof.verification.latest import latest

    shown = latest()
    rows = [row for row in _rows(all_backends(concern)) if references or not row.first.reference]
    if json_file is not None:
        data = {"schema": "stackproof-backends/1", "backends": [_as_json(row, shown) for row in rows]}
        write_result(json_file, json.dumps(data, indent=2) + "\n")
        return
    table = [
        (
            row.first.concern,
            ", ".join(row.names),
            row.first.adapter.partition(":")[2],
            row.first.server or "none",
            _fidelities(row),
            _verdicts(row, shown),
        )
        for row in rows
    ]
    print_table(("concern", "names", "adapter", "server", "fidelity", "last verdict"), table)


def _rows(entries: Iterable[BackendEntry]) -> list[_Row]:
    grouped: dict[tuple[str, str, str], list[BackendEntry]] = {}
    for entry in entries:
        grouped.setdefault((entry.concern, entry.adapter, entry.server), []).append(entry)
    return [_Row(tuple(those)) for those in grouped.values()]


def fidelity_of(entry: BackendEntry) -> str:
    """How true the server that stackproof can start is to the technology that the backend is for."""
    from stackproof.servers.containers.kinds import CONTAINERS
    from stackproof.servers.sets import EMBEDDED
    from stackproof.verification.fidelity import NATIVE, fidelity

    kind: Any = CONTAINERS.get(entry.server) or EMBEDDED.get(entry.server)
    return NATIVE if kind is None else fidelity(entry.technology, kind.technology, kind.fidelity)


def _fidelities(row: _Row) -> str:
    told = {entry.name: fidelity_of(entry) for entry in row.entries}
    if len(set(told.values())) == 1:
        return next(iter(told.values()))
    return "; ".join(f"{name}: {fidelity}" for name, fidelity in told.items())


def _verdicts(row: _Row, shown: dict[str, Shown]) -> str:
    told = {entry.name: _verdict(shown.get(f"{entry.concern}={entry.name}")) for entry in row.entries}
    known = {name: text for name, text in told.items() if text != NOT_YET}
    if len(row.entries) == 1 or len(known) < 2:
        return next(iter((known or told).values()))
    return "; ".join(f"{name}: {text}" for name, text in known.items())


def _verdict(shown: Shown | None) -> str:
    if shown is None:
        return NOT_YET
    where = f", {shown.server}" if shown.server else ""
    return f"{shown.level} ({shown.profile}, {shown.created[:10]}{where}{', published' if shown.published else ''})"


def _as_json(row: _Row, shown: dict[str, Shown]) -> dict[str, Any]:
    first = row.first
    data = asdict(first)
    data.pop("reference")
    data["aliases"] = row.names[1:]
    data["fidelity"] = {entry.name: fidelity_of(entry) for entry in row.entries}
    last = {entry.name: shown.get(f"{entry.concern}={entry.name}") for entry in row.entries}
    data["last_verdict"] = {name: asdict(known) for name, known in last.items() if known is not None}
    return data
