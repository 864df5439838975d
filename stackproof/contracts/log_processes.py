"""Clauses about a log handler and the processes around it: forks, the end of a program, and an end in the middle of the work."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .children import Child, say
from .clauses import clause
from .evidence import Evidence
from .expectations import ContractViolation, expect, shown
from .journal import unwrapped
from .lifecycle_memory import MemoryClauses
from .lifecycle_processes import CHILD_SECONDS, MARGIN_SECONDS, expect_an_end
from .log_harness import LogHarness, logger_for
from .log_sink import Delivery, token
from .sigterm import CALLERS, ENOUGH, Report, work_until_sigterm

INSIDE_SECONDS = 2.0
"""How long a record may take until it is formatted, or written, so that a fork can be made just then."""
RECORDS = 10
_BLIND = "could not look: "
_of_the_program: list[object] = []
"""In a child only: what a program keeps in its modules until it is finalised."""


@dataclass(slots=True)
class _Halt:
    """Holds the thread that comes by, where it is, until it is told to go on; a child that comes by goes on."""

    process: int = field(default_factory=os.getpid)
    inside: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> None:
        if os.getpid() == self.process and not self.inside.is_set():
            self.inside.set()
            self.go_on.wait(CHILD_SECONDS)


@dataclass(frozen=True, slots=True)
class _Halting:
    """An argument of a record that halts the thread which formats it."""

    halt: _Halt

    def __str__(self) -> str:
        self.halt()
        return "halted"


class LogProcessClauses(LogHarness, MemoryClauses[logging.Handler]):
    """What holds when a process that logs forks, and when it ends."""

    @clause(
        "LIFE-12",
        "A forked child can log, also when another thread of its parent was in the middle of a record: it does not hang, its"
        " records arrive, and those of the parent arrive once.",
        because="servers fork their workers after the application was loaded; a worker that waits for a lock which nobody will"
        " give back, or that is mute, is noticed when its log is needed",
        learnt_from=("X4",),
        profile="full",
        sees=(
            ("children that logged", 3),
            ("records of children that arrived", 9),
            ("forks in the middle of a record", 1),
            ("records delivered", 18),
        ),
        seconds=120.0,
    )
    def test_a_forked_child_can_log(
        self, handler: Any, log: logging.Logger, delivery: Delivery, namespace: str, evidence: Evidence
    ) -> None:
        for what, halts_in_the_sink, closes in (
            ("formatted", False, False),
            ("written", True, False),
            ("formatted", False, True),
        ):
            log.info("%s", delivery.sends("a record before a fork"))
            words = [token() for _ in range(3)]

            def use(words: list[str] = words, closes: bool = closes) -> str:
                inherited = unwrapped(handler)
                own_log = logger_for(inherited)
                for word in words:
                    own_log.info("from a child %s", word)
                inherited.flush()
                if closes:
                    inherited.close()
                return self._look(namespace, words)

            halt = _Halt()
            halted = self._log_and_halt(log, delivery, halt, halts_in_the_sink)
            child = Child(use)
            try:
                halt.go_on.set()
                halted.join(CHILD_SECONDS)
                for _ in range(3):
                    log.info("beside a child %s", delivery.sends("a record beside a child"))
            finally:
                ended = child.end(CHILD_SECONDS)
            evidence.saw("forks in the middle of a record", int(halt.inside.is_set()))
            expect_an_end(ended, f"a child that logs, forked while a record of another thread was being {what}")
            evidence.saw("children that logged")
            log.info("%s", delivery.sends("a record after a child ended"))
            if self._expect_arrived(delivery, words, ended.said, "records of a forked child"):
                evidence.saw("records of children that arrived", len(words))
            found = delivery.found({})
            expect([w for w in words if len(found[w]) > 1], "records of a child that arrived more than once").equals([])
        delivery.expect_all()

    def _log_and_halt(
        self, log: logging.Logger, delivery: Delivery, halt: _Halt, in_the_sink: bool
    ) -> threading.Thread:
        """Another thread that logs a record, and is stopped while this is formatted or written."""
        argument: object = "halted" if in_the_sink else _Halting(halt)
        if in_the_sink:
            self.sink.on_write = halt
        word = delivery.sends("a record that was under way at a fork")
        thread = threading.Thread(target=lambda: log.info("%s %s", word, argument), daemon=True)
        thread.start()
        halt.inside.wait(INSIDE_SECONDS)
        self.sink.on_write = None
        return thread

    @clause(
        "LIFE-13",
        "What was logged before a program ended arrives, whether the program closed its handler or left that to"
        " logging.shutdown; it ends in bounded time and without a traceback.",
        because="the last records before an exit are the ones that explain it, and hardly a program closes its handlers",
        learnt_from=("L1", "X2"),
        profile="full",
        sees=(("programs that ended", 2), ("records delivered", 2 * RECORDS)),
        seconds=60.0,
    )
    def test_a_program_ends(self, handler: Any, delivery: Delivery, namespace: str, evidence: Evidence) -> None:
        self.exercise(handler)  # what is made once belongs to this process, not to the child
        for closes in (False, True):
            words = [token() for _ in range(RECORDS)]

            def program(words: list[str] = words, closes: bool = closes) -> str:
                self._say_at_the_end(namespace, words)
                log = self._logger_of_the_program(namespace)
                for word in words:
                    log.info("before the end %s", word)
                if closes:
                    log.handlers[0].close()
                return ""

            ended = Child(program, whole_end=True).end(CHILD_SECONDS)
            what = f"a program that {'closes its handler' if closes else 'does not close its handler'} before it ends"
            expect_an_end(ended, what)
            if self._expect_arrived(delivery, words, ended.said, f"records of {what}"):
                evidence.saw("records delivered", len(words))
            evidence.saw("programs that ended")

    @clause(
        "LIFE-14",
        "A program that gets SIGTERM while its threads log, and closes its handler, ends in bounded time and without a"
        " traceback; what was logged before the signal arrives.",
        because="every deployment ends programs so; the records of their last second say whether a request was finished",
        learnt_from=("L1", "E20"),
        profile="full",
        sees=(
            ("records logged before the signal", ENOUGH),
            ("callers at work when the signal came", CALLERS),
            ("records delivered", ENOUGH),
        ),
        seconds=60.0,
    )
    def test_sigterm_while_threads_log(
        self, handler: Any, delivery: Delivery, namespace: str, evidence: Evidence
    ) -> None:
        self.exercise(handler)
        words = [token() for _ in range(10 * ENOUGH)]  # what is logged after them is work, and not looked for

        def program() -> str:
            log = self._logger_of_the_program(namespace)
            report = work_until_sigterm(
                lambda number: log.info("in flight %s", words[number] if number < len(words) else number),
                lambda: _close(log.handlers[0]),
            )
            return f"{report.to_text()}\n{self._look(namespace, words)}"

        ended = Child(program, whole_end=True).end(CHILD_SECONDS + MARGIN_SECONDS)
        expect_an_end(ended, "a program that closes its handler at SIGTERM, while its threads log")
        said, _, seen_by_itself = ended.said.partition("\n")
        report = Report.of(said)
        evidence.saw("records logged before the signal", report.before_signal)
        evidence.saw("callers at work when the signal came", report.at_work)
        logged = [words[number] for number in report.acknowledged[: report.before_signal] if number < len(words)]
        if self._expect_arrived(delivery, logged, seen_by_itself, "records that were logged before SIGTERM"):
            evidence.saw("records delivered", len(logged))

    # In a child

    def _logger_of_the_program(self, namespace: str) -> logging.Logger:
        self._handler = unwrapped(self.make_backend(namespace))
        self._handler.setLevel(logging.NOTSET)
        log = logger_for(self._handler)
        _of_the_program.append(log)
        return log

    def _look(self, namespace: str, words: Iterable[str]) -> str:
        """The words that have arrived as far as the child itself sees it: its destination may live and die with it."""
        try:
            text = "\n".join(self.delivered(namespace))
        except Exception as error:  # noqa: BLE001 - the reader's trouble is not the handler's; the parent takes note of it
            return f"{_BLIND}{type(error).__name__}: {error}"
        return " ".join(word for word in words if word in text)

    def _say_at_the_end(self, namespace: str, words: list[str]) -> None:
        """Look after everything else was done, logging.shutdown included: exit functions run in reverse order."""
        atexit.unregister(logging.shutdown)
        atexit.register(lambda: say(self._look(namespace, words)))
        atexit.register(logging.shutdown)

    # In the parent

    def _expect_arrived(self, delivery: Delivery, words: list[str], seen_by_child: str, what: str) -> bool:
        """Each word was seen by the child or is seen here; whether that could be judged."""
        others = [word for word in words if word not in seen_by_child.split()]
        found = delivery.found(dict.fromkeys(others, ""))
        missing = [word for word in others if not found[word]]
        if missing and seen_by_child.startswith(_BLIND):
            return False
        if missing:
            raise ContractViolation(what, f"all {len(words)}", f"{len(missing)} are lost: {shown(missing)}")
        return True


def _close(handler: logging.Handler) -> None:
    handler.flush()
    handler.close()
