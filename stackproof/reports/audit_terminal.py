"""An audit in the terminal: what was measured beside what is claimed, then a verdict for each claim."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from stackproof.planning.audit_record import Audit
from stackproof.planning.judging import Verdict

from .audit_text import (
    MARK,
    NOT_KNOWN,
    ahead_text,
    binds_text,
    cell_text,
    counts,
    headline,
    headroom_of,
    nothing_beside,
)
from .text import one_line

WIDE = 110
"""From this width on the claims are a table."""
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
    if console.width >= WIDE:
        console.print(_claims(audit))
    else:
        _claims_below_each_other(audit, console)
    for line in _tables(audit):
        console.print(line, markup=False, highlight=False)
    for line in _open(audit):
        # Commands are copied from here: a terminal may break a line, and nobody else.
        console.print(line, markup=False, highlight=False, soft_wrap=line.startswith("  stackproof "))
    partial = " (partial)" if audit.partial else ""
    console.print(f"\n{counts(audit)}{partial}; kept in {directory}", markup=False, highlight=False)
    if audit.trouble:
        console.print(
            f"Not all could be measured: {one_line(audit.trouble)}", style="yellow", markup=False, highlight=False
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
            *(escape(one_line(text)) for text in (found.number, headroom_of(found), binds_text(found))),
        )
    return grid


def _claims_below_each_other(audit: Audit, console: Console) -> None:
    """The same where five columns do not fit: a line for each claim, and what is to be said of it below."""
    width = max((cell_len(one_line(found.claim)) for found in audit.findings), default=0)
    for found in audit.findings:
        name = one_line(found.claim)
        line = Text(name + " " * (width - cell_len(name) + 2))
        line.append(f"{MARK[found.verdict]} {found.verdict}", style=_STYLE[found.verdict])
        console.print(line)
        known = {"measured or computed": headroom_of(found), "binds": binds_text(found)}
        said = [f"claimed: {found.number}", *(f"{what}: {text}" for what, text in known.items() if text != NOT_KNOWN)]
        console.print(Padding(Text(one_line("; ".join(said))), (0, 0, 0, 2)))


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
        yield f"\nNot possible from this origin, alone or as half of a comparison: {others} searches; the page names them all"
    if audit.left_out:
        yield f"\nKept runs that are not used: {len(audit.left_out)}"
    for out in audit.left_out[:5]:
        yield one_line(f"  {out.run}: {out.reason}")
    if len(audit.left_out) > 5:
        yield "  ...; the page names them all"
