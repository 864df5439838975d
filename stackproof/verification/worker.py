"""The run of a plan in worker processes, until every planned clause has ended.

A backend may hang, crash or end the interpreter: that must cost one clause, not the run. So the clauses run in a
process of their own; when it dies, the clause that was running is INCONCLUSIVE and a new worker goes on with the rest.
When it dies before there is a clause, while the backend is imported, all clauses of that backend are: it costs no other one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from stackproof.contracts.ledger import Ledger
from stackproof.contracts.smoke import Smoke, Trouble
from stackproof.contracts.stream import ClauseEnded, RunEnded, StreamEvent, TargetSmoked
from stackproof.contracts.verdicts import ClauseResult, Verdict
from stackproof.interruption import noted_signals

from .plan import Plan
from .process import WorkerProcess

Observer = Callable[[StreamEvent], None]

HUNG_SECONDS = 500.0
"""A clause that its own time limit (240 s at most, and as much again for the first use and for cleaning up) could not end
is ended with its process after this long."""
IMPORT_SECONDS = 60.0
"""How long a process may take until it has told its first word: until then it starts, and imports the backend."""
FIRST_USE_SECONDS = 90.0
"""The first use of a backend has its own time limit (20 s, and 10 s for cleaning up); a process that it keeps for longer
than this is ended. With somebody's own fixtures, which run before, it may take that much."""
INTERRUPT_SECONDS = 15.0
"""How long an interrupted worker may clean up."""
END_SECONDS = 5.0
"""How long a worker that has told everything may take to end: a backend's threads can keep it for ever."""
MAX_RESTARTS = 5
MAX_HUNG = 2
"""So many workers are waited for until they count as hung; then the rest is not executed."""
_POLL = 0.05


class WorkerError(Exception):
    """The clauses cannot be run, or what the worker tells cannot be understood; the message is one sentence."""


