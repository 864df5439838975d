"""A measurement in the terminal: live while it runs, a short table at its end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stackproof.measurement.check_words import counted_again
from stackproof.measurement.figures import Figures
from stackproof.measurement.promises import PromiseResult
from stackproof.measurement.record import Measurement, WindowRecord
from stackproof.measurement.spread import Spread, spread_of
from stackproof.measurement.standing import Standing, standing_of
from stackproof.measurement.sweep import SweepRecord
from stackproof.scenarios.orders import BACKENDS, CLOSED
from stackproof.scenarios.recorder import OUTCOMES

from .ceiling_terminal import print_ceiling
from .ceiling_words import bracket_of, headline_of, windows_of_figures
from .moving import Moving, progress_of
from .text import one_line

_STYLE = {
    Standing.HOLDS: "bold green",
    Standing.BROKEN: "bold red",
    Standing.UNKNOWN: "bold yellow",
    Standing.PARTIAL: "bold yellow",
}
_ROWS = (
    ("intended", "latency from the intended start"),
    ("counted", "  every offered operation counted"),
    ("real", "latency from the real start"),
    ("lag", "send lag"),
)
NOT_KEPT = "not recorded"
"""What a record of an earlier release does not say."""


class LoadView(Moving):
    """One line that follows the run (p99 is that of the last second), where somebody is looking; else one for each window that
    ended."""

    def __init__(self, console: Console, windows: int = 1, before: int = 0) -> None:
        """``before``: of these windows, those that are there from an earlier session."""
        self._console = console
        self._windows = windows
        self._window = self._ended = before
        self._state: Mapping[str, Any] = {"phase": "starting"}
        super().__init__(console)

    def __call__(self, state: Mapping[str, Any]) -> None:
        """Take note of a line of progress."""
        if state.get("left", 0.0) > self._state.get("left", 0.0) and state["target"] == BACKENDS:
            self._window += 1
        self._state = state

    def ended(self, window: WindowRecord, of: str = "") -> None:
        """Take note of a window that ended, ``of`` one side where two are measured in turns."""
        self._ended += 1
        if self._console.is_terminal:
            return
        order, counts = window.order, window.counts
        callers = f"   {order['in_flight']} in flight" if order["arrivals"] == CLOSED else ""
        bad = f"   not to be used: {one_line(window.invalid[0])}" if window.invalid else ""
        self._console.print(
            f"window {self._ended} of {self._windows}{of and f' ({of})'}{callers}   "
            f"achieved {window.rates['achieved']:.1f} of {window.rates['offered']:.1f} a second   "
            f"p99 {cells(window.latency['counted'], unanswered=True)[2]}   {_outcomes(counts)}{bad}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )

    def picture(self) -> Text:
        state = self._state
        if "offered" not in state:
            return Text(f"{state['phase']} …")
        phase = "self-check" if state["target"] != BACKENDS else "warm-up" if state["seconds"] < 0 else "measuring"
        which = f" {self._window} of {self._windows}" if self._windows > 1 and state["target"] == BACKENDS else ""
        p99 = [] if state["p99"] is None else [f"p99 {state['p99'] * 1000:.1f} ms"]
        done = (state["ok"] + state["late"]) / max(1.0, state["seconds"])
        figures = [f"offered {state['rate']:,g}/s", f"done {done:,.1f}/s", *p99]
        figures += [f"failed {state['failed']}", f"dropped {state['dropped']}"]
        return progress_of([phase + which, f"{state['left']:.0f} s left"], figures, self._console.width)


def print_measurement(result: Measurement, console: Console, directory: Path) -> None:
    """The figures that matter, what is wrong with them, and where the rest is."""
    shown = standing_of(result)  # the word that its page is headed by
    console.print(Text(shown.word, style="bold red" if shown.word == "INVALID" else _STYLE[shown.standing]), end="  ")
    console.print(
        f"{title(result)} on {', '.join(backend.target for backend in result.backends)}",
        markup=False,
        highlight=False,
    )
    if result.ceiling is not None:
        print_ceiling(result.ceiling, headline_of(result), console)
    if result.measured or result.ceiling is None:
        _print_figures(result, console)
    for sentence in result.invalid:
        console.print(f"invalid: {one_line(sentence)}", style="red", markup=False, highlight=False)
    for sentence in result.warnings:
        console.print(f"note: {one_line(sentence)}", style="yellow", markup=False, highlight=False)
    console.print(f"page: {directory / 'measurement.html'}", markup=False, highlight=False, soft_wrap=True)


def title(result: Measurement) -> str:
    """What was measured: a load, or the bracket that a search found."""
    name = result.scenario["name"]
    return f"{name} {load_in_words(result)}" if result.ceiling is None else f"{name}: {bracket_of(result)}"


def _print_figures(result: Measurement, console: Console) -> None:
    """Of the measured windows."""
    counts, rates = result.counts, result.rates
    if result.ceiling is not None:
        console.print(f"{windows_of_figures(result.ceiling)}, {load_in_words(result)}:", markup=False, highlight=False)
    console.print(
        f"achieved {rates['achieved']:.1f} of {rates['offered']:.1f} a second   "
        f"{_outcomes(counts)}   of {counts['offered']}   sent late {counts['sent_late']}",
        markup=False,
        highlight=False,
    )
    console.print(_table(result))
    if result.sweep is not None:
        _print_sweep(result.sweep, console)
    if spread := spread_of(result.measured):
        scatter = Table(
            "over the windows", "median", "95 % interval", "varies by", box=None, pad_edge=False, padding=(0, 2, 0, 0)
        )
        for row in spread:
            scatter.add_row(*spread_cells(row))
        console.print(scatter)
    for kind, number in result.errors.items():
        console.print(f"failed: {number} x {one_line(kind)}", markup=False, highlight=False)
    if counted := counted_again(result.checks.get("counts", {})):
        console.print(f"checked: {counted}", markup=False, highlight=False)
    if result.ceiling is None:
        console.print(f"limiter: {result.limiter} ({result.limiter_reason})", markup=False, highlight=False)
    console.print(
        f"client: {result.client['cpu_us_per_operation']:,.0f} us of processor time an operation, "
        f"{result.client['cpu_share']:.0%} of a core",
        markup=False,
        highlight=False,
    )
    if result.calibration["stub"] is not None:
        console.print(f"self-check: {stub_in_words(result.calibration['stub'])}", markup=False, highlight=False)
    for promise in result.slo:
        word, seen = promise_in_words(promise)
        console.print(f"{promise.name}: {word} ({seen})", markup=False, highlight=False)


def promise_in_words(promise: PromiseResult) -> tuple[str, str]:
    """Whether it was kept, over how many windows, and what was seen in them."""
    few = promise.verdict == "unknown" and promise.least_ms is None and not promise.missed
    if promise.windows == 1:
        if few:
            return "cannot be told", "too few operations"
        return promise.verdict, "never reached" if promise.seen_ms is None else milliseconds(promise.seen_ms)
    if few:
        return "cannot be told", f"too few operations in a window, and {promise.windows} windows are not put together"
    least, most = (
        "never reached" if value is None else milliseconds(value) for value in (promise.least_ms, promise.most_ms)
    )
    missed = f"{promise.missed} of {promise.windows} windows missed it"
    if promise.verdict == "unknown":
        word = f"cannot be told: {missed}"
    elif promise.missed in (0, promise.windows):
        word = f"{promise.verdict} in each of {promise.windows} windows"
    else:
        word = f"{promise.verdict}: {missed}"
    return word, least if least == most else f"{least} to {most}"


def stub_in_words(check: Mapping[str, Any]) -> str:
    """What the generator saw of a server whose service time and stall are known."""
    [window] = check["windows"]
    own = milliseconds(window["own_ms"])
    seen = "recovered" if check["trusted"] else "NOT recovered"
    tails = [row["deviation"] for row in window["figures"] if row["figure"] != "p50" and row["deviation"] is not None]
    within = f", its tail within {max(map(abs, tails)):.1%}" if tails and check["trusted"] else ""
    return f"a stall of a server of known speed was {seen}{within}; the client's own time is {own} of each latency"


def load_in_words(result: Measurement) -> str:
    """Rate, arrivals and length; of windows that a search made longer, from the shortest to the longest."""
    load = result.load
    how = f"at {load['rate']:,g}/s ({load['arrivals']})" if load["rate"] is not None else "in a closed loop"
    times = f"{load['repeat']} x " if load["repeat"] > 1 else ""
    lengths = sorted({f"{window.order['seconds']:.3g}" for window in result.measured}, key=float)
    length = " to ".join((lengths[0], lengths[-1])) if len(lengths) > 1 else f"{load['duration']:g}"
    return f"{how} for {times}{length} s"


def _outcomes(counts: Mapping[str, int]) -> str:
    """Each outcome; those that a plain run does not have are left out where nothing ended so."""
    shown = [name for name in OUTCOMES if counts[name] or name in ("ok", "failed", "dropped")]
    return "   ".join(f"{name} {counts[name]}" for name in shown)


def _print_sweep(found: SweepRecord, console: Console) -> None:
    table = Table("in flight", "throughput", "p50", "limiter", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for level in found.levels:
        best = " (the best; the figures above are of it)" if level.in_flight == found.best else ""
        row = (
            str(level.in_flight),
            f"{level.throughput:,.0f}/s{best}",
            milliseconds(level.p50),
            level.limiter or NOT_KEPT,
        )
        table.add_row(*row)
    console.print(table)
    console.print(f"scalability: {found.sentence}", markup=False, highlight=False)


def spread_cells(row: Spread) -> list[str]:
    """A figure over the windows: its median, interval and variation; dashes where all windows are equal."""
    interval = "–" if row.low is None or row.high is None else f"{row.low:,.4g} to {row.high:,.4g} {row.unit}"
    varies = "–" if row.variation is None else f"{row.variation:.1%}"
    name = f"{row.metric}, {row.windows} windows"
    return [name, f"{row.median:,.4g} {row.unit}", interval, f"{varies} (noisy)" if row.noisy else varies]


def milliseconds(value: float | None) -> str:
    """A duration for people; a dash where the sample is too small."""
    return "–" if value is None else f"{value:,.2f} ms" if value < 100 else f"{value:,.0f} ms"


def _table(result: Measurement) -> Table:
    table = Table("", "p50", "p90", "p99", "p99.9", "longest", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in table.columns[1:]:
        column.justify = "right"
    complete = result.counts["ok"] + result.counts["late"] == result.counts["offered"]
    for name, label in _ROWS:
        if name == "counted" and complete:
            continue
        table.add_row(label, *cells(result.latency[name], unanswered=name == "counted"))
    return table


def cells(figures: Figures, *, unanswered: bool = False) -> list[str]:
    """The percentiles of a row. In the row that counts every operation, a missing one that the sample supports is *never*."""
    from stackproof.scenarios.histogram import supported

    values = {50.0: figures.p50, 90.0: figures.p90, 99.0: figures.p99, 99.9: figures.p99_9}
    shown = [
        "never" if value is None and unanswered and supported(figures.count, percentile) else milliseconds(value)
        for percentile, value in values.items()
    ]
    return [*shown, "never" if unanswered and figures.largest is None else milliseconds(figures.largest)]
