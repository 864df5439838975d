"""Claims and measured ceilings for the tests of planning, made without a run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stackproof.planning.ceilings import MeasuredCeiling
from stackproof.planning.claims import Measure, built_in_claims
from stackproof.scenarios.catalogue import find_scenario
from stackproof.targets import find_stack

CLAIMS = {claim.id: claim for claim in built_in_claims()}
WRITES = CLAIMS["postgres-writes"]
"""At most 1,000/s, by rate."""
DECISIONS = CLAIMS["postgres-decisions"]
"""Less than 10,000 a day, by rate."""
CUSTOMERS = replace(CLAIMS["postgres-customers"], scenarios=(Measure("summaries"),))
"""Less than 500,000, by size, at 1,000/s; with histories of the usual depth."""
RECORDS = CLAIMS["postgres-search-records"]
"""Less than 1,000,000, by crossing."""


def ceiling(
    low: float,
    high: float | None,
    *,
    scenario: str = "ingest",
    backends: tuple[str, ...] = ("interactions=postgres",),
    settings: dict[str, Any] | None = None,
    **changes: Any,
) -> MeasuredCeiling:
    whole = MeasuredCeiling(
        backends=backends,
        scenario=scenario,
        settings={**find_scenario(scenario).settings, **(settings or {})},
        low=low,
        high=high,
        unit="items/s",
        limiter="client" if high is None else "slo",
        fidelity="native",
        origin="embedded",
        run=f"run-{low:g}-{next(iter(backends), None)}",
        date="2026-01-02T03:04:05+00:00",
        searched=True,
        promises=("p99 within 20 ms",),
    )
    return replace(whole, **changes)


def decisions(low: float, high: float | None, **changes: Any) -> MeasuredCeiling:
    backends = find_stack("development").backends
    names = tuple(sorted(f"{concern}={backends[concern]}" for concern in ("cache", "interactions", "events", "logs")))
    return ceiling(low, high, scenario="decision", backends=names, **changes)


def searches(
    kind: str, postgres: dict[int, tuple[float, float | None]], opensearch: dict[int, tuple[float, float | None]]
):
    """Ceilings of both search backends by the number of records."""
    return [
        ceiling(
            low,
            high,
            scenario=kind,
            backends=(backend,),
            settings={"records": records},
            run=f"{kind}-{backend}-{records}",
        )
        for backend, found in (("search=postgres", postgres), ("search=opensearch", opensearch))
        for records, (low, high) in found.items()
    ]
