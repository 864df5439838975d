"""From how a clause's body ended to its verdict. Pure."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from stackproof.interfaces import BackendError, RejectedError

from .case import Case
from .clauses import ABSENCE_EVIDENCE
from .expectations import ContractViolation, visible
from .refusals import told_limits
from .timelimit import OutOfTime
from .verdicts import ClauseResult, Failure, Verdict

_HERE = Path(__file__).parent

OUTCOMES = (pytest.skip.Exception, pytest.fail.Exception, pytest.exit.Exception)
"""What `pytest.skip`, `fail`, `xfail` and `exit` raise: the clauses' words, and no backend's."""


class RaisedByBackend(Exception):  # noqa: N818 - carries another error
    """One of the `OUTCOMES` is the cause of this. It was raised by a backend, so it is an error like any other."""


def judge(case: Case, error: BaseException | None) -> tuple[Verdict, str, Failure | None]:
    """The verdict, its reason in one sentence, and for a broken rule the explanation."""
    verdict, reason, failure = _ended(case) if error is None else _raised(case, error)
    if case.clause.provisional and verdict in (Verdict.PASS, Verdict.FAIL):
        return Verdict.PROVISIONAL, f"new in {case.clause.since}; would be {verdict}. {reason}".strip(), failure
    return verdict, reason, failure


def _ended(case: Case) -> tuple[Verdict, str, Failure | None]:
    required = ((ABSENCE_EVIDENCE, 1),) if case.absent else case.clause.sees
    missing = case.evidence.missing(required)
    if missing:
        return Verdict.INCONCLUSIVE, "too little evidence: " + "; ".join(missing), None
    if case.absent:
        seen = ", and was proven absent" if case.absence_visible else "; whether it is absent cannot be seen"
        return Verdict.NOT_SUPPORTED, f"{case.clause.needs} is not declared{seen}", None
    return Verdict.PASS, "", None


def _raised(case: Case, error: BaseException) -> tuple[Verdict, str, Failure | None]:
    if isinstance(error, RaisedByBackend) and error.__cause__ is not None:
        error = error.__cause__
    elif isinstance(error, pytest.skip.Exception):
        return Verdict.SKIPPED, str(error.msg), None
    if isinstance(error, OutOfTime):
        last = case.journal.lines(1)
        return Verdict.INCONCLUSIVE, f"{error}" + (f"; the last call that ended: {last[0]}" if last else ""), None
    if isinstance(error, ContractViolation):
        headline = f"{error.what}: expected {error.expected}"
        if case.absent:
            headline = f"{case.clause.needs} is not declared, and was not shown to be absent: {error.what}"
            why = f"what a backend has, it declares: then it is verified. Declare {case.clause.needs}, or see why it looks so"
            reason = f"{headline}: expected {error.expected}, seen {error.seen}; {why}"
            return Verdict.FAIL, reason, Failure(headline, case.journal.lines(), error.expected, error.seen)
        failure = Failure(headline, case.journal.lines(), error.expected, error.seen)
        return Verdict.FAIL, str(error), failure  # why the rule matters stands beside it
    if case.journal.came_from_backend(error):
        return _raised_by_backend(case, error)
    if case.journal.came_from_making(error):
        return Verdict.INCONCLUSIVE, f"making the backend raised {type(error).__name__}: {error}", None
    if isinstance(error, BackendError):  # who else raises these; by a way past the journal
        return _raised_by_backend(case, error)
    return Verdict.INCONCLUSIVE, f"the clause itself crashed: {type(error).__name__}: {error} ({_place(error)})", None


def _raised_by_backend(case: Case, error: BaseException) -> tuple[Verdict, str, Failure]:
    named, call = visible(f"{type(error).__name__}: {error}"), case.journal.call_of(error)
    limits = told_limits(call, case.declared, case.own) if isinstance(error, RejectedError) else ""
    headline = f"{call.name} raised {named}" if call is not None else f"raised {named}"
    failure = Failure(headline, case.journal.lines(), "no error", f"{named} ({limits})" if limits else named)
    return Verdict.FAIL, f"{headline}: expected no error" + (f"; {limits}" if limits else ""), failure


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "no traceback"
    ours = [frame for frame in frames if Path(frame.filename).parent == _HERE] or frames
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"


def not_executed(clause_id: str, concern: str, target: str, reason: str, altered: str = "") -> ClauseResult:
    """The result of a planned clause that never ran."""
    return ClauseResult(clause_id, concern, target, Verdict.SKIPPED, reason, altered=altered)
