"""What was kept of a run, as the values that the gate compares. Pure: the records come as text.

Here, and nowhere else, is known what a record looks like.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from stackproof.scenarios.histogram import LONGEST, supported
from stackproof.scenarios.orders import CLOSED

from .comparison import Outcome, Run, Window, differences
from .figures import PERCENTILES
from .record import Measurement, WindowRecord, from_json

NEVER_MS = LONGEST / 1000
"""A share of operations that was never answered counts as the longest latency that is recorded: an hour."""
_NO_WORKLOAD = {"seed", "repeat"}
"""Fields of a record's load that are told apart, or that only say how many windows there are."""


class Unusable(Exception):  # noqa: N818 - it is an answer of the gate, and ends no program
    """A record that no comparison can rest on; the message is one sentence."""

    def __init__(self, outcome: Outcome, sentence: str) -> None:
        super().__init__(sentence)
        self.outcome = outcome


def comparable(name: str, records: Mapping[str, str | None]) -> Run:
    """The run that one record describes, or a set of records.

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
    windows = tuple(part for window, run in runs.items() for part in _parts(run, window))
    return replace(
        first,
        id=f"{name} ({len(runs)} runs)",
        windows=windows + lost,
        invalid=tuple(reason for run in runs.values() for reason in run.invalid),
        members=tuple(run.id for run in runs.values()),
    )


def _parts(run: Run, name: str) -> tuple[Window, ...]:
    """The windows of one run of a set. One alone has a partner where the other set has one of that name; several have none."""
    return tuple(replace(window, pair=name) for window in run.windows) if len(run.windows) == 1 else run.windows


def _run(name: str, text: str) -> Run:
    if not text.strip():
        raise Unusable(Outcome.NO_DATA, f"The record of {name} is empty.")
    try:
        return run_of(from_json(text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unusable(Outcome.INVALID, f"The record of {name} cannot be read: {error}.") from error


def run_of(record: Measurement) -> Run:
    """A record of measured windows."""
    servers = {str(server["name"]): _server(server) for server in record.servers}
    measured = [window for window in record.measured if window.counts["offered"]]
    of_windows = {sentence for window in measured for sentence in window.invalid}
    return Run(
        id=record.id,
        environment=dict(record.environment),
        workload={
            **{f"scenario.{name}": _plain(value) for name, value in record.scenario.items()},
            **{name: _plain(value) for name, value in record.load.items() if name not in _NO_WORKLOAD},
        },
        backends={
            backend.target: f"{servers.get(backend.server, 'no server of its own')} ({record.origin}, {backend.fidelity})"
            for backend in record.backends
        },
        windows=tuple(_window(window, _seconds(record.created) + at * 1e-3) for at, window in enumerate(measured)),
        seed=str(record.load["seed"]),
        subject={
            "stackproof": record.version,
            **{f"the adapter of {backend.target}": backend.digest[:12] for backend in record.backends},
        },
        invalid=(*(sentence for sentence in record.invalid if sentence not in of_windows), *_untrue(measured)),
    )


def _untrue(windows: Sequence[WindowRecord]) -> list[str]:
    """A backend that answers wrong in one window may do so in all: then speed is not what there is to say about it."""
    kinds = [kind for kind in ("wrong", "lost", "duplicated") if any(window.checks.get(kind) for window in windows)]
    return [f"Answers of backends were {', '.join(kinds)}."] if kinds else []


def _window(record: WindowRecord, started: float) -> Window:
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
            "cpu": float(record.client["cpu_us_per_operation"]),
        },
        offered=None if record.order["arrivals"] == CLOSED else float(record.rates["offered"]),
        pair=record.pair,
        started=record.started or started,
        invalid=record.invalid if record.complete else (*record.invalid, "It was cut short."),
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
