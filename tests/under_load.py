"""Writes that go on while a server is hurt: who makes them, what each backend was told, and what is there afterwards."""

from __future__ import annotations

import itertools
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from stackproof.contracts.expectations import eventually
from stackproof.contracts.faulty import RECOVERY_SECONDS
from stackproof.contracts.interaction_samples import about, contact, walk
from stackproof.contracts.lifecycle import BOUNDED
from stackproof.contracts.listeners import Listener, numbered
from stackproof.interfaces import (
    MISSING,
    BackendError,
    CacheStore,
    Delivery,
    Document,
    EventPublisher,
    IndeterminateError,
    InteractionStore,
    PeriodType,
    ReplayableEvents,
    SearchIndex,
    SearchQuery,
    Subscription,
)

THREADS = 4
PAUSE_SECONDS, LATER_SECONDS = 0.01, 0.1
"""After a write of one thread, and after one that failed: a load that is steady, and can be read back in seconds."""
SETTLING_SECONDS = 30.0
"""How long an event may take that was published in time: the next one of them, as long as new ones come."""
TOPIC = "load"
TENANT = "load"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One write: when it was made, and what the backend said."""

    number: int
    began: float
    ended: float
    error: BackendError | None


class Load(ABC):
    """What one backend is written to, and how that is read back."""

    def __init__(self, name: str, backend: Any) -> None:
        self.name = name
        self.backend = backend

    @abstractmethod
    def write(self, number: int) -> None:
        """One write that `stored` recognises by its number."""

    @abstractmethod
    def stored(self, wanted: set[int]) -> Counter[int]:
        """How often each write is there. Where they arrive by themselves, those that are wanted are waited for."""

    def check(self, attempts: list[Attempt], killed: float | None) -> str:
        """Nothing acknowledged is lost, nothing is there twice, and nothing that was said not to be applied is there."""
        acknowledged = {each.number for each in attempts if each.error is None}
        found = self.stored(acknowledged)
        lost = acknowledged - found.keys()
        assert not lost, f"{self.name}: {len(lost)} acknowledged writes are lost: {sorted(lost)[:10]}"
        self._check_surplus(attempts, found)
        return f"all {len(acknowledged)} acknowledged are there"

    def _check_surplus(self, attempts: list[Attempt], found: Counter[int]) -> None:
        twice = {number for number, times in found.items() if times > 1}
        assert not twice, f"{self.name}: applied more than once: {sorted(twice)[:10]}"
        denied = [each for each in attempts if each.number in found and each.error is not None]
        lies = [each.error for each in denied if not isinstance(each.error, IndeterminateError)]
        assert not lies, (
            f"{self.name}: {len(lies)} are there of which an error said that nothing was applied: {lies[0]!r}"
        )
        unknown = found.keys() - {each.number for each in attempts}
        assert not unknown, f"{self.name}: nobody wrote {sorted(unknown)[:10]}"

    def end(self) -> None:
        """Take away what was written."""
        self.backend.drop_namespace()
        self.backend.disconnect()


class InteractionLoad(Load):
    """An interaction each, of one customer a thread."""

    backend: InteractionStore

    def write(self, number: int) -> None:
        self.backend.record_event(
            contact(event_id=f"e-{number}", tenant=TENANT, customer=f"c-{number % THREADS}", offer=str(number))
        )

    def stored(self, wanted: set[int]) -> Counter[int]:
        queries = [about(TENANT, f"c-{thread}", period_type=PeriodType.ALLTIME) for thread in range(THREADS)]
        rows = [row for query in queries for row in walk(self.backend, query)]
        return Counter({int(row.offer): row.positive for row in rows})


class SearchLoad(Load):
    """A document each; a word of a hundred of them finds them again."""

    backend: SearchIndex

    def write(self, number: int) -> None:
        document = Document(tenant=TENANT, id=str(number), title=f"load{number}", text=f"hundred{number // 100}")
        self.backend.index([document])

    def stored(self, wanted: set[int]) -> Counter[int]:
        time.sleep(self.backend.capabilities.visible_within)
        found: Counter[int] = Counter()
        for hundred in range(max(wanted, default=0) // 100 + 2):
            query = SearchQuery(tenant=TENANT, text=f"hundred{hundred}", limit=1000)
            found.update(int(hit.id) for hit in self.backend.search(query))
        return found


class CacheLoad(Load):
    """An entry each. No cache promises to survive its server: after a kill an entry is there as it was written, or missing."""

    backend: CacheStore

    def write(self, number: int) -> None:
        self.backend.set(f"n-{number}", number)

    def stored(self, wanted: set[int]) -> Counter[int]:
        values = {number: self.backend.get(f"n-{number}") for number in range(max(wanted, default=0) + 1)}
        there = {number: value for number, value in values.items() if value is not MISSING}
        altered = {number: value for number, value in there.items() if value != number}
        assert not altered, f"{self.name}: {altered}"
        return Counter(there.keys())

    def check(self, attempts: list[Attempt], killed: float | None) -> str:
        if killed is None:
            return super().check(attempts, killed)
        found = self.stored({each.number for each in attempts})
        since = {each.number for each in attempts if each.error is None and each.began > killed}
        assert since <= found.keys(), f"{self.name}: lost after the kill: {sorted(since - found.keys())[:10]}"
        self._check_surplus(attempts, found)
        before = sum(each.error is None for each in attempts) - len(since)
        kept = len(found.keys() - since)
        return (
            f"{kept} of {before} entries survived the kill, which nobody promised; all {len(since)} after it are there"
        )


class EventLoad(Load):
    """An event each. A subscription listens all the time, and a member of a group where there are groups."""

    backend: EventPublisher

    def __init__(self, name: str, backend: Any) -> None:
        super().__init__(name, backend)
        groups = [None, "readers"] if backend.capabilities.groups else [None]
        self.listeners = [Listener() for _ in groups]
        self.subscriptions: list[Subscription] = [
            backend.subscribe(TOPIC, listener, group) for listener, group in zip(self.listeners, groups, strict=True)
        ]

    def write(self, number: int) -> None:
        self.backend.publish(TOPIC, numbered(number, key=f"k-{number % THREADS}"))

    def end(self) -> None:
        for subscription in self.subscriptions:
            subscription.close()
        super().end()

    def stored(self, wanted: set[int]) -> Counter[int]:
        """What every listener has. At least once: an event that came again counts once."""
        for listener in self.listeners:
            listener.await_numbers(wanted, f"{self.name}: the events that were acknowledged", SETTLING_SECONDS)
        assert all(subscription.active for subscription in self.subscriptions)
        return Counter(self._received())

    def _received(self) -> set[int]:
        return {number for listener in self.listeners for number in map(int, map(str, listener.called_with))}

    def _numbers(self) -> list[int]:
        """What the one listener of pub/sub was called with, in order."""
        return [int(str(event.payload["n"])) for event in self.listeners[0].calls]

    def check(self, attempts: list[Attempt], killed: float | None) -> str:
        eventually(lambda: all(each.active for each in self.subscriptions), f"{self.name}: subscriptions work", BOUNDED)
        if self.backend.capabilities.delivery is Delivery.AT_MOST_ONCE:
            return self._check_gap(attempts)
        told = super().check(attempts, killed)
        if isinstance(self.backend, ReplayableEvents):
            again = Listener()
            replayed = self.backend.replay(TOPIC, again)
            acknowledged = {each.number for each in attempts if each.error is None}
            again.await_numbers(acknowledged, f"{self.name}: the events that are kept", SETTLING_SECONDS)
            replayed.close()
        return f"{told}, at {len(self.listeners)} subscriptions"

    def _check_gap(self, attempts: list[Attempt]) -> str:
        """Pub/sub owes what is published while the subscription works, in order and once; a gap in that is told."""
        (subscription,), (listener,) = self.subscriptions, self.listeners
        first = 1 + max(each.number for each in attempts)
        probes = itertools.count(first)

        def one_comes() -> bool:
            with suppress(BackendError):
                self.write(next(probes))
            return any(number >= first for number in self._numbers())

        eventually(one_comes, f"{self.name}: an event after the fault", RECOVERY_SECONDS)
        owed = list(itertools.islice(probes, 20))
        for number in owed:
            self.write(number)
        listener.await_numbers(owed, f"{self.name}: the events after that", SETTLING_SECONDS)
        numbers = [number for number in self._numbers() if number < first]
        assert len(set(numbers)) == len(numbers), f"{self.name}: events came twice"
        for thread in range(THREADS):
            mine = [number for number in numbers if number % THREADS == thread]
            assert mine == sorted(mine), f"{self.name}: the order of one publisher was not kept"
        self._check_surplus(attempts, Counter(numbers))
        missed = {each.number for each in attempts if each.error is None} - set(numbers)
        gaps = int(getattr(subscription, "gaps"))  # noqa: B009 - of pub/sub alone
        assert gaps or not missed, f"{self.name}: {len(missed)} events were missed, and no gap was told"
        return f"{len(missed)} acknowledged events were missed, {len(numbers)} came, {gaps} gaps were told"


LOADS: dict[str, Callable[[str, Any], Load]] = {
    "interactions": InteractionLoad,
    "search": SearchLoad,
    "cache": CacheLoad,
    "events": EventLoad,
}


class Writers:
    """Threads that write until they are told to stop, and note what each write was answered."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self._attempts: list[Attempt] = []
        self._crashes: list[BaseException] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(thread,), daemon=True) for thread in range(THREADS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * BOUNDED)
        if error is None:
            hanging = sum(thread.is_alive() for thread in self._threads)
            assert not hanging, f"{self.load.name}: {hanging} writes hang"
            assert not self._crashes, f"{self.load.name}: no error of ours: {self._crashes[0]!r}"

    def _work(self, thread: int) -> None:
        refused: BackendError | None = None
        for number in itertools.count(thread, THREADS):
            if self._stop.wait(LATER_SECONDS if refused else PAUSE_SECONDS):
                return
            began, refused = time.monotonic(), None
            try:
                self.load.write(number)
            except BackendError as error:
                refused = error
            except BaseException as error:  # noqa: BLE001 - told where the threads are ended
                self._crashes.append(error)
                return
            self._attempts.append(Attempt(number, began, time.monotonic(), refused))

    @property
    def attempts(self) -> list[Attempt]:
        return list(self._attempts)

    def wait_for_writes(self, count: int, since: float, within: float) -> Attempt:
        """Wait until so many writes were acknowledged that began since then; the first one of them."""
        eventually(lambda: len(self._good(since)) >= count, f"{self.load.name}: {count} writes", within)
        return min(self._good(since), key=lambda each: each.ended)

    def _good(self, since: float) -> list[Attempt]:
        return [each for each in self._attempts if each.error is None and each.began >= since]

    def wait_for_errors(self, since: float, within: float) -> None:
        """Wait until a write of every thread that began since then ended with an error: nobody hangs."""

        def missing() -> set[int]:
            bad = {each.number % THREADS for each in self._attempts if each.error is not None and each.began >= since}
            return set(range(THREADS)) - bad

        eventually(lambda: not missing(), f"{self.load.name}: every thread is told that the server is away", within)

    def longest(self) -> float:
        return max(each.ended - each.began for each in self._attempts)


def errors_of(attempts: Iterable[Attempt]) -> str:
    """How many of each kind."""
    kinds = Counter(type(each.error).__name__ for each in attempts if each.error is not None)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "no errors"
