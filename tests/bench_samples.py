"""Recorders and measurements for the tests of bench, made without a clock."""

from __future__ import annotations

from typing import Any

from stackproof.scenarios.measurement import Facts, Measurement, Promise, measurement_of
from stackproof.scenarios.plan import Plan
from stackproof.scenarios.recorder import Recorder


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
