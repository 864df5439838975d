"""The stub server: answers each request a known time after it arrived, and keeps the truth about it.

``python -m stackproof.scenarios.stub_server``; told what to do by ``stub.py``. It speaks so much of Redis' protocol that the
cache adapter is its client: what a connection begins with is answered at once, a command on data after the service time.

Requests do not wait for each other, as if there were any number of servers. To be exact while it shares a core with the
generator that it is a witness of, an arrival counts from the kernel's own stamp of it, and the next answer wakes it by a
kernel timer: epoll counts in milliseconds. What waking up takes is learnt, and so is what sending takes: an answer is there, at
the client's socket, when it is due.
"""

from __future__ import annotations

import contextlib
import gc
import heapq
import json
import os
import selectors
import socket
import struct
import sys
import time
from collections import Counter
from typing import Any

from .histogram import Histogram
from .precise_sleep import LEARNT, KernelTimer, Lead, has_timers
from .stub import Injection, Truth

LEAST_LEAD_SECONDS = 0.000_020
LONGEST_LEAD_SECONDS = 0.000_200
"""The timer wakes it so much early, by what it has learnt of waking up, and it spins for the rest."""
SENDING_SECONDS = 0.000_040
"""Sending is never thought to take longer than this: an answer is at most half of it early."""
LOOK_SECONDS = 0.5
"""How often it looks whether its parent is still there, should the pipe's other end have been inherited by somebody."""
TROUBLES_KEPT = 5
CONNECTIONS = 16_384
_STAMPS = 35  # SO_TIMESTAMPNS, which Python does not name
_STAMP = struct.Struct("@ll")


class Requests:
    """What one connection says, cut into commands."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, piece: bytes) -> list[list[bytes]]:
        """The commands that are complete now that this has come; `ValueError` for what is no command."""
        self._pending += piece
        found = []
        while (taken := _command(self._pending)) is not None:
            words, length = taken
            self._pending = self._pending[length:]
            found.append(words)
        return found


def _command(text: bytes) -> tuple[list[bytes], int] | None:
    """The first command and its length; None where its end has not come yet."""
    end = text.find(b"\r\n")
    if end < 0:
        return None
    if text[:1] != b"*":
        raise ValueError("a command is an array")
    words, at = [], end + 2
    for _ in range(int(text[1:end])):
        end = text.find(b"\r\n", at)
        if end < 0:
            return None
        if text[at : at + 1] != b"$":
            raise ValueError("a word of a command is a bulk string")
        start, length = end + 2, int(text[at + 1 : end])
        at = start + length + 2
        if len(text) < at:
            return None
        words.append(text[start : start + length])
    return words, at


class Data:
    """What the commands mean, as far as the cache adapter needs them."""

    AT_ONCE = frozenset(b"AUTH CLIENT COMMAND CONFIG ECHO HELLO INFO PING QUIT SCAN SELECT".split())
    """What a connection begins with, and what looks after one: no part of the load."""

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}

    def answer(self, words: list[bytes]) -> bytes:
        """The answer to one command."""
        name, *arguments = words
        match name.upper(), arguments:
            case b"GET", [key]:
                return bulk(self._values.get(key))
            case b"SET", [key, value, *_]:
                self._values[key] = value
                return b"+OK\r\n"
            case b"DEL" | b"UNLINK", keys:
                return b":%d\r\n" % sum(self._values.pop(key, None) is not None for key in keys)
            case b"PING", _:
                return b"+PONG\r\n"
            case b"ECHO", [text]:
                return bulk(text)
            case b"AUTH" | b"CLIENT" | b"SELECT" | b"QUIT", _:
                return b"+OK\r\n"
            case b"INFO", _:
                return bulk(b"redis_version:7.0.0\r\nrole:master\r\n")
            case b"HELLO", [version, *_]:
                begin = b"%3" if version == b"3" else b"*6"
                return (
                    begin
                    + b"\r\n"
                    + bulk(b"server")
                    + bulk(b"stub")
                    + bulk(b"proto")
                    + b":"
                    + version
                    + (b"\r\n" + bulk(b"role") + bulk(b"master"))
                )
            case b"SCAN", _:
                return b"*2\r\n" + bulk(b"0") + b"*%d\r\n" % len(self._values) + b"".join(map(bulk, self._values))
            case b"COMMAND" | b"CONFIG", _:
                return b"*0\r\n"
        return b"-ERR unknown command '%s'\r\n" % name[:40]


def bulk(text: bytes | None) -> bytes:
    return b"$-1\r\n" if text is None else b"$%d\r\n%s\r\n" % (len(text), text)


class Client:
    """One connection."""

    __slots__ = ("open", "requests", "side")

    def __init__(self, side: socket.socket) -> None:
        self.side = side
        self.requests = Requests()
        self.open = True

    def read(self) -> tuple[bytes, float | None]:
        """What has come, and the kernel's stamp of its arrival, in seconds since the epoch."""
        piece, beside, _, _ = self.side.recvmsg(65536, 64)
        for level, kind, stamp in beside:
            if (level, kind) == (socket.SOL_SOCKET, _STAMPS):
                seconds, nanoseconds = _STAMP.unpack(stamp[: _STAMP.size])
                return piece, seconds + nanoseconds / 1e9
        return piece, None


