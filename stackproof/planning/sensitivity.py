"""What the answer rests on: each input halved and doubled, and whether the recommendation or its cost changes. Pure."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import Any

from stackproof.interfaces import ConfigurationError

from .demand import Demand, Workload
from .feasibility import LEAST_HEADROOM, MOST_HEADROOM, MOST_P99_MS, Asked
from .recommendation import Advisor, Option

NOT_HERE = frozenset({"growth_per_month"})
"""Inputs that do not change what is recommended now."""
WITHIN = {"cache_hit_ratio": Decimal(1)}
"""The largest value of an input that has one."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The answer with one input changed."""

    input: str
    """As an option of the command."""
    before: str
    after: str
    option: Option | None
    """What is recommended then; None where nothing is."""
    impossible: str = ""
    """Why the input cannot have that value; then nothing else is told."""


def sensitivity(advisor: Advisor, workload: Workload) -> tuple[Changed, ...]:
    """Two rows for each input: half of it, and twice as much. An input of 0 has none."""
    rows: list[Changed] = []
    for field in fields(Workload):
        value = getattr(workload, field.name)
        if field.name not in NOT_HERE and value:
            rows += [_with(advisor, workload, field.name, value, factor) for factor in (Decimal("0.5"), Decimal(2))]
    for name, asked in _questions(advisor.asked):
        other = replace(advisor, asked=asked)
        before, after = (
            f"{one.p99_ms:,.9g}" if name == "--p99-ms" else f"{float(one.headroom):g}" for one in (advisor.asked, asked)
        )
        rows.append(Changed(name, before, after, other.answer(Demand.of(workload)).best))
    return tuple(rows)


def _questions(asked: Asked) -> list[tuple[str, Asked]]:
    """Each as far as it can go: where it cannot go any further there is no row."""
    found = []
    if asked.p99_ms is not None:
        for p99_ms in (asked.p99_ms / 2, min(MOST_P99_MS, asked.p99_ms * 2)):
            if p99_ms and p99_ms != asked.p99_ms:
                found.append(("--p99-ms", replace(asked, p99_ms=p99_ms)))
    for headroom in (max(LEAST_HEADROOM, asked.headroom / 2), min(MOST_HEADROOM, asked.headroom * 2)):
        if headroom != asked.headroom:
            found.append(("--headroom", replace(asked, headroom=headroom)))
    return found


def _with(advisor: Advisor, workload: Workload, name: str, value: Any, factor: Decimal) -> Changed:
    option = "--" + name.replace("_", "-")
    changed: Any = min(Decimal(value) * factor, WITHIN.get(name, Decimal("Infinity")))
    if isinstance(value, int) and not isinstance(value, bool):
        changed = max(1, round(changed)) if changed == round(changed) or changed >= 1 else 1
    if name == "peak_factor":
        changed = max(Decimal(1), Decimal(changed))
    shown = f"{value:,}", f"{changed.normalize():,f}" if isinstance(changed, Decimal) else f"{changed:,}"
    if changed == value:
        return Changed(option, *shown, None, "it is as small, or as large, as it can be")
    changes: dict[str, Any] = {name: changed}
    try:
        other = replace(workload, **changes)
    except ConfigurationError as error:
        return Changed(option, *shown, None, str(error))
    return Changed(option, *shown, advisor.answer(Demand.of(other)).best)
