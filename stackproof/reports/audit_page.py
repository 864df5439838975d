"""An audit as one self-contained HTML page."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from stackproof.planning.audit_record import Audit, ClaimFinding, MeasuredBeside
from stackproof.planning.crossing_table import Table
from stackproof.planning.judging import Verdict

from .audit_chart import headroom_chart
from .audit_text import (
    MARK,
    MEANING,
    TONE,
    ahead_text,
    binds_text,
    cell_text,
    cost_text,
    counts,
    crossing_title,
    headroom_of,
    interval,
    nothing_beside,
    rate,
    room_text,
    subject_text,
)
from .components import Badge, Column, Link, number
from .dates import for_people
from .pages import render_page

_COMMAND = "stackproof "


def render(audit: Audit) -> str:
    """The page: the measured rate beside the claimed one, a verdict for each claim, then the arguments and what they rest on."""
    anchors = {finding.claim: f"claim-{place}" for place, finding in enumerate(audit.findings, start=1)}
    return render_page(
        "audit.html.j2",
        a=audit,
        counts=counts(audit),
        date=for_people(audit.created),
        heads=[_head(row) for row in audit.beside],
        nothing="" if audit.beside else nothing_beside(audit),
        claim_columns=["Claim", "Verdict", "Claimed", "Measured or computed, of what is claimed", "What binds"],
        claim_rows=[_claim_row(finding, anchors[finding.claim]) for finding in audit.findings],
        chart=headroom_chart([(f.claim, f.headroom) for f in audit.findings if f.headroom and f.judged_by != "cost"]),
        chart_rows=[
            (f.claim, f.headroom.dimension, room_text(f.headroom), f.headroom.basis)
            for f in audit.findings
            if f.headroom
        ],
        beside_columns=["Claim", "Of", "Scenario", "Claimed", "Measured", "Head-room", "Limiter", "Run"],
        beside_rows=[_beside_row(row) for row in audit.beside],
        tables=[_table(table) for table in audit.tables],
        findings=[_finding(finding, anchors[finding.claim]) for finding in audit.findings],
        cost_columns=["At", number("A month costs"), "Not in it"],
        meanings=[(Badge(TONE[v], str(v), mark=MARK[v]), MEANING[v]) for v in Verdict],
        run_columns=[Column("Run", "mono"), "What it says", "When", "Measured now"],
        run_rows=[
            (run.run, run.sentence, for_people(run.when), "yes" if run.new else "no, it was there")
            for run in audit.runs
        ],
        left_out_rows=[(one.run, one.reason) for one in audit.left_out],
        first_rows=[
            (", ".join(one.claims), one.reason, one.command)
            for one in audit.not_measured
            if one.reachable and not one.alone
        ],
        other_columns=["For", "Why", Column("Command", "mono small")],
        other_rows=[
            (", ".join(one.claims), one.reason, one.command)
            for one in audit.not_measured
            if one.alone or not one.reachable
        ],
        facts=_facts(audit),
    )


def _head(row: MeasuredBeside) -> dict[str, Any]:
    """The big figures of one rate: measured, claimed, and how many times the one is of the other."""
    promised = f"with {' and '.join(row.promises)}; " if row.promises else ""
    return {
        "subject": subject_text(row),
        "figures": [
            (f"Measured: {row.scenario}", interval(row.low, row.high, row.unit), f"{promised}limiter: {row.limiter}"),
            ("Claimed", f"{rate(row.claimed)}/s", row.published),
            ("Head-room", room_text(row.headroom), f"{row.fidelity}, {row.origin} servers, run {row.run}"),
        ],
    }


def _claim_row(finding: ClaimFinding, anchor: str) -> tuple[object, ...]:
    return (
        Link(f"#{anchor}", finding.claim),
        _badge(finding.verdict),
        finding.number,
        headroom_of(finding),
        binds_text(finding),
    )


def _badge(verdict: Verdict) -> Badge:
    return Badge(TONE[verdict], str(verdict), mark=MARK[verdict])


def _beside_row(row: MeasuredBeside) -> tuple[object, ...]:
    return (
        row.claim,
        row.subject,
        row.scenario,
        f"{rate(row.claimed)}/s",
        interval(row.low, row.high, row.unit),
        room_text(row.headroom),
        row.limiter,
        row.run,
    )


def _table(table: Table) -> dict[str, Any]:
    estimate = ""
    if table.estimate is not None:
        low, high = table.estimate
        estimate = (
            f"If both go as powers of the number of {table.setting} in between, they cross at {low:,.0f} to {high:,.0f}: "
            "an estimate, which decides nothing."
        )
    return {
        "caption": crossing_title(table),
        "sentences": [text for text in (table.sentence or table.kind, estimate, table.caveat) if text],
        "columns": [Column(table.setting), table.first, table.second, "Ahead for certain", "Runs"],
        "rows": [
            (
                f"{row.size:,}",
                cell_text(row.first, unit=True),
                cell_text(row.second, unit=True),
                ahead_text(row.ahead)
                if row.first and row.second
                else "only one was measured"
                if row.first or row.second
                else "–",
                ", ".join(cell.run for cell in (row.first, row.second) if cell) or "–",
            )
            for row in table.rows
        ],
    }


def _finding(finding: ClaimFinding, anchor: str) -> dict[str, Any]:
    return {
        "anchor": anchor,
        "tone": TONE[finding.verdict],
        "mark": MARK[finding.verdict],
        "f": finding,
        "cost_rows": [(cost.at, cost_text(cost), "; ".join(cost.unknown) or "–") for cost in finding.costs],
        "commands": [text for text in finding.settled_by if _is_command(text)],
        "facts": [text for text in finding.settled_by if not _is_command(text)],
    }


def _is_command(text: str) -> bool:
    return re.match(rf"{_COMMAND}[a-z]", text) is not None and "\n" not in text


def _facts(audit: Audit) -> Iterable[tuple[str, str]]:
    return [
        ("Date", for_people(audit.created)),
        ("Took", f"{audit.seconds / 60:.1f} minutes"),
        ("Servers", audit.origin),
        ("Promise", " and ".join(audit.promises) or "none of latency"),
        ("Claims", audit.claims_file),
        ("Prices", ", ".join(audit.price_files)),
        ("Version", f"{audit.version}, build {audit.build[:12]}"),
        *((name, value) for name, value in audit.machine.items()),
    ]
