"""A worker must not outlive the command that started it, also when that is killed, and says where it stands when it hangs."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import sys
import threading

WHERE_SIGNAL = signal.SIGUSR2
"""What makes a worker write where each of its threads is."""
_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """End this process at once when its parent does: it holds the other end of our standard input.

    On Linux the kernel is asked too, which also works while a C extension holds the interpreter lock.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    held = os.dup(0)  # pytest replaces standard input while it captures

    def wait() -> None:
        while os.read(held, 1024):
            pass
        os._exit(130)

    threading.Thread(target=wait, name="stackproof-parent-watch", daemon=True).start()


def tell_where_when_asked() -> None:
    """Write where each thread is to what is standard error now, when `WHERE_SIGNAL` comes: also from within a C extension."""
    faulthandler.register(WHERE_SIGNAL, file=os.dup(2), all_threads=True)  # pytest replaces standard error
