"""Clauses about a backend and the processes around it: forks, and the end of a program."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from typing import Any, TypeVar

from stackproof.interfaces import Backend, BackendError

from .children import Child, Ended
from .clauses import clause
from .contract import Contract
from .evidence import Evidence
from .expectations import ContractViolation, expect
from .journal import unwrapped

P = TypeVar("P", bound=Backend)

CHILD_SECONDS = 10.0
"""How long a child may take: generous, for it starts threads and connections of its own."""
ROUNDS = 5
_of_the_program: list[object] = []
"""In a child only: what a program keeps in its modules until it is finalised."""


class ProcessClauses(Contract[P]):
    """What holds when a process that has a backend forks, and when it ends."""

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
            _expect_an_end(ended, "a forked child that uses the backend")
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
    def test_a_program_ends(self, namespace: str, elsewhere: Callable[[], Any], evidence: Evidence) -> None:
        elsewhere().disconnect()  # what a factory makes once (a directory, say) belongs to this process, not to the child

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
            _expect_an_end(ended, what)
            expect(ended.said, f"what {what} said before it ended").equals("used")
            evidence.saw("programs that ended")


def _outcome(call: Callable[[], object]) -> str:
    """A typed error is an answer; anything else ends the child with a traceback."""
    try:
        call()
    except ContractViolation:
        raise
    except BackendError as error:
        return type(error).__name__
    return "worked"


def _expect_an_end(ended: Ended, what: str) -> None:
    if not ended.in_time:
        seen = "it hung" + (f"; {ended.complaints[-300:]}" if ended.complaints else "")
        raise ContractViolation(what, f"an end within {CHILD_SECONDS:g} s", seen)
    if ended.status or "Traceback" in ended.complaints or "Fatal Python error" in ended.complaints:
        last = ended.complaints.strip().splitlines()[-1:] or [f"exit code {ended.status}"]
        raise ContractViolation(what, "an end without an error", last[0])
