"""Claims about a monthly cost, held against what a cost model says at one or more volumes. Pure.

A published cost without a volume says that there is one at which it is right: it is supported where a computed cost lies within
it, unsupported where every computed one lies far on one side of it. A cost of nothing must be right at every volume computed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from .audit_words import number
from .bill import BackendCost
from .claims import COST_UNIT, Claim, Comparison
from .cost import StackCost
from .headroom import Headroom
from .judging import LOOSE, Verdict

MODEL_ERROR = 2.0
"""Only a cost that is this many times too high, or too low, refutes a claim. A choice: a model has list prices, and sizes of
machines that somebody else would choose smaller or larger."""
NOTHING = 1.0
"""USD a month that are as good as nothing."""


@dataclass(frozen=True, slots=True)
class CostFigure:
    """What a month costs at one volume, in USD."""

    at: str
    """The volume, such as ``10,000 decisions/day``."""
    low: float
    """The sum of what is known, at its least: 0 where nothing is."""
    high: float | None
    """None where a part of it is unknown."""
    source: str
    """The price book and its date, or a bill."""
    unknown: tuple[str, ...] = ()
    """Why it is not all of it, a sentence each, as `amount.Amount` has them."""
    largest: str = ""
    """The part that costs most."""

    def __post_init__(self) -> None:
        if not 0 <= self.low < math.inf or (self.high is not None and not self.low <= self.high < math.inf):
            raise ValueError(f"[{self.low}, {self.high}] USD is no cost of a month")

    @property
    def upper(self) -> float | None:
        """None where anything is unknown, whatever the sum of the rest."""
        return None if self.unknown else self.high

    @property
    def sentence(self) -> str:
        """What it says."""
        known = f"at least ${self.low:,.2f}" if self.upper is None else f"${self.low:,.2f} to ${self.upper:,.2f}"
        if self.upper == self.low:
            known = f"${self.low:,.2f}"
        without = f"; not in it: {'; '.join(self.unknown)}" if self.unknown else ""
        return f"At {self.at} a month costs {known} (by a model: {self.source}){without}."


def figure_of(cost: BackendCost | StackCost, at: str, source: str) -> CostFigure:
    """The figure of a computed cost. ``at`` is its volume. ValueError where it is in another currency than claims are."""
    total = cost.total
    if f"{total.currency}/month" != COST_UNIT:
        raise ValueError(f"a cost in {total.currency} cannot be held against a claim in {COST_UNIT}")
    if isinstance(cost, StackCost):
        parts = [(f"{one.concern}={one.backend}", one.total) for one in cost.backends]
    else:
        parts = [(line.item, line.amount) for line in cost.lines]
    name, most = max(parts, key=lambda part: part[1].high, default=("", total))
    return CostFigure(at, float(total.low), float(total.high), source, total.unknown, name if most.high else "")


class _Side(StrEnum):
    WITHIN = "within"
    BELOW = "below by more than the model may be wrong"
    ABOVE = "above by more than the model may be wrong"
    FAR = "far above"
    UNKNOWN = "not clear enough to tell"


@dataclass(frozen=True, slots=True)
class CostVerdict:
    """What computed costs say about a claim."""

    verdict: Verdict
    headroom: Headroom | None
    """Of what is computed to what is claimed (the upper end of a range): above 1 it costs more."""
    sentences: tuple[str, ...]


def judged_cost(claim: Claim, figures: Sequence[CostFigure]) -> CostVerdict:
    """Hold a claim about cost against figures of its subject, at different volumes."""
    if not figures:
        return CostVerdict(Verdict.NOT_MEASURED, None, (f"No cost of {claim.subject} was computed.",))
    sides = [_side(claim, figure) for figure in figures]
    every = claim.comparison in (Comparison.EQUALS, Comparison.AT_MOST)
    verdict = _for_all(sides) if every else _for_any(sides)
    sentences = [figure.sentence for figure in figures]
    sentences += [
        f"Claimed is {number(claim)}: the cost at {figure.at} is {side}."
        for figure, side in zip(figures, sides, strict=True)
    ]
    if every and verdict is Verdict.UNSUPPORTED and (right := _at(figures, sides, _Side.WITHIN)):
        sentences.append(f"So it is right at {right}, and wrong at {_at(figures, sides, _Side.ABOVE, _Side.BELOW)}.")
    return CostVerdict(verdict, _headroom(claim, figures), tuple(sentences))


def _at(figures: Sequence[CostFigure], sides: Sequence[_Side], *wanted: _Side) -> str:
    """The volumes at which it is so."""
    return "; ".join(figure.at for figure, side in zip(figures, sides, strict=True) if side in wanted)


def _side(claim: Claim, figure: CostFigure) -> _Side:
    assert claim.quantity is not None
    least, most = {
        Comparison.EQUALS: (claim.quantity, claim.quantity + NOTHING),
        Comparison.AT_MOST: (0.0, claim.quantity),
        Comparison.AT_LEAST: (claim.quantity, math.inf),
        Comparison.BETWEEN: (claim.quantity, claim.upto or math.inf),
    }[claim.comparison]
    if figure.low > most * MODEL_ERROR:
        return _Side.ABOVE
    if figure.low >= least and math.isinf(most):
        # An unknown part only adds to it.
        return _Side.FAR if figure.low > LOOSE * least else _Side.WITHIN
    if figure.upper is None:
        return _Side.UNKNOWN
    if figure.upper < least / MODEL_ERROR:
        return _Side.BELOW
    return _Side.WITHIN if figure.low >= least and figure.upper <= most else _Side.UNKNOWN


def _for_all(sides: Sequence[_Side]) -> Verdict:
    if any(side in (_Side.ABOVE, _Side.BELOW) for side in sides):
        return Verdict.UNSUPPORTED
    return Verdict.SUPPORTED if all(side is _Side.WITHIN for side in sides) else Verdict.NOT_MEASURED


def _for_any(sides: Sequence[_Side]) -> Verdict:
    seen = set(sides)
    if _Side.WITHIN in seen:
        return Verdict.SUPPORTED
    if len(seen) > 1 or _Side.UNKNOWN in seen:
        return (
            Verdict.NOT_MEASURED
        )  # below at one volume and above at another: the volume that is meant may lie between
    return Verdict.LOOSE if seen == {_Side.FAR} else Verdict.UNSUPPORTED


def _headroom(claim: Claim, figures: Sequence[CostFigure]) -> Headroom | None:
    claimed = claim.upto or claim.quantity
    if not claimed:
        return None
    known = [figure.upper for figure in figures if figure.upper is not None]
    high = max(known) / claimed if len(known) == len(figures) else None
    return Headroom("cost", min(figure.low for figure in figures) / claimed, high, "the cost model")
