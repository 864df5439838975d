"""`stackproof selftest`: prove that the clauses can fail."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stackproof.adapters.registry import CONCERNS
from stackproof.exits import Exit

from .options import concern_option, json_option, out_option, result_console, seed_option, write_result

if TYPE_CHECKING:
    from rich.console import Console

    from stackproof.verification.selftest import SelfTest


@click.command()
@concern_option
@seed_option
@click.option(
    "--seeds",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Run the references with so many seeds, from --seed on.",
)
@out_option
@json_option
def selftest(concern: str | None, seed: int, seeds: int, out: Path | None, json_file: str | None) -> int:
    """Run every mutant against the clause that must kill it, and the references against all clauses.

    Only its own clause runs on a mutant: what just another clause would kill is alive, and fails the self-test.
    """
    from stackproof.reports.live import LiveView
    from stackproof.verification.run import silent
    from stackproof.verification.runs import new_run_id, open_run
    from stackproof.verification.selftest import SCHEMA, run_selftest

    console = result_console(json_file)
    directory = open_run(out, new_run_id())
    # A mutant that fails is good news: outside a terminal it gets no line, or the few that matter could not be found.
    with LiveView(console) if console.is_terminal else nullcontext(silent) as view:
        outcome = run_selftest([concern] if concern else CONCERNS, seed, directory, view, seeds)
    if json_file is not None:
        data = {
            "schema": SCHEMA,
            "seed": seed,
            "seeds": seeds,
            "holds": outcome.holds,
            "mutants": [asdict(row) for row in outcome.rows],
        }
        data |= {"uncovered": list(outcome.uncovered), "reference_troubles": list(outcome.reference_troubles)}
        write_result(json_file, json.dumps(data, indent=2) + "\n")
    _print_table(outcome, console)
    for row in outcome.survivors:
        console.print(f"ALIVE  {row.mutant}: {row.clause} did not catch it ({row.seen})", markup=False)
    for clause in outcome.uncovered:
        console.print(f"BARE   {clause}: no mutant proves that this clause can fail", markup=False)
    for trouble in outcome.reference_troubles:
        console.print(f"WRONG  the reference does not pass {trouble}", markup=False)
    killed = sum(row.killed for row in outcome.rows)
    word = "HOLDS" if outcome.holds else "BROKEN"
    console.print(f"{word}  {killed} of {len(outcome.rows)} mutants killed by their own clause, seed {seed}.")
    many = f" with {seeds} seeds, from {seed} on" if seeds > 1 else ""
    if not outcome.reference_troubles:
        console.print(f"The references pass every clause{many}.")
    return Exit.HOLDS if outcome.holds else Exit.BROKEN


def _print_table(outcome: SelfTest, console: Console) -> None:
    """Clause x mutant: for each clause how many of the mutants that name it were killed."""
    from rich.columns import Columns
    from rich.text import Text

    by_concern: dict[str, list[Text]] = {}
    for (concern, clause), (killed, total) in outcome.table().items():
        style = "green" if killed == total else "bold red"
        cell = Text.assemble(f"{clause} ", (f"{killed}/{total}", style))
        by_concern.setdefault(concern, []).append(cell)
    for concern, cells in by_concern.items():
        console.print(f"{concern}: mutants killed of each clause", markup=False)
        console.print(Columns(cells, padding=(0, 2), equal=True), highlight=False)
