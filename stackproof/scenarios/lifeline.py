"""The generator must not outlive the command that started it, also when that is killed, also when its loop is blocked.

The command holds the other end of our standard input. When that ends, the generator is asked to end in its orderly way
(it removes what it stored), and ended without asking if it does not.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from gevent import monkey

GRACE_SECONDS = 1.5
_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Watch in a thread that gevent knows nothing of: a blocked event loop does not block it."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    start_thread = monkey.get_original("_thread", "start_new_thread")
    sleep = monkey.get_original("time", "sleep")

    def watch() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        sleep(GRACE_SECONDS)
        os._exit(130)

    start_thread(watch, ())
