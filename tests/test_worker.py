"""The run of a plan in worker processes: whatever a backend does, every planned clause ends once, in bounded time."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from stackproof.contracts.smoke import Trouble
from stackproof.contracts.stream import (
    ClauseEnded,
    ClauseStarted,
    RunEnded,
    StreamEvent,
    TargetPlanned,
    from_line,
    to_line,
)
from stackproof.contracts.verdicts import ClauseResult, Verdict
from stackproof.verification import worker
from stackproof.verification.parallel import ParallelRun
from stackproof.verification.plan import Plan, PlannedTarget
from stackproof.verification.process import WorkerProcess
from stackproof.verification.worker import WorkerError, WorkerRun

QUICK = ("CACHE-01", "CACHE-02", "CACHE-07", "LIFE-01", "LIFE-02", "LIFE-03")
"""Clauses that take no time to speak of, among them those about delete() and disconnect()."""
UNKNOWN = (Verdict.INCONCLUSIVE, Verdict.SKIPPED)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory of its own, with the hostile caches in it."""
    shutil.copy(Path(__file__).with_name("hostile_cache.py"), tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(worker, "HUNG_SECONDS", 5.0)
    monkeypatch.setattr(worker, "IMPORT_SECONDS", 20.0)  # in which a worker begins, on a machine that is busy
    monkeypatch.setattr(worker, "END_SECONDS", 1.0)
    (tmp_path / "run").mkdir()
    return tmp_path


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """No process of a worker's session outlives the run."""
    started: list[int] = []
    original = WorkerProcess.start.__func__  # type: ignore[attr-defined]

    def start(cls: type[WorkerProcess], *arguments: object) -> WorkerProcess:
        made: WorkerProcess = original(cls, *arguments)
        started.append(made.process.pid)
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WorkerProcess, "start", classmethod(start))
        yield
    latest = time.monotonic() + 5
    while (left := _alive_in_sessions(started)) and time.monotonic() < latest:
        time.sleep(0.05)
    assert left == []


def _alive_in_sessions(sessions: list[int]) -> list[str]:
    found = []
    for process in psutil.process_iter(["pid", "status", "cmdline"]):
        try:
            if os.getsid(process.pid) in sessions and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.info["cmdline"] or []))
        except OSError:
            continue  # it has just ended
    return found


def run(kind: str, clauses: tuple[str, ...] = QUICK) -> tuple[WorkerRun, dict[str, ClauseResult]]:
    """Run clauses on a hostile cache; the run, and the results by clause."""
    events: list[StreamEvent] = []
    work = WorkerRun(Path("run"), dict(os.environ), events.append)
    target = PlannedTarget(f"cache=hostile_cache:{kind}", "cache", f"hostile_cache:{kind}", clauses=clauses)
    ledger = work.execute(Plan((target,)))
    told = [event.result.clause for event in events if isinstance(event, ClauseEnded)]
    assert sorted(told) == sorted(set(told)), "the observer saw a clause end twice"
    results = {row.clause: row for row in ledger.rows()}
    assert sorted(results) == sorted(told) == sorted(clauses)
    return work, results


@pytest.mark.parametrize("kind", ["ClosesOutput", "Talks", "Moves", "StopsTheClock", "LeavesThreads", "LeavesChildren"])
def test_what_does_not_break_the_contract_is_no_trouble(place: Path, kind: str) -> None:
    began = time.monotonic()
    work, results = run(kind)
    assert {result.verdict for result in results.values()} == {Verdict.PASS}
    assert work.restarts == 0
    assert time.monotonic() - began < 20


def test_what_a_backend_prints_does_not_fill_the_disk(place: Path) -> None:
    run("Talks")
    assert sum(path.stat().st_size for path in (place / "run").iterdir()) < 1_000_000


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("Exits", "ended with exit code 3"),
        ("Crashes", "was killed by SIGSEGV"),
        ("RaisesInterrupt", "was stopped by a KeyboardInterrupt of its own"),
    ],
)
def test_a_process_that_dies_costs_the_clause_that_ran(place: Path, kind: str, how: str) -> None:
    work, results = run(kind, (*QUICK, "CACHE-05"))
    assert {result.verdict for result in results.values()} <= set(UNKNOWN)
    died = [result for result in results.values() if result.verdict is Verdict.INCONCLUSIVE]
    assert {result.reason for result in died} == {f"the process of the backend {how} while this clause ran"}
    assert work.restarts == len(died) == worker.MAX_RESTARTS + 1
    skipped = [result.reason for result in results.values() if result.verdict is Verdict.SKIPPED]
    assert skipped == ["not executed: 6 processes died or hung before it"]


