"""A locustfile of one's own with our arrival schedule: alone, with several processes, and on Locust's page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackproof.scenarios.recorder import Recorder
from stackproof.servers.ports import free_port

ROOT = Path(__file__).parent.parent
LOCUSTFILE = ROOT / "examples/locustfiles/echo.py"


def locust(directory: Path, *options: str) -> tuple[subprocess.Popen[str], Path]:
    record = directory / "record.json"
    environ = {**os.environ, "STACKPROOF_RECORD": str(record), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), *options]
    process = subprocess.Popen(
        command, cwd=directory, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    return process, record


@pytest.mark.parametrize("processes", [1, 2])
def test_locust_and_our_record_agree_also_over_several_processes(tmp_path: Path, processes: int) -> None:
    several = ["--processes", str(processes)] if processes > 1 else []
    process, record = locust(
        tmp_path, "--headless", "--users", str(processes), *several, "--run-time", "3s", "--json", "--only-summary"
    )
    out, err = process.communicate(timeout=90)
    [row] = json.loads(out[out.index("[\n") :])
    recorder = Recorder.from_data(json.loads(record.read_text(encoding="utf-8"))["Echo"])
    assert recorder.adds_up, err
    assert row["num_requests"] == recorder.answered + recorder.failed
    assert row["num_failures"] == recorder.failed == recorder.errors["Echo: ValueError"]
    # 200 a second whatever the number of processes, from the moment that they run.
    assert 150 < recorder.offered <= 620
    p50 = recorder.intended.percentiles([50.0])[50.0] * 1000
    shown = sorted(float(ms) for ms, times in row["response_times"].items() for _ in range(times))
    # One of the two in the middle: on a busy machine neighbours lie apart.
    assert shown[len(shown) // 2 - 1] * 0.98 <= p50 <= shown[len(shown) // 2] * 1.02
    assert 2.0 <= p50 < 500.0, "milliseconds, not rounded to nothing"


def test_locusts_page_shows_our_figures_while_it_runs(tmp_path: Path) -> None:
    port = free_port()
    process, record = locust(
        tmp_path, "--users", "1", "--autostart", "--web-host", "127.0.0.1", "--web-port", str(port)
    )
    try:
        page = until_requests(port, 300)
    finally:
        process.terminate()
        process.communicate(timeout=30)
    [row, total] = page["stats"]
    assert (row["name"], row["method"], total["name"]) == ("Echo", "operation", "Aggregated")
    assert 2.0 <= row["median_response_time"] < 500.0, "milliseconds"
    assert page["total_rps"] == pytest.approx(200, rel=0.3)
    recorder = Recorder.from_data(json.loads(record.read_text(encoding="utf-8"))["Echo"])
    assert recorder.answered + recorder.failed >= row["num_requests"]


def until_requests(port: int, number: int) -> dict[str, Any]:
    """Locust's statistics as soon as they hold so many requests."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats/requests", timeout=5) as answer:
                page: dict[str, Any] = json.load(answer)
        except OSError:
            page = {"stats": []}
        if page["stats"] and page["stats"][0]["num_requests"] >= number:
            return page
        time.sleep(0.1)
    raise AssertionError("Locust's page never showed the requests")


operations = st.lists(st.tuples(st.floats(0, 20), st.floats(0, 100), st.sampled_from(["ok", "failed", "dropped"])))


def recorded(rows: list[tuple[float, float, str]], into: Recorder | None = None) -> Recorder:
    recorder = into or Recorder(limit=50.0)
    for offset, seconds, end in rows:
        recorder.offer(offset)
        if end == "dropped":
            recorder.drop(offset)
            continue
        recorder.sent(seconds / 10)
        if end == "failed":
            recorder.fail(offset, "step: Error")
            continue
        recorder.step("step", seconds / 2)
        recorder.succeed(offset, seconds, seconds * 0.9)
    return recorder


@given(operations, operations)
def test_what_two_workers_send_merges_to_exactly_the_record_of_all_samples(
    first: list[tuple[float, float, str]], second: list[tuple[float, float, str]]
) -> None:
    merged = Recorder()
    for rows in (first, second):
        merged.merge(Recorder.from_data(json.loads(json.dumps(recorded(rows).to_data()))))
    union = recorded(second, recorded(first))
    assert merged.to_data() == union.to_data()
    assert merged.adds_up


REPORTS = """
import json, sys
from types import SimpleNamespace
from stackproof.scenarios import arrival_user as user
from stackproof.scenarios.recorder import Recorder

recorder, tells = Recorder(), []
user._windows["Echo"] = SimpleNamespace(measured=recorder)

def tell():
    data = {}
    user._report(data)
    tells.append([row["second"] for row in data["stackproof"]["Echo"]["series"]])
    master.append(data)

def operation(offset, seconds):
    recorder.offer(offset)
    recorder.succeed(offset, seconds, seconds)

master = []
for offset in (0.1, 1.1, 1.9):
    operation(offset, 0.5)
recorder.offer(0.9)
tell()
recorder.fail(0.9, "Echo: late")
operation(2.5, 0.25)
tell()
tell()
user._windows.clear()
for data in master:
    user._take("worker-1", data)
    user._take("worker-2", data)
whole = user.merged_records()["Echo"]
both = Recorder()
both.merge(recorder)
both.merge(recorder)
user._forget()
print(json.dumps({"tells": tells, "same": whole.to_data() == both.to_data(), "left": list(user.merged_records())}))
"""


def test_a_worker_tells_only_the_seconds_that_changed_and_the_master_has_them_all() -> None:
    ended = subprocess.run([sys.executable, "-c", REPORTS], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["tells"] == [[0, 1], [0, 2], []], "a run of hours is not told anew every few seconds"
    assert found["same"]
    assert found["left"] == [], "another test begins with nothing"


def test_a_second_test_in_the_same_process_is_recorded_by_itself(tmp_path: Path) -> None:
    port = free_port()
    process, record = locust(
        tmp_path, "--users", "1", "--autostart", "--web-host", "127.0.0.1", "--web-port", str(port)
    )
    address = f"http://127.0.0.1:{port}"
    try:
        until_requests(port, 300)
        urllib.request.urlopen(f"{address}/stop", data=b"", timeout=30).read()
        began = time.monotonic()
        again = urllib.parse.urlencode({"user_count": 1, "spawn_rate": 1}).encode()
        urllib.request.urlopen(f"{address}/swarm", data=again, timeout=30).read()
        urllib.request.urlopen(f"{address}/stats/reset", data=b"", timeout=30).read()
        page = until_requests(port, 40)
    finally:
        process.terminate()
        out, err = process.communicate(timeout=30)
    took = time.monotonic() - began
    assert "runs in this process already" not in out + err
    assert not page["errors"] or all("ValueError" in error["error"] for error in page["errors"])
    recorder = Recorder.from_data(json.loads(record.read_text(encoding="utf-8"))["Echo"])
    assert recorder.adds_up
    assert 0 < recorder.offered < 200 * (took + 1), "the first test, of 300 and more, is no part of the second"
