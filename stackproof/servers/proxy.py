"""A TCP proxy on the loopback address, with faults that can be switched while it runs.

It stands between an adapter and its server, in threads of this process, and needs neither root nor Docker. It counts
what each fault really did, so that a test can prove that its fault happened.
"""

from __future__ import annotations

import contextlib
import math
import select
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from types import TracebackType
from typing import Protocol, Self

from .ports import LOOPBACK

CHUNK = 64 * 1024
"""How many bytes are read at once. A short message of a client that waits for its answer is one chunk."""
CONNECT_SECONDS = 5.0
"""How long connecting to the server may take."""
CLOSE_SECONDS = 5.0
"""How long `close` waits for the threads; each of them ends as soon as its sockets do."""
STALL_MILLISECONDS = 100
"""How often a thread whose peer does not read looks whether its connection was ended."""
HELD_SECONDS = 0.005
"""How often it is looked whether what was held in a stall has gone on."""
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with zero seconds: closing sends RST instead of FIN


class Way(Enum):
    """The direction that bytes take."""

    REQUESTS = "requests"
    """From the client to the server."""
    ANSWERS = "answers"
    """From the server to the client."""


class Dialect(Protocol):
    """What one connection says, for a proxy that has to understand it: whole messages, changed where they must be."""

    def requests(self, piece: bytes) -> list[bytes]:
        """What goes on to the server, now that this has come. Each is one chunk for the faults."""

    def answers(self, piece: bytes) -> list[bytes]:
        """The same for what goes on to the client."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """What happens to the bytes of one way. Never changed, only replaced: a chunk is carried under one rule."""

    latency: float = 0.0
    stall_from: float = math.inf
    stall_to: float = math.inf
    """Of `time.monotonic`: what would go on within it goes on at its end, after its latency."""
    drops: bool = False
    spared: int = 0
    """So many chunks still pass before the dropping begins."""
    reset_after: int | None = None
    """So many bytes still pass before both sides get a reset; once, then the rule is over."""
    instead_of_chunk: bool = False
    """``reset_after`` counts chunks, and the one that is due is lost as a whole."""
    bytes_per_second: float = 0.0

    def stalls(self, now: float) -> bool:
        """Whether a chunk that comes now is held to the end of the stall."""
        return self.stall_from <= now + self.latency and now < self.stall_to < math.inf


class _Link:
    """One connection of a client, and the one to the server that belongs to it."""

    def __init__(self, client: socket.socket, server: socket.socket, dialect: Dialect | None) -> None:
        self.client = client
        self.server = server
        self.dialect = dialect
        self.lossy = False
        """Whether bytes of it were dropped: then it cannot be used again when the fault is over."""
        self.over = threading.Event()
        """Set as soon as it is ended: whoever waits in the middle of a chunk gives up."""
        self.held = dict.fromkeys(Way, 0)
        """Chunks that wait for the end of a stall; what comes after them waits behind them."""
        self._lock = threading.Lock()
        self._open_ways = 2

    def end(self) -> bool:
        """Reset both sides; false where it was over already."""
        with self._lock:  # the sockets are closed under it, too: nobody touches a descriptor that is given back
            if self.over.is_set():
                return False
            self.over.set()
            for side in (self.client, self.server):
                _reset_on_close(side)
                _shut(side, socket.SHUT_RD)  # wakes the thread that reads it
        return True

    def send_held(self, chunk: bytes, target: socket.socket) -> None:
        """Send a chunk from another thread than the one that carries this way: the sockets may be closed meanwhile."""
        while chunk:
            with self._lock:
                if self.over.is_set():
                    return
                with contextlib.suppress(BlockingIOError):  # the peer does not read
                    chunk = chunk[target.send(chunk, socket.MSG_DONTWAIT) :]
            if chunk:
                self.over.wait(HELD_SECONDS)

    def chunks(self, way: Way, piece: bytes) -> list[bytes]:
        """What is carried on, now that this has come."""
        if self.dialect is None:
            return [piece]
        return self.dialect.requests(piece) if way is Way.REQUESTS else self.dialect.answers(piece)

    def way_ended(self) -> bool:
        """Called by each of the two threads as it ends; the second one closes the sockets, and gets True."""
        with self._lock:
            self._open_ways -= 1
            if self._open_ways:
                return False
            self.over.set()
            self.client.close()
            self.server.close()
        return True


@dataclass(frozen=True, slots=True)
class _Held:
    """A chunk that goes on when a stall is over, at ``due`` of `time.monotonic`."""

    due: float
    link: _Link
    way: Way
    chunk: bytes
    target: socket.socket


class FaultProxy:
    """Forwards each connection to a server. Faults hold for connections that are open and for those that come.

    ``counts`` says what happened: "connections", "refused", "cut" and "reset" (connections), "dropped", "delayed", "stalled" and
    "slowed" (chunks), "dropped bytes", "unreachable" (the server did not take the connection).

    ``dialect`` makes what understands a connection, where the bytes cannot go on as they are; then a chunk is a whole message.
    """

    def __init__(self, host: str, port: int, dialect: Callable[[], Dialect] | None = None) -> None:
        self._server = (host, port)
        self._dialect = dialect
        self._lock = threading.Lock()
        self._rules = dict.fromkeys(Way, _Rule())
        self._refuses = False
        self._counts: Counter[str] = Counter()
        self._links: set[_Link] = set()
        self._threads: set[threading.Thread] = set()
        self._held: deque[_Held] = deque()
        self._releasing = False
        self._closed = threading.Event()
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept, "accept")

    # The faults. Each replaces the one before it on its way.

    def latency(self, seconds: float, way: Way = Way.ANSWERS) -> None:
        """Hold back each chunk for so long. What is held when the fault ends still comes late."""
        self._set(way, _Rule(latency=seconds))

    def stall(self, seconds: float, *, after: float = 0.0, latency: float = 0.0, way: Way = Way.ANSWERS) -> None:
        """Beginning ``after`` so many seconds, hold every chunk until the stall is over: none is lost, and all come at once.

        ``latency`` is what each chunk is held back besides, before, within and after it.
        """
        begins = time.monotonic() + after
        self._set(way, _Rule(latency=latency, stall_from=begins, stall_to=begins + seconds))

    def black_hole(self) -> None:
        """Connections are accepted and stay open; nothing is forwarded in either direction."""
        for way in Way:
            self.half_open(way)

    def half_open(self, way: Way, spared: int = 0) -> None:
        """One direction is dead, the other one lives. The first ``spared`` chunks still pass."""
        self._set(way, _Rule(drops=True, spared=spared))

    def reset_after(self, count: int, way: Way = Way.ANSWERS) -> None:
        """Forward so many bytes, then reset the connection on both sides. Once."""
        self._set(way, _Rule(reset_after=count))

    def reset_answer(self, spared: int = 0) -> None:
        """Lose the server's next chunk (after ``spared`` ones) and reset its connection instead. Once."""
        self._set(Way.ANSWERS, _Rule(reset_after=spared, instead_of_chunk=True))

    def slow(self, bytes_per_second: float, way: Way = Way.ANSWERS) -> None:
        """Forward no faster than this."""
        self._set(way, _Rule(bytes_per_second=bytes_per_second))

    def refuse(self) -> None:
        """Cut what is open, and reset each new connection as soon as it is accepted."""
        with self._lock:
            self._refuses = True
        self.cut()

    def cut(self) -> int:
        """Reset all connections that are open now; how many there were."""
        with self._lock:
            links = list(self._links)
        ended = sum(link.end() for link in links)
        self._count("cut", ended)
        return ended

    def heal(self) -> None:
        """End every fault. A connection that lost bytes is reset: what came next on it would make no sense."""
        with self._lock:
            self._rules = dict.fromkeys(Way, _Rule())
            self._refuses = False
            lossy = [link for link in self._links if link.lossy]
        for link in lossy:
            link.end()

    @property
    def counts(self) -> dict[str, int]:
        """What happened since the proxy was made."""
        with self._lock:
            return dict(self._counts)

    @property
    def open_connections(self) -> int:
        with self._lock:
            return len(self._links)

    def close(self) -> None:
        """Reset every connection, stop listening, and end every thread. Again: does nothing."""
        self._closed.set()
        _shut(self._listener, socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        joined: set[threading.Thread] = set()
        while threads := self._begun() - joined:  # also what those have begun that are waited for
            for thread in threads:
                thread.join(CLOSE_SECONDS)
            joined |= threads

    def _begun(self) -> set[threading.Thread]:
        with self._lock:
            return set(self._threads)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _set(self, way: Way, rule: _Rule) -> None:
        with self._lock:
            self._rules[way] = rule

    def _count(self, what: str, number: int = 1) -> None:
        with self._lock:
            self._counts[what] += number

    # The threads: one accepts, two carry the bytes of each connection.

    def _start(self, work: Callable[[], None], name: str) -> None:
        def run() -> None:
            try:
                work()
            finally:
                with self._lock:
                    self._threads.discard(thread)

        thread = threading.Thread(target=run, name=f"stackproof-proxy-{name}", daemon=True)
        with self._lock:  # `close` finds none that has not begun: it could not wait for that
            self._threads.add(thread)
            thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # `close` shut the listener
                return
            with self._lock:
                refused = self._refuses
            if refused or self._closed.is_set():
                self._count("refused")
                _reset(client)
            else:
                self._start(lambda client=client: self._serve(client), "connect")  # type: ignore[misc]

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._server, CONNECT_SECONDS)
        except OSError:
            self._count("unreachable")
            _reset(client)
            return
        server.settimeout(None)
        for side in (client, server):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = _Link(client, server, self._dialect() if self._dialect is not None else None)
        with self._lock:
            self._links.add(link)
            self._counts["connections"] += 1
            late = self._refuses or self._closed.is_set()
        if late:
            link.end()
        self._start(lambda: self._carry(link, Way.REQUESTS, client, server), "requests")
        self._carry(link, Way.ANSWERS, server, client)

    def _carry(self, link: _Link, way: Way, source: socket.socket, target: socket.socket) -> None:
        try:
            while piece := source.recv(CHUNK):
                for chunk in link.chunks(way, piece):
                    if not self._forward(link, way, chunk, target):
                        return
            while link.held[way] and not self._closed.is_set() and not link.over.wait(HELD_SECONDS):
                pass
            if not link.lossy and not link.over.is_set():  # a dead direction does not tell of the end either
                _shut(target, socket.SHUT_WR)
        except OSError:  # one side is gone, so the other one has to go
            link.end()
        except ValueError:  # nor can it be carried on by who does not understand it
            self._count("not understood")
            link.end()
        finally:
            if link.way_ended():
                with self._lock:
                    self._links.discard(link)

    def _forward(self, link: _Link, way: Way, chunk: bytes, target: socket.socket) -> bool:
        """Carry one chunk under the rule of this moment; false where the connection was ended."""
        rule = self._take_rule(way, len(chunk))
        if rule.drops and not rule.spared:
            link.lossy = True
            self._count("dropped")
            self._count("dropped bytes", len(chunk))
            return True
        if rule.reset_after is not None:
            if not rule.instead_of_chunk:
                _send(link, chunk[: rule.reset_after], target)
            self._count("reset", link.end())
            return False
        now = time.monotonic()
        if rule.stalls(now) or link.held[way]:
            self._count("stalled")
            due = rule.stall_to + rule.latency if rule.stalls(now) else now
            self._hold(_Held(due, link, way, chunk, target))
            return True
        if rule.latency:
            self._count("delayed")
            link.over.wait(rule.latency)
        if rule.bytes_per_second:
            self._count("slowed")
            return _trickle(link, chunk, target, rule.bytes_per_second)
        return _send(link, chunk, target)

    def _hold(self, held: _Held) -> None:
        """One thread releases everything: of thousands that woke at the same time, each would wait for all others."""
        with self._lock:
            held.link.held[held.way] += 1
            self._held.append(held)
            starts, self._releasing = not self._releasing, True
        if starts:
            self._start(self._release, "release")

    def _release(self) -> None:
        while True:
            with self._lock:
                if not self._held:
                    self._releasing = False
                    return
                held = self._held.popleft()
            left = held.due - time.monotonic()
            if self._closed.wait(left) if left > 0 else self._closed.is_set():
                return
            try:
                held.link.send_held(held.chunk, held.target)
            except OSError:
                held.link.end()
            with self._lock:
                held.link.held[held.way] -= 1

    def _take_rule(self, way: Way, size: int) -> _Rule:
        """The rule for a chunk of this size; what it still spares becomes less with each."""
        with self._lock:
            rule = self._rules[way]
            if rule.drops and rule.spared:
                self._rules[way] = replace(rule, spared=rule.spared - 1)
            elif rule.reset_after is not None:
                left = rule.reset_after - (1 if rule.instead_of_chunk else size)
                if left >= 0:
                    self._rules[way] = replace(rule, reset_after=left)
                    return _Rule()
                self._rules[way] = _Rule()
            return rule