@dataclass(slots=True)
class WorkerRun:
    """All workers of one run, one after the other."""

    directory: Path
    environ: Mapping[str, str]
    observer: Observer
    ledger: Ledger = field(default_factory=Ledger)
    signals: list[int] | None = None
    """Where somebody else notes the signals that came, while several runs go on at once; None: this run notes them."""
    restarts: int = 0
    hung: int = 0
    _last: float = 0.0
    _signals: list[int] = field(default_factory=list)
    _why_it_ended: str = ""
    """Where the exit code does not tell."""
    _hung_now: bool = False
    """Whether the last worker was ended because it did not answer."""
    _told: bool = False
    """Whether the last worker told anything: before that it imports the backend."""

    def execute(self, plan: Plan) -> Ledger:
        """Run the plan. Ctrl-C is passed on to the worker, and raised again when that has cleaned up."""
        worker: WorkerProcess | None = None
        noting = noted_signals() if self.signals is None else nullcontext(self.signals)
        with noting as self._signals:
            try:
                while True:
                    worker = WorkerProcess.start(self.directory, plan, self.environ, self.restarts)
                    self._follow(worker)
                    if self.ledger.ended is not None:
                        break
                    self._bury(worker, plan)
                    plan = self._rest_of(plan)
                    if not plan.targets or self.restarts > MAX_RESTARTS or self.hung >= MAX_HUNG:
                        break
            except KeyboardInterrupt:
                if worker is not None:
                    self._interrupt(worker)
                raise
            finally:
                if worker is not None:
                    worker.end()
            for result in self.ledger.close(f"not executed: {self.restarts} processes died or hung before it"):
                self.observer(ClauseEnded(result))
        return self.ledger

    def _follow(self, worker: WorkerProcess) -> None:
        """Take in events until the process has ended and all of them are read."""
        self._last = time.monotonic()
        self._why_it_ended, self._hung_now, self._told = "", False, False
        while True:
            ended = worker.ended
            if not self._drain(worker) and ended:
                return
            if self._signals:
                raise KeyboardInterrupt
            if not ended:
                if time.monotonic() - self._last > self._patience():
                    self._end_hung(worker)
                time.sleep(_POLL)

    def _patience(self) -> float:
        """How long nothing may come from the worker."""
        if self.ledger.ended is not None:
            return END_SECONDS
        if not self._told:
            return IMPORT_SECONDS
        return FIRST_USE_SECONDS if self._at_first_use() else HUNG_SECONDS

    def _at_first_use(self) -> bool:
        """Whether the target that is running was not used to the end yet, by any worker."""
        return self.ledger.running is not None and self.ledger.running[0] not in self.ledger.smokes

    def _end_hung(self, worker: WorkerProcess) -> None:
        patience = self._patience()
        if self.ledger.ended is None:
            worker.tell_where_it_stands()
        worker.end()
        if self.ledger.ended is None:
            self.hung, self._hung_now = self.hung + 1, True
            self._why_it_ended = f"did not answer for {patience:g} s and was ended"

    def _drain(self, worker: WorkerProcess) -> bool:
        any_came = False
        try:
            for event in worker.news():
                any_came = self._told = True
                self._last = time.monotonic()
                if isinstance(event, RunEnded) and event.interrupted and not self._signals:
                    # Nobody asked it to end.
                    self._why_it_ended = "was stopped by a KeyboardInterrupt of its own"
                    continue
                self.ledger.feed(event)
                self.observer(event)
        except (ValueError, KeyError, TypeError) as error:
            raise WorkerError(
                f"what the worker told in {worker.events} cannot be understood ({type(error).__name__}: {error})"
            ) from error
        return any_came

    def _bury(self, worker: WorkerProcess, plan: Plan) -> None:
        """A worker died in the middle: its running clause is INCONCLUSIVE."""
        worker.end()
        how = self._why_it_ended or worker.how_it_ended()
        if not self.ledger.targets or (self._hung_now and not self._told):
            self._never_collected(plan, how)
        elif self.ledger.running is not None:
            target, clause = self.ledger.running
            if self._hung_now and self._at_first_use():
                self._give_up(target, f"the process of the backend {how} at the first use of it")
            else:
                self._inconclusive(target, clause, f"the process of the backend {how} while this clause ran")
        self.restarts += 1

    def _never_collected(self, plan: Plan, how: str) -> None:
        """No worker gets beyond the import of the backend. Of several backends nobody can tell which one it was."""
        if len(plan.targets) != 1:
            log = self.directory / "worker.log"
            raise WorkerError(f"the clauses could not be collected, the worker {how}; see {log}")
        (target,) = plan.targets
        log_of_run = (
            f"{self.directory.name}/worker.log"  # where the run is kept is nobody's business who reads its certificate
        )
        module, colon, _ = target.spec.partition(":")
        during = f" (the import of {module} did not end)" if self._hung_now and colon else ""
        why = f"the process of the backend {how} before its clauses were collected{during}, see {log_of_run}"
        if target.name in self.ledger.targets:  # an earlier worker got further
            self._close(target.name, f"not executed: {why}")
            return
        self._tell(target.expected(plan.profile))
        self._give_up(target.name, why)

    def _give_up(self, target: str, why: str) -> None:
        """This target cannot be used even once: every further worker would end like this one."""
        self._tell(TargetSmoked(target, Smoke(Trouble.BACKEND, f"{why[0].upper()}{why[1:]}.")))
        self._close(target, f"not tried: {why}")

    def _close(self, target: str, reason: str) -> None:
        for name, clause in self.ledger.open():
            if name == target:
                self._inconclusive(target, clause, reason)

    def _inconclusive(self, target: str, clause: str, reason: str) -> None:
        concern = self.ledger.planned()[target, clause]
        self._tell(ClauseEnded(ClauseResult(clause, concern, target, Verdict.INCONCLUSIVE, reason)))

    def _tell(self, event: StreamEvent) -> None:
        self.ledger.feed(event)
        self.observer(event)

    def _rest_of(self, plan: Plan) -> Plan:
        """What has not ended yet; a target that the dead worker had not even planned stays as it was."""
        open_clauses = self.ledger.open()
        rest = []
        for target in plan.targets:
            clauses = tuple(clause for name, clause in open_clauses if name == target.name)
            if clauses:
                rest.append(replace(target, clauses=clauses))
            elif target.name not in self.ledger.targets:
                rest.append(target)
        return replace(plan, targets=tuple(rest))

    def _interrupt(self, worker: WorkerProcess) -> None:
        """Let the worker clean up; a second Ctrl-C ends it at once. What had not ended was not executed."""
        worker.interrupt()
        latest = time.monotonic() + INTERRUPT_SECONDS
        while not worker.ended and time.monotonic() < latest and len(self._signals) < 2:
            time.sleep(_POLL)
        worker.end()
        self._drain(worker)
        for result in self.ledger.close("not executed: interrupted"):
            self.observer(ClauseEnded(result))
        if self.ledger.ended is None:
            self.ledger.feed(RunEnded(0.0, interrupted=True))
