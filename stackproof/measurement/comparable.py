"""What was kept of a run, as the values that the gate compares. Pure: the records come as text.

Here, and nowhere else, is known what a record looks like.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from stackproof.scenarios.recorder import LONGEST, supported

from .comparison import Outcome, Run, Window, differences
from .figures import PERCENTILES
from .record import Measurement, from_json

NEVER_MS = LONGEST / 1000
"""A share of operations that was never answered counts as the longest latency that is recorded: an hour."""
_NOT_CHOSEN = {"seed", "most_in_flight", "elapsed"}
"""Fields of a record's load that are a result, or told apart."""


class Unusable(Exception):  # noqa: N818 - it is an answer of the gate, and ends no program
    """A record that no comparison can rest on; the message is one sentence."""

    def __init__(self, outcome: Outcome, sentence: str) -> None:
        super().__init__(sentence)
        self.outcome = outcome


def comparable(name: str, records: Mapping[str, str | None]) -> Run:
    """The run that one record describes, or a set of records of one window each.

    ``records`` is JSON text by the name of its window, which is empty where there is one record only; windows of the same
    name in two runs are a pair. None stands for a window that kept no record. Raises `Unusable`.
    """
    runs = {window: _run(f"{name}/{window}".rstrip("/"), text) for window, text in records.items() if text is not None}
    if not runs:
        raise Unusable(Outcome.NO_DATA, f"{name} holds no record of a run of load.")
    first, *others = runs.values()
    for other in others:
        for difference in differences(first, other):
            raise Unusable(
                Outcome.INVALID,
                f"{name} is no one run: {difference.kind} {difference.name} is {difference.first} in one window, and "
                f"{difference.second} in another.",
            )
        if other.subject != first.subject:
            raise Unusable(Outcome.INVALID, f"{name} is no one run: its windows measured different versions.")
    if "" in records:
        return first
    lost = tuple(
        Window({}, pair=window, invalid=("it kept no record",)) for window, text in records.items() if text is None
    )
    windows = tuple(_as_part(run, window) for window, run in runs.items())
    return replace(first, id="+".join(sorted({run.id for run in runs.values()})), windows=windows + lost, invalid=())


def _as_part(run: Run, name: str) -> Window:
    """The only window of a run as one of many: what makes the run invalid makes the window so."""
    (window,) = run.windows
    return replace(window, pair=name, invalid=run.invalid)


def _run(name: str, text: str) -> Run:
    if not text.strip():
        raise Unusable(Outcome.NO_DATA, f"The record of {name} is empty.")
    try:
        return run_of(from_json(text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unusable(Outcome.INVALID, f"The record of {name} cannot be read: {error}.") from error


def run_of(record: Measurement) -> Run:
    """A record with one window (schema 1)."""
    servers = {str(server["name"]): _server(server) for server in record.servers}
    return Run(
        id=record.id,
        environment=dict(record.environment),
        workload={
            **{f"scenario.{name}": _plain(value) for name, value in record.scenario.items()},
            **{name: _plain(value) for name, value in record.load.items() if name not in _NOT_CHOSEN},
        },
        backends={
            backend.target: f"{servers.get(backend.server, 'no server of its own')} ({record.origin}, {backend.fidelity})"
            for backend in record.backends
        },
        windows=(_window(record),) if record.counts["offered"] else (),
        seed=str(record.load["seed"]),
        subject={
            "stackproof": record.version,
            **{f"the adapter of {backend.target}": backend.digest[:12] for backend in record.backends},
        },
        invalid=record.invalid,
    )


def _window(record: Measurement) -> Window:
    counted = record.latency["counted"]
    latencies: dict[str, float | None] = {}
    for name, percentile in PERCENTILES.items():
        value = getattr(counted, name)
        never = value is None and supported(counted.count, percentile)
        latencies[name] = NEVER_MS if never else value
    return Window(
        figures={
            **latencies,
            "achieved": float(record.rates["achieved"]),
            "cpu": float(record.client["cpu_ms_per_decision"]),
        },
        offered=float(record.rates["offered"]),
        started=_seconds(record.created),
    )


def _seconds(created: str) -> float:
    seconds = datetime.fromisoformat(created).timestamp()
    if not math.isfinite(seconds):
        raise ValueError(f"{created} is no time")
    return seconds


def _server(server: Mapping[str, Any]) -> str:
    facts = " ".join(f"{name}={value}" for name, value in sorted(server["facts"].items()))
    words = (
        server["name"],
        server.get("technology", ""),
        server["version"],
        server["origin"],
        server["fidelity"],
        facts,
    )
    return " ".join(str(word) for word in words if word)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
