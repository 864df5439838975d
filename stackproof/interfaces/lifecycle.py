"""What all backends share: they can be pinged, and they are disconnected once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Backend(ABC):
    """An adapter together with the server that it talks to.

    All methods are synchronous and may be called from many threads at once. An adapter may connect when it is made
    or on first use; where the server cannot be reached, both raise `UnavailableError` (or `OperationTimeoutError`)
    within the adapter's connection timeout.

    A server that throttles (it answers, and refuses work for the moment) is asked again after pauses: in bounded time and at
    most a hundred times for one operation. Then the operation raises `UnavailableError`. Nothing that was accepted is
    lost by it, and when the throttling ends the same instance works again.

    After `disconnect` every operation except `ping` and `disconnect` raises `ClosedError` at once.

    In a child that was made by `os.fork`, every operation works or raises a `BackendError`, and none of them disturbs the parent.
    A program that ends without `disconnect` ends in bounded time all the same; what was accepted may then be lost.
    """

    @abstractmethod
    def ping(self) -> bool:
        """Whether the server answers now, within the adapter's operation timeout. Never raises; false after `disconnect`."""

    @abstractmethod
    def disconnect(self) -> None:
        """Flush what was accepted, then give back every thread, socket and file. Bounded in time; a second call does nothing.

        Several threads may call it at once. Operations that are running in other threads finish or raise a `BackendError`;
        none of them hangs. What was acknowledged by then is not lost by it, and nothing keeps an instance in memory that
        was disconnected and dropped.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.disconnect()
