"""Kafka's protocol, as far as a proxy has to know it: where an answer says at which addresses the brokers are.

Clients connect to the addresses that brokers give, not to those that they began with: so a proxy is gone around unless the
answers lead back to it. Three answers hold addresses. Two more could, of brokers that lead a partition since a moment ago
(KIP-951); those are given from a version on that the answer about versions does not offer here, so that no client asks.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

Place = tuple[str, int]
"""A host and a port."""

PRODUCE, FETCH, METADATA, FIND_COORDINATOR, VERSIONS, DESCRIBE_CLUSTER = 0, 1, 3, 10, 18, 60
NEWEST = {PRODUCE: 9, FETCH: 15, METADATA: 13, FIND_COORDINATOR: 6, VERSIONS: 4, DESCRIBE_CLUSTER: 2}
"""Kind of request -> the newest version of it that is understood here."""
_FIRST_COMPACT = {METADATA: 9, FIND_COORDINATOR: 3, VERSIONS: 3, DESCRIBE_CLUSTER: 0}
"""Kind -> the first version with lengths of variable size, and with tagged fields."""
LARGEST_MESSAGE = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """The head of a request."""

    kind: int
    version: int
    number: int
    """The answer has the same one."""

    @classmethod
    def of(cls, message: bytes) -> Asked:
        return cls(*struct.unpack_from(">hhi", message))

    @property
    def compact(self) -> bool:
        return self.version >= _FIRST_COMPACT.get(self.kind, self.version + 1)


class Messages:
    """Cuts a stream into messages. Each begins with its size, which is not part of what comes out."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def add(self, piece: bytes) -> list[bytes]:
        """The messages that are complete now."""
        self._waiting += piece
        found = []
        while len(self._waiting) >= 4:
            size = int.from_bytes(self._waiting[:4], "big")
            if size > LARGEST_MESSAGE:
                raise ValueError(f"a message of {size} bytes: this is not Kafka's protocol")
            if len(self._waiting) < 4 + size:
                break
            found.append(bytes(self._waiting[4 : 4 + size]))
            del self._waiting[: 4 + size]
        return found


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(4, "big") + message


def number_of(answer: bytes) -> int:
    """The number of the request that this answers."""
    return int.from_bytes(answer[:4], "big", signed=True)


def redirected(answer: bytes, to: Asked, instead: Callable[[Place], Place]) -> bytes:
    """The same answer with other addresses of brokers; as it is, where it holds none."""
    rewrite = _REWRITERS.get(to.kind)
    if rewrite is None:
        return answer
    copy = _Copy(answer, to.compact, instead)
    copy.fixed(4)
    if to.compact and to.kind != VERSIONS:  # whose head stays as it was, for clients that are too new
        copy.tags()
    rewrite(copy, to)
    return copy.finished()


class _Copy:
    """Reads an answer from its beginning and writes it anew, field by field."""

    def __init__(self, answer: bytes, compact: bool, instead: Callable[[Place], Place]) -> None:
        self._from = answer
        self._at = 0
        self._to = bytearray()
        self._compact = compact
        self._instead = instead

    def fixed(self, size: int) -> int:
        """A field of so many bytes; its value as a signed number."""
        piece = self._take(size)
        self._to += piece
        return int.from_bytes(piece, "big", signed=True)

    def count(self) -> int:
        """The length of an array."""
        length = self._length(4)
        self._put_length(length, 4)
        return length

    def text(self) -> None:
        """A text, or none."""
        self._put_text(self._text())

    def place(self) -> None:
        """A host and its port. A coordinator that is not there has neither."""
        host, port = self._text() or b"", int.from_bytes(self._take(4), "big", signed=True)
        if host:
            name, port = self._instead((host.decode(), port))
            host = name.encode()
        self._put_text(host)
        self._to += struct.pack(">i", port)

    def tags(self) -> None:
        """Fields that only newer clients know."""
        number = self._number()
        self._put_number(number)
        for _ in range(number):
            self._put_number(self._number())
            size = self._number()
            self._put_number(size)
            self._to += self._take(size)

    def at_most(self, value: int) -> None:
        """A field of two bytes, lowered to this value where it is higher."""
        found = int.from_bytes(self._take(2), "big", signed=True)
        self._to += struct.pack(">h", min(found, value))

    def finished(self) -> bytes:
        """All of it: the rest is as it was."""
        return bytes(self._to) + self._from[self._at :]

    def _take(self, size: int) -> bytes:
        piece = self._from[self._at : self._at + size]
        if len(piece) < size:
            raise ValueError("an answer that ends too early: this version of Kafka's protocol is another one")
        self._at += size
        return piece

    def _number(self) -> int:
        value = shift = 0
        while True:
            byte = self._take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def _put_number(self, value: int) -> None:
        while value >= 0x80:
            self._to.append(value & 0x7F | 0x80)
            value >>= 7
        self._to.append(value)

    def _length(self, size: int) -> int:
        return self._number() - 1 if self._compact else int.from_bytes(self._take(size), "big", signed=True)

    def _put_length(self, length: int, size: int) -> None:
        if self._compact:
            self._put_number(length + 1)
        else:
            self._to += length.to_bytes(size, "big", signed=True)

    def _text(self) -> bytes | None:
        length = self._length(2)
        return None if length < 0 else self._take(length)

    def _put_text(self, text: bytes | None) -> None:
        self._put_length(-1 if text is None else len(text), 2)
        self._to += text or b""


