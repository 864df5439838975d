"""How an audit reads, on its page and in the terminal. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from stackproof.planning.audit_record import Audit, ClaimFinding, CostAt, MeasuredBeside
from stackproof.planning.crossing_table import Cell, Table
from stackproof.planning.headroom import Headroom
from stackproof.planning.judging import LOOSE, Verdict

TONE = {
    Verdict.SUPPORTED: "PASS",
    Verdict.LOOSE: "NOT_SUPPORTED",
    Verdict.UNSUPPORTED: "FAIL",
    Verdict.NOT_TESTABLE: "SKIPPED",
    Verdict.NOT_MEASURED: "INCONCLUSIVE",
}
"""Which verdict of a clause the colour is that of."""
MARK = {
    Verdict.SUPPORTED: "✓",
    Verdict.LOOSE: "≫",
    Verdict.UNSUPPORTED: "✗",
    Verdict.NOT_TESTABLE: "⊘",
    Verdict.NOT_MEASURED: "?",
}
MEANING = {
    Verdict.SUPPORTED: "what was measured, or computed, reaches the number, and does not exceed it by far",
    Verdict.LOOSE: f"it exceeds the number by more than {LOOSE:g} times: the claim is true, and its number is not the limit",
    Verdict.UNSUPPORTED: "what was measured, or computed, contradicts the number",
    Verdict.NOT_TESTABLE: "no number was published, or it cannot run here",
    Verdict.NOT_MEASURED: "nothing was measured that can be used, or what was measured does not decide",
}
NOT_KNOWN = "not known"


def rate(value: float) -> str:
    """A rate without its unit, in two digits where it is small: ``0.12`` or ``1,600``."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def interval(low: float, high: float | None, unit: str = "") -> str:
    """Such as ``400 to 420 decisions/s``, or ``at least 400 decisions/s``."""
    text = f"at least {rate(low)}" if high is None else f"{rate(low)} to {rate(high)}"
    return f"{text} {unit}".rstrip()


def room_text(room: Headroom | None) -> str:
    """Such as ``3,560 to 3,740 times``; not known where there is nothing."""
    if room is None or (room.low == 0 and room.high is None):
        return NOT_KNOWN
    return room.text


def headroom_of(finding: ClaimFinding) -> str:
    """The same with its dimension; where nothing can be a multiple of what is claimed (a cost of 0), the costs."""
    text = room_text(finding.headroom)
    if finding.headroom is None and finding.judged_by == "cost" and finding.costs:
        return f"{costs_text(finding.costs)} (cost)"
    return text if text == NOT_KNOWN or finding.headroom is None else f"{text} ({finding.headroom.dimension})"


def cost_text(cost: CostAt) -> str:
    """Such as ``$39.76``, or ``at least $109.94``."""
    if cost.high is None:
        return f"at least ${cost.low:,.2f}"
    return f"${cost.low:,.2f}" if cost.low == cost.high else f"${cost.low:,.2f} to ${cost.high:,.2f}"


def costs_text(costs: Sequence[CostAt]) -> str:
    """The span of several volumes."""
    highs = [cost.high for cost in costs if cost.high is not None]
    high = max(highs) if len(highs) == len(costs) else None
    return cost_text(CostAt("", min(cost.low for cost in costs), high, ()))


def cell_text(cell: Cell | None, unit: bool = False) -> str:
    """What one backend carries at one size, with the limiter."""
    if cell is None:
        return "not measured"
    return f"{interval(cell.low, cell.high, cell.unit if unit else '')} ({cell.limiter})"


def ahead_text(name: str) -> str:
    """Who is ahead."""
    return name or "nobody for certain"


def counts(audit: Audit) -> str:
    """Such as ``14 claims: 2 supported, 1 loose``."""
    told = ", ".join(f"{number} {verdict}" for verdict, number in audit.counts.items())
    claims = "1 claim" if len(audit.findings) == 1 else f"{len(audit.findings)} claims"
    return f"{claims}: {told}" if told else claims


def subject_text(row: MeasuredBeside) -> str:
    """As a sentence begins: ``The stack development``; the name of a backend stays as it is typed."""
    return f"The {row.subject.removeprefix('the ')}" if row.subject.startswith("the ") else row.subject


def headline(row: MeasuredBeside) -> str:
    """The measured rate beside the claimed one, as one sentence."""
    promised = f" with {' and '.join(row.promises)}" if row.promises else ""
    claimed = (
        f"claimed: {row.published}"
        if row.published.endswith("/s")
        else f"claimed: {row.published}, a mean of {rate(row.claimed)}/s"
    )
    return (
        f"{subject_text(row)} carries {interval(row.low, row.high, row.unit)}{promised} here (limiter: {row.limiter}); "
        f"{claimed}; head-room: {room_text(row.headroom)}."
    )


NOT_OURS = (
    "The ceilings that come with the package, on which `stackproof plan` and `stackproof stacks` rest, do not count in an audit: "
    "it says what was shown on this machine, by this build, and they are of another one."
)


def nothing_beside(audit: Audit) -> str:
    """Why no measured rate stands beside a claimed one."""
    asked = [
        one
        for one in audit.not_measured
        if any(f.claim in one.claims and f.judged_by == "rate" for f in audit.findings)
    ]
    why, how = (f": {asked[0].reason}", f" To measure one: {asked[0].command}") if asked else ("", "")
    return f"No rate that is claimed was measured on this machine{why}. {NOT_OURS}{how}"


def binds_text(finding: ClaimFinding) -> str:
    """What binds, without what else may: its argument has all of it."""
    text, cut, _ = finding.binds.partition("; it may be ")
    return text + ")" if cut and text.count("(") > text.count(")") else text


def crossing_title(table: Table) -> str:
    """The caption of a crossing table."""
    told = "" if table.asked else " (told beside: the reading of the claim leaves it out)"
    return f"{table.kind}: what each carries by the number of {table.setting}{told}"
