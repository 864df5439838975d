"""How an item is begun by the native engine: by deferred calls where all of its steps have some, else on threads that wait.

A deferred step returns at once, and a thread of its driver tells its end. The next step of the item begins there and then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Any, TypeAlias

from stackproof.adapters.registry import BUILT_IN

from .native import Begin, Ended
from .window import Acts, Nothing, Took
from .work import Work

Act: TypeAlias = Callable[[Any, Took], None]
"""Does a whole item and waits for it, as `Work.decide`; raises `StepFailedError`."""

GREEN, NATIVE = "green", "native"
STOP_SECONDS = 2.0


class Direct:
    """Items that begin without waiting are begun by the dispatcher itself."""

    def __init__(self, begin: Begin) -> None:
        self.begin = begin

    def close(self) -> None:
        """Nothing is kept."""


class Threads:
    """Native threads for items that wait: as many as may be in flight, so that none that was begun waits for a thread."""

    def __init__(self, act: Act, number: int) -> None:
        self._act = act
        self._waiting: SimpleQueue[tuple[Any, Took, Ended] | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._serve, name=f"stackproof-load-{each}", daemon=True) for each in range(number)
        ]
        for thread in self._threads:
            thread.start()

    def begin(self, item: Any, took: Took, ended: Ended) -> None:
        """Have one of the threads do it."""
        self._waiting.put((item, took, ended))

    def close(self) -> None:
        """Let go of the threads; one that hangs in its step is not waited for, and does not keep the process."""
        for _ in self._threads:
            self._waiting.put(None)
        until = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _serve(self) -> None:
        while (given := self._waiting.get()) is not None:
            item, took, ended = given
            try:
                self._act(item, took)
            except BaseException as error:  # noqa: BLE001 - that is how it ended; the thread must live on
                ended(error)
            else:
                ended(None)


def beginner(acts: Acts, places: int) -> Direct | Threads:
    """What begins the items of a window: to be closed after it. ``places`` is how many may be in flight in this process."""
    if isinstance(acts, Nothing) or (isinstance(acts, Work) and acts.waits_for_nothing):
        return Direct(acts.begin)
    return Threads(acts.decide, places)


def needs_native_threads(backends: Mapping[str, str]) -> tuple[str, ...]:
    """Those of ``concern=name`` whose drivers have threads of their own: with them, the engine is the native one.

    A backend of a third party is not known here; it says by a `ConfigurationError` of its own what it cannot bear.
    """
    known = {
        f"{entry.concern}={name}" for entry in BUILT_IN if entry.native_threads for name in (entry.name, *entry.aliases)
    }
    return tuple(sorted({f"{concern}={name}" for concern, name in backends.items()} & known))


def engine_name(backends: Mapping[str, str]) -> str:
    """The engine that these backends need: ``native`` where a driver has threads of its own, else ``green``."""
    return NATIVE if needs_native_threads(backends) else GREEN
