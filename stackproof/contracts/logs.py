"""The contract of log transports: what any `logging.Handler` must do with the records of an application.

A third party writes:

    class TestMyLogs(LogContract):
        def make_backend(self, namespace):
            return MyHandler(stream=self.sink.stream)

or, where the records go somewhere else, also ``delivered(namespace)``, which returns the lines that arrived there.
Names of fields are the handler's own business: the clauses look for what was logged anywhere in the line.
"""

from __future__ import annotations

import contextvars
import json
import logging
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from .callers import Callers, in_step
from .clauses import absence, clause
from .evidence import Evidence
from .expectations import ContractViolation, expect
from .log_lifecycle import BOUNDED
from .log_samples import BAD_ARGUMENTS, FIELD_NAMES, LINE_BREAKERS, ODD_OBJECTS, PLAIN_EXTRAS, RECURSIVE_OBJECTS, TEXTS
from .log_sequences import LogSequenceClauses
from .log_sink import ABSENT, FAILURES, Delivery, token

BURST_SECONDS = 5.0
_MARK_OF_A_CUT = re.compile(r"cut|trunc|shorten|omit|drop|split|\.\.\.|…", re.IGNORECASE)


class LogContract(LogSequenceClauses):
    """All clauses for a handler. Its `LogCapabilities` are the default ones where neither class declares any."""

    @clause(
        "LOG-01",
        "Every record that was accepted before close is delivered, once.",
        because="the last records before an exit are the ones that explain it",
        learnt_from=("L1", "L12"),
        sees=("records delivered", 200),
        seconds=60.0,
    )
    def test_close_delivers_everything(self, handler: Any, log: logging.Logger, delivery: Delivery) -> None:
        # More than a queue of a thousand takes, and than a limit per second lets through; fewer where a handler is slow.
        began = time.monotonic()
        for number in range(3_000):
            if number >= 200 and time.monotonic() > began + BURST_SECONDS:
                break
            log.info("record %s", delivery.sends(f"record {number}"))
        handler.close()
        delivery.expect_all()

    @clause(
        "LOG-02",
        "Logging never raises into the application, whatever is logged.",
        because="a log line must not be the reason that a request fails",
        learnt_from=("L7", "L8", "L9", "L10"),
        sees=("calls that returned", 4 * (len(ODD_OBJECTS) + len(RECURSIVE_OBJECTS)) + len(BAD_ARGUMENTS)),
    )
    def test_logging_never_raises(self, log: logging.Logger, evidence: Evidence) -> None:
        def must_not_raise(what: str, call: Callable[[], None]) -> None:
            try:
                call()
            except Exception as error:
                seen = f"{type(error).__name__}: {error}"
                raise ContractViolation(f"logging {what}", "no error in the application", seen) from error
            evidence.saw("calls that returned")

        ways: dict[str, Callable[[object], None]] = {
            "as the message": log.error,
            "as an argument": lambda odd: log.error("%s", odd),
            "as an extra": lambda odd: log.error("extra", extra={"odd": odd}),
            "as exc_info": lambda odd: log.error("exc_info", exc_info=(odd, odd, odd)),  # type: ignore[arg-type]
        }
        for name, make in (ODD_OBJECTS | RECURSIVE_OBJECTS).items():
            for way, call in ways.items():
                must_not_raise(f"{name} {way}", partial(call, make()))
        for name, (message, arguments) in BAD_ARGUMENTS.items():
            must_not_raise(name, partial(log.error, message, *arguments))
        must_not_raise("exc_info outside of an exception", partial(log.error, "x", exc_info=True))

    @clause(
        "LOG-05",
        "A record below the handler's level is not delivered; one at the level is.",
        because="debug output must not reach, or be billed by, a transport that was set to warnings",
        sees=(("records delivered", 3), ("records held back", 3)),
    )
    def test_the_level_is_a_filter(self, log: logging.Logger, delivery: Delivery, evidence: Evidence) -> None:
        delivery.handler.setLevel(logging.WARNING)
        below = []
        for _ in range(3):
            below.append(token())
            log.info("below %s", below[-1])
            log.warning("at %s", delivery.sends("a record at the level"))
        delivery.expect_all()
        found = delivery.found()
        expect([word for word in below if found[word]], "records below the level that arrived").equals([])
        evidence.saw("records held back", len(below))

    @clause(
        "LOG-06",
        "A record larger than max_record_bytes arrives whole, in parts, or cut with a visible mark; its neighbours are unharmed.",
        because="the record with the large payload is often the one that is looked for, and a batch must not die of it",
        learnt_from=("L2",),
        sees=(("records delivered", 2), ("oversize records seen", 1)),
    )
    def test_an_oversize_record_is_not_lost(self, log: logging.Logger, delivery: Delivery, evidence: Evidence) -> None:
        limit = self.capabilities.max_record_bytes
        if limit > 64 * 1024 * 1024:
            pytest.skip(f"a record of more than {limit} bytes is not tried")
        before, first, last = delivery.sends("the record before"), token(), token()
        log.info("before %s", before)
        log.info("%s", f"{first} {'x' * (limit + 1)} {last}")
        log.info("after %s", delivery.sends("the record after"))
        delivery.expect_all()
        found = delivery.found(delivery.sent | {first: ""})
        parts = [line for line in delivery.lines() if "xxxxxxxx" in line.raw]
        expect(bool(found[first]), "the oversize record (its first word) arrived").is_true()
        expect([line.problem for line in parts if line.problem], "broken lines").equals([])
        whole = bool(found[last]) and sum(line.raw.count("x") for line in parts) >= limit
        marked = any(line.holds(text) for line in parts for text in _MARK_OF_A_CUT.findall(line.raw))
        expect(whole or marked, "a record that was shortened says so").is_true()
        evidence.saw("oversize records seen")

    @clause(
        "LOG-07",
        "The logger may be called while the handler is busy with a record of the same thread.",
        because="libraries log inside __repr__, and transports log about themselves: neither may deadlock",
        learnt_from=("L11",),
        sees=(("records logged from inside", 1), ("records delivered", 3)),
    )
    def test_logging_from_inside_is_possible(
        self, log: logging.Logger, delivery: Delivery, callers: Callers, evidence: Evidence
    ) -> None:
        def from_inside() -> None:
            evidence.saw("records logged from inside")
            log.info("inside %s", token())

        class Talkative:
            def __str__(self) -> str:
                evidence.saw("records logged from inside")
                log.info("inside %s", delivery.sends("the record from inside __str__"))
                return "talkative"

            __repr__ = __str__

        def talk() -> None:
            log.info("outside %s %s", delivery.sends("the record around it"), Talkative())
            self.sink.on_write = from_inside
            log.info("written %s", token())
            log.info("after %s", delivery.sends("the record after both"))

        callers.all_at_once(1, talk, within=BOUNDED)
        delivery.expect_all()

    @clause(
        "LOG-08",
        "Any object may be an extra: what cannot be carried is shown in some form, and the record arrives with the rest.",
        because="one odd object in the context must not cost the record that reports the trouble",
        learnt_from=("L8",),
        sees=("records delivered", len(ODD_OBJECTS)),
    )
    def test_any_object_may_be_an_extra(self, log: logging.Logger, delivery: Delivery) -> None:
        self._log_extras(log, delivery, ODD_OBJECTS)

    def _log_extras(self, log: logging.Logger, delivery: Delivery, objects: dict[str, Callable[[], object]]) -> None:
        beside = {}
        for name, make in objects.items():
            word, beside[name] = delivery.sends(name), token()
            # LOG-02 judges that something is raised; here the record is then among the lost ones.
            with suppress(Exception):
                log.error("with an extra %s", word, extra={"odd": make(), "beside": beside[name]})
        lines = delivery.expect_all()
        if self.capabilities.structured:
            kept = {name: any(line.holds(word) for line in lines.values()) for name, word in beside.items()}
            expect([n for n, k in kept.items() if not k], "records that lost the extra beside the odd one").equals([])

    @clause(
        "LOG-09",
        "An extra that is named like a field of the handler is kept, and so are the record's own level, logger and message.",
        because="applications cannot know the handler's field names, and a level that is overwritten hides an error",
        learnt_from=("L9",),
        needs="structured",
        sees=("records delivered", len(FIELD_NAMES)),
    )
    def test_extras_do_not_collide_with_fields(self, log: logging.Logger, delivery: Delivery) -> None:
        values = {}
        for name in FIELD_NAMES:
            word, values[name] = delivery.sends(name), token()
            log.critical("an extra %s", word, extra={name: values[name]})
        lines = dict(zip(FIELD_NAMES, delivery.expect_all().values(), strict=True))
        for name, line in lines.items():
            what = f"the record with an extra named {name!r}"
            expect(line.holds(values[name]), f"{what} has the extra's value").is_true()
            expect("CRITICAL" in line.raw.upper(), f"{what} has its level").is_true()
            expect(line.holds(log.name), f"{what} has the name of its logger").is_true()
            expect(line.holds("an extra"), f"{what} has its message").is_true()

    @absence("LOG-09")
    def prove_extras_cannot_collide(self, log: logging.Logger, delivery: Delivery) -> None:
        _prove_unstructured(log, delivery)

    @clause(
        "LOG-10",
        "Containers that contain themselves, or are nested very deep, do not cost the record.",
        because="object graphs have cycles, and one of them in the context ends in an endless recursion",
        learnt_from=("L10",),
        sees=("records delivered", len(RECURSIVE_OBJECTS)),
    )
    def test_recursive_objects_may_be_extras(self, log: logging.Logger, delivery: Delivery) -> None:
        self._log_extras(log, delivery, RECURSIVE_OBJECTS)

    @clause(
        "LOG-11",
        "A record whose arguments do not fit its message is delivered.",
        because="such mistakes sit in error paths that no test runs: the record is the only trace of the error",
        learnt_from=("L7",),
        sees=("records delivered", len(BAD_ARGUMENTS)),
    )
    def test_bad_arguments_do_not_cost_the_record(self, log: logging.Logger, delivery: Delivery) -> None:
        for name, (message, arguments) in BAD_ARGUMENTS.items():
            log.error(f"{delivery.sends(name)} {message}", *arguments)
        delivery.expect_all()

    @clause(
        "LOG-12",
        "The text of an exception arrives with its causes, and the stack where it is asked for.",
        because="a record that says `failed` and not why is of no use",
        sees=(("exceptions seen", 1), ("stacks seen", 1)),
    )
    def test_exceptions_arrive(
        self, log: logging.Logger, delivery: Delivery, callers: Callers, evidence: Evidence
    ) -> None:
        cause, effect = token(), token()
        try:
            _raise_with_a_cause(cause, effect)
        except LookupError:
            failed = delivery.sends("the record with an exception")
            log.exception("it failed %s", failed)
        stacked = delivery.sends("the record with a stack")
        # In a thread, where the stack is short: test data stay below the limit of a record.
        callers.all_at_once(1, partial(_log_with_its_stack, log, stacked), within=BOUNDED)
        self._expect_text(delivery, failed, cause, effect, "LookupError", "ZeroDivisionError", "_raise_with_a_cause")
        evidence.saw("exceptions seen")
        self._expect_text(delivery, stacked, "_log_with_its_stack")
        evidence.saw("stacks seen")

    def _expect_text(self, delivery: Delivery, word: str, *texts: str) -> None:
        """The record holds the texts; one that is plain text may have spread them over the lines that follow it."""
        if self.capabilities.structured:
            line = delivery.expect_all()[word]
            absent = [text for text in texts if not line.holds(text)]
        else:
            expect(bool(delivery.found()[word]), f"{delivery.sent[word]} arrived").is_true()
            whole = "\n".join(line.raw for line in delivery.lines())
            absent = [text for text in texts if text not in whole]
        expect(absent, f"what {delivery.sent[word]} does not hold").equals([])

    @clause(
        "LOG-13",
        "One record is one line, whatever its text: no text can end the line or forge another record.",
        because="line breaks in user input are the oldest way to forge log records, and they tear records apart",
        needs="structured",
        sees=("records delivered", len(LINE_BREAKERS)),
    )
    def test_one_record_is_one_line(self, log: logging.Logger, delivery: Delivery) -> None:
        ends = {}
        for name, text in LINE_BREAKERS.items():
            word, end = delivery.sends(name), token()
            ends[word] = end
            log.info("%s", f"{word}{text}{end}", extra={"again": f"{text}{end}"})
        lines = delivery.expect_all()
        for word, end in ends.items():
            expect(lines[word].holds(end), f"the text after {delivery.sent[word]}, on the same line").is_true()
        expect(len(delivery.lines()), "lines that arrived").equals(len(LINE_BREAKERS))

    @absence("LOG-13")
    def prove_lines_are_text(self, log: logging.Logger, delivery: Delivery) -> None:
        _prove_unstructured(log, delivery)

    @clause(
        "LOG-14",
        "A record carries its own context and nothing of another record's, another thread's or another context's.",
        because="the customer id of one request in the records of another is a data leak and a false trail",
        sees=(("records delivered", 80), ("contexts", 4)),
    )
    def test_context_is_isolated(
        self, log: logging.Logger, delivery: Delivery, callers: Callers, evidence: Evidence
    ) -> None:
        current: contextvars.ContextVar[str] = contextvars.ContextVar("current", default="none")

        def stamp(record: logging.LogRecord) -> bool:
            record.request = current.get()
            return True

        log.addFilter(stamp)
        mine: dict[str, str] = {}
        extras: dict[str, int] = {}

        def work() -> None:
            own = token()
            current.set(own)
            evidence.saw("contexts")
            for number in range(20):
                word = delivery.sends("a record with context")
                mine[word], extras[word] = own, number % 2
                log.info("context %s", word, extra={f"only_{number}_{own}": number} if number % 2 else None)

        callers.all_at_once(4, lambda: contextvars.copy_context().run(work), within=BOUNDED)
        log.removeFilter(stamp)
        for word, line in delivery.expect_all().items():
            foreign = [own for own in set(mine.values()) - {mine[word]} if own in line.raw]
            expect(foreign, "contexts of others in a record").equals([])
            if self.capabilities.structured:
                expect(line.holds(mine[word]), "a record has the context that it was logged in").is_true()
                of_its_own = sum(leaf.startswith("only_") for leaf in line.leaves)
                expect(of_its_own, "extras of a record that was given this many").equals(extras[word])

    @clause(
        "LOG-15",
        "Records of concurrent threads arrive whole, none lost, none mixed into another.",
        because="a torn line is two lost records, and both belong to the busiest moment",
        sees=(("overlapping callers", 2), ("records delivered", 240)),
    )
    def test_concurrent_records_arrive_whole(
        self, log: logging.Logger, delivery: Delivery, callers: Callers, evidence: Evidence
    ) -> None:
        pairs: dict[str, str] = {}
        together = threading.Barrier(8)

        def work() -> None:
            with in_step(together):
                for number in range(30):
                    if number % 10 == 0:
                        together.wait(BOUNDED)
                    word, end = delivery.sends("a record of one of 8 threads"), token()
                    pairs[word] = end
                    log.info("%s %s %s", word, "-" * 200, end)

        callers.all_at_once(8, work, within=BOUNDED)
        evidence.saw("overlapping callers", callers.overlapping)
        lines = delivery.expect_all()
        torn = [word for word, end in pairs.items() if end not in lines[word].raw]
        expect(torn, "records whose begin and end are on different lines").equals([])
        expect(len(delivery.lines()), "lines that arrived").equals(len(pairs))

    @clause(
        "LOG-16",
        "Every record that was not delivered is counted in `dropped`, and none that was.",
        because="a gap in the log must be seen as a gap, not taken for a quiet hour",
        learnt_from=("L5", "L12"),
        needs="counts_drops",
        sees=("records counted as dropped", 3),
    )
    def test_drops_are_counted(self, handler: Any, log: logging.Logger, delivery: Delivery, evidence: Evidence) -> None:
        sent = [token()]
        log.info("before %s", sent[0])
        delivery.found(dict.fromkeys(sent, ""))
        expect(handler.dropped, "dropped, while all is well").equals(0)
        for failure in FAILURES if self.sink.writes else ():
            self.sink.fail_next(2, failure)
            for _ in range(4):
                sent.append(token())
                log.error("while it fails %s", sent[-1])
        handler.flush()
        handler.close()
        for _ in range(3):
            sent.append(token())
            log.error("after close %s", sent[-1])
        found = delivery.found({sent[0]: ""})
        arrived = sum(bool(found[word]) for word in sent)
        expect(arrived + handler.dropped, f"records delivered ({arrived}) plus records dropped").equals(len(sent))
        evidence.saw("records counted as dropped", handler.dropped)

    @absence("LOG-16")
    def prove_drops_are_not_counted(self, handler: Any, evidence: Evidence) -> None:
        expect(isinstance(getattr(handler, "dropped", None), int), "an integer attribute `dropped`").is_false()
        evidence.saw("absence probes")

    @clause(
        "LOG-17",
        "Text of every script arrives unchanged; text that is no valid Unicode costs neither the record nor its neighbours.",
        because="customers have names in all scripts, and half of an emoji comes from every text that was cut somewhere",
        sees=("records delivered", len(TEXTS) + 3),
    )
    def test_text_of_every_script_arrives(self, log: logging.Logger, delivery: Delivery) -> None:
        texts = {}
        for name, text in TEXTS.items():
            word = delivery.sends(name)
            texts[word] = text
            log.info("%s %s", word, text)
        log.info("%s %s", delivery.sends("half of a surrogate pair"), "a\ud83db")
        log.info("%s", delivery.sends("half of a pair in an extra"), extra={"half": "\udc00", "\ud800name": 1})
        log.info("%s", delivery.sends("the record after them"))
        lines = delivery.expect_all()
        for word, text in texts.items():
            expect(lines[word].holds(text), f"{delivery.sent[word]} arrived unchanged").is_true()

    @clause(
        "LOG-18",
        "Each record arrives as one JSON object that holds its message, level, logger and the value of every extra.",
        because="structured logs are searched by machines: a field that is sometimes missing cannot be relied on",
        needs="structured",
        sees=("records delivered", 7),
    )
    def test_a_record_is_one_object_with_its_fields(self, log: logging.Logger, delivery: Delivery) -> None:
        self._expect_plain_extras(log, delivery)
        self._expect_many_extras(log, delivery)
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
            word, value, inner = delivery.sends(logging.getLevelName(level)), token(), token()
            extra = {"customer": value, "amount": 12.5, "count": 70_001, "nested": {"list": [1, {"inner": inner}]}}
            log.log(level, "placed %s of %s", word, "offer", extra=extra)
            line = delivery.expect_all()[word]
            level_name = logging.getLevelName(level)
            expect(level_name in line.raw.upper(), f"a record holds its level {level_name}").is_true()
            for text in (f"placed {word} of offer", log.name, value, inner, "12.5", "70001"):
                expect(line.holds(text), f"the record of level {level_name} holds {text!r}").is_true()

    def _expect_plain_extras(self, log: logging.Logger, delivery: Delivery) -> None:
        """Values that look like nothing, and numbers that are too long for a float, are values."""
        word = delivery.sends("the record with plain extras")
        log.info("plain %s", word, extra={f"plain_{number}": value for number, value in enumerate(PLAIN_EXTRAS)})
        line = delivery.expect_all()[word]
        for number, value in enumerate(PLAIN_EXTRAS):
            carried = line.value_of(f"plain_{number}")
            expect(carried is not ABSENT, f"an extra {value!r} is in its record").is_true()
            expect(_text_of(carried), f"an extra {value!r} as its record has it, as text").equals(_text_of(value))

    def _expect_many_extras(self, log: logging.Logger, delivery: Delivery) -> None:
        word = delivery.sends("the record with many extras")
        number_of_extras = min(40, self.capabilities.max_record_bytes // 100)
        values = {f"extra_{number}": token() for number in range(number_of_extras)}
        log.info("many %s", word, extra=values)
        line = delivery.expect_all()[word]
        lost = [name for name, value in values.items() if not line.holds(value)]
        expect(lost, f"those of {len(values)} extras that the record lost").equals([])

    @absence("LOG-18")
    def prove_records_are_no_objects(self, log: logging.Logger, delivery: Delivery) -> None:
        _prove_unstructured(log, delivery)


def _text_of(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _prove_unstructured(log: logging.Logger, delivery: Delivery) -> None:
    word = delivery.sends("a record")
    log.info("plain %s", word)
    lines = delivery.found()[word]
    expect(bool(lines), "a record arrived").is_true()
    objects = [line.raw for line in lines if not type(line).read(line.raw, structured=True).problem]
    expect(objects, "lines that are JSON objects").equals([])
    delivery.evidence.saw("absence probes")


def _log_with_its_stack(log: logging.Logger, word: str) -> None:
    log.info("where am I %s", word, stack_info=True)


def _raise_with_a_cause(cause: str, effect: str) -> None:
    try:
        raise ZeroDivisionError(cause)
    except ZeroDivisionError as error:
        raise LookupError(effect) from error
