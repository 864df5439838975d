"""asyncio backends under the same contracts: `bridged` runs one on an event loop in a thread of its own.

    class TestMyCache(CacheContract):
        def make_backend(self, namespace):
            return bridged(CacheStore, lambda: MyAsyncCache(prefix=namespace))

The backend has the methods of the interface as coroutine functions (ordinary ones work too). A fetch and a handler are handed to
it as coroutine functions. Callers of different threads run at the same time on the loop, as the tasks of one server do; a
caller that is interrupted cancels its task.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar, cast

from stackproof.interfaces import (
    Backend,
    BulkInteractionStore,
    CacheStore,
    CacheValue,
    ConfigurationError,
    DeletableIndex,
    Document,
    Event,
    EventPublisher,
    Handler,
    Hit,
    Interaction,
    InteractionStore,
    Match,
    MatchingIndex,
    Missing,
    ReplayableEvents,
    SearchIndex,
    SearchQuery,
    Subscription,
    SummariesPage,
    SummariesQuery,
)

from .asyncio_loop import Call, LoopThread, Work

B = TypeVar("B", bound=Backend)

CALL_SECONDS = 10.0
"""How long one operation may take, its fetch included."""


def bridged(interface: type[B], make: Callable[[], Any], *, seconds: float = CALL_SECONDS) -> B:
    """A backend of this interface, whose work is done by an asyncio backend.

    ``make`` makes the asyncio backend; it is called on the event loop, and may be a coroutine function. An operation
    that takes more than ``seconds`` is cancelled and raises `OperationTimeoutError`.
    """
    if interface not in _BRIDGES:
        names = ", ".join(known.__name__ for known in _BRIDGES)
        raise TypeError(f"there is a bridge for {names}, not for {interface.__name__}")
    loop = LoopThread(seconds)
    try:
        backend = loop.call(lambda _call: make())
    except BaseException:
        loop.close()
        raise
    absent = [name for name in sorted(interface.__abstractmethods__) if not callable(getattr(backend, name, None))]
    if absent:
        loop.close()
        raise ConfigurationError(
            f"what was made for the bridge is a {type(backend).__name__} and no {interface.__name__}: "
            f"it has no {', '.join(absent)}"
        )
    richer = (kind for methods, kind in _OPTIONAL.get(interface, ()) if all(hasattr(backend, name) for name in methods))
    kind = next(richer, _BRIDGES[interface])
    return cast("B", kind(backend, loop, seconds))


class _Bridge(Backend):
    """What all bridges share: calling and ending."""

    def __init__(self, backend: Any, loop: LoopThread, seconds: float) -> None:
        self._asynchronous = backend
        self._loop = loop
        self._seconds = seconds
        self._closed = False
        self._closing = threading.Lock()
        self.__stackproof_backend__ = type(backend)  # what a certificate is about: the bridge is ours
        self._process = os.getpid()
        capabilities = getattr(backend, "capabilities", None)
        if capabilities is not None:
            self.capabilities = capabilities

    def _call(self, operation: str, *arguments: Any, **options: Any) -> Any:
        return self._on_loop(lambda _call: getattr(self._asynchronous, operation)(*arguments, **options))

    def _on_loop(self, work: Work) -> Any:
        """Run an operation of the backend on its loop. After disconnect it is still asked, on a loop that is made for it:
        whether it refuses is a matter of the contract, and not the bridge's to hide."""
        if not self._closed or os.getpid() != self._process:
            return self._loop.call(work)
        loop = LoopThread(self._seconds)
        try:
            return loop.call(work)
        finally:
            loop.close()

    def ping(self) -> bool:
        return cast("bool", self._call("ping"))

    def disconnect(self) -> None:
        if os.getpid() != self._process:
            self._closed = True  # a forked child: the loop and its backend belong to the parent
            return
        with self._closing:
            try:
                self._call("disconnect")
            finally:
                if not self._closed:
                    self._closed = True
                    self._loop.close()

    def drop_namespace(self) -> None:
        """Remove what is stored under the namespace, where the backend can."""
        if hasattr(self._asynchronous, "drop_namespace"):
            self._call("drop_namespace")


class BridgedCache(_Bridge, CacheStore):
    """A cache whose work is done by an asyncio cache."""

    def get(self, key: str) -> CacheValue | Missing:
        return cast("CacheValue | Missing", self._call("get", key))

    def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
        self._call("set", key, value, ttl)

    def delete(self, key: str) -> bool:
        return cast("bool", self._call("delete", key))

    def get_or_fetch(self, key: str, fetch: Callable[[], CacheValue], ttl: float | None = None) -> CacheValue:
        def work(call: Call) -> Any:
            async def fetching() -> CacheValue:
                return cast("CacheValue", await call.off_loop(fetch))

            return self._asynchronous.get_or_fetch(key, fetching, ttl)

        return cast("CacheValue", self._on_loop(work))


