"""Things that applications log and that break careless handlers, by name. Each is made anew, since some can be used once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from uuid import UUID


class _NoRepr:
    def __repr__(self) -> str:
        raise RuntimeError("this object cannot be shown")

    __str__ = __repr__


class _ReprOfWrongType:
    def __repr__(self) -> str:
        return 5  # type: ignore[return-value]


class _NoAttributes:
    def __getattribute__(self, name: str) -> object:
        if name == "__class__":  # the logging package itself asks for it before any handler is called
            return _NoAttributes
        raise RuntimeError(f"no attribute {name}")


class _LyingDict(dict[str, int]):
    def items(self) -> object:  # type: ignore[override]
        raise RuntimeError("items() fails")


class _TextWithoutText(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("str() fails")


class _Colour(Enum):
    RED = "red"


ODD_OBJECTS: dict[str, Callable[[], object]] = {
    "a plain object": object,
    "an object whose repr raises": _NoRepr,
    "an object whose repr is no text": _ReprOfWrongType,
    "an object whose attributes raise": _NoAttributes,
    "a dict whose items() raises": lambda: _LyingDict(a=1),
    "a text whose str() raises": lambda: _TextWithoutText("text"),
    "bytes that are no UTF-8": lambda: b"\xff\x00\xfe",
    "a memory view": lambda: memoryview(b"view"),
    "not a number": lambda: float("nan"),
    "infinity inside a list": lambda: [1.0, float("-inf")],
    "an integer of 5001 digits": lambda: 10**5000,
    "a set": lambda: {1, 2},
    "a dict with keys that are no text": lambda: {1: "one", (2, 3): "pair", None: "none", _Colour.RED: "red"},
    "a lambda": lambda: lambda: None,
    "a generator": lambda: (n for n in range(3)),
    "a lock": threading.Lock,
    "a class": lambda: _NoRepr,
    "an exception": lambda: ValueError("inside"),
    "an enum member": lambda: _Colour.RED,
    "a date and a time": lambda: [date(2024, 2, 29), datetime(2024, 2, 29, 12, tzinfo=UTC)],
    "a decimal, a UUID and a path": lambda: [Decimal("0.10"), UUID(int=7), PurePosixPath("/a/b")],
}


def _cyclic_dict() -> object:
    loop: dict[str, object] = {"depth": 1}
    loop["self"] = loop
    return loop


def _cyclic_list() -> object:
    loop: list[object] = [1]
    loop.append({"back": loop})
    return loop


def _deep(levels: int) -> object:
    nest: list[object] = []
    for _ in range(levels):
        nest = [nest]
    return nest


RECURSIVE_OBJECTS: dict[str, Callable[[], object]] = {
    "a dict that contains itself": _cyclic_dict,
    "a list that contains itself through a dict": _cyclic_list,
    "lists nested 100 deep": lambda: _deep(100),
    "lists nested 50,000 deep": lambda: _deep(50_000),
}

BAD_ARGUMENTS: dict[str, tuple[str, tuple[object, ...]]] = {
    "an argument too few": ("%s and %s", (1,)),
    "an argument too many": ("%s", (1, 2)),
    "an argument but no place for it": ("nothing", (1,)),
    "a number that is none": ("%d", ("many",)),
    "an unknown conversion": ("100 %!", (1,)),
    "an argument whose str() raises": ("%s", (_NoRepr(),)),
}

PLAIN_EXTRAS: tuple[object, ...] = (
    *(0, False, "", None, 0.0, True, 1, -1, 12.5, "0"),
    *(2**53 + 1, 2**63 - 1, -(2**63) + 1, 9_999_999_999_999_999),
)
"""Extras that are dropped where falsy means absent, or altered where numbers pass through a float."""

LINE_BREAKERS: dict[str, str] = {
    "a line feed": "\n",
    "a carriage return": "\r",
    "both": "\r\n",
    "a vertical tab and a form feed": "\v\f",
    "a NUL": "\x00",
    "an escape sequence of a terminal": "\x1b[2K",
    "Unicode's line and paragraph separators": "\u2028\u2029\x85",
    "a forged record": '\n{"level": "INFO", "message": "forged"}\n',
    "quotes and backslashes": '"\\"\\n\\',
}

TEXTS: dict[str, str] = {
    "accents": "Crème brûlée",
    "ideographs": "漢字かな交じり文",
    "right to left": "שלום עולם",
    "beyond the basic plane": "😀𝔘𝔫𝔦",
    "combining marks": "e\u0301\u0323",
    "a byte order mark": "\ufeffx",
}

FIELD_NAMES = (
    *("time", "timestamp", "@timestamp", "date", "level", "severity", "log_level", "logger", "logger_name", "event"),
    *("text", "body", "exception", "exc", "error", "stack", "stack_trace", "trace", "context", "extra", "data"),
    *("tags", "type", "service", "version", "id", "key", "arguments", "positional_args", "record"),
)
"""Names that handlers like to use for their own fields. Those that the logging package reserves never reach a handler."""
