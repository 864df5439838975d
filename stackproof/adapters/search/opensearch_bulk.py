"""Bulk requests: what is written, cut into requests that the server takes, and what becomes of each item.

Everything here works without a connection: the sending is a function that is given.

**Versions.** Each write carries a version of its own, greater than any that its item had: the clock, or one more than what the
server has. So a request that was given up, and reaches the server late, has an older version than what was written since, and
the server refuses it. A call that is still running, and is told that its version is not new enough (the clock of
another machine is ahead), takes the next one.
"""

from __future__ import annotations

import json
import random
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from hashlib import blake2b
from typing import Any

from stackproof.adapters.search.checks import utf8_length
from stackproof.interfaces import Document, words_of

from .opensearch_errors import BUSY, is_blocked, reason_of

MAX_KEY_BYTES = 512
"""Of the key of a document in OpenSearch, in UTF-8."""
TITLE_TIMES = 3
"""A word of a title counts as if it were so often in the text."""

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0

_CONFLICT = 409
_NOT_FOUND = 404
_HAS = re.compile(r"current version \[(\d+)\]")
_WRITERS = 10
"""Bits of a version that are the writer's, so that no two writers give the same one in the same microsecond."""


def key_of(tenant: str, document_id: str) -> str:
    """The key of a document: two documents never have the same one.

    The length of the tenant comes first, so that it is known where it ends. What is too long is a digest.
    """
    plain = f"{len(tenant)}:{tenant}{document_id}"
    if utf8_length(plain) <= MAX_KEY_BYTES:
        return plain
    return "#" + blake2b(plain.encode(), digest_size=32).hexdigest()


