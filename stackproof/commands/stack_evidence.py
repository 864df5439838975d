"""What `stackproof stacks` tells of each stack beside its cost: variables, and what was verified and measured of its backends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from stackproof.adapters.registry import CONCERNS
from stackproof.contracts.secrets import scrubbed
from stackproof.planning.capacity import DECISION, DECISION_CONCERNS
from stackproof.planning.ceilings import MeasuredCeiling
from stackproof.planning.measured import Known, known_ceilings
from stackproof.planning.stacks import Part, PlannedStack
from stackproof.scenarios.catalogue import BUILT_IN
from stackproof.verification.latest import Shown
from stackproof.verification.latest import latest as last_shown

from .options import print_line, print_table

USUAL = {scenario.name: dict(scenario.settings) for scenario in BUILT_IN}
"""The settings of each scenario unless others are given: those need not be told."""
_MOST = 3
"""Ceilings that are told of one backend in the table; --json has them all."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of all backends."""

    verified: Mapping[str, Shown]
    known: Known

    @classmethod
    def of(cls, runs: Path) -> Evidence:
        """From the certificates and runs that are kept, and what came with the package."""
        return cls(last_shown(), known_ceilings(runs))

    def measured(self, target: str) -> list[MeasuredCeiling]:
        """The ceiling that counts, of each scenario (with its settings) and promise, of the backend alone."""
        return self._counting(one for one in self.known.all if one.backends == (target,))

    def whole(self, stack: PlannedStack) -> list[MeasuredCeiling]:
        """Of whole decisions on the stack."""
        names = tuple(sorted(f"{concern}={stack.parts[concern].backend}" for concern in DECISION_CONCERNS))
        return self._counting(one for one in self.known.all if one.backends == names and one.scenario == DECISION)

    def _counting(self, ceilings: Iterable[MeasuredCeiling]) -> list[MeasuredCeiling]:
        groups: dict[object, list[MeasuredCeiling]] = {}
        for one in ceilings:
            groups.setdefault((one.measured, one.promises), []).append(one)
        found = []
        for group in groups.values():
            own = Known(
                tuple(one for one in group if one in self.known.own),
                tuple(one for one in group if one not in self.known.own),
            )
            counts = own.best(lambda _: True)
            if counts is not None:
                found.append(counts)
        return found


def show(stacks: Iterable[PlannedStack], evidence: Evidence) -> None:
    """A table for each stack."""
    for stack in stacks:
        click.echo()
        print_line(f"{stack.name}: {stack.title}")
        click.echo()
        print_table(
            ("concern", "backend", "variables", "verified", "measured"),
            [_row(stack.parts[concern], evidence) for concern in CONCERNS],
        )
        for one in evidence.whole(stack):
            print_line(f"As a whole: {one.sentence}")


def _row(part: Part, evidence: Evidence) -> tuple[str, ...]:
    target = f"{part.concern}={part.backend}"
    shown = evidence.verified.get(target)
    verified = (
        "not verified yet"
        if shown is None
        else f"{shown.level} ({shown.profile}, {shown.fidelity}, {shown.created[:10]}{', published' if shown.published else ''})"
    )
    ceilings = evidence.measured(target)
    told = [_short(one) for one in ceilings[:_MOST]]
    if len(ceilings) > _MOST:
        told.append(f"and {len(ceilings) - _MOST} more")
    name = f"{part.backend} ({part.hosting})" if part.hosting else part.backend
    return part.concern, name, "\n".join(part.variables) or "default", verified, "\n".join(told) or "not measured yet"


def _short(one: MeasuredCeiling) -> str:
    upper = "" if one.high is None else f" to {one.high:,.4g}"
    more = " or more" if one.high is None else ""
    usual = USUAL.get(one.scenario, {})
    told = [name for name, value in one.settings.items() if name == "records" or usual.get(name) != value]
    settings = "".join(f" {name}={one.settings[name]}" for name in told)
    about = ", ".join((*one.promises, one.fidelity, one.origin, one.date[:10]))
    return f"{one.scenario}{settings}: {one.low:,.4g}{upper}{more} {one.unit} ({about})"


def parts_json(stack: PlannedStack, evidence: Evidence) -> list[dict[str, Any]]:
    """Its concerns as JSON."""
    rows = []
    for concern in CONCERNS:
        part = stack.parts[concern]
        target = f"{concern}={part.backend}"
        shown = evidence.verified.get(target)
        row: dict[str, Any] = {
            "concern": concern,
            "backend": part.backend,
            "hosting": part.hosting,
            "variables": shown_variables(part.variables),
            "measured": [ceiling_json(one) for one in evidence.measured(target)],
        }
        if shown is not None:
            row["verified"] = asdict(shown)
        rows.append(row)
    return rows


def shown_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Variables as they may be shown: a stack file of somebody's own may have passwords in it."""
    return {name: scrubbed(f"{name}={value}").removeprefix(f"{name}=") for name, value in variables.items()}


def ceiling_json(one: MeasuredCeiling) -> dict[str, Any]:
    """A ceiling as JSON, without the machine: the run has it."""
    return {
        "scenario": one.scenario,
        "settings": dict(one.settings),
        "low": one.low,
        "high": one.high,
        "unit": one.unit,
        "limiter": one.limiter,
        "promises": list(one.promises),
        "fidelity": one.fidelity,
        "origin": one.origin,
        "run": one.run,
        "date": one.date,
    }
