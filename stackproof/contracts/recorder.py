"""The recorder: what the plug-in knows about a session. It plans, prepares, runs, judges, and tells the stream."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from .case import Case
from .clauses import VISIBLE_ATTRIBUTE, Planned, absence_proof, clause_of, planned_clauses
from .contract import CASE_KEY, GATE_KEY, Contract
from .explain import explain
from .guard import patched
from .judge import judge
from .ledger import Ledger, counts
from .secrets import scrubbed, without_secrets
from .smoke import Smoke, Trouble, smoke_test
from .stream import (
    ClauseEnded,
    ClauseStarted,
    PlannedClause,
    RunEnded,
    StreamEvent,
    TargetPlanned,
    TargetSmoked,
    describe_capabilities,
    to_line,
)
from .timelimit import OutOfTime, time_limit
from .verdicts import ClauseResult, Failure, Verdict, overall

SCHEMA = "stackproof-verdicts/1"

DESELECTED = "not executed: deselected, or the session ended before it"

_PLANNED = pytest.StashKey[tuple[str, Planned]]()
_RESULT = pytest.StashKey[ClauseResult]()
_TIMED_OUT = pytest.StashKey[bool]()

MAX_OUT_OF_TIME = 3
"""A backend that hangs would take its full time from every clause: after so many, the others are not tried."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How the session is run."""

    seed: int = 1
    profile: str = "core"
    only: frozenset[str] = frozenset()
    events: Path | None = None
    again: str = ""


class Broken(Exception):  # noqa: N818 - a state of the harness, not an error of it
    """The smoke step found that no clause can run."""


