"""A result in words, for a terminal: which clause, what was done, what was seen, what was expected and why."""

from __future__ import annotations

from .stream import PlannedClause
from .verdicts import ClauseResult, Failure


def explain(result: ClauseResult, planned: PlannedClause) -> str:
    """Several lines about a clause that did not pass."""
    head = f"{result.clause}  {planned.rule}"
    lines = [f"{head}    [{result.target}]"]
    failure = result.failure
    if failure is None:
        lines.append(f"  {result.verdict}: {result.reason}")
    else:
        lines.append(f"  what went wrong: {failure.headline}")
        lines += seen_lines(failure)
        learnt = f" (learnt from {', '.join(planned.learnt_from)})" if planned.learnt_from else ""
        lines.append(f"  why it matters: {planned.because}{learnt}")
    lines += [f"  note: {note}" for note in result.notes]
    if result.altered:
        lines.append(f"  altered: {result.altered}")
    if failure is not None and failure.again:
        lines.append(f"  again: {failure.again}")
    if failure is None and result.again:
        lines.append(f"  again: {result.again}")
    if failure is not None and failure.alone:
        lines.append(f"  script: {failure.alone}")
    return "\n".join(lines)


def seen_lines(failure: Failure) -> list[str]:
    """What was done, what was expected of it, and what was seen."""
    done = ["  what was done (the last calls):", *(f"    {call}" for call in failure.done)] if failure.done else []
    return [*done, f"  expected: {failure.expected}", f"  seen:     {failure.seen}"]
