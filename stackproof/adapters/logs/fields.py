"""From a `logging.LogRecord` to one line of JSON, whatever object was logged.

Everything that our own log handlers share is here: which fields a record has, how an object that JSON cannot carry
is shown instead, and how a record that is too large is cut. Nothing here keeps state, locks or writes, except that
each thread counts how deeply its records are nested (an object may log from inside its own ``__repr__``).
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Container, Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import PurePath
from uuid import UUID

from stackproof.interfaces import JsonValue

DEFAULT_RECORD_BYTES = 256 * 1024
SMALLEST_RECORD_BYTES = 4096
CUT = "...[cut]"
"""What stands where something of an oversize record was left out."""
DEEPEST = 32
"""Containers nested deeper than this are named, not shown."""
MOST_NESTED = 3
"""A record logged while another is being formatted may call code of the application up to this depth, not beyond."""

STANDARD_ATTRIBUTES = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
"""What the logging package itself puts on a record; every other attribute is an extra."""
OUR_FIELDS = frozenset({"time", "level", "logger", "message", "arguments", "exception", "stack"})
"""Always ours, also in records that have no exception: a field keeps its meaning from record to record."""

_encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False, check_circular=False, separators=(",", ":")).encode


class _Nesting(threading.local):
    depth = 0


_nesting = _Nesting()


def line_of(record: logging.LogRecord, max_bytes: int = DEFAULT_RECORD_BYTES) -> str:
    """One JSON object in ASCII, without a line end, of at most ``max_bytes`` (itself at least `SMALLEST_RECORD_BYTES`)."""
    # One text may take half of the room that is left: twice the limit therefore cuts nothing that would have fitted.
    room = 2 * max_bytes
    fields: JsonValue = fields_of(record, room)
    line = _encode(fields)
    while len(line) > max_bytes and room > 16:
        room //= 2
        fields = JsonReady(room).value(fields)
        line = _encode(fields)
    return line


def fields_of(record: logging.LogRecord, room: int = 2 * DEFAULT_RECORD_BYTES) -> dict[str, JsonValue]:
    """The fields: time, level, logger, message, the extras by their own names, then exception and stack where there are any.

    An extra that is named like one of `OUR_FIELDS` is kept with an underscore behind its name. A message whose
    ``%`` arguments do not fit is kept as it was written, with the arguments beside it.
    """
    _nesting.depth += 1
    try:
        return _fields_of(record, JsonReady(room, plain=_nesting.depth > MOST_NESTED))
    finally:
        _nesting.depth -= 1


def _fields_of(record: logging.LogRecord, ready: JsonReady) -> dict[str, JsonValue]:
    fields: dict[str, JsonValue] = {
        "time": ready.value(_iso_time(record.created)),
        "level": ready.value(record.levelname),
        "logger": ready.value(record.name),
    }
    message = None if ready.plain and (record.args or type(record.msg) is not str) else _merged(record)
    fields["message"] = ready.as_text(record.msg if message is None else message)
    late: dict[str, JsonValue] = {}
    if message is None and record.args:
        late["arguments"] = ready.value(record.args)
    if record.exc_info or record.exc_text:
        late["exception"] = ready.value(_traceback(record, ready.plain))
    if record.stack_info:
        late["stack"] = ready.value(record.stack_info)
    for name, value in list(record.__dict__.items()):
        if name not in STANDARD_ATTRIBUTES:
            shown_name = _free_name(ready.as_text(name), fields.keys() | OUR_FIELDS)
            fields[shown_name] = ready.value(value)
    return fields | late


def _merged(record: logging.LogRecord) -> str | None:
    """The message with its arguments in place, or None where they do not fit or cannot be shown."""
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - whatever the application's objects raise, the record is still delivered
        return None


def _traceback(record: logging.LogRecord, plain: bool) -> object:
    if not record.exc_info:
        return record.exc_text
    if plain:
        return record.exc_info[0]
    try:
        return logging.Formatter().formatException(record.exc_info)
    except Exception:  # noqa: BLE001 - not an exception triple, or an exception that cannot be shown: show its parts
        return record.exc_info


def _iso_time(seconds: float) -> object:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    except (TypeError, ValueError, OverflowError, OSError):  # a record that was made by hand
        return seconds


def _free_name(name: str, taken: Container[str]) -> str:
    while name in taken:
        name += "_"
    return name


class JsonReady:
    """Turns any object into what JSON can carry, inside a limited room (about one unit for each character).

    Objects are looked at by their real type, never through their own methods, except for one guarded ``repr``.
    ``plain`` leaves out that too.
    """

    def __init__(self, room: int, *, plain: bool = False) -> None:
        self.room = room
        self.plain = plain
        self._path: set[int] = set()

    def value(self, value: object) -> JsonValue:
        self.room -= 2
        try:
            return self._simple(value)
        except Exception as error:  # noqa: BLE001 - a repr, a property or a container of the application failed
            return self.text(f"<{type(value).__qualname__} that cannot be shown: {type(error).__name__}>")

    def text(self, text: str) -> str:
        """The text without lone surrogates (they become visible escapes).

        Where it is longer than half of the room that is left, its middle is cut out: a traceback ends with the error.
        """
        most = max(self.room // 2, 0)
        tail = most // 2
        shown = text if len(text) <= most else text[: most - tail] + CUT + text[len(text) - tail :]
        self.room -= min(len(text), most)
        return shown if shown.isascii() else shown.encode("utf-8", "backslashreplace").decode("utf-8")

    def as_text(self, value: object) -> str:
        shown = self.value(value)
        return shown if isinstance(shown, str) else _encode(shown)

    def _simple(self, value: object) -> JsonValue:
        kind = type(value)
        if value is None or value is True or value is False:
            return value
        if issubclass(kind, str):
            return self.text(str.__str__(value))
        if issubclass(kind, int):
            return self._integer(int.__int__(value))  # type: ignore[arg-type]
        if issubclass(kind, float):
            return self._number(float.__float__(value))  # type: ignore[arg-type]
        if issubclass(kind, dict | list | tuple | set | frozenset):
            return self._container(value)
        if self.plain:
            return self.text(f"<{kind.__qualname__}>")
        if issubclass(kind, datetime | date | time):
            return self.text(value.isoformat())  # type: ignore[attr-defined]
        if issubclass(kind, Decimal | UUID | PurePath):
            return self.text(str(value))
        return self.text(repr(value))

    def _integer(self, number: int) -> JsonValue:
        self.room -= number.bit_length() // 3
        # Readers of JSON keep 64 bits at most; Python itself refuses the decimal text of very long numbers.
        if number.bit_length() < 64:
            return number
        return self.text(f"{number:d}" if number.bit_length() < 2048 else f"{number:#x}")

    def _number(self, number: float) -> JsonValue:
        self.room -= 16
        return number if number - number == 0 else self.text(repr(number))

    def _container(self, value: object) -> JsonValue:
        name = type(value).__qualname__
        if id(value) in self._path:
            return self.text(f"<{name} that contains itself>")
        if len(self._path) >= DEEPEST:
            return self.text(f"<{name} nested too deep>")
        self._path.add(id(value))
        try:
            return self._mapping(value) if isinstance(value, dict) else self._sequence(value)
        finally:
            self._path.discard(id(value))

    def _mapping(self, value: dict[object, object]) -> JsonValue:
        shown: dict[str, JsonValue] = {}
        for key, item in list(dict.items(value)):
            if self.room <= 0:
                shown[_free_name(CUT, shown)] = CUT
                break
            name = _free_name(self.as_text(key), shown)
            shown[name] = self.value(item)
        return shown

    def _sequence(self, value: object) -> JsonValue:
        shown: list[JsonValue] = []
        items: Iterator[object] = next(
            kind.__iter__(value)  # type: ignore[arg-type]
            for kind in (list, tuple, set, frozenset)
            if issubclass(type(value), kind)
        )
        for item in items:
            if self.room <= 0:
                shown.append(CUT)
                break
            shown.append(self.value(item))
        return shown
