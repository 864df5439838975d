"""Event buses with one defect each: members of a group that are killed, and those that come and go."""

from __future__ import annotations

from dataclasses import replace

from stackproof.adapters.events.common import call_handler, from_json
from stackproof.adapters.events.memory import MemoryEventPublisher

from . import mutant
from .processes_groups import PartitionedBus, PartitionMember

LATE = -1
"""In the place of a partition: what was fetched before it was given away."""


@mutant(of=MemoryEventPublisher, killed_by="EVENT-41", imitates="E1")
class AcknowledgesBeforeItHandles(PartitionedBus):
    """An event is acknowledged before its handler runs, and taken back where that fails: only a crash shows it."""

    class member_class(PartitionMember):  # noqa: N801 - a value of the bus
        def handle(self, partition: int, place: int, envelope: bytes) -> None:
            self._not_before.pop(partition, None)
            self.stand(partition, place + 1)
            super().handle(partition, place, envelope)
            if partition in self._not_before:
                self.stand(partition, place)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-41", imitates="E41")
class NobodyBuriesTheDead(PartitionedBus):
    """A member whose process was killed keeps its part for ever: what it had in hand is never claimed."""

    class member_class(PartitionMember):  # noqa: N801
        def bury_the_dead(self) -> None:
            """Nobody does."""


@mutant(of=MemoryEventPublisher, killed_by="EVENT-41")
class TakesOverUndeclared(PartitionedBus):
    """What a killed member had begun comes again at another one, which is not declared."""

    capabilities = replace(PartitionedBus.capabilities, takeover_seconds=0.0)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-41", imitates="E23")
class GoesOnBehindWhatTheDeadHadBegun(PartitionedBus):
    """A part that is taken over from a dead member goes on behind the event that it had in hand."""

    class member_class(PartitionMember):  # noqa: N801
        def bury_the_dead(self) -> None:
            before = dict(self.group.owners)
            super().bury_the_dead()
            for partition, owner in before.items():
                if owner and owner not in self.group.members:
                    behind = min(self.group.done[partition] + 1, len(self._journal.topics[self.topic][partition]))
                    self.stand(partition, behind)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-42", imitates="E7")
class ForgetsAFailedEventInAChange(PartitionedBus):
    """A part that changes hands while its event fails goes on behind it."""

    class member_class(PartitionMember):  # noqa: N801
        def give_away(self, partition: int) -> None:
            if partition in self._not_before:
                self.stand(partition, self.group.done[partition] + 1)
            super().give_away(partition)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-42")
class StaysPaused(PartitionedBus):
    """A part that waits because its event fails is still told to wait when it comes back to the member that gave it away."""

    class member_class(PartitionMember):  # noqa: N801
        def give_away(self, partition: int) -> None:
            paused = partition in self._not_before
            super().give_away(partition)
            if paused:
                self._not_before[partition] = float("inf")


@mutant(of=MemoryEventPublisher, killed_by="EVENT-42", imitates="E26")
class AChangeEndsTheOneThatStays(PartitionedBus):
    """A member that has to give something away handles nothing any more, and stays in its group."""

    class member_class(PartitionMember):  # noqa: N801
        cancelled = False

        def give_away(self, partition: int) -> None:
            super().give_away(partition)
            self.cancelled = not self._closed

        def next_event(self) -> tuple[int, int, bytes] | None:
            return None if self.cancelled else super().next_event()


@mutant(of=MemoryEventPublisher, killed_by="EVENT-42", imitates="E28")
class DropsTheFirstAfterAChange(PartitionedBus):
    """The first event of a part that changed hands is dropped."""

    class member_class(PartitionMember):  # noqa: N801
        def take(self, partition: int) -> None:
            super().take(partition)
            place = self.group.done[partition]
            if 0 < place < len(self._journal.topics[self.topic][partition]):
                self.stand(partition, place + 1)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-42", imitates="E25")
class GoesOnAtTheEndAfterAChange(PartitionedBus):
    """A part that changes hands goes on with what is published from then on."""

    class member_class(PartitionMember):  # noqa: N801
        def take(self, partition: int) -> None:
            super().take(partition)
            self.stand(partition, len(self._journal.topics[self.topic][partition]))


@mutant(of=MemoryEventPublisher, killed_by="EVENT-42", imitates="E27")
class BeginsAnewAfterAChange(PartitionedBus):
    """A part that changes hands begins with its first event again."""

    class member_class(PartitionMember):  # noqa: N801
        def take(self, partition: int) -> None:
            super().take(partition)
            self.stand(partition, 0)


@mutant(of=MemoryEventPublisher, killed_by="EVENT-42", imitates="E24")
class HandlesLateWhatItFetched(PartitionedBus):
    """What was fetched from a part that is given away is still handled, when its next owner has gone on already."""

    class member_class(PartitionMember):  # noqa: N801
        fetched: tuple[tuple[int, int], ...] = ()

        def give_away(self, partition: int) -> None:
            if not self._closed:
                place = self.group.done[partition]
                self.fetched += ((partition, place),)
                self.stand(partition, place + 1)
            super().give_away(partition)

        def next_event(self) -> tuple[int, int, bytes] | None:
            for partition, place in self.fetched:
                if self.group.done[partition] > place + 1:
                    return LATE, place, self._journal.topics[self.topic][partition][place]
            return super().next_event()

        def handle(self, partition: int, place: int, envelope: bytes) -> None:
            if partition != LATE:
                super().handle(partition, place, envelope)
            elif call_handler(self._handler, from_json(envelope), self.topic):
                self.fetched = tuple(each for each in self.fetched if each[1] != place)
