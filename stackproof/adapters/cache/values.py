"""What every cache here checks in the same way before anything is kept or sent: keys, lifetimes and values.

All adapters share these rules, so that what works with the in-process cache on a laptop works with the shared
one in production, and what is rejected is rejected by both.
"""

from __future__ import annotations

import math
from typing import Any, cast

from stackproof.interfaces import CacheValue, RejectedError

MAX_DEPTH = 256
"""Lists and dictionaries may be nested this deep."""
LARGEST_INTEGER = 2**64 - 1
SMALLEST_INTEGER = -(2**63)
_IMMUTABLE = frozenset({type(None), bool, float, bytes})
_TEXT = frozenset({str})
_SCALARS = _IMMUTABLE | _TEXT | {int}


def check_key(key: str, max_bytes: int) -> str:
    """The key itself, or `RejectedError`: a key is non-empty text with a UTF-8 form of at most ``max_bytes``."""
    if not isinstance(key, str):
        raise RejectedError(f"a cache key is text, not {type(key).__name__}")
    if not key:
        raise RejectedError("a cache key is not empty")
    size = len(key) if key.isascii() else len(_utf8(key, "a cache key"))
    if size > max_bytes:
        raise RejectedError(f"a cache key has at most {max_bytes} bytes in UTF-8; this one has {size}")
    return key


def check_ttl(ttl: float | None) -> float | None:
    """The lifetime in seconds (None: no expiry), or `RejectedError` where it is no finite number."""
    if ttl is None:
        return None
    if not isinstance(ttl, (int, float)):
        raise RejectedError(f"a ttl is a number of seconds or None, not {type(ttl).__name__}")
    try:
        seconds = float(ttl)
    except OverflowError as error:
        raise RejectedError("a ttl is a finite number of seconds; this one is too large for a float") from error
    if not math.isfinite(seconds):
        raise RejectedError(f"a ttl is a finite number of seconds, not {seconds}")
    return seconds


def copy_value(value: Any, depth: int = 0) -> CacheValue:
    """An equal value that shares nothing mutable with ``value``, or `RejectedError` where it is no `CacheValue`.

    Types are exact: a tuple, a set, a bytearray, a subclass of dict or str, an integer beyond 64 bits, text without
    a UTF-8 form or a key that is not text could come back altered from one technology or another, so none passes.
    """
    kind = type(value)
    if kind is str:
        return _text(value)
    if kind in _IMMUTABLE:
        return cast(CacheValue, value)
    if kind is int:
        if not SMALLEST_INTEGER <= value <= LARGEST_INTEGER:
            raise RejectedError("a cached integer fits 64 bits; this one does not")
        return cast(int, value)
    if depth >= MAX_DEPTH:
        raise RejectedError(f"a cached value is nested at most {MAX_DEPTH} deep, and does not contain itself")
    if kind is list:
        return [copy_value(item, depth + 1) for item in value]
    if kind is dict:
        return {_text(name): copy_value(item, depth + 1) for name, item in value.items()}
    raise RejectedError(f"a value of type {kind.__name__} cannot be cached without altering it")


def check_types(value: Any, depth: int = 0) -> None:
    """The part of `copy_value`'s rules that MessagePack does not enforce by itself, fast: a few set operations a level."""
    kind = type(value)
    if kind in _SCALARS:
        return
    if kind is dict:
        if not _TEXT.issuperset(map(type, value)):
            raise RejectedError("the keys of a cached dictionary are text")
        items = value.values()
    elif kind is list:
        items = value
    else:
        raise RejectedError(f"a value of type {kind.__name__} cannot be cached without altering it")
    if depth >= MAX_DEPTH:
        raise RejectedError(f"a cached value is nested at most {MAX_DEPTH} deep, and does not contain itself")
    if not _SCALARS.issuperset(map(type, items)):
        for item in items:
            if type(item) not in _SCALARS:
                check_types(item, depth + 1)


def _text(text: Any) -> str:
    if type(text) is not str:
        raise RejectedError("the keys of a cached dictionary are text")
    if not text.isascii():
        _utf8(text, "a cached text")
    return text


def _utf8(text: str, what: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise RejectedError(f"{what} has a UTF-8 form; this one has a lone surrogate") from error
