"""What a fault clause works with: the faults that a harness can switch between a backend and its server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar

import pytest

from stackproof.interfaces import BackendError

from .case import Case
from .expectations import ContractViolation
from .journal import Journal, Journalled, unwrapped

F = TypeVar("F")

RECOVERY_SECONDS = 10.0
"""A backend works again at the latest so long after its server does."""
LONGEST_TIMEOUT = 2.0
"""The time limits of the instance behind the faults: short, because each fault costs one."""
LATE_SECONDS = 3.0
"""How long late answers are held back: longer than the time limit of the instance."""

MAKE_FAULTY_HINT = (
    "the test class has no make_faulty(self, namespace), so faults between backend and server could not be tried"
)


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
    THROTTLED = "throttled"
    """The server answers each request at once, and refuses it for the moment: nothing of it is applied."""
    THROTTLED_ONCE = "throttled once"
    """Once: the next request is refused for the moment."""
    PART_REFUSED = "part refused"
    """Of the items that come in batches, of whatever size, the server refuses every second one for the moment, and names it."""

    PAGES_CUT = "pages cut"
    """The server ends the pages of its answers early, leaves some of them empty, and says each time that there is more."""


NETWORK = frozenset({Fault.BLACK_HOLE, Fault.REFUSED, Fault.ANSWERS_LOST, Fault.ANSWER_CUT, Fault.ANSWERS_LATE})
"""What a TCP proxy can make. The others are answers in the service's own words: only a proxy that speaks them can."""


class Faults(Protocol):
    """Switches faults between one backend and its server; a harness returns it from `make_faulty`."""

    def kinds(self) -> frozenset[Fault]:
        """Which faults it can make. What it cannot make is not tried, and the clause is SKIPPED."""

    def begin(self, fault: Fault, spared: int = 0) -> None:
        """From now on. The first ``spared`` answers still pass (for `ANSWERS_LOST` and `ANSWER_CUT`)."""

    def end(self) -> None:
        """From now on everything passes again. What a fault has broken stays broken (connections are reset)."""

    def happened(self) -> int:
        """How often faults have really struck since the beginning: messages lost or late, connections cut or refused,
        requests throttled, items refused, pages cut."""

    def taken(self) -> int:
        """How many items of batches the server has really taken during `PART_REFUSED`, since the beginning."""

    def close(self) -> None:
        """Give back everything that the faults need."""


@dataclass(frozen=True, slots=True)
class Faulty(Generic[F]):
    """A backend, and the faults between it and its server."""

    backend: F
    faults: Faults

    def journalled(self, journal: Journal, concern: str) -> Faulty[F]:
        """The same with its calls written down, and its errors known as those of the backend."""
        backend: Any = Journalled(unwrapped(self.backend), journal, f"{concern}_behind_faults")
        return replace(self, backend=backend)

    def begin(self, fault: Fault, spared: int = 0) -> None:
        """From now on; see `Faults.begin`. A fault that the harness cannot make skips the clause."""
        if fault not in self.faults.kinds():
            pytest.skip(f"make_faulty cannot make the fault {fault.value!r}, so it could not be tried")
        self.faults.begin(fault, spared)

    @contextmanager
    def suffering(self, fault: Fault, spared: int = 0) -> Any:
        """The fault, as long as the block runs. Gives a function that says how often it struck."""
        before = self.faults.happened()
        self.begin(fault, spared)
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


def behind_faults(contract: Any, case: Case, namespace: str) -> Iterator[Callable[[], Faulty[Any]]]:
    """The body of the fixture ``faulty``: it makes instances behind faults, and in the end takes away what it made."""
    made: list[Faulty[Any]] = []

    def make() -> Faulty[Any]:
        made.append(contract.make_faulty(namespace).journalled(case.journal, contract.concern))
        return made[-1]

    yield make
    for each in made:
        each.faults.end()
        try:
            contract.close_backend(each.backend)
        except Exception as error:  # noqa: BLE001 - noted as for every instance; the lifecycle clauses judge it
            case.instances.notes.append(f"closing behind faults: {type(error).__name__}: {error}")
        finally:
            each.faults.close()
