"""The clause about a log destination that fails for a while: a stream that raises, or a server behind a broken network."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from .callers import Callers
from .clauses import clause
from .evidence import Evidence
from .faulty import RECOVERY_SECONDS, Fault, Faulty
from .log_harness import LogHarness, logger_for
from .log_lifecycle import BOUNDED
from .log_sink import FAILURES, Delivery, token
from .log_throttling import LONGEST_CLOSE, LogThrottlingContract

OUTAGES = (Fault.REFUSED, Fault.BLACK_HOLE, Fault.ANSWERS_LOST)
"""How the network before a server fails: nobody is there, nothing passes, requests are served and nobody hears of it."""


class LogFailureContract(LogThrottlingContract):
    """What a handler does while its destination fails."""

    @clause(
        "LOG-04",
        "The handler survives a destination that fails for a while: nothing is raised, and later records arrive.",
        because="a full disk or a broken pipe is repaired, and then the application must not be mute",
        learnt_from=("L2", "L4"),
        sees=(("failed writes", 3), ("records delivered", 3)),
        seconds=90.0,
    )
    def test_a_failing_destination_is_survived(
        self,
        log: logging.Logger,
        delivery: Delivery,
        faulty: Callable[[], Faulty[Any]],
        namespace: str,
        callers: Callers,
        evidence: Evidence,
    ) -> None:
        log.info("before %s", token())
        delivery.handler.flush()
        if not self.sink.writes and type(self).make_faulty is not LogHarness.make_faulty:
            self._survives_its_network(faulty(), namespace, callers, evidence)
            return
        for failure in FAILURES:
            log.info("before %s", token())
            delivery.handler.flush()
            self.needs_the_sink("its destination cannot be made to fail")
            self.sink.fail_next(2, failure)
            for _ in range(4):
                log.error("while it fails %s", token())
            delivery.handler.flush()
            log.info("afterwards %s", delivery.sends(f"the record after {failure()!r}"))
        evidence.saw("failed writes", self.sink.refused)
        delivery.expect_all()

    def _survives_its_network(self, hurt: Faulty[Any], namespace: str, callers: Callers, evidence: Evidence) -> None:
        """The same for a handler whose destination is a server: the faults are those of the network before it."""
        self._handler, log = hurt.backend, logger_for(hurt.backend)
        structured = bool(self.capabilities.structured)
        delivery = Delivery(hurt.backend, lambda: self.delivered(namespace), structured, evidence, RECOVERY_SECONDS)
        for fault in OUTAGES:
            if fault not in hurt.faults.kinds():
                continue
            log.info("before %s", delivery.sends(f"the record before {fault.value}"))
            delivery.found()
            with hurt.suffering(fault) as struck:
                for _ in range(4):
                    callers.each([partial(log.error, "while it fails %s", token())], within=BOUNDED)
                callers.each([hurt.backend.flush], within=LONGEST_CLOSE)
                evidence.saw("failed writes", struck())
            log.info("afterwards %s", delivery.sends(f"the record after {fault.value}"))
        delivery.expect_all()
