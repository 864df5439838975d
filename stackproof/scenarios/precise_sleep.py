"""Waiting until a moment, to some microseconds: what a dispatcher needs between two arrivals.

gevent counts time in milliseconds (so does epoll), which at 2,000 arrivals a second is two whole gaps. The kernel's own
timer is exact: as a descriptor (timerfd) it can be watched by gevent's loop like a socket, and is not subject to the timer
slack (50 us) of `time.sleep`. What waking up takes is learnt, so that only the difference is spun: some microseconds.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from abc import ABC, abstractmethod
from typing import Any, Self

NATIVE_SPIN_SECONDS = 0.00008
"""`time.sleep` may end so much late: it is asked to end this much early, and the rest is spun. Costs at most 8 % of a core
at 1,000 waits a second."""

LONGEST_LEAD_SECONDS = 0.00012
"""Nobody is woken earlier than this, to spin for the rest: waking up takes 5 to 30 us, and up to 100 us where the processor had
fallen asleep. It is learnt."""
LEARNT = 0.05
"""Share of the last lateness in the next lead."""


class Lead:
    """How much early to ask to be woken so as to be awake in time: what waking up usually takes, and by how much that varies."""

    __slots__ = ("_mean", "_spread", "longest", "seconds")

    def __init__(self, longest: float = LONGEST_LEAD_SECONDS) -> None:
        self.longest = longest
        self.seconds = 0.0
        self._mean = self._spread = 0.0

    def learn(self, late: float) -> None:
        """It took so long after what was asked for."""
        late = min(late, self.longest)
        self._spread += LEARNT * (abs(late - self._mean) - self._spread)
        self._mean += LEARNT * (late - self._mean)
        self.seconds = min(self._mean + self._spread, self.longest)


class PreciseSleeper(ABC):
    """Waits until a moment of `time.perf_counter`. Used by one greenlet, or one thread, at a time.

    Make it in the process that uses it, after any fork: a timer's descriptor is shared with a child.
    """

    @abstractmethod
    def until(self, due: float) -> None:
        """Return at ``due`` or as little later as can be, never before. Others run meanwhile, also where it is past."""

    def sleep(self, seconds: float) -> None:
        """Wait this long from now; what `arrivals.dispatch` calls."""
        self.until(time.perf_counter() + seconds)

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Give back what it holds. Again: does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def green() -> PreciseSleeper:
        """For a greenlet of the calling thread's hub: a kernel timer watched by the hub's loop, or else `gevent.sleep`."""
        return TimerSleeper() if has_timers() else CoarseSleeper()

    @staticmethod
    def native() -> PreciseSleeper:
        """For a thread, in a process that gevent has not patched."""
        return SpinningSleeper()


class CoarseSleeper(PreciseSleeper):
    """`gevent.sleep`, on systems without timer descriptors: late by half a millisecond, 1.1 ms at worst."""

    def __init__(self) -> None:
        import gevent

        self._sleep = gevent.sleep

    def until(self, due: float) -> None:
        self._sleep(max(0.0, due - time.perf_counter()))
        while (left := due - time.perf_counter()) > 0:
            self._sleep(left)


class SpinningSleeper(PreciseSleeper):
    """`time.sleep` for most of the wait, and a short spin for the rest."""

    def __init__(self, spin: float = NATIVE_SPIN_SECONDS) -> None:
        self._spin = spin
        self._sleep = time.sleep

    def until(self, due: float) -> None:
        # A sleep of nothing gives the interpreter lock away, as a callback of a driver's thread may be waiting for it.
        self._sleep(max(0.0, due - time.perf_counter() - self._spin))
        while time.perf_counter() < due:
            pass


# The kernel's timers. Python has them from 3.13 on (`os.timerfd_create`); until then, the C library.

_CLOEXEC_NONBLOCK = os.O_CLOEXEC | os.O_NONBLOCK
_ABSOLUTE = 1
_READ = 1  # of gevent's loops


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Timer(ctypes.Structure):
    _fields_ = (("interval", _Time), ("value", _Time))


def has_timers() -> bool:
    """Whether this system has timers that are descriptors, on the clock of `time.perf_counter`."""
    return (
        sys.platform == "linux"
        and time.get_clock_info("perf_counter").implementation == "clock_gettime(CLOCK_MONOTONIC)"
    )


class KernelTimer:
    """One timer of the kernel, as a descriptor that becomes readable at a moment of `time.perf_counter`. Linux only."""

    def __init__(self) -> None:
        self._value = _Timer()
        self._pointer = ctypes.byref(self._value)
        library = ctypes.CDLL(None, use_errno=True)
        self._settime = library.timerfd_settime
        self._descriptor: int = library.timerfd_create(time.CLOCK_MONOTONIC, _CLOEXEC_NONBLOCK)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create: " + os.strerror(ctypes.get_errno()))

    def fileno(self) -> int:
        """The descriptor, for a selector or a loop."""
        return self._descriptor

    def set(self, due: float) -> None:
        """Become readable then; at once where that is past. What was set before no longer holds."""
        whole = int(due)
        # Rounded up: a timer that fires before `due` would have to be set again.
        self._value.value.seconds, self._value.value.nanoseconds = whole, min(int((due - whole) * 1e9) + 1, 999_999_999)
        if self._settime(self._descriptor, _ABSOLUTE, self._pointer, None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime: " + os.strerror(ctypes.get_errno()))

    def take(self) -> bool:
        """Make it unreadable again; whether it had fired."""
        try:
            os.read(self._descriptor, 8)
        except BlockingIOError:
            return False  # it was set anew meanwhile
        return True

    def close(self) -> None:
        """Give the descriptor back. Again: does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class TimerSleeper(PreciseSleeper):
    """A timer of the kernel in the loop of gevent's hub."""

    def __init__(self) -> None:
        import gevent

        self._getcurrent = gevent.getcurrent
        self._yield = gevent.sleep
        self._hub: Any = gevent.get_hub()
        self._waiting: Any = None
        self._lead = Lead()
        self._timer = KernelTimer()
        # Watched all the time, since starting a watcher is a call of the kernel: a timer that is not set is not readable.
        self._watcher: Any = self._hub.loop.io(self._timer.fileno(), _READ)
        self._watcher.start(self._fired)

    def until(self, due: float) -> None:
        if self._waiting is not None:
            raise RuntimeError("a sleeper serves one greenlet at a time")
        clock = time.perf_counter
        aim = due - self._lead.seconds
        if clock() >= aim:
            self._yield(0)  # also for a wait that is hardly one: those who dispatch quickly must let others run, too
        else:
            self._wait(aim)
            self._lead.learn(clock() - aim)
        while clock() < due:
            pass

    def _wait(self, aim: float) -> None:
        self._waiting = self._getcurrent()
        try:
            while time.perf_counter() < aim:
                self._timer.set(aim)
                self._hub.switch()
        finally:
            self._waiting = None

    def close(self) -> None:
        if self._timer.fileno() >= 0:
            self._watcher.stop()
            self._watcher.close()
            self._timer.close()

    def _fired(self) -> None:
        if self._timer.take() and self._waiting is not None:
            self._waiting.switch()
