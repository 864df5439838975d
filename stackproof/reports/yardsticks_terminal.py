"""Yardsticks in the terminal: a table of both sides, and under it the reasons in words."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from stackproof.benchmarks.yardsticks.comparison import Comparison
from stackproof.benchmarks.yardsticks.run import Outcome

_HEAD = ("target", "tool", "ours /s", "theirs /s", "ratio", "95 %", "our CPU/op", "theirs", "by CPU")


def print_outcomes(outcomes: Sequence[Outcome], console: Console) -> None:
    """The comparisons, why each ratio is what it is, and what there is no comparison of."""
    found = [(outcome, outcome.comparison) for outcome in outcomes if outcome.comparison is not None]
    if found:
        table = Table(*_HEAD, box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for _, comparison in found:
            table.add_row(*_cells(comparison))
        console.print(table)
        if any(comparison.invalid for _, comparison in found):
            console.print("(!) this ratio is not to be used, for the reason below", style="bold red", markup=False)
    for outcome, comparison in found:
        console.print(f"\n{outcome.target} beside {outcome.tool}: {outcome.operation}", style="bold", markup=False)
        _say(console, [f"not to be used: {reason}" for reason in comparison.invalid], "bold red")
        _say(console, comparison.reasons, "")
    for outcome in outcomes:
        if outcome.missing is not None:
            console.print(f"{outcome.target}: no {outcome.tool}: {outcome.missing}", style="yellow", markup=False)
        if outcome.failure:
            console.print(f"{outcome.target}: {outcome.tool}: {outcome.failure}", style="bold red", markup=False)
        _say(console, [f"left on the server: {each}" for each in outcome.left_behind], "yellow")


def _say(console: Console, sentences: Sequence[str], style: str) -> None:
    for sentence in sentences:
        console.print(f"  {sentence}", style=style, markup=False)


def _cells(found: Comparison) -> tuple[str, ...]:
    theirs = "unknown" if found.their_cpu is None else f"{found.their_cpu * 1e6:.1f} us"
    return (
        found.target,
        f"{found.tool.name} {found.tool.version}",
        f"{found.our_rate:,.0f}",
        f"{found.their_rate:,.0f}",
        f"{found.ratio.estimate:.2f}" + (" (!)" if found.invalid else ""),
        f"{found.ratio.low:.2f} to {found.ratio.high:.2f}",
        f"{found.our_cpu * 1e6:.1f} us",
        theirs,
        "" if found.cpu_ratio is None else f"{found.cpu_ratio:.2f}",
    )