def test_system_exit_is_an_error_of_the_backend(place: Path) -> None:
    work, results = run("RaisesExit")
    assert results["CACHE-07"].verdict is Verdict.FAIL
    assert "SystemExit" in str(results["CACHE-07"].failure)
    assert work.restarts == 0


@pytest.mark.parametrize("kind", ["Hangs", "HangsAtTheEnd"])
def test_a_backend_that_hangs_is_given_up_after_three_clauses(place: Path, kind: str) -> None:
    work, results = run(kind)
    assert {result.verdict for result in results.values()} == {Verdict.INCONCLUSIVE}
    given_up = [result for result in results.values() if result.reason.startswith("not tried: ")]
    assert len(given_up) == len(QUICK) - 3
    assert work.restarts == 0


def test_a_constructor_that_never_returns_is_tried_once(place: Path) -> None:
    began = time.monotonic()
    work, results = run("NeverMade")
    assert {result.reason for result in results.values()} == {
        "not tried: the first use of the backend did not end within 0.5 s"
    }
    assert {result.verdict for result in results.values()} == {Verdict.INCONCLUSIVE}
    assert work.restarts == 0
    assert time.monotonic() - began < 20


def test_a_constructor_that_does_not_return_later_on_is_inside_a_limit(place: Path) -> None:
    work, results = run("MadeTwice")
    assert {result.verdict for result in results.values()} == {Verdict.INCONCLUSIVE}
    reasons = [result.reason for result in results.values()]
    assert reasons.count("making the backend did not end within 0.5 s") == 3
    assert work.restarts == 0


def test_a_process_that_no_signal_reaches_at_the_first_use_is_the_only_one(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "FIRST_USE_SECONDS", 3.0)
    work, results = run("NeverMadeDeaf")
    assert {result.reason for result in results.values()} == {
        "not tried: the process of the backend did not answer for 3 s and was ended at the first use of it"
    }
    assert {smoked.smoke.trouble for smoked in work.ledger.smokes.values()} == {Trouble.BACKEND}
    assert work.restarts == 1


@pytest.mark.parametrize(
    ("kind", "trouble", "sentence"),
    [
        ("RaisesWhenMade", Trouble.HARNESS, "cache=hostile_cache:RaisesWhenMade raised BaseException: boo."),
        ("SkipsWhenMade", Trouble.HARNESS, "cache=hostile_cache:SkipsWhenMade raised Skipped: no mood."),
        ("SkipsAtOnce", Trouble.BACKEND, "The simplest use already raised Skipped: no mood."),
    ],
)
def test_what_the_first_use_raises_is_told_of_the_backend(
    place: Path, kind: str, trouble: Trouble, sentence: str
) -> None:
    work, results = run(kind)
    smoke = work.ledger.smokes[f"cache=hostile_cache:{kind}"].smoke
    assert smoke.trouble is trouble
    assert re.sub(r" \(hostile_cache\.py:\d+\)", "", smoke.sentence) == sentence
    if trouble is Trouble.HARNESS:
        assert {(r.verdict, r.reason) for r in results.values()} == {
            (Verdict.INCONCLUSIVE, f"the harness does not work: {smoke.sentence}")
        }
    else:
        assert results["CACHE-07"].verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("kind", "named"),
    [("CallsSkip", "Skipped: no mood"), ("CallsXfail", "XFailed: no mood"), ("CallsExit", "Exit: no mood")],
)
def test_words_of_pytest_that_a_backend_says_are_errors_of_it(place: Path, kind: str, named: str) -> None:
    _, results = run(kind)
    failure = results["CACHE-07"].failure
    assert results["CACHE-07"].verdict is Verdict.FAIL
    assert failure is not None
    assert failure.seen == named
    assert not [r for r in results.values() if r.verdict is Verdict.SKIPPED or "crashed" in r.reason]


