"""A plan in the terminal: the answer, its cost, why the others do not, until when, and what is not known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from stackproof.planning.plan_record import CandidateRow, Plan, StackRow, Statement

from .plan_text import (
    RANKS,
    USABLE,
    a_second,
    alike,
    assumed,
    by_concern,
    by_effect,
    by_settling,
    counted,
    decisive,
    differences,
    first_capital,
    in_bytes,
    is_command,
    machines,
    named,
    old_prices,
    recommended_then,
    why_not_first,
)
from .text import one_line

_STYLE = {"feasible": "green", "feasible as far as is known": "yellow", "not known": "yellow", "rejected": "red"}
MOST_LINES = 12
"""Of what is not known and of warnings; the page and the record have all."""
MOST_CHANGES = 6
"""Of inputs that change the cost alone."""


def print_plan(plan: Plan, console: Console) -> None:
    """The whole answer, as somebody reads it who has one minute; the page says what each statement rests on."""
    console.print(Text(one_line(plan.answer), style="bold"))
    for statement in plan.statements:
        if is_command(statement.text):
            console.print(Text(f"  {one_line(statement.text)}"), soft_wrap=True)  # to be copied
        else:
            console.print(_said(statement, plan))
    _demand(plan, console)
    if plan.recommended is not None:
        _stack(plan.recommended, plan, console)
    for row in plan.alternatives:
        console.print(Text(f"\n{first_capital(one_line(row.title))}: {row.cost.text} a month"))
        _indented(Text(one_line(differences(row, plan.recommended))), console)
        if plan.recommended is not None:
            _indented(Text(f"Not first: {why_not_first(row, plan.recommended)}."), console)
    if plan.judged is not None:
        _stack(plan.judged, plan, console)
    _candidates(plan.candidates, console)
    _growth(plan, console)
    _sensitivity(plan, console)
    _open(plan, console)
    old, others = old_prices(plan.warnings)
    if len(old) > 1:
        others.append(f"{len(old)} prices are old, or of unknown age, such as this one: {old[0]}")
    else:
        others += old
    _list("Read with care", others, console)
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
    """What it is made of and costs; below it, over the whole width, what decides about each backend."""
    table = _table(first_capital(row.title), "backend", "machines", "a month", numbers=0)
    for chosen in row.chosen:
        bought = Text(one_line(machines(chosen, plan)))
        table.add_row(chosen.concern, Text(one_line(named(chosen))), bought, chosen.cost.text)
    table.add_row("together", Text(row.rank), "", row.cost.text)
    console.print()
    console.print(table)
    if row.rank in RANKS:
        console.print(Text(f"{first_capital(row.rank)}: {RANKS[row.rank]}."))
    for chosen in row.chosen:
        why = [
            one_line(statement.text)
            for statement in chosen.statements[:-1]
            if not statement.text.startswith("Published")
        ]
        _indented(Text(f"{chosen.concern}: {' '.join(why)}"), console)
    for statement in row.statements:
        _indented(_said(statement, plan), console)
    for text in assumed(row, plan):
        _indented(Text(f"Assumed: {one_line(text)}."), console)


def _candidates(rows: Iterable[CandidateRow], console: Console) -> None:
    """The backends of each concern; those against which the same stands are told together."""
    console.print(Text("\nEvery backend, alone", style="bold"))
    for concern, these in by_concern(rows).items():
        console.print(Text(f"{concern}: {counted(these)}"))
        for group in alike(these):
            names = ", ".join(one_line(named(row)) for row in group.rows)
            marks = f" ({', '.join(group.marks)})" if group.marks else ""
            cost = f", {_a_month(group.rows[0])}" if group.status in USABLE else ""
            text = Text(f"{group.status}{marks}", style=_STYLE.get(group.status, ""))
            text.append(f": {names}{cost}. {one_line(group.why)}", style="not bold default")
            _indented(text, console)


def _a_month(row: CandidateRow) -> str:
    return "cost unknown" if row.cost.text == "unknown" else f"{row.cost.text} a month"


def _indented(text: Text, console: Console) -> None:
    """A paragraph whose further lines stand below its first one."""
    console.print(Padding(text, (0, 0, 0, 2)))


def _growth(plan: Plan, console: Console) -> None:
    if plan.outgrown is None:
        return
    console.print(Text("\nUntil when", style="bold"))
    for statement in plan.outgrown.statements:
        _indented(_said(statement, plan), console)
    if len(plan.months) > 1:
        table = _table("month", "decisions a day", "peak/s", "a month", "recommended then", numbers=3)
        for row, then in zip(plan.months, recommended_then(plan), strict=True):
            cost = row.cost.text if row.cost is not None else "outgrown"
            table.add_row(str(row.month), f"{row.decisions_per_day:,}", a_second(row.peak), cost, Text(one_line(then)))
        console.print(table)


def _sensitivity(plan: Plan, console: Console) -> None:
    changed, costly, rest = decisive(plan)
    console.print(Text("\nWhat it rests on: each input halved and doubled", style="bold"))
    for row in changed:
        _indented(Text(f"{row.input} {row.before} to {row.after}: {one_line(row.sentence)}"), console)
    table = _table("the same stack", "from", "to", "a month", numbers=3)
    for row in by_effect(costly, plan)[:MOST_CHANGES]:
        table.add_row(row.input, row.before, row.after, row.cost.text if row.cost is not None else "")
    if costly:
        console.print(table)
    if len(costly) > MOST_CHANGES:
        console.print(Text(f"{len(costly) - MOST_CHANGES} other changes of an input change its cost by less."))
    number = sum(row.outcome != "not possible" for row in rest)
    what = "the stack and its cost as they are" if plan.recommended is not None else "it so that no stack is known"
    console.print(Text(f"{number} other changes of an input leave {what}."))


def _open(plan: Plan, console: Console) -> None:
    """What is not known of costs; then what to type, each command on a line of its own, to be copied."""
    _list("Not known", [text for text in plan.not_known if text.startswith("cost: ")], console)
    settled = by_settling(plan.candidates)
    if not settled:
        return
    console.print(Text("\nNot known, and what would settle it", style="bold"))
    for names, texts in settled[:MOST_LINES]:
        _indented(Text(f"{one_line(names)}:"), console)
        for text in texts:
            console.print(Text(f"    {one_line(text)}"), soft_wrap=True)
    _more(len(settled), console)


def _said(statement: Statement, plan: Plan) -> Text:
    basis = ", ".join(f"{one.id}{f' ({one.fidelity})' if one.fidelity else ''}" for one in plan.of(statement.basis))
    text = Text(one_line(statement.text))
    if basis:
        text.append(f"  [{one_line(basis)}]", style="dim")
    return text


def _list(title: str, lines: Sequence[str], console: Console) -> None:
    if not lines:
        return
    console.print(Text(f"\n{title}", style="bold"))
    for line in lines[:MOST_LINES]:
        _indented(Text(one_line(line)), console)
    _more(len(lines), console)


def _more(number: int, console: Console) -> None:
    if number > MOST_LINES:
        console.print(Text(f"  and {number - MOST_LINES} more: the page and --json have them all"))


def _table(*heads: str, numbers: int) -> Table:
    """A plain table whose columns after the first are figures, as many as ``numbers``."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for at, head in enumerate(heads):
        table.add_column(head, justify="right" if 0 < at <= numbers else "left", overflow="fold")
    return table
