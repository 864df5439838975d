"""The head-rooms of an audit as a chart: an interval for each claim, on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stackproof.planning.headroom import Headroom
from stackproof.planning.judging import LOOSE

from .charts import BAD, FIRST, MUTED, drawn, log_rates
from .text import one_line

MOST_LETTERS = 28
"""Of a name beside the chart; the table has all of it."""


def headroom_chart(rows: Sequence[tuple[str, Headroom]]) -> Markup:
    """One line for each name, from the lower to the upper end; an arrow where an end is not known. Empty for none."""
    known = [(name, room) for name, room in rows if room.low > 0 or room.high]
    if not known:
        return Markup("")
    height = 1.1 + 0.34 * len(known)
    title = "Head-room of each claim: what was measured over what is claimed"
    return drawn(
        "headroom", title, lambda figure, narrow: _draw(figure, known, narrow), height=height, narrow_height=height
    )


def _draw(figure: Figure, rows: Sequence[tuple[str, Headroom]], narrow: bool) -> None:
    axes = figure.add_subplot()
    ends = [end for _, room in rows for end in (room.low, room.high) if end]
    left, right = min([*ends, 1.0]) / 4, max([*ends, LOOSE]) * 4
    axes.set_xlim(left, right)
    log_rates(axes, [left, right], narrow=narrow)
    axes.set_xlim(left, right)
    for place, (_, room) in enumerate(rows):
        _interval(axes, -place, room, left, right)
    axes.axvline(1.0, color=BAD, linestyle="--", linewidth=1.2)
    axes.axvline(LOOSE, color=MUTED, linestyle=":", linewidth=1.2)
    axes.set_ylim(-len(rows) + 0.4, 0.6)
    axes.set_yticks([-place for place in range(len(rows))])
    axes.set_yticklabels([_name(name) for name, _ in rows], parse_math=False)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("times what is claimed")


def _interval(axes: Axes, place: float, room: Headroom, left: float, right: float) -> None:
    low, high = room.low or left, room.high if room.high is not None else right
    axes.plot([low, high], [place, place], color=FIRST, linewidth=3, solid_capstyle="butt")
    for end, mark, known in ((low, "<", room.low > 0), (high, ">", room.high is not None)):
        axes.plot([end], [place], "|" if known else mark, color=FIRST, markersize=11 if known else 7, clip_on=False)


def _name(name: str) -> str:
    text = one_line(name)
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 1]}…"
