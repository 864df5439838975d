"""A comparison of two runs as one self-contained HTML page: the answer first, then what it rests on."""

from __future__ import annotations

from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from stackproof.measurement.compared import Comparison, Difference, MetricResult, Outcome, Side
from stackproof.measurement.comparison import FALSE_ALARMS, RECOMMENDED_PAIRS, Verdict, change, percent
from stackproof.measurement.figures import NEVER_MS

from .charts import BAD, FIRST, GOOD, MUTED, SECOND, drawn
from .comparison_terminal import basis, digits, effect_cells, heading
from .components import Badge, Column, number
from .pages import render_page

_TONE = {
    Outcome.NO_REGRESSION: "PASS",
    Outcome.REGRESSION: "FAIL",
    Outcome.CANNOT_TELL: "INCONCLUSIVE",
    Outcome.INVALID: "FAIL",
    Outcome.NO_DATA: "INCONCLUSIVE",
    Outcome.OTHER: "INCONCLUSIVE",
}
_MARK = {"PASS": "✓", "FAIL": "✗", "INCONCLUSIVE": "?"}
_MEANING = {
    Outcome.NO_REGRESSION: "No metric of the second run is worse by more than the threshold, and each could be told.",
    Outcome.REGRESSION: "At least one metric of the second run is worse, beyond the threshold and beyond what chance explains.",
    Outcome.CANNOT_TELL: "No metric was shown to be worse, and at least one could not be told. That is not a pass.",
    Outcome.INVALID: "A record must not be used, so nothing is known about a difference.",
    Outcome.NO_DATA: "There are no figures to compare, so nothing is known about a difference.",
    Outcome.OTHER: "The runs differ in more than what they are compared for, so a difference would have several causes.",
}
_VERDICTS = {
    Verdict.REGRESSION: ("FAIL", BAD, "s"),
    Verdict.IMPROVEMENT: ("PASS", GOOD, "D"),
    Verdict.NO_DIFFERENCE: ("PASS", FIRST, "o"),
    Verdict.CANNOT_TELL: ("INCONCLUSIVE", SECOND, "^"),
}
"""Tone, colour and marker in the chart."""


def render(result: Comparison, version: str, command: str = "") -> str:
    """The page; ``version`` is stackproof's, ``command`` repeats the comparison where it is known."""
    tone = _TONE[result.outcome]
    return render_page(
        "comparison.html.j2",
        r=result,
        tone=tone,
        mark=_MARK[tone],
        level=heading(result),
        meaning=_MEANING[result.outcome],
        version=version,
        command=command,
        columns=_columns(),
        rows=[_row(row) for row in result.metrics],
        chart=_chart(result),
        chart_columns=[Column("Metric"), number("Change"), number("Low"), number("High"), Column("Verdict")],
        chart_rows=[_interval_row(row) for row in result.metrics],
        side_columns=[Column("Metric"), *map(number, ("Windows", "Median", "95 % interval", "Varies by"))],
        sides=[
            (which, run, [_side_row(row, getattr(row, which)) for row in result.metrics])
            for which, run in zip(("first", "second"), result.runs, strict=True)
        ],
        basis=basis(result) if result.metrics else "",
        differences=[_difference(one, result.accepted) for one in result.differences],
        facts=_facts(result),
        not_shown=_not_shown(result),
    )


def _columns() -> list[Column]:
    return [Column("Metric"), *map(number, ("First", "Second", "Change", "Interval")), Column("Verdict")]


def _row(row: MetricResult) -> tuple[object, ...]:
    shown = [digits(side.median) if side.median is not None else "–" for side in (row.first, row.second)]
    tone, _, _ = _VERDICTS[row.verdict]
    return (
        f"{row.metric.name} [{_unit(row)}]",
        *shown,
        *effect_cells(row),
        Badge(tone, row.verdict.value, why=row.sentence),
    )


