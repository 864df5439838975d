"""A search for the ceiling as a section of a page: the bracket, latency over rate with the knee marked, the journal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from stackproof.measurement.ceiling_record import CeilingRecord, StepRow
from stackproof.measurement.record import WindowRecord
from stackproof.measurement.search_journal import EVIDENCE_ROLES
from stackproof.measurement.search_words import a_rate, milliseconds

from .ceiling_words import TONE, facts, has_answer, tail
from .components import Badge
from .measurement_charts import latency_over_rate

_DASH = "–"
_MARK = {"holds": "✓", "fails": "✗", "client-limited": "◐", "not-steady": "?"}


def section(ceiling: CeilingRecord, told: str) -> dict[str, Any]:
    """What the template ``ceiling.html.j2`` needs; ``told`` is the sentence that may be quoted of it."""
    return {
        "headline": told,
        "reasons": ceiling.reasons,
        "invalid": ceiling.invalid,
        "notes": ceiling.notes,
        "facts": facts(ceiling),
        "chart": chart(ceiling),
        "band": (
            "The band is the bracket: below it the load holds, above it does not."
            if has_answer(ceiling)
            else "The band is where the search stood when it ended: no answer."
        ),
        "points": [_point(row) for row in sorted(_drawn(ceiling), key=lambda row: row.rate)],
        "steps": [_row(row) for row in ceiling.steps],
    }


def chart(ceiling: CeilingRecord) -> Markup:
    """Empty where no window has a p99."""
    rows = _drawn(ceiling)
    if not rows:
        return Markup("")
    limits = [
        float(text.split(" within ")[1].removesuffix(" ms")) for text in ceiling.promises if text.startswith("p99 ")
    ]
    return latency_over_rate(
        [
            (
                row.rate,
                _least(row.p50_ms, row.answered_p50_ms),
                _least(row.p99_ms, row.answered_p99_ms) or 0.0,
                row.verdict,
            )
            for row in rows
        ],
        holds=ceiling.holds or None,
        fails=ceiling.fails,
        limit=limits[0] if limits else None,
        answered=has_answer(ceiling),
    )


def failing_curve(windows: Sequence[WindowRecord], rate: float) -> list[tuple[float, float]]:
    """Percentile and milliseconds, from the intended start, of the search at this rate; empty where nothing was answered."""
    from stackproof.scenarios.histogram import Histogram

    whole = Histogram()
    for window in windows:
        if window.role in EVIDENCE_ROLES and window.order["rate"] == rate:
            whole.add(Histogram.decoded(window.histograms["intended"]))
    return [(percentile, 1000 * seconds) for percentile, seconds in whole.curve()]


def _drawn(ceiling: CeilingRecord) -> list[StepRow]:
    """The windows that say whether a rate holds, and that have a p99."""
    return [
        row
        for row in ceiling.steps
        if row.role in EVIDENCE_ROLES and _least(row.p99_ms, row.answered_p99_ms) is not None
    ]


def _least(every: float | None, answered: float | None) -> float | None:
    """Where a point is drawn: at the percentile of all that was offered; where that was never reached, at the least it can be."""
    return answered if every is None else every


def _point(row: StepRow) -> tuple[object, ...]:
    p50 = milliseconds(row.p50_ms) if row.p50_ms is not None else _DASH if row.answered_p50_ms is None else "never"
    return (a_rate(row.rate), p50, tail(row), Badge(TONE[row.verdict], row.verdict, mark=_MARK[row.verdict]))


def _row(row: StepRow) -> dict[str, str]:
    return {
        "number": str(row.number),
        "role": row.role,
        "rate": a_rate(row.rate),
        "achieved": a_rate(row.achieved),
        "p99": tail(row),
        "client": f"{row.cpu_share:.0%}",
        "verdict": row.verdict,
        "mark": _MARK[row.verdict],
        "tone": TONE[row.verdict],
        "sentence": row.sentence,
    }
