"""Two backends beside each other, size by size and kind by kind, as tables with intervals. Pure.

The tables hold more than a claim asks for: every kind of query that was measured of one of the two, also those which the reading
of the claim leaves out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .ceilings import MeasuredCeiling
from .choosing import latest
from .claims import Claim, Measure, Method
from .crossing import Crossing, crossing, points_of
from .judging import about


@dataclass(frozen=True, slots=True)
class Cell:
    """What one backend carries at one size."""

    low: float
    high: float | None
    """None: not known upwards."""
    unit: str
    limiter: str
    origin: str
    run: str


@dataclass(frozen=True, slots=True)
class Row:
    """Both backends at one size."""

    size: int
    first: Cell | None
    """None: not measured."""
    second: Cell | None
    ahead: str
    """Who is ahead for certain; empty for nobody, or where only one of them was measured."""


@dataclass(frozen=True, slots=True)
class Table:
    """One kind of query."""

    claim: str
    """The id of the claim that asks for it."""
    kind: str
    """The scenario."""
    asked: bool
    """Whether the claim is judged by it; else it is told beside."""
    setting: str
    """What the size is: records."""
    first: str
    second: str
    rows: tuple[Row, ...]
    outcome: str
    low: int | None
    high: int | None
    """Of a crossing: the last size at which the one is ahead for certain, and the first at which the other is."""
    estimate: tuple[float, float] | None
    sentence: str
    caveat: str
    """What is unlike between the two beside the backend; empty for nothing."""


def crossing_tables(claims: Iterable[Claim], ceilings: Sequence[MeasuredCeiling]) -> tuple[Table, ...]:
    """The tables of all claims that compare two backends, in their order; kinds of the claim first."""
    return tuple(
        _table(claim, measure, ceilings)
        for claim in claims
        if claim.judged_by is Method.CROSSING
        for measure in (*claim.scenarios, *_others(claim, ceilings))
    )


def _others(claim: Claim, ceilings: Sequence[MeasuredCeiling]) -> Iterable[Measure]:
    known = {measure.scenario for measure in claim.scenarios}
    for one in ceilings:
        ours = one.valid and one.backends in ((claim.backend,), (claim.against,)) and claim.setting in one.settings
        if ours and one.scenario not in known and ":" not in one.scenario:
            known.add(one.scenario)
            yield Measure(one.scenario)


def _table(claim: Claim, measure: Measure, ceilings: Sequence[MeasuredCeiling]) -> Table:
    ours = about(claim, measure, ceilings)
    found = crossing(points_of(ours, measure.scenario, claim.setting), claim.backend, claim.against, measure.scenario)
    cells = {backend: _cells(ours, backend, claim.setting) for backend in (claim.backend, claim.against)}
    first, second = cells[claim.backend], cells[claim.against]
    ahead = dict(found.leads)
    sizes = sorted({*claim.sizes, *first, *second})
    rows = tuple(Row(size, first.get(size), second.get(size), ahead.get(size, "")) for size in sizes)
    return Table(
        claim=claim.id,
        kind=measure.scenario,
        asked=measure in claim.scenarios,
        setting=claim.setting,
        first=claim.backend,
        second=claim.against,
        rows=rows,
        outcome=str(found.outcome),
        low=found.low,
        high=found.high,
        estimate=found.estimate,
        sentence=found.sentence,
        caveat=_caveat(rows, found),
    )


def _cells(ceilings: Iterable[MeasuredCeiling], backend: str, setting: str) -> Mapping[int, Cell]:
    groups: dict[int, list[MeasuredCeiling]] = {}
    for one in ceilings:
        size = one.settings.get(setting)
        if one.backend == backend and isinstance(size, int) and size > 0:
            groups.setdefault(size, []).append(one)
    chosen = {size: latest(group) for size, group in groups.items()}
    return {
        size: Cell(one.low, one.high, one.unit, one.limiter, one.origin, one.run)
        for size, one in chosen.items()
        if one is not None
    }


def _caveat(rows: Iterable[Row], found: Crossing) -> str:
    """A server in a container is reached in another way than one from a wheel: the two are not on the same footing."""
    compared = {size for size, _ in found.leads}
    unlike = [
        row.size
        for row in rows
        if row.size in compared and row.first and row.second and row.first.origin != row.second.origin
    ]
    if not unlike:
        return ""
    return "The two ran on servers of different origins (embedded and container), which is a difference beside the backend."
