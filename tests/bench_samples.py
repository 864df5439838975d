"""Recorders, measurements and certificates for the tests of bench, made without a clock and without a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from stackproof.contracts import contract_for
from stackproof.contracts.clauses import planned_clauses
from stackproof.contracts.stream import PlannedClause
from stackproof.contracts.verdicts import ClauseResult, Verdict
from stackproof.measurement.judgement import measurement_of
from stackproof.measurement.promises import Promise
from stackproof.measurement.record import Facts, Measurement
from stackproof.scenarios.plan import Plan
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


PLAN = Plan("decision", {"cache": "memory"}, "ns", 100.0, 10.0, 1.0, "constant", 1)
FACTS = Facts("id", "2026-01-02T03:04:05+00:00", "0", "stackproof bench", "memory", "embedded", (), (), {}, "digest")


def judged(recorder: Recorder, promise: str = "p99=20ms", null: Recorder | None = None, **changes: Any) -> Measurement:
    started_ = recorder.ok + recorder.failed
    data: dict[str, Any] = {
        "recorder": recorder.to_data(),
        "calibration": {
            "recorder": (null or recorded(200)).to_data(),
            "seconds": 2.0,
            "elapsed": 2.0,
            "cpu_seconds": 0.1,
        },
        "elapsed": 10.0,
        "cpu_seconds": 2.0,
        "most_in_flight": 3,
        "gaps": [],
        "lost_log_lines": 0,
        "checks": {"cache_reads": 1, "cache_fetches": 1, "summaries": 1, "wrong": 0, "examples": []},
        "locust": {"requests": started_, "failures": recorder.failed},
        "complete": True,
        "interrupted": False,
        "trouble": "",
        "removed": True,
        "left_behind": [],
    }
    return measurement_of(PLAN, data | changes, FACTS, [Promise.parse(promise)])


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
