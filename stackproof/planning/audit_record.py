"""The audit: the record of one holding of claims against what was measured and what it costs, as values and as JSON. Pure.

The JSON form is described field by field in ``audit.schema.json`` beside this file. Rates are a second; an end that is None is
not known.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

from stackproof.kept_json import read
from stackproof.shape import misshapen

from .built import made
from .crossing_table import Table
from .headroom import Headroom
from .judging import Verdict

SCHEMA = "stackproof-audit/1"
AUDIT = "audit.json"
"""Its file in the directory of a run."""


@dataclass(frozen=True, slots=True)
class CostAt:
    """What a month of a claim's subject costs at one volume, by the model; what it adds, where it is said to be included."""

    at: str
    low: float
    """USD."""
    high: float | None
    """None: something of it is not known."""
    unknown: tuple[str, ...]
    """What is not in it."""


@dataclass(frozen=True, slots=True)
class ClaimFinding:
    """One claim and what follows, as it is told."""

    claim: str
    """Its id."""
    sentence: str
    verbatim: bool
    where: str
    subject: str
    number: str
    """The claimed number with its side and unit: less than 10,000 decisions/day, which is 0.1157/s."""
    judged_by: str
    verdict: Verdict
    headroom: Headroom | None
    costs: tuple[CostAt, ...]
    binds: str
    argument: tuple[str, ...]
    caveats: tuple[str, ...]
    settled_by: tuple[str, ...]
    """Commands and facts that would settle what is open."""
    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MeasuredBeside:
    """A rate that was measured, beside the rate that is claimed."""

    claim: str
    subject: str
    scenario: str
    unit: str
    """Of both rates, such as decisions/s."""
    claimed: float
    published: str
    """As the claim has it: 10,000 decisions/day."""
    low: float
    high: float | None
    limiter: str
    promises: tuple[str, ...]
    run: str
    origin: str
    fidelity: str

    @property
    def headroom(self) -> Headroom:
        """What was measured over what is claimed."""
        high = None if self.high is None else self.high / self.claimed
        return Headroom(f"throughput of {self.scenario}", self.low / self.claimed, high, self.run)


@dataclass(frozen=True, slots=True)
class RunUsed:
    """A run that a finding or a table rests on, or could have."""

    run: str
    sentence: str
    when: str
    origin: str
    fidelity: str
    new: bool
    """Whether this audit measured it; else it was there."""


@dataclass(frozen=True, slots=True)
class RunLeftOut:
    """A kept run that is not used."""

    run: str
    reason: str


@dataclass(frozen=True, slots=True)
class NotMeasured:
    """A search that claims ask for and that was not done."""

    command: str
    """What to type for it."""
    claims: tuple[str, ...]
    reachable: bool
    """Whether its servers can be had from the origin that was asked for: then another hour would do."""
    alone: bool
    """Whether it is the half of a comparison whose other half cannot be had from there: it decides nothing yet."""
    reason: str


@dataclass(frozen=True, slots=True)
class Audit:
    """The record."""

    id: str
    created: str
    """When it began: ISO 8601, UTC."""
    seconds: float
    version: str
    build: str
    """The digest of the contracts."""
    command: str
    """What repeats it."""
    origin: str
    promises: tuple[str, ...]
    """What had to hold, such as p99 within 20 ms."""
    claims_file: str
    price_files: tuple[str, ...]
    machine: Mapping[str, str]
    interrupted: bool
    trouble: str
    """Why servers could not be started, or why measuring ended before its time; empty for no trouble."""
    findings: tuple[ClaimFinding, ...]
    beside: tuple[MeasuredBeside, ...]
    tables: tuple[Table, ...]
    runs: tuple[RunUsed, ...]
    left_out: tuple[RunLeftOut, ...]
    not_measured: tuple[NotMeasured, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many claims have each verdict; a verdict that none has is left out."""
        found = [finding.verdict for finding in self.findings]
        return {str(verdict): found.count(verdict) for verdict in Verdict if verdict in found}

    @property
    def partial(self) -> bool:
        """Whether something that decides could have been measured here and was not."""
        return self.interrupted or any(one.reachable and not one.alone for one in self.not_measured)


def to_json(audit: Audit) -> str:
    """The audit as JSON text."""
    data = {"schema": SCHEMA, "counts": audit.counts, "partial": audit.partial, **asdict(audit)}
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def from_json(text: str) -> Audit:
    """An audit from its JSON text; ValueError where it is none of this schema, or contradicts itself."""
    data = read(text)
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise ValueError(f"this is no audit of schema {SCHEMA}")
    if wrong := misshapen(data, _schema()):
        raise ValueError(f"this is no audit: {wrong[0]}")
    datetime.fromisoformat(data["created"])
    derived = {name: data.pop(name) for name in ("schema", "counts", "partial")}
    audit: Audit = made(Audit, data)
    _refuse_no_intervals(audit)
    for name, value in derived.items():
        if name != "schema" and value != getattr(audit, name):
            raise ValueError(f"this audit contradicts itself: its {name} are not those of its findings")
    ids = [finding.claim for finding in audit.findings]
    if len(set(ids)) < len(ids):
        raise ValueError("this audit contradicts itself: a claim has two findings")
    return audit


@cache
def _schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((files(__package__) / "audit.schema.json").read_text(encoding="utf-8"))
    return found


def _refuse_no_intervals(audit: Audit) -> None:
    for cost in (cost for finding in audit.findings for cost in finding.costs):
        if cost.high is not None and (cost.high < cost.low or cost.unknown):
            raise ValueError(f"[{cost.low}, {cost.high}] is no interval of costs, or not all of it is known")
    for found in audit.beside:
        if not found.claimed > 0:
            raise ValueError(f"a claimed rate is above 0, not {found.claimed}")
        _ = found.headroom  # refuses an interval that is none
    for cell in (cell for table in audit.tables for row in table.rows for cell in (row.first, row.second)):
        if cell is not None and cell.high is not None and cell.high < cell.low:
            raise ValueError(f"[{cell.low}, {cell.high}] is no interval of rates")
