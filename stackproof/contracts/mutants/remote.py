"""Doubles of backends with a server: the references behind a simulated connection whose faults can be switched.

They let the self-test run the clauses about faults without any server. A double without a defect passes all of them.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, TypeVar

from stackproof.adapters.cache.memory import MemoryCache
from stackproof.adapters.events.memory import MemoryEventPublisher, MemoryPubSub, MemorySubscription
from stackproof.adapters.events.memory_log import MemoryEventLog
from stackproof.adapters.interactions.memory import MemoryInteractionStore
from stackproof.adapters.search.memory import MemorySearchIndex
from stackproof.contracts.faulty import NETWORK, Fault, Faulty
from stackproof.interfaces import (
    MISSING,
    BackendError,
    CacheCapabilities,
    CacheValue,
    Document,
    Event,
    EventCapabilities,
    Handler,
    Hit,
    IndeterminateError,
    Interaction,
    InteractionCapabilities,
    Match,
    Missing,
    OperationTimeoutError,
    RejectedError,
    SearchCapabilities,
    SearchQuery,
    Subscription,
    SummariesPage,
    SummariesQuery,
    Summary,
    UnavailableError,
)

T = TypeVar("T")

TIMEOUT = 0.05
"""The time limit of a double, in seconds."""
LOOKS_SECONDS = 0.005
"""How often the member of a group looks whether its link is whole again."""
PAGE = 2
"""How many rows a page of the server has, when it ends early."""


class RefusedError(Exception):
    """No connection: nothing was sent."""


class BrokenError(Exception):
    """The connection broke while its answer was awaited."""


class NoAnswerError(Exception):
    """The time limit passed."""


class BusyError(Exception):
    """The server answered: come again later."""


class SimulatedLink:
    """The connection between a double and its "server", and the faults on it."""

    def __init__(self) -> None:
        self.late: deque[Any] = deque()
        """Answers that came after their question was given up."""
        self.cuts = 0
        self._fault: Fault | None = None
        self._spared = self._happened = self._attached = self._items = self._taken = 0
        self._lock = threading.Lock()

    def kinds(self) -> frozenset[Fault]:
        return NETWORK | {Fault.THROTTLED, Fault.THROTTLED_ONCE, Fault.PART_REFUSED, Fault.PAGES_CUT}

    def begin(self, fault: Fault, spared: int = 0) -> None:
        with self._lock:
            self._fault, self._spared, self._items = fault, spared, 0
            if fault in (Fault.REFUSED, Fault.BLACK_HOLE):
                self.cuts += 1
                self._happened += self._attached

    def end(self) -> None:
        with self._lock:
            self._fault = None

    def happened(self) -> int:
        return self._happened

    def taken(self) -> int:
        return self._taken

    def close(self) -> None:
        self.end()

    def attach(self) -> None:
        """A subscription begins to listen: it is cut, too."""
        self._attached += 1

    @property
    def broken(self) -> bool:
        return self._fault in (Fault.REFUSED, Fault.BLACK_HOLE)

    def ask(self, serve: Callable[[], T]) -> T:
        """The answer of the server, if the faults let question and answer pass."""
        fault = self._struck()
        if fault is None:
            return serve()
        if fault is Fault.REFUSED:
            raise RefusedError("refused")
        if fault in (Fault.THROTTLED, Fault.THROTTLED_ONCE):
            raise BusyError("come again later")
        answer = None if fault is Fault.BLACK_HOLE else serve()
        if fault is Fault.ANSWER_CUT:
            raise BrokenError("reset")
        time.sleep(TIMEOUT)
        if fault is Fault.ANSWERS_LATE:
            self.late.append(answer)
        raise NoAnswerError("no answer in time")

    def take(self, items: Sequence[T], serve: Callable[[Sequence[T]], object]) -> list[int]:
        """Serve a batch, or a part of it; the places of those that are refused for the moment."""
        if self._fault is not Fault.PART_REFUSED:
            serve(items)
            return []
        time.sleep(0.001)  # what is published meanwhile makes the next batch
        with self._lock:
            refused = [place for place in range(len(items)) if (self._items + place) % 2 == 0]
            self._items += len(items)
            self._happened += len(refused)
            self._taken += len(items) - len(refused)
        serve([item for place, item in enumerate(items) if place not in refused])
        return refused

    def page(self, rows: Sequence[T], begin: int) -> tuple[Sequence[T], int | None]:
        """The rows of one page of the server, and where the next one begins; None: there is none."""
        if self._fault is not Fault.PAGES_CUT or begin >= len(rows):
            return rows[begin:], None
        with self._lock:
            self._happened += 1
            self._items += 1
            end = begin + (PAGE if self._items % 2 else 0)
        return rows[begin:end], end if end < len(rows) else None

    def _struck(self) -> Fault | None:
        """The fault that strikes this question."""
        with self._lock:
            fault = self._fault
            if fault in (None, Fault.PART_REFUSED, Fault.PAGES_CUT):
                return None
            if fault in (Fault.ANSWER_CUT, Fault.ANSWERS_LOST) and self._spared:
                self._spared -= 1
                return None
            if fault in (Fault.ANSWER_CUT, Fault.THROTTLED_ONCE):
                self._fault = None
            self._happened += 1
            return fault


class Remote:
    """What the doubles share: each question goes over the link, and what the link raises becomes an error of ours."""

    link: SimulatedLink
    attempts: ClassVar[int] = 12

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)  # type: ignore[call-arg]
        self.link = SimulatedLink()

    @classmethod
    def make_faulty(cls, namespace: str) -> Faulty[Any]:
        made: Any = cls(namespace=namespace)
        return Faulty(made, made.link)

    def over(self, serve: Callable[[], T], *, writes: bool) -> T:
        try:
            return self.patiently(serve)
        except BusyError as error:
            raise UnavailableError("the server has too much to do") from error
        except RefusedError as error:
            raise UnavailableError("the server refused the connection") from error
        except BrokenError as error:
            if writes:
                raise IndeterminateError("the connection broke before the answer") from error
            raise UnavailableError("the connection broke") from error
        except NoAnswerError as error:
            if writes:
                raise IndeterminateError("no answer to the write in time") from error
            raise OperationTimeoutError("no answer in time") from error

    def patiently(self, serve: Callable[[], T]) -> T:
        """Come again a few times, after pauses that grow."""
        for pause in (0.001, 0.005, 0.02):
            try:
                return self.link.ask(serve)
            except BusyError:
                time.sleep(pause)
        return self.link.ask(serve)

    def in_parts(self, items: Sequence[T], serve: Callable[[Sequence[T]], object]) -> list[T]:
        """Send a batch, and again what of it was refused; what is still refused in the end."""
        left = list(items)
        for _ in range(self.attempts):
            refused = self.over(partial(self.link.take, left, serve), writes=True)
            left = self.to_repeat(left, refused)
            if not left:
                break
            time.sleep(0.001)
        return left

    def to_repeat(self, batch: list[T], refused: list[int]) -> list[T]:
        """What of a batch is sent again."""
        return [batch[place] for place in refused]

    def ping(self) -> bool:
        try:
            return bool(self.over(super().ping, writes=False))  # type: ignore[misc]
        except BackendError:
            return False


class RemoteCache(Remote, MemoryCache):
    """The cache behind a link."""

    capabilities: ClassVar[CacheCapabilities] = replace(MemoryCache.capabilities, remote=True, throttles=True)

    def get(self, key: str) -> CacheValue | Missing:
        return self.over(lambda: MemoryCache.get(self, key), writes=False)

    def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
        self.over(lambda: MemoryCache.set(self, key, value, ttl), writes=True)

    def delete(self, key: str) -> bool:
        return self.over(lambda: MemoryCache.delete(self, key), writes=True)

    def get_or_fetch(self, key: str, fetch: Callable[[], CacheValue], ttl: float | None = None) -> CacheValue:
        found = self.get(key)
        if found is not MISSING:
            return found
        value = fetch()
        self.set(key, value, ttl)
        return value


class RemoteStore(Remote, MemoryInteractionStore):
    """The interaction store behind a link."""

    capabilities: ClassVar[InteractionCapabilities] = replace(
        MemoryInteractionStore.capabilities, remote=True, throttles=True, partial_batches=True, paged_reads=True
    )

    def record_event(self, event: Interaction) -> None:
        self.over(lambda: MemoryInteractionStore.record_event(self, event), writes=True)

    def record_events(self, events: Sequence[Interaction]) -> None:
        if left := self.in_parts(events, lambda part: MemoryInteractionStore.record_events(self, part)):
            raise IndeterminateError(f"the server refused {len(left)} of {len(events)} contacts, the others are stored")

    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        page = self.over(lambda: MemoryInteractionStore.get_summaries(self, query), writes=False)
        return replace(page, rows=tuple(self.read_on(page.rows)))

    def read_on(self, rows: Sequence[Summary]) -> list[Summary]:
        """All pages of the server."""
        found: list[Summary] = []
        begin: int | None = 0
        while begin is not None:
            part, begin = self.link.page(rows, begin)
            found += part
        return found


class RemoteIndex(Remote, MemorySearchIndex):
    """The search index behind a link."""

    capabilities: ClassVar[SearchCapabilities] = replace(
        MemorySearchIndex.capabilities, remote=True, throttles=True, partial_batches=True
    )

    def index(self, documents: Iterable[Document]) -> int:
        batch = list(documents)
        if left := self.in_parts(batch, lambda part: MemorySearchIndex.index(self, part)):
            failed = {document.id: "the server refused it" for document in left}
            raise RejectedError(f"the server refused {len(left)} documents", failed)
        return len(batch)

    def search(self, query: SearchQuery) -> list[Hit]:
        return self.over(lambda: MemorySearchIndex.search(self, query), writes=False)

    def search_for(self, match: Match, query: SearchQuery) -> list[Hit]:
        if match is Match.ALL:
            return self.search(query)  # over the link once
        return self.over(lambda: MemorySearchIndex.search_for(self, match, query), writes=False)

    def delete(self, tenant: str, ids: Iterable[str]) -> int:
        return self.over(lambda: MemorySearchIndex.delete(self, tenant, ids), writes=True)


class RemoteSubscription(MemorySubscription):
    """Hears nothing while its link is broken, and says so."""

    link: SimulatedLink

    @property
    def active(self) -> bool:
        return super().active and not self.link.broken

    def deliver(self, envelope: bytes) -> None:
        if not self.link.broken:
            super().deliver(envelope)


class RemoteMember(MemorySubscription):
    """Takes nothing from its queue while its link is broken, and says that it does not."""

    link: SimulatedLink

    @property
    def active(self) -> bool:
        return super().active and not self.link.broken

    def _next(self) -> bytes | None:
        with self._space.lock:
            while not self._closed and (self.link.broken or not self._queue.events):
                self._space.changed.wait(LOOKS_SECONDS)  # a link that is whole again tells nobody
            return None if self._closed else self._queue.events.popleft()


@dataclass(slots=True, eq=False)
class Publication:
    """One call of publish on its way."""

    topic: str
    event: Event
    sent: bool = False
    error: BackendError | None = None


class RemoteEvents(Remote, MemoryEventPublisher):
    """What the buses behind a link share: whoever has the turn sends what waits as one batch, also the events of others."""

    subscription_class: ClassVar[type[MemorySubscription]]

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self._waiting: deque[Publication] = deque()
        self._turn = threading.Lock()

    def publish(self, topic: str, event: Event) -> None:
        mine = Publication(topic, event)
        self._waiting.append(mine)
        with self._turn:
            if not mine.sent:
                self.send([self._waiting.popleft() for _ in range(len(self._waiting))])
        if mine.error is not None:
            raise mine.error

    def send(self, batch: list[Publication]) -> None:
        """Send a batch, and tell each of it what became of it."""
        try:
            for each in self.in_parts(batch, self.serve):
                each.error = UnavailableError("the broker refused the event")
        except BackendError as error:
            for each in batch:
                each.error = error
        for each in batch:
            each.sent = True

    def serve(self, batch: Sequence[Publication]) -> None:
        """What the broker does."""
        for each in batch:
            MemoryEventPublisher.publish(self, each.topic, each.event)

    def subscribe(self, topic: str, handler: Handler, group: str | None = None) -> Subscription:
        return self.over(lambda: MemoryEventPublisher.subscribe(self, topic, handler, group), writes=False)

    def _member(self, topic: str, handler: Handler, group: object) -> MemorySubscription:
        made: Any = self.subscription_class.__new__(self.subscription_class)
        made.link = self.link  # its thread starts in the constructor, and looks at it
        made.__init__(self._space, topic, group, handler, self.capabilities.delivery)
        self.link.attach()
        self._subscriptions = [each for each in self._subscriptions if not each._closed] + [made]
        return made  # type: ignore[no-any-return]


class RemoteBus(RemoteEvents, MemoryPubSub):
    """The event bus behind a link: who is cut off misses what is published."""

    capabilities: ClassVar[EventCapabilities] = replace(
        MemoryPubSub.capabilities, remote=True, throttles=True, partial_batches=True
    )
    subscription_class = RemoteSubscription


class RemoteLog(RemoteEvents, MemoryEventLog):
    """The event log behind a link: what is published while a member is cut off waits for it."""

    capabilities: ClassVar[EventCapabilities] = replace(
        MemoryEventLog.capabilities, remote=True, throttles=True, partial_batches=True
    )
    subscription_class = RemoteMember

    def replay(self, topic: str, handler: Handler) -> Subscription:
        return self.over(lambda: MemoryEventLog.replay(self, topic, handler), writes=False)
