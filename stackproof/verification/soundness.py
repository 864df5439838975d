"""Whether a certificate is sound, and whether it still holds for what is installed. Pure: text and facts in, findings out.

A certificate is sound when all that it says follows from its own rows, and its rows are the plan of the suite that it
names: each planned clause ends once, a pass has its evidence, the sums and the level are those of the rows. It is
outdated when another suite, backend or driver is installed now than it speaks about.

What this cannot see: the seal is a plain SHA-256, and no signature. It shows every change that was made by hand or by
accident; somebody who writes a whole certificate anew, with a plan, evidence and seal that fit, is found out by
repeating the verification only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from stackproof.contracts.clauses import ABSENCE_EVIDENCE
from stackproof.contracts.smoke import Trouble
from stackproof.contracts.stream import PlannedClause
from stackproof.contracts.verdicts import Verdict
from stackproof.kept_json import NotJSONError, read, seal_of
from stackproof.measurement.environment import changed_since
from stackproof.shape import misshapen

from .certificate import SCHEMA, Certificate, ClauseRecord, from_json
from .consistency import inconsistencies, unlike_the_suite

_ENDED = (Verdict.PASS, Verdict.FAIL, Verdict.NOT_SUPPORTED, Verdict.PROVISIONAL)
"""Verdicts that only a clause has which ran to its end."""


class Kind(StrEnum):
    """What a finding means for the certificate."""

    DAMAGED = "damaged"
    """It is no complete text any more: nothing can be said of what it was."""
    FORGED = "forged"
    """It contradicts itself or the suite that it names: nobody can rely on it."""
    OUTDATED = "outdated"
    """It was true for something else than what is installed now."""
    UNKNOWN = "unknown"
    """Nobody can tell whether it is of what is installed now."""

    @property
    def unusable(self) -> bool:
        """Whether the certificate proves nothing, whatever is installed."""
        return self in (Kind.DAMAGED, Kind.FORGED)


@dataclass(frozen=True, slots=True)
class Finding:
    kind: Kind
    sentence: str


@dataclass(frozen=True, slots=True)
class KnownClause:
    """A clause of the installed suite, as far as a certificate repeats it."""

    planned: PlannedClause
    profile: str
    provisional: bool = False

    @property
    def id(self) -> str:
        return self.planned.id


@dataclass(frozen=True, slots=True)
class Installed:
    """What is installed where the certificate is checked."""

    suite_digest: str
    version: str
    clauses: Mapping[str, tuple[KnownClause, ...]]
    """Concern -> the clauses of its contract, all profiles."""
    stacks: Mapping[str, frozenset[str]]
    """Stack -> the names of its targets."""
    digests: Mapping[tuple[str, str], str]
    """Target and backend, as certificates name them -> digest of its source; empty where it is not installed."""
    schema: Mapping[str, Any]
    now: datetime
    drivers: Mapping[str, str] = field(default_factory=dict)
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Target -> the drivers that it cannot be used without."""
    mutants: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Concern -> the clauses that a mutant names."""


def check(text: str, installed: Installed) -> list[Finding]:
    """Everything that is wrong with a certificate's text. Nothing: it is sound, and holds for what is installed."""
    try:
        data = read(text)
    except NotJSONError:
        return [Finding(Kind.DAMAGED, "It is no complete JSON: the file was cut off or damaged.")]
    except ValueError as error:
        return [Finding(Kind.FORGED, f"It is no JSON of ours: {error}.")]
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        return [Finding(Kind.FORGED, f"It does not say that it is of schema {SCHEMA}.")]
    wrong = misshapen(data, installed.schema)
    if wrong:
        return [Finding(Kind.FORGED, f"It does not have the shape of a certificate: {sentence}.") for sentence in wrong]
    certificate = from_json(text)
    forged = [
        *_seal(data),
        *_rows(certificate),
        *inconsistencies(certificate, installed.now),
        *_sums(certificate, data),
        *_selftest(certificate, installed),
    ]
    if certificate.suite_digest == installed.suite_digest:
        forged += [*_plan(certificate, installed), *unlike_the_suite(certificate, installed.stacks)]
    findings = [Finding(Kind.FORGED, sentence) for sentence in dict.fromkeys(forged)]
    findings += [Finding(Kind.OUTDATED, sentence) for sentence in _outdated(certificate, installed)]
    untold = [*_without_source(certificate), *_without_driver(certificate, installed)]
    return findings + [Finding(Kind.UNKNOWN, sentence) for sentence in untold]


def _seal(data: dict[str, Any]) -> Iterator[str]:
    if data["seal"] != seal_of(data):
        yield "It was changed after it was written: its seal is not that of its content."


