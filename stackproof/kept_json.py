"""Reading a record that was kept as JSON: nothing in it may have two meanings, and nothing may end the reader."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MOST_DIGITS = 300
"""Of a whole number: one of more is none that anything was counted or measured with, and no floating-point number."""


class NotJSONError(ValueError):
    """A text that is no complete JSON, as that of a file which was cut off."""


def text_of(path: Path) -> str:
    """What a kept file holds; ValueError where that is no text, OSError where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8") from error


def read(text: str, *, numbers_only: bool = True) -> Any:
    """The value; `NotJSONError` where it is no JSON, ValueError where it names a thing twice, holds NaN or Infinity, or is nested
    without end.

    Without ``numbers_only``, NaN and Infinity are let through: a measurement may have a figure that is none.
    """
    try:
        if not numbers_only:
            return json.loads(text, object_pairs_hook=_unique, parse_int=_whole)
        return json.loads(
            text, object_pairs_hook=_unique, parse_int=_whole, parse_constant=_refused, parse_float=_finite
        )
    except RecursionError as error:
        raise ValueError("it is nested deeper than any record") from error
    except json.JSONDecodeError as error:
        where = f"it ends or breaks off in line {error.lineno}" if text.strip() else "it is empty"
        raise NotJSONError(f"it is no complete JSON, but cut off or damaged ({where})") from error


def seal_of(data: Mapping[str, Any]) -> str:
    """SHA-256 over the JSON values of a record, the seal itself left out. It shows a change; it proves no author."""
    content = {name: value for name, value in data.items() if name != "seal"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")).hexdigest()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        doubled = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it gives {doubled!r} twice")
    return found


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"it holds {digits}, which is too large for a number")
    return value


def _whole(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"it holds a number of {len(digits)} digits, which is too large")
    return int(digits)


def _refused(constant: str) -> Any:
    raise ValueError(f"it holds {constant}, which is no number")
