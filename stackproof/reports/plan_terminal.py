"""A plan in the terminal: the answer, its cost, why the others do not, until when, and what is not known."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stackproof.planning.plan_record import CandidateRow, Plan, StackRow, Statement

from .text import one_line

_STYLE = {"feasible": "green", "feasible as far as is known": "yellow", "not known": "yellow", "rejected": "red"}
MOST_LINES = 12
"""Of what is not known and of warnings; the page and the record have all."""


def print_plan(plan: Plan, console: Console) -> None:
    """The whole answer, as somebody reads it who has one minute; the page says what each statement rests on."""
    console.print(Text(one_line(plan.answer), style="bold"))
    for statement in plan.statements:
        console.print(_said(statement, plan))
    _demand(plan, console)
    if plan.recommended is not None:
        _stack(plan.recommended, plan, console)
    for row in plan.alternatives:
        console.print(
            Text(f"\n{first_capital(row.title)}: {one_line(row.name)}"),
            Text(f"  {row.cost.text} a month ({row.rank})"),
            sep="\n",
        )
    if plan.judged is not None:
        _stack(plan.judged, plan, console)
    _candidates(plan.candidates, console)
    _growth(plan, console)
    _sensitivity(plan, console)
    _list("Not known", plan.not_known, console)
    old = [text for text in plan.warnings if text.startswith("the price ")]
    others = tuple(text for text in plan.warnings if text not in old)
    _list(
        "Read with care",
        (*others, *([f"{len(old)} prices are old, or of unknown age: {old[0]} ..."] if old else [])),
        console,
    )
    console.print(Text(f"\nNot counted: {'; '.join(plan.not_counted)}."))


def _demand(plan: Plan, console: Console) -> None:
    table = _table("a second", "mean", "peak", "a month", numbers=3)
    for flow in plan.flows:
        size = f" ({in_bytes(flow.bytes_per_month)})" if flow.bytes_per_month else ""
        table.add_row(flow.name, a_second(flow.mean), a_second(flow.peak), f"{flow.per_month:,}{size}")
    console.print()
    console.print(table)
    console.print(Text("Kept: " + "; ".join(f"{row.name}: {in_bytes(row.bytes)}" for row in plan.kept) + "."))


def _stack(row: StackRow, plan: Plan, console: Console) -> None:
    table = _table(first_capital(row.title), "backend", "a month", "why", numbers=0)
    for chosen in row.chosen:
        name = f"{chosen.backend} ({chosen.hosting})" if chosen.hosting else chosen.backend
        why = [
            one_line(statement.text)
            for statement in chosen.statements[:-1]
            if not statement.text.startswith("Published")
        ]
        table.add_row(chosen.concern, Text(one_line(name)), chosen.cost.text, Text(" ".join(why)))
    table.add_row("together", "", row.cost.text, Text(row.rank))
    console.print()
    console.print(table)
    for statement in row.statements:
        console.print(_said(statement, plan))


def _candidates(rows: Iterable[CandidateRow], console: Console) -> None:
    table = _table("candidate", "status", "a month, alone", "why", numbers=0)
    for row in rows:
        name = f"{row.concern}={row.backend}" + (f" ({row.hosting})" if row.hosting else "")
        status = row.status if not row.marks else f"{row.status}: {', '.join(row.marks)}"
        table.add_row(
            Text(one_line(name)),
            Text(status, style=_STYLE.get(row.status, "")),
            row.cost.text,
            Text(one_line(row.statements[0].text)),
        )
    console.print()
    console.print(table)


def _growth(plan: Plan, console: Console) -> None:
    if plan.outgrown is None:
        return
    console.print(Text("\nUntil when", style="bold"))
    for statement in plan.outgrown.statements:
        console.print(_said(statement, plan))
    if len(plan.months) > 1:
        table = _table("month", "decisions a day", "peak/s", "a month", "recommended then", numbers=3)
        for row in plan.months:
            cost = row.cost.text if row.cost is not None else "outgrown"
            best = (
                "the same"
                if plan.recommended is not None and row.best == plan.recommended.name
                else row.best or "not known"
            )
            table.add_row(str(row.month), f"{row.decisions_per_day:,}", a_second(row.peak), cost, Text(one_line(best)))
        console.print(table)


def _sensitivity(plan: Plan, console: Console) -> None:
    told = ("another stack", "no stack") if plan.recommended is not None else ("another stack",)
    changed = [row for row in plan.sensitivity if row.outcome in told]
    costly = [row for row in plan.sensitivity if row.outcome == "same stack" and "instead of" in row.sentence]
    console.print(Text("\nWhat it rests on: each input halved and doubled", style="bold"))
    table = _table("input", "from", "to", "then", numbers=2)
    for row in (*changed, *costly):
        table.add_row(row.input, row.before, row.after, Text(one_line(row.sentence)))
    if changed or costly:
        console.print(table)
    rest = sum(row.outcome != "not possible" for row in plan.sensitivity) - len(costly) - len(changed)
    none = "the stack or its cost" if plan.recommended is not None else "that no stack is known"
    console.print(Text(f"{rest} other changes of an input do not change {none}."))


def _said(statement: Statement, plan: Plan) -> Text:
    basis = ", ".join(f"{one.id}{f' ({one.fidelity})' if one.fidelity else ''}" for one in plan.of(statement.basis))
    text = Text(one_line(statement.text))
    if basis:
        text.append(f"  [{one_line(basis)}]", style="dim")
    return text


def _list(title: str, lines: tuple[str, ...], console: Console) -> None:
    if not lines:
        return
    console.print(Text(f"\n{title}", style="bold"))
    for line in lines[:MOST_LINES]:
        console.print(Text(f"  {one_line(line)}"))
    if len(lines) > MOST_LINES:
        console.print(Text(f"  and {len(lines) - MOST_LINES} more: the page and --json have them all"))


def _table(*heads: str, numbers: int) -> Table:
    """A plain table whose columns after the first are figures, as many as ``numbers``."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for at, head in enumerate(heads):
        table.add_column(head, justify="right" if 0 < at <= numbers else "left", overflow="fold")
    return table


def first_capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def a_second(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def in_bytes(size: int) -> str:
    for unit, least in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= least:
            return f"{size / least:,.3g} {unit}" if size < 1000 * least else f"{size / least:,.0f} {unit}"
    return f"{size} bytes"
