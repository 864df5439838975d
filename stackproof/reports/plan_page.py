"""A plan as one self-contained HTML page: the answer on the first screens, the argument folded in below it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stackproof.planning.headroom import rounded
from stackproof.planning.plan_basis import LINEAR
from stackproof.planning.plan_record import (
    DOCUMENTED,
    SHOWN,
    Basis,
    CandidateRow,
    ChosenRow,
    MonthRow,
    Plan,
    StackRow,
    Statement,
)

from .components import Badge, Column, number
from .dates import for_people
from .pages import render_page, require
from .plan_text import (
    RANKS,
    a_second,
    by_concern,
    by_effect,
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

if TYPE_CHECKING:
    from markupsafe import Markup

_TONE = {
    "feasible": "PASS",
    "feasible as far as is known": "INCONCLUSIVE",
    "not known": "SKIPPED",
    "rejected": "FAIL",
}
_MARK = {"PASS": "✓", "INCONCLUSIVE": "?", "SKIPPED": "◐", "FAIL": "✗"}
_RANK_TONE = {SHOWN: "PASS", "does not carry it": "FAIL", "not known": "SKIPPED"}
_KINDS = ("run", "quota", "price", "claim", "model", "assumption")
_LEVEL = {"PASS": "SHOWN", "INCONCLUSIVE": "OPEN", "SKIPPED": "NOT KNOWN"}
_CONCERN, _BACKEND, _STATUS = Column("Concern", "concern"), Column("Backend", "backend"), Column("Status", "status")
_MACHINES = Column("Machines", "machines")
_COST, _WHY = Column("A month", "cost"), Column("Why", "why")

Row = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table as the macros of components take it."""

    columns: list[Column | str]
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack with its arguments and its bill."""

    row: StackRow
    backends: Table
    bill: Table
    notes: tuple[str, ...]


def render(plan: Plan) -> str:
    """The page: the answer, its cost and evidence, why the others do not, until when, and what is not known."""
    require()
    page = _Page(plan)
    rank = plan.recommended.rank if plan.recommended is not None else "not known"
    tone = _RANK_TONE.get(rank, "INCONCLUSIVE")
    others, costly, same = decisive(plan)
    old, warnings = old_prices(plan.warnings)
    return render_page(
        "plan.html.j2",
        p=plan,
        tone=tone,
        mark=_MARK[tone],
        level="DOCUMENTED" if rank == DOCUMENTED else _LEVEL[tone],
        means=RANKS.get(rank, ""),
        date=for_people(plan.created),
        decisions=f"{_volume(plan):,}",
        figures=_figures(plan),
        facts=_facts(plan),
        said=page.said,
        recommended=page.stack(plan.recommended) if plan.recommended is not None else None,
        short=_short(plan.recommended, plan, page),
        alternatives=[page.stack(row) for row in plan.alternatives],
        compared=_compared(plan),
        judged=page.stack(plan.judged) if plan.judged is not None else None,
        chart=_chart(plan),
        months=_months(plan),
        demand=_demand(plan),
        inputs=Table(["Option", number("Value")], list(plan.workload.items())),
        concerns=[
            (concern, counted(rows), page.candidates(rows)) for concern, rows in by_concern(plan.candidates).items()
        ],
        changed=_changes([*others, *by_effect(costly, plan)]),
        decided=len(others),
        unchanged=_changes(same),
        old=old,
        warnings=warnings,
        basis=page.basis(),
        first=first_capital,
        size=in_bytes,
    )


class _Page:
    """What depends on the numbers of what statements rest on."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        ordered = sorted(plan.basis, key=lambda one: (_KINDS.index(one.kind), one.id))
        self._basis = list(enumerate(ordered, start=1))
        self._numbers = {one.id: at for at, one in self._basis}

    def said(self, statements: Iterable[Statement]) -> Markup:
        """Statements as a list, each with links to what it rests on."""
        return _listed(_said(one.text) + self._notes(one) for one in statements)

    def _notes(self, statement: Statement) -> Markup:
        numbers = sorted(self._numbers[id_] for id_ in statement.basis if id_ in self._numbers)
        link = _markup('<sup><a href="#basis-{0}" aria-label="rests on {0}">{0}</a></sup>')
        return _markup("<sup>,</sup>").join(link.format(at) for at in numbers)

    def stack(self, row: StackRow) -> Stack:
        """All that is said of a stack."""
        rows: list[Row] = [
            (
                part.concern,
                one_line(named(part)),
                one_line(machines(part, self._plan)),
                status(part),
                part.cost.text,
                self.said(part.statements),
            )
            for part in row.chosen
        ]
        rows.append(("together", row.rank, "", "", row.cost.text, self.said(row.statements)))
        bill: list[Row] = [
            (
                f"{part.concern}: {line.item}",
                line.quantity,
                f"{line.unit}{f', {line.price}' if line.price else ''}",
                line.amount.text,
                one_line(line.formula),
            )
            for part in row.chosen
            for line in part.lines
        ]
        notes = tuple(f"{part.concern}: {one_line(note)}" for part in row.chosen for note in part.notes)
        return Stack(
            row,
            Table([_CONCERN, _BACKEND, _MACHINES, _STATUS, _COST, _WHY], rows),
            Table(["What", number("Quantity"), "Unit and price", number("Amount"), "How it comes about"], bill),
            notes,
        )

    def candidates(self, rows: Iterable[CandidateRow]) -> Table:
        """Those of one concern."""
        return Table(
            [_BACKEND, _STATUS, _COST, _WHY],
            [(one_line(named(row)), status(row), row.cost.text, self._why(row)) for row in rows],
        )

    def _why(self, row: CandidateRow) -> Markup:
        settled = _markup("")
        if row.settles:
            lines = _markup("").join(_markup("<pre>{}</pre>").format(one_line(text)) for text in row.settles)
            settled = _markup('<p class="small muted">What would settle it:</p>') + lines
        return self.said(row.statements) + settled

    def basis(self) -> Table:
        """What all statements rest on, by number; a link leads to each."""
        return Table(
            ["No.", "What", "Fidelity", "Origin or source", "Date"],
            [(_anchor(at), _what(one), one.fidelity, one_line(one.origin), one.date[:10]) for at, one in self._basis],
        )