def routing_of(tenant: str) -> str:
    """Which shard a tenant's documents are in, and which copy of it is asked: in letters that no list or option is made of."""
    return blake2b(tenant.encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Write:
    """One document to be written, or removed."""

    document_id: str
    key: str
    routing: str
    source: bytes | None
    """The document as JSON in one line; None removes it."""

    @classmethod
    def of(cls, document: Document) -> Write:
        title, text = " ".join(words_of(document.title)), " ".join(words_of(document.text))
        source = {
            "tenant": document.tenant,
            "id": document.id,
            "kind": document.kind,
            "title": document.title,
            # Apart, so that no phrase goes on from one into the next: the server leaves a gap between the values of a field.
            "words": [title] * TITLE_TIMES + [text],
        }
        tenant = document.tenant
        return cls(document.id, key_of(tenant, document.id), routing_of(tenant), _line(source))

    @classmethod
    def removal(cls, tenant: str, document_id: str) -> Write:
        return cls(document_id, key_of(tenant, document_id), routing_of(tenant), None)

    def lines(self, version: int) -> bytes:
        """As a bulk request has it."""
        what = "delete" if self.source is None else "index"
        meta = {"_id": self.key, "routing": self.routing, "version": version, "version_type": "external"}
        return _line({what: meta}) + (self.source or b"")

    @property
    def size(self) -> int:
        """About how many bytes of a request it takes."""
        return len(self.key) * 2 + len(self.source or b"") + 150


class End(Enum):
    """What became of an item."""

    DONE = "done"
    MISSING = "there was nothing to remove"
    CONFLICT = "the server has a newer version"
    LATER = "refused for the moment"
    BLOCKED = "the index is read-only, closed or gone"
    REFUSED = "refused for good"


@dataclass(frozen=True, slots=True)
class ItemEnd:
    """What the answer says about one item."""

    end: End
    reason: str = ""
    has: int = 0
    """The version that the server has, where that is the trouble."""

    @classmethod
    def of(cls, item: dict[str, Any]) -> ItemEnd:
        (told,) = item.values()
        status, error = int(told["status"]), told.get("error")
        if error is None:
            return cls(End.MISSING if status == _NOT_FOUND else End.DONE)
        reason = reason_of(error)
        newer = _HAS.search(reason)
        if status == _CONFLICT and newer is not None:
            return cls(End.CONFLICT, reason, int(newer[1]))
        if is_blocked(error):
            return cls(End.BLOCKED, reason)
        return cls(End.LATER if status in BUSY else End.REFUSED, reason)


@dataclass(slots=True)
class Tally:
    """What became of the items of a call so far. It is filled while the call goes on: an error finds there what was done."""

    done: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    """The ids of those that the server will not have, with the reasons."""
    postponed: dict[str, str] = field(default_factory=dict)
    """The ids of those that it refuses now, and might take later."""
    in_doubt: bool = False
    """Whether something that is not done may have been applied all the same, by a request whose connection broke."""

    @property
    def failed(self) -> dict[str, str]:
        return self.refused | self.postponed


class RequestTooLargeError(Exception):
    """The server does not take a request of this size."""


Send = Callable[[bytes], tuple[dict[str, Any], bool]]
"""Sends the body of a bulk request; the answer, and whether it was sent twice since a connection broke. It raises
`RequestTooLargeError` where the server says so."""


class BulkWriter:
    """Sends writes until each is done or refused; those that are refused for the moment alone, after pauses."""

    def __init__(self, send: Send, patience: float, check_open: Callable[[], None]) -> None:
        self._send = send
        self._patience = patience
        self._check_open = check_open
        self._mine = secrets.randbits(_WRITERS)

    def write(self, writes: Sequence[Write], tally: Tally) -> None:
        """Send some writes in one request, or in several where the server finds that too large."""
        try:
            self._until_taken(writes, tally)
        except RequestTooLargeError as error:
            if len(writes) == 1:
                tally.refused[writes[0].document_id] = str(error)
                return
            half = len(writes) // 2
            self.write(writes[:half], tally)
            self.write(writes[half:], tally)

    def _until_taken(self, writes: Sequence[Write], tally: Tally) -> None:
        round_ = _Round([(write, self._version()) for write in writes], tally)
        deadline = time.monotonic() + self._patience
        stalled = 0
        while round_.left:
            self._check_open()
            before = len(round_.left)
            answer, twice = self._send(round_.body())
            round_.take(answer, twice, self._version())
            tally.in_doubt = tally.in_doubt or (twice and bool(round_.left))
            # Where others write the same documents all the time, there is no pause; but an end, too.
            stalled = stalled + 1 if len(round_.left) == before else 0
            pause = _pause(stalled) if round_.postponed else 0.0
            if time.monotonic() + pause > deadline:
                break
            time.sleep(pause)
        for write, _ in round_.left:
            tally.postponed[write.document_id] = round_.reasons.get(write.key, End.CONFLICT.value)

    def _version(self) -> int:
        return (time.time_ns() // 1000 << _WRITERS) | self._mine


class _Round:
    """The writes of one request that are not done yet, each with the version that it has."""

    def __init__(self, left: list[tuple[Write, int]], tally: Tally) -> None:
        self.left = left
        self.reasons: dict[str, str] = {}
        self.postponed = False
        """Whether the last answer put one off."""
        self._tally = tally

    def body(self) -> bytes:
        return b"".join(write.lines(version) for write, version in self.left)

    def take(self, answer: dict[str, Any], twice: bool, now: int) -> None:
        """Strike off what the answer says is done, or will never be."""
        left: list[tuple[Write, int]] = []
        self.postponed = False
        for (write, version), item in zip(self.left, answer["items"], strict=True):
            told = ItemEnd.of(item)
            again = self._again(write, version, told, twice, now)
            if again:
                left.append((write, again))
        self.left = left

    def _again(self, write: Write, version: int, told: ItemEnd, twice: bool, now: int) -> int:
        """The version with which a write is sent again; 0 where it is not."""
        match told.end:
            case End.MISSING:
                return 0
            case End.CONFLICT if not twice and told.has != version:
                return max(now, told.has + 1)
            case End.DONE | End.CONFLICT:
                # It was applied when it was sent the first time; if somebody has replaced it since, that came after it.
                self._tally.done += 1
                return 0
            case End.LATER:
                self.postponed = True
                self.reasons[write.key] = told.reason
                return version
            case End.BLOCKED:
                self._tally.postponed[write.document_id] = told.reason
                return 0
        self._tally.refused[write.document_id] = told.reason
        return 0


def _pause(stalled: int) -> float:
    """Before what was refused is sent again: longer with each time that the server took nothing of it, and never the same."""
    return random.uniform(0.0, min(LONGEST_PAUSE, FIRST_PAUSE * 2**stalled))  # noqa: S311 - no secret


def chunks(writes: Iterable[Write], most: int, most_bytes: int) -> Iterator[list[Write]]:
    """Writes in groups of at most ``most`` and of about ``most_bytes``; one that is larger is alone."""
    chunk: list[Write] = []
    size = 0
    for write in writes:
        if chunk and (len(chunk) == most or size + write.size > most_bytes):
            yield chunk
            chunk, size = [], 0
        chunk.append(write)
        size += write.size
    if chunk:
        yield chunk


def _line(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
