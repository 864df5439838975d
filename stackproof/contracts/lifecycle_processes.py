"""Clauses about a backend and the processes around it: forks, and the end of a program."""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from stackproof.interfaces import Backend, BackendError

from .children import Child, Ended
from .clauses import clause
from .evidence import Evidence
from .expectations import ContractViolation, expect, shown
from .journal import unwrapped
from .lifecycle_memory import MemoryClauses
from .sigterm import CALLERS, ENOUGH, Report, work_until_sigterm
from .timelimit import waiting

P = TypeVar("P", bound=Backend)

CHILD_SECONDS = 10.0
"""How long a child may take: generous, for it starts threads and connections of its own."""
ROUNDS = 5
_of_the_program: list[object] = []
"""In a child only: what a program keeps in its modules until it is finalised."""
MARGIN_SECONDS = 5.0
"""What a loaded machine may need, beyond what is declared, until another process sees a write."""

Found = Callable[[Iterable[int]], set[int]]
"""Which writes of these numbers are there."""


class ProcessClauses(MemoryClauses[P]):
    """What holds when a process that has a backend forks, and when it ends."""

    def write_number(self, backend: Any, number: int) -> None:
        """One write that is recognised by its number, in a namespace that has no others."""
        raise TypeError(f"{type(self).__name__} does not say how a number is written")

    def numbers_written(self, reader: Any) -> Found:
        """Begin to watch for what `write_number` writes from now on, through whichever instance of this namespace."""
        raise TypeError(f"{type(self).__name__} does not say how numbers are found")

    @clause(
        "LIFE-12",
        "A forked child can use the backend or gets a typed error, and what it does does not disturb the parent.",
        because="servers fork their workers after the application was loaded; two processes on one connection read each"
        " other's answers",
        learnt_from=("X4",),
        profile="full",
        sees=(("children that used the backend", 2), ("operations of the parent beside a child", 2 * ROUNDS)),
        seconds=60.0,
    )
    def test_a_fork_does_not_disturb_the_parent(self, backend: Any, evidence: Evidence) -> None:
        self.exercise(backend)
        inherited = unwrapped(backend)

        def use() -> str:
            return " ".join(_outcome(lambda: self.exercise(inherited)) for _ in range(ROUNDS))

        def use_and_disconnect() -> str:
            said = use()
            return f"{said} {_outcome(inherited.disconnect)}"

        for work in (use, use_and_disconnect):
            child = Child(work)
            try:
                for _ in range(ROUNDS):
                    self.exercise(backend)
                    evidence.saw("operations of the parent beside a child")
            finally:
                ended = child.end(CHILD_SECONDS)
            expect_an_end(ended, "a forked child that uses the backend")
            evidence.saw("children that used the backend", int(bool(ended.said)))
            self.exercise(backend)
            expect(backend.ping(), "ping of the parent after its child ended").is_true()

    @clause(
        "LIFE-13",
        "A program that used the backend ends in bounded time and without a traceback, with a disconnect at its exit or without.",
        because="a script that hangs at its end, or ends with a page of errors, is taken for one that failed",
        learnt_from=("X2", "E20"),
        profile="full",
        sees=("programs that ended", 2),
        seconds=60.0,
    )
    def test_a_program_ends(self, namespace: str, another: Callable[[], Any], evidence: Evidence) -> None:
        # What a factory makes once (a directory, say) belongs to this process, not to the child. So does the clean-up: the
        # namespace is taken away in the end because an instance of it was opened here.
        another().disconnect()

        def program(closes: bool) -> str:
            backend = unwrapped(self.make_backend(namespace))
            _of_the_program.append(backend)
            if closes:
                atexit.register(backend.disconnect)
            self.exercise(backend)
            return "used"

        for closes in (False, True):
            ended = Child(lambda closes=closes: program(closes), whole_end=True).end(CHILD_SECONDS)  # type: ignore[misc]
            what = f"a program that {'disconnects at its exit' if closes else 'ends without disconnecting'}"
            expect_an_end(ended, what)
            expect(ended.said, f"what {what} said before it ended").equals("used")
            evidence.saw("programs that ended")

    @clause(
        "LIFE-14",
        "A program that gets SIGTERM in the middle of its work, and disconnects, ends in bounded time and without a traceback;"
        " what was acknowledged by then is seen by another process.",
        because="every deployment ends programs so; one that hangs is killed, and what was acknowledged must not be lost with it",
        learnt_from=("E18", "X2"),
        profile="full",
        sees=(("writes acknowledged before the signal", ENOUGH), ("callers at work when the signal came", CALLERS)),
        seconds=60.0,
    )
    def test_sigterm_in_the_middle_of_the_work(self, backend: Any, namespace: str, evidence: Evidence) -> None:
        self.exercise(backend)  # what a factory makes once belongs to this process, not to the child
        # A backend inside a process has nothing that another one could see: then only the end is judged.
        found = self.numbers_written(backend) if self._outlives_a_process() else None

        def program() -> str:
            working = unwrapped(self.make_backend(namespace))
            _of_the_program.append(working)
            return work_until_sigterm(lambda number: self.write_number(working, number), working.disconnect).to_text()

        ended = Child(program, whole_end=True).end(CHILD_SECONDS + MARGIN_SECONDS)
        expect_an_end(ended, "a program that disconnects at SIGTERM, in the middle of its work")
        report = Report.of(ended.said)
        evidence.saw("writes acknowledged before the signal", report.before_signal)
        evidence.saw("callers at work when the signal came", report.at_work)
        if found is not None:
            self._expect_to_be_there(report.acknowledged, found)
            evidence.saw("acknowledged writes that another process saw", len(report.acknowledged))

    def _outlives_a_process(self) -> bool:
        """Whether another process sees what this one wrote: as declared."""
        declared = self.capabilities
        seen_by_others = getattr(declared, "durable", False) or getattr(declared, "shared", False)
        return bool(declared.remote and seen_by_others)

    def _expect_to_be_there(self, numbers: Iterable[int], found: Found) -> None:
        declared = self.capabilities
        promised = getattr(declared, "visible_within", 0.0) + getattr(declared, "delivery_seconds", 0.0)
        missing = set(numbers)
        wanted = len(missing)
        deadline = time.monotonic() + promised + MARGIN_SECONDS
        with waiting(promised + MARGIN_SECONDS):
            while missing and time.monotonic() < deadline:
                missing -= found(missing)
                if missing:
                    time.sleep(0.02)
        if missing:
            what = "acknowledged writes of a program that disconnected at SIGTERM, as another process sees them"
            raise ContractViolation(what, f"all {wanted}", f"{len(missing)} are gone: {shown(sorted(missing))}")


def _outcome(call: Callable[[], object]) -> str:
    """A typed error is an answer; anything else ends the child with a traceback."""
    try:
        call()
    except ContractViolation:
        raise
    except BackendError as error:
        return type(error).__name__
    return "worked"


def expect_an_end(ended: Ended, what: str) -> None:
    if not ended.in_time:
        seen = "it hung" + (f"; {ended.complaints[-300:]}" if ended.complaints else "")
        raise ContractViolation(what, f"an end within {CHILD_SECONDS:g} s", seen)
    if ended.status or "Traceback" in ended.complaints or "Fatal Python error" in ended.complaints:
        last = ended.complaints.strip().splitlines()[-1:] or [f"exit code {ended.status}"]
        raise ContractViolation(what, "an end without an error", last[0])
