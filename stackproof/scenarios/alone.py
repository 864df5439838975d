"""One worker of another machine by itself, with a stub server of its own: what its self-check is offered to.

The stub listens on the worker's machine only, and runs from its first injection until the worker connects to the backends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from .orders import Offered, Order
from .stub import Injection, Truth

if TYPE_CHECKING:
    from .session import Session


@dataclass(frozen=True, slots=True)
class Introduced:
    """What a worker of another machine says of itself."""

    version: str
    """Of stackproof; empty where it is one that cannot introduce itself."""
    native: bool
    """Whether its threads are the system's own, as Kafka's and CQL's drivers need them."""
    about: Mapping[str, Any]
    """``environment`` and ``build``, as `stackproof worker` has noted them."""

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> Self:
        return cls(answer.get("version", ""), bool(answer.get("native")), answer.get("about") or {})


class Alone:
    """A worker while the others have nothing to do. A `measurement.calibrating.Witness`, and what offers to it."""

    def __init__(self, session: Session, number: int) -> None:
        self._session = session
        self.number = number

    def offer(self, order: Order) -> Offered:
        """One window of this worker alone: the whole rate is its own."""
        return self._session.offer(order, only=self.number)

    def inject(self, injection: Injection) -> None:
        """See `StubServer.inject`."""
        self._session.ask_one(self.number, {"do": "inject", "injection": injection.to_data()})

    def truth(self) -> Truth:
        """See `StubServer.truth`."""
        return Truth.from_data(self._session.ask_one(self.number, {"do": "truth"})["truth"])
