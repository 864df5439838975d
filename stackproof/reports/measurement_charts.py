"""The charts of a measurement: percentiles, second by second, latency over rate, throughput over concurrency."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from .charts import BAD, FIRST, INK, LINE, MUTED, SECOND, drawn, legend, log_rates, milliseconds

Curve = Sequence[tuple[float, float]]
"""Percentile and milliseconds."""
_LINES = ((FIRST, "-"), (SECOND, "--"), (BAD, "-."))
_TICKS = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999)


def percentile_curve(curves: Mapping[str, Curve]) -> Markup:
    """Latency by percentile, at most three curves by what they are of. Each nine has the same width."""
    # The last point is the longest of all; it stands one sample after the last supported percentile.
    points = {label: [(p, ms) for p, ms in curve if p < 100.0] for label, curve in curves.items()}
    last = max((p for part in points.values() for p, _ in part), default=0.0)
    if not last:
        return Markup("")

    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.add_subplot()
        for (label, part), (colour, dash) in zip(points.items(), _LINES, strict=False):
            axes.plot([_nines(p) for p, _ in part], [ms for _, ms in part], dash, color=colour, label=label)
        ticks = [p for p in _TICKS if p <= max(last, 90.0)]
        axes.set_xticks([_nines(p) for p in ticks], [f"p{p:g}" for p in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
        milliseconds(axes)
        legend(axes, 1 if narrow else 3)

    return drawn("percentiles", "Latency by percentile", draw)


def seconds_chart(series: Sequence[Mapping[str, Any]]) -> Markup:
    """Latency and outcome of the operations that were due in each second."""
    numbers = [row["second"] for row in series]

    def draw(figure: Figure, narrow: bool) -> None:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
        marker = {"marker": "o", "markersize": 3} if len(series) <= 120 else {}
        for name, label, colour, dash in (("p99", "p99", FIRST, "-"), ("p50", "p50", SECOND, "--")):
            values = [math.nan if row[name] is None else row[name] for row in series]
            above.plot(numbers, values, dash, color=colour, label=label, **marker)
        milliseconds(above)
        legend(above, 2)
        bottom = [0] * len(series)
        for name, colour in (("ok", FIRST), ("late", MUTED), ("skipped", LINE), ("failed", SECOND), ("dropped", BAD)):
            counts = [row[name] for row in series]
            if name == "ok" or any(counts):
                below.bar(numbers, counts, bottom=bottom, color=colour, width=0.8, label=name)
            bottom = [b + c for b, c in zip(bottom, counts, strict=True)]
        below.set_ylabel("operations")
        below.set_xlabel("second of the run" + ("" if narrow else ", by the intended start"))
        below.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6 if narrow else 12))
        below.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        below.set_ylim(0, max([*bottom, 1]) * 1.05)
        legend(below, 3 if narrow else 5)

    return drawn("seconds", "Latency and outcome by the second", draw, height=4.6, narrow_height=4.6)


def latency_over_rate(
    points: Sequence[tuple[float, float | None, float, str]],
    *,
    holds: float | None,
    fails: float | None,
    limit: float | None,
    answered: bool = True,
) -> Markup:
    """p50 and p99 (ms) of windows over their offered rate, with the bracket of the ceiling and the promised p99.

    Each point is a rate, its p50, its p99 and the verdict of the window. Of a search that is not ``answered`` the ends of the
    bracket are where it stood, and nothing is said to hold or to fail there.
    """
    medians = [(rate, p50) for rate, p50, _, _ in points if p50 is not None]

    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.add_subplot()
        if limit is not None:
            axes.axhline(limit, color=BAD, linestyle="--", linewidth=1.2, label="promised p99")
        if medians:
            axes.plot(*zip(*medians, strict=True), "x", color=MUTED, label="p50", markersize=5)
        for label, marker, colour, verdicts in (
            ("p99, holds", "o", FIRST, ("holds",)),
            ("p99, fails", "s", BAD, ("fails",)),
            ("p99, says nothing about the server", "^", SECOND, ("client-limited", "not-steady")),
        ):
            found = [(rate, p99) for rate, _, p99, verdict in points if verdict in verdicts]
            if found:
                axes.plot(*zip(*found, strict=True), marker, color=colour, label=label, markersize=6)
        log_rates(axes, [rate for rate, *_ in points], narrow=narrow)
        axes.set_xlabel("operations that were due each second")
        milliseconds(axes)
        band = "bracket of the ceiling" if answered else "no answer in here"
        if holds is not None and fails is not None:
            axes.axvspan(holds, fails, color=SECOND, alpha=0.22, linewidth=0, label=band)
        for end in (holds, fails):
            if end is not None:
                side = (
                    ("holds" if answered else "no answer above")
                    if end == holds
                    else "fails"
                    if answered
                    else "no answer below"
                )
                alone = None if holds is not None and fails is not None else side
                axes.axvline(end, color=SECOND, linewidth=1, label=alone)
        legend(axes, 1 if narrow else 3)

    return drawn("ceiling", "Latency over the offered rate", draw, height=4.0, narrow_height=4.6)


def throughput_over_callers(
    levels: Sequence[tuple[int, float]], best: int, peak: float | None, limited: Sequence[int] = ()
) -> Markup:
    """Throughput (1/s) of a closed loop over its callers; ``peak`` is where it is greatest by the fitted law, and ``limited``
    is where it says little about the backend, because the client was the limiter."""

    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.add_subplot()
        callers = [number for number, _ in levels]
        axes.plot(*zip(*levels, strict=True), "-o", color=FIRST, markersize=5, label="measured")
        axes.plot(
            [n for n, _ in levels if n == best],
            [t for n, t in levels if n == best],
            "D",
            color=INK,
            markersize=8,
            fillstyle="none",
            label="the best",
        )
        if limited:
            spoilt = [(n, t) for n, t in levels if n in limited]
            axes.plot(*zip(*spoilt, strict=True), "x", color=INK, markersize=9, label="limited by the client")
        if peak is not None and min(callers) <= peak <= max(callers):
            axes.axvline(peak, color=SECOND, linestyle="--", linewidth=1.2, label="peak by the law")
        axes.set_xscale("log", base=2)
        axes.set_xticks(callers, [str(number) for number in callers])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.set_xlabel("callers, each with one operation in flight")
        axes.set_ylabel("operations a second")
        legend(axes, 2 if narrow else 3)

    return drawn("sweep", "Throughput over the number of callers", draw)


def _nines(percentile: float) -> float:
    return -math.log10(1.0 - percentile / 100.0)
