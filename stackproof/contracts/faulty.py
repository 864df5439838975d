"""What a fault clause works with: the faults that a harness can switch between a backend and its server."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar

from stackproof.interfaces import Backend, BackendError

from .expectations import ContractViolation

L = TypeVar("L", bound=Backend)

RECOVERY_SECONDS = 10.0
"""A backend works again at the latest so long after its server does."""
LONGEST_TIMEOUT = 2.0
"""The time limits of the instance behind the faults: short, because each fault costs one."""
LATE_SECONDS = 3.0
"""How long late answers are held back: longer than the time limit of the instance."""


class Fault(Enum):
    """What can happen between a backend and its server."""

    BLACK_HOLE = "black hole"
    """Connections stay open, new ones are accepted, and nothing passes in either direction."""
    REFUSED = "refused"
    """Open connections are cut, and new ones are refused."""
    ANSWERS_LOST = "answers lost"
    """Requests reach the server and are served; the answers do not come back."""
    ANSWER_CUT = "answer cut"
    """Once: a request reaches the server and is served, and its connection is reset instead of the answer."""
    ANSWERS_LATE = "answers late"
    """Answers come `LATE_SECONDS` late, also those that are on their way when the fault ends."""


class Faults(Protocol):
    """Switches faults between one backend and its server; a harness returns it from `make_faulty`."""

    def begin(self, fault: Fault, spared: int = 0) -> None:
        """From now on. The first ``spared`` answers still pass (for `ANSWERS_LOST` and `ANSWER_CUT`)."""

    def end(self) -> None:
        """From now on everything passes again. What a fault has broken stays broken (connections are reset)."""

    def happened(self) -> int:
        """How often faults have really struck since the beginning: messages lost or late, connections cut or refused."""

    def close(self) -> None:
        """Give back everything that the faults need."""


@dataclass(frozen=True, slots=True)
class Faulty(Generic[L]):
    """A backend, and the faults between it and its server."""

    backend: L
    faults: Faults

    @contextmanager
    def suffering(self, fault: Fault, spared: int = 0) -> Any:
        """The fault, as long as the block runs. Gives a function that says how often it struck."""
        before = self.faults.happened()
        self.faults.begin(fault, spared)
        try:
            yield lambda: self.faults.happened() - before
        finally:
            self.faults.end()

    def recovers(self, work: Callable[[], object]) -> float:
        """Repeat ``work`` until it succeeds; after how many seconds. A `ContractViolation` when that is too late."""
        __tracebackhide__ = True
        began = time.monotonic()
        while True:
            try:
                work()
            except BackendError as error:
                if time.monotonic() - began > RECOVERY_SECONDS:
                    raise ContractViolation(
                        "the backend after its server was back",
                        f"to work again within {RECOVERY_SECONDS:g} s",
                        f"{type(error).__name__}: {error}",
                    ) from error
                time.sleep(0.02)
            else:
                return time.monotonic() - began