def status(row: CandidateRow | ChosenRow) -> Badge:
    """What is known of a backend, with its marks."""
    tone = _TONE.get(row.status, "SKIPPED")
    return Badge(tone, row.status, ", ".join(row.marks), _MARK[tone])


def _volume(plan: Plan) -> int:
    return int(plan.workload["--decisions-per-day"])


def _figures(plan: Plan) -> list[Row]:
    """The answer in a few figures: the cost, how far it goes, and what comes after it."""
    peak = (
        "At the peak",
        f"{a_second(plan.flows[0].peak)}/s",
        f"decisions, and {plan.headroom:g} times that as head-room",
    )
    if plan.recommended is None or plan.outgrown is None:
        return [peak]
    grown = plan.outgrown
    most = (
        "no limit is known"
        if grown.most_decisions_per_day is None
        else f"{rounded(grown.most_decisions_per_day, _volume(plan))} a day"
    )
    scaled = any(LINEAR in statement.basis for statement in grown.statements)
    if scaled:
        most += ", assumed"
    if plan.workload.get("--growth-per-month", "0") in ("0", "0.0"):
        until = "decisions; no growth was asked for"
    elif grown.month is None:
        until = f"decisions; not outgrown within {plan.months[-1].month} months"
    else:
        until = f"decisions; outgrown in month {grown.month}"
    until += f"; the cost beside it is that of {_volume(plan):,}"
    if scaled:
        until += "; that several machines carry as much more as they are more was not measured"
    return [
        (
            f"{_volume(plan):,} a day cost a month",
            plan.recommended.cost.text,
            f"list prices; {plan.recommended.rank}",
        ),
        ("It carries up to about", most, until),
        peak,
    ]


