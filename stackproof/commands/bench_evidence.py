"""The evidence of a run of `stackproof bench`: gathered once its topics and indexes are there, kept before its first window."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from stackproof.adapters.settings import Settings
from stackproof.interfaces import ConfigurationError
from stackproof.measurement.environment import Environment
from stackproof.measurement.evidence import FILE, Evidence, WorkerMachine, gather, kept_evidence, same_evidence, to_json
from stackproof.servers import Server
from stackproof.targets import Target
from stackproof.verification.runs import DamagedRecordError, keep


def gather_and_keep(
    directory: Path,
    targets: Sequence[Target],
    servers: Sequence[Server],
    namespace: str,
    environment: Environment,
    workers: Sequence[WorkerMachine] = (),
) -> None:
    """Ask the servers, and keep what they say in the directory of the run; see `keep_evidence`."""
    variables = {name: value for server in servers for name, value in server.variables().items()}
    settings = Settings({**os.environ, **variables})
    keep_evidence(directory, gather(targets, servers, settings, namespace, environment, workers))


def keep_evidence(directory: Path, found: Evidence) -> None:
    """Keep it beside the record. `ConfigurationError` where a run that is gone on with had begun under other conditions."""
    try:
        before = kept_evidence(directory)
    except ValueError as error:
        raise DamagedRecordError(f"{directory / FILE} cannot be read: {error}") from error
    if before is None:
        keep(directory / FILE, to_json(found))
    elif reasons := same_evidence(before, found):
        raise ConfigurationError(f"the run in {directory} had begun under other conditions: {'; '.join(reasons)}")
