"""What was kept of a run, as the values that the gate compares. Pure: records and evidence come as text.

Here, and nowhere else, is known what a record looks like. A run of a search is one window with a bracket; any other one has the
windows that were measured. Settings of servers come from the evidence, and from nowhere else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from stackproof.scenarios.histogram import supported
from stackproof.scenarios.orders import CLOSED

from .brackets import is_bracket, middle
from .ceiling_record import CeilingRecord
from .compared import SETTINGS, Outcome, Run, Window
from .comparison import differences
from .evidence import Evidence, Terms, terms
from .evidence import from_json as evidence_from_json
from .figures import NEVER_MS, PERCENTILES
from .record import Measurement, WindowRecord, from_json
from .search_journal import Limiter

_NO_WORKLOAD = {"seed", "repeat"}
"""Fields of a record's load that are told apart, or that only say how many windows there are."""
_FOUND = {"rate", "duration", "warmup"}
"""Fields of a search's load that are what it found, and not what it was asked."""


class Unusable(Exception):  # noqa: N818 - it is an answer of the gate, and ends no program
    """A record that no comparison can rest on; the message is one sentence."""

    def __init__(self, outcome: Outcome, sentence: str) -> None:
        super().__init__(sentence)
        self.outcome = outcome


def comparable(
    name: str, records: Mapping[str, str | None], evidence: Mapping[str, str | None] = MappingProxyType({})
) -> Run:
    """The run that one record describes, or a set of records.

    ``records`` is JSON text by the name of its window, which is empty where there is one record only; windows of the same
    name in two runs are a pair. None stands for a window that kept no record. ``evidence`` is what was kept beside each, in the
    same way: without it, the settings of servers are unknown, and unknown is never equal. Raises `Unusable`.
    """
    runs = {
        window: _run(f"{name}/{window}".rstrip("/"), text, evidence.get(window))
        for window, text in records.items()
        if text is not None
    }
    if not runs:
        raise Unusable(Outcome.NO_DATA, f"{name} holds no record of a run of load.")
    first, *others = runs.values()
    for other in others:
        for difference in differences(first, other):
            if difference.first == difference.second:
                continue  # not known in either: nothing to hold against the set, and much against comparing it
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
        checked=all(run.checked for run in runs.values()),
        members=tuple(run.id for run in runs.values()),
        began=frozenset().union(*(run.began for run in runs.values())),
    )


def _parts(run: Run, name: str) -> tuple[Window, ...]:
    """The windows of one run of a set. One alone has a partner where the other set has one of that name; several have none."""
    return tuple(replace(window, pair=name) for window in run.windows) if len(run.windows) == 1 else run.windows


def _run(name: str, text: str, evidence: str | None) -> Run:
    if not text.strip():
        raise Unusable(Outcome.INVALID, f"The record of {name} is empty: it was cut off or damaged.")
    try:
        record = from_json(text)
        return run_of(record, None if evidence is None else evidence_from_json(evidence))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unusable(Outcome.INVALID, f"The record of {name} cannot be read: {error}.") from error


def run_of(record: Measurement, evidence: Evidence | None = None) -> Run:
    """A record of measured windows, or of a search, and the evidence that was kept beside it."""
    servers = {str(server["name"]): _server(server) for server in record.servers}
    measured = [window for window in record.measured if window.counts["offered"]]
    of_windows = {sentence for window in measured for sentence in window.invalid}
    windows = tuple(_window(window, _seconds(record.created) + at * 1e-3) for at, window in enumerate(measured))
    if record.ceiling is not None:
        windows, of_windows = (_searched(record, record.ceiling),), set()
    known = _terms(record, evidence)
    return Run(
        id=record.id,
        environment={**record.environment, **known.machine},
        workload=_workload(record),
        backends={
            backend.target: f"{servers.get(backend.server, 'no server of its own')} ({record.origin}, {backend.fidelity})"
            for backend in record.backends
        },
        windows=windows,
        seed=str(record.load["seed"]),
        subject={
            "stackproof": record.version,
            **{f"the adapter of {backend.target}": backend.digest[:12] for backend in record.backends},
        },
        checked=record.checked,
        invalid=(*(sentence for sentence in record.invalid if sentence not in of_windows), *_untrue(measured)),
        settings=known.servers,
        unknown=known.unknown,
        began=frozenset((record.id, window.started) for window in record.windows if window.started),
    )


def _workload(record: Measurement) -> dict[str, str]:
    """What was asked. Of a search that is the promise, and not the rate that it found."""
    without = _NO_WORKLOAD | (_FOUND if record.ceiling is not None else set())
    asked = {name: _plain(value) for name, value in record.load.items() if name not in without}
    if record.ceiling is not None:
        asked["highest rate with"] = ", ".join(record.ceiling.promises)
    return {**{f"scenario.{name}": _plain(value) for name, value in record.scenario.items()}, **asked}


def _terms(record: Measurement, evidence: Evidence | None) -> Terms:
    """Machine and settings; where no evidence was kept beside the record, those of its servers are not known."""
    if evidence is not None:
        return terms(evidence)
    servers = [str(server["name"]) for server in record.servers]
    return Terms(
        {},
        {server: {SETTINGS: "not known: no evidence was kept beside the record"} for server in servers},
        frozenset(f"{SETTINGS} of {server}" for server in servers),
    )


def _searched(record: Measurement, ceiling: CeilingRecord) -> Window:
    """A search as one window: its bracket, or why it has none."""
    why, bracket = "", (ceiling.holds, ceiling.fails or 0.0)
    if ceiling.limiter == Limiter.NOT_CONVERGED:
        why = "it did not converge"
    elif ceiling.limiter == Limiter.CLIENT:
        why = "the load generator was the limit, so that it says nothing about the backend"
    elif not ceiling.holds:
        why = "no rate held"
    elif ceiling.fails is None:
        why = "no rate was found that fails"
    elif not ceiling.confirmed:
        why = "its ends were not confirmed in fresh windows"
    usable = not why and is_bracket(bracket)
    return Window(
        figures={"ceiling": middle(bracket) if usable else None},
        started=_seconds(record.created),
        bracket=None if why else bracket,  # one that is none makes the run invalid
        missing=why,
        invalid=() if record.complete else ("It was cut short.",),
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
    words = (server["name"], server.get("technology", ""), server["version"], server["origin"], server["fidelity"])
    return " ".join(str(word) for word in words if word)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
