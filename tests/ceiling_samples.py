"""Runs of load with a ceiling, or at a fixed rate, for the tests of planning: made without a run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bench_samples import FACTS, ORDER, offered, recorded, self_check_of

from stackproof.measurement.ceiling_record import CeilingRecord
from stackproof.measurement.judgement import measurement_of, window_of
from stackproof.measurement.promises import Promise
from stackproof.measurement.record import BackendRecord, Measurement
from stackproof.measurement.record_names import MEASURED
from stackproof.scenarios.catalogue import DECISION

BACKENDS = tuple(
    BackendRecord(f"{concern}=redis", concern, "x.Y", "digest", "redis", "native", "certificate-1")
    for concern in ("events", "cache")
)
SERVER = {
    "name": "redis",
    "origin": "embedded",
    "fidelity": "native",
    "version": "1",
    "facts": {},
    "technology": "redis",
}
FOUND = CeilingRecord(
    holds=400.0,
    fails=420.0,
    limiter="slo",
    reasons=("latency is the limit",),
    confirmed=True,
    promises=("p99 within 20 ms",),
    recovery_seconds=None,
    generator_rate=20_000.0,
    service_p50_ms=1.0,
    confirming_windows=3,
    achieved=(398.0, 401.0),
    p99_ms=(9.0, 11.0),
    invalid=(),
    notes=(),
    steps=(),
)


def fixed(windows: int = 3, **changes: Any) -> Measurement:
    """A run at a fixed rate that was held."""
    check = self_check_of()
    facts = replace(FACTS, backends=BACKENDS, servers=(SERVER,))
    orders = [replace(ORDER, number=number, seed=ORDER.seed + number) for number in range(windows)]
    measured = [window_of(MEASURED, offered(recorded(1000), order=order), check) for order in orders]
    run = measurement_of(DECISION, check, measured, facts, [Promise.parse("p99=20ms")], planned=windows)
    return replace(run, **changes)


def searched(found: CeilingRecord = FOUND, **changes: Any) -> Measurement:
    return replace(fixed(), ceiling=found, limiter=found.limiter, **changes)
