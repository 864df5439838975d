"""An audit in the terminal: what was measured beside what is claimed, then a verdict for each claim."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from stackproof.planning.audit_record import Audit
from stackproof.planning.judging import Verdict

from .audit_text import MARK, ahead_text, cell_text, counts, headline, headroom_of, nothing_beside
from .text import one_line

_STYLE = {
    Verdict.SUPPORTED: "green",
    Verdict.LOOSE: "cyan",
    Verdict.UNSUPPORTED: "red",
    Verdict.NOT_TESTABLE: "dim",
    Verdict.NOT_MEASURED: "yellow",
}


def print_audit(audit: Audit, console: Console, directory: Path) -> None:
    """The whole result, the most important line first."""
    for line in map(headline, audit.beside) if audit.beside else [nothing_beside(audit)]:
        console.print(f"\n{one_line(line)}", style="bold", markup=False, highlight=False)
    console.print()
    console.print(_claims(audit))
    for part in (_tables(audit), _open(audit)):
        for line in part:
            console.print(line, markup=False, highlight=False)
    partial = " (partial)" if audit.partial else ""
    console.print(f"\n{counts(audit)}{partial}; kept in {directory}", markup=False, highlight=False)
    if audit.trouble:
        console.print(
            f"Measuring ended early: {one_line(audit.trouble)}", style="yellow", markup=False, highlight=False
        )


def _claims(audit: Audit) -> Grid:
    grid = Grid(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    grid.add_column("claim", no_wrap=True)
    grid.add_column("verdict", no_wrap=True)
    for name in ("claimed", "measured or computed, of what is claimed", "what binds"):
        grid.add_column(name, overflow="fold")
    for found in audit.findings:
        style = _STYLE[found.verdict]
        grid.add_row(
            escape(one_line(found.claim)),
            f"[{style}]{MARK[found.verdict]} {found.verdict}[/{style}]",
            *(escape(one_line(text)) for text in (found.number, headroom_of(found), found.binds)),
        )
    return grid


def _tables(audit: Audit) -> Iterable[str]:
    """A line for each size at which something was measured."""
    for table in audit.tables:
        rows = [row for row in table.rows if row.first or row.second]
        if rows:
            yield f"\n{one_line(table.sentence)}"
        for row in rows:
            yield one_line(
                f"  {row.size:>12,} {table.setting}   {table.first} {cell_text(row.first)}   "
                f"{table.second} {cell_text(row.second)}   ahead: {ahead_text(row.ahead)}"
            )


def _open(audit: Audit) -> Iterable[str]:
    first = [one for one in audit.not_measured if one.reachable and not one.alone]
    others = len(audit.not_measured) - len(first)
    if first:
        yield "\nNot measured:"
    for one in first:
        yield one_line(f"  {one.command}")
        yield one_line(f"    for {', '.join(one.claims)}: {one.reason}")
    if others:
        yield f"\nBeyond this origin, or half of a comparison that is: {others} searches; the page names them all"
    if audit.left_out:
        yield f"\nKept runs that are not used: {len(audit.left_out)}"
    for out in audit.left_out[:5]:
        yield one_line(f"  {out.run}: {out.reason}")
    if len(audit.left_out) > 5:
        yield "  ...; the page names them all"
