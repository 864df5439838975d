"""How claims read in the sentences of an audit, and the commands that would measure what is missing. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stackproof.scenarios.catalogue import find_scenario
from stackproof.targets import find_stack

from .claims import Claim, Comparison, Measure, Method
from .crossing import Crossing, Outcome
from .origins import EMBEDDED, origin_for, typed


@dataclass(frozen=True, slots=True)
class How:
    """How what is missing is to be measured."""

    promises: tuple[str, ...] = ("p99=20ms",)
    """Two backends can only be compared under one promise."""
    origin: str = EMBEDDED
    """Where servers come from, as far as they can be had there."""


USUAL = How()
_WORDS = {
    Comparison.LESS_THAN: "less than ",
    Comparison.AT_MOST: "at most ",
    Comparison.AT_LEAST: "at least ",
    Comparison.BETWEEN: "between ",
    Comparison.EQUALS: "",
}


def says(claim: Claim) -> str:
    """What was published, and the number that it comes to: ``less than 10,000 decisions/day, which is 0.1157/s``."""
    published = f"“{claim.sentence}”" if claim.verbatim else f"In its sense: {claim.sentence}"
    return f"{published} ({claim.where}): {number(claim)}."


def number(claim: Claim) -> str:
    """The number of a claim with its unit and side."""
    if claim.quantity is None:
        return "no number"
    ends = f"{claim.quantity:,.6g}" if claim.quantity < 1 else f"{claim.quantity:,.0f}"
    if claim.upto is not None:
        ends += f" and {claim.upto:,.0f}"
    rate = "" if claim.rate is None or claim.unit.endswith("/s") else f", which is {claim.rate:.4g}/s"
    return f"{_WORDS[claim.comparison]}{ends} {claim.unit}{rate}"


def commands(claim: Claim, measure: Measure, seen: Crossing | None = None, how: How = USUAL) -> tuple[str, ...]:
    """What to type to measure what this claim lacks. ``how``: what all of these commands have."""
    if claim.judged_by is Method.CROSSING:
        sizes = _sizes(claim, seen)
        return tuple(
            _command(claim, measure, backend, size, how) for size in sizes for backend in (claim.backend, claim.against)
        )
    if claim.judged_by is Method.SIZE and claim.quantity is not None:
        return (_command(claim, measure, claim.backend, round(claim.quantity), how),)
    return (_command(claim, measure, claim.backend, None, how),)


def _sizes(claim: Claim, seen: Crossing | None) -> tuple[int, ...]:
    """Those of the claim that were not compared, else where nobody is ahead; and the middle of a crossing around the number."""
    ahead = dict(seen.leads) if seen is not None else {}
    middle: tuple[int, ...] = ()
    sizes = claim.sizes
    if seen is not None and seen.outcome is Outcome.CROSSING and seen.low is not None and seen.high is not None:
        sizes = tuple(size for size in sizes if size < seen.low)
        middle = (round(math.sqrt(seen.low * seen.high)),) if seen.low < claim.size else ()
    missing = tuple(size for size in sizes if size not in ahead)
    return (*(missing or (size for size in sizes if not ahead[size])), *middle) or claim.sizes


def _command(claim: Claim, measure: Measure, backend: str, size: int | None, how: How) -> str:
    settings = dict(measure.settings) | ({claim.setting: size} if size is not None else {})
    several = len(find_scenario(measure.scenario).concerns) > 1
    what = f"--stack {claim.stack}" if claim.stack and (several or not backend) else f"--backend {backend}"
    words = ["stackproof bench", what, f"--scenario {measure.scenario}"]
    words += [f"--set {name}={value}" for name, value in settings.items()]
    command = " ".join([*words, "--find-max", *(f"--slo {promise}" for promise in how.promises)])
    return typed(command, origin_for(_backends(claim, measure, backend), how.origin))


def _backends(claim: Claim, measure: Measure, backend: str) -> tuple[str, ...]:
    """Those that the command starts servers for."""
    stack = find_stack(claim.stack).backends if claim.stack else {}
    named = tuple(
        f"{concern}={stack[concern]}" for concern in find_scenario(measure.scenario).concerns if concern in stack
    )
    return named if claim.stack and (len(named) > 1 or not backend) else tuple(filter(None, (backend,)))
