"""Processes that a clause forks: what they say, how they end, and that they touch nothing of their parent."""

from __future__ import annotations

import atexit
import ctypes
import faulthandler
import logging
import os
import selectors
import signal
import sys
import threading
import time
import traceback
import warnings
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import pytest

GRIP_SECONDS = 5.0
"""How long the pipes of a child that was killed are read: it is gone at once, but a child of its own may hold them."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended."""

    said: str
    """What it said, and what its function returned."""
    complaints: str
    """What it wrote to standard error."""
    in_time: bool
    status: int
    """Its exit code; negative for a signal."""


class Child:
    """A forked child that runs a function.

    Without ``whole_end`` it leaves at once, as a worker of a pre-forking server that is killed. With it the interpreter
    ends as that of any program does: threads are waited for, exit functions run, everything is finalised.
    """

    def __init__(self, function: Callable[[], str], whole_end: bool = False) -> None:
        if not hasattr(os, "fork"):
            pytest.skip("there is no fork on this system")
        if whole_end:
            # Its timer (pytest's option faulthandler_timeout) is a thread, which the child does not have: it would wait for that
            # at its end for ever, and the backend be blamed.
            faulthandler.cancel_dump_traceback_later()
        answers, errors = os.pipe(), os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads and fork: it is what is tried here
            self._id = os.fork()
        if not self._id:
            _run(function, answers[1], errors[1], whole_end)
        os.close(answers[1])
        os.close(errors[1])
        self._pipes = {answers[0]: bytearray(), errors[0]: bytearray()}
        self._open = set(self._pipes)
        self._ended: Ended | None = None

    @property
    def said(self) -> str:
        """What it said until now, as far as somebody listened."""
        return self._texts()[0]

    def says(self, text: str, within: float) -> bool:
        """Whether the child says this, listening for so long at most, or until its end."""
        return self._read(time.monotonic() + within, lambda: text in self.said) and text in self.said

    def kill(self) -> Ended:
        """End it by SIGKILL, whatever it is doing: nothing of it can see that coming. Where it has ended, nothing happens."""
        if self._ended is None:
            os.kill(self._id, signal.SIGKILL)
        return self.end(GRIP_SECONDS)

    def end(self, within: float) -> Ended:
        """Wait for the end, and end it where it does not come."""
        if self._ended is not None:
            return self._ended
        in_time = self._read(time.monotonic() + within)
        if not in_time:
            os.kill(self._id, signal.SIGKILL)
        _, status = os.waitpid(self._id, 0)
        for pipe in self._open:
            os.close(pipe)
        self._open.clear()
        self._ended = Ended(*self._texts(), in_time, os.waitstatus_to_exitcode(status))
        return self._ended

    def _texts(self) -> tuple[str, str]:
        said, complaints = (bytes(text).decode("utf-8", "replace") for text in self._pipes.values())
        return said, complaints

    def _read(self, deadline: float, enough: Callable[[], bool] = lambda: False) -> bool:
        """Read both pipes until the child has let go of them, or there is enough; false where the time is up before."""
        with selectors.DefaultSelector() as selector:
            for pipe in self._open:
                selector.register(pipe, selectors.EVENT_READ)
            while self._open and not enough():
                if time.monotonic() >= deadline:
                    return False
                for key, _ in selector.select(max(0.0, deadline - time.monotonic())):
                    piece = os.read(key.fd, 65536)
                    self._pipes[key.fd] += piece
                    if not piece:
                        selector.unregister(key.fd)
                        self._open.discard(key.fd)
                        os.close(key.fd)
        return True


_mouth = -1
"""In a child: the pipe to its parent."""


def say(text: str) -> None:
    """In a child: tell the parent something before, or after, the function returned."""
    os.write(_mouth, text.encode("utf-8", "backslashreplace"))


def _run(function: Callable[[], str], answers: int, errors: int, whole_end: bool) -> NoReturn:
    """In the child: run, say the result, leave. Nothing of the parent's frames may ever run here."""
    global _mouth  # noqa: PLW0603 - one for each process
    code = 70
    try:
        _mouth = answers
        os.dup2(errors, 2)
        sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
        # Those of pytest would keep for its report what nobody will read.
        sys.excepthook, sys.unraisablehook = sys.__excepthook__, sys.__unraisablehook__
        threading.excepthook = threading.__excepthook__
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        if whole_end:
            _forget_the_parent(keep={answers, errors})
        say(function())
        code = 0
    except BaseException:  # noqa: BLE001 - whatever it is, the parent's frames must not go on in the child
        traceback.print_exc()
    if whole_end and not code:
        ctypes.pythonapi.Py_Exit(0)
    os._exit(code)


def _forget_the_parent(keep: set[int]) -> None:
    """Before a whole end: what the parent would do at its end is not done here, and its connections hear nothing.

    Sockets and selectors that were inherited are replaced by the empty file: a connection object that says good-bye while
    it is finalised says it to nobody.
    """
    atexit._clear()
    _forget_handlers()
    getattr(weakref.finalize, "_registry").clear()  # noqa: B009 - temporary directories of the parent, say
    setattr(weakref.finalize, "_registered_with_atexit", False)  # noqa: B010
    empty = os.open(os.devnull, os.O_RDWR)
    for number in range(3, _highest_descriptor()):
        try:
            kind = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue  # not open
        if number not in keep and kind.startswith(("socket:", "anon_inode:[eventpoll]")):
            os.dup2(empty, number)


def _forget_handlers() -> None:
    """Handlers of the parent are not closed here; those that are made from now on are closed at the end, as in any program."""
    getattr(logging, "_handlerList").clear()  # noqa: B009
    atexit.register(logging.shutdown)


def _highest_descriptor() -> int:
    try:
        return max(map(int, os.listdir("/proc/self/fd"))) + 1
    except FileNotFoundError:
        return 3  # no way to see them on this system; then they are left alone
