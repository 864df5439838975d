"""A double of a log handler that sends batches to a service: the service is a list behind the simulated link."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, ClassVar

from stackproof.adapters.logs.handler import LineHandler
from stackproof.adapters.spaces import Spaces
from stackproof.contracts.faulty import Faulty
from stackproof.interfaces import LogCapabilities

from .remote import BrokenError, BusyError, NoAnswerError, RefusedError, SimulatedLink

BATCH = 20
NOT_TAKEN = (BusyError, RefusedError, BrokenError, NoAnswerError)
"""What it means to the handler is the same: it sends again."""
MOST_WAITING = 200
"""Records that wait for a service which takes none; what is more is dropped, and counted."""


class _Service:
    """The lines of one namespace."""

    def __init__(self) -> None:
        self.lines: list[str] = []


_services = Spaces(_Service)


class RemoteHandler(LineHandler):
    """Sends records in batches. What is not taken stays in the buffer and goes with the next batch, until the buffer is full."""

    capabilities: LogCapabilities = replace(LineHandler.capabilities, throttles=True)
    pauses: ClassVar[tuple[float, ...]] = (0.001, 0.005, 0.02)

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__()
        self.link = SimulatedLink()
        self._service = _services.of(namespace)
        self._waiting: list[str] = []

    @classmethod
    def make_faulty(cls, namespace: str) -> Faulty[Any]:
        made: Any = cls(namespace=namespace)
        return Faulty(made, made.link)

    def read_back(self) -> list[str]:
        """What the service has."""
        return list(self._service.lines)

    def write_line(self, line: str) -> None:
        self._waiting.append(line)
        if len(self._waiting) % BATCH == 0:
            self.send()
        self.give_up(len(self._waiting) - MOST_WAITING)

    def send(self) -> None:
        """Send all that waits; what is not taken in the end waits for the next time."""
        batch = list(self._waiting)
        for pause in (*self.pauses, 0.0):
            try:
                self.link.ask(lambda: self._service.lines.extend(batch))
            except NOT_TAKEN:
                time.sleep(pause)
            else:
                del self._waiting[: len(batch)]
                return

    def give_up(self, number: int) -> None:
        """Drop so many of the oldest records."""
        if number > 0:
            del self._waiting[:number]
            self.dropped += number

    def flush(self) -> None:
        with self.lock:  # type: ignore[union-attr]
            if self._waiting:
                self.send()

    def close(self) -> None:
        super().close()  # flushes
        with self.lock:  # type: ignore[union-attr]
            self.give_up(len(self._waiting))
