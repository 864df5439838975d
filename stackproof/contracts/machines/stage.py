"""What a state machine works on, and what it found: the instances of the backend, the rules that fired, the smallest failure."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from stackproof.contracts.around import Around
from stackproof.contracts.case import Case
from stackproof.contracts.expectations import expect, shown
from stackproof.contracts.journal import unwrapped


@dataclass(frozen=True, slots=True)
class Budget:
    """How much one exploration may take."""

    examples: int
    """Sequences of operations."""
    steps: int
    """Operations in each."""
    seconds: float
    """No further sequence is begun after so long: a slow backend gets fewer of them."""
    least: int = 5
    """So many are begun however long they take."""
    shrinking: float = 3.0
    """Seconds in which what was drawn is made simpler, and as many again in which steps are left out."""


HURRIED = 0.25
"""Seconds that are waited for what must come, while a failure is made smaller."""
CORE = Budget(examples=60, steps=20, seconds=4.0)
FULL = Budget(examples=120, steps=30, seconds=6.0)


class Over(BaseException):
    """The time for exploring or shrinking is up. No `Exception`, so that Hypothesis passes it on instead of shrinking it."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A step of a sequence: the rule and what was drawn for it."""

    name: str
    drawn: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{key}={shown(value)}' for key, value in self.drawn.items())})"


@dataclass(frozen=True, slots=True)
class Found:
    """A sequence that ended in an error."""

    error: Exception
    steps: tuple[Taken, ...]
    calls: Any
    """The journal as it was then."""


@dataclass(slots=True)
class Stage:
    """The state of one exploration, over all its sequences."""

    contract: Any
    case: Case
    namespace: str
    handles: list[Any]
    """The open instances; all of the same namespace."""
    budget: Budget
    around: Around | None = None
    """A look at the server that does not use the backend."""
    looks: int = 0
    fired: Counter[str] = field(default_factory=Counter)
    """Rule -> how often it ran to its end."""
    silent: list[str] = field(default_factory=list)
    """The rules that should have fired and have not done so yet. A further exploration ends when all of them have."""
    examples: int = 0
    """Those that were made to explore; while a failure is made smaller their number stays as it is."""
    sequences: int = 0
    """All of them: for names that no other sequence has."""
    first: Found | None = None
    """The failure that was met first."""
    found: Found | None = None
    """The smallest failure so far."""
    confirming: bool = False
    """Whether the smallest failure is tried once more, with all the time that it may take."""
    over: bool = False
    """Whether `Over` was raised; Hypothesis may turn it into an error of its own."""
    _began: float = field(default_factory=time.monotonic)
    _shrink_until: float = 0.0

    @property
    def declared(self) -> Any:
        """The capabilities of the backend."""
        return self.contract.capabilities

    def renew(self) -> None:
        """The time begins anew: for one more exploration, or for another way of making a failure smaller."""
        self._began = time.monotonic()
        self._shrink_until = self._began + self.budget.shrinking
        self.over = False

    def begin(self) -> None:
        """A sequence begins. Raises `Over` where there is no time for it."""
        self.check_time()
        seconds = max(self.budget.seconds, CORE.seconds) if self.silent else self.budget.seconds
        late = time.monotonic() - self._began > seconds
        made_up_for = bool(self.silent) and all(self.fired[name] for name in self.silent)
        if self.found is None and self.examples >= self.budget.least and (late or made_up_for):
            self._stop()
        self.examples += self.found is None
        self.sequences += 1
        self.case.journal.forget()

    def check_time(self) -> None:
        """Raises `Over` when a failure has been made smaller for long enough."""
        if self.found is not None and not self.confirming and self.time_is_up():
            self._stop()

    def patience(self, seconds: float) -> float:
        """How long to wait for what must come: less while a failure is made smaller, which is confirmed at the end."""
        return min(seconds, HURRIED) if self.found is not None and not self.confirming else seconds

    def time_is_up(self) -> bool:
        """Whether a failure has been made smaller for long enough."""
        return time.monotonic() > self._shrink_until

    def _stop(self) -> NoReturn:
        self.over = True
        raise Over

    def failed(self, error: Exception, steps: Sequence[Taken]) -> None:
        """A sequence failed: it is kept where it is the smallest one."""
        if self.first is None:
            self.first = Found(error, tuple(steps), self.case.journal.kept())
            self._shrink_until = time.monotonic() + self.budget.shrinking
        if self.found is None or self.confirming or len(steps) <= len(self.found.steps):
            self.found = Found(error, tuple(steps), self.case.journal.kept())

    def open(self) -> Any:
        """A further instance of the same namespace."""
        return self.case.instances.open(self.contract, self.namespace, self.case.journal)

    def reopen(self, number: int) -> None:
        """Close one of the instances, and let a new one take its place."""
        self.contract.close_backend(unwrapped(self.handles[number]))
        self.handles[number] = self.open()

    def must_keep(self, name: str, count: int, what: str) -> None:
        """Look around the backend, where that can be done."""
        __tracebackhide__ = True
        if self.around is not None:
            self.looks += 1
            expect(self.around.kept(name), f"{what}, looked at on the server itself").equals(count)

    def together(self, calls: Sequence[Callable[[], Any]]) -> list[Any]:
        """The results of calls that begin at the same time."""
        return self.case.callers.each(calls, within=15.0)
