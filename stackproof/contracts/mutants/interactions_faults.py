"""Interaction stores behind a simulated link, with one defect each: what they lose, double or misreport when it breaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from stackproof.adapters.interactions.memory import MemoryInteractionStore
from stackproof.interfaces import BackendError, IndeterminateError, Interaction, Summary, UnavailableError

from .registry import mutant
from .remote import BusyError, RemoteStore, T
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


@mutant(of=RemoteStore, killed_by="LIFE-16", imitates="L4")
class NeverTriesABusyServerAgain(RemoteStore):
    """A breaker that opens when the server throttles is never closed again."""

    broken = False

    def over(self, serve: Callable[[], T], *, writes: bool) -> T:
        if self.broken:
            raise UnavailableError("the circuit breaker is open")
        try:
            return super().over(serve, writes=writes)
        except UnavailableError as error:
            self.broken = isinstance(error.__cause__, BusyError)
            raise


@mutant(of=RemoteStore, killed_by="STORE-29", imitates="I1")
class DropsWhatCameBackUnprocessed(RemoteStore):
    """What the server names as not processed is not looked at."""

    def to_repeat(self, batch: list[T], refused: list[int]) -> list[T]:
        return []


@mutant(of=RemoteStore, killed_by="STORE-29", imitates="I3")
class DropsWhatComesBackTwice(RemoteStore):
    """What was refused is sent again once, and not looked at then."""

    attempts = 2

    def record_events(self, events: Sequence[Interaction]) -> None:
        self.in_parts(events, lambda part: MemoryInteractionStore.record_events(self, part))


@mutant(of=RemoteStore, killed_by="STORE-29")
class SaysThatNothingOfTheBatchWasStored(RemoteStore):
    """A batch of which a part is stored is reported as if nothing was."""

    attempts = 1

    def record_events(self, events: Sequence[Interaction]) -> None:
        try:
            super().record_events(events)
        except IndeterminateError as error:
            raise UnavailableError("the server refused the batch") from error


@mutant(of=RemoteStore, killed_by="STORE-29", imitates="I4")
class TakesItsBufferForStored(RemoteStore):
    """Contacts leave the buffer before they are sent: the repeated batch counts as sent already."""

    attempts = 1

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self.sent: set[str] = set()

    def record_events(self, events: Sequence[Interaction]) -> None:
        fresh = [event for event in events if event.event_id not in self.sent]
        self.sent |= {event.event_id for event in fresh}
        super().record_events(fresh)


@mutant(of=RemoteStore, killed_by="STORE-30", imitates="I14")
class TakesTheFirstPageForAll(RemoteStore):
    """What the server says about further pages is not looked at."""

    def read_on(self, rows: Sequence[Summary]) -> list[Summary]:
        return list(self.link.page(rows, 0)[0])


@mutant(of=RemoteStore, killed_by="STORE-30", imitates="I13")
class StopsAtAnEmptyPage(RemoteStore):
    """A page without rows is taken for the end."""

    def read_on(self, rows: Sequence[Summary]) -> list[Summary]:
        found: list[Summary] = []
        begin: int | None = 0
        while begin is not None:
            part, begin = self.link.page(rows, begin)
            if not part:
                break
            found += part
        return found


@mutant(of=RemoteStore, killed_by="STORE-30", imitates="I10")
class GoesOnWhereAFullPageWouldEnd(RemoteStore):
    """After a page that ended early, the rows up to the end of a full one are skipped."""

    def read_on(self, rows: Sequence[Summary]) -> list[Summary]:
        found: list[Summary] = []
        begin: int | None = 0
        while begin is not None:
            part, following = self.link.page(rows, begin)
            found += part
            begin = None if following is None else max(following, begin + 2 * len(part))
        return found