def _short(row: StackRow | None, plan: Plan, page: _Page) -> Table | None:
    """The recommended stack with the one sentence that decides about each backend."""
    if row is None:
        return None
    rows: list[Row] = [
        (
            part.concern,
            one_line(named(part)),
            one_line(machines(part, plan)),
            status(part),
            part.cost.text,
            page.said(part.statements[:1]),
        )
        for part in row.chosen
    ]
    return Table([_CONCERN, _BACKEND, _MACHINES, _STATUS, _COST, "What decides"], rows)


def _compared(plan: Plan) -> Table | None:
    best = plan.recommended
    if best is None or not plan.alternatives:
        return None
    rows: list[Row] = [
        (
            first_capital(one_line(row.title)),
            one_line(differences(row, best)),
            row.cost.text,
            first_capital(why_not_first(row, best)),
        )
        for row in plan.alternatives
    ]
    return Table(["Stack", "What differs from the recommended one", _COST, Column("Why it is not first", "why")], rows)


def _chart(plan: Plan) -> Markup:
    from .plan_charts import cost_by_month

    return cost_by_month(plan.months)


def _months(plan: Plan) -> Table:
    def cost(row: MonthRow) -> str:
        return row.cost.text if row.cost is not None else "–" if row.carries else "outgrown"

    return Table(
        ["Month", number("Decisions a day"), number("Peak a second"), number("Log lines"), _COST, "Recommended then"],
        [
            (
                row.month,
                f"{row.decisions_per_day:,}",
                a_second(row.peak),
                in_bytes(row.log_bytes),
                cost(row),
                one_line(then),
            )
            for row, then in zip(plan.months, recommended_then(plan), strict=True)
        ],
    )


def _demand(plan: Plan) -> Table:
    return Table(
        ["What", number("Mean a second"), number("Peak a second"), number("A month"), number("Bytes a month")],
        [
            (
                flow.name,
                a_second(flow.mean),
                a_second(flow.peak),
                f"{flow.per_month:,}",
                in_bytes(flow.bytes_per_month) if flow.bytes_per_month else "–",
            )
            for flow in plan.flows
        ],
    )


def _changes(rows: Iterable[Any]) -> Table:
    return Table(
        [Column("Input", "mono input"), number("From"), number("To"), "Then"],
        [(row.input, row.before, row.after, one_line(row.sentence)) for row in rows],
    )


def _facts(plan: Plan) -> list[tuple[str, str]]:
    return [
        ("Latency target", "none" if plan.p99_ms is None else f"p99 within {plan.p99_ms:g} ms"),
        ("Machines of", plan.where),
        ("Must have", ", ".join(plan.requirements) or "nothing"),
        ("Prices", ", ".join(plan.prices)),
        ("Date", for_people(plan.created)),
    ]


def _markup(text: str) -> Markup:
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - only constants of this module come here; what others say is formatted into them


def _text(text: str) -> Markup:
    return _markup("{}").format(one_line(text))


def _said(text: str) -> Markup:
    return _markup("<code>{}</code>").format(one_line(text)) if is_command(text) else _text(text)


def _listed(rows: Iterable[Markup]) -> Markup:
    items = list(rows)
    if len(items) == 1:
        return items[0]
    return (
        _markup("<ul>{}</ul>").format(_markup("").join(_markup("<li>{}</li>").format(item) for item in items))
        if items
        else _markup("")
    )


def _anchor(at: int) -> Markup:
    return _markup('<span id="basis-{0}">{0}</span>').format(at)


def _what(basis: Basis) -> Markup:
    return _markup('<span class="mono small">{}</span><br>{}').format(one_line(basis.id), one_line(basis.text))
