"""Spaces: what the in-memory adapters of one namespace share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

S = TypeVar("S")


class Spaces(Generic[S]):
    """The spaces of one kind of adapter by namespace. A space lives as long as an adapter of it does."""

    def __init__(self, make: Callable[[], S]) -> None:
        self._make = make
        self._known: WeakValueDictionary[str, S] = WeakValueDictionary()
        self._lock = threading.Lock()

    def of(self, namespace: str) -> S:
        """The space that all adapters of this namespace share; for the empty namespace a new one, which is private."""
        if not namespace:
            return self._make()
        with self._lock:
            return self._known.setdefault(namespace, self._make())
