"""Failures again: the script that repeats one alone, the short id that names it, and the answer of a repetition.

A script holds nothing but data and a call of `main`; so whoever reads it sees what is repeated, and it stays true when
the suite grows.
"""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from stackproof.contracts.explain import seen_lines
from stackproof.contracts.verdicts import ClauseResult, Failure, Verdict
from stackproof.exits import Exit
from stackproof.interfaces import ConfigurationError, StackproofError
from stackproof.servers import MissingWheelError, ServerError
from stackproof.targets import parse_target

from .certificate import Certificate, ClauseRecord, from_json
from .provision import provided_servers
from .run import VerifyOptions, silent, verify
from .runs import RUNS, DamagedRecordError, StorageError, find_run, keep, new_run_id
from .worker import WorkerError

SHORT_ID = 4
"""Digits of a short id: enough to tell the failures of a few runs apart; the newest run wins."""


class Answer(StrEnum):
    """What a repetition says about a failure."""

    FIXED = "fixed"
    STILL_FAILING = "still failing"
    CANNOT_RUN = "cannot run"


GENERATED = frozenset({"CACHE-40", "EVENT-40", "STORE-40", "LOG-40", "SEARCH-40"})
"""The clauses that try sequences of operations, which are generated."""
SHRUNK = (
    "The sequences are those of the seed, but a failing one is made smaller for a limited time, in which a slower or busier "
    "machine gets less far; so another key, value or operation may show the same defect."
)

CODES = {Answer.FIXED: Exit.HOLDS, Answer.STILL_FAILING: Exit.BROKEN, Answer.CANNOT_RUN: Exit.ENVIRONMENT}
"""Answer -> exit code of `stackproof replay` and of a script."""


@dataclass(frozen=True, slots=True)
class Again:
    """One clause on one backend, as it failed."""

    target: str
    """As on the command line: ``cache=redis``."""
    clause: str
    seed: int
    profile: str = "core"
    origin: str = "embedded"
    before: str = field(default="", compare=False)
    """What was seen then. No part of what is repeated."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """What came of a repetition."""

    again: Again
    answer: Answer
    sentence: str
    failure: Failure | None = None
    """What was seen, where it still fails."""


def repeat(again: Again) -> Repeated:
    """Run exactly this clause on this backend with this seed, on servers of its own (or the external ones)."""
    try:
        target = parse_target(again.target)
        options = VerifyOptions(profile=again.profile, seed=again.seed, origin=again.origin, clauses=(again.clause,))
        with (
            tempfile.TemporaryDirectory(prefix="stackproof-replay-") as place,
            provided_servers([target], again.origin) as servers,
        ):
            certificate = verify([target], servers, options, Path(place), new_run_id(), silent)
    except (StackproofError, MissingWheelError, ServerError, StorageError, WorkerError, OSError) as error:
        return Repeated(again, Answer.CANNOT_RUN, str(error))
    if certificate.interrupted:
        raise KeyboardInterrupt
    rows = [r.result for r in certificate.clauses if r.result.clause == again.clause]
    if len(rows) != 1:
        return Repeated(again, Answer.CANNOT_RUN, "the suite has no such clause any more")
    return Repeated(again, *_judged(rows[0]), rows[0].failure)


def _judged(result: ClauseResult) -> tuple[Answer, str]:
    """A repetition that ends without a verdict about the rule says nothing, and least of all that it was fixed."""
    if result.failure is not None:
        return Answer.STILL_FAILING, result.failure.headline
    if result.verdict in (Verdict.PASS, Verdict.NOT_SUPPORTED, Verdict.PROVISIONAL) and not result.altered:
        return Answer.FIXED, result.reason or "the rule holds, and its evidence was seen"
    return Answer.CANNOT_RUN, f"{result.verdict}: {result.reason or result.altered}"


def main(again: Again) -> int:
    """What a script does: repeat, say the answer, and end with its code."""
    repeated = repeat(again)
    sys.stdout.write("\n".join([told(repeated), *seen_in(repeated), ""]))
    return CODES[repeated.answer]


def told(repeated: Repeated) -> str:
    """The answer in one line."""
    again = repeated.again
    return f"{again.clause} of {again.target}, seed {again.seed}: {repeated.answer}: {repeated.sentence}"


def seen_in(repeated: Repeated) -> list[str]:
    """What was done, expected and seen, in lines below the answer; nothing where it does not fail any more."""
    if repeated.failure is None:
        return []
    now, before = f"{repeated.failure.headline}; seen {repeated.failure.seen}", repeated.again.before
    lines = seen_lines(repeated.failure)
    if before and before != now:
        lines.append(f"  before:   {before}")
        if repeated.again.clause in GENERATED:
            lines.append(f"  {SHRUNK}")
    return lines


# Failures of a run


def with_scripts(certificate: Certificate, directory: Path) -> tuple[Certificate, list[str]]:
    """Write a script for each failure of a run, and let them, and what could not be decided, say how they are repeated.

    Beside the certificate, a sentence for each script that cannot be written: that failure says the long command only.
    """
    records, troubles = [], []
    for record in certificate.clauses:
        try:
            records.append(_with_script(record, certificate, directory))
        except StorageError as error:
            records.append(record)
            troubles.append(str(error))
    return replace(certificate, clauses=tuple(records)), troubles


def _with_script(record: ClauseRecord, certificate: Certificate, directory: Path) -> ClauseRecord:
    failure = record.result.failure
    if failure is None and not record.result.undecided:
        return record
    again = _again(record.result, certificate)
    known = directory.parent == RUNS  # only there a short id is looked for
    name = short_id(certificate.id, again) if known else shlex.quote(f"{directory}:{again.clause}")
    command = f"stackproof replay {name}"
    if failure is None:
        return replace(record, result=replace(record.result, again=command))
    path = directory / script_name(again)
    keep(path, script(again))
    failure = replace(failure, again=command, alone=f"{_python()} {shlex.quote(str(path))}")
    return replace(record, result=replace(record.result, failure=failure))


def _python() -> str:
    """The interpreter that runs this, by its name where that is found first, so that what it says can be pasted."""
    own = Path(sys.executable)
    for name in ("python", "python3"):
        found = shutil.which(name)
        if found is not None and Path(found).absolute().parent == own.absolute().parent:
            return name
    return shlex.quote(str(own))


def _again(result: ClauseResult, certificate: Certificate) -> Again:
    seen = "" if result.failure is None else f"{result.failure.headline}; seen {result.failure.seen}"
    return Again(result.target, result.clause, certificate.seed, certificate.profile, certificate.origin, seen)


def script_name(again: Again) -> str:
    """A file name for a failure: its target and its clause, without what a shell or a file system could misunderstand."""
    return re.sub(r"[^\w.-]+", "-", f"{again.target}-{again.clause}.py", flags=re.ASCII)


def script(again: Again) -> str:
    """The source of the script that repeats one failure."""
    fields = "".join(
        f"    {name}={getattr(again, name)!a},\n" for name in ("target", "clause", "seed", "profile", "origin")
    )
    return f'''"""Repeats one clause on one backend, alone.

