"""A recorded trace of arrivals: a file with offsets in seconds, as CSV or as JSON lines."""

from __future__ import annotations

import csv
import json
import math
import stat
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from stackproof.interfaces import ConfigurationError

COLUMN = "offset"
MOST_ARRIVALS = 50_000_000
MOST_BYTES = 2 << 30


@dataclass(frozen=True)
class Trace:
    """Offsets in seconds from the first arrival on, in order."""

    name: str
    """Of the file, without its folders."""
    sha256: str
    """Of its bytes."""
    offsets: array[float]

    @property
    def rate(self) -> float:
        """Arrivals a second, on average: gaps over the time that they take."""
        return (len(self.offsets) - 1) / self.offsets[-1]


def read_trace(path: Path) -> Trace:
    """The trace of a file: ``*.jsonl`` and ``*.ndjson`` with ``{"offset": seconds}`` in each line, anything else CSV whose
    column ``offset`` (or only column) it is.

    Offsets are finite, in order, and not all the same; the first one becomes 0. Anything else is a `ConfigurationError`
    that names the line.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise ConfigurationError(f"the trace {path} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        raise ConfigurationError(f"the trace {path} is no plain file: it is read more than once, by each worker")
    if status.st_size > MOST_BYTES:
        raise ConfigurationError(f"the trace {path} has {status.st_size:,} bytes; the limit is {MOST_BYTES:,}")
    return _read(path.absolute(), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=2)
def _read(path: Path, _changed: int, _size: int) -> Trace:
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the trace {path} cannot be read: {error}") from error
    rows = _json_rows(path, text) if path.suffix in (".jsonl", ".ndjson") else _csv_rows(path, text)
    offsets = array("d")
    first = 0.0
    for line, value in rows:
        offset = _number(path, line, value)
        if not offsets:
            first = offset
        elif offset - first < offsets[-1]:
            raise ConfigurationError(
                f"{path}, line {line}: the offset {offset:g} lies before the one of the line above"
            )
        offsets.append(offset - first)
    if len(offsets) < 2 or not offsets[-1]:
        raise ConfigurationError(f"the trace {path} needs at least two arrivals at different times")
    if len(offsets) > MOST_ARRIVALS:
        raise ConfigurationError(f"the trace {path} has {len(offsets):,} arrivals; the limit is {MOST_ARRIVALS:,}")
    return Trace(path.name, sha256(data).hexdigest(), offsets)


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, object]]:
    for line, row in enumerate(text.splitlines(), 1):
        if not row.strip():
            continue
        try:
            found = json.loads(row)
        except ValueError as error:
            raise ConfigurationError(f"{path}, line {line}: this is no JSON: {error}") from error
        if not isinstance(found, dict) or COLUMN not in found:
            raise ConfigurationError(f'{path}, line {line}: {{"{COLUMN}": seconds}} is needed')
        yield line, found[COLUMN]


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, object]]:
    reader = csv.reader(text.splitlines())
    column = None
    for row in reader:
        if not row:
            continue
        if column is None:
            column = row.index(COLUMN) if COLUMN in row else 0
            if COLUMN in row:
                continue
            if len(row) > 1:
                raise ConfigurationError(f"{path}, line 1: of several columns one must be called {COLUMN!r}")
        if column >= len(row):
            raise ConfigurationError(f"{path}, line {reader.line_num}: there is no column {COLUMN!r}")
        yield reader.line_num, row[column]


def _number(path: Path, line: int, value: object) -> float:
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ConfigurationError(f"{path}, line {line}: an offset is a number of seconds, not {value!r}")
    return number
