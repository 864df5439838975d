"""What `stackproof stacks` tells of what was measured of a backend: a figure for each promise, and which one."""

from __future__ import annotations

import pytest
from plan_samples import known, one
from planning_samples import ceiling

from stackproof.commands.stack_evidence import Evidence, show
from stackproof.planning.stacks import find_planned_stack


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no cell is broken into lines."""
    monkeypatch.setenv("COLUMNS", "400")


def test_figures_under_several_promises_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    strict = one("cache", "redis", "cache-hot", 5_000, 5_500, run="strict")
    loose = one("cache", "redis", "cache-hot", 9_000, None, run="loose", promises=("p99 within 500 ms",))
    older = one("cache", "redis", "cache-hot", 4_000, 4_400, run="older", date="2025-01-02T03:04:05+00:00")
    evidence = Evidence({}, known(strict, loose, older))
    assert [found.run for found in evidence.measured("cache=redis")] == ["strict", "loose"]
    show([find_planned_stack("development")], evidence)
    shown = " ".join(capsys.readouterr().out.split())
    assert "p99 within 20" in shown
    assert "p99 within 500" in shown


def test_settings_that_are_not_the_usual_ones_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    usual = one("interactions", "postgres", "summaries", 2_500, None)
    other = ceiling(4_600, None, scenario="summaries", settings={"depth": 1, "customers": 500_000})
    show([find_planned_stack("development")], Evidence({}, known(usual, other)))
    shown = " ".join(capsys.readouterr().out.split())
    assert "summaries: 2,500 or more" in shown
    assert "summaries depth=1 customers=500000: 4,600 or more" in shown
