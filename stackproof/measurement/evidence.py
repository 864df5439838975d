"""The evidence of a run: where it was made, what its servers were set to, and what a write that they acknowledged survives."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from stackproof.adapters.settings import Settings
from stackproof.kept_json import read
from stackproof.servers import Server
from stackproof.targets import Target

from .environment import Environment, properties, read_environment, same_environment
from .server_settings.asking import ask_servers
from .server_settings.durability import Survival, durability
from .server_settings.records import ServerSettings

SCHEMA = "stackproof-evidence/1"
FILE = "evidence.json"
"""Its name in the directory of a run."""


@dataclass(frozen=True, slots=True)
class WorkerMachine:
    """A worker of another machine, which offered a part of the load."""

    version: str
    """Of stackproof."""
    build: str
    """Digest of the package there."""
    environment: Environment


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a figure rests on beside the load itself. The JSON form is ``evidence.schema.json`` beside this file."""

    environment: Environment
    servers: tuple[ServerSettings, ...]
    durability: tuple[Survival, ...]
    workers: tuple[WorkerMachine, ...] = ()
    """Of other machines, in an order that does not depend on who came first; then `environment` is that of who directed them."""


def gather(
    targets: Sequence[Target],
    servers: Sequence[Server],
    settings: Settings,
    namespace: str | None = None,
    environment: Environment | None = None,
    workers: Sequence[WorkerMachine] = (),
) -> Evidence:
    """Ask this machine and each server; reads only, and raises nothing for what cannot be asked.

    ``settings`` are those that the adapters are made with: the environment with the variables of the servers. Call it before the
    load, where possible after the run's topics and indexes were made: then ``namespace`` says which they are. ``environment`` is
    what was read at the very start, where the run has kept the machine busy since then. Takes some seconds at most for each
    server that does not answer.
    """
    asked = ask_servers(targets, servers, settings, namespace)
    ordered = tuple(sorted(workers, key=lambda worker: json.dumps(properties(worker.environment), sort_keys=True)))
    return Evidence(environment or read_environment(), asked, durability(targets, asked), ordered)


@dataclass(frozen=True, slots=True)
class Terms:
    """What must be equal before figures may be compared, by name."""

    machine: Mapping[str, str]
    servers: Mapping[str, Mapping[str, str]]
    """Server -> setting -> its value."""
    unknown: frozenset[str]
    """Names (``governor``, ``fsync of postgres``) whose value says why it is not known: it equals nothing."""


def terms(evidence: Evidence) -> Terms:
    """The evidence as names and values."""
    environment = evidence.environment
    machine = {name: _told(value, environment.unknown.get(name, "")) for name, value in properties(environment).items()}
    servers, unknown = {}, set(environment.unknown) & set(machine)
    for number, worker in enumerate(evidence.workers, 1):
        lacking = worker.environment.unknown
        for name, value in properties(worker.environment).items():
            machine[f"{name} of worker {number}"] = _told(value, lacking.get(name, ""))
            unknown |= {f"{name} of worker {number}"} if name in lacking else set()
    for server in evidence.servers:
        settings = (*server.settings, *server.client, *server.container)
        servers[server.server] = {
            setting.name: _told(setting.value or "empty", setting.unknown) for setting in settings
        }
        unknown |= {f"{setting.name} of {server.server}" for setting in settings if setting.unknown}
    return Terms(machine, servers, frozenset(unknown))


def _told(value: str, unknown: str) -> str:
    return f"not known: {unknown}" if unknown else value


def same_evidence(a: Evidence, b: Evidence) -> tuple[str, ...]:
    """Why figures that rest on these two must not be compared, a sentence each: other machines, or other settings of the servers
    of one kind. Empty where they may. Servers are compared by their names; one that is there on one side only is a reason."""
    reasons = list(same_environment(a.environment, b.environment))
    if len(a.workers) != len(b.workers):
        reasons.append(f"{len(a.workers)} and {len(b.workers)} workers of other machines took part")
    for number, (one, other) in enumerate(zip(a.workers, b.workers, strict=False), 1):
        reasons += [f"worker {number}: {reason}" for reason in same_environment(one.environment, other.environment)]
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
        "workers": [{**asdict(worker), "environment": worker.environment.to_data()} for worker in evidence.workers],
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
            tuple(
                WorkerMachine(row["version"], row["build"], Environment.from_data(row["environment"]))
                for row in data.get("workers", ())  # earlier builds wrote none
            ),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"this is no evidence of schema {SCHEMA}: {error}") from error


def kept_evidence(run: Path) -> Evidence | None:
    """The evidence in the directory of a run; None where it kept none. ValueError where the file holds something else."""
    path = run / FILE
    return from_json(path.read_text(encoding="utf-8")) if path.is_file() else None
