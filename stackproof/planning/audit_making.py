"""From claims, ceilings and costs to the rows of an audit's record. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

from .audit import Finding
from .audit_record import ClaimFinding, CostAt, MeasuredBeside, RunUsed
from .audit_words import number
from .ceilings import MeasuredCeiling
from .choosing import latest
from .claims import Claim, Method
from .cost_claims import CostFigure
from .judging import about


def finding_row(found: Finding, costs: Iterable[CostFigure] = ()) -> ClaimFinding:
    """A finding as it is told, with the costs of its subject."""
    claim = found.claim
    return ClaimFinding(
        claim=claim.id,
        sentence=claim.sentence,
        verbatim=claim.verbatim,
        where=claim.where,
        subject=claim.subject,
        number=number(claim),
        judged_by=str(claim.judged_by),
        verdict=found.verdict,
        headroom=found.headroom,
        costs=tuple(CostAt(figure.at, figure.low, figure.upper, figure.unknown) for figure in costs),
        binds=found.binds,
        argument=found.sentences,
        caveats=found.caveats,
        settled_by=found.settled_by,
        runs=found.runs,
    )


def beside_rows(claims: Iterable[Claim], ceilings: Sequence[MeasuredCeiling]) -> tuple[MeasuredBeside, ...]:
    """Of each claim about a rate the measured rate beside it, scenario by scenario; claims about a whole stack first."""
    rows = [
        _beside(claim, claim.rate * measure.per_unit, found)
        for claim in sorted(claims, key=lambda claim: not claim.stack)
        if claim.judged_by is Method.RATE and claim.rate
        for measure in claim.scenarios
        if (found := latest(about(claim, measure, ceilings))) is not None
    ]
    return tuple(rows)


def _beside(claim: Claim, need: float, found: MeasuredCeiling) -> MeasuredBeside:
    return MeasuredBeside(
        claim=claim.id,
        subject=f"the stack {claim.stack}" if claim.stack else claim.subject,
        scenario=found.scenario,
        unit=found.unit,
        claimed=need,
        published=f"{claim.quantity:,.6g} {claim.unit}",
        low=found.low,
        high=found.high,
        limiter=found.limiter,
        promises=found.promises,
        run=found.run,
        origin=found.origin,
        fidelity=found.fidelity,
    )


def run_rows(ceilings: Iterable[MeasuredCeiling], named: Set[str], new: Set[str]) -> tuple[RunUsed, ...]:
    """The runs that findings and tables name, the last ones first."""
    ours = [one for one in ceilings if one.run in named or one.run in new]
    return tuple(
        RunUsed(one.run, one.sentence, one.date, one.origin, one.fidelity, one.run in new)
        for one in sorted(ours, key=lambda one: (one.when, one.run), reverse=True)
    )
