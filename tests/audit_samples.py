"""Audits for the tests of their record, page, terminal and command: an honest one, and one of hostile names."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from certificate_samples import HOSTILE
from planning_samples import CLAIMS, ceiling, decisions, searches

from stackproof.planning.audit import audit
from stackproof.planning.audit_making import beside_rows, finding_row, run_rows
from stackproof.planning.audit_record import Audit, CostAt, NotMeasured, RunLeftOut
from stackproof.planning.ceilings import MeasuredCeiling
from stackproof.planning.claim_costs import costs_of
from stackproof.planning.crossing_table import Cell, Row, crossing_tables
from stackproof.planning.headroom import Headroom
from stackproof.planning.price_book import load_prices

K = 1_000
CEILINGS: tuple[MeasuredCeiling, ...] = (
    decisions(400, 420, unit="decisions/s"),
    ceiling(2_000, 2_100),
    ceiling(9 * K, None, scenario="publish", backends=("events=redis",)),
    *searches(
        "search-term", {10 * K: (500.0, 510.0), 100 * K: (60.0, 70.0)}, {10 * K: (300.0, 310.0), 100 * K: (90.0, 99.0)}
    ),
    *searches("search-or", {10 * K: (50.0, 51.0)}, {10 * K: (300.0, None)}),
)


def audited(ceilings: tuple[MeasuredCeiling, ...] = CEILINGS) -> Audit:
    """The claims of the documentation against these ceilings."""
    claims = tuple(CLAIMS.values())
    costs = costs_of(claims, load_prices(), date(2026, 6, 1))
    return Audit(
        id="20260601-101112-abcd",
        created="2026-06-01T10:11:12+00:00",
        seconds=612.3,
        version="0.1",
        build="d" * 64,
        command="stackproof audit --origin embedded",
        origin="embedded",
        promises=("p99 within 20 ms",),
        claims_file="claims.toml",
        price_files=("prices.toml",),
        machine={"cores": "2", "processor": "a processor"},
        interrupted=False,
        trouble="",
        findings=tuple(finding_row(one, costs.get(one.claim.id, ())) for one in audit(claims, ceilings, costs)),
        beside=beside_rows(claims, ceilings),
        tables=crossing_tables(claims, ceilings),
        runs=run_rows(ceilings, {one.run for one in ceilings}, {"run-400-cache=redis"}),
        left_out=(RunLeftOut("20250101-000000-0000", "it was cut short"),),
        not_measured=(
            NotMeasured(
                "stackproof bench --scenario summaries --find-max",
                ("postgres-customers",),
                True,
                False,
                "no time was left",
            ),
            NotMeasured(
                "stackproof bench --backend search=opensearch", ("postgres-search-records",), False, False, "no wheel"
            ),
        ),
    )


HONEST = audited()
NOTHING = replace(audited(()), left_out=(), not_measured=HONEST.not_measured[:1])


def hostile(h: str = HOSTILE) -> Audit:
    """Every text that a third party can have a say in is an attack."""
    room = Headroom(h, 2.0, 3.0, h)
    (first, *_), (table, *_) = HONEST.findings, HONEST.tables
    finding = replace(
        first,
        **dict.fromkeys(("claim", "sentence", "where", "subject", "number", "binds"), h),
        **dict.fromkeys(("argument", "caveats", "settled_by", "runs"), (h, f"stackproof bench {h}")),
        headroom=room,
        costs=(CostAt(h, 1.0, None, (h,)),),
    )
    cell = Cell(1.0, 2.0, h, h, h, h)
    beside = replace(
        HONEST.beside[0],
        **dict.fromkeys(
            ("claim", "subject", "scenario", "unit", "published", "limiter", "run", "origin", "fidelity"), h
        ),
        promises=(h,),
    )
    return replace(
        HONEST,
        **dict.fromkeys(("id", "version", "build", "command", "origin", "claims_file", "trouble"), h),
        promises=(h,),
        price_files=(h,),
        machine={h: h},
        findings=(finding,),
        beside=(beside,),
        tables=(
            replace(
                table,
                **dict.fromkeys(("claim", "kind", "setting", "first", "second", "sentence", "caveat"), h),
                rows=(Row(7, cell, cell, h),),
            ),
        ),
        runs=(replace(HONEST.runs[0], run=h, sentence=h, when=h, origin=h, fidelity=h),),
        left_out=(RunLeftOut(h, h),),
        not_measured=(NotMeasured(h, (h,), True, False, h),),
    )
