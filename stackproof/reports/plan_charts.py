"""The chart of a plan, drawn as those of a measurement are: inline SVG in the colours of the page."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stackproof.planning.plan_record import MonthRow

from .charts import BAD, FIRST, drawn, legend


def cost_by_month(months: Sequence[MonthRow]) -> Markup:
    """What a month costs as the load grows, from the least to the most, and the month in which the stack is outgrown.

    Empty where fewer than two months have a cost. Of a cost of which a part is unknown the known part is drawn.
    """
    rows = [(row.month, float(row.cost.low), float(row.cost.high)) for row in months if row.cost is not None]
    if len(rows) < 2:
        return Markup("")
    currency = next(row.cost.currency for row in months if row.cost is not None)
    outgrown = next((row.month for row in months if not row.carries), None)
    numbers, lows, highs = zip(*rows, strict=True)

    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.add_subplot()
        axes.fill_between(numbers, lows, highs, color=FIRST, alpha=0.25, linewidth=0)
        axes.plot(numbers, highs, "-", color=FIRST, label="at most, of what is known", marker="o", markersize=3)
        axes.plot(numbers, lows, "--", color=FIRST, label="at least")
        if outgrown is not None:
            axes.axvline(outgrown, color=BAD, linewidth=1.4, linestyle=":", label="outgrown")
        axes.set_ylim(bottom=0)
        axes.set_xlabel("month")
        axes.set_ylabel(f"{currency} a month")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        legend(axes, 1 if narrow else 3)

    return drawn("cost", "Monthly cost by month of growth", draw)