def _interval_row(row: MetricResult) -> tuple[object, ...]:
    tone, _, _ = _VERDICTS[row.verdict]
    badge = Badge(tone, row.verdict.value)
    if row.effect is None:
        return (row.metric.name, None, None, None, badge)
    return (row.metric.name, *map(change, (row.effect.ratio, row.effect.low, row.effect.high)), badge)


def _side_row(row: MetricResult, side: Side) -> tuple[object, ...]:
    found = side.interval
    interval = "–" if found is None else f"{digits(found.low)} to {digits(found.high)}"
    varies = "–" if side.variation is None else f"{100 * side.variation:.1f} %" + (" (noisy)" if side.noisy else "")
    median = "–" if side.median is None else f"{digits(side.median)} {_unit(row)}"
    if side.median == NEVER_MS:
        median = "never"
    return (row.metric.name, f"{side.windows}", median, interval, varies)


def _unit(row: MetricResult) -> str:
    return row.metric.unit.replace("us", "µs")


def _difference(one: Difference, accepted: tuple[str, ...]) -> tuple[object, ...]:
    badge = Badge("SKIPPED", "accepted") if one.kind in accepted else Badge("FAIL", "not accepted")
    return (one.name, one.kind, one.first, one.second, badge)


def _facts(result: Comparison) -> list[tuple[str, object]]:
    return [
        ("First run", result.runs[0]),
        ("Second run", result.runs[1]),
        ("Threshold", f"{percent(result.threshold)}: a change up to this is none to speak of"),
        ("Windows", "pairs, taken one after the other" if result.paired else "not paired"),
        ("Accepted differences", ", ".join(result.accepted) or "none"),
    ]


def _chart(result: Comparison) -> Markup:
    """Each metric's change with its interval, against the threshold; empty where none has one."""
    shown = [(row, row.effect) for row in result.metrics if row.effect is not None]
    if not shown:
        return Markup("")
    threshold = 100 * result.threshold

    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.add_subplot()
        axes.axvspan(-threshold, threshold, color=MUTED, alpha=0.18, linewidth=0)
        axes.axvline(0, color=MUTED, linewidth=1)
        for place, (row, effect) in enumerate(reversed(shown)):
            low, middle, high = (100 * (value - 1) for value in (effect.low, effect.ratio, effect.high))
            _, colour, marker = _VERDICTS[row.verdict]
            axes.plot([low, high], [place, place], "-", color=colour, linewidth=2.4, solid_capstyle="butt")
            axes.plot([middle], [place], marker, color=colour, markersize=8)
        axes.set_yticks(range(len(shown)), [_worse(row) for row, _ in reversed(shown)])
        axes.set_ylim(-0.6, len(shown) - 0.4)
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+g} %" if value else "0"))
        axes.locator_params(axis="x", nbins=5 if narrow else 9)
        axes.set_xlabel("change from the first to the second run")

    height = 1.0 + 0.5 * len(shown)
    return drawn("changes", "Change of each metric with its interval", draw, height=height, narrow_height=height)


def _worse(row: MetricResult) -> str:
    """The name of a metric, and in which direction it gets worse."""
    return f"{row.metric.name} {'(less is worse)' if row.metric.more_is_better else '(more is worse)'}"


def _not_shown(result: Comparison) -> list[str]:
    sentences = [
        "Why: that something changed is seen here, not what changed it.",
        "Other loads: the answer is about this scenario at this rate, on this machine.",
    ]
    if not result.paired:
        sentences.append(
            "What the machine did between the two runs: windows that are not paired cannot tell it from a change."
        )
    if result.metrics:
        sentences.append(
            f"Chance can still mislead: of comparisons of equal runs, up to {percent(FALSE_ALARMS)} end as a regression."
        )
    if result.outcome is Outcome.CANNOT_TELL:
        sentences.append(
            f"That there is no difference: more windows may find one. Recommended are {RECOMMENDED_PAIRS} pairs of windows."
        )
    return sentences
