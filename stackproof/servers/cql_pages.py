"""Pages of a CQL server that end early, made by a proxy that knows as much of the native protocol (v3, v4) as that takes.

A read says how many rows a page may have: with a smaller number the server itself ends its pages early, and says where they go
on. Every second further page is answered with none of its rows and the place where it began, as servers do that found deleted
rows only: the next question gets them.
"""

from __future__ import annotations

import struct
import threading
from collections import Counter
from dataclasses import dataclass

HEAD = 9
VERSIONS = (3, 4)
QUERY, RESULT, EXECUTE = 0x07, 0x08, 0x0A
ROWS = 2
LARGEST_FRAME = 256 * 1024 * 1024

# What a request says of its values, and an answer of its rows.
_VALUES, _PAGE_SIZE, _PAGING_STATE, _NAMES = 0x01, 0x04, 0x08, 0x40
_GLOBAL_TABLE, _MORE_PAGES, _NO_METADATA = 0x01, 0x02, 0x04
_CUSTOM, _LIST, _MAP, _SET, _UDT, _TUPLE = 0x00, 0x20, 0x21, 0x22, 0x30, 0x31


class CqlPages:
    """The switch for all connections of a proxy, and what happened: "pages cut" and "empty pages"."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self.limit: int | None = None
        """The largest number of rows that a page has from now on; None: as many as the client asks for."""

    def count(self, what: str) -> None:
        with self._lock:
            self._counts[what] += 1

    @property
    def counts(self) -> dict[str, int]:
        with self._lock:
            return dict(self._counts)

    def dialect(self) -> CqlDialect:
        """What understands one connection."""
        return CqlDialect(self)


@dataclass(slots=True)
class _Asked:
    """A read whose page was made smaller."""

    begin: bytes | None
    """Where its page begins; None: at the first row."""
    empties: bool
    """Whether the answer is to have no rows."""


class CqlDialect:
    """One connection of a client: what it asked with smaller pages, and is still to be answered."""

    def __init__(self, pages: CqlPages) -> None:
        self._pages = pages
        self._requests, self._answers = _Frames(), _Frames()
        self._asked: dict[int, _Asked] = {}
        self._empties = False
        """Whether the next further page has no rows."""

    def requests(self, piece: bytes) -> list[bytes]:
        """What is forwarded to the server: whole requests, whose pages are as small as they should."""
        return _together([self._shortened(frame) for frame in self._requests.add(piece)])

    def answers(self, piece: bytes) -> list[bytes]:
        """What is forwarded to the client: whole answers, some of them without their rows."""
        return _together([self._emptied(frame) for frame in self._answers.add(piece)])

    def _shortened(self, frame: bytes) -> bytes:
        limit, (_, flags, stream, kind) = self._pages.limit, _head(frame)
        if limit is None or flags or kind not in (QUERY, EXECUTE):
            return frame
        where, begin = _paging_of(frame, kind)
        if where is None or int.from_bytes(frame[where : where + 4], "big", signed=True) <= limit:
            return frame
        empties = begin is not None and self._empties
        self._empties = begin is not None and not self._empties
        self._asked[stream] = _Asked(begin, empties)
        return frame[:where] + struct.pack(">i", limit) + frame[where + 4 :]

    def _emptied(self, frame: bytes) -> bytes:
        _, flags, stream, kind = _head(frame)
        asked = self._asked.pop(stream, None)
        if asked is None or flags or kind != RESULT or int.from_bytes(frame[HEAD : HEAD + 4], "big") != ROWS:
            return frame
        if asked.empties and asked.begin is not None:
            self._pages.count("empty pages")
            return _without_rows(frame, asked.begin)
        if int.from_bytes(frame[HEAD + 4 : HEAD + 8], "big") & _MORE_PAGES:
            self._pages.count("pages cut")
        return frame


class _Frames:
    """Cuts a stream into frames: a head of nine bytes, the last four of which say how long the rest is."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def add(self, piece: bytes) -> list[bytes]:
        """The frames that are complete now."""
        self._waiting += piece
        found = []
        while len(self._waiting) >= HEAD:
            size = HEAD + int.from_bytes(self._waiting[5:HEAD], "big")
            if self._waiting[0] & 0x7F not in VERSIONS or size > LARGEST_FRAME:
                raise ValueError("this is not CQL's native protocol, or another version of it")
            if len(self._waiting) < size:
                break
            found.append(bytes(self._waiting[:size]))
            del self._waiting[:size]
        return found


class _Reader:
    """Goes through a frame, field by field."""

    def __init__(self, frame: bytes, at: int = HEAD) -> None:
        self.frame = frame
        self.at = at

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big", signed=size == 4)

    def take(self, size: int) -> bytes:
        piece = self.frame[self.at : self.at + size]
        if len(piece) < size:
            raise ValueError("a frame that ends too early: this version of CQL's protocol is another one")
        self.at += size
        return piece

    def text(self) -> None:
        self.take(self.number(2))

    def value(self) -> bytes:
        """Bytes with their length; a length below zero says that there are none."""
        return self.take(max(0, self.number(4)))

    def type(self) -> None:
        kind = self.number(2)
        if kind == _CUSTOM:
            self.text()
        elif kind in (_LIST, _SET):
            self.type()
        elif kind == _MAP:
            self.type()
            self.type()
        elif kind == _TUPLE:
            for _ in range(self.number(2)):
                self.type()
        elif kind == _UDT:
            self.text()
            self.text()
            for _ in range(self.number(2)):
                self.text()
                self.type()


def _head(frame: bytes) -> tuple[int, int, int, int]:
    """Version, flags, number of the stream and kind. An answer has the number of its request."""
    version, flags, stream, kind = struct.unpack_from(">BBhB", frame)
    return version, flags, stream, kind


def _together(frames: list[bytes]) -> list[bytes]:
    """What came at once goes on at once."""
    return [b"".join(frames)] if frames else []


def _paging_of(frame: bytes, kind: int) -> tuple[int | None, bytes | None]:
    """Where a request says how many rows a page may have, and where its page begins; None for what it does not say."""
    reader = _Reader(frame)
    if kind == QUERY:
        reader.value()  # the statement
    else:
        reader.text()  # the number of a prepared one
    reader.take(2)  # consistency
    flags = reader.number(1)
    if flags & _VALUES:
        for _ in range(reader.number(2)):
            if flags & _NAMES:
                reader.text()
            reader.value()
    if not flags & _PAGE_SIZE:
        return None, None
    where = reader.at
    reader.take(4)
    return where, reader.value() if flags & _PAGING_STATE else None


def _without_rows(frame: bytes, begin: bytes) -> bytes:
    """The same answer with none of its rows, that says to go on where it began."""
    reader = _Reader(frame, HEAD + 4)
    flags, columns = reader.number(4), reader.number(4)
    if flags & _MORE_PAGES:
        reader.value()
    described = reader.at
    if not flags & _NO_METADATA:
        if flags & _GLOBAL_TABLE:
            reader.text()
            reader.text()
        for _ in range(columns):
            for _ in range(
                1 if flags & _GLOBAL_TABLE else 3
            ):  # name; before it keyspace and table, where not said once
                reader.text()
            reader.type()
    body = struct.pack(">iiii", ROWS, flags | _MORE_PAGES, columns, len(begin)) + begin
    body += frame[described : reader.at] + struct.pack(">i", 0)
    return frame[:5] + struct.pack(">i", len(body)) + body