def test_what_a_later_making_raises_is_no_crash_of_the_clause(place: Path) -> None:
    _, results = run("RaisesWhenMadeAgain")
    assert {(r.verdict, r.reason) for r in results.values()} == {
        (Verdict.INCONCLUSIVE, "making the backend raised BaseException: boo")
    }


def test_a_process_that_no_signal_reaches_is_ended(place: Path) -> None:
    began = time.monotonic()
    _, results = run("HangsDeaf")
    hung = [result for result in results.values() if result.verdict is Verdict.INCONCLUSIVE]
    assert {result.reason for result in hung} == {
        "the process of the backend did not answer for 5 s and was ended while this clause ran"
    }
    assert len(hung) == worker.MAX_HUNG
    assert {result.verdict for result in results.values()} == set(UNKNOWN)
    assert time.monotonic() - began < 30


def test_a_backend_that_forks_contradicts_itself(place: Path) -> None:
    with pytest.raises(WorkerError, match="ended twice on cache=hostile_cache:Forks"):
        run("Forks", ("LIFE-01", "LIFE-02"))


def test_nothing_of_the_users_pytest_reaches_the_worker(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "conftest.py").write_text("raise RuntimeError('conftest was loaded')\n")
    (place / "pytest.ini").write_text("[pytest]\naddopts = --nonsense\n")
    (place / "pytest.py").write_text("raise RuntimeError('a file called like a module of ours was loaded')\n")
    (place / "random.py").write_text("raise RuntimeError('a file called like a module of Python was loaded')\n")
    (place / "hostile_plugin.py").write_text("raise RuntimeError('plug-in was loaded')\n")
    monkeypatch.setenv("PYTEST_ADDOPTS", "--nonsense -k nothing")
    monkeypatch.setenv("PYTEST_PLUGINS", "hostile_plugin")
    _, results = run("Moves")
    assert {result.verdict for result in results.values()} == {Verdict.PASS}


def test_the_users_files_are_left_alone(place: Path) -> None:
    (place / "run" / "pytest.ini").write_text("mine\n")
    (place / "run" / "conftest.py").write_text("raise RuntimeError\n")
    _, results = run("Moves")
    assert (place / "run" / "pytest.ini").read_text() == "mine\n"
    assert {result.verdict for result in results.values()} == {Verdict.PASS}


GONE = "import os\nos._exit(7)\n"
DEAF = (
    "import signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])\ntime.sleep(600)\n"
)


@pytest.mark.parametrize(
    ("source", "how", "during"),
    [
        (GONE, "ended with exit code 7", ""),
        (DEAF, "did not answer for 6 s and was ended", " (the import of gone did not end)"),
    ],
)
def test_a_module_that_ends_or_keeps_the_process_costs_its_own_clauses(
    place: Path, monkeypatch: pytest.MonkeyPatch, source: str, how: str, during: str
) -> None:
    if source is DEAF:
        monkeypatch.setattr(worker, "IMPORT_SECONDS", 6.0)
    (place / "gone.py").write_text(source)
    target = PlannedTarget("cache=gone:make", "cache", "gone:make", clauses=QUICK)
    events: list[StreamEvent] = []
    work = WorkerRun(Path("run"), dict(os.environ), events.append)
    ledger = work.execute(Plan((target,)))
    why = f"the process of the backend {how} before its clauses were collected{during}, see run/worker.log"
    assert {(row.verdict, row.reason) for row in ledger.rows()} == {(Verdict.INCONCLUSIVE, f"not tried: {why}")}
    assert sorted(row.clause for row in ledger.rows()) == sorted(QUICK)
    smoke = ledger.smokes[target.name].smoke
    assert (smoke.trouble, smoke.sentence) == (Trouble.BACKEND, f"T{why[1:]}.")
    assert [type(event).__name__ for event in events[:2]] == ["TargetPlanned", "TargetSmoked"]
    assert work.restarts == 1
    stands = f'File "{place / "gone.py"}", line 3 in <module>'
    assert (stands in (place / "run" / "worker.log").read_text()) == bool(during)


