"""The state machine of the cache: any sequence of operations, against a dictionary with a clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from hypothesis import strategies as st

from stackproof.contracts.cache_samples import ODD_VALUES, Source, exactly
from stackproof.contracts.expectations import ContractViolation, expect, expect_error, shown
from stackproof.interfaces import MISSING, CacheCapabilities, CacheValue, RejectedError

from .cache_model import TOLERANCE, CacheModel, Call, Entry, Span, outcomes
from .machine import Machine, bounded, step
from .strategies import cache_values, key_pool, text_of

SHORT = 0.025
"""A lifetime that ends within a sequence, in seconds."""
CENTURY = 3_155_760_000.0
LIFETIMES = st.sampled_from([None, 60, CENTURY, SHORT, SHORT, 0, -1])

_numbers = st.integers(0, 8)
_handles = st.integers(0, 1)

_values = bounded(lambda declared: cache_values(declared.max_value_bytes))
_several = st.lists(st.tuples(_numbers, _values, LIFETIMES), min_size=1, max_size=4)
_REFUSED: dict[str, Callable[[int], str]] = {
    "one byte too long": lambda limit: "x" * (limit + 1),
    "of characters that are too long together": lambda limit: "é" * (limit // 2 + 1),
    "empty": lambda limit: "",  # noqa: ARG005
    "without a UTF-8 form": lambda limit: "\ud83d",  # noqa: ARG005
}
_PAIRS = (("set", "set"), ("set", "delete"), ("get", "set"), ("get", "delete"), ("delete", "delete"))


def _fine(declared: CacheCapabilities) -> bool:
    """Whether waiting for an expiry takes little enough time."""
    return declared.ttl_resolution <= 0.05


class CacheMachine(Machine):
    """Keys are numbers of the sequence's pool of keys, which is made anew, of other keys, for each sequence."""

    def prepare(self) -> None:
        declared: CacheCapabilities = self.stage.declared
        self.model = CacheModel(declared.ttl_resolution)
        self.waiting = False
        self.keys = key_pool(declared.max_key_bytes, self.stage.examples)
        for key in self.keys:
            self.aside().delete(key)

    def key(self, number: int) -> str:
        return self.keys[number % len(self.keys)]

    # Reads and writes

    @step(on=_handles, number=_numbers)
    def read(self, on: int, number: int) -> None:
        self._read(on, self.key(number))

    @step(on=_handles, several=_several)
    def write(self, on: int, several: list[tuple[int, CacheValue, float | None]]) -> None:
        for number, value, ttl in several:
            self._write(on, self.key(number), value, ttl)
        for number, _, _ in several:
            self._read(on + 1, self.key(number))

    @step(on=_handles, number=_numbers)
    def remove(self, on: int, number: int) -> None:
        key = self.key(number)
        existed, span = self._timed(partial(self.handle(on).delete, key))
        allowed = [answer is not MISSING for answer in self.model.answers(key, span)]
        expect(existed, f"delete({shown(key)})").is_one_of(*dict.fromkeys(allowed))
        self.model.removed(key)
        self._read(on + 1, key)

    @step(on=_handles, number=_numbers, value=st.sampled_from(["fetched", None, [], 0]) | _values, ttl=LIFETIMES)
    def fetch(self, on: int, number: int, value: CacheValue, ttl: float | None) -> None:
        key, source = self.key(number), Source(value)
        self.waiting = self.waiting or ttl == SHORT
        answer, span = self._timed(lambda: self.handle(on).get_or_fetch(key, source, ttl))
        allowed = self.model.answers(key, span)
        if source.calls:
            expect(MISSING, f"get_or_fetch of {shown(key)} fetched, so that").is_one_of(
                *allowed, why="there was an entry"
            )
            expect(answer, f"get_or_fetch of {shown(key)}").equals(value)
            self.model.wrote(key, value, ttl, span)
        else:
            self._not_fetched(key, answer, allowed)
        self._read(on + 1, key)

    @step(on=_handles, number=_numbers)
    def fetch_that_fails(self, on: int, number: int) -> None:
        key, source = self.key(number), Source(error=LookupError("the source fails on purpose"))
        try:
            answer, span = self._timed(lambda: self.handle(on).get_or_fetch(key, source, 60))
        except LookupError:
            if not source.calls:
                raise
        else:
            if source.calls:
                raise ContractViolation(
                    f"get_or_fetch of {shown(key)} whose fetch failed", "the error of the fetch", shown(answer)
                )
            self._not_fetched(key, answer, self.model.answers(key, span))
        self._read(on, key)

    # Borders

    @step(on=_handles, name=st.sampled_from(sorted(ODD_VALUES)), number=_numbers)
    def set_what_may_be_refused(self, on: int, number: int, name: str) -> None:
        key, value = self.key(number), ODD_VALUES[name]
        for plain in ("the first", "the second"):
            self._write(on, key, plain, None)
        try:
            self.handle(on).set(key, value)
        except RejectedError:
            self._read(on, key)
            return
        back = self.handle(on).get(key)
        expect(exactly(back), f"{name}, which was taken").equals(exactly(value))
        self._write(on, key, "plain", None)

    @step(on=_handles, number=_numbers, beyond=st.integers(-1, 1), as_bytes=st.booleans())
    def write_at_the_limit(self, on: int, number: int, beyond: int, as_bytes: bool) -> None:
        """A value of the largest size is kept, and so is one of a byte less; one of a byte more may be refused."""
        key, limit = self.key(number), self.stage.declared.max_value_bytes
        value: CacheValue = b"\xff" * (limit + beyond) if as_bytes else text_of(limit + beyond, salt=number)
        try:
            self._write(on, key, value, None)
        except RejectedError:
            if beyond <= 0:
                raise
        self._read(on + 1, key)

    @step(on=_handles, name=st.sampled_from(sorted(_REFUSED)), number=_numbers)
    def use_a_key_that_must_be_refused(self, on: int, name: str, number: int) -> None:
        key = _REFUSED[name](self.stage.declared.max_key_bytes)
        calls: list[Callable[[str], object]] = [self.handle(on).get, lambda key: self.handle(on).set(key, "value")]
        for call in calls:
            with expect_error(RejectedError, f"a key that is {name}"):
                call(key)
        self._read(on, self.key(number))

    @step(on=_handles, number=_numbers)
    def change_what_was_read(self, on: int, number: int) -> None:
        key, mine = self.key(number), {"tags": ["a"]}
        self._write(on, key, {"tags": ["a"]}, None)
        self.handle(on).set(key, mine)
        mine["tags"].append("changed by the caller")
        read: Any = self.handle(on).get(key)
        if isinstance(read, dict):
            read["tags"] = "changed by a reader"
        self._read(on, key)

    # Time, instances, and two at once

    @step(needs=_fine, when=lambda machine: machine.waiting)
    def let_time_pass(self) -> None:
        self.waiting = False
        time.sleep(SHORT + self.stage.declared.ttl_resolution + 2 * TOLERANCE)
        for key in list(self.model.entries):
            self._read(0, key)

    @step(on=_handles)
    def reopen(self, on: int) -> None:
        self.stage.reopen(on % len(self.stage.handles))
        if not self.stage.declared.shared:
            self.model.entries.clear()
        for key in self.keys:
            self._read(on, key)

    @step(numbers=st.tuples(_numbers, _numbers), kinds=st.sampled_from(_PAIRS), present=st.booleans())
    def two_at_once(self, numbers: tuple[int, int], kinds: tuple[str, str], present: bool) -> None:
        """Two operations at the same time, on one key and on two: one order of them explains what they answer and leave."""
        for second in dict.fromkeys(map(self.key, numbers)):
            self._both(self.key(numbers[0]), second, kinds, present)

    # How it is done

    def _not_fetched(self, key: str, answer: object, allowed: Sequence[object]) -> None:
        __tracebackhide__ = True
        present = [each for each in allowed if each is not MISSING]
        what = f"get_or_fetch of {shown(key)} without a fetch"
        if not present:
            raise ContractViolation(what, "a fetch: the key has no entry", f"no fetch, and the answer {shown(answer)}")
        expect(answer, what).is_one_of(*present)

    def _both(self, first: str, second: str, kinds: tuple[str, str], present: bool) -> None:
        for key in {first, second}:
            if present:
                self._write(0, key, "before", None)
            else:
                self.handle(0).delete(key)
                self.model.removed(key)
        before = {key: "before" for key in {first, second} if present}
        calls = (Call(kinds[0], first, "one"), Call(kinds[1], second, "two"))
        answers = self.stage.together([self._calling(call, on) for on, call in enumerate(calls)])
        possible = outcomes(dict(before), calls, answers)
        what = f"{calls[0].kind} of {shown(first)} and {calls[1].kind} of {shown(second)} at the same time"
        if not possible:
            raise ContractViolation(f"{what}: their answers", "those of one order of the two", shown(answers))
        now = {key: self.handle(0).get(key) for key in {first, second}}
        seen = {key: value for key, value in now.items() if value is not MISSING}
        if seen not in possible:
            raise ContractViolation(f"{what}: the entries after it", " or ".join(map(shown, possible)), shown(seen))
        for key in now:
            self.model.entries.pop(key, None)
        self.model.entries |= {key: Entry(value) for key, value in seen.items()}

    def _calling(self, call: Call, on: int) -> Callable[[], object]:
        operation = getattr(self.handle(on), call.kind)
        return partial(operation, call.key, call.value) if call.kind == "set" else partial(operation, call.key)

    def _timed(self, call: Callable[[], Any]) -> tuple[Any, Span]:
        began = time.monotonic()
        answer = call()
        return answer, Span(began, time.monotonic())

    def _write(self, on: int, key: str, value: CacheValue, ttl: float | None) -> None:
        _, span = self._timed(lambda: self.handle(on).set(key, value, ttl))
        self.model.wrote(key, value, ttl, span)
        self.waiting = self.waiting or ttl == SHORT

    def _read(self, on: int, key: str) -> None:
        answer, span = self._timed(partial(self.handle(on).get, key))
        allowed = self.model.answers(key, span)
        entry = self.model.entries.get(key)
        if entry is None or entry.surely_until == float("inf"):
            self.stage.must_keep(key, int(entry is not None), f"the entries of {shown(key)}")
        if len(allowed) == 1:
            expect(answer, f"get({shown(key)})").equals(allowed[0])
        else:
            expect(answer, f"get({shown(key)}), whose lifetime ends about now").is_one_of(*allowed)
