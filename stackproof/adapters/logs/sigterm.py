"""For programs that do nothing at SIGTERM themselves: the log handlers are closed, so that the last records arrive."""

from __future__ import annotations

import logging
import os
import signal
from types import FrameType
from weakref import ref


def close_at_sigterm(handler: logging.Handler) -> None:
    """From now on SIGTERM first closes this handler, and then does what it did before. Called in the main thread.

    A library must not do this by itself: what a signal does is the program's own decision.
    """
    before = signal.getsignal(signal.SIGTERM)
    known = ref(handler)

    def close(number: int, frame: FrameType | None) -> None:
        found = known()
        if found is not None:
            found.close()
        if callable(before):
            before(number, frame)
        elif before != signal.SIG_IGN:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGTERM, close)
