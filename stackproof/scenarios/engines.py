"""The two ways to offer load in a process of Locust's: on gevent's loop, or on native threads beside it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import gevent

from .deferred import NATIVE, beginner
from .green import GreenWindow
from .native import NativeWindow
from .orders import Order
from .starvation import StarvationWatch
from .watchdog import HubWatchdog
from .window import Acts, Window, places_of

T = TypeVar("T")
Blamed = Callable[[], tuple[float, str]]


class Engine(ABC):
    """How one process offers load."""

    @abstractmethod
    def window(self, order: Order, acts: Acts, worker: int, workers: int) -> Window:
        """A window that is not begun."""

    @abstractmethod
    def watch(self, window: Window, blamed: Blamed) -> Any:
        """What notes gaps while it is between `start` and `stop`; ``gaps`` has them."""

    @abstractmethod
    def aside(self, do: Callable[[], T]) -> T:
        """Do something that waits, so that Locust's own greenlets run meanwhile."""


class GreenEngine(Engine):
    """Everything on gevent's loop: what waits gives way to others by itself."""

    def window(self, order: Order, acts: Acts, worker: int, workers: int) -> Window:
        return GreenWindow(order, acts, worker=worker, workers=workers)

    def watch(self, window: Window, blamed: Blamed) -> HubWatchdog:
        return HubWatchdog(window, blamed)

    def aside(self, do: Callable[[], T]) -> T:
        return do()


class NativeEngine(Engine):
    """Locust on its loop in the main thread, and whatever waits on threads of its own."""

    def window(self, order: Order, acts: Acts, worker: int, workers: int) -> Window:
        begin = beginner(acts, places_of(order, worker, workers))
        return NativeWindow(order, acts, begin.begin, worker=worker, workers=workers, close_begin=begin.close)

    def watch(self, window: Window, blamed: Blamed) -> _Both:
        return _Both(HubWatchdog(window, blamed), StarvationWatch(window))

    def aside(self, do: Callable[[], T]) -> T:
        done: T = gevent.get_hub().threadpool.apply(do)
        return done


class _Both:
    """Threads that are starved, and a loop that is: Locust's messages and page live there."""

    def __init__(self, hub: HubWatchdog, threads: StarvationWatch) -> None:
        self._hub, self._threads = hub, threads

    def start(self) -> None:
        self._hub.start()
        self._threads.start()

    def stop(self) -> None:
        self._hub.stop()
        self._threads.stop()

    @property
    def gaps(self) -> list[dict[str, float | str]]:
        """Each gap once: one that stopped the threads stopped the loop as well, but is blamed better."""
        seen = self._threads.gaps
        return [*seen, *(gap for gap in self._hub.gaps if not any(_overlap(gap, other) for other in seen))]


def _overlap(one: Mapping[str, float | str], other: Mapping[str, float | str]) -> bool:
    ends = [float(gap["at"]) + float(gap["seconds"]) for gap in (one, other)]
    return float(one["at"]) < ends[1] and float(other["at"]) < ends[0]


def engine_for(name: str) -> Engine:
    """The engine that a setup names."""
    return NativeEngine() if name == NATIVE else GreenEngine()
