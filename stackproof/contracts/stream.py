"""The stream of events of one run of the suite, as values and as JSON lines.

The plug-in writes it; every view (terminal, JSON, JUnit, page) is made from it, so that they cannot disagree.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any

from .clauses import Clause, Need
from .smoke import Smoke, Trouble
from .verdicts import ClauseResult, Failure, Verdict


@dataclass(frozen=True, slots=True)
class PlannedClause:
    """What is planned: a clause, on a target."""

    id: str
    rule: str
    because: str
    learnt_from: tuple[str, ...]
    sees: tuple[tuple[str, int], ...]
    needs: str
    altered: str = ""

    @classmethod
    def of(cls, clause: Clause, altered: str = "") -> PlannedClause:
        needs = str(clause.needs) if isinstance(clause.needs, Need) else ""
        return cls(clause.id, clause.rule, clause.because, clause.learnt_from, clause.sees, needs, altered)


@dataclass(frozen=True, slots=True)
class TargetPlanned:
    """A backend under test, and all clauses that it will be held to."""

    target: str
    concern: str
    clauses: tuple[PlannedClause, ...]
    capabilities: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TargetSmoked:
    """The smoke step of a target ended."""

    target: str
    smoke: Smoke
    backend: str = ""
    """The class of the backend, with its module."""
    capabilities: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClauseStarted:
    target: str
    clause: str


@dataclass(frozen=True, slots=True)
class ClauseEnded:
    result: ClauseResult


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The last line of a complete stream: a stream without it was cut off."""

    seconds: float
    interrupted: bool = False


StreamEvent = TargetPlanned | TargetSmoked | ClauseStarted | ClauseEnded | RunEnded
_KINDS = {kind.__name__: kind for kind in (TargetPlanned, TargetSmoked, ClauseStarted, ClauseEnded, RunEnded)}


def to_line(event: StreamEvent) -> str:
    """An event as one line of JSON."""
    return json.dumps({"event": type(event).__name__, **asdict(event)}, default=str) + "\n"


def from_lines(lines: Iterable[str]) -> Iterator[StreamEvent]:
    """The events of JSON lines; a last line that was cut off is left out."""
    for line in lines:
        if line.endswith("\n"):
            yield from_line(line)


def from_line(line: str) -> StreamEvent:
    """One event from its line."""
    data = json.loads(line)
    kind = data.pop("event")
    if kind == "TargetPlanned":
        data["clauses"] = tuple(_planned(clause) for clause in data["clauses"])
    elif kind == "TargetSmoked":
        data["smoke"] = Smoke(**{**data["smoke"], "trouble": Trouble(data["smoke"]["trouble"])})
    elif kind == "ClauseEnded":
        data["result"] = result_from(data["result"])
    event: StreamEvent = _KINDS[kind](**data)
    return event


def result_from(data: dict[str, Any]) -> ClauseResult:
    """A clause's result from its JSON form."""
    failure = data.get("failure")
    if failure is not None:
        failure = Failure(**{**failure, "done": tuple(failure["done"])})
    notes = tuple(data.get("notes", ()))
    return ClauseResult(**{**data, "verdict": Verdict(data["verdict"]), "failure": failure, "notes": notes})


def _planned(data: dict[str, Any]) -> PlannedClause:
    sees = tuple((name, minimum) for name, minimum in data["sees"])
    return PlannedClause(**{**data, "learnt_from": tuple(data["learnt_from"]), "sees": sees})


def describe_capabilities(capabilities: Any) -> dict[str, Any]:
    """Capabilities as plain JSON values."""
    if not is_dataclass(capabilities) or isinstance(capabilities, type):
        return {}
    return {name: getattr(value, "value", value) for name, value in asdict(capabilities).items()}