def _rows(certificate: Certificate) -> Iterator[str]:
    """What each row must keep, whatever the suite."""
    targets = {target.target: target for target in certificate.targets}
    if len(targets) < len(certificate.targets):
        yield "A backend is listed twice."
    if not certificate.targets or not certificate.clauses:
        yield "It has no results."
    servers = {server.name for server in certificate.servers}
    for target in certificate.targets:
        if target.server and target.server not in servers:
            yield f"{target.target} names a server, {target.server}, of which nothing is told."
        if all(record.result.target != target.target for record in certificate.clauses):
            yield f"{target.target} has no results."
    verdicts: dict[tuple[str, str], set[Verdict]] = {}
    ends = Counter((record.result.target, record.result.clause) for record in certificate.clauses)
    for record in certificate.clauses:
        verdicts.setdefault((record.result.target, record.result.clause), set()).add(record.result.verdict)
    for (name, clause), number in ends.items():
        if number > 1:
            kinds = " and ".join(sorted(verdicts[name, clause]))
            yield f"{clause} of {name} has {number} verdicts instead of one: {kinds}."
    for record in certificate.clauses:
        result, target_record = record.result, targets.get(record.result.target)
        where = f"{result.clause} of {result.target}"
        if target_record is None:
            yield f"{where} has a verdict, but that backend is not listed."
            continue
        if result.concern != target_record.concern or record.fidelity != target_record.fidelity:
            yield f"{where} has another concern or fidelity than its backend."
        if not target_record.backend and result.verdict in _ENDED:
            yield f"{where} is {result.verdict}, but it does not say what that backend is."
        if target_record.trouble in (Trouble.HARNESS, Trouble.SERVER) and result.verdict in _ENDED:
            yield f"{where} is {result.verdict}, though the {target_record.trouble} could not be used at all."
        yield from _row(record, target_record.capabilities, where)


def _row(record: ClauseRecord, capabilities: Mapping[str, Any], where: str) -> Iterator[str]:
    """A verdict must follow from the row's own evidence and from what the backend declares."""
    result, needs = record.result, record.planned.needs
    declared = not needs or _declared(needs, capabilities)
    match result.verdict:
        case Verdict.PASS:
            short = {name: m for name, m in record.planned.sees if result.evidence.get(name, 0) < m}
            if short or not record.planned.sees:
                named = ", ".join(f"{name} {result.evidence.get(name, 0)} of {m}" for name, m in short.items())
                yield f"{where} is PASS without its evidence: {named or 'none is demanded'}."
            if not declared:
                yield f"{where} is PASS, but its capability, {needs}, is not declared."
            if result.reason:
                yield f"{where} is PASS and gives a reason for something else: {result.reason}."
        case Verdict.NOT_SUPPORTED:
            if declared:
                yield f"{where} is NOT_SUPPORTED, but {needs or 'a core clause'} " + (
                    "is declared." if needs else "has no capability that could be missing."
                )
            if result.evidence.get(ABSENCE_EVIDENCE, 0) < 1:
                yield f"{where} is NOT_SUPPORTED without evidence that the capability is absent."
        case Verdict.FAIL if result.failure is None:
            yield f"{where} is FAIL without saying what was seen."
        case Verdict.SKIPPED | Verdict.INCONCLUSIVE if not result.reason:
            yield f"{where} is {result.verdict} without a reason."
    if result.failure is not None and result.verdict not in (Verdict.FAIL, Verdict.PROVISIONAL):
        yield f"{where} is {result.verdict}, but holds the explanation of a failure: {result.failure.headline}."


def _declared(needs: str, capabilities: Mapping[str, Any]) -> bool:
    """Whether a need, as a certificate writes it (``groups``, ``order = per_key or total``), is declared."""
    name, equals, values = needs.partition(" = ")
    value = capabilities.get(name)
    return str(value) in values.split(" or ") if equals else bool(value)


def _sums(certificate: Certificate, data: dict[str, Any]) -> Iterator[str]:
    """What the certificate says as a whole must follow from its rows."""
    counts = {str(verdict): number for verdict, number in certificate.counts.items()}
    if data["counts"] != counts:
        yield f"Its counts are not those of its rows, which are {counts}."
    if data["level"] != certificate.level:
        yield f"It says {data['level']}, but from its rows follows {certificate.level}."