@dataclass(slots=True)
class Recorder:
    """One session's contract classes, their plans and results."""

    options: RunOptions
    ledger: Ledger = field(default_factory=Ledger)
    _classes: dict[type[Any], str] = field(default_factory=dict)
    _plans: dict[str, dict[str, Planned]] = field(default_factory=dict)
    _smokes: dict[str, Smoke] = field(default_factory=dict)
    _out_of_time: dict[str, int] = field(default_factory=dict)
    """Target -> how many of its clauses, or of their cleaning up, did not end in time."""
    _began: float = field(default_factory=time.monotonic)

    def _tell(self, event: StreamEvent) -> None:
        self.ledger.feed(event)
        if self.options.events is not None:
            with self.options.events.open("a", encoding="utf-8") as stream:
                stream.write(to_line(event))

    # Planning

    def plan(self, owner: type[Contract[Any]], nodeid: str) -> None:
        """Write down every clause that this class answers for."""
        target = getattr(owner, "target_name", "") or nodeid
        plan = {
            planned.clause.id: planned
            for planned in planned_clauses(owner, self.options.profile)
            if (owner.only_clauses is None or planned.clause.id in owner.only_clauses)
            and (not self.options.only or planned.clause.id in self.options.only)
        }
        self._classes[owner] = target
        self._plans[target] = plan
        clauses = tuple(PlannedClause.of(p.clause, p.altered) for p in plan.values())
        self._tell(TargetPlanned(target, owner.concern, clauses, describe_capabilities(owner.capabilities)))

    def _planned(self, item: pytest.Item) -> tuple[str, Planned] | None:
        owner = getattr(item, "cls", None)
        target = self._classes.get(owner) if owner is not None else None
        if target is None:
            return None
        name = getattr(item, "originalname", item.name)
        for planned in self._plans[target].values():
            if planned.method == name:
                return target, planned
        return None

    def is_unplanned_clause(self, item: pytest.Item) -> bool:
        """Whether an item checks a clause that is outside this session's plan (another profile, another id)."""
        ours = getattr(item, "cls", None) in self._classes
        return ours and clause_of(getattr(item, "function", None)) is not None and self._planned(item) is None

    # Running

    def started(self, item: pytest.Function) -> None:
        found = self._planned(item)
        if found is not None:
            item.stash[_PLANNED] = found
            self._tell(ClauseStarted(found[0], found[1].clause.id))

    def prepare(self, item: pytest.Function) -> None:
        """Before the fixtures: make the case, and the gate that its first fixture passes."""
        found = item.stash.get(_PLANNED, None)
        if found is None:
            return
        target, planned = found
        item.stash[CASE_KEY] = Case(planned.clause, self.options.seed, self.options.profile == "full")
        gate: Callable[[Contract[Any]], None] = partial(self._let_through, target)
        item.stash[GATE_KEY] = gate

    def _let_through(self, target: str, contract: Contract[Any]) -> None:
        """The smoke step, once per class: where the harness or the server is broken, no clause can say anything."""
        if target not in self._smokes:
            smoke, backend = smoke_test(contract)
            smoke = replace(smoke, sentence=scrubbed(smoke.sentence))
            harness = smoke.trouble is Trouble.HARNESS
            declared = {} if harness else describe_capabilities(contract.declared(backend))
            kind = type(backend)
            name = "" if backend is None else f"{kind.__module__}.{kind.__qualname__}"
            self._smokes[target] = smoke
            self._tell(TargetSmoked(target, smoke, name, declared))
        smoke = self._smokes[target]
        if smoke.trouble is Trouble.SERVER:
            pytest.skip(f"the server cannot be used: {smoke.sentence}")
        if smoke.trouble is Trouble.HARNESS:
            raise Broken(smoke.sentence)
        if self._out_of_time.get(target, 0) >= MAX_OUT_OF_TIME:
            raise Unproven(f"not tried: {MAX_OUT_OF_TIME} clauses before it did not end in their time")

    def run(self, item: pytest.Function) -> bool:
        """Run the clause of this item; False where the item is no clause of ours."""
        found = item.stash.get(_PLANNED, None)
        if found is None:
            return False
        clause = found[1].clause
        case = item.stash[CASE_KEY]
        instance: Any = item.instance
        body = item.obj
        names = item._fixtureinfo.argnames
        if clause.needs is not None and not clause.needs.met_by(instance.capabilities):
            proof = absence_proof(type(instance), clause.id)
            if proof is None:
                raise RuntimeError(f"{clause.id} has no proof that {clause.needs} is absent")
            case.absent, case.absence_visible = True, getattr(proof, VISIBLE_ATTRIBUTE, True)
            body = proof.__get__(instance)
            names = tuple(n for n in names if n in proof.__code__.co_varnames[: proof.__code__.co_argcount])
        with time_limit(clause.seconds, f"{clause.id}"):
            body(**{name: item.funcargs[name] for name in names})
        verdict, reason, _ = judge(case, None)
        if verdict is Verdict.INCONCLUSIVE:
            raise Unproven(reason)
        return True

    def report(self, item: pytest.Function, call: pytest.CallInfo[None], report: pytest.TestReport, again: str) -> None:
        """Judge a phase that ended, and let its report speak about the backend instead of the suite."""
        found = item.stash.get(_PLANNED, None)
        if found is None or _RESULT in item.stash:
            return
        error = call.excinfo.value if call.excinfo is not None else None
        if call.when == "setup" and error is None:
            return
        item.stash[_TIMED_OUT] = isinstance(error, OutOfTime)
        target, planned = found
        result = self._result(item, target, planned, error, again)
        item.stash[_RESULT] = result
        report.stackproof_verdict = str(result.verdict)  # type: ignore[attr-defined]
        if result.verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE):
            report.outcome = "failed"
            report.longrepr = explain(result, PlannedClause.of(planned.clause, planned.altered))
        elif result.verdict is not Verdict.SKIPPED:
            report.outcome = "passed"
            report.longrepr = None

    def _result(
        self, item: pytest.Function, target: str, planned: Planned, error: BaseException | None, again: str
    ) -> ClauseResult:
        case = item.stash[CASE_KEY]
        failure: Failure | None = None
        if isinstance(error, Broken):
            verdict, reason = Verdict.INCONCLUSIVE, f"the harness does not work: {error}"
        elif isinstance(error, Unproven):
            verdict, reason = Verdict.INCONCLUSIVE, str(error)
        else:
            verdict, reason, failure = judge(case, error)
        if failure is not None:
            command = self.options.again.replace("{target}", target).replace("{clause}", planned.clause.id) or again
            failure = replace(failure, again=command)
        marks = sorted({mark.name for mark in item.iter_markers()} & {"skip", "skipif", "xfail"})
        altered = planned.altered or (f"marked {', '.join(marks)}" if marks else "") or patched()
        seen = case.evidence.counts()
        clause, concern = planned.clause.id, item.cls.concern
        return without_secrets(ClauseResult(clause, concern, target, verdict, reason, seen, 0.0, altered, failure))

    def ended(self, item: pytest.Function, seconds: float) -> None:
        """After the teardown: the result is complete."""
        result = item.stash.get(_RESULT, None)
        if result is None:
            return
        instances = item.stash[CASE_KEY].instances if CASE_KEY in item.stash else None
        notes = tuple(instances.notes) if instances is not None else ()
        if item.stash.get(_TIMED_OUT, False) or (instances is not None and instances.hung):
            self._out_of_time[result.target] = self._out_of_time.get(result.target, 0) + 1
        result = without_secrets(replace(result, seconds=round(seconds, 4), notes=notes))
        known = self.ledger.results.get((result.target, result.clause))
        if known is None:
            self._tell(ClauseEnded(result))
        elif overall([known.verdict, result.verdict]) is not known.verdict:
            # The third party parametrised the class: one clause, several items; the worst verdict is the clause's.
            self.ledger.results[result.target, result.clause] = result

    def finish(self, interrupted: bool) -> None:
        """Every planned clause gets its verdict, also those that were deselected or never reached."""
        reason = "not executed: interrupted" if interrupted else DESELECTED
        for result in self.ledger.close(reason):
            if self.options.events is not None and not interrupted:
                with self.options.events.open("a", encoding="utf-8") as stream:
                    stream.write(to_line(ClauseEnded(result)))
        self._tell(RunEnded(round(time.monotonic() - self._began, 3), interrupted))

    # Telling

    @property
    def conclusive(self) -> bool:
        """Whether what was to be executed holds as it stands. What the user deselected is listed, and no failure."""
        good = (Verdict.PASS, Verdict.NOT_SUPPORTED, Verdict.PROVISIONAL)
        executed = [row for row in self.ledger.rows() if row.reason != DESELECTED or row.altered]
        return all(row.verdict in good and not row.altered for row in executed)

    def summary(self) -> list[str]:
        """A line for each contract class, and one for each kind of end that is no plain pass."""
        lines: list[str] = []
        for target, plan in self.ledger.targets.items():
            rows = [row for row in self.ledger.rows() if row.target == target]
            parts = ", ".join(f"{number} {verdict}" for verdict, number in counts(rows).items())
            lines.append(f"{target} ({plan.concern}): {parts} of {len(plan.clauses)} clauses")
            smoke = self._smokes.get(target, Smoke())
            if smoke.trouble is not Trouble.NONE:
                lines.append(f"  first use: {smoke.trouble} trouble: {smoke.sentence}")
            lines += _ends(rows)
        if not self.conclusive:
            lines.append(
                "Not every clause holds as it stands: one that is skipped, undecided or altered is no pass either."
            )
        elif any(row.reason == DESELECTED for row in self.ledger.rows()):
            lines.append("Only a part of the contract was executed: this says nothing about the rest.")
        return lines

    def as_json(self) -> dict[str, Any]:
        """All verdicts as JSON values."""
        return {
            "schema": SCHEMA,
            "seed": self.options.seed,
            "profile": self.options.profile,
            "clauses": [asdict(row) for row in self.ledger.rows()],
        }


class Unproven(Exception):  # noqa: N818 - a verdict on its way
    """The body ended without an error and without enough evidence."""


def _ends(rows: list[ClauseResult]) -> list[str]:
    """One line for all clauses that ended in the same way for the same reason; none for a plain pass."""
    grouped: dict[str, list[str]] = {}
    for row in rows:
        if row.verdict is not Verdict.PASS or row.altered:
            altered = f" [altered: {row.altered}]" if row.altered else ""
            what = f"{row.failure.headline}; seen {row.failure.seen}" if row.failure is not None else row.reason
            grouped.setdefault(f"{row.verdict}: {what}{altered}", []).append(row.clause)
    return [f"  {', '.join(clauses)} {end}" for end, clauses in grouped.items()]