class Stub:
    """The loop: take what arrives, answer what is due."""

    def __init__(self, orders: int, out: int) -> None:
        self._orders, self._out = orders, out
        self._said = b""
        self._parent = os.getppid()
        self._ended = False
        self._data = Data()
        self._due: list[tuple[float, int, float, Client, bytes]] = []
        self._selector = selectors.DefaultSelector()
        self._timer = KernelTimer() if has_timers() else None
        self._armed = 0.0
        self._lead = Lead(LONGEST_LEAD_SECONDS)
        self._sending = 0.0
        """What the kernel usually takes to send an answer: half of that later it is at the other end."""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(orders, selectors.EVENT_READ, self._obey)
        if self._timer is not None:
            self._selector.register(self._timer, selectors.EVENT_READ, self._woken)
        self._inject(Injection(0.0))

    def run(self) -> None:
        """Until whoever gives the orders is gone."""
        self._tell({"port": self._listener.getsockname()[1]})
        while not self._ended and os.getppid() == self._parent:
            for key, _ in self._selector.select(self._patience()):
                key.data()
            self._answer()

    def _patience(self) -> float:
        """How long nothing is due; where there are timers, one is set for it."""
        if not self._due:
            return LOOK_SECONDS
        wake = self._due[0][0] - self._early()
        left = wake - time.perf_counter()
        if left <= 0:
            return 0.0
        if self._timer is None:
            return min(left, LOOK_SECONDS)
        self._armed = wake
        self._timer.set(wake)
        return LOOK_SECONDS

    def _early(self) -> float:
        """How much before an answer is due it must be awake."""
        return max(LEAST_LEAD_SECONDS, self._lead.seconds) + self._sending

    def _woken(self) -> None:
        if self._timer is not None and self._timer.take():
            self._lead.learn(time.perf_counter() - self._armed)

    def _answer(self) -> None:
        """Send what is due, and what will be in a moment."""
        due, clock = self._due, time.perf_counter
        while due and due[0][0] - self._early() <= clock():
            when, _, arrival, client, text = heapq.heappop(due)
            aim = when - self._sending / 2
            while (began := clock()) < aim:
                pass
            self._send(client, text)
            took = clock() - began
            there = began + took / 2
            took = min(took, SENDING_SECONDS)
            # Rises slowly, so that a busy moment does not make answers early.
            self._sending += LEARNT * (took - self._sending) / (4 if took > self._sending else 1)
            self._answers += 1
            self._given.record(there - arrival)
            self._late.record(max(0.0, there - when))

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                side, _ = self._listener.accept()
                side.setblocking(False)
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._timer is not None:
                    side.setsockopt(socket.SOL_SOCKET, _STAMPS, 1)
                client = Client(side)
                self._selector.register(side, selectors.EVENT_READ, lambda client=client: self._read(client))

    def _read(self, client: Client) -> None:
        try:
            piece, stamp = client.read()
            commands = client.requests.feed(piece)
        except BlockingIOError:
            return
        except (OSError, ValueError) as error:
            self._drop(client, "" if isinstance(error, ConnectionResetError) else str(error))
            return
        if not piece:
            self._drop(client, "")
            return
        now = time.perf_counter()
        arrival = now if stamp is None else min(now, now - (time.time() - stamp))
        for words in commands:
            self._take(client, words, arrival)

    def _take(self, client: Client, words: list[bytes], arrival: float) -> None:
        answer = self._data.answer(words)
        if answer.startswith(b"-"):
            self._trouble(answer[1:].decode(errors="replace").strip())
        if words[0].upper() in Data.AT_ONCE:
            self._send(client, answer)
            return
        if not self._arrivals:
            self._first = arrival
        due = self._first + self._injection.answered(arrival - self._first)
        self._stalled += due - arrival > self._injection.service + 1e-6
        self._arrivals += 1
        heapq.heappush(self._due, (due, self._arrivals, arrival, client, answer))

    def _send(self, client: Client, text: bytes) -> None:
        if not client.open:
            return
        try:
            whole = client.side.send(text) == len(text)
        except BlockingIOError:
            whole = False
        except OSError:  # it is gone; what it sent to us says so, too
            return
        if not whole:
            self._drop(client, "a client does not read its answers")

    def _drop(self, client: Client, why: str) -> None:
        if why:
            self._trouble(why)
        if client.open:
            client.open = False
            self._selector.unregister(client.side)
            client.side.close()

    def _trouble(self, why: str) -> None:
        if why in self._troubles or len(self._troubles) < TROUBLES_KEPT:
            self._troubles[why] += 1

    # What its parent says, and hears.

    def _obey(self) -> None:
        piece = os.read(self._orders, 65536)
        if not piece:
            self._ended = True
            return
        *lines, self._said = (self._said + piece).split(b"\n")
        for line in lines:
            order = json.loads(line)
            if "inject" in order:
                self._inject(Injection.from_data(order["inject"]))
                self._tell({"injecting": True})
            else:
                self._tell(self._truth().to_data())

    def _inject(self, injection: Injection) -> None:
        self._injection = injection
        self._first = 0.0
        self._arrivals: int = 0
        self._answers: int = 0
        self._stalled: int = 0
        self._given, self._late = Histogram(), Histogram()
        self._troubles: Counter[str] = Counter()
        self._due.clear()  # whoever still waits for an answer to what was before gets none

    def _truth(self) -> Truth:
        troubles = tuple(f"{why} ({count} times)" for why, count in self._troubles.items())
        return Truth(
            self._injection,
            self._arrivals,
            self._answers,
            self._stalled,
            len(self._due),
            self._given,
            self._late,
            troubles,
        )

    def _tell(self, words: dict[str, Any]) -> None:
        line = json.dumps(words).encode() + b"\n"
        while line:
            line = line[os.write(self._out, line) :]


def main() -> int:
    _allow_connections()
    gc.disable()  # it makes no cycles, and a collection would be lateness
    try:
        Stub(sys.stdin.fileno(), sys.stdout.fileno()).run()
    except BrokenPipeError:
        return 0  # the parent went while it was told something
    return 0


def _allow_connections() -> None:
    """A stall of a second at 2,000 requests a second is 2,000 connections."""
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS if hard == resource.RLIM_INFINITY else min(CONNECTIONS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    sys.exit(main())
