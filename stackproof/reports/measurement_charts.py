"""The charts of a measurement, as SVG that sits inside a page and takes its colours, so that dark mode works."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

# Colours that stand for a custom property of the page's style sheet; nothing else is drawn in them.
INK, MUTED, LINE = "#010203", "#010204", "#010205"
FIRST, SECOND, BAD = "#010206", "#010207", "#010208"
_PROPERTIES = {
    INK: "--ink",
    MUTED: "--muted",
    LINE: "--line",
    FIRST: "--calm",
    SECOND: "--warn",
    BAD: "--bad",
}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": LINE,
    "axes.linewidth": 1.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
}
_TICKS = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999)


def percentile_curve(curve: Mapping[str, Sequence[tuple[float, float]]]) -> Markup:
    """Latency by percentile, from the intended and from the real start. Each nine has the same width."""
    with rc_context({**_STYLE, "svg.hashsalt": "percentiles"}):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        axes = figure.add_subplot()
        lines = (("intended", "from the intended start", FIRST, "-"), ("real", "from the real start", SECOND, "--"))
        for name, label, colour, dash in lines:
            # The last point is the longest of all; it stands one sample after the last supported percentile.
            points = [(p, ms) for p, ms in curve[name] if p < 100.0]
            axes.plot([_nines(p) for p, _ in points], [ms for _, ms in points], dash, color=colour, label=label)
        last = max((p for points in curve.values() for p, _ in points if p < 100.0), default=90.0)
        ticks = [p for p in _TICKS if p <= max(last, 90.0)]
        axes.set_xticks([_nines(p) for p in ticks], [f"p{p:g}" for p in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
        _milliseconds(axes)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
        return _svg(figure, "Latency by percentile", "percentiles")


def seconds_chart(series: Sequence[Mapping[str, Any]]) -> Markup:
    """Latency and outcome of the operations that were due in each second."""
    with rc_context({**_STYLE, "svg.hashsalt": "seconds"}):
        figure = Figure(figsize=(9, 4.6), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
        numbers = [row["second"] for row in series]
        for name, label, colour, dash in (("p99", "p99", FIRST, "-"), ("p50", "p50", SECOND, "--")):
            values = [math.nan if row[name] is None else row[name] for row in series]
            above.plot(numbers, values, dash, color=colour, label=label, marker="o", markersize=3)
        _milliseconds(above)
        above.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
        bottom = [0] * len(series)
        for name, label, colour in (
            ("ok", "ok", FIRST),
            ("late", "late", MUTED),
            ("skipped", "skipped", LINE),
            ("failed", "failed", SECOND),
            ("dropped", "dropped", BAD),
        ):
            counts = [row[name] for row in series]
            if name == "ok" or any(counts):
                below.bar(numbers, counts, bottom=bottom, color=colour, width=0.8, label=label)
            bottom = [b + c for b, c in zip(bottom, counts, strict=True)]
        below.set_ylabel("operations")
        below.set_xlabel("second of the run, by the intended start")
        below.xaxis.set_major_locator(MaxNLocator(integer=True))
        below.set_ylim(0, max([*bottom, 1]) * 1.05)
        below.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=5, borderaxespad=0.2)
        return _svg(figure, "Latency and outcome by the second", "seconds")


def latency_over_rate(
    points: Sequence[tuple[float, float | None, float, str]],
    *,
    holds: float | None,
    fails: float | None,
    limit: float | None,
) -> Markup:
    """p50 and p99 (ms) of windows over their offered rate, with the bracket of the ceiling and the promised p99.

    Each point is a rate, its p50, its p99 and the verdict of the window.
    """
    with rc_context({**_STYLE, "svg.hashsalt": "ceiling"}):
        figure = Figure(figsize=(9, 4.0), layout="constrained")
        axes = figure.add_subplot()
        medians = [(rate, p50) for rate, p50, _, _ in points if p50 is not None]
        axes.plot(*zip(*medians, strict=True), "x", color=MUTED, label="p50", markersize=5) if medians else None
        for label, marker, colour, verdicts in (
            ("p99, holds", "o", FIRST, ("holds",)),
            ("p99, fails", "s", BAD, ("fails",)),
            ("p99, says nothing about the server", "^", SECOND, ("client-limited", "not-steady")),
        ):
            found = [(rate, p99) for rate, _, p99, verdict in points if verdict in verdicts]
            if found:
                axes.plot(*zip(*found, strict=True), marker, color=colour, label=label, markersize=6)
        if holds is not None and fails is not None:
            axes.axvspan(holds, fails, color=SECOND, alpha=0.25, linewidth=0, label="bracket of the ceiling")
        elif holds is not None or fails is not None:
            at = holds or fails or 1.0
            axes.axvspan(at, at * 1.02, color=SECOND, linewidth=0, label="holds" if holds is not None else "fails")
        if limit is not None:
            axes.axhline(limit, color=BAD, linestyle="--", linewidth=1.2, label="promised p99")
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("operations that were due each second")
        _milliseconds(axes)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2)
        return _svg(figure, "Latency over the offered rate", "ceiling")


def _nines(percentile: float) -> float:
    return -math.log10(1.0 - percentile / 100.0)


def _milliseconds(axes: Axes) -> None:
    values = [float(value) for line in axes.get_lines() for value in np.asarray(line.get_ydata()) if value > 0]
    if values and max(values) / min(values) > 20:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_ylabel("ms")


def _svg(figure: Figure, title: str, name: str) -> Markup:
    """The figure as an SVG element without prologue, metadata or fixed size, coloured by the page."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(
        r'<svg [^>]*?viewBox="([^"]+)"[^>]*>',
        rf'<svg class="chart" viewBox="\1" role="img" aria-label="{title}">',
        text,
    )
    text = text.replace("xlink:href=", "href=")
    # Two drawings on one page must not share ids.
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', text)
    for colour, variable in _PROPERTIES.items():
        text = text.replace(colour, f"var({variable})")
    return Markup(text)  # noqa: S704 - drawn here from numbers; no text of others is in it
