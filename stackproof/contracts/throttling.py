"""Clauses about servers that answer and refuse: throttling, for every concern with `ping` and `disconnect`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from .callers import Callers
from .clauses import absence, clause
from .evidence import Evidence
from .expectations import ContractViolation, expect
from .faults import TYPED, FaultContract, compare
from .faulty import RECOVERY_SECONDS, Fault, Faulty
from .lifecycle import BOUNDED, L

MOST_REFUSALS = 100
"""How often one operation may come again while it is refused: with pauses that grow, a few are enough."""
BURST = 100
BURST_SECONDS = 3.0
"""The proof that nothing throttles is a burst of so many operations, or as many as fit into this time."""


class ThrottlingContract(FaultContract[L]):
    """What holds while a server refuses work for the moment."""

    @clause(
        "LIFE-16",
        "While the server throttles, every operation ends in bounded time, after bounded retries, with success or a typed "
        "error; nothing acknowledged is lost, and the backend works again when the throttling ends.",
        because="a busy server is the usual kind of trouble: it must neither lose writes, nor be hammered until it is down",
        learnt_from=("L4", "L5"),
        needs="throttles",
        profile="full",
        sees=(
            ("refused requests", 3),
            ("operations under throttling", 2),
            ("writes under throttling", 4),
            ("recoveries", 3),
        ),
        seconds=90.0,
    )
    def test_throttling_ends_in_success_or_a_typed_error(
        self, backend: Any, faulty: Callable[[], Faulty[L]], callers: Callers, evidence: Evidence
    ) -> None:
        hurt = faulty()
        self.exercise(hurt.backend)
        self.watch(backend)
        for fault in (Fault.THROTTLED_ONCE, Fault.THROTTLED):
            for number in range(2):
                self._write_while_throttled(backend, hurt, fault, f"{fault.name.lower()}-{number}", callers, evidence)
        with hurt.suffering(Fault.THROTTLED) as struck:
            for name, operation in {**self.operations(hurt.backend), "ping": hurt.backend.ping}.items():
                before = struck()
                (end,) = callers.each([operation], within=BOUNDED, errors=True)
                if isinstance(end, BaseException) and (name == "ping" or not isinstance(end, TYPED)):
                    raise ContractViolation(
                        f"{name} while the server throttles", "success or a typed error", f"{type(end).__name__}: {end}"
                    )
                _expect_few(struck() - before, name)
                evidence.saw("operations under throttling")
            evidence.saw("refused requests", struck())
        hurt.recovers(lambda: self.exercise(hurt.backend))
        expect(hurt.backend.ping(), "ping when the throttling is over").is_true()
        evidence.saw("recoveries")

    @absence("LIFE-16")
    def prove_that_nothing_throttles(self, backend: Any, faulty: Callable[[], Faulty[L]], evidence: Evidence) -> None:
        self.expect_no_harness_for(Fault.THROTTLED, faulty)
        latest = time.monotonic() + BURST_SECONDS
        for _ in range(BURST):
            self.exercise(backend)
            evidence.saw("absence probes")
            if time.monotonic() > latest:
                break

    def expect_no_harness_for(self, fault: Fault, faulty: Callable[[], Faulty[L]]) -> None:
        """Whoever can make a fault of this kind has a server that knows it, and declares that."""
        if type(self).make_faulty is not FaultContract.make_faulty:
            expect(
                fault in faulty().faults.kinds(), f"whether make_faulty can make the fault {fault.value!r}"
            ).is_false()

    def _write_while_throttled(
        self, backend: Any, hurt: Faulty[L], fault: Fault, mark: str, callers: Callers, evidence: Evidence
    ) -> None:
        with hurt.suffering(fault) as struck:
            (claim,) = callers.each([lambda: self.claim_about(hurt.backend, mark)], within=2 * BOUNDED)
            _expect_few(struck(), "a write")
            evidence.saw("refused requests", struck())
        # What was accepted into a buffer arrives when the throttling is over, at the latest when the backend has recovered.
        applied = self.settled(backend, mark, RECOVERY_SECONDS) if claim is None else self.settled(backend, mark)
        compare(claim, applied, f"a write ({fault.value})")
        evidence.saw("writes under throttling")
        hurt.recovers(lambda: self.exercise(hurt.backend))
        evidence.saw("recoveries")


def _expect_few(refusals: int, what: str) -> None:
    expect(refusals, f"how often {what} came again while the server throttled").at_most(
        MOST_REFUSALS, why="a server that has too much to do gets more of it from everybody who does not pause"
    )
