"""Which kept runs an audit (or a plan) may rest on, and why it leaves the others out. Pure.

A run counts where it was made by this build, on this machine, under the promises that are asked about. Another build may be
faster or slower, another machine is; and what holds without a promise, or under another one, answers another question.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from stackproof.measurement.environment import changed_since
from stackproof.measurement.promises import Promise
from stackproof.measurement.record import Measurement, from_json

from .ceilings import MeasuredCeiling, ceiling_of
from .origins import EXTERNAL


@dataclass(frozen=True, slots=True)
class Here:
    """What a run is held against before it counts."""

    version: str
    build: str
    """The digest of the contracts, as certificates and runs name it."""
    machine: Mapping[str, str]
    """As `verification.environment.describe_environment` gives it."""
    origin: str
    promises: tuple[Promise, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A kept run that is not used."""

    run: str
    reason: str


@dataclass(frozen=True, slots=True)
class Kept:
    """Kept runs, sifted."""

    ceilings: tuple[MeasuredCeiling, ...]
    """Those that count; and those that must not be used (`MeasuredCeiling.refused`), of which a finding says why."""
    left_out: tuple[LeftOut, ...]


def sift(records: Mapping[str, str], here: Here) -> Kept:
    """Sift kept runs, given as the text of each ``run.json`` by a name for it.

    Raises nothing for what a file holds: one damaged run must not hide the others.
    """
    used: list[MeasuredCeiling] = []
    out: list[LeftOut] = []
    seen: set[str] = set()
    for name, text in records.items():
        try:
            run = from_json(text)
            found = ceiling_of(run)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            out.append(LeftOut(name, f"it cannot be read as a run of load: {error}"))
            continue
        reason = next(iter(_foreign(run, here)), "") or ("it was kept twice" if found.run in seen else "")
        if reason:
            out.append(LeftOut(found.run, reason))
            continue
        seen.add(found.run)
        used.append(found)
        out += [LeftOut(found.run, found.refused[0])] if found.refused else []
    return Kept(tuple(used), tuple(out))


def unlike(run: Measurement, version: str, build: str, machine: Mapping[str, str]) -> Iterable[str]:
    """What was not as it is here when a run was made: the build, or where it ran."""
    if run.version != version:
        yield f"it was made by stackproof {run.version}, and this is {version}"
    if run.suite_digest != build:
        yield "it was made by another build: its contracts are not those of this one"
    if not run.environment:
        yield "it does not say where it was made"
    for name, then, now in islice(changed_since(run.environment, machine), 1):
        yield f"it was made in another environment: {name} was {then or 'not there'}, and is {now or 'not there'}"


def _foreign(run: Measurement, here: Here) -> Iterable[str]:
    """Why a run says nothing about what is asked here."""
    yield from unlike(run, here.version, here.build, here.machine)
    if (run.origin == EXTERNAL) != (here.origin == EXTERNAL):
        yield f"its servers were of the origin {run.origin}, and the question is about {here.origin}"
    asked = tuple(promise.name for promise in here.promises)
    given = (
        run.ceiling.promises
        if run.ceiling is not None
        else tuple(Promise(r.percentile, r.limit_ms).name for r in run.slo)
    )
    if sorted(given) != sorted(asked):
        yield f"it was measured {_under(given)}, and the question is what holds {_under(asked)}"


def _under(promises: tuple[str, ...]) -> str:
    return f"with {' and '.join(promises)}" if promises else "without a promise of latency"
