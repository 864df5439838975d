"""The pages of docs/contracts: every clause of a concern as the code declares it, with the mutants that it kills.

python -m stackproof.reports.contract_pages docs/contracts
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click

from stackproof.contracts import (
    CONCERNS,
    CacheCapabilities,
    EventCapabilities,
    InteractionCapabilities,
    LogCapabilities,
    SearchCapabilities,
    contract_for,
)
from stackproof.contracts.clauses import VISIBLE_ATTRIBUTE, Clause, absence_proof, planned_clauses
from stackproof.contracts.mutants import Mutant, all_mutants

from .markdown_text import escaped, table, wrapped

COMMAND = "python -m stackproof.reports.contract_pages docs/contracts"
"""What writes the pages anew."""

CAPABILITIES: Mapping[str, type[Any]] = MappingProxyType(
    {
        "interactions": InteractionCapabilities,
        "events": EventCapabilities,
        "search": SearchCapabilities,
        "cache": CacheCapabilities,
        "logs": LogCapabilities,
    }
)


@dataclass(frozen=True, slots=True)
class Capability:
    """One field of a capabilities class."""

    name: str
    kind: str
    """Its type, as the source has it."""
    default: str
    meaning: str


def pages() -> dict[str, str]:
    """The name of each file, and its text."""
    mutants = all_mutants()
    return {f"{concern}.md": _page(concern, mutants) for concern in CONCERNS}


def capabilities_of(declared: type[Any]) -> Iterator[Capability]:
    """The fields of a capabilities class with the text below each, which only its source has."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(declared))).body
    statements = body.body if isinstance(body, ast.ClassDef) else []
    for field, text in pairwise(statements):
        if isinstance(field, ast.AnnAssign) and field.value is not None and isinstance(text, ast.Expr):
            meaning = ast.literal_eval(text.value)
            name, kind, default = map(ast.unparse, (field.target, field.annotation, field.value))
            yield Capability(name, kind, default, " ".join(meaning.split()))


def _page(concern: str, mutants: list[Mutant]) -> str:
    contract = contract_for(concern)
    clauses = [planned.clause for planned in planned_clauses(contract)]
    parts = [
        f"# Contract: {concern}",
        f"<!-- Generated. Do not edit: change the code, then run {COMMAND} -->",
        wrapped(
            f"{len(clauses)} clauses, held by `stackproof.contracts.{contract.__name__}` on any `{_interface(contract)}`. "
            f"A clause that did not see its evidence in time is INCONCLUSIVE, never a PASS; "
            "one that passes on one of its mutants fails `stackproof selftest`."
        ),
        "## What a backend declares",
        wrapped(
            f"`{CAPABILITIES[concern].__name__}`, in `stackproof.interfaces`. Test data stay at or under the limits. "
            "A clause that applies to a capability runs where that is declared; elsewhere its absence is proven, where it can be "
            "seen."
        ),
        table(
            ("capability", "default", "what it means"),
            [(f"`{c.name}`", f"`{c.default}`", c.meaning) for c in capabilities_of(CAPABILITIES[concern])],
        ),
        "## Clauses",
        table(
            ("clause", "rule", "applies to"),
            [(f"[{c.id}](#{c.id.lower()})", c.rule, f"`{c.needs}`" if c.needs else "all") for c in clauses],
        ),
        *(_section(contract, clause, _killed(clause, concern, mutants)) for clause in clauses),
    ]
    return "\n\n".join(parts) + "\n"


def _interface(contract: type[Any]) -> str:
    interface = contract.interface
    return f"{interface.__module__}.{interface.__name__}" if interface.__module__ == "logging" else interface.__name__


def _killed(clause: Clause, concern: str, mutants: list[Mutant]) -> list[Mutant]:
    """The mutants of this concern that the clause must kill; those of the others where a clause is shared and has none."""
    killed = [mutant for mutant in mutants if mutant.killed_by == clause.id]
    return [mutant for mutant in killed if mutant.concern == concern] or killed


def _section(contract: type[Any], clause: Clause, killed: list[Mutant]) -> str:
    evidence = ", ".join(f"{name} (at least {minimum})" for name, minimum in clause.sees)
    items = [
        f"Why: {escaped(clause.because)}.",
        f"Learnt from: {_rows(clause.learnt_from) or 'the interface itself'}.",
        f"Must see, within {clause.seconds:g} s: {escaped(evidence)}.",
        _applies(contract, clause),
        f"Fails on {'these mutants' if len(killed) > 1 else 'this mutant'}:",
    ]
    lines = [wrapped(f"- {item}", indent="  ") for item in items]
    lines += [wrapped(f"    - {_mutant(mutant)}", indent="      ") for mutant in killed]
    return "\n\n".join([f"### {clause.id}", wrapped(f"**{escaped(clause.rule)}**"), "\n".join(lines)])


def _applies(contract: type[Any], clause: Clause) -> str:
    if clause.needs is None:
        applies = "Applies to every backend"
    elif (proof := absence_proof(contract, clause.id)) is None:
        applies = f"Applies where `{clause.needs}` is declared"
    elif not getattr(proof, VISIBLE_ATTRIBUTE, True):
        applies = (
            f"Applies where `{clause.needs}` is declared; elsewhere what must hold without it is looked at, as its absence "
            "cannot be seen (NOT_SUPPORTED)"
        )
    else:
        applies = f"Applies where `{clause.needs}` is declared; elsewhere it is proven to be absent (NOT_SUPPORTED)"
    profile = "" if clause.profile == "core" else f", with `--profile {clause.profile}`"
    provisional = "; provisional: reported, not counted" if clause.provisional else ""
    return f"{applies}{profile}. Since {clause.since}{provisional}."


def _mutant(mutant: Mutant) -> str:
    imitates = f" ({_rows(tuple(mutant.imitates.replace(',', ' ').split()))})" if mutant.imitates else ""
    return f"`{mutant.name}`: {escaped(mutant.defect)}{imitates}"


def _rows(ids: tuple[str, ...]) -> str:
    """Links to rows of the bug catalogue."""
    return ", ".join(f"[{row}](../learnt-from.md#{row.lower()})" for row in ids)


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
def main(directory: Path) -> None:
    """Write the pages of all contracts into DIRECTORY."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
