"""The lifecycle of a handler: `flush` and `close` in place of the `ping` and `disconnect` of the other concerns."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable
from typing import Any

import psutil

from .callers import Callers
from .clauses import clause
from .evidence import Evidence
from .expectations import eventually, expect
from .log_harness import logger_for
from .log_processes import LogProcessClauses
from .log_sink import Delivery, token

BOUNDED = 5.0
"""Seconds in which a call to the logger must return, whatever happens to the record."""


class LogLifecycleContract(LogProcessClauses):
    """What holds from the making of a handler to its end. LIFE-05 and LIFE-08 are about `ping` and have no meaning here."""

    @clause(
        "LIFE-01",
        "Closing again is a no-op, also when several threads close at once, and so is flushing what is closed.",
        because="the application closes its handlers, and logging.shutdown at exit flushes and closes them all once more",
        sees=(("repeated closes", 2), ("closes at once", 4)),
    )
    def test_closing_again_is_a_no_op(
        self, handler: Any, log: logging.Logger, another: Callable[[], Any], callers: Callers, evidence: Evidence
    ) -> None:
        log.info("before %s", token())
        handler.close()
        for _ in range(2):
            handler.flush()
            handler.close()
            evidence.saw("repeated closes")
        instance = another()
        logger_for(instance).info("before %s", token())
        evidence.saw("closes at once", len(callers.all_at_once(4, instance.close, within=BOUNDED)))

    @clause(
        "LIFE-02",
        "A record that comes after close raises nothing and hangs nobody.",
        because="threads and exit hooks still log while a process shuts down, and must not break or block it",
        learnt_from=("X1",),
        sees=("records after close", 3),
    )
    def test_a_record_after_close_is_harmless(
        self, handler: Any, log: logging.Logger, callers: Callers, evidence: Evidence
    ) -> None:
        log.info("before %s", token())
        handler.close()

        def late() -> None:
            for _ in range(3):
                log.error("after close %s", token())
                evidence.saw("records after close")

        callers.all_at_once(1, late, within=BOUNDED)

    @clause(
        "LIFE-03",
        "Close gives back every thread, socket and file.",
        because="handlers are made anew whenever logging is reconfigured, and a process must not run out of descriptors by that",
        learnt_from=("X2", "X4"),
        sees=("handlers opened and closed", 3),
    )
    def test_close_leaks_nothing(self, log: logging.Logger, elsewhere: Callable[[], Any], evidence: Evidence) -> None:
        log.info("what is made once and kept is made now %s", token())
        before = _held()
        for _ in range(3):
            instance = elsewhere()
            logger_for(instance).info("opened %s", token())
            instance.close()
            evidence.saw("handlers opened and closed")
        # Counts only go up by a leak; that they are momentarily lower (a thread of before ended) is no finding.
        eventually(
            lambda: all(_held()[kind] <= number for kind, number in before.items()),
            "threads and descriptors of three closed handlers are given back",
            within=3.0,
        )

    @clause(
        "LIFE-04",
        "Records that are logged by other threads while the handler is closed return in bounded time, without an error.",
        because="a deployment ends while requests are in flight, and one that hangs in a log call is killed",
        learnt_from=("E20",),
        sees=(("records logged during the close", 4), ("callers that ended", 4)),
    )
    def test_closing_under_load_hangs_nobody(
        self, handler: Any, log: logging.Logger, callers: Callers, evidence: Evidence
    ) -> None:
        busy, closed = threading.Event(), threading.Event()

        def work() -> str:
            try:
                while not closed.is_set():
                    log.info("in flight %s", token())
                    busy.set()
            finally:
                busy.set()  # one that failed is told at once: nobody is to wait for it
            log.info("after close %s", token())
            evidence.saw("records logged during the close")
            return "ended"

        def stop() -> str:
            busy.wait(BOUNDED)
            try:
                handler.close()
            finally:
                closed.set()
            return "closed"

        ends = callers.each([work, work, work, work, stop], within=2 * BOUNDED)
        evidence.saw("callers that ended", ends.count("ended"))
        expect(ends[-1], "closing under load").equals("closed")

    @clause(
        "LIFE-06",
        "A call that is interrupted leaves the handler usable for all threads.",
        because="Ctrl-C or a timeout in the middle of a record must not keep the handler's lock for ever",
        learnt_from=("C27",),
        sees=(("interrupted calls", 1), ("records delivered", 2)),
    )
    def test_an_interrupted_call_leaves_the_handler_usable(
        self, log: logging.Logger, delivery: Delivery, callers: Callers, evidence: Evidence
    ) -> None:
        caller = threading.get_ident()

        def interrupt() -> None:
            # As a signal handler does it, and only in the thread that logs: no other thread gets signals.
            if threading.get_ident() == caller:
                evidence.saw("interrupted calls")
                raise _Interruption

        class Interrupting:
            def __str__(self) -> str:
                interrupt()
                return "logged by another thread"

        def log_interrupted(*arguments: object) -> None:
            try:
                log.info("interrupted %s", *arguments)
            except _Interruption:
                return

        def works_afterwards(what: str) -> None:
            word = delivery.sends(what)
            callers.all_at_once(1, lambda: log.info("afterwards %s", word), within=BOUNDED)

        log_interrupted(Interrupting())
        works_afterwards("the record after one that was interrupted while it was formatted")
        self.sink.on_write = interrupt
        log_interrupted(token())
        self.sink.on_write = None
        works_afterwards("the record after one that was interrupted while it was written")
        delivery.expect_all()

    @clause(
        "LIFE-07",
        "Closing one handler does not disturb another of the same destination.",
        because="two parts of a process log to the same place; one of them is reconfigured while the other works",
        sees=(("handlers closed", 1), ("records delivered", 1)),
    )
    def test_handlers_close_independently(
        self, log: logging.Logger, delivery: Delivery, another: Callable[[], Any], evidence: Evidence
    ) -> None:
        sibling = another()
        logger_for(sibling).info("from the sibling %s", token())
        sibling.close()
        evidence.saw("handlers closed")
        log.info("from the one that was left alone %s", delivery.sends("a record after the sibling was closed"))
        delivery.expect_all()


class _Interruption(BaseException):
    """What a signal handler would raise."""


def _held() -> dict[str, int]:
    """How much this process holds of what a handler may leak."""
    gc.collect()
    return {"threads": threading.active_count(), "descriptors": psutil.Process().num_fds()}
