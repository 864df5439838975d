"""The pytest plug-in: runs the clauses of contract classes, gives each its verdict, and tells the stream of it.

It is loaded wherever stackproof is installed, so it stays idle (and light) until a contract class is collected.
"""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

if TYPE_CHECKING:
    from .recorder import Recorder

_SHARE = "stackproof"
_SHARES = pytest.StashKey[list[tuple[list[str], list[str]]]]()
"""What the processes of pytest-xdist told."""
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


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> Generator[None, Any, Any]:
    """Meet every contract class where pytest looks at it: also one in which it then finds, or is told to find, nothing."""
    found = yield
    looks_like_tests: Callable[[object, str], bool] | None = getattr(collector, "istestclass", None)
    if _is_contract(obj) and getattr(obj, "__test__", True) and looks_like_tests and looks_like_tests(obj, name):
        _made(collector.config).roll.meet(cast("type[Any]", obj), f"{collector.nodeid}::{name}")
    return found


def pytest_itemcollected(item: pytest.Item) -> None:
    owner: type[Any] | None = getattr(item, "cls", None)
    if owner is not None and _is_contract(owner) and item.parent is not None:
        roll = _made(item.config).roll
        roll.meet(owner, item.parent.nodeid)
        roll.collected(item)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Plan: before anything is deselected, all clauses that every contract class must answer for."""
    for item in items:
        pytest_itemcollected(item)  # a hook may have put it there
    recorder = config.stash.get(_RECORDER, None)
    if recorder is None:
        return
    try:
        recorder.plan()
    except pytest.UsageError:
        del config.stash[_RECORDER]  # there is nothing to tell
        raise
    unplanned = [item for item in items if recorder.is_unplanned_clause(item)]
    if unplanned:
        items[:] = [item for item in items if item not in unplanned]
        config.hook.pytest_deselected(items=unplanned)


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    recorder = _recorder(items[0]) if items else None
    if recorder is not None:
        recorder.roll.deselected(items)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    recorder = session.config.stash.get(_RECORDER, None)
    if recorder is not None:
        recorder.selected(session.items)


def _is_contract(kind: object) -> bool:
    """Without an import: where nobody has imported contracts, there is none."""
    home = sys.modules.get("stackproof.contracts.contract")
    return home is not None and isinstance(kind, type) and issubclass(kind, home.Contract)


class _Interruptions:
    """Notes an interruption when it comes: pytest may fail to describe it, and then ends with another status.

    Its hook is not told of which session: so this is registered for each.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self._recorder.interrupted |= excinfo.errisinstance(KeyboardInterrupt)


def _made(config: pytest.Config) -> Recorder:
    recorder = config.stash.get(_RECORDER, None)
    if recorder is None:
        from .recorder import Recorder
        from .roll import Roll
        from .selection import Selection

        recorder = config.stash[_RECORDER] = Recorder(_options(config), roll=Roll(Selection.of(config)))
        config.pluginmanager.register(_Interruptions(recorder))
    return recorder


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


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> Generator[None, None, None]:
    recorder = session.config.stash.get(_RECORDER, None)
    if recorder is None or session.config.getoption("collectonly"):
        yield
        if session.exitstatus == pytest.ExitCode.OK and _trouble_of_shares(session.config):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        return
    recorder.finish(interrupted=recorder.interrupted or exitstatus == pytest.ExitCode.INTERRUPTED)
    target = session.config.getoption("--stackproof-json")
    not_written = _write_verdicts(recorder, target) if target else ""
    if not_written:
        session.config.stash[_NOT_WRITTEN] = not_written
        if session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output[_SHARE] = recorder.share()
    _not_green(session, recorder)
    yield
    _not_green(session, recorder)  # whatever another hook made of it


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A process of pytest-xdist ended: what it says of its share decides about the whole, which has no tests of its own."""
    told = getattr(node, "workeroutput", {}).get(_SHARE)
    if told is not None:
        node.config.stash.setdefault(_SHARES, []).append(told)


def _trouble_of_shares(config: pytest.Config) -> list[str]:
    """Why the processes' shares together are no success: what does not hold in one of them, and what ran in none."""
    shares = config.stash.get(_SHARES, [])
    nowhere = set.intersection(*(set(elsewhere) for _, elsewhere in shares)) if shares else set()
    return [why for troubles, _ in shares for why in troubles] + [f"{c} ran in no process" for c in sorted(nowhere)]


def _not_green(session: pytest.Session, recorder: Recorder) -> None:
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
    if trouble := _trouble_of_shares(config):
        terminalreporter.section("stackproof: why this is no success")
        for line in trouble:
            terminalreporter.write_line(line)
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
