"""How a clause states what must hold: `expect`, `expect_error`, `eventually`.

Each raises `ContractViolation` with what was expected and what was seen, in words about the backend.
"""

from __future__ import annotations

import re
import reprlib
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from stackproof.interfaces import MISSING

from .secrets import scrubbed
from .timelimit import waiting

_T = TypeVar("_T")

_END = 8192
"""So much of each end of a long value is searched for secrets: of values of some MB, of which 200 characters are shown."""
_Text = TypeVar("_Text", str, bytes)

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def _both_ends(value: _Text) -> _Text:
    """Without the middle, of which nothing will be seen."""
    return value if len(value) <= 2 * _END else value[:_END] + value[-_END:]


class _Short(reprlib.Repr):
    """A repr that is cut where it is long. A secret goes before the cut: the rest of it would not be recognised any more."""

    def repr_str(self, x: str, level: int) -> str:
        is_cut = len(x) > self.maxstring or len(repr(x)) > self.maxstring
        return super().repr_str(scrubbed(_both_ends(x)) if is_cut else x, level)

    def repr_bytes(self, x: bytes, level: int) -> str:
        return self.repr_instance(_both_ends(x), level)

    def repr_instance(self, x: Any, level: int) -> str:
        try:
            whole = repr(x)
        except Exception:  # noqa: BLE001 - the value is the backend's; the base class says what can be said
            return super().repr_instance(x, level)
        if len(whole) <= self.maxother:
            return whole
        whole = scrubbed(whole)
        begin = max(0, (self.maxother - 3) // 2)
        end = max(0, self.maxother - 3 - begin)
        return whole if len(whole) <= self.maxother else whole[:begin] + self.fillvalue + whole[-end:]


_short = _Short()
_short.maxstring = 200
_short.maxother = 400
_short.maxlist = _short.maxtuple = _short.maxdict = _short.maxset = 8
_short.maxlevel = 4


_MARKS = ("Mn", "Mc", "Me")
_JAMO = ("\u1100", "\u11ff")
"""Letters of which several make one sign."""
_BLANK = "\u2800"


def visible(text: str) -> str:
    """The same text, in which no two different ones look alike: a mark that joins a letter, a letter that is another one
    to Unicode, and what cannot be seen, are escaped as Python does it."""
    if text.isascii():
        return text
    return "".join(_escaped(char) if _is_unclear(char) else char for char in text)


def _is_unclear(char: str) -> bool:
    if char.isascii():
        return False
    joins = unicodedata.category(char) in _MARKS or _JAMO[0] <= char <= _JAMO[1]
    return joins or char == _BLANK or not char.isprintable() or _is_another(char)


def _is_another(char: str) -> bool:
    """Whether it stands for another letter, for compatibility: the sign of Kelvin for a K, one sign for two letters."""
    return unicodedata.normalize("NFC", char) != char or (
        char.isalpha() and unicodedata.normalize("NFKC", char) != char
    )


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


def shown(value: object) -> str:
    """A value as a failure shows it: its repr, cut in the middle where it is long. Different texts look different."""
    try:
        return visible(_ADDRESS.sub("", _short.repr(value)))  # an address says nothing, and differs in every run
    except Exception as error:  # noqa: BLE001 - the value is the backend's; a broken repr must not hide the finding
        return f"<{type(value).__name__} whose repr raises {type(error).__name__}>"


class ContractViolation(AssertionError):  # noqa: N818 - what the field calls it
    """The backend broke a rule."""

    def __init__(self, what: str, expected: str, seen: str, why: str = "") -> None:
        what, expected, seen, why = visible(what), visible(expected), visible(seen), visible(why)
        super().__init__(f"{what}: expected {expected}, seen {seen}" + (f" ({why})" if why else ""))
        self.what = what
        self.expected = expected
        self.seen = seen
        self.why = why


class expect(Generic[_T]):  # noqa: N801 - reads as a verb
    """A statement about one value: ``expect(cache.get("k"), "the value").equals("v")``."""

    __tracebackhide__ = True

    def __init__(self, actual: _T, what: str) -> None:
        self.actual = actual
        self.what = what

    def _must(self, holds: bool, expected: str, why: str, seen: str = "") -> None:
        __tracebackhide__ = True
        if not holds:
            raise ContractViolation(self.what, expected, seen or shown(self.actual), why)

    def equals(self, value: object, why: str = "") -> None:
        """Equal and, for the falsy look-alikes (0, False, 0.0, "", None), of the same type."""
        __tracebackhide__ = True
        if _same(self.actual, value):
            return  # before anything is made to be shown: that is slow where values are large
        seen = shown(self.actual)
        if seen == shown(value):
            seen += f" ({_difference(self.actual, value)})"
        raise ContractViolation(self.what, shown(value), seen, why)

    def all_equal(self, value: object, why: str = "") -> None:
        """A collection that is not empty and whose every element equals ``value``."""
        __tracebackhide__ = True
        elements = list(self.actual) if isinstance(self.actual, Iterable) else []
        self._must(bool(elements) and all(_same(e, value) for e in elements), f"each to be {shown(value)}", why)

    def is_missing(self, why: str = "") -> None:
        __tracebackhide__ = True
        self._must(self.actual is MISSING, "MISSING (stackproof.interfaces.MISSING)", why)

    def is_true(self, why: str = "") -> None:
        __tracebackhide__ = True
        self._must(self.actual is True, "True", why)

    def is_false(self, why: str = "") -> None:
        __tracebackhide__ = True
        self._must(self.actual is False, "False", why)

    def at_least(self, bound: float, why: str = "") -> None:
        __tracebackhide__ = True
        self._must(self.actual >= bound, f"at least {bound}", why)  # type: ignore[operator]

    def at_most(self, bound: float, why: str = "") -> None:
        __tracebackhide__ = True
        self._must(self.actual <= bound, f"at most {bound}", why)  # type: ignore[operator]

    def contains(self, element: object, why: str = "") -> None:
        __tracebackhide__ = True
        self._must(element in self.actual, f"to contain {shown(element)}", why)  # type: ignore[operator]

    def lacks(self, element: object, why: str = "") -> None:
        __tracebackhide__ = True
        self._must(element not in self.actual, f"not to contain {shown(element)}", why)  # type: ignore[operator]

    def is_one_of(self, *values: object, why: str = "") -> None:
        __tracebackhide__ = True
        expected = "one of " + ", ".join(map(shown, values)) if values else "nothing: no value is possible"
        self._must(any(_same(self.actual, v) for v in values), expected, why)

    def has_type(self, kind: type[Any], why: str = "") -> None:
        __tracebackhide__ = True
        self._must(isinstance(self.actual, kind), f"an instance of {kind.__name__}", why)


class Caught:
    """What `expect_error` caught."""

    error: BaseException
    seconds: float = 0.0


@contextmanager
def expect_error(
    kind: type[BaseException] | tuple[type[BaseException], ...], what: str, within: float | None = None, why: str = ""
) -> Iterator[Caught]:
    """The block raises one of these errors, in bounded time. Another error is a violation that names both."""
    __tracebackhide__ = True
    names = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
    caught = Caught()
    began = time.monotonic()
    try:
        yield caught
    except kind as error:
        caught.error = error
        caught.seconds = time.monotonic() - began
    except ContractViolation:
        raise
    except Exception as error:
        raise ContractViolation(what, names, f"{type(error).__name__}: {error}", why) from error
    else:
        raise ContractViolation(what, names, "no error", why)
    if within is not None and caught.seconds > within:
        raise ContractViolation(what, f"{names} within {within:g} s", f"it came after {caught.seconds:.1f} s", why)


def eventually(condition: Callable[[], _T], what: str, within: float = 2.0, why: str = "") -> _T:
    """Wait until the condition is true, at most ``within`` seconds, and return its value."""
    __tracebackhide__ = True
    deadline = time.monotonic() + within
    pause = 0.001
    with waiting(within):
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                raise ContractViolation(what, f"within {within:g} s", f"still {shown(value)}", why)
            time.sleep(pause)
            pause = min(pause * 1.5, 0.05)


def _same(actual: object, expected: object) -> bool:
    """Equality that tells False from 0 and 1 from 1.0 from True, at any depth of lists and dictionaries."""
    if type(actual) is not type(expected) and {type(actual), type(expected)} & {
        bool,
        int,
        float,
        str,
        bytes,
        type(None),
    }:
        return False
    if isinstance(actual, list | tuple) and isinstance(expected, list | tuple):
        return len(actual) == len(expected) and all(map(_same, actual, expected))
    if isinstance(actual, dict) and isinstance(expected, dict):
        return actual.keys() == expected.keys() and all(_same(actual[k], expected[k]) for k in expected)
    return bool(actual == expected)


def _difference(actual: object, expected: object) -> str:
    if type(actual) is not type(expected):
        return f"of type {type(actual).__name__}, not {type(expected).__name__}"
    if isinstance(actual, Sized) and isinstance(expected, Sized) and len(actual) != len(expected):
        return f"of length {len(actual)}, not {len(expected)}"
    return "different beyond what is shown"
