"""Caches that do to their own process what no backend should. Copied beside a test's run and named there as a target.

Importing this makes the suite impatient, so that the tests of hanging backends take seconds.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from typing import NoReturn

import pytest

from stackproof.adapters.cache.memory import MemoryCache
from stackproof.contracts import instances, recorder, smoke
from stackproof.contracts.timelimit import time_limit

smoke.SMOKE_SECONDS = instances.CLOSE_SECONDS = instances.MAKE_SECONDS = 0.5
recorder.time_limit = lambda seconds, what: time_limit(min(seconds, 1.0), what)


def _deaf() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM, signal.SIGINT, signal.SIGTERM})


def _for_ever() -> None:
    threading.Event().wait()


class Later(MemoryCache):
    """What it does it does after the first use, which has two instances."""

    made = 0

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        Later.made += 1
        self.is_later = Later.made > 2


class Hangs(Later):
    def delete(self, key: str) -> bool:
        if self.is_later:
            _for_ever()
        return super().delete(key)


class HangsDeaf(Later):
    """As an extension does that holds the interpreter lock: no signal reaches Python."""

    def delete(self, key: str) -> bool:
        if not self.is_later:
            return super().delete(key)
        _deaf()
        _for_ever()
        return False


class HangsAtTheEnd(MemoryCache):
    def disconnect(self) -> None:
        _for_ever()


class NeverMade(MemoryCache):
    def __init__(self, *, namespace: str = "") -> None:
        _for_ever()


class MadeTwice(Later):
    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        if self.is_later:
            _for_ever()


class NeverMadeDeaf(MemoryCache):
    def __init__(self, *, namespace: str = "") -> None:
        _deaf()
        _for_ever()


class RaisesWhenMade(MemoryCache):
    def __init__(self, *, namespace: str = "") -> None:
        raise BaseException("boo")


class RaisesWhenMadeAgain(Later):
    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        if self.is_later:
            raise BaseException("boo")


class SkipsWhenMade(MemoryCache):
    def __init__(self, *, namespace: str = "") -> None:
        pytest.skip("no mood")


class CallsSkip(Later):
    def delete(self, key: str) -> bool:
        if self.is_later:
            pytest.skip("no mood")
        return super().delete(key)


class CallsXfail(Later):
    def delete(self, key: str) -> bool:
        if self.is_later:
            pytest.xfail("no mood")
        return super().delete(key)


class CallsExit(Later):
    def delete(self, key: str) -> bool:
        if self.is_later:
            pytest.exit("no mood")
        return super().delete(key)


class SkipsAtOnce(MemoryCache):
    def delete(self, key: str) -> bool:
        pytest.skip("no mood")


class Exits(MemoryCache):
    def delete(self, key: str) -> None:
        os._exit(3)


class Crashes(MemoryCache):
    def delete(self, key: str) -> None:
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        ctypes.string_at(0)


class RaisesExit(MemoryCache):
    def delete(self, key: str) -> NoReturn:
        raise SystemExit(0)


class RaisesInterrupt(MemoryCache):
    def delete(self, key: str) -> NoReturn:
        raise KeyboardInterrupt


class ClosesOutput(MemoryCache):
    def set(self, key: str, value: object, ttl: float | None = None) -> None:
        for number in (0, 1, 2):
            try:
                os.write(number, b"\xff\x00 {garbage\n")
                os.close(number)
            except OSError:
                continue  # closed already
        super().set(key, value, ttl)


class Talks(MemoryCache):
    def ping(self) -> bool:
        print("x" * 50_000_000)
        sys.stderr.write("y" * 5_000_000)
        return super().ping()


class Moves(MemoryCache):
    def set(self, key: str, value: object, ttl: float | None = None) -> None:
        os.chdir("/")
        super().set(key, value, ttl)


class StopsTheClock(MemoryCache):
    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        time.time = lambda: 0.0


class LeavesThreads(MemoryCache):
    def ping(self) -> bool:
        threading.Thread(target=_for_ever).start()
        return super().ping()


class LeavesChildren(MemoryCache):
    def ping(self) -> bool:
        if os.fork() == 0:
            os.execvp("sleep", ["sleep", "987"])
        return super().ping()


class Forks(MemoryCache):
    """Both processes go on with the clause, and both tell how it ended."""

    def ping(self) -> bool:
        os.fork()
        return super().ping()