Run it where the verification ran. It ends with 0 when the clause holds now, 1 when it still fails, 4 when it cannot run.
"""

import sys

from stackproof.verification.replay import Again, main

AGAIN = Again(
{fields})

if __name__ == "__main__":
    sys.exit(main(AGAIN))
'''


def short_id(run_id: str, again: Again) -> str:
    """A few digits that name a failure of a run."""
    return hashlib.sha256(f"{run_id}\0{again.target}\0{again.clause}".encode(errors="backslashreplace")).hexdigest()[
        :SHORT_ID
    ]


def find_failures(name: str) -> list[Again]:
    """The failures that ``RUN``, ``RUN:CLAUSE`` or a short id names; `ConfigurationError` where there is none."""
    for run, clause in _readings(name):
        try:
            directory = find_run(run)
        except ConfigurationError:
            continue
        return _chosen(_failures(directory / "certificate.json"), clause, name)
    unreadable = []
    if re.fullmatch(rf"[0-9a-f]{{{SHORT_ID}}}", name):
        for path in sorted(RUNS.glob("*/certificate.json"), key=lambda p: p.parent.name, reverse=True):
            try:
                failures = _failures(path)
            except (ConfigurationError, DamagedRecordError):
                # Of another run, perhaps: it is named only where nothing is found.
                unreadable.append(str(path))
                continue
            found = [again for run_id, again in failures if short_id(run_id, again) == name]
            if found:
                return found
    beside = f"; not readable: {', '.join(unreadable)}" if unreadable else ""
    raise ConfigurationError(f"there is no run and no failure {name!r}; runs are kept in {RUNS}{beside}")


def _readings(name: str) -> Iterator[tuple[str, str]]:
    """A path may hold a colon itself: the whole name first, then as a run and a clause."""
    yield name, ""
    run, colon, clause = name.rpartition(":")
    if colon and run:
        yield run, clause.strip().upper()


def _failures(path: Path) -> list[tuple[str, Again]]:
    """(run id, failure) of a certificate; `ConfigurationError` without a file, `DamagedRecordError` where it is none."""
    try:
        certificate = from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedRecordError(f"{path} cannot be read: {error}") from error
    rows = [r.result for r in certificate.clauses if r.result.failure is not None or r.result.undecided]
    return [(certificate.id, _again(row, certificate)) for row in rows]


def _chosen(failures: Iterable[tuple[str, Again]], clause: str, name: str) -> list[Again]:
    found = [again for _, again in failures if clause in ("", again.clause)]
    if not found:
        raise ConfigurationError(
            f"no clause failed or was left undecided in {name!r}"
            if not clause
            else f"{name!r} names no clause that failed or was left undecided"
        )
    return found