class BridgedSearch(_Bridge, SearchIndex):
    """A search index whose work is done by an asyncio one."""

    def index(self, documents: Iterable[Document]) -> int:
        return cast("int", self._call("index", list(documents)))

    def search(self, query: SearchQuery) -> list[Hit]:
        return cast("list[Hit]", self._call("search", query))


class BridgedInteractions(_Bridge, InteractionStore):
    """An interaction store whose work is done by an asyncio one."""

    def record_event(self, event: Interaction) -> None:
        self._call("record_event", event)

    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        return cast("SummariesPage", self._call("get_summaries", query))


class BridgedEvents(_Bridge, EventPublisher):
    """An event bus whose work is done by an asyncio one. Its handlers run in threads, and are awaited."""

    def publish(self, topic: str, event: Event) -> None:
        self._call("publish", topic, event)

    def subscribe(self, topic: str, handler: Handler, group: str | None = None) -> Subscription:
        options = {} if group is None else {"group": group}
        return self._subscribed("subscribe", topic, handler, **options)

    def _subscribed(self, operation: str, topic: str, handler: Handler, **options: str) -> Subscription:
        subscription = _Subscription(self._loop, handler)
        subscription.inner = self._call(operation, topic, subscription.handle, **options)
        return subscription


class _Subscription(Subscription):
    """A subscription of an asyncio bus."""

    inner: Any = None
    """What the bus returned: it has `close`, a coroutine function or not, and `active`."""

    def __init__(self, loop: LoopThread, handler: Handler) -> None:
        self._loop = loop
        self._handler = handler
        self._closed = False
        self._handling = threading.local()

    async def handle(self, event: Event) -> None:
        """What the asyncio bus calls with an event."""
        if not self._closed:
            await self._loop.off_loop(partial(self._handle, event))

    def _handle(self, event: Event) -> None:
        self._handling.now = True
        self._handler(event)

    def close(self) -> None:
        if self._closed:
            return
        if getattr(self._handling, "now", False):
            # From inside the handler: a bus that waits for its handler would wait for this very call.
            self._closed = True
            self._loop.begin(lambda _call: self.inner.close())
            return
        self._loop.call(lambda _call: self.inner.close())
        self._closed = True

    @property
    def active(self) -> bool:
        return not self._closed and bool(self.inner.active)


class BridgedReplayableEvents(BridgedEvents, ReplayableEvents):
    """The same for one that replays."""

    def replay(self, topic: str, handler: Handler) -> Subscription:
        return self._subscribed("replay", topic, handler)


class BridgedBulkInteractions(BridgedInteractions, BulkInteractionStore):
    """The same for one that takes batches."""

    def record_events(self, events: Sequence[Interaction]) -> None:
        self._call("record_events", list(events))


class BridgedDeletableSearch(BridgedSearch, DeletableIndex):
    """The same for one that deletes."""

    def delete(self, tenant: str, ids: Iterable[str]) -> int:
        return cast("int", self._call("delete", tenant, list(ids)))


class BridgedMatchingSearch(BridgedSearch, MatchingIndex):
    """The same for one that has other kinds of match."""

    def search_for(self, match: Match, query: SearchQuery) -> list[Hit]:
        return cast("list[Hit]", self._call("search_for", match, query))


class BridgedDeletableMatchingSearch(BridgedDeletableSearch, BridgedMatchingSearch):
    """The same for one that has both."""


_BRIDGES: dict[type[Any], type[_Bridge]] = {
    CacheStore: BridgedCache,
    EventPublisher: BridgedEvents,
    SearchIndex: BridgedSearch,
    InteractionStore: BridgedInteractions,
}
_OPTIONAL: dict[type[Any], tuple[tuple[tuple[str, ...], type[_Bridge]], ...]] = {
    EventPublisher: ((("replay",), BridgedReplayableEvents),),
    InteractionStore: ((("record_events",), BridgedBulkInteractions),),
    SearchIndex: (
        (("delete", "search_for"), BridgedDeletableMatchingSearch),
        (("delete",), BridgedDeletableSearch),
        (("search_for",), BridgedMatchingSearch),
    ),
}
"""Where the backend has all of these methods, this bridge: the first that fits."""
