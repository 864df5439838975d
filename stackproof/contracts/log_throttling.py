"""The clause about a log destination that refuses records for the moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from .callers import Callers
from .case import Case
from .clauses import absence, clause
from .evidence import Evidence
from .expectations import ContractViolation, expect
from .faulty import Fault, Faulty, behind_faults
from .log_harness import LogHarness, logger_for
from .log_lifecycle import LogLifecycleContract
from .log_sink import Delivery, token

BURST = 500
BURST_SECONDS = 3.0
"""The proof that nothing throttles is a burst of so many records, or as many as fit into this time."""
FEW, MANY = 30, 300
LONGEST_CALL = 5.0
"""Seconds that a call to the logger may take while the destination throttles."""
LONGEST_CLOSE = 30.0
"""Seconds in which a handler must be closed that still has records which nobody takes."""


class LogThrottlingContract(LogLifecycleContract):
    """What a handler does while its destination throttles."""

    @pytest.fixture
    def faulty(self, case: Case, namespace: str) -> Iterator[Callable[[], Faulty[Any]]]:
        """Makes the handler behind faults, for the destination of the same name."""
        yield from behind_faults(self, case, namespace)

    @clause(
        "LOG-03",
        "What a destination refuses for the moment is sent again; what is given up is counted in `dropped`, and nothing is "
        "raised into the application.",
        because="a service throttles whoever logs most, which is the application in trouble: those are the records that count",
        learnt_from=("L5", "L6"),
        needs="throttles",
        profile="full",
        sees=(("refused requests", 2), ("records that survived a refusal", FEW), ("records accounted for", FEW)),
        seconds=120.0,
    )
    def test_what_is_throttled_is_sent_again_or_counted(
        self, handler: Any, faulty: Callable[[], Faulty[Any]], namespace: str, callers: Callers, evidence: Evidence
    ) -> None:
        hurt = faulty()
        once, log = self._delivery(hurt, namespace, evidence), logger_for(hurt.backend)
        with hurt.suffering(Fault.THROTTLED_ONCE) as struck:
            for number in range(FEW):
                log.warning(
                    "refused once %s", once.sends(f"record {number}, of which the first batch was refused once")
                )
            once.found()  # flushes, and waits
            evidence.saw("refused requests", struck())
        once.expect_all()
        expect(_dropped(hurt.backend), "dropped, after a single refusal").equals(0)
        evidence.saw("records that survived a refusal", len(once.sent))
        self._log_into_a_wall(hurt, namespace, callers, evidence)

    @absence("LOG-03")
    def prove_that_the_destination_takes_everything(
        self, handler: Any, faulty: Callable[[], Faulty[Any]], namespace: str, evidence: Evidence
    ) -> None:
        if type(self).make_faulty is not LogHarness.make_faulty:
            kinds = faulty().faults.kinds()
            expect(
                Fault.THROTTLED in kinds, f"whether make_faulty can make the fault {Fault.THROTTLED.value!r}"
            ).is_false()
        delivery = Delivery(handler, lambda: self.delivered(namespace), False, evidence, self.delivery_seconds)
        log, before, latest = logger_for(handler), _dropped(handler), time.monotonic() + BURST_SECONDS
        for number in range(BURST):
            log.warning("burst %s", delivery.sends(f"record {number} of a burst"))
            if time.monotonic() > latest:
                break
        delivery.expect_all()
        expect(_dropped(handler) - before, "records of a burst that were dropped").equals(0)
        evidence.saw("absence probes", len(delivery.sent))

    def _delivery(self, hurt: Faulty[Any], namespace: str, evidence: Evidence) -> Delivery:
        self._handler = hurt.backend
        structured = bool(self.capabilities.structured)
        return Delivery(hurt.backend, lambda: self.delivered(namespace), structured, evidence, self.delivery_seconds)

    def _log_into_a_wall(self, hurt: Faulty[Any], namespace: str, callers: Callers, evidence: Evidence) -> None:
        """Throttling that lasts: more records than anybody should keep, and then the handler is closed."""
        log, before = logger_for(hurt.backend), _dropped(hurt.backend)
        delivery, words = self._delivery(hurt, namespace, evidence), list[str]()

        def log_all() -> None:
            latest = time.monotonic() + BURST_SECONDS
            while len(words) < (MANY if time.monotonic() < latest else FEW):
                words.append(token())
                word, began = words[-1], time.monotonic()
                _must_not_raise("a record", partial(log.error, "throttled %s", word))
                expect(time.monotonic() - began, "seconds that a call to the logger took").at_most(LONGEST_CALL)

        with hurt.suffering(Fault.THROTTLED) as struck:
            callers.each([log_all], within=LONGEST_CLOSE)
            callers.each([lambda: _must_not_raise("flush", hurt.backend.flush)], within=LONGEST_CLOSE)
            callers.each([lambda: _must_not_raise("close", hurt.backend.close)], within=LONGEST_CLOSE)
            evidence.saw("refused requests", struck())
        dropped, latest = _dropped(hurt.backend) - before, time.monotonic() + self.delivery_seconds
        while (arrived := _number_of(words, delivery)) + dropped < len(words) and time.monotonic() < latest:
            time.sleep(0.02)
        expect(arrived + dropped, f"records that arrived ({arrived}) plus records dropped").equals(len(words))
        evidence.saw("records accounted for", arrived + dropped)


def _number_of(words: list[str], delivery: Delivery) -> int:
    found = delivery.found({})
    return sum(bool(found[word]) for word in words)


def _dropped(handler: Any) -> int:
    """How many records a handler says that it gave up; none where it does not count them."""
    return int(getattr(handler, "dropped", 0))


def _must_not_raise(what: str, call: Callable[[], object]) -> None:
    try:
        call()
    except Exception as error:
        seen = f"{type(error).__name__}: {error}"
        raise ContractViolation(
            f"{what} while the destination throttles", "no error in the application", seen
        ) from error
