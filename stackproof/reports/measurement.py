"""A measurement as one self-contained HTML page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from stackproof.measurement.check_words import counted_again
from stackproof.measurement.evidence import Evidence
from stackproof.measurement.record import Measurement, StepFigures
from stackproof.measurement.search_journal import Limiter
from stackproof.measurement.search_words import a_rate
from stackproof.measurement.spread import LEAST_WINDOWS, spread_of
from stackproof.measurement.standing import Shown, standing_of
from stackproof.measurement.sweep import Level, SweepRecord
from stackproof.scenarios.histogram import TAIL_SAMPLES
from stackproof.scenarios.recorder import LATE_SECONDS

from .ceiling_page import failing_curve, section
from .ceiling_words import bracket_of, confirmation, has_answer, headline_of, span, upper_curve
from .components import Badge, number
from .dates import for_people
from .evidence import evidence_section
from .measurement_charts import Curve, percentile_curve, seconds_chart, throughput_over_callers
from .measurement_terminal import (
    NOT_KEPT,
    cells,
    load_in_words,
    milliseconds,
    promise_in_words,
    spread_cells,
    stub_in_words,
    title,
)
from .pages import render_page
from .standing import MARK, TONE
from .text import one_line
from .words import counted

MOST_ROWS = 60
"""Rows of the table of seconds; a longer run shows the worst of several seconds in each."""

_OUTCOMES = ("offered", "ok", "late", "skipped", "dropped", "failed", "sent_late")


def render(result: Measurement, evidence: Evidence | None = None) -> str:
    """The page: the figures first, then what they cannot show, then what they rest on; ``evidence`` where the run kept some."""
    curves, shown = _curves(result), standing_of(result)
    return render_page(
        "measurement.html.j2",
        m=result,
        tone=_tone(shown),
        mark=_mark(shown),
        level=shown.word,
        meaning=shown.meaning,
        date=for_people(result.created),
        figures=_figures(result),
        facts=_facts(result),
        contents=_contents(result, evidence),
        number=number,
        numbers=lambda titles: [number(title) for title in titles],
        outcomes=[(name.replace("_", " ").capitalize(), f"{result.counts[name]:,}") for name in _OUTCOMES],
        errors=[(one_line(kind), f"{times:,}") for kind, times in result.errors.items()],
        rows=_latency_rows(result),
        promises=_promises(result),
        steps=[_step_row(step) for step in result.steps],
        sweep_chart=_sweep_chart(result.sweep),
        sweep_rows=[] if result.sweep is None else [_level_row(level) for level in result.sweep.levels],
        gaps=[_gap_row(gap) for gap in result.gaps],
        curve_columns=["Percentile", *(number(label.capitalize()) for label in curves)],
        curve_rows=_curve_rows(curves),
        curve_chart=percentile_curve(curves),
        second_rows=_second_rows(result.series),
        seconds_chart=seconds_chart(result.series) if result.series else "",
        spread=[spread_cells(row) for row in spread_of(result.measured)],
        calibration=[
            ("Latency of a step that does nothing", *cells(result.calibration["latency"])),
            ("Its send lag", *cells(result.calibration["lag"])),
        ],
        not_shown=_not_shown(result, evidence),
        evidence=None if evidence is None else evidence_section(evidence),
        in_process=[backend for backend in result.backends if not backend.server],
        late_ms=LATE_SECONDS * 1000,
        tail_samples=TAIL_SAMPLES,
        one_line=one_line,
        counted_again=counted_again(result.checks.get("counts", {})),
        stub_in_words=stub_in_words,
        title=title(result),
        c=section(result.ceiling, headline_of(result)) if result.ceiling is not None else None,
        most_in_flight=max((window.most_in_flight for window in result.measured), default=0),
    )


def _figures(result: Measurement) -> list[tuple[str, object, str]]:
    """The few numbers that the page is read for: of a search its bracket, of a sweep its best, else the rate and its latency."""
    p99 = (
        "p99 from the intended start",
        cells(result.latency["counted"], unanswered=True)[2],
        "every operation counted",
    )
    if result.ceiling is not None:
        found = result.ceiling
        windows = "confirming window" if has_answer(found) else "fresh window"
        held = "p99 where it holds" if has_answer(found) else f"p99 at {a_rate(found.holds)}" if found.holds else "p99"
        return [
            ("Ceiling", bracket_of(result), confirmation(found)),
            (
                "Limiter",
                found.limiter,
                "why is said below" if found.limiter == "not-converged" else "stops the load there",
            ),
            (held, span(found.p99_ms), f"every operation counted, in {counted(found.confirming_windows, windows)}"),
        ]
    if result.sweep is not None:
        best = next(level for level in result.sweep.levels if level.in_flight == result.sweep.best)
        return [
            ("Highest throughput", f"{best.throughput:,.0f}/s", f"with {counted(best.in_flight, 'caller')}"),
            ("p50 there", milliseconds(best.p50), ""),
            p99,
        ]
    counts, rates = result.counts, result.rates
    return [
        ("Achieved", f"{rates['achieved']:,.1f}/s", f"of {rates['offered']:,.1f}/s offered"),
        p99,
        ("Failed", f"{counts['failed']:,}", f"of {counts['offered']:,} operations"),
        ("Dropped", f"{counts['dropped']:,}", "found no place in flight"),
    ]


def _tone(shown: Shown) -> str:
    """Figures that must not be used are marked like a failure: nobody must take them for a result."""
    return "FAIL" if shown.word == "INVALID" else TONE[shown.standing]


def _mark(shown: Shown) -> str:
    return "✗" if shown.word == "INVALID" else MARK[shown.standing]


def _facts(result: Measurement) -> list[tuple[str, object]]:
    load = result.load
    workers = f", by {load['workers']} workers" if load["workers"] > 1 else ""
    fidelity = ", ".join(dict.fromkeys(backend.fidelity for backend in result.backends)) or "unknown"
    offered = (
        "windows of the rates below, none of which was confirmed"
        if result.ceiling is not None and not result.measured
        else f"{load_in_words(result)}, after {load['warmup']:g} s of warm-up"
    )
    return [
        *([] if result.ceiling is not None else [("Limiter", f"{result.limiter}: {result.limiter_reason}")]),
        ("Load", f"{offered}{workers}"),
        ("Fidelity", f"{fidelity}; origin {result.origin}"),
        ("Date", for_people(result.created)),
    ]


def _contents(result: Measurement, evidence: Evidence | None) -> list[tuple[str, str]]:
    """(anchor, title) of the parts that this page has."""
    parts = (
        ("ceiling", "The ceiling", result.ceiling is not None),
        ("promises", "Promises", bool(result.slo)),
        ("figures", "Figures", True),
        ("sweep", "Over concurrencies", result.sweep is not None),
        ("percentiles", "Percentiles", True),
        ("seconds", "Second by second", True),
        ("steps", "Steps", True),
        ("client", "The client", True),
        ("not-shown", "What is not shown", True),
        ("backends", "Backends", True),
        ("evidence", "Evidence", evidence is not None),
        ("repeat", "Repeat it", True),
    )
    return [(anchor, title) for anchor, title, there in parts if there]


def _latency_rows(result: Measurement) -> list[tuple[str, ...]]:
    rows = [("Latency from the intended start", *cells(result.latency["intended"]))]
    if result.counts["ok"] + result.counts["late"] != result.counts["offered"]:
        rows.append(("… every offered operation counted", *cells(result.latency["counted"], unanswered=True)))
    rows.append(("Latency from the real start", *cells(result.latency["real"])))
    rows.append(("Send lag (real minus intended start)", *cells(result.latency["lag"])))
    return rows


def _step_row(step: StepFigures) -> tuple[str, ...]:
    times = f" × {step.times}" if step.times > 1 else ""
    return (f"{step.step}{times} ({step.concern})", *cells(step.figures))


def _promises(result: Measurement) -> list[tuple[object, ...]]:
    tones = {"held": "PASS", "missed": "FAIL", "unknown": "INCONCLUSIVE"}
    rows: list[tuple[object, ...]] = []
    for promise in result.slo:
        word, seen = promise_in_words(promise)
        rows.append((promise.name, Badge(tones[promise.verdict], word), seen))
    return rows


def _sweep_chart(found: SweepRecord | None) -> Markup:
    if found is None:
        return Markup("")
    return throughput_over_callers(
        [(level.in_flight, level.throughput) for level in found.levels],
        found.best,
        found.peak,
        [level.in_flight for level in found.levels if level.limiter == Limiter.CLIENT],
    )


def _level_row(level: Level) -> tuple[str, ...]:
    return (
        f"{level.in_flight}",
        f"{level.throughput:,.0f}/s",
        milliseconds(level.p50),
        f"{level.windows}",
        level.limiter or NOT_KEPT,
    )


def _gap_row(gap: Mapping[str, Any]) -> tuple[str, ...]:
    """When the generator was blocked: at which second, for how long, how much of it computing, and what held it."""
    return (f"{gap['at']:.1f}", f"{gap['seconds']:.2f} s", f"{gap['cpu_seconds']:.2f} s", one_line(gap["step"]))


def _curves(result: Measurement) -> dict[str, Curve]:
    """Latency by percentile from both starts; of a search also where the load does not hold."""
    curves = {"from the intended start": result.curve["intended"], "from the real start": result.curve["real"]}
    if result.ceiling is not None and result.ceiling.fails is not None:
        failing = failing_curve(result.windows, result.ceiling.fails)
        curves |= {upper_curve(result.ceiling): failing} if failing else {}
    return curves


def _curve_rows(curves: Mapping[str, Curve]) -> list[list[str]]:
    """A row for each percentile that one of them has."""
    tables = [dict(curve) for curve in curves.values()]
    wanted = sorted({percentile for table in tables for percentile in table if percentile > 0})
    return [
        [
            "longest" if percentile == 100.0 else f"p{percentile:g}",
            *(milliseconds(table.get(percentile)) for table in tables),
        ]
        for percentile in wanted
    ]


def _second_rows(series: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """One row a second; in a long run one row for several: counts are added, latencies are those of the worst second."""
    width = max(1, math.ceil(len(series) / MOST_ROWS))
    rows = []
    for start in range(0, len(series), width):
        part = series[start : start + width]
        first, last = part[0]["second"], part[-1]["second"]
        rows.append(
            (
                f"{first}" if first == last else f"{first} to {last}",
                *(f"{sum(row[name] for row in part):,}" for name in ("offered", "ok", "failed", "dropped")),
                *(
                    milliseconds(max((row[name] for row in part if row[name] is not None), default=None))
                    for name in ("p50", "p99", "largest")
                ),
            )
        )
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
