"""Interaction stores behind a simulated link, with one defect each: what they lose, double or misreport when it breaks."""

from __future__ import annotations

from dataclasses import replace

from stackproof.adapters.interactions.memory import MemoryInteractionStore
from stackproof.interfaces import BackendError, IndeterminateError, Interaction, UnavailableError

from .registry import mutant
from .remote import RemoteStore
from .remote_bases import GivesUpForEver, WaitsWithoutALimit


@mutant(of=RemoteStore, killed_by="LIFE-11", imitates="I25")
class SaysNothingWasApplied(RemoteStore):
    """A record whose answer was lost is reported as if the server had never got it."""

    def record_event(self, event: Interaction) -> None:
        try:
            super().record_event(event)
        except IndeterminateError as error:
            raise UnavailableError("the server is not available, nothing was applied") from error


@mutant(of=RemoteStore, killed_by="LIFE-10", imitates="E13")
class NeverConnectsAgain(GivesUpForEver, RemoteStore):
    """Whose connection was refused once does not try another one."""


@mutant(of=RemoteStore, killed_by="LIFE-09", imitates="E14")
class HasNoTimeLimit(WaitsWithoutALimit, RemoteStore):
    """A statement whose answer does not come is waited for without a limit."""


@mutant(of=RemoteStore, killed_by="STORE-28", imitates="I26")
class BooksARepeatAsNew(RemoteStore):
    """A record that is repeated after an error gets an id of its own, and counts twice."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self.failed: set[str] = set()

    def record_event(self, event: Interaction) -> None:
        repeated = replace(event, event_id=f"{event.event_id}-repeated") if event.event_id in self.failed else event
        try:
            super().record_event(repeated)
        except BackendError:
            self.failed.add(event.event_id)
            raise


@mutant(of=RemoteStore, killed_by="STORE-28")
class AcknowledgesBeforeItIsStored(RemoteStore):
    """A record is acknowledged from a buffer, and the buffer is lost with the connection."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self.buffer: list[Interaction] = []

    def record_event(self, event: Interaction) -> None:
        waiting, self.buffer = self.buffer, []
        self.over(lambda: None, writes=True)
        for each in waiting:
            MemoryInteractionStore.record_event(self, each)
        self.buffer.append(event)
