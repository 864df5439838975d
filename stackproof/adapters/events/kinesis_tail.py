"""The end of a stream, read once for all subscriptions of a publisher: a shard answers five questions a second, in all.

`Tail` asks each shard in turn, in one thread, and keeps the last records in a `Window`. Whoever stands within the window reads
from it; whoever stands before it (a replay, a group that comes back) reads by itself, at the same pace, until it gets there.
"""

from __future__ import annotations

import os
import random
import threading
import time
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field

from stackproof.adapters.aws_errors import THROTTLED, code_of
from stackproof.interfaces import BackendError, ClosedError

from .common import logger
from .kinesis_stream import Page, Record, Stream

POLL_SECONDS = 0.25
"""The least time between two questions to a shard. It answers five a second, which all readers share."""
FORGOTTEN_SECONDS = 0.5
"""Who wanted to ask a shard and has not said so again for so long, has gone."""
READ_BYTES = 2 * 1024 * 1024
"""What a shard gives in a second."""
WINDOW_BYTES = 8 * 1024 * 1024
"""So much of each shard is kept for those who are a little behind."""
BACK_OFF_SECONDS = (0.25, 2.0)
"""The first and the longest pause after an answer that was none; each is shortened at random by up to a half."""


class Pace:
    """When each shard may be asked again, and by whom of this publisher: by the one who has waited for it longest."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}
        self._waiting: dict[str, dict[object, float]] = {}
        """Shard -> who wants to ask it, in the order in which they came, and when each last said so."""
        self._lock = threading.Lock()

    def ready(self, shard: str, who: object) -> bool:
        """Whether the shard may be asked now; then the turn is taken. Who is told no asks again."""
        with self._lock:
            now = time.monotonic()
            waiting = self._waiting.setdefault(shard, {})
            waiting[who] = now
            if now < self._next.get(shard, 0.0):
                return False
            for other, said in list(waiting.items()):
                if other is who:
                    break
                if now - said < FORGOTTEN_SECONDS:
                    return False
                del waiting[other]
            del waiting[who]
            self._next[shard] = now + POLL_SECONDS
            return True

    def gave(self, shard: str, size: int) -> None:
        """So much came: the next turn is when the shard can give more."""
        self.wait(shard, size / READ_BYTES)

    def wait(self, shard: str, seconds: float) -> None:
        with self._lock:
            self._next[shard] = max(self._next.get(shard, 0.0), time.monotonic() + seconds)


@dataclass(slots=True)
class Window:
    """The records of a shard that come after ``start``, without a gap, as far as they have been read."""

    start: int
    records: list[Record] = field(default_factory=list)
    size: int = 0
    closed: bool = False
    """Whether the shard ends here."""
    iterator: str = ""
    troubles: int = 0

    @property
    def end(self) -> int:
        return self.records[-1].sequence if self.records else self.start

    def add(self, page: Page) -> None:
        self.records += page.records
        self.size += page.size
        self.iterator, self.closed = page.following, not page.following
        gone = 0
        while self.size > WINDOW_BYTES and gone < len(self.records) - 1:
            self.size -= len(self.records[gone].data)
            self.start = self.records[gone].sequence
            gone += 1
        del self.records[:gone]

    def after(self, sequence: int) -> tuple[list[Record], bool] | None:
        """What comes after a record, and whether that is all that will ever come; None where this window begins later."""
        if sequence < self.start:
            return None
        return self.records[bisect_right(self.records, sequence, key=lambda each: each.sequence) :], self.closed


class Tail:
    """Reads the end of a stream as long as somebody holds it."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self.pace = Pace()
        self.connected = True
        self._windows: dict[str, Window] = {}
        self._holders = 0
        self._holds = 0
        """How often it has been held."""
        self._closed = False
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None

    def hold(self, marks: Mapping[str, int]) -> None:
        """Read from these marks on, until `release`. Reading that has begun goes on where it is.

        The service has just answered: what becomes of a question that was asked before is no news.
        """
        if self._process != os.getpid():  # forked: the thread and the holders are the parent's
            self._begin()
        self._restored()
        with self._lock:
            self._holders += 1
            self._holds += 1
            for shard, mark in marks.items():
                self._windows.setdefault(shard, Window(mark))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="stackproof-kinesis-tail", daemon=True)
                self._thread.start()

    def release(self) -> None:
        """The last one who releases it ends the reading."""
        with self._lock:
            self._holders -= 1
            if not self._holders:
                self._windows = {}
                self._changed.notify_all()

    def close(self, seconds: float) -> None:
        """End the reading. A question that is under way is waited for, so long at most."""
        if self._process != os.getpid():
            return
        with self._lock:
            self._closed = True
            thread = self._thread
            self._changed.notify_all()
        if thread is not None and thread.is_alive():
            thread.join(seconds)

    @property
    def reading(self) -> bool:
        """Whether the stream is being read, as far as anybody knows."""
        thread = self._thread
        return self.connected and thread is not None and thread.is_alive()

    def after(self, shard: str, sequence: int) -> tuple[list[Record], bool] | None:
        """As `Window.after`; None also where this shard is not read here."""
        with self._lock:
            window = self._windows.get(shard)
            return window.after(sequence) if window is not None else None

    def wait(self, seconds: float) -> None:
        """Until something new is here, or so long."""
        with self._lock:
            self._changed.wait(seconds)

    def wake(self) -> None:
        """Let nobody wait."""
        with self._lock:
            self._changed.notify_all()

    # The thread

    def _run(self) -> None:
        while True:
            with self._lock:
                if self._closed or not self._holders:
                    self._thread = None
                    return
                windows = [(shard, window) for shard, window in self._windows.items() if not window.closed]
            for shard, window in windows:
                if self.pace.ready(shard, self):
                    try:
                        self._read(shard, window)
                    except ClosedError:
                        return
            with self._lock:
                if not self._closed and self._holders:
                    self._changed.wait(POLL_SECONDS / 10)

    def _read(self, shard: str, window: Window) -> None:
        asked = self._holds
        try:
            if not window.iterator:
                window.iterator = self.stream.iterator(shard, window.end)
            page = self.stream.read(window.iterator)
            children = self._children(shard) if not page.following else []
        except ClosedError:
            raise
        except BackendError as error:
            self._failed(shard, window, error, news=asked == self._holds)
            return
        self._restored()
        window.troubles = 0
        self.pace.gave(shard, page.size)
        with self._lock:
            window.add(page)
            if self._holders:
                for child in children:
                    self._windows.setdefault(child, Window(0))
            if page.records or not page.following:
                self._changed.notify_all()

    def _children(self, shard: str) -> list[str]:
        return [each.id for each in self.stream.shards() if shard in each.parents]

    def _failed(self, shard: str, window: Window, error: BackendError, news: bool) -> None:
        """Ask again later, from the last record that came: the old iterator may have expired."""
        window.iterator = ""
        if code_of(error) == "ExpiredIteratorException":
            return
        pause = min(BACK_OFF_SECONDS[0] * 2**window.troubles, BACK_OFF_SECONDS[1])
        window.troubles += 1
        self.pace.wait(shard, pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
        if news and code_of(error) not in THROTTLED and self.connected and not self._closed:
            self.connected = False
            text = "the Kinesis stream %s cannot be read: %s; events wait in it"
            logger.warning(text, self.stream.name, error)

    def _restored(self) -> None:
        if not self.connected:
            self.connected = True
            logger.warning("the Kinesis stream %s is read again; nothing was missed", self.stream.name)
