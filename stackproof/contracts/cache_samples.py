"""Test data of the cache contract: values and keys that broke real caches, by a readable name, and where fetches get theirs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from typing import Any

from stackproof.interfaces import CacheValue

from .hostile import HOSTILE_TEXTS, UNENCODABLE

FALSY_VALUES: dict[str, CacheValue] = {
    "None": None,
    "False": False,
    "zero": 0,
    "zero as a float": 0.0,
    "empty text": "",
    "empty bytes": b"",
    "empty list": [],
    "empty dictionary": {},
}


def _nested(depth: int) -> CacheValue:
    value: CacheValue = "the innermost"
    for level in range(depth):
        value = [value] if level % 2 else {"in": value}
    return value


PLAIN_VALUES: dict[str, CacheValue] = FALSY_VALUES | {
    "True": True,
    "one": 1,
    "one as a float": 1.0,
    "an integer beyond the precision of floats": 2**53 + 1,
    "the largest 64-bit integer": 2**63 - 1,
    "the smallest 64-bit integer": -(2**63),
    "a float without a short decimal form": 0.1 + 0.2,
    "the smallest float": 5e-324,
    "the largest float": 1.7976931348623157e308,
    "minus zero": -0.0,
    "text that looks like a number": "007",
    "text that looks like JSON": '{"a": 1}',
    "all bytes": bytes(range(256)),
    "bytes that are no UTF-8": b"\xff\xfe\x00\xc3\x28",
    "keys of a dictionary": {"": "empty", "a.b": 1, "$set": 2, "0": 3, "ключ": 4, "a\0b": 5},
    "types side by side": [0, False, 0.0, "", b"", None, [], {}, 1, True, 1.0, "1", b"1"],
    "nested 50 deep": _nested(50),
    "an offer": {
        "offer": "gold-card",
        "score": 0.87,
        "tags": ["new", "premium"],
        "limits": {"daily": 3},
        "until": None,
    },
    "hostile texts": [text for name, text in HOSTILE_TEXTS.items() if name not in UNENCODABLE],
}
"""Every cache keeps these equal."""


class _Level(IntEnum):
    HIGH = 3


def _numbers() -> Iterator[int]:
    yield 1


def _holds_itself() -> list[Any]:
    circle: list[Any] = []
    circle.append(circle)
    return circle


ODD_VALUES: dict[str, Any] = {
    "a tuple": (1, 2),
    "a tuple in a list": [(1, 2)],
    "a set": {1, 2},
    "a frozen set": frozenset({1}),
    "a bytearray": bytearray(b"abc"),
    "a dictionary with integer keys": {1: "a", 2: "b"},
    "a dictionary with a None key": {None: "a"},
    "a dictionary with a tuple key": {(1, 2): "a"},
    "an integer of 65 bits": 2**64,
    "a huge integer": 10**400,
    "an integer below 64 bits": -(2**63) - 1,
    "text with a lone surrogate": "gold \ud83d card",
    "a key with a lone surrogate": {"\udc80": 1},
    "infinity": float("inf"),
    "not a number": float("nan"),
    "a complex number": 1 + 2j,
    "a decimal": Decimal("1.10"),
    "a fraction": Fraction(1, 3),
    "a date": datetime(2026, 11, 23, 12, 0, 0, 123456, UTC),
    "a member of an IntEnum": _Level.HIGH,
    "a range": range(3),
    "a generator": _numbers(),
    "a function": _numbers,
    "a lock": threading.Lock(),
    "a list that contains itself": _holds_itself(),
}
"""Beyond `CacheValue`: a cache may keep each of these equal, or reject it; nothing else."""

LOOK_ALIKE_KEYS: tuple[tuple[str, ...], ...] = (
    ("Offer", "offer", "OFFER"),
    ("k", "k ", " k", "k\n", "k\t", "k\0", "\0k"),
    ("a:b", "a::b", "a%3Ab", "a%3ab", "a/b", "a\\b", "a.b", "a_b", "a-b", "ab"),
    ("café", "cafe\u0301", "cafe"),
    ("ß", "ss", "SS"),
    ("ﬁ", "fi"),
    ("None", "null", "0", "00", "+0", "0.0", "False"),
    ("*", "?", "[a]", "k*", "{k}", "{k}a", "{}"),
    ("x" * 249 + "a", "x" * 249 + "b", "x" * 250, "x" * 251),
    ("y" * 900 + "a", "y" * 900 + "b"),
    ("../k", "./k", "~/k", "CON", "k.lock", "k:lock", "lock:k", "__k__"),
)
"""Groups of keys that a careless mapping makes one of."""


def sample_keys(max_bytes: int) -> list[str]:
    """All keys that a cache with this limit must tell apart."""
    texts = [text for group in LOOK_ALIKE_KEYS for text in group]
    texts += [text for name, text in HOSTILE_TEXTS.items() if name not in UNENCODABLE]
    return [text for text in dict.fromkeys(texts) if text and len(text.encode()) <= max_bytes]


def size_of(value: CacheValue) -> int:
    """The size that a declared limit is compared with: of text and bytes their own, of anything else its written form."""
    if isinstance(value, bytes):
        return len(value)
    return len((value if isinstance(value, str) else repr(value)).encode())


def exactly(value: object) -> str:
    """A value in a form that tells apart what ``==`` does not: 1, 1.0 and True; a list and a tuple; 0.0 and -0.0."""
    return f"{type(value).__name__} {value!r}"


class Source:
    """Where a fetch gets its value. It counts its calls, can take its time, wait to be let go, and fail."""

    def __init__(
        self, value: Any = None, *, seconds: float = 0.0, error: BaseException | None = None, held: bool = False
    ) -> None:
        self.value = value
        self.seconds = seconds
        self.error = error
        self.started = threading.Event()
        self.go_on = threading.Event()
        self._held = held
        self._calls = 0
        self._lock = threading.Lock()

    @property
    def calls(self) -> int:
        """How often it was asked."""
        return self._calls

    def __call__(self) -> Any:
        with self._lock:
            self._calls += 1
        self.started.set()
        if self._held:
            self.go_on.wait(5.0)
        time.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        return self.value

    def let_go(self, after: float) -> None:
        """Let a held fetch go on, at the latest after so many seconds from its start."""
        self.started.wait(after)
        self.go_on.wait(after)
        self.go_on.set()