def _selftest(certificate: Certificate, installed: Installed) -> Iterator[str]:
    """A full certificate says whether the suite that made it can fail."""
    told = certificate.selftest
    if not told:
        if certificate.profile == "full" and not certificate.interrupted:
            yield "It is of the full profile, but does not say how the self-test of its suite ended."
        return
    if not {"seed", "mutants", "killed", "survivors"} <= told.keys():
        yield "It tells only a part of its self-test."
        return
    if told["killed"] + len(told["survivors"]) != told["mutants"] or told["mutants"] < 1:
        yield "The numbers of its self-test do not add up: each mutant was killed, or survived."
    if certificate.suite_digest == installed.suite_digest:
        concerns = {target.concern for target in certificate.targets}
        due = [clause for c in concerns for clause in installed.mutants.get(c, ())]
        due = [clause for clause in due if not certificate.selected or clause in certificate.selected]
        if told["mutants"] != len(due):
            yield f"Its self-test ran {told['mutants']} mutants, where {len(due)} clauses have one."


def _plan(certificate: Certificate, installed: Installed) -> Iterator[str]:
    """The rows must be those of the suite's plan, neither fewer nor more, and each as the suite has it."""
    stack = installed.stacks.get(certificate.stack)
    if stack is not None and stack != {target.target for target in certificate.targets}:
        yield f"It is of the {certificate.stack} stack, but has not the backends of that stack."
    for target in certificate.targets:
        known = {clause.id: clause for clause in installed.clauses.get(target.concern, ())}
        planned = {
            clause.id
            for clause in known.values()
            if (certificate.profile == "full" or clause.profile == "core")
            and (not certificate.selected or clause.id in certificate.selected)
        }
        rows = [record for record in certificate.clauses if record.result.target == target.target]
        absent = sorted(planned - {record.result.clause for record in rows})
        if absent:
            yield f"{target.target} lacks {len(absent)} of {len(planned)} planned clauses: {_some(absent)}."
        for record in rows:
            yield from _as_known(record, known, planned, f"{record.result.clause} of {target.target}")
    if certificate.selected:
        everywhere = {clause.id for clauses in installed.clauses.values() for clause in clauses}
        strange = sorted(set(certificate.selected) - everywhere)
        if strange:
            yield f"It was made for clauses that the suite does not have: {_some(strange)}."


def _as_known(record: ClauseRecord, known: Mapping[str, KnownClause], planned: set[str], where: str) -> Iterator[str]:
    result = record.result
    clause = known.get(result.clause)
    if clause is None:
        if not result.altered:  # a clause of the third party's own is marked so
            yield f"{where} is unknown to the suite that it names."
        return
    if result.clause not in planned:
        yield f"{where} is not planned for the profile {clause.profile!r} or the selection that the certificate names."
    here, there = record.planned, clause.planned
    if (here.rule, here.sees, here.needs) != (there.rule, there.sees, there.needs):
        yield f"{where} has another rule, evidence or capability than in the suite."
    if (here.because, here.learnt_from) != (there.because, there.learnt_from):
        yield f"{where} has another reason than in the suite."
    if result.verdict is Verdict.PROVISIONAL and not clause.provisional:
        yield f"{where} is PROVISIONAL, which that clause is not."


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _outdated(certificate: Certificate, installed: Installed) -> Iterator[str]:
    """What is installed now is not what the certificate speaks about."""
    if certificate.suite_digest != installed.suite_digest:
        yield (
            f"Another suite is installed: {installed.suite_digest[:12]} (stackproof {installed.version}), "
            f"where it was made by {certificate.suite_digest[:12]} (stackproof {certificate.version})."
        )
    elif certificate.version != installed.version:
        yield f"stackproof {installed.version} is installed, where it was made by {certificate.version}."
    for target in certificate.targets:
        now = installed.digests.get((target.target, target.backend), "")
        if target.digest and now != target.digest:
            yield (
                f"{target.target}: another {target.backend} is installed."
                if now
                else f"{target.target}: the source of {target.backend} is not to be found here."
            )
    for name, then, now in changed_since(certificate.environment, installed.drivers, drivers_only=True):
        yield f"{name} {now or 'is not installed, it'} is not the version of the certificate, {then}."


def _without_source(certificate: Certificate) -> Iterator[str]:
    """Two sources that are not known are not the same source."""
    for target in certificate.targets:
        if target.backend and not target.digest:
            yield f"{target.target}: the source of {target.backend} was not to be found when the certificate was made."


def _without_driver(certificate: Certificate, installed: Installed) -> Iterator[str]:
    """Certificates of earlier releases name the drivers of PostgreSQL and Redis only."""
    for target in certificate.targets:
        untold = [name for name in installed.needs.get(target.target, ()) if name not in certificate.environment]
        if target.backend and untold:
            yield f"{target.target}: it does not say with which version of {' and '.join(untold)} it was made."
