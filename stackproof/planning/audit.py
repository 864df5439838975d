"""The audit: a claim, held against what was measured and what it costs, and what follows. Pure.

A number that a backend is said to carry is *supported* where what was measured reaches it, and *loose* where it is exceeded by
more than `judging.LOOSE` times: then it is true, and not what binds. It is *unsupported* where a measurement ends before it. All
else is unknown, and unknown never counts for a claim: a lower bound alone (the generator was the limit) refutes nothing, an upper
bound alone supports nothing, and an interval that contains the number decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .audit_words import USUAL, How, says
from .ceilings import MeasuredCeiling
from .choosing import latest
from .claims import Claim, Method
from .cost_claims import CostFigure, judged_cost
from .headroom import Headroom, least, together
from .judging import Part, Verdict, about, part_of, refusals, worst

NOT_KNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Finding:
    """What the audit says about one claim."""

    claim: Claim
    verdict: Verdict
    headroom: Headroom | None
    """The ratio of what was measured (or computed) to what is claimed; None where nothing was."""
    binds: str
    """The dimension that binds first, as far as that is known."""
    sentences: tuple[str, ...]
    """The argument, from what was published to what follows."""
    caveats: tuple[str, ...]
    """What the measurements do not show, and what their runs warn of."""
    settled_by: tuple[str, ...]
    """What would settle it: commands where something was not measured, and facts that nobody published."""
    runs: tuple[str, ...]
    """The runs that the verdict rests on."""


def audit(
    claims: Sequence[Claim],
    ceilings: Sequence[MeasuredCeiling],
    costs: Mapping[str, Sequence[CostFigure]] | None = None,
    others: Mapping[str, Sequence[Headroom]] | None = None,
    how: How = USUAL,
) -> tuple[Finding, ...]:
    """One finding for each claim, in their order. ``costs`` and ``others`` by the id of a claim, as `judge` takes them."""
    costs, others = costs or {}, others or {}
    known = {claim.id for claim in claims}
    if strange := sorted((costs.keys() | others.keys()) - known):
        raise ValueError(f"there is no claim {strange[0]!r}")
    return tuple(judge(claim, ceilings, costs.get(claim.id, ()), others.get(claim.id, ()), how) for claim in claims)


def judge(
    claim: Claim,
    ceilings: Sequence[MeasuredCeiling],
    costs: Sequence[CostFigure] = (),
    others: Sequence[Headroom] = (),
    how: How = USUAL,
) -> Finding:
    """Hold one claim against what is known.

    ``ceilings`` may be all that there are: those about something else are left out. ``costs`` are those of the claim's subject
    at one or more volumes; at the claimed volume where the claim is about something else. ``others`` are head-rooms in
    dimensions that no load shows, such as storage: they say what binds, and decide no verdict. ``how``: the
    options of the commands that would measure what is missing.
    """
    if claim.judged_by is Method.NOTHING:
        return _beside(claim, ceilings, costs)
    if claim.judged_by is Method.COST:
        return _of_cost(claim, costs)
    parts = [part_of(claim, measure, ceilings, how) for measure in claim.scenarios]
    verdict = worst(part.verdict for part in parts)
    rooms = [part.headroom for part in parts if part.headroom is not None]
    if not rooms and not claim.testable:
        verdict = Verdict.NOT_TESTABLE
    room = together(rooms, str(claim.dimension))
    if room is not None and len(rooms) < len(parts):
        room = Headroom(room.dimension, 0.0, room.high, room.basis)  # the part that is missing may have none
    binds = _binds(claim, verdict, parts, others)
    return Finding(
        claim,
        verdict,
        room,
        binds,
        (
            says(claim),
            claim.reading,
            *(sentence for part in parts for sentence in part.sentences),
            *(figure.sentence for figure in costs),
            *([claim.why] if verdict is Verdict.NOT_TESTABLE else []),
            _follows(verdict, room, binds),
        ),
        _caveats(claim, parts),
        (*_unique(command for part in parts for command in part.missing), *claim.settles),
        _unique(run for part in parts for run in part.runs),
    )


def _beside(claim: Claim, ceilings: Sequence[MeasuredCeiling], costs: Sequence[CostFigure]) -> Finding:
    """No number was published: what was measured is told, and nothing follows."""
    ours = [about(claim, measure, ceilings) for measure in claim.scenarios]
    chosen = [found for group in ours if (found := latest(group)) is not None]
    told = [
        *(found.sentence for found in chosen),
        *(sentence for group in ours for sentence in refusals(group)),
        *(figure.sentence for figure in costs),
    ]
    return Finding(
        claim,
        Verdict.NOT_TESTABLE,
        None,
        _not_known(claim),
        (says(claim), claim.reading, *told, claim.why),
        _unique([*claim.not_shown, *(warning for found in chosen for warning in found.warnings)]),
        claim.settles,
        tuple(found.run for found in chosen),
    )


def _of_cost(claim: Claim, costs: Sequence[CostFigure]) -> Finding:
    found = judged_cost(claim, costs)
    verdict = found.verdict if costs or claim.testable else Verdict.NOT_TESTABLE
    largest = _unique(figure.largest for figure in costs if figure.largest)
    decided = verdict in (Verdict.SUPPORTED, Verdict.UNSUPPORTED, Verdict.LOOSE)
    binds = f"cost of {' or '.join(largest)}" if decided and largest else "cost" if decided else _not_known(claim)
    unknown = _unique(reason for figure in costs for reason in figure.unknown)
    return Finding(
        claim,
        verdict,
        found.headroom,
        binds,
        (
            says(claim),
            claim.reading,
            *found.sentences,
            *([claim.why] if verdict is Verdict.NOT_TESTABLE else []),
            f"So it is {verdict}{' at the volumes that were computed' if costs else ''}.",
        ),
        claim.not_shown,
        (*(f"to know what is not: {reason}" for reason in unknown), *claim.settles),
        (),
    )


def _binds(claim: Claim, verdict: Verdict, parts: Sequence[Part], others: Sequence[Headroom]) -> str:
    """Which dimension has the least head-room, where the verdict says that anything is known about it."""
    if verdict in (Verdict.NOT_MEASURED, Verdict.NOT_TESTABLE):
        return _not_known(claim)
    limits = {id(part.headroom): part.limiter for part in parts if part.headroom is not None}
    rooms = [part.headroom for part in parts if part.headroom is not None]
    leading = least([*rooms, *others])
    names = " or ".join(
        f"{room.dimension} ({limits[id(room)]})" if id(room) in limits else room.dimension for room in leading
    )
    ours_lead = any(id(room) in limits for room in leading)
    if verdict is Verdict.LOOSE and ours_lead:
        may = f"; it may be {'; or '.join(claim.binds)}" if claim.binds else ""
        return f"none that was measured ({names} has the least head-room{may})"
    return names if len(leading) == 1 else f"cannot tell: {names}"


def _not_known(claim: Claim) -> str:
    return f"{NOT_KNOWN}; it may be {'; or '.join(claim.binds)}" if claim.binds else NOT_KNOWN


def _follows(verdict: Verdict, room: Headroom | None, binds: str) -> str:
    measured = f"What was measured is {room.text} what is claimed" if room is not None else "Nothing was measured"
    return f"{measured}: {verdict}. What binds: {binds}."


def _caveats(claim: Claim, parts: Sequence[Part]) -> tuple[str, ...]:
    said = claim.not_shown
    return _unique(
        [*(f"Not shown: {text}." for text in said), *(warning for part in parts for warning in part.warnings)]
    )


def _unique(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
