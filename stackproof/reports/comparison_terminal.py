"""A comparison of two runs in the terminal: a row for each metric, then what it rests on."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stackproof.measurement.compared import ACCEPTABLE, Comparison, MetricResult, Outcome, Side
from stackproof.measurement.comparison import RECOMMENDED_PAIRS, Verdict, change, percent
from stackproof.measurement.figures import NEVER_MS

from .text import one_line
from .words import counted

_OUTCOME = {
    Outcome.NO_REGRESSION: "bold green",
    Outcome.REGRESSION: "bold red",
    Outcome.CANNOT_TELL: "bold yellow",
    Outcome.INVALID: "bold red",
    Outcome.NO_DATA: "bold yellow",
    Outcome.OTHER: "bold yellow",
}
_VERDICT = {
    Verdict.REGRESSION: "bold red",
    Verdict.IMPROVEMENT: "bold green",
    Verdict.NO_DIFFERENCE: "green",
    Verdict.CANNOT_TELL: "yellow",
}


def print_comparison(result: Comparison, console: Console) -> None:
    """The outcome first, then the reasons why there is no answer, or the table, a sentence for each metric, and the notes."""
    console.print(Text(heading(result), style=_OUTCOME[result.outcome]))
    for label, run in zip(("first", "second"), result.runs, strict=True):
        _line(console, f"{label}: {run}")
    for reason in result.reasons:
        _line(console, reason, "yellow")
    if result.metrics:
        console.print(_table(result))
        for row in result.metrics:
            _line(console, f"{row.metric.name}: {row.sentence}")
        _line(console, f"{basis(result)} first, second: median, ± coefficient of variation.", "dim")
    for note in result.notes:
        _line(console, f"note: {note}", "yellow")


def heading(result: Comparison) -> str:
    """The outcome in capitals; of runs that are not comparable, what differs: OTHER BACKEND AND ENVIRONMENT."""
    if result.outcome is not Outcome.OTHER:
        return result.outcome.value.upper()
    kinds = [one.kind for one in result.differences if one.kind not in result.accepted or one.kind not in ACCEPTABLE]
    *others, last = dict.fromkeys(kinds or ["environment"])
    return f"OTHER {', '.join(others)} AND {last}".upper() if others else f"OTHER {last}".upper()


def _table(result: Comparison) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("metric", no_wrap=True)
    for name in ("first", "second", "change", "interval"):
        table.add_column(name, justify="right")
    table.add_column("verdict", no_wrap=True)
    for row in result.metrics:
        table.add_row(
            f"{row.metric.name} [{row.metric.unit}]".replace("[", "\\["),
            _side(row.first),
            _side(row.second),
            *effect_cells(row),
            Text(row.verdict, style=_VERDICT[row.verdict]),
        )
    return table


def _side(side: Side) -> str:
    if side.median is None:
        return "–"
    spread = "" if side.variation is None else f" ±{100 * side.variation:.0f} %"
    return f"{digits(side.median)}{spread}"


def digits(value: float) -> str:
    """Three digits that mean something, without an exponent; "never" for a latency that was never reached."""
    if value == NEVER_MS:
        return "never"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def effect_cells(row: MetricResult) -> tuple[str, str]:
    """The change and its interval, or dashes."""
    if row.effect is None:
        return "–", "–"
    low, high = (change(bound).removesuffix(" %") for bound in (row.effect.low, row.effect.high))
    return change(row.effect.ratio), f"{low} … {high}"


def basis(result: Comparison) -> str:
    """How many windows the answer about metrics rests on, and what its intervals are."""
    if result.paired:
        how = counted(max(min(row.first.windows, row.second.windows) for row in result.metrics), "pair") + " of windows"
    else:
        first, second = (max(getattr(row, side).windows for row in result.metrics) for side in ("first", "second"))
        of = "each run" if first == second else f"the first run and {second} of the second"
        how = f"{counted(first, 'window')} of {of}, not paired"
    confidence = "" if result.confidence is None else f", {percent(result.confidence)} intervals"
    return f"{how}{confidence}, threshold {percent(result.threshold)}. Recommended: {RECOMMENDED_PAIRS} pairs."


def _line(console: Console, text: str, style: str = "") -> None:
    console.print(one_line(text), style=style, markup=False, highlight=False)
