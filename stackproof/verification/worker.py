"""The worker: a process that runs pytest with our plug-in over the targets of a plan.

A backend may hang, crash or end the interpreter: that must cost one clause, not the run. So the clauses run in a
process of their own, which tells its events through a file; when it dies, the clause that was running is INCONCLUSIVE and a new
worker goes on with the rest.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from stackproof.contracts.ledger import Ledger
from stackproof.contracts.stream import ClauseEnded, RunEnded, StreamEvent, from_line
from stackproof.contracts.verdicts import ClauseResult, Verdict

from .plan import PLAN_VARIABLE, Plan
from .runs import keep

Observer = Callable[[StreamEvent], None]

HUNG_SECONDS = 90.0
"""A clause that its own time limit could not end is ended with its process after this long."""
INTERRUPT_SECONDS = 15.0
"""How long an interrupted worker may clean up."""
MAX_RESTARTS = 5
_POLL = 0.05


class WorkerError(Exception):
    """The worker could not even start; the message is one sentence."""


@dataclass(slots=True)
class WorkerRun:
    """All workers of one run, one after the other, until every planned clause has ended."""

    directory: Path
    environ: Mapping[str, str]
    observer: Observer
    ledger: Ledger = field(default_factory=Ledger)
    restarts: int = 0
    _last: float = 0.0

    def execute(self, plan: Plan) -> Ledger:
        """Run the plan. Ctrl-C is passed on to the worker and raised again when it has cleaned up."""
        process: subprocess.Popen[bytes] | None = None
        events: Iterator[StreamEvent | None] = iter(())
        try:
            while True:
                process, events = self._start(plan)
                self._follow(process, events)
                if self.ledger.ended is not None or not self._bury(process):
                    break
                plan = self._rest_of(plan)
        except KeyboardInterrupt:
            if process is not None:
                self._interrupt(process, events)
            raise
        finally:
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        for result in self.ledger.close(f"not executed: {MAX_RESTARTS} workers died before it"):
            self.observer(ClauseEnded(result))
        return self.ledger

    def _start(self, plan: Plan) -> tuple[subprocess.Popen[bytes], Iterator[StreamEvent | None]]:
        suffix = f"-{self.restarts}" if self.restarts else ""
        plan_file, events = self.directory / f"plan{suffix}.json", self.directory / f"events{suffix}.jsonl"
        keep(plan_file, plan.to_json())
        keep(self.directory / "pytest.ini", "[pytest]\n")
        events.unlink(missing_ok=True)
        command = [
            sys.executable, "-m", "stackproof.verification.pytest_process", "--pyargs", "stackproof.verification.collected",
            "-p", "stackproof.contracts.plugin", "-p", "no:cacheprovider", "--noconftest", "-q", "--no-header",
            "-c", str(self.directory / "pytest.ini"), "--rootdir", str(self.directory),
            "--stackproof-events", str(events), "--stackproof-seed", str(plan.seed), "--stackproof-profile", plan.profile,
            "--stackproof-again", plan.again,
        ]  # fmt: skip
        environ = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
        environ |= {**self.environ, PLAN_VARIABLE: str(plan_file.resolve()), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        with (self.directory / "worker.log").open("ab") as output:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and package
                command, env=environ, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True
            )
        self._last = time.monotonic()
        return process, _tail(events)

    def _follow(self, process: subprocess.Popen[bytes], events: Iterator[StreamEvent | None]) -> None:
        """Take in events until the process has ended and all of them are read."""
        while True:
            ended = process.poll() is not None
            if not self._drain(events) and ended:
                return
            if not ended:
                if time.monotonic() - self._last > HUNG_SECONDS:
                    process.kill()
                time.sleep(_POLL)

    def _drain(self, events: Iterator[StreamEvent | None]) -> bool:
        any_came = False
        for event in events:
            if event is None:
                break
            any_came = True
            self._last = time.monotonic()
            self.ledger.feed(event)
            self.observer(event)
        return any_came

    def _bury(self, process: subprocess.Popen[bytes]) -> bool:
        """A worker died in the middle: its running clause is INCONCLUSIVE. Whether another worker shall go on."""
        if not self.ledger.targets:
            raise WorkerError(f"the clauses could not be collected; see {self.directory / 'worker.log'}")
        how = _how_it_ended(process.returncode)
        if self.ledger.running is not None:
            target, clause = self.ledger.running
            concern = self.ledger.planned()[target, clause]
            reason = f"the process of the backend {how} while this clause ran"
            result = ClauseResult(clause, concern, target, Verdict.INCONCLUSIVE, reason)
            self.ledger.feed(ClauseEnded(result))
            self.observer(ClauseEnded(result))
        self.restarts += 1
        return bool(self.ledger.open()) and self.restarts <= MAX_RESTARTS

    def _rest_of(self, plan: Plan) -> Plan:
        open_clauses = self.ledger.open()
        rest = []
        for target in plan.targets:
            clauses = tuple(clause for name, clause in open_clauses if name == target.name)
            if clauses:
                rest.append(replace(target, clauses=clauses))
        return replace(plan, targets=tuple(rest))

    def _interrupt(self, process: subprocess.Popen[bytes], events: Iterator[StreamEvent | None]) -> None:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(INTERRUPT_SECONDS)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.kill()
            process.wait()
        self._drain(events)
        for result in self.ledger.close("not executed: interrupted"):
            self.observer(ClauseEnded(result))
        if self.ledger.ended is None:
            self.ledger.feed(RunEnded(0.0, interrupted=True))


def _tail(path: Path) -> Iterator[StreamEvent | None]:
    """The events of a file that grows; None where nothing more is there yet."""
    while not path.exists():
        yield None
    with path.open(encoding="utf-8") as stream:
        half = ""
        while True:
            line = half + stream.readline()
            if line.endswith("\n"):
                half = ""
                yield from_line(line)
            else:
                half = line
                yield None


def _how_it_ended(code: int | None) -> str:
    if code is None:
        return "vanished"
    if code < 0:
        name = signal.Signals(-code).name if -code in {s.value for s in signal.Signals} else str(-code)
        return f"was killed by {name}"
    return f"ended with exit code {code}"
