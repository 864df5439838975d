"""The pytest plug-in: runs the clauses of contract classes, gives each its verdict, and tells the stream of it.

It is loaded wherever stackproof is installed, so it stays idle (and light) until a contract class is collected.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .recorder import Recorder

_RECORDER = pytest.StashKey["Recorder"]()
_NOT_WRITTEN = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("stackproof", "contracts of backends (stackproof)")
    group.addoption("--stackproof-seed", type=int, default=1, metavar="N", help="seed of generated test data (1)")
    group.addoption(
        "--stackproof-profile", choices=("core", "full"), default="core", help="which clauses are planned (core)"
    )
    group.addoption("--stackproof-clause", action="append", default=[], metavar="ID", help="plan only this clause")
    group.addoption("--stackproof-events", metavar="FILE", help="append the stream of events to FILE as JSON lines")
    group.addoption("--stackproof-json", metavar="FILE", help="write the verdicts to FILE as JSON")
    group.addoption(
        "--stackproof-again",
        metavar="TEXT",
        help="the command that failures suggest; {target} and {clause} are replaced",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Plan: before anything is deselected, find every contract class and all clauses that it must answer for."""
    from .contract import Contract

    classes = {}
    for item in items:
        owner = getattr(item, "cls", None)
        if isinstance(owner, type) and issubclass(owner, Contract) and item.parent is not None:
            classes[owner] = item.parent.nodeid
    if not classes:
        return
    from .recorder import Recorder

    recorder = config.stash[_RECORDER] = Recorder(_options(config))
    for owner, nodeid in classes.items():
        recorder.plan(owner, nodeid)
    unplanned = [item for item in items if recorder.is_unplanned_clause(item)]
    if unplanned:
        items[:] = [item for item in items if item not in unplanned]
        config.hook.pytest_deselected(items=unplanned)


def _options(config: pytest.Config) -> Any:
    from .recorder import RunOptions

    return RunOptions(
        seed=config.getoption("--stackproof-seed"),
        profile=config.getoption("--stackproof-profile"),
        only=frozenset(config.getoption("--stackproof-clause")),
        events=Path(path) if (path := config.getoption("--stackproof-events")) else None,
        again=config.getoption("--stackproof-again") or "",
    )


def _recorder(item: pytest.Item) -> Recorder | None:
    return item.config.stash.get(_RECORDER, None)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    recorder = _recorder(item)
    if recorder is not None and isinstance(item, pytest.Function):
        recorder.prepare(item)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object | None:
    """Run a clause (or the proof that its capability is absent) under its time limit; other tests run as usual."""
    recorder = _recorder(pyfuncitem)
    return True if recorder is not None and recorder.run(pyfuncitem) else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    recorder = _recorder(item)
    if recorder is not None and isinstance(item, pytest.Function):
        recorder.report(item, call, report, again=_again(item))
    return report


def _again(item: pytest.Item) -> str:
    words = ["pytest", item.nodeid, "--stackproof-seed", str(item.config.getoption("--stackproof-seed"))]
    if (profile := item.config.getoption("--stackproof-profile")) != "core":
        words += ["--stackproof-profile", profile]
    return shlex.join(words)


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, Any] | None:
    verdict = getattr(report, "stackproof_verdict", None)
    if verdict == "NOT_SUPPORTED":
        return "not supported", "n", ("NOT_SUPPORTED", {"cyan": True})
    if verdict == "INCONCLUSIVE":
        return "failed", "?", ("INCONCLUSIVE", {"yellow": True})
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    recorder = session.config.stash.get(_RECORDER, None)
    if recorder is None or session.config.getoption("collectonly"):
        return
    recorder.finish(interrupted=exitstatus == pytest.ExitCode.INTERRUPTED)
    target = session.config.getoption("--stackproof-json")
    not_written = _write_verdicts(recorder, target) if target else ""
    if not_written:
        session.config.stash[_NOT_WRITTEN] = not_written
        if session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
    if not recorder.conclusive and session.exitstatus == pytest.ExitCode.OK:
        # A clause that was planned and has no verdict of its own is not a success.
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _write_verdicts(recorder: Recorder, target: str) -> str:
    """Write them; the sentence that says why that was not possible, for the summary."""
    try:
        Path(target).write_text(json.dumps(recorder.as_json(), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        return f"The verdicts could not be written to {target}: {error.strerror}."
    return ""


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    recorder = config.stash.get(_RECORDER, None)
    if recorder is None or config.getoption("collectonly"):
        return
    terminalreporter.section("stackproof: verdicts")
    for line in recorder.summary():
        terminalreporter.write_line(line)
    if _NOT_WRITTEN in config.stash:
        terminalreporter.write_line(config.stash[_NOT_WRITTEN], red=True)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    recorder = _recorder(item)
    if recorder is not None and isinstance(item, pytest.Function):
        recorder.started(item)
    began = time.monotonic()
    outcome = yield
    if recorder is not None and isinstance(item, pytest.Function):
        recorder.ended(item, time.monotonic() - began)
    return outcome
