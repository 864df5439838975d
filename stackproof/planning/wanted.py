"""What has to be measured so that claims can be judged: from claims and what is known already, in order. Pure.

What decides most comes first: a claim about a rate is decided by one search; one about a size needs data to be filled in, too;
of a claim without a number what is measured is only told; a comparison of two backends takes a search for each size and kind,
and decides nothing while the other backend cannot run here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from stackproof.interfaces import ConfigurationError
from stackproof.measurement.promises import Promise
from stackproof.scenarios.catalogue import find_scenario
from stackproof.scenarios.steps.base import Value
from stackproof.targets import find_stack

from .ceilings import MeasuredCeiling
from .claims import Claim, Measure, Method
from .judging import Verdict, about, part_of

Serves = Callable[[str], str]
"""Why a target, such as ``search=opensearch``, cannot be measured from the origin that is asked for; empty where it can."""


@dataclass(frozen=True, slots=True)
class Need:
    """A search for a ceiling that claims ask for."""

    backends: tuple[str, ...]
    """One for each concern of the scenario: ``concern=spec``, sorted."""
    scenario: str
    settings: tuple[tuple[str, Value], ...]
    """Beside the scenario's own defaults."""
    promises: tuple[Promise, ...]
    claims: tuple[str, ...] = field(compare=False)
    """The ids of those that ask for it."""
    unreachable: str = field(default="", compare=False)
    """Why it cannot be measured here; empty where it can."""
    alone: bool = field(default=False, compare=False)
    """Whether it is the half of a comparison whose other half cannot be had here: it decides nothing yet."""

    @property
    def command(self) -> str:
        """What measures it alone, but for the origin (`origins.origin_for`)."""
        words = ["stackproof bench", *(f"--backend {backend}" for backend in self.backends)]
        words += [f"--scenario {self.scenario}", *(f"--set {name}={value}" for name, value in self.settings)]
        return " ".join([*words, "--find-max", *(f"--slo {promise.text}" for promise in self.promises)])


def needs(
    claims: Sequence[Claim], ceilings: Sequence[MeasuredCeiling], promises: Sequence[Promise], serves: Serves
) -> tuple[Need, ...]:
    """The searches that are missing, the most deciding ones first, each once; those that cannot run here last."""
    ranked: dict[Need, tuple[int, int, list[str], str]] = {}
    for number, claim in enumerate(claims):
        for rank, backends, measure, settings in _asked(claim, ceilings, serves):
            need = Need(backends, measure.scenario, tuple(sorted(settings.items())), tuple(promises), ())
            missing = _refused(need) or next((reason for backend in backends if (reason := serves(backend))), "")
            first, place, ids, _ = ranked.setdefault(need, (rank, number, [], missing))
            ids += [claim.id] if claim.id not in ids else []
            ranked[need] = (min(first, rank), place, ids, missing)
    # Sorting is stable: within a rank, the order in which claims and their sizes came.
    order = sorted(ranked.items(), key=lambda item: (bool(item[1][3]), item[1][0]))
    return tuple(
        replace(need, claims=tuple(ids), unreachable=missing, alone=rank == _HALF)
        for need, (rank, _, ids, missing) in order
    )


_Asked = tuple[int, tuple[str, ...], Measure, dict[str, Value]]
"""Rank, backends, scenario, settings."""
_RATE, _SIZE, _BESIDE, _CROSSING, _HALF = range(5)


def _asked(claim: Claim, ceilings: Sequence[MeasuredCeiling], serves: Serves) -> Iterable[_Asked]:
    """What one claim asks for that is not known."""
    for measure in claim.scenarios:
        if claim.judged_by is Method.CROSSING:
            yield from _for_a_crossing(claim, measure, ceilings, serves)
            continue
        backends = backends_of(claim, measure)
        if not backends:
            continue
        if claim.judged_by is Method.NOTHING:
            if not any(one.valid for one in about(claim, measure, ceilings)):
                yield _BESIDE, backends, measure, dict(measure.settings)
        elif part_of(claim, measure, ceilings).verdict is Verdict.NOT_MEASURED and not _searched(
            claim, measure, ceilings
        ):
            sized = {claim.setting: claim.size} if claim.judged_by is Method.SIZE else {}
            yield (_SIZE if sized else _RATE), backends, measure, {**measure.settings, **sized}


def _refused(need: Need) -> str:
    """Why the scenario does not take these settings; a claim may name a size that is out of its bounds."""
    try:
        find_scenario(need.scenario, dict(need.settings))
    except ConfigurationError as error:
        return str(error)
    return ""


def backends_of(claim: Claim, measure: Measure) -> tuple[str, ...]:
    """The backends that a scenario of a claim runs on; none where the claim does not say them all."""
    concerns = find_scenario(measure.scenario, measure.settings).concerns
    stack = find_stack(claim.stack).backends if claim.stack else {}
    named = {concern: f"{concern}={backend}" for concern, backend in stack.items()}
    if claim.backend:
        named[claim.concern] = claim.backend
    chosen = sorted(named[concern] for concern in concerns if concern in named)
    return tuple(chosen) if len(chosen) == len(concerns) else ()


def _searched(claim: Claim, measure: Measure, ceilings: Sequence[MeasuredCeiling]) -> bool:
    """Whether the very search that would be asked for was done, and decides nothing: another one would say the same."""
    return any(
        one.valid and one.searched and (claim.judged_by is Method.RATE or one.settings.get(claim.setting) == claim.size)
        for one in about(claim, measure, ceilings)
    )


def _for_a_crossing(
    claim: Claim, measure: Measure, ceilings: Sequence[MeasuredCeiling], serves: Serves
) -> Iterable[_Asked]:
    """Both backends at each size, unless their points are there; only one of them is the half of an answer."""
    known = {
        (one.backend, one.settings.get(claim.setting))
        for one in about(claim, measure, ceilings)
        if one.valid and one.searched
    }
    both = (claim.backend, claim.against)
    for size in claim.sizes:
        decidable = all((backend, size) in known or not serves(backend) for backend in both)
        for backend in both:
            if (backend, size) not in known:
                settings = {**measure.settings, claim.setting: size}
                yield (_CROSSING if decidable else _HALF), (backend,), measure, settings
