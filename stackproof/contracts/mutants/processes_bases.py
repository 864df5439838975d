"""What several concerns' mutants about forks and the end of a program are made of."""

from __future__ import annotations

import atexit
import os
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

T = TypeVar("T")

if TYPE_CHECKING:

    class _Reference:
        """What stands behind these classes in the mutants: a reference."""

        _closed: bool

        def __init__(self, *, namespace: str = "") -> None: ...

else:
    _Reference = object


class OwnedByOneProcess(_Reference):
    """Remembers the process that made it."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self._owner = os.getpid()

    def check_owner(self) -> None:
        """Raise the error of a driver that was not made for forks."""
        if os.getpid() != self._owner:
            raise OSError("this pool was made by another process")


class FlushesAtExit(_Reference):
    """Has an exit function that fails where nobody disconnected."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        atexit.register(_flush, weakref.ref(self))


class FailsTheCallers(_Reference):
    """A caller whose operation is running at disconnect gets the error of a driver that lost its connection."""

    def during(self, operation: Callable[[], T]) -> T:
        """Run an operation, which takes its time."""
        was_open = not self._closed
        answer = operation()
        time.sleep(0.002)
        if was_open and self._closed:
            raise OSError(9, "Bad file descriptor")
        return answer


def _flush(reference: weakref.ref[FlushesAtExit]) -> None:
    instance = reference()
    if instance is not None and not instance._closed:
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")
