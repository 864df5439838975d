"""The record of a run of yardsticks, as JSON; described field by field in ``yardsticks.schema.json`` beside this file. Pure.

All times are in seconds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .comparison import Comparison, Interval, Round
from .ours import OurFigures
from .run import Outcome
from .yardstick import YardstickFigures

SCHEMA = "stackproof-yardsticks/1"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about the run beside its outcomes."""

    id: str
    created: str
    version: str
    command: str
    origin: str
    servers: tuple[Mapping[str, Any], ...]
    environment: Mapping[str, str]
    certificates: Mapping[str, str]
    """Target -> id of the verification that showed that its core contract holds."""
    interrupted: bool = False


def to_json(facts: Facts, outcomes: Sequence[Outcome]) -> str:
    """The record as JSON text."""
    data = {"schema": SCHEMA, **asdict(facts), "yardsticks": [_outcome(each) for each in outcomes]}
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _outcome(outcome: Outcome) -> dict[str, Any]:
    missing, found = outcome.missing, outcome.comparison
    return {
        "target": outcome.target,
        "tool": outcome.tool,
        "operation": outcome.operation,
        "outcome": outcome.name,
        "reason": missing.reason if missing is not None else outcome.failure,
        "todo": missing.todo if missing is not None else "",
        "left_behind": list(outcome.left_behind),
        "comparison": _comparison(found) if found is not None else None,
    }


def _comparison(found: Comparison) -> dict[str, Any]:
    load = found.load
    return {
        "version": found.tool.version,
        "place": found.tool.place.title,
        "concurrency": load.concurrency,
        "seconds": load.seconds,
        "payload_bytes": load.payload_bytes,
        "core": load.core,
        "our_rate": found.our_rate,
        "their_rate": found.their_rate,
        "our_cpu_seconds": found.our_cpu,
        "their_cpu_seconds": found.their_cpu,
        "cpu_ratio": found.cpu_ratio,
        "ratio": _interval(found.ratio),
        "reasons": list(found.reasons),
        "invalid": list(found.invalid),
        "rounds": [_round(each) for each in found.rounds],
    }


def _interval(interval: Interval) -> dict[str, float]:
    return asdict(interval)


def _round(each: Round) -> dict[str, Any]:
    return {
        "ratio": each.ratio,
        "ours_first": each.ours_first,
        "ours": _side(each.ours),
        "theirs": {**_side(each.theirs), "command": each.theirs.command},
    }


def _side(figures: OurFigures | YardstickFigures) -> dict[str, Any]:
    return {
        "operations": figures.operations,
        "seconds": figures.seconds,
        "rate": figures.rate,
        "failed": figures.failed,
        "cpu_seconds": figures.cpu_seconds,
        "others": figures.others,
        "latency": dict(figures.latency),
    }
