"""Standard input of a load-generating process: the orders, and the sign that whoever gives them is still there.

When it ends, the process is asked to end in its orderly way (it removes what it stored), and ended without asking if it
does not: a generator must not outlive the command that started it, also when that is killed, also when its loop is blocked.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

import gevent
from gevent import monkey

GRACE_SECONDS = 1.5
_PR_SET_PDEATHSIG = 1


class Lifeline:
    """Reads in a thread that gevent knows nothing of: a blocked event loop does not block it."""

    def __init__(self) -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        self._lines: deque[bytes] = deque()
        self._arrived = gevent.get_hub().loop.async_()
        self._begun = False
        monkey.get_original("_thread", "start_new_thread")(self._read, ())

    def listen(self, take: Callable[[dict[str, Any]], None]) -> None:
        """Hand over each order, in this thread's hub; those that have arrived meanwhile at once."""

        def hand_over() -> None:
            while self._lines:
                gevent.spawn(take, json.loads(self._lines.popleft()))

        self._arrived.start(hand_over)
        hand_over()

    def _read(self) -> None:
        sleep = monkey.get_original("time", "sleep")
        pending = b""
        while received := os.read(0, 65536):
            *lines, pending = (pending + received).split(b"\n")
            self._lines.extend(lines)
            self._arrived.send()
        os.kill(os.getpid(), signal.SIGTERM)
        sleep(GRACE_SECONDS)
        os._exit(130)
