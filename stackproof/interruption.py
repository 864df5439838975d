"""Ctrl-C and SIGTERM while something is done that must not be torn: noted, and raised where nothing is lost by it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def noted_signals() -> Iterator[list[int]]:
    """The signals that came, for whoever looks at them now and then; none is raised. One that is held already counts, too."""
    came: list[int] = []
    with _handled_by(came.append):
        held = _held.get()
        if held is not None and held.is_due:
            held.is_due = False
            came.append(signal.SIGINT)
        yield came


@contextmanager
def held_interruptions() -> Iterator[None]:
    """A signal that comes in here is raised as `KeyboardInterrupt` where the work is `interruptible`, or else at the end; so what
    was measured gets into its record, whichever line the signal meets. A second one is raised at once, wherever that is.
    Within another one it changes nothing."""
    if _held.get() is not None:
        yield
        return
    held = _Held()
    token = _held.set(held)
    try:
        with _handled_by(held.take):
            yield
    finally:
        _held.reset(token)
    held.raise_what_is_due()  # not in the place of an error that is on its way


@contextmanager
def interruptible() -> Iterator[None]:
    """Where one may wait for long, and an interruption tears nothing: it is raised here, also one that came before."""
    held = _held.get()
    if held is None:
        yield
        return
    before, held.is_open = held.is_open, True
    try:
        held.raise_what_is_due()
        yield
    finally:
        held.is_open = before


def raise_interruption() -> None:
    """Raise what came before: what follows is not to begin any more."""
    with interruptible():
        pass


@dataclass(slots=True)
class _Held:
    """What came, and whether one that comes now is raised."""

    came: int = 0
    is_due: bool = False
    """Whether one came that was not raised yet."""
    is_open: bool = False

    def take(self, _number: int) -> None:
        self.came += 1
        self.is_due = True
        if self.is_open or self.came > 1:
            self.raise_what_is_due()

    def raise_what_is_due(self) -> None:
        if self.is_due:
            self.is_due = False
            raise KeyboardInterrupt


_held: ContextVar[_Held | None] = ContextVar("held interruptions", default=None)


@contextmanager
def _handled_by(take: Callable[[int], None]) -> Iterator[None]:
    """A signal that is ignored stays ignored, and outside the main thread signals are left as they are."""

    def handle(number: int, _frame: FrameType | None) -> None:
        take(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    wanted = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
