"""The evidence of a run: where it was made, what its servers were set to, and what a write that they acknowledged survives."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stackproof.adapters.settings import Settings
from stackproof.kept_json import read
from stackproof.servers import Server
from stackproof.targets import Target

from .environment import Environment, read_environment, same_environment
from .server_settings.asking import ask_servers
from .server_settings.durability import Survival, durability
from .server_settings.records import ServerSettings

SCHEMA = "stackproof-evidence/1"
FILE = "evidence.json"
"""Its name in the directory of a run."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a figure rests on beside the load itself. The JSON form is ``evidence.schema.json`` beside this file."""

    environment: Environment
    servers: tuple[ServerSettings, ...]
    durability: tuple[Survival, ...]


def gather(
    targets: Sequence[Target],
    servers: Sequence[Server],
    settings: Settings,
    namespace: str | None = None,
    environment: Environment | None = None,
) -> Evidence:
    """Ask this machine and each server; reads only, and raises nothing for what cannot be asked.

    ``settings`` are those that the adapters are made with: the environment with the variables of the servers. Call it before the
    load, where possible after the run's topics and indexes were made: then ``namespace`` says which they are. ``environment`` is
    what was read at the very start, where the run has kept the machine busy since then. Takes some seconds at most for each
    server that does not answer.
    """
    asked = ask_servers(targets, servers, settings, namespace)
    return Evidence(environment or read_environment(), asked, durability(targets, asked))


def same_evidence(a: Evidence, b: Evidence) -> tuple[str, ...]:
    """Why figures that rest on these two must not be compared, a sentence each: other machines, or other settings of the servers
    of one kind. Empty where they may. Servers are compared by their names; one that is there on one side only is a reason."""
    reasons = list(same_environment(a.environment, b.environment))
    first, second = ({server.server: server for server in evidence.servers} for evidence in (a, b))
    for name in sorted({*first, *second}):
        if name not in first or name not in second:
            reasons.append(f"only one of them used the server {name}")
            continue
        reasons += _differences(name, first[name], second[name])
    return tuple(reasons)


def _differences(name: str, a: ServerSettings, b: ServerSettings) -> list[str]:
    ours, theirs = ({s.name: s for s in (*each.settings, *each.client, *each.container)} for each in (a, b))
    found = []
    for setting in ours.keys() | theirs.keys():
        one, other = ours.get(setting), theirs.get(setting)
        if one is None or other is None:
            found.append(f"{setting} of {name} is noted for one of them only")
        elif one.unknown != other.unknown:
            found.append(f"{setting} of {name} is not known: {one.unknown or other.unknown}")
        elif one.value != other.value:
            found.append(f"{setting} of {name} differs: {one.value or 'empty'} and {other.value or 'empty'}")
    return sorted(found)


def to_json(evidence: Evidence) -> str:
    """The evidence as JSON text."""
    data = {
        "schema": SCHEMA,
        "environment": evidence.environment.to_data(),
        "servers": [server.to_data() for server in evidence.servers],
        "durability": [row.to_data() for row in evidence.durability],
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def from_json(text: str) -> Evidence:
    """Evidence from its JSON text; ValueError where it is none of this schema."""
    data = read(text)
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise ValueError(f"this is no evidence of schema {SCHEMA}")
    try:
        return Evidence(
            Environment.from_data(data["environment"]),
            tuple(ServerSettings.from_data(row) for row in data["servers"]),
            tuple(Survival.from_data(row) for row in data["durability"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"this is no evidence of schema {SCHEMA}: {error}") from error


def kept_evidence(run: Path) -> Evidence | None:
    """The evidence in the directory of a run; None where it kept none. ValueError where the file holds something else."""
    path = run / FILE
    return from_json(path.read_text(encoding="utf-8")) if path.is_file() else None
