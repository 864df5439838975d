"""Where the records of a handler under test arrive: a stream that keeps its text and can fail, and the lines read back."""

from __future__ import annotations

import errno
import fcntl
import io
import itertools
import json
import logging
import os
import re
import secrets
import tempfile
import threading
import time
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from .evidence import Evidence
from .expectations import ContractViolation
from .timelimit import waiting

_RUN = secrets.token_hex(3)
_TOKEN = re.compile(rf"tk{_RUN}n\d+e")
_numbers = itertools.count(1)

FAILURES: tuple[Callable[[], Exception], ...] = (
    lambda: BrokenPipeError(errno.EPIPE, "Broken pipe"),
    lambda: OSError(errno.ENOSPC, "No space left on device"),
    lambda: ValueError("I/O operation on closed file."),
)
"""How a text stream fails: nobody reads, the disk is full, somebody closed it."""


ABSENT = object()
"""Where a line has no value of a name."""


def token() -> str:
    """A word that occurs nowhere else, to be logged and found again."""
    return f"tk{_RUN}n{next(_numbers)}e"


class _SinkStream(io.TextIOBase):
    """A text stream in UTF-8, as strict as a file: lone surrogates are refused."""

    encoding = "utf-8"

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        return self._sink.take(text)


class Sink:
    """Keeps what is written to its `stream`, in a file without a name: a forked child writes to the same one."""

    def __init__(self) -> None:
        self.stream: io.TextIOBase = _SinkStream(self)
        self.writes = 0
        """How often the stream was written to, with and without success."""
        self.refused = 0
        """How many of these writes failed because they were told to."""
        self.on_write: Callable[[], None] | None = None
        """Called once, before the next write."""
        self._to_fail: list[Exception] = []
        self._line = ""
        """The beginning of a line: like any text stream, whole lines are handed on."""
        self._lock = threading.Lock()
        with tempfile.TemporaryFile() as file:
            self._file = os.dup(file.fileno())
        fcntl.fcntl(self._file, fcntl.F_SETFL, os.O_APPEND)
        weakref.finalize(self, os.close, self._file)
        _sinks.add(self)

    def begin_in_a_child(self) -> None:
        """After a fork: another thread of the parent may have been writing, and what it had begun is the parent's."""
        self._lock, self._line, self.on_write = threading.Lock(), "", None

    def forget(self) -> None:
        """Begin anew: what arrived before is not read again."""
        with self._lock:
            os.ftruncate(self._file, 0)
            self._line = ""

    def fail_next(self, writes: int, error: Callable[[], Exception]) -> None:
        """Let the next writes raise."""
        with self._lock:
            self._to_fail = [error() for _ in range(writes)]

    def take(self, text: str) -> int:
        text.encode(self.stream.encoding)
        on_write, self.on_write = self.on_write, None
        if on_write is not None:
            on_write()
        with self._lock:
            self.writes += 1
            if self._to_fail:
                self.refused += 1
                raise self._to_fail.pop()
            whole, end, rest = (self._line + text).rpartition("\n")
            self._line = rest
            if end:
                _write_all(self._file, (whole + end).encode())
        time.sleep(0.0001)  # lets other threads run here, so that a record that is written in pieces can be torn
        return len(text)

    def lines(self) -> list[str]:
        """What arrived, line by line; a last one without an end included."""
        with self._lock:
            size = os.fstat(self._file).st_size
            text = os.pread(self._file, size, 0).decode() + self._line
        return [line for line in text.split("\n") if line]


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


_sinks: weakref.WeakSet[Sink] = weakref.WeakSet()


def _in_a_child() -> None:
    for sink in list(_sinks):
        sink.begin_in_a_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_a_child)


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it arrived."""

    raw: str
    structured: bool
    leaves: tuple[str, ...] = ()
    """For a structured line: every key and every value that is no container, as text."""
    problem: str = ""
    """Why a line that should be one JSON object is none."""

    @classmethod
    def read(cls, raw: str, structured: bool) -> Line:
        if not structured:
            return cls(raw, structured)
        try:
            value = json.loads(raw, parse_constant=_refuse_constant, object_pairs_hook=_unique)
        except (ValueError, RecursionError) as error:
            return cls(raw, structured, problem=f"no valid JSON: {error}")
        if not isinstance(value, dict):
            return cls(raw, structured, problem=f"JSON, but a {type(value).__name__} and no object")
        return cls(raw, structured, tuple(_leaves(value)))

    def value_of(self, name: str) -> object:
        """What a structured line has under this name, at whatever depth; `ABSENT` where it has none."""
        level: list[object] = [json.loads(self.raw)]
        while level:
            item = level.pop()
            if isinstance(item, dict):
                if name in item:
                    return item[name]
                level += item.values()
            elif isinstance(item, list):
                level += item
        return ABSENT

    def holds(self, text: str) -> bool:
        """Whether the text occurs in it."""
        return any(text in leaf for leaf in self.leaves) if self.structured else text in self.raw


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not part of JSON")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("one key occurs twice in an object")
    return found


def _leaves(value: object) -> Iterator[str]:
    level = [value]
    while level:
        item = level.pop()
        if isinstance(item, dict):
            yield from item
            level += item.values()
        elif isinstance(item, list):
            level += item
        else:
            yield item if isinstance(item, str) else json.dumps(item)


@dataclass(slots=True)
class Delivery:
    """What of the records that a clause logged has arrived."""

    handler: logging.Handler
    read: Callable[[], list[str]]
    structured: bool
    evidence: Evidence
    patience: float
    """Seconds that a record may take."""
    sent: dict[str, str] = field(default_factory=dict)
    """The tokens that must arrive, each with what was logged, in words."""

    def sends(self, what: str) -> str:
        """A new token for a record that must arrive."""
        word = token()
        self.sent[word] = what
        return word

    def lines(self) -> list[Line]:
        return [Line.read(raw, self.structured) for raw in self.read()]

    def found(self, wanted: Mapping[str, str] | None = None) -> dict[str, list[Line]]:
        """The lines of each token, after waiting (in bounded time) until all wanted ones are there."""
        wanted = self.sent if wanted is None else wanted
        self.handler.flush()
        deadline = time.monotonic() + self.patience
        with waiting(self.patience):
            while True:
                by_token: defaultdict[str, list[Line]] = defaultdict(list)
                for line in self.lines():
                    for word in set(_TOKEN.findall(line.raw)):
                        by_token[word].append(line)
                if wanted.keys() <= by_token.keys() or time.monotonic() > deadline:
                    return by_token
                time.sleep(0.02)

    def expect_all(self) -> dict[str, Line]:
        """Everything sent has arrived, each record once and as one well-formed line; the line of each token."""
        __tracebackhide__ = True
        found = self.found()
        lines = {word: found[word][0] for word in self.sent if found[word]}
        kinds = {
            "lost": [what for word, what in self.sent.items() if word not in lines],
            "on several lines": [what for word, what in self.sent.items() if len(found[word]) > 1],
            "broken": [f"{self.sent[word]} ({line.problem})" for word, line in lines.items() if line.problem],
        }
        seen = "; ".join(f"{len(bad)} {kind}: {_listed(bad)}" for kind, bad in kinds.items() if bad)
        if seen:
            raise ContractViolation("records that arrived once and well-formed", f"all {len(self.sent)}", seen)
        self.evidence.saw("records delivered", len(lines))
        return lines


def _listed(names: list[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
