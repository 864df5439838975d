"""The recorder: what the plug-in knows about a session. It plans, prepares, runs, judges, and tells the stream."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from . import CONCERNS, contract_for
from .case import Case
from .clauses import VISIBLE_ATTRIBUTE, Planned, absence_proof, clause_of, planned_clauses
from .contract import CASE_KEY, GATE_KEY, Contract, RaisedInFixture
from .explain import explain
from .guard import patched
from .judge import OUTCOMES, RaisedByBackend, judge, not_executed
from .ledger import Ledger, counts
from .roll import NOT_ASKED_FOR, NOT_REACHED, TAKEN_AWAY, Method, Roll
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
from .verdicts import ClauseResult, Failure, Verdict, worse

SCHEMA = "stackproof-verdicts/1"

_PLANNED = pytest.StashKey[tuple[str, Planned]]()
_RESULT = pytest.StashKey[ClauseResult]()
_TIMED_OUT = pytest.StashKey[bool]()
_REPLACED = pytest.StashKey[str]()

_GOOD = (Verdict.PASS, Verdict.NOT_SUPPORTED, Verdict.PROVISIONAL)

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


_patched = patched
"""Kept, so that who exchanges the name for something that sees nothing is seen."""


class Broken(Exception):  # noqa: N818 - a state of the harness, not an error of it
    """The smoke step found that no clause can run."""


@dataclass(slots=True)
class Recorder:
    """One session's contract classes, their plans and results."""

    options: RunOptions
    ledger: Ledger = field(default_factory=Ledger)
    roll: Roll = field(default_factory=Roll)
    interrupted: bool = False
    _classes: dict[type[Any], str] = field(default_factory=dict)
    _plans: dict[str, dict[str, Planned]] = field(default_factory=dict)
    _smokes: dict[str, Smoke] = field(default_factory=dict)
    _out_of_time: dict[str, int] = field(default_factory=dict)
    """Target -> how many of its clauses, or of their cleaning up, did not end in time."""
    _to_come: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(target, clause) -> how many tests of it will still run. A class that is parametrised has several for each clause."""
    _so_far: dict[tuple[str, str], ClauseResult] = field(default_factory=dict)
    """The worst of those that have run."""
    _unwanted: set[tuple[str, str]] = field(default_factory=set)
    """(target, clause) that are planned, and were not asked for."""
    _began: float = field(default_factory=time.monotonic)

    def _tell(self, event: StreamEvent) -> None:
        self.ledger.feed(event)
        if self.options.events is not None:
            with self.options.events.open("a", encoding="utf-8") as stream:
                stream.write(to_line(event))

    # Planning

    def plan(self) -> None:
        """Write down every clause that each class which was met answers for."""
        for owner, nodeid in self.roll.classes.items():
            # pytest looks at every class of a file to find the test that was named.
            if not self.roll.selection.is_of_others(nodeid):
                self._plan(owner, getattr(owner, "target_name", "") or nodeid, nodeid)
        planned = {clause for plan in self._plans.values() for clause in plan}
        unknown = sorted(self.options.only - planned)
        if (
            unknown and planned & self.options.only
        ):  # one list for several sessions: others may have what this one has not
            unknown = [clause for clause in unknown if clause not in _every_clause()]
        if self._plans and unknown:
            raise pytest.UsageError(
                f"--stackproof-clause {unknown[0]}: no contract of this session has that clause in the profile "
                f"{self.options.profile}; `stackproof clauses` lists them all"
            )

    def _plan(self, owner: type[Contract[Any]], target: str, nodeid: str) -> None:
        if target in self._plans:
            target = f"{target} ({nodeid})"  # two classes under one name are two backends all the same
        plan = {p.clause.id: p for p in planned_clauses(owner, self.options.profile)}
        wanted, ours = _only_clauses(owner)
        if ours:
            plan = {name: planned for name, planned in plan.items() if name in wanted}
        for limit, typed, altered in (
            (wanted, ours, "left out by only_clauses"),
            (self.options.only, self.roll.selection.clauses, "left out by --stackproof-clause, which was not typed"),
        ):
            for name in plan.keys() - limit if limit else ():
                self._unwanted.add((target, name))
                if not typed:
                    plan[name] = replace(plan[name], altered=plan[name].altered or altered)
        self._classes[owner] = target
        self._plans[target] = plan
        clauses = tuple(PlannedClause.of(p.clause, p.altered) for p in plan.values())
        self._tell(TargetPlanned(target, owner.concern, clauses, describe_capabilities(owner.capabilities)))

    def selected(self, items: Iterable[pytest.Item]) -> None:
        """After everything that selects: how many tests of each clause will run."""
        for (owner, method), number in self.roll.to_run(items).items():
            target = self._classes.get(owner)
            for planned in self._plans.get(target or "", {}).values():
                if target is not None and planned.method == method:
                    self._to_come[target, planned.clause.id] += number

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
        """Whether an item checks a clause that does not run in this session (another profile, another id)."""
        if getattr(item, "cls", None) not in self._classes or clause_of(getattr(item, "function", None)) is None:
            return False
        found = self._planned(item)
        return found is None or (found[0], found[1].clause.id) in self._unwanted

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
            kind = _kind_of(backend)
            name = "" if backend is None else f"{kind.__module__}.{kind.__qualname__}"
            self._smokes[target] = smoke
            self._tell(TargetSmoked(target, smoke, name, declared))
        smoke = self._smokes[target]
        if smoke.trouble is Trouble.SERVER:
            pytest.skip(f"the server cannot be used: {smoke.sentence}")
        if smoke.trouble is Trouble.HARNESS:
            raise Broken(smoke.sentence)
        if smoke.hung:
            raise Unproven(f"not tried: {smoke.sentence.removesuffix('.')}")
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
        if getattr(body, "__func__", body) is not found[1].body:
            item.stash[_REPLACED] = "its body was replaced"
        names = item._fixtureinfo.argnames
        if clause.needs is not None and not clause.needs.met_by(instance.capabilities):
            proof = absence_proof(type(instance), clause.id)
            if proof is None:
                raise RuntimeError(f"{clause.id} has no proof that {clause.needs} is absent")
            case.absent, case.absence_visible = True, getattr(proof, VISIBLE_ATTRIBUTE, True)
            body = proof.__get__(instance)
            names = tuple(n for n in names if n in proof.__code__.co_varnames[: proof.__code__.co_argcount])
        try:
            with time_limit(clause.seconds, f"{clause.id}"):
                body(**{name: item.funcargs[name] for name in names})
        except OUTCOMES as error:
            if case.journal.came_from_backend(error) or case.journal.came_from_making(error):
                raise RaisedByBackend from error  # of pytest it would ask for another end of the test, or of the session
            raise
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
        if isinstance(error, RaisedInFixture):
            error = error.__cause__
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
        command = self.options.again.replace("{target}", target).replace("{clause}", planned.clause.id) or again
        if failure is not None:
            failure = replace(failure, again=command)
        marks = sorted({mark.name for mark in item.iter_markers()} & {"skip", "skipif", "xfail"})
        marked = f"marked {', '.join(marks)}" if marks else ""
        altered = planned.altered or marked or item.stash.get(_REPLACED, "") or _patched()
        seen = case.evidence.counts()
        clause, concern = planned.clause.id, item.cls.concern
        result = ClauseResult(clause, concern, target, verdict, reason, seen, 0.0, altered, failure)
        return without_secrets(replace(result, again=command) if result.undecided else result)

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
        key = (result.target, result.clause)
        self._to_come[key] -= 1
        if key in self._so_far:
            result = worse(self._so_far[key], result)
        self._so_far[key] = result
        if key in self.ledger.results:
            self.ledger.results[key] = result  # a test that came from nowhere
        elif self._to_come[key] <= 0:
            self._tell(ClauseEnded(self._complete(key, result)))

    def _complete(self, key: tuple[str, str], result: ClauseResult) -> ClauseResult:
        """The result of a clause of which all tests that were to run have run: some may have been taken away before."""
        reason, altered = self.roll.why_not(*self._method(key))
        if reason == NOT_REACHED:
            return result
        return worse(result, replace(result, verdict=Verdict.SKIPPED, reason=reason, altered=altered, failure=None))

    def finish(self, interrupted: bool) -> None:
        """Every planned clause gets its verdict, also those that were deselected or never reached."""
        if interrupted:
            self.ledger.close("not executed: interrupted")
        for key in self.ledger.open():
            late = self._never_run(key)
            self._tell(ClauseEnded(worse(self._so_far[key], late) if key in self._so_far else late))
        self._tell(RunEnded(round(time.monotonic() - self._began, 3), interrupted))

    def _never_run(self, key: tuple[str, str]) -> ClauseResult:
        target, clause = key
        planned = self._plans[target][clause]
        reason, altered = self.roll.why_not(*self._method(key))
        if key in self._unwanted or planned.altered:
            reason, altered = TAKEN_AWAY if planned.altered else NOT_ASKED_FOR, planned.altered
        return not_executed(clause, self.ledger.planned()[key], target, reason, altered)

    def _method(self, key: tuple[str, str]) -> Method:
        target, clause = key
        owner = next(owner for owner, name in self._classes.items() if name == target)
        return owner, self._plans[target][clause].method

    # Telling

    @property
    def conclusive(self) -> bool:
        """Whether what was to be executed holds as it stands. What was not asked for is listed, and no failure."""
        executed = [row for row in self.ledger.rows() if not _not_asked_for(row)]
        empty = {target for target in self._plans if all(row.target != target for row in executed)}
        spared = self.roll.selection.may_be_of_nothing
        if any(smoke.trouble is not Trouble.NONE for smoke in self._smokes.values()):
            return False  # it may be the backend's: then what its clauses saw afterwards is not the whole story
        if any(self._classes[owner] in empty and not spared(self.roll.classes[owner]) for owner in self._classes):
            return False
        return all(row.verdict in _GOOD and not row.altered for row in executed)

    def share(self) -> tuple[list[str], list[str]]:
        """Where several processes share the tests: why what ran here does not hold, and the clauses that did not run here."""
        rows = [row for row in self.ledger.rows() if not _not_asked_for(row)]
        elsewhere = [row for row in rows if row.reason == NOT_REACHED and not row.altered]
        troubles = [
            f"The first use of {target}: {smoke.trouble} trouble: {smoke.sentence}"
            for target, smoke in self._smokes.items()
            if smoke.trouble is not Trouble.NONE
        ]
        troubles += [
            f"{row.clause} of {row.target}: {row.verdict}: {row.altered or row.reason}"
            for row in rows
            if row not in elsewhere and (row.verdict not in _GOOD or row.altered)
        ]
        return troubles, [f"{row.clause} of {row.target}" for row in elsewhere]

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
        elif any(_not_asked_for(row) for row in self.ledger.rows()):
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


def _every_clause() -> set[str]:
    """The clauses of all contracts of the suite."""
    return {planned.clause.id for concern in CONCERNS for planned in planned_clauses(contract_for(concern))}


def _kind_of(backend: object) -> type[Any]:
    """The class that does the work: behind a bridge of ours it is another one."""
    kind = type(backend)
    inner: type[Any] = (
        getattr(backend, "__stackproof_backend__", kind) if kind.__module__.startswith("stackproof.") else kind
    )
    return inner


def _not_asked_for(row: ClauseResult) -> bool:
    return row.verdict is Verdict.SKIPPED and row.reason == NOT_ASKED_FOR and not row.altered


def _only_clauses(owner: type[Contract[Any]]) -> tuple[frozenset[str], bool]:
    """The clauses that a class is limited to (none: it is not), and whether it was our own harness that did it."""
    base = next(base for base in owner.__mro__ if "only_clauses" in vars(base))
    wanted = frozenset(vars(base)["only_clauses"] or ())
    return wanted, bool(wanted) and base.__module__.startswith("stackproof.")


def _ends(rows: list[ClauseResult]) -> list[str]:
    """One line for all clauses that ended in the same way for the same reason; none for a plain pass."""
    grouped: dict[str, list[str]] = {}
    for row in rows:
        if row.verdict is not Verdict.PASS or row.altered:
            altered = f" [altered: {row.altered}]" if row.altered else ""
            what = f"{row.failure.headline}; seen {row.failure.seen}" if row.failure is not None else row.reason
            grouped.setdefault(f"{row.verdict}: {what}{altered}", []).append(row.clause)
    return [f"  {', '.join(clauses)} {end}" for end, clauses in grouped.items()]
