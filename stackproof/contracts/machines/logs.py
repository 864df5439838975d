"""The state machine of a log handler: any sequence of records, levels and re-openings, against a list of records."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import strategies as st

from stackproof.contracts.expectations import ContractViolation, shown
from stackproof.contracts.journal import unwrapped
from stackproof.contracts.log_harness import logger_for
from stackproof.contracts.log_sink import ABSENT, Delivery, Line
from stackproof.interfaces import LogCapabilities

from .machine import Machine, bounded, step
from .strategies import HOSTILE, border_sizes, pick, text_of

LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)
_levels = st.sampled_from(LEVELS)
_texts = pick(["", "plain", *HOSTILE]) | st.text(st.characters(codec="utf-8"), max_size=20)
_sizes = bounded(lambda declared: st.sampled_from([1, *border_sizes(min(declared.max_record_bytes // 8, 20_000))]))
"""Sizes of texts that fit into a record, however its destination writes them."""
_LARGEST = 300_000
"""No record is larger: who declares more than that is not asked for what lies beyond."""
_extras = st.dictionaries(
    st.sampled_from([f"{name}_{number}" for number in range(4) for name in ("offer", "score", "tags")]),
    st.sampled_from([None, True, False, 0, 1, 0.5, 2**53 + 1, "", "text", [], ["a", 1], {}, {"a": {"b": None}}]),
    min_size=1,
    max_size=12,
)


class _Unprintable:
    def __str__(self) -> str:
        raise LookupError("no text for this object")

    __repr__ = __str__


def _circle() -> list[Any]:
    circle: list[Any] = []
    circle.append(circle)
    return circle


ODD: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "a set": lambda: {1, 2},
    "bytes": lambda: b"\xff\x00",
    "not a number": lambda: float("nan"),
    "a list that holds itself": _circle,
    "an object without a text": _Unprintable,
    "a class": lambda: _Unprintable,
}


class LogsMachine(Machine):
    """Each record carries a word that occurs nowhere else."""

    def prepare(self) -> None:
        self.stage.contract.sink.forget()
        self.stage.reopen(0)
        self.stage.contract._handler = self.plain()
        self.plain().setLevel(logging.NOTSET)
        self.level = logging.NOTSET
        self.logger = logger_for(self.handle(0))
        self.delivery = self._delivery()
        self.extras: dict[str, dict[str, Any]] = {}
        """Word -> the extras that must be beside it."""
        self.oversize: dict[str, int] = {}
        """Word -> the size of a record that may arrive in parts, on lines of its own."""
        self.texts: dict[str, str] = {}
        """Word -> the text that must be beside it."""
        self.held_back: dict[str, str] = {}
        """Word -> what was logged below the handler's level."""

    # Records

    @step(level=_levels, text=_texts)
    def log(self, level: int, text: str) -> None:
        word = self._word(level, f"a text at level {level}: {shown(text)}")
        self.logger.log(level, "%s %s", word, text)
        self._keep(word, text)

    @step(level=_levels, size=_sizes)
    def log_a_text_at_a_border(self, level: int, size: int) -> None:
        word, text = self._word(level, f"a text of {size} bytes"), text_of(size)
        self.logger.log(level, "%s %s", word, text)
        self._keep(word, text)

    @step(level=_levels, name=st.sampled_from(sorted(ODD)), place=st.sampled_from(["argument", "extra", "message"]))
    def log_an_odd_object(self, level: int, name: str, place: str) -> None:
        word, odd = self._word(level, f"{name} as {place}"), ODD[name]()
        if place == "argument":
            self.logger.log(level, f"{word} %s", odd)
        elif place == "extra":
            self.logger.log(level, word, extra={"odd": odd})
        else:
            self.logger.log(level, f"{word} %d of %d", odd)  # too few arguments, and of the wrong type

    @step(level=_levels, extras=_extras)
    def log_with_extras(self, level: int, extras: dict[str, Any]) -> None:
        word = self._word(level, f"a record with extras: {shown(extras)}")
        self.logger.log(level, word, extra=extras)
        if word in self.delivery.sent and len(repr(extras).encode()) * 8 <= self.stage.declared.max_record_bytes:
            self.extras[word] = extras

    @step(level=_levels, extra=st.integers(0, 100))
    def log_what_is_too_large(self, level: int, extra: int) -> None:
        """It arrives whole, in parts or cut: in any case its beginning is there, and its neighbours are unharmed."""
        size = min(self.stage.declared.max_record_bytes, _LARGEST) + extra
        self.oversize[self._word(level, f"a record of more than {size} bytes")] = size
        word = list(self.oversize)[-1]
        self.delivery.sent.pop(word, None)
        self.logger.log(level, "%s %s", word, "x" * size)

    @step(text=_texts)
    def log_an_exception(self, text: str) -> None:
        word = self._word(logging.ERROR, f"an exception: {shown(text)}")
        try:
            raise LookupError(text)
        except LookupError:
            self.logger.exception(word)

    @step(levels=st.tuples(_levels, _levels))
    def two_at_once(self, levels: tuple[int, int]) -> None:
        words = [self._word(level, f"one of two records at once, at level {level}") for level in levels]
        self.stage.together([partial(self.logger.log, level, word) for level, word in zip(levels, words, strict=True)])

    # The handler

    @step(level=st.sampled_from([logging.NOTSET, logging.INFO, logging.ERROR]))
    def set_the_level(self, level: int) -> None:
        self.handle(0).setLevel(level)
        self.level = level

    @step()
    def flush(self) -> None:
        self.handle(0).flush()

    @step()
    def reopen(self) -> None:
        """Close the handler; a new one goes on at the same destination."""
        self.logger.removeHandler(self.handle(0))
        self.stage.reopen(0)
        self.stage.contract._handler = self.plain()
        self.plain().setLevel(self.level)
        self.logger = logger_for(self.handle(0))
        self.delivery = self._delivery(self.delivery.sent)

    # How it is done

    def finish(self) -> None:
        """Every record has arrived, once, with its text; none that was held back has."""
        lines = self.delivery.expect_all()
        for word, text in self.texts.items():
            line = lines[word]
            if line.structured and not line.holds(text):
                raise ContractViolation("the text of a record", shown(text), shown(line.raw))
        for word, extras in self.extras.items():
            self._must_hold(lines[word], extras)
        arrived = self.delivery.found(dict.fromkeys(self.oversize.keys() - self.held_back.keys(), ""))
        lost = [size for word, size in self.oversize.items() if word not in self.held_back and word not in arrived]
        if lost:
            raise ContractViolation(
                "records that are too large", "to arrive whole, in parts or cut", f"lost, of {lost} bytes"
            )
        for word, what in self.held_back.items():
            if word in arrived:
                raise ContractViolation(
                    f"a record below the handler's level ({what})", "nothing", shown(arrived[word][0].raw)
                )

    def _must_hold(self, line: Line, extras: dict[str, Any]) -> None:
        """A structured line has every extra that JSON can carry."""
        if not line.structured:
            return
        for name, value in extras.items():
            seen = line.value_of(name)
            if seen is ABSENT or type(seen) is not type(value) or seen != value:
                raise ContractViolation(f"the extra {name!r} of a record", shown(value), shown(line.raw))

    def _delivery(self, sent: dict[str, str] | None = None) -> Delivery:
        contract = self.stage.contract
        declared: LogCapabilities = self.stage.declared
        read = partial(contract.delivered, self.stage.namespace)
        made = Delivery(
            unwrapped(self.handle(0)),
            read,
            declared.structured,
            self.stage.case.evidence,
            self.stage.patience(contract.delivery_seconds),
        )
        made.sent = sent if sent is not None else {}
        return made

    def _word(self, level: int, what: str) -> str:
        word = self.delivery.sends(what)
        if level < self.level:
            self.held_back[word] = self.delivery.sent.pop(word)
        return word

    def _keep(self, word: str, text: str) -> None:
        if word in self.delivery.sent and len(text.encode()) * 8 <= self.stage.declared.max_record_bytes:
            self.texts[word] = text
