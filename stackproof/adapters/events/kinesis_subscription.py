"""Delivery from the shards of a stream to a handler: in order within each shard, and again until the handler returns."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from stackproof.adapters.aws_errors import THROTTLED, code_of
from stackproof.interfaces import BackendError, ClosedError, Handler

from .common import call_handler, from_json, logger
from .kinesis_stream import Record, Shard, head_of
from .kinesis_tail import Tail
from .running import ThreadedSubscription

IDLE_SECONDS = 0.1
"""The longest pause before an idle subscription looks again; new records end it."""
RETRY_SECONDS = (0.02, 2.0)
"""The first and the longest pause before an event whose handler raised is delivered again."""
TROUBLE_SECONDS = (0.1, 2.0)
"""The first and the longest pause after a question to the service that failed."""


def _pause(between: tuple[float, float], times: int) -> float:
    first, longest = between
    return min(first * 2.0 ** min(times, 16), longest) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret


@dataclass(slots=True, eq=False)
class Cursor:
    """Where a subscription stands in one shard."""

    shard: str
    after: int
    """All records up to this one are done."""
    valid_until: float = float("inf")
    """So long the shard is surely nobody else's."""
    wanted: bool = False
    """Whether somebody waits for the lock, to take it away."""
    dead: bool = False
    """It was taken away: nothing of it may be handled any more."""
    ended: bool = False
    """All records of a closed shard are done."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while something of it is handled."""
    _pending: deque[Record] = field(default_factory=deque)
    _fetched: int = -1
    _closed: bool = False
    _iterator: str = ""
    _not_before: float = 0.0
    _failures: int = 0

    def resting(self, now: float) -> bool:
        return self.dead or self.ended or self.wanted or now < self._not_before or now > self.valid_until

    def fill(self, tail: Tail) -> bool:
        """Fetch what comes next, if anything is there; whether it is."""
        if self._pending or self._closed:
            return bool(self._pending)
        if self._fetched < 0:
            self._fetched = self.after
        found = tail.after(self.shard, self._fetched)
        if found is None:
            self._fetch(tail)
        else:
            self._iterator = ""
            self._add(*found)
        return bool(self._pending)

    def _fetch(self, tail: Tail) -> None:
        """Read by itself, what the tail no longer has."""
        if not tail.pace.ready(self.shard, self):
            return
        iterator, self._iterator = self._iterator, ""  # after an error a new one is asked for: it may have expired
        page = tail.stream.read(iterator or tail.stream.iterator(self.shard, self._fetched))
        tail.pace.gave(self.shard, page.size)
        self._iterator = page.following
        self._add(page.records, not page.following)

    def _add(self, records: Sequence[Record], closed: bool) -> None:
        self._pending.extend(records)
        self._closed = closed
        if records:
            self._fetched = records[-1].sequence

    def next(self) -> Record | None:
        return self._pending[0] if self._pending else None

    def done(self) -> None:
        """The first record that waits is done."""
        self.after = self._pending.popleft().sequence
        self._failures = 0

    def failed(self) -> None:
        """It is not: it comes again, and before it nothing of this shard."""
        self._not_before = time.monotonic() + _pause(RETRY_SECONDS, self._failures)
        self._failures += 1

    def troubled(self, times: int) -> None:
        self._not_before = time.monotonic() + _pause(TROUBLE_SECONDS, times)

    def is_at_the_end(self) -> bool:
        return self._closed and not self._pending


class Source(Protocol):
    """Which shards a subscription reads."""

    def cursors(self) -> Sequence[Cursor]:
        """The shards that it reads now."""

    def ended(self, cursor: Cursor) -> None:
        """A closed shard was read to its end: its children are next."""

    def working(self) -> bool:
        """Whether it knows its shards for certain."""

    def end(self) -> None:
        """The subscription ends, and reads none any more."""


