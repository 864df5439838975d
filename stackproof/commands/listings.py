"""`stackproof clauses` and `stacks`: what there is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from stackproof.adapters.registry import CONCERNS

from .options import Directory, concern_option, json_option, print_table, write_result


@click.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@concern_option
@json_option
def clauses(ids: tuple[str, ...], concern: str | None, json_file: str | None) -> None:
    """List the clauses of the contracts; with an ID, one in full."""
    from stackproof.interfaces import ConfigurationError

    wanted = {clause.upper() for clause in ids}
    rows = [row for row in _all_clauses(concern) if not wanted or row["clause"] in wanted]
    unknown = wanted - {row["clause"] for row in rows}
    if unknown:
        name = sorted(unknown)[0]
        others = [row["concern"] for row in _all_clauses(None) if row["clause"] == name]
        if others:
            raise ConfigurationError(f"{name} is a clause of {', '.join(others)}, not of {concern}")
        raise ConfigurationError(f"there is no clause {name}; `stackproof clauses` lists them all")
    if json_file is not None:
        write_result(json_file, json.dumps({"schema": "stackproof-clauses/1", "clauses": rows}, indent=2) + "\n")
    elif ids:
        for row in rows:
            click.echo(_in_full(row))
    else:
        print_table(
            ("clause", "concern", "needs", "rule"),
            [(r["clause"], r["concern"], r["needs"] or "core", r["rule"]) for r in rows],
        )


def _all_clauses(concern: str | None) -> list[dict[str, Any]]:
    from stackproof.contracts import contract_for
    from stackproof.contracts.clauses import planned_clauses
    from stackproof.contracts.mutants import all_mutants

    killers: dict[tuple[str, str], list[str]] = {}
    for mutant in all_mutants():
        killers.setdefault((mutant.concern, mutant.killed_by), []).append(mutant.name)
    rows = []
    for name in [concern] if concern else CONCERNS:
        for planned in planned_clauses(contract_for(name)):
            c = planned.clause
            rows.append(
                {
                    "clause": c.id,
                    "concern": name,
                    "rule": c.rule,
                    "because": c.because,
                    "learnt_from": list(c.learnt_from),
                    "evidence": dict(c.sees),
                    "needs": str(c.needs) if c.needs else "",
                    "profile": c.profile,
                    "since": c.since,
                    "provisional": c.provisional,
                    "mutants": killers.get((name, c.id), []),
                }
            )
    return rows


def _in_full(row: dict[str, Any]) -> str:
    evidence = ", ".join(f"{name} (at least {minimum})" for name, minimum in row["evidence"].items())
    lines = [
        f"{row['clause']} ({row['concern']})  {row['rule']}",
        f"  why: {row['because']}",
        f"  learnt from: {', '.join(row['learnt_from']) or 'the interface itself'}",
        f"  must see: {evidence}",
        f"  needs: {row['needs'] or 'nothing: core, for every backend'}",
        f"  profile: {row['profile']}, since {row['since']}",
        f"  must kill: {', '.join(row['mutants']) or 'no mutant yet'}",
    ]
    return "\n".join(lines)


@click.command()
@click.option(
    "--decisions-per-day",
    "volume",
    metavar="N",
    help="Add what a month costs for so many decisions a day: 10000, 10K, 2.5M or 1B.",
)
@click.option(
    "--prices", "prices", metavar="FILE", type=click.Path(path_type=Path), help="Your own prices, before ours."
)
@click.option(
    "--stack",
    "wanted",
    multiple=True,
    metavar="FILE|NAME",
    help="A stack of yours, beside ours; or of ours only the one of this name. May be repeated.",
)
@click.option(
    "--runs",
    metavar="DIR",
    type=Directory(file_okay=False, path_type=Path),
    help="Where your runs are kept.  [default: .stackproof/runs]",
)
@json_option
def stacks(
    volume: str | None, prices: Path | None, wanted: tuple[str, ...], runs: Path | None, json_file: str | None
) -> None:
    """List the stacks: one backend for each concern, how it is configured, and what was verified and measured of it."""
    from stackproof.interfaces import ConfigurationError
    from stackproof.planning.stacks import named_stack, other_stacks, reference_stacks
    from stackproof.planning.typed import whole
    from stackproof.verification.runs import RUNS

    from . import stack_costs, stack_evidence

    decisions_per_day = whole("--decisions-per-day", volume) if volume is not None else None
    if prices is not None and decisions_per_day is None:
        raise click.UsageError("--prices is of use with --decisions-per-day only")
    ours, given = (*reference_stacks(), *other_stacks()), [named_stack(text) for text in wanted]
    if len({stack.name for stack in given}) < len(given):
        raise ConfigurationError("--stack: two of the stacks have the same name; give each another one")
    named = [stack for stack in ours if stack in given]
    planned = [*(named or ours), *(stack for stack in given if stack not in ours)]
    if runs is not None and not runs.is_dir():
        raise ConfigurationError(f"--runs {runs} is no directory")
    evidence = stack_evidence.Evidence.of(runs if runs is not None else RUNS)
    costs = {}
    if decisions_per_day is not None:
        # What nobody sells has no cost, and its row would say so beside the others, unless it is asked for.
        sold = [stack for stack in planned if stack in given or stack not in other_stacks()]
        costs = stack_costs.costs(decisions_per_day, prices, evidence.known, sold)
    if json_file is not None:
        rows = [stack_costs.row(stack, costs.get(stack.name), evidence) for stack in planned]
        write_result(json_file, json.dumps({"schema": "stackproof-stacks/1", "stacks": rows}, indent=2) + "\n")
        return
    print_table(("stack", *CONCERNS), [(s.name, *(s.parts[concern].backend for concern in CONCERNS)) for s in planned])
    stack_evidence.show(planned, evidence)
    if decisions_per_day is not None:
        stack_costs.show(costs, decisions_per_day)
