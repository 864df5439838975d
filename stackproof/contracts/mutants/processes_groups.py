"""A double of an event bus whose groups live across processes: partitions by key, shared by the members that live.

What everybody publishes, and what the members do, is a journal in a file that parent and child share. It lets the self-test run
the clauses about killed members without any server. The double without a defect passes them.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from stackproof.adapters.events.common import call_handler, check_topic, from_json, to_json
from stackproof.adapters.events.memory import MemoryEventPublisher, MemorySubscription
from stackproof.adapters.spaces import Spaces
from stackproof.interfaces import Event, EventCapabilities, Handler, Order, Subscription

from .processes_doubles import SharedFile

PARTITIONS = 3
TICK_SECONDS = 0.005
RETRY_SECONDS = 0.02


@dataclass(slots=True)
class Group:
    """Where a group stands, and who is in it."""

    done: dict[int, int] = field(default_factory=dict)
    """Partition -> how many of its events are done."""
    members: dict[str, int] = field(default_factory=dict)
    """Member -> its process."""
    owners: dict[int, str] = field(default_factory=dict)
    """Partition -> the member that has it; nobody where there is none."""

    def fair_owner(self, partition: int) -> str:
        names = sorted(self.members)
        return names[partition % len(names)]


class Journal:
    """All topics and groups of a namespace, as the file tells of them. Every change is made under the lock of `turn`."""

    def __init__(self) -> None:
        self.topics: dict[str, dict[int, list[bytes]]] = defaultdict(lambda: {n: [] for n in range(PARTITIONS)})
        self.groups: dict[tuple[str, str], Group] = defaultdict(Group)
        self._file = SharedFile()
        self._lock = threading.RLock()
        self._offset = 0

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Nobody else, in whichever process, changes anything; everything is known that was changed before."""
        with self._lock:
            self._file.locked(fcntl.LOCK_EX)
            try:
                self._catch_up()
                yield
            finally:
                self._file.locked(fcntl.LOCK_UN)

    def write(self, change: str, *values: Any) -> None:
        """One change, also to what is known here."""
        self._file.append((change, *values))
        self._catch_up()

    def _catch_up(self) -> None:
        changes, self._offset = self._file.read(self._offset)
        for change, *values in changes:
            _CHANGES[change](self, *values)

    def published(self, topic: str, partition: int, envelope: bytes) -> None:
        self.topics[topic][partition].append(envelope)

    def joined(self, topic: str, name: str, member: str, process: int) -> None:
        group, partitions = self.groups[topic, name], self.topics[topic]
        group.members[member] = process
        for partition, events in partitions.items():
            group.done.setdefault(partition, len(events))

    def left(self, topic: str, name: str, member: str) -> None:
        group = self.groups[topic, name]
        group.members.pop(member, None)
        group.owners = {partition: owner for partition, owner in group.owners.items() if owner != member}

    def owned(self, topic: str, name: str, partition: int, member: str) -> None:
        self.groups[topic, name].owners[partition] = member

    def stands(self, topic: str, name: str, partition: int, done: int) -> None:
        self.groups[topic, name].done[partition] = done


_CHANGES: dict[str, Callable[..., None]] = {
    "published": Journal.published,
    "joined": Journal.joined,
    "left": Journal.left,
    "owned": Journal.owned,
    "stands": Journal.stands,
}
_journals = Spaces(Journal)