class OwnShards:
    """All shards, from given places on; children when all their parents are done."""

    def __init__(self, shards: Callable[[], Iterable[Shard]], starts: Mapping[str, int], never: Iterable[str]) -> None:
        self._shards = shards
        self._reading = {shard: Cursor(shard, after) for shard, after in starts.items()}
        self._done = set(never)
        """Shards that are read to their end, or were closed before the time of this subscription."""

    def cursors(self) -> Sequence[Cursor]:
        return list(self._reading.values())

    def ended(self, cursor: Cursor) -> None:
        listed = {shard.id: shard for shard in self._shards()}
        cursor.ended = True
        self._reading.pop(cursor.shard, None)
        self._done.add(cursor.shard)
        for shard in listed.values():
            known = shard.id in self._reading or shard.id in self._done
            if not known and all(parent in self._done or parent not in listed for parent in shard.parents):
                self._reading[shard.id] = Cursor(shard.id, 0)

    def working(self) -> bool:
        return True

    def end(self) -> None:
        self._reading = {}


def from_marks(shards: Callable[[], Sequence[Shard]], marks: Mapping[str, int]) -> OwnShards:
    """What comes after these marks. Shards that were closed by then have nothing of it."""
    return OwnShards(shards, marks, [each.id for each in shards() if not each.open and each.id not in marks])


def from_the_start(shards: Callable[[], Sequence[Shard]]) -> OwnShards:
    """All that is kept, parents before their children."""
    listed = shards()
    known = {each.id for each in listed}
    return OwnShards(shards, {each.id: 0 for each in listed if not known.intersection(each.parents)}, ())


class KinesisSubscription(ThreadedSubscription):
    """One thread that goes from shard to shard and calls the handler with the events of its topic, one after the other."""

    def __init__(self, tail: Tail, topic: str, handler: Handler, source: Source) -> None:
        self.topic = topic
        self._tail = tail
        self._handler = handler
        self._source = source
        self._head = head_of(topic)
        self._troubles = 0
        self._told = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"stackproof-kinesis-{topic}", daemon=True)

    def start(self) -> None:
        """From now on the subscription owns one hold of the tail, and its source."""
        self._thread.start()

    @property
    def active(self) -> bool:
        reached = self._tail.reading and not self._told and self._source.working()
        return reached and not self._stop.is_set() and self.running

    def wake(self) -> bool:
        self._tail.wake()
        return True

    # The thread

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                served = [self._serve(cursor) for cursor in self._source.cursors()]
                if not any(served) and not self._stop.is_set():
                    self._tail.wait(IDLE_SECONDS)
        except ClosedError:
            return
        finally:
            self._source.end()
            self._tail.release()

    def _serve(self, cursor: Cursor) -> bool:
        """Handle what is there of one shard; whether there was something."""
        with cursor.lock:
            if self._stop.is_set() or cursor.resting(time.monotonic()):
                return False
            try:
                found = cursor.fill(self._tail)
                if cursor.is_at_the_end():
                    self._source.ended(cursor)
            except ClosedError:
                raise
            except BackendError as error:
                self._lost(cursor, error)
                return False
            self._restored()
            while (record := cursor.next()) and not self._stop.is_set() and not cursor.wanted:
                if time.monotonic() > cursor.valid_until:
                    break
                if not self._handled(record):
                    cursor.failed()
                    break
                cursor.done()
            return found

    def _handled(self, record: Record) -> bool:
        if not record.data.startswith(self._head):
            return True  # of another topic, or a mark
        try:
            event = from_json(record.data[len(self._head) : -1])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            logger.warning("a record of topic %r is no event of ours and was left out: %s", self.topic, error)
            return True
        return call_handler(self._handler, event, self.topic)

    def _lost(self, cursor: Cursor, error: BackendError) -> None:
        if code_of(error) == "ExpiredIteratorException":
            return  # the next question gets a new one, from where it stands
        cursor.troubled(self._troubles)
        self._troubles += 1
        if code_of(error) not in THROTTLED and not self._told and not self._stop.is_set():
            self._told = True
            logger.warning("the subscription to %r cannot read its stream: %s; events wait in it", self.topic, error)

    def _restored(self) -> None:
        self._troubles = 0
        if self._told:
            self._told = False
            logger.warning("the subscription to %r reads its stream again; nothing was missed", self.topic)
