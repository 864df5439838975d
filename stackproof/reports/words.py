"""The words that every writer uses for a certificate, so that page, JUnit and terminal say the same. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from stackproof.contracts.clauses import ABSENCE_EVIDENCE
from stackproof.contracts.smoke import Trouble
from stackproof.contracts.verdicts import Verdict
from stackproof.verification.certificate import Certificate, ClauseRecord, Level

SYMBOL = {
    Verdict.PASS: "✓",
    Verdict.FAIL: "✗",
    Verdict.NOT_SUPPORTED: "⊘",
    Verdict.SKIPPED: "–",
    Verdict.INCONCLUSIVE: "?",
    Verdict.PROVISIONAL: "~",
}
"""Beside the word, never instead of it."""

STYLE = {
    Verdict.PASS: "green",
    Verdict.FAIL: "bold red",
    Verdict.NOT_SUPPORTED: "blue",
    Verdict.SKIPPED: "yellow",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.PROVISIONAL: "magenta",
}
"""In a terminal."""

TONE = {
    Level.HOLDS: Verdict.PASS,
    Level.BROKEN: Verdict.FAIL,
    Level.INCONCLUSIVE: Verdict.INCONCLUSIVE,
    Level.PARTIAL: Verdict.SKIPPED,
}
"""The verdict that a level is coloured like."""

_MEANING = {
    Level.HOLDS: "Every planned clause passed, or needs what is not declared and was not seen.",
    Level.BROKEN: "At least one clause failed: a rule of the contract is broken.",
    Level.INCONCLUSIVE: "No clause failed, but at least one could not be decided. That is not a pass.",
    Level.PARTIAL: "No clause failed, but not everything that was planned counts: ",
}


def meaning(certificate: Certificate) -> str:
    """What the level says, in a sentence or two."""
    level = certificate.level
    survivors = certificate.selftest.get("survivors", ())
    if level is Level.INCONCLUSIVE and survivors:
        return (
            f"The suite did not prove that it can fail: {len(survivors)} of {certificate.selftest['mutants']} mutants survived "
            f"its self-test ({survivors[0]}), so what passed proves too little."
        )
    troubled = [target.target for target in certificate.targets if target.trouble != Trouble.NONE]
    if level is Level.INCONCLUSIVE and Verdict.INCONCLUSIVE not in certificate.counts and troubled:
        return f"No clause failed, but the first use of {' and '.join(troubled)} went wrong. That is not a pass."
    if level is Level.INCONCLUSIVE and Verdict.INCONCLUSIVE not in certificate.counts:
        return "Nothing was verified: no clause passed and none failed."
    if level is not Level.PARTIAL:
        return _MEANING[level]
    skipped = certificate.counts.get(Verdict.SKIPPED, 0)
    altered = sum(bool(record.result.altered) for record in certificate.clauses)
    why = [f"{skipped} not executed"] * bool(skipped) + [f"{altered} altered"] * bool(altered)
    why += ["only the clauses that were asked for were planned"] * bool(certificate.selected)
    return _MEANING[level] + ", ".join(why + ["the run was interrupted"] * certificate.interrupted) + "."


@dataclass(frozen=True, slots=True)
class Sighting:
    """One kind of evidence: how often it was seen, and how often it had to be."""

    name: str
    count: int
    minimum: int | None
    """None where nothing was demanded of it."""

    def __str__(self) -> str:
        return f"{self.name}: {self.count}" + ("" if self.minimum is None else f" (needs {self.minimum})")

    @property
    def short(self) -> str:
        return f"{self.count}" if self.minimum is None else f"{self.count}/{self.minimum}"


def sightings(record: ClauseRecord) -> list[Sighting]:
    """The evidence of a clause, what was demanded first. Nothing for one that never ran."""
    seen, verdict = record.result.evidence, record.result.verdict
    absent = verdict is Verdict.NOT_SUPPORTED or (ABSENCE_EVIDENCE in seen)
    demanded = {ABSENCE_EVIDENCE: 1} if absent else dict(record.planned.sees)
    if verdict is Verdict.SKIPPED and not seen:
        return []
    return [Sighting(name, seen.get(name, 0), minimum) for name, minimum in demanded.items()] + [
        Sighting(name, count, None) for name, count in seen.items() if name not in demanded
    ]


def groups(certificate: Certificate) -> dict[tuple[str, str], list[ClauseRecord]]:
    """(concern, target) -> its clauses, in the order of the certificate; a target without clauses is there too."""
    found: dict[tuple[str, str], list[ClauseRecord]] = {(t.concern, t.target): [] for t in certificate.targets}
    for record in certificate.clauses:
        found.setdefault((record.result.concern, record.result.target), []).append(record)
    return found


def by_reason(records: list[ClauseRecord]) -> dict[tuple[str, Verdict, str], list[ClauseRecord]]:
    """(target, verdict, reason) -> clauses: what has one cause is told once."""
    found: dict[tuple[str, Verdict, str], list[ClauseRecord]] = {}
    for record in records:
        found.setdefault((record.result.target, record.result.verdict, record.result.reason), []).append(record)
    return found


def counted(number: int, noun: str) -> str:
    """A number and its noun, in the plural where it is one."""
    return f"{number} {noun}" + ("" if number == 1 else "s")
