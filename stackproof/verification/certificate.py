"""The certificate: the record of one verification, as values and as JSON. Pure.

The JSON form is described field by field in ``certificate.schema.json`` beside this file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from stackproof.contracts.ledger import counts
from stackproof.contracts.smoke import Trouble
from stackproof.contracts.stream import PlannedClause, result_from
from stackproof.contracts.verdicts import ClauseResult, Verdict, overall
from stackproof.kept_json import read, seal_of

SCHEMA = "stackproof-certificate/1"


class Level(StrEnum):
    """What a certificate says as a whole. Levels, never a percentage: what is missing must not look like a small number."""

    HOLDS = "HOLDS"
    """Every planned clause passed or is not supported, unaltered."""
    BROKEN = "BROKEN"
    """At least one clause failed."""
    INCONCLUSIVE = "INCONCLUSIVE"
    """None failed, and at least one could not be decided, the first use went wrong, or the suite did not prove that it can
    fail."""
    PARTIAL = "PARTIAL"
    """None failed, but not everything counts: not executed, altered by the third party, interrupted, or just a selection."""


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """A server that backends of this run talked to."""

    name: str
    origin: str
    """embedded, container or external."""
    fidelity: str
    """native, compatible-engine or emulator."""
    version: str
    facts: Mapping[str, str] = field(default_factory=dict)
    """The settings that matter for what was shown: fsync, persistence and the like."""
    technology: str = ""
    """What really runs there: cassandra, redis, moto; an unknown engine where it does not tell, empty where nobody asks."""


@dataclass(frozen=True, slots=True)
class TargetRecord:
    """A backend under test."""

    target: str
    """As it was named: ``cache=redis``, or a test class."""
    concern: str
    backend: str
    """Module and class of the adapter."""
    digest: str
    """SHA-256 over the source that it is made of: its package, and its factory's; empty where that is not to be found."""
    server: str
    """Name of its server among the certificate's servers; empty for none."""
    fidelity: str
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    trouble: str = "none"
    """What the smoke step found: none, harness, server or backend."""
    trouble_sentence: str = ""
    distribution: str = ""
    """Name and version of the distribution that its source belongs to; empty for none."""
    technology: str = ""
    """What it is for: scylla, redpanda; empty where it does not say."""


@dataclass(frozen=True, slots=True)
class ClauseRecord:
    """A clause as it was planned, and how it ended."""

    planned: PlannedClause
    result: ClauseResult
    fidelity: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """The record of one verification."""

    id: str
    created: str
    """ISO 8601, UTC."""
    seconds: float
    version: str
    """Of stackproof."""
    suite_digest: str
    """SHA-256 over the source of the contracts: the same digest means the same clauses."""
    command: str
    """Repeats this verification."""
    stack: str
    profile: str
    seed: int
    origin: str
    environment: Mapping[str, str]
    """Python, operating system, processor, versions of the drivers."""
    servers: tuple[ServerRecord, ...]
    targets: tuple[TargetRecord, ...]
    clauses: tuple[ClauseRecord, ...]
    interrupted: bool = False
    selected: tuple[str, ...] = ()
    """The clauses that were asked for one by one; empty: all of the profile, as a certificate should."""
    selftest: Mapping[str, Any] = field(default_factory=dict)
    """The short self-test that ran before a full verification: its seed, mutants run, killed, and those that survived."""

    @property
    def level(self) -> Level:
        """What is known as a whole: a failure is certain, and *unknown* dominates *pass*."""
        verdicts: dict[str, list[Verdict]] = {target.target: [] for target in self.targets}
        for record in self.clauses:
            verdicts.setdefault(record.result.target, []).append(record.result.verdict)
        # For each backend on its own: what another one passed says nothing about it.
        sum_of_all = overall(overall(those) for those in verdicts.values())
        if sum_of_all is Verdict.FAIL:
            return Level.BROKEN
        troubles = {target.trouble for target in self.targets} - {str(Trouble.NONE)}
        if sum_of_all is Verdict.INCONCLUSIVE or self.selftest.get("survivors") or troubles - {str(Trouble.SERVER)}:
            return Level.INCONCLUSIVE
        altered = any(record.result.altered for record in self.clauses)
        if sum_of_all is Verdict.SKIPPED or troubles or self.interrupted or altered or self.selected:
            return Level.PARTIAL
        return Level.HOLDS

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many clauses have each verdict."""
        return counts(record.result for record in self.clauses)

    def concern_rows(self, concern: str) -> list[ClauseRecord]:
        """The clauses of one concern, in the order of the plan."""
        return [record for record in self.clauses if record.result.concern == concern]


def to_json(certificate: Certificate) -> str:
    """The certificate as JSON text. One row a clause, flat: what was planned and how it ended, side by side."""
    data = asdict(certificate)
    data = {"schema": SCHEMA, "level": str(certificate.level), **data}
    data["counts"] = {str(verdict): number for verdict, number in certificate.counts.items()}
    data["clauses"] = [_row(record) for record in certificate.clauses]
    data["seal"] = seal_of(data)
    text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    # Half a character, which a backend's message may hold, is no UTF-8: as an escape it is JSON and comes back the same.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def from_json(text: str) -> Certificate:
    """A certificate from its JSON text; ValueError where it is no certificate of this schema."""
    data = read(text)
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise ValueError(f"this is no certificate of schema {SCHEMA}")
    for derived in ("schema", "level", "counts", "seal"):
        data.pop(derived, None)
    data["servers"] = tuple(ServerRecord(**server) for server in data["servers"])
    data["targets"] = tuple(TargetRecord(**target) for target in data["targets"])
    data["selected"] = tuple(data["selected"])
    data["clauses"] = tuple(_record(row) for row in data["clauses"])
    return Certificate(**data)


def _row(record: ClauseRecord) -> dict[str, Any]:
    planned, result = asdict(record.planned), asdict(record.result)
    planned.pop("id")
    planned.pop("altered")
    return {**result, **planned, "fidelity": record.fidelity}


def _record(row: dict[str, Any]) -> ClauseRecord:
    own = {"rule", "because", "learnt_from", "sees", "needs"}
    planned = PlannedClause(
        id=row["clause"],
        rule=row["rule"],
        because=row["because"],
        learnt_from=tuple(row["learnt_from"]),
        sees=tuple((name, minimum) for name, minimum in row["sees"]),
        needs=row["needs"],
        altered=row["altered"],
    )
    result = result_from({key: value for key, value in row.items() if key not in own | {"fidelity"}})
    return ClauseRecord(planned, result, row["fidelity"])
