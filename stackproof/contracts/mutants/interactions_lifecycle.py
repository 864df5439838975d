"""Interaction stores with one defect each: how they end, and what an end or an interruption leaves behind."""

from __future__ import annotations

import itertools
import threading
import time

from stackproof.adapters.interactions.memory import MemoryInteractionStore
from stackproof.interfaces import Interaction, SummariesPage, SummariesQuery, UnavailableError

from .lifecycle_bases import (
    AlwaysAnswersPing,
    ClosesAllOfItsKind,
    DisconnectsOnce,
    HoldsASocket,
    LeavesADescriptor,
    LeavesAThread,
    StaysForTheExit,
)
from .registry import mutant


@mutant(of=MemoryInteractionStore, killed_by="LIFE-01")
class CannotDisconnectTwice(DisconnectsOnce, MemoryInteractionStore):
    """The second disconnect raises."""


@mutant(of=MemoryInteractionStore, killed_by="LIFE-02", imitates="X1")
class RecordsAfterDisconnect(MemoryInteractionStore):
    """A record after disconnect connects again."""

    def record_event(self, event: Interaction) -> None:
        self._closed = False
        super().record_event(event)


@mutant(of=MemoryInteractionStore, killed_by="LIFE-02", imitates="S17")
class ClosedLooksEmpty(MemoryInteractionStore):
    """A customer has no summaries after disconnect, as if nothing had been recorded."""

    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        return SummariesPage((), None) if self._closed else super().get_summaries(query)


@mutant(of=MemoryInteractionStore, killed_by="LIFE-03", imitates="X2")
class LeavesDescriptors(LeavesADescriptor, MemoryInteractionStore):
    """Opens a file for its own use and never closes it."""


@mutant(of=MemoryInteractionStore, killed_by="LIFE-03", imitates="X4")
class LeavesThreads(LeavesAThread, MemoryInteractionStore):
    """The thread that keeps its pool in order is never ended."""


@mutant(of=MemoryInteractionStore, killed_by="LIFE-04", imitates="E20")
class ForgetsQueriesInFlight(MemoryInteractionStore):
    """A query that is running at disconnect waits for an answer that never comes."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self._queries = itertools.count()

    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        page = super().get_summaries(query)
        # Of callers that began together each takes another time: whenever the disconnect comes, somebody is here.
        time.sleep(0.05 * (next(self._queries) % 4))
        if self._closed:
            threading.Event().wait(60)
        return page


@mutant(of=MemoryInteractionStore, killed_by="LIFE-05", imitates="E3")
class PingIsAlwaysTrue(AlwaysAnswersPing, MemoryInteractionStore):
    """ping says that all is well, also after disconnect."""


@mutant(of=MemoryInteractionStore, killed_by="LIFE-06", imitates="C27")
class StaysInATransaction(MemoryInteractionStore):
    """A record that is interrupted leaves its transaction open, and the next one cannot begin."""

    begun = False

    def record_event(self, event: Interaction) -> None:
        if self.begun:
            raise UnavailableError("another transaction is under way")
        self.begun = True
        time.sleep(0.005)
        super().record_event(event)
        self.begun = False


@mutant(of=MemoryInteractionStore, killed_by="LIFE-07")
class OneForAll(ClosesAllOfItsKind, MemoryInteractionStore):
    """Disconnecting one instance disconnects all that use the same pool."""


@mutant(of=MemoryInteractionStore, killed_by="LIFE-08")
class HasAServerButUndeclared(HoldsASocket, MemoryInteractionStore):
    """Talks to a server over a socket, and nobody says so."""


@mutant(of=MemoryInteractionStore, killed_by="LIFE-15", imitates="X2")
class IsKeptForTheExit(StaysForTheExit, MemoryInteractionStore):
    """Registers its disconnect for the exit of the program, which keeps every instance until then."""
