"""A plan as one self-contained HTML page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from stackproof.planning.plan_record import Basis, Plan, Statement

from .pages import render_page, require
from .plan_charts import cost_by_month
from .plan_terminal import a_second, first_capital, in_bytes
from .text import one_line

_TONE = {
    "feasible": "PASS",
    "feasible as far as is known": "INCONCLUSIVE",
    "not known": "SKIPPED",
    "rejected": "FAIL",
}
_MARK = {"PASS": "✓", "INCONCLUSIVE": "?", "SKIPPED": "◐", "FAIL": "✗"}
_RANK_TONE = {"shown": "PASS", "does not carry it": "FAIL", "not known": "SKIPPED"}
_KINDS = ("run", "quota", "price", "claim", "model", "assumption")


@dataclass(frozen=True, slots=True)
class Numbered:
    """What statements rest on, with the number by which they name it on the page."""

    number: int
    basis: Basis


def render(plan: Plan) -> str:
    """The page: the answer, its cost and evidence, why the others do not, until when, and what is not known."""
    require()
    ordered = sorted(plan.basis, key=lambda one: (_KINDS.index(one.kind), one.id))
    numbered = [Numbered(number, basis) for number, basis in enumerate(ordered, start=1)]
    numbers = {one.basis.id: one.number for one in numbered}

    def notes(statement: Statement) -> list[int]:
        return sorted(numbers[id_] for id_ in statement.basis if id_ in numbers)

    rank = plan.recommended.rank if plan.recommended is not None else "not known"
    tone = _RANK_TONE.get(rank, "INCONCLUSIVE")
    return render_page(
        "plan.html.j2",
        p=plan,
        tone=tone,
        mark=_MARK[tone],
        level={"PASS": "SHOWN", "INCONCLUSIVE": "OPEN", "SKIPPED": "NOT KNOWN"}[tone],
        date=_date(plan.created),
        decisions=int(plan.workload["--decisions-per-day"]),
        numbered=numbered,
        notes=notes,
        tone_of=lambda status: _TONE.get(status, "SKIPPED"),
        mark_of=lambda status: _MARK[_TONE.get(status, "SKIPPED")],
        chart=cost_by_month(plan.months),
        changed=[row for row in plan.sensitivity if row.outcome != "not possible"],
        impossible=[row for row in plan.sensitivity if row.outcome == "not possible"],
        rate=a_second,
        size=in_bytes,
        first=first_capital,
        one_line=one_line,
    )


def _date(created: str) -> str:
    moment = datetime.fromisoformat(created).astimezone(UTC)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"
