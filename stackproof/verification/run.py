"""One verification from its targets to its certificate, on servers that are already there."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import stackproof
from stackproof.contracts.ledger import Ledger
from stackproof.contracts.smoke import Trouble
from stackproof.contracts.stream import StreamEvent, TargetSmoked
from stackproof.exits import Exit
from stackproof.servers import Server
from stackproof.targets import Target

from .asking import ask_external
from .certificate import Certificate, ClauseRecord, Level, ServerRecord, TargetRecord
from .command import command
from .digests import backend_digest, distribution_of, suite_digest
from .environment import describe_environment
from .fidelity import NATIVE, fidelity
from .parallel import ParallelRun
from .plan import Plan, PlannedTarget
from .worker import Observer

WORKERS = 3
"""So many targets are verified at once: mostly they wait, for servers and for lifetimes; more would disturb each other."""


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """How to verify."""

    stack: str = ""
    """Name of the stack, empty where backends were named one by one."""
    profile: str = "core"
    seed: int = 1
    origin: str = "embedded"
    clauses: tuple[str, ...] = ()
    """Only these; empty: all."""
    selftest: Mapping[str, Any] = field(default_factory=dict)
    """What the short self-test said, where it ran."""


def verify(
    targets: Iterable[Target],
    servers: Iterable[Server],
    options: VerifyOptions,
    directory: Path,
    run_id: str,
    observer: Observer,
) -> Certificate:
    """Hold each target to its contract. An interruption ends it early: the certificate says so, and is kept all the same."""
    targets, servers = list(targets), list(servers)
    variables = {name: value for server in servers for name, value in server.variables().items()}
    work = ParallelRun(directory, {**os.environ, **variables}, observer, WORKERS)
    began, created = time.monotonic(), datetime.now(UTC)
    interrupted = False
    try:
        work.execute(_plans(targets, options))
    except KeyboardInterrupt:
        interrupted = True
        _close_as_interrupted(targets, options, work.ledger)
    records = {server.name: describe_server(server) for server in servers}
    seconds = round(time.monotonic() - began, 2)
    return _certificate(targets, work.ledger, records, options, run_id, created, seconds, interrupted)


def _plans(targets: list[Target], options: VerifyOptions) -> Iterator[Plan]:
    """One for each target: they are verified side by side, each in a process of its own."""
    again = command_for(targets, options, target="{target}", clause="{clause}")
    for target in targets:
        yield Plan((_planned(target, options),), profile=options.profile, seed=options.seed, again=again)


def _planned(target: Target, options: VerifyOptions) -> PlannedTarget:
    return PlannedTarget(target.name, target.concern, target.spec, clauses=options.clauses)


def interrupted_before(targets: Iterable[Target], options: VerifyOptions, run_id: str) -> Certificate:
    """The certificate of a verification that was interrupted before its first clause. No backend is imported for it."""
    targets, ledger = list(targets), Ledger()
    _close_as_interrupted(targets, options, ledger)
    return _certificate(targets, ledger, {}, options, run_id, datetime.now(UTC), 0.0, interrupted=True)


def _close_as_interrupted(targets: Iterable[Target], options: VerifyOptions, ledger: Ledger) -> None:
    """Also what no worker had begun to plan was meant to be verified, and was not."""
    for target in targets:
        ledger.feed(_planned(target, options).expected(options.profile))
    ledger.close("not executed: interrupted")


def _certificate(
    targets: list[Target],
    ledger: Ledger,
    records: Mapping[str, ServerRecord],
    options: VerifyOptions,
    run_id: str,
    created: datetime,
    seconds: float,
    interrupted: bool,
) -> Certificate:
    return Certificate(
        id=run_id,
        created=created.isoformat(timespec="seconds"),
        seconds=seconds,
        version=stackproof.__version__,
        suite_digest=suite_digest(),
        command=command_for(targets, options),
        stack=options.stack,
        profile=options.profile,
        seed=options.seed,
        origin=options.origin,
        environment=describe_environment(),
        servers=tuple(records.values()),
        targets=tuple(_target_record(t, ledger.smokes.get(t.name), records) for t in targets),
        clauses=tuple(_clause_records(targets, ledger, records)),
        interrupted=interrupted,
        selected=options.clauses,
        selftest=options.selftest,
    )


def describe_server(server: Server) -> ServerRecord:
    """What a certificate says about a server."""
    version, facts, technology = server.version() or "", dict(server.facts()), server.technology
    if server.origin == "external":
        said = ask_external(server)
        version, facts, technology = said.version, dict(said.facts), said.technology
    return ServerRecord(server.name, server.origin, server.fidelity, version, facts, technology)


def exit_code(certificate: Certificate) -> Exit:
    """What the command's end says."""
    troubles = {target.trouble for target in certificate.targets}
    if certificate.interrupted:
        return Exit.INTERRUPTED
    if certificate.level is Level.BROKEN:
        return Exit.BROKEN
    if Trouble.HARNESS in troubles:
        return Exit.USAGE
    if Trouble.SERVER in troubles:
        return Exit.ENVIRONMENT
    return Exit.HOLDS if certificate.level is Level.HOLDS else Exit.INCONCLUSIVE


def command_for(targets: list[Target], options: VerifyOptions, target: str = "", clause: str = "") -> str:
    """The command that repeats the verification, or one clause of one target."""
    return command(
        [target or t.name for t in targets],
        stack="" if target else options.stack,
        origin=options.origin,
        profile=options.profile,
        clauses=[clause] if clause else options.clauses,
        seed=options.seed,
        quoted=not target,
    )


def _target_record(target: Target, smoked: TargetSmoked | None, records: Mapping[str, ServerRecord]) -> TargetRecord:
    backend = smoked.backend if smoked is not None else ""
    return TargetRecord(
        target=target.name,
        concern=target.concern,
        backend=backend,
        digest=backend_digest(backend, target.spec),
        server=target.server if target.server in records else "",
        fidelity=_fidelity(target, records),
        capabilities=smoked.capabilities if smoked is not None else {},
        trouble=str(smoked.smoke.trouble) if smoked is not None else str(Trouble.NONE),
        trouble_sentence=smoked.smoke.sentence if smoked is not None else "",
        distribution=distribution_of(backend),
        technology=target.technology,
    )


def _clause_records(
    targets: list[Target], ledger: Ledger, records: Mapping[str, ServerRecord]
) -> Iterable[ClauseRecord]:
    """In the order of the targets, whichever ended first."""
    planned = {(plan.target, clause.id): clause for plan in ledger.targets.values() for clause in plan.clauses}
    for target in targets:
        for row in ledger.rows():
            if row.target == target.name:
                yield ClauseRecord(planned[row.target, row.clause], row, _fidelity(target, records))


def _fidelity(target: Target, records: Mapping[str, ServerRecord]) -> str:
    """How true the server is to the technology; a backend without a server of ours is itself."""
    server = records.get(target.server)
    return NATIVE if server is None else fidelity(target.technology, server.technology, server.fidelity)


def silent(_event: StreamEvent) -> None:
    """An observer that looks away."""
