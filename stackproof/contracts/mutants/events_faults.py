"""Event buses behind a simulated link, with one defect each: what becomes of subscriptions and events when it breaks."""

from __future__ import annotations

from stackproof.adapters.events.memory import MemorySubscription
from stackproof.interfaces import Event, IndeterminateError, UnavailableError

from . import mutant
from .remote import (
    LOOKS_SECONDS,
    BusyError,
    Publication,
    RemoteBus,
    RemoteLog,
    RemoteMember,
    RemoteSubscription,
    T,
)
from .remote_bases import GivesUpForEver, WaitsWithoutALimit


class _Forgotten(RemoteSubscription):
    """Was cut once, and stays cut."""

    @property
    def active(self) -> bool:
        return MemorySubscription.active.fget(self) and not self.link.cuts  # type: ignore[attr-defined]

    def deliver(self, envelope: bytes) -> None:
        if not self.link.cuts:
            super().deliver(envelope)


class _Silent(RemoteSubscription):
    """Does not tell of the cut."""

    @property
    def active(self) -> bool:
        return not self._closed


class _SilentlyForgotten(_Forgotten):
    """Does not tell of the cut, and is restored in name only."""

    @property
    def active(self) -> bool:
        return not self._closed and not self.link.broken


@mutant(of=RemoteBus, killed_by="EVENT-08", imitates="E13")
class ForgetsItsSubscriptions(RemoteBus):
    """After a reconnect nobody subscribes again."""

    subscription_class = _Forgotten


@mutant(of=RemoteBus, killed_by="EVENT-08")
class HidesTheGap(RemoteBus):
    """A subscription that is cut says that it is active."""

    subscription_class = _Silent


@mutant(of=RemoteBus, killed_by="EVENT-08", imitates="E13")
class RestoresTheConnectionOnly(RemoteBus):
    """The connection is made again and counts as active, without the subscription."""

    subscription_class = _SilentlyForgotten


class _ComesBackAtTheEnd(RemoteMember):
    """Forgets what came while it was cut off."""

    _cuts = 0

    def _next(self) -> bytes | None:
        with self._space.lock:
            while not self._closed and (self.link.broken or not self._queue.events or self.link.cuts > self._cuts):
                if not self.link.broken and self.link.cuts > self._cuts:  # however short the cut was
                    self._queue.events.clear()
                    self._cuts = self.link.cuts
                self._space.changed.wait(LOOKS_SECONDS)
            return None if self._closed else self._queue.events.popleft()


@mutant(of=RemoteLog, killed_by="EVENT-08", imitates="E9")
class TheGroupComesBackAtTheEnd(RemoteLog):
    """A member of a group whose connection was cut goes on with what is published from then on."""

    subscription_class = _ComesBackAtTheEnd


@mutant(of=RemoteBus, killed_by="LIFE-11", imitates="I26")
class RepeatsWhatMayHaveArrived(RemoteBus):
    """A publish whose answer is lost is sent again by the adapter itself."""

    def publish(self, topic: str, event: Event) -> None:
        try:
            super().publish(topic, event)
        except IndeterminateError:
            super().publish(topic, event)


@mutant(of=RemoteBus, killed_by="LIFE-16", imitates="L5")
class DropsWhatIsThrottled(RemoteBus):
    """An event that the broker refuses for the moment is dropped without an error."""

    def publish(self, topic: str, event: Event) -> None:
        try:
            super().publish(topic, event)
        except UnavailableError as error:
            if not isinstance(error.__cause__, BusyError):
                raise


@mutant(of=RemoteBus, killed_by="EVENT-06", imitates="E29")
class IgnoresTheNumberOfFailures(RemoteBus):
    """The answer to a batch is not looked into: what was refused counts as sent."""

    def to_repeat(self, batch: list[T], refused: list[int]) -> list[T]:
        return []


@mutant(of=RemoteBus, killed_by="EVENT-06", imitates="E32")
class SendsTheWholeBatchAgain(RemoteBus):
    """Where one event was refused, the whole batch is sent again."""

    def to_repeat(self, batch: list[T], refused: list[int]) -> list[T]:
        return batch if refused else []


@mutant(of=RemoteBus, killed_by="EVENT-06")
class SendsTheFirstOnesAgain(RemoteBus):
    """As many events are sent again as were refused, but not those that were."""

    def to_repeat(self, batch: list[T], refused: list[int]) -> list[T]:
        return batch[len(batch) - len(refused) :]


@mutant(of=RemoteBus, killed_by="EVENT-06", imitates="E30")
class ReportsTheWholeBatch(RemoteBus):
    """Where one event was refused, all of the batch are reported as refused."""

    attempts = 1

    def send(self, batch: list[Publication]) -> None:
        super().send(batch)
        if any(each.error is not None for each in batch):
            for each in batch:
                each.error = UnavailableError("the broker refused the batch")


@mutant(of=RemoteBus, killed_by="LIFE-09", imitates="E14")
class HasNoTimeLimit(WaitsWithoutALimit, RemoteBus):
    """A publish whose confirmation does not come is waited for without a limit."""


@mutant(of=RemoteBus, killed_by="LIFE-10", imitates="E13")
class NeverConnectsAgain(GivesUpForEver, RemoteBus):
    """Whose connection was refused once does not try another one."""
