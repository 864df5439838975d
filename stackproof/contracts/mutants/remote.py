"""Doubles of backends with a server: the references behind a simulated connection whose faults can be switched.

They let the self-test run the clauses about faults without any server. A double without a defect passes all of them.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, TypeVar

from stackproof.adapters.cache.memory import MemoryCache
from stackproof.adapters.events.memory import MemoryPubSub, MemorySubscription
from stackproof.adapters.interactions.memory import MemoryInteractionStore
from stackproof.adapters.search.memory import MemorySearchIndex
from stackproof.contracts.faulty import Fault, Faulty
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
    Missing,
    OperationTimeoutError,
    SearchCapabilities,
    SearchQuery,
    Subscription,
    SummariesPage,
    SummariesQuery,
    UnavailableError,
)

T = TypeVar("T")

TIMEOUT = 0.05
"""The time limit of a double, in seconds."""


class RefusedError(Exception):
    """No connection: nothing was sent."""


class BrokenError(Exception):
    """The connection broke while its answer was awaited."""


class NoAnswerError(Exception):
    """The time limit passed."""


class SimulatedLink:
    """The connection between a double and its "server", and the faults on it."""

    def __init__(self) -> None:
        self.late: deque[Any] = deque()
        """Answers that came after their question was given up."""
        self.cuts = 0
        self._fault: Fault | None = None
        self._spared = self._happened = self._attached = 0
        self._lock = threading.Lock()

    def begin(self, fault: Fault, spared: int = 0) -> None:
        with self._lock:
            self._fault, self._spared = fault, spared
            if fault in (Fault.REFUSED, Fault.BLACK_HOLE):
                self.cuts += 1
                self._happened += self._attached

    def end(self) -> None:
        with self._lock:
            self._fault = None

    def happened(self) -> int:
        return self._happened

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
        answer = None if fault is Fault.BLACK_HOLE else serve()
        if fault is Fault.ANSWER_CUT:
            raise BrokenError("reset")
        time.sleep(TIMEOUT)
        if fault is Fault.ANSWERS_LATE:
            self.late.append(answer)
        raise NoAnswerError("no answer in time")

    def _struck(self) -> Fault | None:
        """The fault that strikes this question."""
        with self._lock:
            fault = self._fault
            if fault is None:
                return None
            if fault in (Fault.ANSWER_CUT, Fault.ANSWERS_LOST) and self._spared:
                self._spared -= 1
                return None
            if fault is Fault.ANSWER_CUT:
                self._fault = None
            self._happened += 1
            return fault


class Remote:
    """What the doubles share: each question goes over the link, and what the link raises becomes an error of ours."""

    link: SimulatedLink

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)  # type: ignore[call-arg]
        self.link = SimulatedLink()

    @classmethod
    def make_faulty(cls, namespace: str) -> Faulty[Any]:
        made: Any = cls(namespace=namespace)
        return Faulty(made, made.link)

    def over(self, serve: Callable[[], T], *, writes: bool) -> T:
        try:
            return self.link.ask(serve)
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

    def ping(self) -> bool:
        try:
            return bool(self.over(super().ping, writes=False))  # type: ignore[misc]
        except BackendError:
            return False


class RemoteCache(Remote, MemoryCache):
    """The cache behind a link."""

    capabilities: ClassVar[CacheCapabilities] = replace(MemoryCache.capabilities, remote=True)

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

    capabilities: ClassVar[InteractionCapabilities] = replace(MemoryInteractionStore.capabilities, remote=True)

    def record_event(self, event: Interaction) -> None:
        self.over(lambda: MemoryInteractionStore.record_event(self, event), writes=True)

    def record_events(self, events: Sequence[Interaction]) -> None:
        self.over(lambda: MemoryInteractionStore.record_events(self, events), writes=True)

    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        return self.over(lambda: MemoryInteractionStore.get_summaries(self, query), writes=False)


class RemoteIndex(Remote, MemorySearchIndex):
    """The search index behind a link."""

    capabilities: ClassVar[SearchCapabilities] = replace(MemorySearchIndex.capabilities, remote=True)

    def index(self, documents: Iterable[Document]) -> int:
        return self.over(lambda: MemorySearchIndex.index(self, documents), writes=True)

    def search(self, query: SearchQuery) -> list[Hit]:
        return self.over(lambda: MemorySearchIndex.search(self, query), writes=False)

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


class RemoteBus(Remote, MemoryPubSub):
    """The event bus behind a link."""

    capabilities: ClassVar[EventCapabilities] = replace(MemoryPubSub.capabilities, remote=True)
    subscription_class: ClassVar[type[RemoteSubscription]] = RemoteSubscription

    def publish(self, topic: str, event: Event) -> None:
        self.over(lambda: MemoryPubSub.publish(self, topic, event), writes=True)

    def subscribe(self, topic: str, handler: Handler, group: str | None = None) -> Subscription:
        return self.over(lambda: MemoryPubSub.subscribe(self, topic, handler, group), writes=False)

    def _subscribed(self, topic: str, handler: Handler, group: str | None) -> MemorySubscription:
        made = self.subscription_class.__new__(self.subscription_class)
        made.link = self.link  # its thread starts in the constructor, and looks at it
        made.__init__(self._space, topic, object(), handler, self.capabilities.delivery)  # type: ignore[misc]
        self.link.attach()
        self._subscriptions = [each for each in self._subscriptions if not each._closed] + [made]
        return made
