"""A measurement as one self-contained HTML page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from stackproof.measurement.evidence import Evidence
from stackproof.measurement.record import Measurement
from stackproof.measurement.spread import LEAST_WINDOWS, spread_of
from stackproof.scenarios.histogram import TAIL_SAMPLES
from stackproof.scenarios.recorder import LATE_SECONDS, OUTCOMES

from .ceiling_page import section
from .evidence import evidence_section
from .measurement_charts import percentile_curve, seconds_chart
from .measurement_terminal import cells, load_in_words, milliseconds, spread_cells, stub_in_words, title
from .pages import render_page
from .text import one_line

MOST_ROWS = 60
"""Rows of the table of seconds; a longer run shows the worst of several seconds in each."""

_MEANING = {
    "VALID": "The load was offered as planned, and every answer that was checked was right.",
    "INVALID": "These figures must not be used: something other than the backends decided them, or answers were wrong.",
    "PARTIAL": "The run was cut short: the figures cover only a part of what was planned.",
}
_TONE = {"VALID": "PASS", "INVALID": "FAIL", "PARTIAL": "SKIPPED"}
_MARK = {"VALID": "✓", "INVALID": "✗", "PARTIAL": "◐"}


def render(result: Measurement, evidence: Evidence | None = None) -> str:
    """The page: the figures first, then what they cannot show, then what they rest on; ``evidence`` where the run kept some."""
    return render_page(
        "measurement.html.j2",
        m=result,
        tone=_TONE[result.level],
        mark=_MARK[result.level],
        meaning=_MEANING[result.level],
        date=_date(result.created),
        rows=_latency_rows(result),
        promises=_promises(result),
        steps=[(step, cells(step.figures)) for step in result.steps],
        curve_rows=_curve_rows(result.curve),
        curve_chart=percentile_curve(result.curve),
        second_rows=_second_rows(result.series),
        seconds_chart=seconds_chart(result.series) if result.series else "",
        spread=[spread_cells(row) for row in spread_of(result.measured)],
        calibration=[
            ("Latency of a step that does nothing", cells(result.calibration["latency"])),
            ("Its send lag", cells(result.calibration["lag"])),
        ],
        not_shown=_not_shown(result, evidence),
        evidence=None if evidence is None else evidence_section(evidence),
        in_process=[backend for backend in result.backends if not backend.server],
        late_ms=LATE_SECONDS * 1000,
        tail_samples=TAIL_SAMPLES,
        one_line=one_line,
        milliseconds=milliseconds,
        load_in_words=load_in_words,
        stub_in_words=stub_in_words,
        title=title(result),
        c=section(result.ceiling) if result.ceiling is not None else None,
        most_in_flight=max((window.most_in_flight for window in result.measured), default=0),
    )


def _date(created: str) -> str:
    moment = datetime.fromisoformat(created).astimezone(UTC)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def _latency_rows(result: Measurement) -> list[tuple[str, list[str]]]:
    rows = [("Latency from the intended start", cells(result.latency["intended"]))]
    if result.counts["ok"] + result.counts["late"] != result.counts["offered"]:
        rows.append(("… every offered operation counted", cells(result.latency["counted"], unanswered=True)))
    rows.append(("Latency from the real start", cells(result.latency["real"])))
    rows.append(("Send lag (real minus intended start)", cells(result.latency["lag"])))
    return rows


def _promises(result: Measurement) -> list[tuple[str, str, str, str]]:
    tones = {"held": "PASS", "missed": "FAIL", "unknown": "INCONCLUSIVE"}
    rows = []
    for promise in result.slo:
        seen = (
            "never reached"
            if promise.seen_ms is None and promise.verdict == "missed"
            else milliseconds(promise.seen_ms)
        )
        name = f"p{promise.percentile:g} within {promise.limit_ms:g} ms"
        rows.append((name, promise.verdict, seen, tones[promise.verdict]))
    return rows


def _curve_rows(curve: Mapping[str, Sequence[tuple[float, float]]]) -> list[tuple[str, str, str]]:
    real = dict(curve["real"])
    return [
        ("longest" if percentile == 100.0 else f"p{percentile:g}", milliseconds(ms), milliseconds(real.get(percentile)))
        for percentile, ms in curve["intended"]
        if percentile > 0
    ]


def _second_rows(series: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """One row a second; in a long run one row for several: counts are added, latencies are those of the worst second."""
    width = max(1, math.ceil(len(series) / MOST_ROWS))
    rows = []
    for start in range(0, len(series), width):
        part = series[start : start + width]
        first, last = part[0]["second"], part[-1]["second"]
        row = {"second": f"{first}" if first == last else f"{first} to {last}"}
        row |= {name: f"{sum(r[name] for r in part):,}" for name in ("offered", *OUTCOMES)}
        for name in ("p50", "p99", "largest"):
            row[name] = milliseconds(max((r[name] for r in part if r[name] is not None), default=None))
        rows.append(row)
    return rows


def _not_shown(result: Measurement, evidence: Evidence | None) -> list[str]:
    """What a reader might take these figures for, and what they are not."""
    found = []
    if result.ceiling is None:
        found.append("How much the stack carries: one rate was offered, and whether it was held is all that is known.")
        if len(result.measured) < LEAST_WINDOWS:
            found.append(
                "How much the figures scatter: so few windows of load have no interval. Repeat it before you compare."
            )
    else:
        found.append(
            "Another day: all windows of the search were offered within minutes. Repeat it before you compare."
        )
    if result.origin in ("embedded", "container"):
        found.append(
            "A network, disks of a data centre, zones, noisy neighbours, burst credits: client and servers shared this one "
            "machine and its cores, and talked over loopback. Elsewhere it is slower, and fails in other ways."
        )
    elif evidence is None:
        found.append("How the servers are configured: settings of external servers were not asked.")
    if any(backend.server == "" and backend.concern != "logs" for backend in result.backends):
        found.append("A backend that lives in the client's process does its work on the generator's own core.")
    if any(backend.target == "logs=console" for backend in result.backends):
        found.append("A terminal or a log collector: log lines were written to the null device.")
    found.append(
        "Caches of a day: entries are fetched from nothing, at no cost, where the cache has none, and customers "
        "begin without a history."
    )
    return found