def _metadata(copy: _Copy, to: Asked) -> None:
    if to.version >= 3:
        copy.fixed(4)  # throttle time
    for _ in range(copy.count()):
        copy.fixed(4)  # broker
        copy.place()
        if to.version >= 1:
            copy.text()  # rack
        if to.compact:
            copy.tags()


def _coordinator(copy: _Copy, to: Asked) -> None:
    if to.version >= 1:
        copy.fixed(4)  # throttle time
    if to.version >= 4:
        for _ in range(copy.count()):
            copy.text()  # key
            copy.fixed(4)  # broker
            copy.place()
            copy.fixed(2)  # error
            copy.text()
            copy.tags()
        return
    copy.fixed(2)  # error
    if to.version >= 1:
        copy.text()
    copy.fixed(4)  # broker
    copy.place()


def _cluster(copy: _Copy, to: Asked) -> None:
    copy.fixed(4 + 2)  # throttle time, error
    copy.text()
    if to.version >= 1:
        copy.fixed(1)  # kind of endpoint
    copy.text()  # cluster
    copy.fixed(4)  # controller
    for _ in range(copy.count()):
        copy.fixed(4)  # broker
        copy.place()
        copy.text()  # rack
        if to.version >= 2:
            copy.fixed(1)  # fenced
        copy.tags()


def _versions(copy: _Copy, to: Asked) -> None:
    if copy.fixed(2):  # an error: the request was too new, and the answer has the oldest form
        return
    for _ in range(copy.count()):
        kind = copy.fixed(2)
        copy.fixed(2)  # oldest
        copy.at_most(NEWEST.get(kind, 0x7FFF))
        if to.compact:
            copy.tags()


_REWRITERS: dict[int, Callable[[_Copy, Asked], None]] = {
    METADATA: _metadata,
    FIND_COORDINATOR: _coordinator,
    DESCRIBE_CLUSTER: _cluster,
    VERSIONS: _versions,
}


class KafkaDialect:
    """One connection of a client: what it asked, and what is still to be answered."""

    def __init__(self, instead: Callable[[Place], Place]) -> None:
        self._instead = instead
        self._requests, self._answers = Messages(), Messages()
        self._asked: dict[int, Asked] = {}

    def requests(self, piece: bytes) -> list[bytes]:
        """What is forwarded to the broker: the same."""
        for message in self._requests.add(piece):
            asked = Asked.of(message)
            if asked.kind in _REWRITERS:
                self._asked[asked.number] = asked
        return [piece]

    def answers(self, piece: bytes) -> list[bytes]:
        """What is forwarded to the client: whole answers, which lead to where they should."""
        found = []
        for message in self._answers.add(piece):
            asked = self._asked.pop(number_of(message), None)
            found.append(framed(message if asked is None else redirected(message, asked, self._instead)))
        return found
