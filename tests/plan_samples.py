"""Measured ceilings, prices and questions for the tests of plans, made without a run."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from planning_samples import ceiling

from stackproof.planning.ceilings import MeasuredCeiling
from stackproof.planning.demand import Demand, Workload
from stackproof.planning.feasibility import Asked, Candidate
from stackproof.planning.measured import Known
from stackproof.planning.plan_record import Plan
from stackproof.planning.planner import Facts, Question, make_plan
from stackproof.planning.price_book import PriceBook, load_prices
from stackproof.planning.recommendation import Advisor, Answer

BOOK = load_prices()
TODAY = datetime.date(2026, 11, 1)
FACTS = Facts("20261101-000000-abcd", "2026-11-01T00:00:00+00:00", "0.0", "stackproof plan", TODAY)


def one(
    concern: str, backend: str, scenario: str, low: float, high: float | None, records: int = 0, **changes: Any
) -> MeasuredCeiling:
    """A search for the ceiling of one backend alone."""
    settings = {"records": records} if records else None
    changes = {"limiter": "client" if high is None else "server", **changes}
    run = changes.pop("run", f"{scenario}-{backend}" + (f"-{records}" if records else ""))
    return ceiling(
        low, high, scenario=scenario, backends=(f"{concern}={backend}",), settings=settings, run=run, **changes
    )


STAND_IN: dict[str, Any] = {"fidelity": "compatible-engine"}

MEASURED = (
    one("interactions", "postgres", "ingest", 1_500, 1_600),
    one("interactions", "postgres", "summaries", 4_000, 4_400),
    one("interactions", "scylla", "ingest", 600, 700, **STAND_IN),
    one("interactions", "scylla", "summaries", 900, 1_000, **STAND_IN),
    one("interactions", "cassandra", "ingest", 610, 700),
    one("interactions", "cassandra", "summaries", 900, 1_000),
    one("events", "redis", "end-to-end", 8_000, 9_000),
    one("events", "kafka", "end-to-end", 5_000, 5_500),
    one("search", "postgres", "search-term", 300, 330, records=100_000),
    one("search", "opensearch", "search-term", 250, 280, records=1_000_000),
    one("cache", "redis", "cache-hot", 30_000, 33_000),
    one("cache", "dragonfly", "cache-hot", 32_000, 35_000, **STAND_IN),
    one("cache", "elasticache", "cache-hot", 20_000, 22_000),
    one("logs", "console", "log-burst", 200, 220),
)
"""All of them with p99 within 20 ms, on a machine of ours."""
KNOWN = Known((), MEASURED)
NOTHING = Known()


def known(*own: MeasuredCeiling, shipped: Iterable[MeasuredCeiling] = ()) -> Known:
    return Known(tuple(own), tuple(shipped))


def asked(p99_ms: float | None = None, headroom: str = "1.5", **changes: Any) -> Asked:
    return Asked(headroom=Fraction(Decimal(headroom)), p99_ms=p99_ms, **changes)


def workload(decisions: int, **changes: Any) -> Workload:
    return Workload(decisions, **changes)


def answer(
    decisions: int,
    *,
    about: Asked | None = None,
    measured: Known = KNOWN,
    book: PriceBook = BOOK,
    **changes: Any,
) -> Answer:
    return Advisor(about or asked(), measured, book).answer(Demand.of(workload(decisions, **changes)))


def candidate(found: Answer, name: str) -> Candidate:
    """The one of ``cache=redis (self-hosted)``."""
    return next(each for each in found.candidates if f"{each.concern}={each.name}" == name)


FREE = frozenset(
    {
        "id",
        "text",
        "origin",
        "name",
        "item",
        "quantity",
        "unit",
        "price",
        "formula",
        "backend",
        "best",
        "unknown",
        "basis",
    }
)
"""Fields of a plan's record in which a third party's name, or a text of its files, may stand."""


def hostile(record: Any, attack: str) -> Any:
    """The record of a plan with an attack in every such field."""

    def spoilt(name: str, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(spoilt(name, each) for each in value)
        if is_dataclass(value):
            return hostile(value, attack)
        return attack if name in FREE and isinstance(value, str) else value

    return replace(record, **{field.name: spoilt(field.name, getattr(record, field.name)) for field in fields(record)})


def plan(
    decisions: int,
    *,
    about: Asked | None = None,
    measured: Known = KNOWN,
    book: PriceBook = BOOK,
    months: int = 12,
    judged: Any = None,
    **changes: Any,
) -> Plan:
    question = Question(workload(decisions, **changes), about or asked(), months, judged)
    return make_plan(question, measured, book, FACTS)
