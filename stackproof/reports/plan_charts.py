"""The chart of a plan, drawn as those of a measurement are: inline SVG in the colours of the page."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stackproof.planning.plan_record import MonthRow

from .measurement_charts import _STYLE, BAD, FIRST, _svg


def cost_by_month(months: Sequence[MonthRow]) -> Markup:
    """What a month costs as the load grows, from the least to the most, and the month in which the stack is outgrown.

    Empty where fewer than two months have a cost. Of a cost of which a part is unknown the known part is drawn.
    """
    rows = [(row.month, float(row.cost.low), float(row.cost.high)) for row in months if row.cost is not None]
    if len(rows) < 2:
        return Markup("")
    outgrown = next((row.month for row in months if not row.carries), None)
    numbers = [month for month, _, _ in rows]
    with rc_context({**_STYLE, "svg.hashsalt": "cost"}):
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        axes = figure.add_subplot()
        lows, highs = [low for _, low, _ in rows], [high for _, _, high in rows]
        axes.fill_between(numbers, lows, highs, color=FIRST, alpha=0.25, linewidth=0)
        axes.plot(numbers, highs, "-", color=FIRST, label="at most, of what is known", marker="o", markersize=3)
        axes.plot(numbers, lows, "--", color=FIRST, label="at least")
        if outgrown is not None:
            axes.axvline(outgrown, color=BAD, linewidth=1.4, linestyle=":", label="outgrown")
        axes.set_ylim(bottom=0)
        axes.set_xlabel("month")
        axes.set_ylabel("a month")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2)
        return _svg(figure, "Monthly cost by month of growth", "cost")
