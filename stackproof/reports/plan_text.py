"""How a plan reads, on its page and in the terminal. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stackproof.planning.demand import HOURS_A_MONTH
from stackproof.planning.plan_record import (
    DOCUMENTED,
    SHOWN,
    CandidateRow,
    ChosenRow,
    LineRow,
    Plan,
    SensitivityRow,
    StackRow,
)

STATUSES = ("feasible", "feasible as far as is known", "not known", "rejected")
"""Of a candidate, the best first."""
USABLE = STATUSES[:2]
RANKS = {
    SHOWN: "each backend was measured to carry the peak with head-room, and to keep the latency where one was asked for",
    DOCUMENTED: "what was not measured lies within quotas that its provider documents; quotas say nothing about latency",
    "something not shown": "nothing speaks against it, and the marks of its backends say what no evidence shows",
    "cost unknown": "all is shown or documented, and a part of the cost is not known",
    "something not shown and cost unknown": (
        "nothing speaks against it; the marks of its backends say what no evidence shows, and a part of the cost is not known"
    ),
}
"""Rank of a stack -> what it means, in words that need no other page."""


@dataclass(frozen=True, slots=True)
class Alike:
    """Candidates of one concern of which the same is to be said."""

    status: str
    marks: tuple[str, ...]
    why: str
    """What decides."""
    rows: tuple[CandidateRow, ...]


def by_concern(rows: Iterable[CandidateRow]) -> dict[str, list[CandidateRow]]:
    """The candidates of each concern, the feasible ones first; else in their order."""
    found: dict[str, list[CandidateRow]] = {}
    for row in rows:
        found.setdefault(row.concern, []).append(row)
    return {concern: sorted(these, key=lambda row: _place(row.status)) for concern, these in found.items()}


def alike(rows: Iterable[CandidateRow]) -> tuple[Alike, ...]:
    """Those that are feasible each for itself; the others together, where the same stands against them."""
    groups: dict[tuple[object, ...], list[CandidateRow]] = {}
    for row in rows:
        own = (row.backend, row.hosting) if row.status in USABLE else ()
        groups.setdefault((row.status, row.marks, _why(row), *own), []).append(row)
    return tuple(Alike(these[0].status, these[0].marks, _why(these[0]), tuple(these)) for these in groups.values())


def counted(rows: Iterable[CandidateRow]) -> str:
    """Such as ``3 feasible, 2 not known, 4 rejected``."""
    statuses = [row.status for row in rows]
    known = [*STATUSES, *sorted(set(statuses) - set(STATUSES))]
    return ", ".join(f"{statuses.count(status)} {status}" for status in known if status in statuses)


def named(row: CandidateRow | ChosenRow) -> str:
    """Such as ``postgres (rds)``."""
    return f"{row.backend} ({row.hosting})" if row.hosting else row.backend


_MACHINES = frozenset({"instance-hour", "node-hour", "broker-hour", "host-hour"})
_SHARDS = ("shards", "shard-hour")


def machines(part: ChosenRow, plan: Plan) -> str:
    """How many machines it buys, and of which type, such as ``3 x node cache.m4.large``; empty for what is paid by use."""
    lines = [line for line in part.lines if line.unit in _MACHINES or (line.item, line.unit) == _SHARDS]
    return "; ".join(_bought(line, plan) for line in lines if line.quantity != "0")


def _bought(line: LineRow, plan: Plan) -> str:
    """The price that a line rests on says the type: ``ElastiCache, node cache.m4.large: 0.156 USD for node-hour``."""
    number = re.sub(r"\d[\d,]*(?:\.\d+)?", lambda found: _months_of(found[0]), line.quantity)
    said = next((basis.text for basis in plan.of((f"price:{line.price}",))), line.item)
    _, _, kind = said.partition(": ")[0].partition(", ")
    return f"{number} x {kind.removeprefix('a ') or line.item}"


def _months_of(hours: str) -> str:
    return f"{float(hours.replace(',', '')) / HOURS_A_MONTH:.6g}"


def assumed(row: StackRow, plan: Plan) -> list[str]:
    """What has to be true beside what was measured, for what is said of the parts of a stack."""
    ids = dict.fromkeys(id_ for part in row.chosen for statement in part.statements for id_ in statement.basis)
    return [basis.text for basis in plan.of(tuple(ids)) if basis.kind == "assumption"]


def by_settling(rows: Iterable[CandidateRow]) -> list[tuple[str, tuple[str, ...]]]:
    """What would settle what is not known: the names of the candidates, and what to type or to find out for all of them."""
    found: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        if row.settles:
            found.setdefault(row.settles, []).append(f"{row.concern}={named(row)}")
    return [(", ".join(names), settles) for settles, names in found.items()]


def differences(row: StackRow, recommended: StackRow | None) -> str:
    """What is another backend than in the recommended stack, by concern."""
    before = {part.concern: named(part) for part in recommended.chosen} if recommended is not None else {}
    parts = [
        f"{part.concern}: {named(part)}" + (f" instead of {before[part.concern]}" if part.concern in before else "")
        for part in row.chosen
        if before.get(part.concern) != named(part)
    ]
    return "; ".join(parts) or "the same backends"


def why_not_first(row: StackRow, recommended: StackRow) -> str:
    """Why this stack ranks after the recommended one: by the rules of `planning.recommendation`, in their order."""
    reasons = []
    marks = _marks(row)
    if marks and not _marks(recommended):
        reasons.append(f"not shown: {', '.join(marks)}")
    if row.cost.unknown and not recommended.cost.unknown:
        reasons.append("a part of its cost is unknown")
    if reasons:
        return "; ".join(reasons)
    if _unpriced(row) > _unpriced(recommended):
        return f"the cost of {_unpriced(row)} backends is not known in full, instead of {_unpriced(recommended)}"
    return _dearer(row, recommended)


def _dearer(row: StackRow, recommended: StackRow) -> str:
    known = not row.cost.unknown
    theirs, ours = (float(one.cost.high if known else one.cost.low) for one in (row, recommended))
    if theirs > ours:
        what = "may cost" if known else "what is known of its cost is"
        return f"{what} up to {theirs - ours:,.2f} {row.cost.currency} more" if known else f"{what} higher"
    if theirs == ours:
        return "it costs the same, and leaves as much open or needs as many servers"
    return "it ranks after it"


def _marks(row: StackRow) -> tuple[str, ...]:
    return tuple(sorted({mark for part in row.chosen for mark in part.marks}))


def _unpriced(row: StackRow) -> int:
    return sum(bool(part.cost.unknown) for part in row.chosen)


def recommended_then(plan: Plan) -> list[str]:
    """For each month what would be recommended: the same, what differs from now, or as in an earlier month."""
    now = plan.recommended.name.split(", ") if plan.recommended is not None else []
    told: dict[str, str] = {plan.recommended.name: "the same"} if plan.recommended is not None else {}
    found = []
    for row in plan.months:
        if row.best and row.best not in told:
            found.append(", ".join(part for part in row.best.split(", ") if part not in now))
            told[row.best] = f"as in month {row.month}"
        else:
            found.append(told.get(row.best, "not known"))
    return found


def by_effect(rows: Sequence[SensitivityRow], plan: Plan) -> list[SensitivityRow]:
    """The changes of the cost, the largest first."""
    before = float(plan.recommended.cost.high) if plan.recommended is not None else 0.0

    def effect(row: SensitivityRow) -> float:
        return 0.0 if row.cost is None else -abs(float(row.cost.high) - before)

    return sorted(rows, key=effect)


def decisive(plan: Plan) -> tuple[list[SensitivityRow], list[SensitivityRow], list[SensitivityRow]]:
    """Changes of an input with another answer; with the same one at another cost; and those that change nothing, or cannot be."""
    usual = "same stack" if plan.recommended is not None else "no stack"
    others = [row for row in plan.sensitivity if row.outcome not in (usual, "not possible")]
    costly = [row for row in plan.sensitivity if row.outcome == "same stack" == usual and "instead of" in row.sentence]
    return others, costly, [row for row in plan.sensitivity if row not in others and row not in costly]


def old_prices(warnings: Sequence[str]) -> tuple[list[str], list[str]]:
    """Warnings about old prices, and the others."""
    old = [text for text in warnings if text.startswith("the price ")]
    return old, [text for text in warnings if text not in old]


def is_command(text: str) -> bool:
    """Whether this is to be typed rather than read."""
    return text.startswith("stackproof ")


def first_capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def a_second(value: float) -> str:
    """A rate in three digits, as in the sentences of a plan: ``1,200``, ``57.9`` or ``0.579``."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def in_bytes(size: int) -> str:
    for unit, least in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= least:
            return f"{size / least:,.3g} {unit}" if size < 1000 * least else f"{size / least:,.0f} {unit}"
    return f"{size} bytes"


def _why(row: CandidateRow) -> str:
    return row.statements[0].text if row.statements else ""


def _place(status: str) -> int:
    return STATUSES.index(status) if status in STATUSES else len(STATUSES)
