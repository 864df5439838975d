"""Recorders, measurements and certificates for the tests of bench, made without a clock and without a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from calibration_samples import Generator, opened, verdict_on

from stackproof.contracts import contract_for
from stackproof.contracts.clauses import planned_clauses
from stackproof.contracts.stream import PlannedClause
from stackproof.contracts.verdicts import ClauseResult, Verdict
from stackproof.measurement.calibration import quick_form
from stackproof.measurement.judgement import calibration_of, measurement_of, window_of
from stackproof.measurement.promises import Promise
from stackproof.measurement.record import Facts, Measurement, WindowRecord
from stackproof.measurement.record_names import MEASURED
from stackproof.scenarios.catalogue import DECISION
from stackproof.scenarios.orders import NULL, Gap, Offered, Offering, Order
from stackproof.scenarios.recorder import Recorder
from stackproof.targets import parse_target
from stackproof.verification.certificate import Certificate, ClauseRecord, TargetRecord, to_json
from stackproof.verification.digests import backend_digest, suite_digest

MEMORY = {"cache": "memory", "interactions": "memory", "events": "memory", "logs": "memory"}


def recorded(ok: int, *, failed: int = 0, dropped: int = 0, seconds: float = 0.004) -> Recorder:
    recorder = Recorder()
    for number in range(ok + failed + dropped):
        offset = number / 100
        recorder.offer(offset)
        if number >= ok + failed:
            recorder.drop(offset)
            continue
        recorder.sent(0.0005)
        if number >= ok:
            recorder.fail(offset, "publish: UnavailableError")
            continue
        recorder.step("publish", seconds / 4)
        recorder.succeed(offset, seconds + 0.0005, seconds)
    return recorder


ORDER = Order(100.0, 10.0, 1.0, seed=1)
LOAD = {
    "rate": 100.0,
    "arrivals": "constant",
    "duration": 10.0,
    "warmup": 1.0,
    "repeat": 1,
    "in_flight": 64,
    "workers": 1,
    "seed": 1,
}
FACTS = Facts(
    "id",
    "2026-01-02T03:04:05+00:00",
    "0",
    "stackproof bench",
    "memory",
    "embedded",
    DECISION.describe(),
    LOAD,
    (),
    (),
    {},
    "digest",
)
CHECKS = {"counts": {"summaries": 1}, "measured": {}, "wrong": 0, "lost": 0, "duplicated": 0, "examples": []}


def offered(recorder: Recorder, **changes: Any) -> Offered:
    """What a window came to in which this was recorded."""
    whole = Offered(
        order=ORDER,
        recorder=recorder,
        warmup={"offered": 0, "ok": 0, "late": 0, "skipped": 0, "dropped": 0, "failed": 0},
        elapsed=10.0,
        cpu_seconds=2.0,
        busiest=0.2,
        offering=Offering(10.0, recorder.answered, 2.0),
        workers=1,
        most_in_flight=3,
        gaps=(),
        checks=CHECKS,
        lost_log_lines=0,
        locust={"requests": recorder.answered + recorder.failed, "failures": recorder.failed},
        complete=True,
    )
    return replace(whole, **changes)


GAP = Gap(at=1.0, seconds=0.5, cpu_seconds=0.0, step="publish (X)")


def self_check_of(generator: Generator = opened, null: Recorder | None = None) -> dict[str, Any]:
    """The self-check of a generator of `calibration_samples`."""
    order = replace(ORDER, target=NULL, seconds=2.0, warmup=0.0)
    check = offered(null or recorded(200), order=order, elapsed=2.0, cpu_seconds=0.1)
    return calibration_of(check) | {"stub": verdict_on(generator, quick_form(ORDER.rate)).to_data()}


def judged(
    recorder: Recorder,
    promise: str = "p99=20ms",
    null: Recorder | None = None,
    left_behind: tuple[str, ...] = (),
    generator: Generator = opened,
    **changes: Any,
) -> Measurement:
    """A measurement of one window, by a generator of `calibration_samples`."""
    calibration = self_check_of(generator, null)
    window = window_of(MEASURED, offered(recorder, **changes), calibration)
    return measurement_of(DECISION, calibration, [window], FACTS, [Promise.parse(promise)], left_behind=left_behind)


def with_windows(run: Measurement, windows: Sequence[WindowRecord]) -> Measurement:
    """The record with these windows, which it counts."""
    counts = {name: sum(window.counts[name] for window in windows) for name in run.counts}
    return replace(run, windows=tuple(windows), counts=counts)


TARGETS = [parse_target(f"{concern}={spec}") for concern, spec in MEMORY.items()]


def certificate(**changes: Any) -> Certificate:
    """A certificate of this build for the memory stack, in which every core clause passed."""
    targets, clauses = [], []
    for target in TARGETS:
        assert target.entry is not None
        backend = target.entry.adapter.replace(":", ".")
        targets.append(
            TargetRecord(target.name, target.concern, backend, backend_digest(backend), target.server, "native")
        )
        for planned in planned_clauses(contract_for(target.concern), "core"):
            clause = planned.clause
            result = ClauseResult(clause.id, target.concern, target.name, Verdict.PASS)
            clauses.append(
                ClauseRecord(PlannedClause(clause.id, clause.rule, clause.because, (), (), "", ""), result, "native")
            )
    return replace(
        Certificate(
            id="20260102-030405-abcd",
            created="2026-01-02T03:04:05+00:00",
            seconds=1.0,
            version="0",
            suite_digest=suite_digest(),
            command="stackproof verify",
            stack="memory",
            profile="core",
            seed=1,
            origin="embedded",
            environment={},
            servers=(),
            targets=tuple(targets),
            clauses=tuple(clauses),
        ),
        **changes,
    )


def keep_certificate(runs: Path, kept: Certificate) -> None:
    (runs / kept.id).mkdir(parents=True)
    (runs / kept.id / "certificate.json").write_text(to_json(kept), encoding="utf-8")


def with_first(verdict: Verdict) -> tuple[ClauseRecord, ...]:
    first, *rest = certificate().clauses
    return (replace(first, result=replace(first.result, verdict=verdict, reason="because of the test")), *rest)