class PartitionMember(Subscription):
    """One member of a group: it handles the events of its partitions, one at a time, and gives away what is others' part."""

    def __init__(self, journal: Journal, topic: str, group: str, handler: Handler) -> None:
        self.topic = topic
        self._journal = journal
        self._name = group
        self._handler = handler
        self._closed = False
        self._not_before: dict[int, float] = {}
        self.id = f"{time.monotonic():020.6f}-{secrets.token_hex(4)}"
        with journal.turn():
            journal.write("joined", topic, group, self.id, os.getpid())
        self._thread = threading.Thread(target=self._run, name=f"stackproof-partitions-{topic}", daemon=True)
        self._thread.start()

    @property
    def active(self) -> bool:
        return not self._closed

    def close(self) -> None:
        self.stop()
        self.wait(None)

    def stop(self) -> None:
        """Begin no further handler call."""
        self._closed = True

    def wait(self, seconds: float | None) -> bool:
        """Whether the handler ended, waiting for it so long at most; from inside the handler, at once."""
        if threading.current_thread() is not self._thread:
            self._thread.join(seconds)
        return not self._thread.is_alive() or threading.current_thread() is self._thread

    def _run(self) -> None:
        while not self._closed:
            with self._journal.turn():
                self.bury_the_dead()
                self.share()
                found = self.next_event()
            if found is None:
                time.sleep(TICK_SECONDS)
            else:
                self.handle(*found)
        with self._journal.turn():
            for partition in self.mine():
                self.give_away(partition)
            self._journal.write("left", self.topic, self._name, self.id)

    @property
    def group(self) -> Group:
        return self._journal.groups[self.topic, self._name]

    def mine(self) -> list[int]:
        """The partitions of this member."""
        return [partition for partition, owner in self.group.owners.items() if owner == self.id]

    def bury_the_dead(self) -> None:
        """What members had whose process is gone is nobody's from now on."""
        for member, process in list(self.group.members.items()):
            if not _lives(process):
                self._journal.write("left", self.topic, self._name, member)

    def share(self) -> None:
        """Give away what is somebody else's part by now, and take what is mine and nobody's."""
        for partition in range(PARTITIONS):
            owner, fair = self.group.owners.get(partition, ""), self.group.fair_owner(partition)
            if owner == self.id != fair:
                self.give_away(partition)
            elif not owner and fair == self.id:
                self.take(partition)

    def give_away(self, partition: int) -> None:
        """It is nobody's now; who gets it goes on where the group stands."""
        self._not_before.pop(partition, None)
        self._journal.write("owned", self.topic, self._name, partition, "")

    def take(self, partition: int) -> None:
        self._journal.write("owned", self.topic, self._name, partition, self.id)

    def next_event(self) -> tuple[int, int, bytes] | None:
        """Partition, place and envelope of an event that is due."""
        for partition in self.mine():
            place, events = self.group.done[partition], self._journal.topics[self.topic][partition]
            if place < len(events) and time.monotonic() >= self._not_before.get(partition, 0.0):
                return partition, place, events[place]
        return None

    def handle(self, partition: int, place: int, envelope: bytes) -> None:
        """The event is done when the handler took it. Until then its partition waits, and the others go on."""
        if call_handler(self._handler, from_json(envelope), self.topic):
            self.stand(partition, place + 1)
        else:
            self._not_before[partition] = time.monotonic() + RETRY_SECONDS

    def stand(self, partition: int, done: int) -> None:
        """So many events of the partition are done."""
        with self._journal.turn():
            self._journal.write("stands", self.topic, self._name, partition, done)


class PartitionedBus(MemoryEventPublisher):
    """The bus on a journal. A subscription without a group is one of its own, which nobody else joins."""

    capabilities: ClassVar[EventCapabilities] = replace(
        MemoryEventPublisher.capabilities, order=Order.PER_KEY, durable=True, takeover_seconds=1.0, remote=True
    )
    known_spaces = _journals
    member_class: ClassVar[type[PartitionMember]] = PartitionMember

    def publish(self, topic: str, event: Event) -> None:
        self._check_open()
        check_topic(topic)
        envelope = to_json(event, self.capabilities.max_payload_bytes)
        with self._space.turn():
            self._space.write("published", topic, zlib.crc32(event.key.encode()) % PARTITIONS, envelope)

    def _subscribed(self, topic: str, handler: Handler, group: str | None) -> MemorySubscription:
        name = secrets.token_hex(8) if group is None else f"group {group}"
        member: Any = self.member_class(self._space, topic, name, handler)
        self._subscriptions = [each for each in self._subscriptions if each.active] + [member]
        return member  # type: ignore[no-any-return]

    def drop_namespace(self) -> None:
        """The file goes with its last user."""


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
