"""How charts are drawn: SVG that sits inside a page and takes its colours, so that dark mode and print work.

Each is drawn twice, for a wide page and for a phone; the page shows the one that fits (``.chart.wide``, ``.chart.narrow``),
so that text is as readable on a phone as it is on a desk.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

# Colours that stand for a custom property of the page's style sheet; nothing else is drawn in them.
INK, MUTED, LINE = "#010203", "#010204", "#010205"
FIRST, SECOND, BAD, GOOD, THIRD = "#010206", "#010207", "#010208", "#010209", "#01020a"
_PROPERTIES = {
    INK: "--ink",
    MUTED: "--muted",
    LINE: "--line",
    FIRST: "--calm",
    SECOND: "--warn",
    BAD: "--bad",
    GOOD: "--good",
    THIRD: "--new",
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
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "legend.columnspacing": 1.4,
    "lines.linewidth": 1.8,
}
WIDE, NARROW = 9.0, 4.4
"""Inches, of which a font of 10 points is the measure."""

Draw = Callable[[Figure, bool], None]


def drawn(name: str, title: str, draw: Draw, *, height: float = 3.6, narrow_height: float = 3.3) -> Markup:
    """The chart that ``draw(figure, narrow)`` puts into a figure, as two SVG elements of which a page shows one.

    ``name`` is unique on the page; ``title`` is what a screen reader says, and is escaped. Text in the drawing itself is
    escaped by matplotlib.
    """
    return Markup("\n").join(
        _svg(name + suffix, title, draw, suffix, (width, tall))
        for suffix, width, tall in (("wide", WIDE, height), ("narrow", NARROW, narrow_height))
    )


def legend(axes: Axes, columns: int) -> None:
    """Above the axes, in so many columns."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.2)


def log_rates(axes: Axes, values: Collection[float], *, narrow: bool) -> None:
    """A logarithmic axis of x for these rates or counts (all above 0), with plain numbers that do not run into each other."""
    axes.set_xscale("log")
    short = max(values) / min(values) < (20 if narrow else 200)
    axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0) if short else (1.0,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def milliseconds(axes: Axes) -> None:
    """The axis of y for latencies: logarithmic where they differ much, else from 0."""
    values = [float(value) for line in axes.get_lines() for value in np.asarray(line.get_ydata()) if value > 0]
    if values and max(values) / min(values) > 20:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(0, 1.08 * max([*values, 0.01]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.set_ylabel("ms")


def _svg(name: str, title: str, draw: Draw, kind: str, size: tuple[float, float]) -> Markup:
    """The figure as an SVG element without prologue, metadata or fixed size, coloured by the page."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure, kind == "narrow")
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    box = re.search(r'viewBox="([^"]+)"', text)
    assert box is not None, "matplotlib writes a viewBox"
    head = f'<svg class="chart {kind}" viewBox="{box[1]}" role="img" aria-label="{escape(title)}">'
    text = head + text[text.index(">") + 1 :]
    text = text.replace("xlink:href=", "href=")
    # Two drawings on one page must not share ids.
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', text)
    for colour, variable in _PROPERTIES.items():
        text = text.replace(colour, f"var({variable})")
    return Markup(text)  # noqa: S704 - drawn here; matplotlib escapes the text of labels
