"""Verdicts: what is known about one clause on one backend, and how verdicts add up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum


class Verdict(StrEnum):
    """The six ends of a clause. There is no seventh: what is not known is INCONCLUSIVE."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    """The rule held, and the evidence that it must see was seen."""
    FAIL = "FAIL"
    """The rule was broken."""
    NOT_SUPPORTED = "NOT_SUPPORTED"
    """The capability is not declared, and was proven absent; or, of an order, cannot be seen to be absent, as the reason says."""
    SKIPPED = "SKIPPED"
    """The environment could not run it. Makes the result partial."""
    INCONCLUSIVE = "INCONCLUSIVE"
    """Too little evidence, out of time, or the checker crashed. Never counts as a pass."""
    PROVISIONAL = "PROVISIONAL"
    """A new clause in its first release: reported, not counted."""


# What a sum of verdicts is, worst first: a broken rule is certain, and *unknown* dominates *pass*.
_DOMINANCE = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.SKIPPED)


def overall(verdicts: Iterable[Verdict]) -> Verdict:
    """FAIL, INCONCLUSIVE or SKIPPED if any clause ended so; PASS otherwise. Of nothing: INCONCLUSIVE."""
    present = set(verdicts)
    for verdict in _DOMINANCE:
        if verdict in present:
            return verdict
    return Verdict.PASS if Verdict.PASS in present else Verdict.INCONCLUSIVE


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a clause did not hold, in words about the backend."""

    headline: str
    """What went wrong, in one line."""
    done: tuple[str, ...] = ()
    """The last calls on the backend, oldest first, as Python would write them, with what came back."""
    expected: str = ""
    seen: str = ""
    again: str = ""
    """A command that repeats this clause alone."""
    alone: str = ""
    """The same without a verification around it: a script that was written for this failure. Empty where none was."""


@dataclass(frozen=True, slots=True)
class ClauseResult:
    """How one planned clause ended on one backend."""

    clause: str
    concern: str
    target: str
    verdict: Verdict
    reason: str = ""
    """One sentence for every verdict but PASS."""
    evidence: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    altered: str = ""
    """How the third party changed this clause (overridden, marked, deselected); empty where it is ours."""
    failure: Failure | None = None
    notes: tuple[str, ...] = ()
    again: str = ""
    """A command that repeats this clause alone, where it was executed and could not be decided; a failure has its own."""

    @property
    def undecided(self) -> bool:
        """Whether it may be decided by a repetition."""
        return self.verdict is Verdict.INCONCLUSIVE and self.failure is None


def worse(first: ClauseResult, second: ClauseResult) -> ClauseResult:
    """The end of a clause that ran twice, as it does where its class is parametrised: nothing of the worse end is lost."""
    sides = (first, second)
    bad = next((side for verdict in _DOMINANCE for side in sides if side.verdict is verdict), None)
    if bad is None and first.verdict is not second.verdict:
        named = " and ".join(sorted({str(first.verdict), str(second.verdict)}))
        bad = replace(first, verdict=Verdict.INCONCLUSIVE, reason=f"it ended differently for its parameters: {named}")
    chosen = bad or (second if second.failure is not None else first)
    return replace(
        chosen,
        seconds=round(first.seconds + second.seconds, 4),
        altered=chosen.altered or first.altered or second.altered,
        notes=tuple(dict.fromkeys((*first.notes, *second.notes))),
    )