def test_the_import_has_a_bound_of_its_own() -> None:
    """A person waits for it in front of a screen that shows nothing."""
    assert worker.IMPORT_SECONDS <= 60


HANGS_LATER = """
import os, pathlib, time
from stackproof.adapters.cache.memory import MemoryCache

met = pathlib.Path("met")
if met.exists():
    time.sleep(600)
met.touch()

class Ends(MemoryCache):
    def set(self, key, value, ttl=None):
        if key == "smoke":
            return super().set(key, value, ttl)
        os._exit(7)

def make(namespace):
    return Ends(namespace=namespace)
"""


def test_a_module_that_hangs_when_it_is_imported_again_costs_the_rest_of_its_clauses(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "IMPORT_SECONDS", 6.0)
    (place / "later.py").write_text(HANGS_LATER)
    target = PlannedTarget("cache=later:make", "cache", "later:make", clauses=QUICK)
    work = WorkerRun(Path("run"), dict(os.environ), lambda event: None)
    rows = work.execute(Plan((target,))).rows()
    assert {row.verdict for row in rows} == {Verdict.INCONCLUSIVE}
    assert work.restarts == 2
    died, *never = sorted((row.reason for row in rows), key=lambda reason: "import" in reason)
    assert died == "the process of the backend ended with exit code 7 while this clause ran"
    assert set(never) == {
        "not executed: the process of the backend did not answer for 6 s and was ended before its clauses were collected "
        "(the import of later did not end), see run/worker.log"
    }


def test_a_module_that_ends_the_process_costs_no_other_backend(place: Path) -> None:
    (place / "gone.py").write_text(GONE)
    specs = ("gone:make", "memory", "hostile_cache:Moves")
    plans = [Plan((PlannedTarget(f"cache={spec}", "cache", spec, clauses=QUICK),)) for spec in specs]
    ledger = ParallelRun(Path("run"), dict(os.environ), lambda event: None, workers=2).execute(plans)
    verdicts = {(row.target, row.verdict) for row in ledger.rows()}
    assert verdicts == {
        ("cache=gone:make", Verdict.INCONCLUSIVE),
        ("cache=memory", Verdict.PASS),
        ("cache=hostile_cache:Moves", Verdict.PASS),
    }
    assert ledger.ended is not None


def test_of_several_backends_in_one_process_nobody_can_tell_which_one_ended_it(place: Path) -> None:
    (place / "gone.py").write_text(GONE)
    targets = (PlannedTarget("cache=gone:make", "cache", "gone:make"), PlannedTarget("cache=memory", "cache", "memory"))
    work = WorkerRun(Path("run"), dict(os.environ), lambda event: None)
    with pytest.raises(
        WorkerError, match=r"could not be collected, the worker ended with exit code 7; see .*worker\.log"
    ):
        work.execute(Plan(targets))


# What the worker tells


def news(tmp_path: Path) -> tuple[WorkerProcess, Path]:
    events = tmp_path / "events.jsonl"
    ended = subprocess.Popen(["true"])
    ended.wait()
    return WorkerProcess(ended, events), events


def test_a_line_is_read_when_it_is_complete(tmp_path: Path) -> None:
    process, events = news(tmp_path)
    assert list(process.news()) == []
    first, second = to_line(ClauseStarted("t", "A-01")), to_line(ClauseStarted("t", "A-02"))
    events.write_text(first + second[:20])
    assert list(process.news()) == [ClauseStarted("t", "A-01")]
    assert list(process.news()) == []
    events.write_text(first + second)
    assert list(process.news()) == [ClauseStarted("t", "A-02")]


class Told(WorkerProcess):
    """A worker that has ended, and left this behind."""

    def __init__(self, lines: list[str]) -> None:
        self.lines, self.events = lines, Path("events.jsonl")

    def news(self) -> Iterator[StreamEvent]:
        lines, self.lines = self.lines, []
        yield from map(from_line, lines)

    ended = property(lambda self: True)

    def end(self) -> None:
        """It has."""

    def how_it_ended(self) -> str:
        return "ended with exit code 0"


