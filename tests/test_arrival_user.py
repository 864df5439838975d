"""A locustfile of one's own with our arrival schedule: alone, with several processes, and on Locust's page."""

from __future__ import annotations

import json
import os
import signal
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


def locust(
    directory: Path, *options: str, locustfile: Path = LOCUSTFILE, target: str = "", group: bool = False
) -> tuple[subprocess.Popen[str], Path]:
    record = directory / "record.json"
    environ = {**os.environ, "STACKPROOF_RECORD": target or str(record), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "locust", "--locustfile", str(locustfile), *options]
    process = subprocess.Popen(
        command,
        cwd=directory,
        env=environ,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=group,
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
user._windows["Echo"] = SimpleNamespace(measured=recorder, closed=True)

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


OWN = """
import os, time
from pathlib import Path

import gevent
from stackproof.scenarios.arrival_user import ArrivalUser


class Own(ArrivalUser):
    rate = 100.0
    drain = 4.0
    {settings}

    def on_start(self):
        {on_start}

    def operate(self, number):
        with Path(f"stamps-{{os.getpid()}}").open("a") as stamps:
            print(time.time(), number, file=stamps)
        {operate}
"""


def run_of_ones_own(
    directory: Path, *options: str, on_start: str = "pass", operate: str = "pass", settings: str = "", target: str = ""
) -> tuple[int, list[str], dict[str, Any] | None]:
    """The exit code, what was said as an error, and the record of a headless run, if there is one."""
    locustfile = directory / "own.py"
    locustfile.write_text(OWN.format(on_start=on_start, operate=operate, settings=settings), encoding="utf-8")
    process, record = locust(directory, "--headless", "--only-summary", *options, locustfile=locustfile, target=target)
    _, err = process.communicate(timeout=90)
    assert "Traceback" not in err or "raise" in on_start  # of their own mistake, Locust tells more
    said = [line.partition("/ERROR/stackproof: ")[2] for line in err.splitlines() if "/ERROR/stackproof: " in line]
    written = json.loads(record.read_text(encoding="utf-8"))["Own"] if record.exists() else None
    return process.returncode, said, written


def operations_of(directory: Path) -> list[list[tuple[float, int]]]:
    """By process, when each operation was done, and its number."""
    return [
        [(float(moment), int(number)) for moment, number in map(str.split, stamps.read_text().splitlines())]
        for stamps in directory.glob("stamps-*")
    ]


@pytest.mark.parametrize("users", [1, 2])
def test_the_whole_rate_is_offered_from_the_first_second_on_by_all_that_are_there(tmp_path: Path, users: int) -> None:
    code, said, record = run_of_ones_own(tmp_path, "--users", str(users), "--processes", "2", "--run-time", "4s")
    assert (code, said) == (0, [])
    assert record is not None
    done = operations_of(tmp_path)
    assert len(done) == users
    when = {number: moment for each in done for moment, number in each}
    numbers = sorted(when)
    assert numbers[:100] == list(range(100)), "no share of the schedule is left out"
    # In the clock of the machine, whichever process did it: Locust starts a user a second, and the share of the second one would
    # be that much later.
    assert max(when[number] for number in range(100)) - when[0] < 1.7
    assert (record["rate"], record["processes"], record["incomplete"]) == (100.0, users, "")
    assert record["offered"] == len(numbers)
    assert {row["second"]: row["offered"] for row in record["series"]}[0] == 100


def test_the_schedule_begins_when_the_slowest_process_is_ready(tmp_path: Path) -> None:
    slow = "gevent.sleep(1.5 if self.environment.runner.worker_index else 0)"
    code, said, _ = run_of_ones_own(
        tmp_path, "--users", "2", "--processes", "2", "--spawn-rate", "2", "--run-time", "4s", on_start=slow
    )
    assert (code, said) == (0, [])
    first, second = (each[0][0] for each in operations_of(tmp_path))
    assert abs(first - second) < 1.0  # where nobody waits, it is 1.5


def test_what_is_in_flight_at_the_end_is_in_the_record_of_all_processes(tmp_path: Path) -> None:
    options = ("--users", "2", "--processes", "2", "--spawn-rate", "2", "--run-time", "4s")
    code, said, record = run_of_ones_own(tmp_path, *options, operate="gevent.sleep(1.5)")
    assert (code, said) == (0, [])
    assert record is not None
    recorder = Recorder.from_data(record)
    assert recorder.adds_up
    assert recorder.answered == len([number for each in operations_of(tmp_path) for _, number in each]) > 20


def test_what_is_raised_and_is_no_exception_is_a_failure_and_stops_nothing(tmp_path: Path) -> None:
    code, _, record = run_of_ones_own(
        tmp_path, "--users", "1", "--run-time", "3s", operate="if number == 20: raise gevent.Timeout(1)"
    )
    assert record is not None
    recorder = Recorder.from_data(record)
    assert dict(recorder.errors) == {"Own: Timeout": 1}
    done = [number for each in operations_of(tmp_path) for _, number in each]
    assert recorder.offered == len(done) > 40, "what was due after it was offered, too"
    assert code == 1, "Locust's own, of a run in which something failed"


REFUSED = {
    "a record that cannot be written": (
        ["--users", "1", "--run-time", "20s"],
        {"target": "/nonexistent/r.json"},
        "The record cannot be written to /nonexistent/r.json (STACKPROOF_RECORD): No such file or directory. "
        "Nothing was offered.",
    ),
    "several users in one process": (
        ["--users", "3", "--run-time", "20s"],
        {},
        "Nothing was offered: more than one user of Own in one process, where one dispatcher offers the whole share: "
        "start --users 1, or --users N --processes N with the same N.",
    ),
    "more users than processes": (
        ["--users", "3", "--spawn-rate", "3", "--processes", "2", "--run-time", "20s"],
        {},
        "Nothing was offered: more than one user of Own in one process, where one dispatcher offers the whole share: "
        "start as many processes as users.",
    ),
    "a process that cannot begin": (
        ["--users", "2", "--spawn-rate", "2", "--processes", "2", "--run-time", "20s"],
        {"on_start": "if self.environment.runner.worker_index: raise ValueError('no server')"},
        "Nothing was offered: on_start of Own failed: ValueError: no server (OWN, line 15).",
    ),
    "a rate that is none": (
        ["--users", "1", "--run-time", "20s"],
        {"settings": "rate = 0"},
        "Nothing was offered: rate of Own is 0, where a number is needed, more than 0.",
    ),
    "a promise that is no number": (
        ["--users", "1", "--run-time", "20s"],
        {"settings": "limit = '20ms'"},
        "Nothing was offered: limit of Own is '20ms', where a number is needed, more than 0.",
    ),
    "arrivals that nobody knows, in each of two processes": (
        ["--users", "2", "--spawn-rate", "2", "--processes", "2", "--run-time", "20s"],
        {"settings": "arrivals = 'normal'"},
        "Nothing was offered: Own: the arrival process 'normal' is unknown; known are: constant, poisson, "
        "step:10s@1,5s@3 (seconds at so many times the rate), replay:FILE, closed.",
    ),
    "too little time to start all users": (
        ["--users", "9", "--processes", "2", "--spawn-rate", "0.1", "--run-time", "1s"],
        {},
        "Nothing was offered: when Locust ended, not all users were started (see --spawn-rate).",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_offered_as_a_whole_is_refused_in_one_sentence(tmp_path: Path, case: str) -> None:
    options, changes, sentence = REFUSED[case]
    began = time.monotonic()
    code, said, record = run_of_ones_own(tmp_path, *options, **changes)
    assert said == [sentence.replace("OWN", str(tmp_path / "own.py"))]
    assert (code, record) == (1, None)
    assert operations_of(tmp_path) == []
    assert time.monotonic() - began < 20, "it ends by itself"


def test_a_record_of_an_earlier_run_is_left_alone_and_told_to_be_one(tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    record.write_text(json.dumps({"Own": {"offered": 7}}), encoding="utf-8")
    _, [sentence], left = run_of_ones_own(tmp_path, "--users", "2", "--spawn-rate", "2", "--run-time", "20s")
    assert sentence.endswith(f" {record} is of an earlier run.")
    assert left == {"offered": 7}


def test_a_full_disk_at_the_end_is_told_in_one_sentence(tmp_path: Path) -> None:
    code, said, _ = run_of_ones_own(tmp_path, "--users", "1", "--run-time", "3s", target="/dev/full")
    assert said == ["The record cannot be written to /dev/full (STACKPROOF_RECORD): No space left on device."]
    assert code == 1


def test_a_worker_that_is_lost_makes_the_record_one_of_a_part(tmp_path: Path) -> None:
    dies = "number < 60 or number % 2 or os._exit(0)"
    options = ("--users", "2", "--processes", "2", "--spawn-rate", "2", "--run-time", "6s")
    code, said, record = run_of_ones_own(tmp_path, *options, operate=dies)
    assert said == ["The record is not of the whole load: 1 of 2 processes did not tell how their share ended."]
    assert code == 1
    assert record is not None
    assert record["incomplete"] == "1 of 2 processes did not tell how their share ended"


MOMENTS = """
import json, time
from stackproof.scenarios import arrival_user as user

now = time.time()
moments = {name: user._moment(name, now + apart) - now for name, apart in
           {"in time": 0.3, "busy": -0.5, "slow clock": 60.0, "fast clock": -60.0}.items()}
print(json.dumps([moments, sorted(user._apart)]))
"""


def test_a_process_whose_clock_is_another_begins_by_itself_and_tells_it() -> None:
    ended = subprocess.run([sys.executable, "-c", MOMENTS], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    moments, apart = json.loads(ended.stdout)
    assert (moments["in time"], moments["busy"]) == (pytest.approx(0.3), pytest.approx(-0.5))
    assert 0.0 < moments["slow clock"] < 5.0
    assert 0.0 < moments["fast clock"] < 5.0
    assert apart == ["fast clock", "slow clock"]


def test_an_interrupted_run_over_several_processes_has_its_whole_record(tmp_path: Path) -> None:
    text = OWN.format(on_start="pass", operate="gevent.sleep(0.1)", settings="")
    (tmp_path / "own.py").write_text(text, encoding="utf-8")
    options = ("--headless", "--only-summary", "--users", "2", "--processes", "2", "--spawn-rate", "2")
    process, record = locust(tmp_path, *options, locustfile=tmp_path / "own.py", group=True)
    try:
        deadline = time.monotonic() + 60
        while sum(map(len, operations_of(tmp_path))) < 100:
            assert time.monotonic() < deadline, "nothing was offered"
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)  # as the terminal does
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    recorder = Recorder.from_data(json.loads(record.read_text(encoding="utf-8"))["Own"])
    assert recorder.adds_up, err
    assert recorder.answered == sum(map(len, operations_of(tmp_path))) >= 100
    assert "stackproof: The record is not" not in err


def test_a_user_that_is_added_later_offers_nothing(tmp_path: Path) -> None:
    port = free_port()
    process, record = locust(
        tmp_path, "--users", "1", "--autostart", "--web-host", "127.0.0.1", "--web-port", str(port)
    )
    try:
        until_requests(port, 100)
        more = urllib.parse.urlencode({"user_count": 2, "spawn_rate": 1}).encode()
        urllib.request.urlopen(f"http://127.0.0.1:{port}/swarm", data=more, timeout=30).read()
        until_requests(port, 700)
    finally:
        process.terminate()
        _, err = process.communicate(timeout=30)
    assert "Echo has begun already: one more user changes nothing, and offers nothing" in err
    series = json.loads(record.read_text(encoding="utf-8"))["Echo"]["series"]
    assert [row["offered"] for row in series[:3]] == [200, 200, 200]
