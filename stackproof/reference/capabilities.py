"""What a backend of each concern can declare: every field with its type, its default and its docstring."""

from __future__ import annotations

from stackproof.contracts import contract_for
from stackproof.contracts.clauses import planned_clauses
from stackproof.interfaces import Delivery, Order
from stackproof.reports.contract_pages import CAPABILITIES, capabilities_of
from stackproof.reports.markdown_text import table, wrapped

_HEAD = (
    "A backend declares itself in one frozen data class, the class attribute `capabilities` of the adapter or "
    "of the contract's test class. What is declared is verified; what is not declared is proven absent, where "
    "that can be seen. A number is a limit: the suite's test data stay at or under it, and one step beyond "
    "must be rejected before anything is sent."
)


def body() -> str:
    """The whole page."""
    parts = [wrapped(_HEAD)]
    for concern, declared in CAPABILITIES.items():
        rows = [
            (f"`{c.name}`", f"`{c.kind}`", f"`{c.default}`", c.meaning, _clauses(concern, c.name))
            for c in capabilities_of(declared)
        ]
        parts += [
            f"## {concern.capitalize()}",
            f"`stackproof.interfaces.{declared.__name__}`. The contract: [{concern}](../contracts/{concern}.md).",
            table(("capability", "type", "default", "what it means", "clauses that need it"), rows),
        ]
    parts += ["## Values", table(("value", "meaning"), [(f"`{value}`", value.value) for value in (*Delivery, *Order)])]
    return "\n\n".join(parts)


def _clauses(concern: str, capability: str) -> str:
    clauses = [planned.clause for planned in planned_clauses(contract_for(concern))]
    return ", ".join(clause.id for clause in clauses if clause.needs and clause.needs.capability == capability)