PLANNED = to_line(TargetPlanned("t", "cache", ()))
PASSED = to_line(ClauseEnded(ClauseResult("CACHE-99", "cache", "t", Verdict.PASS)))


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([PLANNED, PASSED], "CACHE-99 ended on t, but was never planned"),
        ([PLANNED, "garbage\n"], "JSONDecodeError"),
        ([PLANNED, '{"event": "Nonsense"}\n'], "KeyError"),
        ([PLANNED, '{"event": "ClauseStarted"}\n'], "TypeError"),
    ],
)
def test_what_cannot_be_understood_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str], why: str
) -> None:
    monkeypatch.setattr(WorkerProcess, "start", classmethod(lambda cls, *_arguments: Told(lines)))
    work = WorkerRun(tmp_path, {}, lambda event: None)
    with pytest.raises(WorkerError, match=why):
        work.execute(Plan(()))


def test_a_target_that_a_dead_worker_had_not_planned_yet_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = PlannedTarget("cache=one", "cache", "one"), PlannedTarget("cache=two", "cache", "two")
    planned = TargetPlanned("cache=one", "cache", ())
    end = to_line(RunEnded(1.0))
    lives = [[to_line(planned)], [to_line(replace(planned, target="cache=two")), end]]
    plans: list[Plan] = []

    def start(_cls: object, _directory: Path, plan: Plan, _environ: object, _number: int) -> Told:
        plans.append(plan)
        return Told(lives[len(plans) - 1])

    monkeypatch.setattr(WorkerProcess, "start", classmethod(start))
    work = WorkerRun(tmp_path, {}, lambda event: None)
    work.execute(Plan((one, two)))
    assert [plan.targets for plan in plans] == [(one, two), (two,)]
    assert list(work.ledger.targets) == ["cache=one", "cache=two"]


# Ctrl-C


def test_ctrl_c_lets_the_worker_clean_up_and_lists_what_was_not_executed(place: Path) -> None:
    events: list[StreamEvent] = []

    def interrupt_once(event: StreamEvent) -> None:
        events.append(event)
        if isinstance(event, ClauseEnded) and sum(isinstance(e, ClauseEnded) for e in events) == 1:
            os.kill(os.getpid(), signal.SIGINT)

    work = WorkerRun(Path("run"), dict(os.environ), interrupt_once)
    with pytest.raises(KeyboardInterrupt):
        work.execute(Plan((PlannedTarget("cache=memory", "cache", "memory"),)))
    assert work.ledger.open() == []
    assert work.ledger.ended is not None
    assert work.ledger.ended.interrupted
    reasons = {row.reason for row in work.ledger.rows() if row.verdict is Verdict.SKIPPED}
    assert reasons == {"not executed: interrupted"}
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_does_not_wait(place: Path) -> None:
    began: list[float] = []

    def interrupt_soon(event: StreamEvent) -> None:
        if isinstance(event, ClauseStarted):
            began.append(time.monotonic())
            for delay in (0.3, 0.8):
                threading.Timer(delay, os.kill, (os.getpid(), signal.SIGTERM)).start()

    target = PlannedTarget("cache=hostile_cache:HangsDeaf", "cache", "hostile_cache:HangsDeaf", clauses=("CACHE-07",))
    with pytest.raises(KeyboardInterrupt):
        WorkerRun(Path("run"), dict(os.environ), interrupt_soon).execute(Plan((target,)))
    assert time.monotonic() - began[0] < 10, "after the first one it waits 15 s"


def test_the_plan_holds_no_secret(place: Path) -> None:
    environ = {**os.environ, "REDIS_URL": "redis://:hunter2@127.0.0.1:1/0"}
    target = PlannedTarget("cache=memory", "cache", "memory", clauses=("CACHE-01",))
    WorkerRun(Path("run"), environ, lambda event: None).execute(Plan((target,)))
    assert json.loads((place / "run" / "plan.json").read_text())["targets"][0]["name"] == "cache=memory"
    for path in (place / "run").iterdir():
        assert "hunter2" not in path.read_text()
