"""Clauses about faults between a backend and its server, for every concern with `ping` and `disconnect`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stackproof.interfaces import BackendError, IndeterminateError, OperationTimeoutError, UnavailableError

from .callers import Callers
from .case import Case
from .clauses import absence, clause
from .evidence import Evidence
from .expectations import ContractViolation, expect, expect_error
from .faulty import MAKE_FAULTY_HINT, Fault, Faulty, behind_faults
from .lifecycle import BOUNDED, L, LifecycleContract

TYPED = (UnavailableError, OperationTimeoutError, IndeterminateError)
"""What an operation may raise while its server cannot be reached or does not answer."""
SETTLING = 1.5
"""Seconds in which a write that was under way is applied, if it ever is."""


class FaultContract(LifecycleContract[L]):
    """What holds while the network between a backend and its server is broken, and afterwards."""

    def make_faulty(self, namespace: str) -> Faulty[L]:
        """An instance with short time limits (`faulty.LONGEST_TIMEOUT`), and switches for faults between it and its server.

        Needed where ``remote`` is declared. A TCP proxy in front of the server does it for most backends.
        Where ``throttles``, ``partial_batches`` or ``paged_reads`` is declared, it takes one that speaks the server's own words.
        """
        pytest.skip(MAKE_FAULTY_HINT)

    def marked_write(self, backend: Any, mark: str) -> None:
        """One write, the smallest that the interface has, which `was_applied` recognises."""
        raise TypeError(f"{type(self).__name__} does not say what a write is")

    def watch(self, backend: Any) -> None:
        """Called before the writes, with an instance that has no faults: for what can only be seen as it happens."""

    def times_applied(self, backend: Any, mark: str) -> int:
        """How often the write has been applied, seen through an instance that has no faults."""
        raise TypeError(f"{type(self).__name__} does not say how a write is read back")

    @pytest.fixture
    def faulty(self, case: Case, namespace: str) -> Iterator[Callable[[], Faulty[L]]]:
        """Makes the instance behind faults, of the same namespace as ``backend``."""
        yield from behind_faults(self, case, namespace)

    @clause(
        "LIFE-09",
        "While the server is a black hole, every operation ends in bounded time with a typed error, and ping is false.",
        because="a firewall that drops packets sends no error: without a time limit of its own every caller hangs with it",
        learnt_from=("E14", "S17"),
        needs="remote",
        profile="full",
        sees=(("faults that struck", 2), ("typed errors", 2), ("false answers", 1)),
        seconds=60.0,
    )
    def test_a_black_hole_is_an_error_in_bounded_time(
        self, backend: Any, faulty: Callable[[], Faulty[L]], callers: Callers, evidence: Evidence
    ) -> None:
        lost = faulty()
        self.exercise(lost.backend)
        with lost.suffering(Fault.BLACK_HOLE) as struck:
            for name, operation in self.operations(lost.backend).items():
                with expect_error(TYPED, f"{name} while nothing passes", within=BOUNDED):
                    callers.each([operation], within=BOUNDED)
                evidence.saw("typed errors")
            answers = callers.each([lost.backend.ping], within=BOUNDED)
            expect(answers[0], "ping while nothing passes").is_false()
            evidence.saw("false answers")
            evidence.saw("faults that struck", struck())

    @absence("LIFE-09")
    def prove_no_black_hole(self, backend: Any, evidence: Evidence) -> None:
        self.prove_that_there_is_no_server(backend, evidence)

    @clause(
        "LIFE-10",
        "When a fault is over, the same instance works again within ten seconds.",
        because="an outage of a second must not become one that lasts until somebody restarts the application",
        learnt_from=("E13",),
        needs="remote",
        profile="full",
        sees=(("faults that struck", 3), ("recoveries", 3)),
        seconds=60.0,
    )
    def test_the_same_instance_recovers(
        self, backend: Any, faulty: Callable[[], Faulty[L]], callers: Callers, evidence: Evidence
    ) -> None:
        hurt = faulty()
        self.exercise(hurt.backend)
        for fault in (Fault.REFUSED, Fault.BLACK_HOLE, Fault.ANSWERS_LOST):
            with hurt.suffering(fault) as struck:
                callers.all_at_once(3, lambda: self.exercise(hurt.backend), within=BOUNDED, errors=True)
                evidence.saw("faults that struck", min(1, struck()))
            hurt.recovers(lambda: self.exercise(hurt.backend))
            expect(hurt.backend.ping(), f"ping after {fault.value}").is_true()
            evidence.saw("recoveries")

    @absence("LIFE-10")
    def prove_nothing_to_recover_from(self, backend: Any, evidence: Evidence) -> None:
        self.prove_that_there_is_no_server(backend, evidence)

    @clause(
        "LIFE-11",
        "A write whose answer is lost is indeterminate: an error never says that nothing was applied when it was, "
        "and one call never applies it twice.",
        because="who is told that nothing was applied repeats the order, and it is booked twice",
        learnt_from=("I25", "I26"),
        needs="remote",
        profile="full",
        sees=(("answers lost", 2), ("writes that were applied without an answer", 1)),
        seconds=60.0,
    )
    def test_a_write_without_an_answer_is_indeterminate(
        self, backend: Any, faulty: Callable[[], Faulty[L]], evidence: Evidence
    ) -> None:
        hurt = faulty()
        self.watch(backend)
        for fault in (Fault.ANSWER_CUT, Fault.ANSWERS_LOST):
            for spared in range(3):  # the last answer of a write may be the second or third one
                hurt.recovers(lambda: self.exercise(hurt.backend))
                mark = f"{fault.name.lower()}-{spared}"
                with hurt.suffering(fault, spared) as struck:
                    claim = self.claim_about(hurt.backend, mark)
                    lost = struck()
                applied = self.settled(backend, mark)
                compare(claim, applied, f"a write ({fault.value}, {spared} answers spared)")
                evidence.saw("answers lost", lost)
                evidence.saw("writes that were applied without an answer", min(applied, lost))

    @absence("LIFE-11")
    def prove_no_answer_can_be_lost(self, backend: Any, evidence: Evidence) -> None:
        self.prove_that_there_is_no_server(backend, evidence)

    def claim_about(self, backend: Any, mark: str) -> BaseException | None:
        """What the backend says about a write: None means that it was applied."""
        began = time.monotonic()
        try:
            self.marked_write(backend, mark)
        except BackendError as error:
            expect(time.monotonic() - began, "seconds until the error came").at_most(BOUNDED)
            return error
        return None

    def settled(self, backend: Any, mark: str, within: float = SETTLING) -> int:
        """How often a write was applied, seen around the fault; one that is under way gets its time."""
        deadline = time.monotonic() + within
        while not (times := self.times_applied(backend, mark)) and time.monotonic() < deadline:
            time.sleep(0.05)
        return times


def compare(claim: BaseException | None, applied: int, what: str) -> None:
    """What a backend said about a write, against what became of it."""
    said = "applied" if claim is None else f"{type(claim).__name__}: {claim}"
    if applied > 1:
        raise ContractViolation(what, "to be applied at most once", f"it was applied {applied} times; it said {said}")
    if claim is None and not applied:
        raise ContractViolation(what, "to be applied, as no error came", "it was not applied")
    if applied and isinstance(claim, UnavailableError | OperationTimeoutError):
        raise ContractViolation(
            what, "IndeterminateError, as it was applied", said, "this error says that nothing was applied"
        )
    if claim is not None and not isinstance(claim, TYPED):
        raise ContractViolation(what, "IndeterminateError, or one that says that nothing was applied", said)
