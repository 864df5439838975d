"""Runs the suite in a process of its own, and reads what it found."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stackproof.interfaces import StackproofError

from .plugin import EXTRA
from .rows import Row

SUITE = Path(__file__).parent / "suite"
END_SECONDS = 15.0
"""How long an interrupted suite has to remove what it made."""


class SuiteError(StackproofError):
    """The suite did not come to its end."""


@dataclass(frozen=True, slots=True)
class Found:
    """A row, and the latencies of single calls in seconds by percentile."""

    row: Row
    latency: Mapping[str, float]
    raw_latency: Mapping[str, float]


def run_suite(
    backends: Sequence[str], namespace: str, variables: Mapping[str, str], file: Path, *, blocks: int, seed: int
) -> list[Found]:
    """Measure these backends with the servers that the variables name. ``file`` gets the JSON of pytest-benchmark."""
    # Not in this process: it has a terminal view, signal handlers and whatever the caller imported.
    command = [sys.executable, "-m", "pytest", "-c", str(SUITE / "pytest.ini"), "-p", "stackproof.benchmarks.plugin"]
    command += [f"--benchmark-json={file}", "--benchmark-disable-gc", "--benchmark-columns=median,iqr,rounds", "-q"]
    command += [f"--tax-backend={backend}" for backend in backends]
    command += [f"--tax-namespace={namespace}", f"--tax-blocks={blocks}", f"--tax-seed={seed}", str(SUITE)]
    log = file.with_suffix(".log")
    with log.open("w", encoding="utf-8") as said:
        suite = subprocess.Popen(  # noqa: S603 - our own suite
            command, env=suite_environ(variables), stdout=said, stderr=subprocess.STDOUT
        )
        code = _waited_for(suite)
    if code != 0:
        raise SuiteError(f"the benchmarks of {', '.join(backends)} failed: {_reason(log)}; all of it is in {log}")
    return found_in(json.loads(file.read_text(encoding="utf-8")))


def suite_environ(variables: Mapping[str, str]) -> dict[str, str]:
    """Ours, without what a pytest-xdist around us tells its workers: pytest-benchmark would measure nothing then."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return {**ours, **variables}


def _waited_for(suite: subprocess.Popen[bytes]) -> int:
    """Its exit code. Where the waiting is interrupted, the suite is asked to end, so that it removes what it made."""
    try:
        return suite.wait()
    except BaseException:
        suite.send_signal(signal.SIGINT)
        try:
            suite.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            suite.kill()
            suite.wait()
        raise


def found_in(document: Mapping[str, Any]) -> list[Found]:
    """What a file of pytest-benchmark holds."""
    found = []
    for written in document["benchmarks"]:
        extra = written["extra_info"][EXTRA]
        found.append(Found(Row.of(extra), written["stats"]["percentiles"], extra["raw_latency"]))
    return found


def _reason(log: Path) -> str:
    """What stopped it last: pytest marks the lines of an error, of which the causes come first."""
    lines = [line[2:].strip() for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("E ")]
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Interrupted)\b", line)]
    return (errors or lines or ["it gave no reason"])[-1][:300]