def _send(link: _Link, chunk: bytes, target: socket.socket) -> bool:
    """Send all of it, unless the connection is ended meanwhile: a peer that does not read must not hold a thread."""
    writable = None
    while chunk and not link.over.is_set():
        try:
            chunk = chunk[target.send(chunk, socket.MSG_DONTWAIT) :]
        except BlockingIOError:
            if writable is None:  # made only where it is needed: a peer mostly reads
                writable = select.poll()
                writable.register(target, select.POLLOUT)
            writable.poll(STALL_MILLISECONDS)
    return not chunk


def _trickle(link: _Link, chunk: bytes, target: socket.socket, bytes_per_second: float) -> bool:
    step = max(1, int(bytes_per_second / 50))
    for start in range(0, len(chunk), step):
        if link.over.wait(step / bytes_per_second) or not _send(link, chunk[start : start + step], target):
            return False
    return True


def _shut(side: socket.socket, how: int) -> None:
    try:
        side.shutdown(how)
    except OSError:
        return  # it was not connected any more, which is what is wanted


def _reset_on_close(side: socket.socket) -> None:
    try:
        side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    except OSError:
        return  # some systems refuse it once the peer has reset the connection, which is what is wanted


def _reset(side: socket.socket) -> None:
    _reset_on_close(side)
    side.close()
