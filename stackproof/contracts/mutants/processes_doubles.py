"""Doubles of backends whose data outlive a process: the references, with a file that parent and child share.

They let the self-test run the clause about SIGTERM without any server. A double without a defect passes it.
"""

from __future__ import annotations

import fcntl
import os
import pickle
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, ClassVar

from stackproof.adapters.cache.memory import MemoryCache
from stackproof.adapters.events.memory import MemoryPubSub
from stackproof.adapters.interactions.memory import MemoryInteractionStore
from stackproof.adapters.search.memory import MemorySearchIndex
from stackproof.adapters.spaces import Spaces
from stackproof.interfaces import (
    CacheCapabilities,
    CacheValue,
    Document,
    Event,
    EventCapabilities,
    Handler,
    Hit,
    Interaction,
    InteractionCapabilities,
    Missing,
    SearchCapabilities,
    SearchQuery,
    Subscription,
    SummariesPage,
    SummariesQuery,
)


class SharedFile:
    """The writes of one namespace, one hexadecimal line each. It has no name, and goes with its last user."""

    def __init__(self) -> None:
        with tempfile.TemporaryFile("ab") as file:
            self._descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._descriptor)

    def locked(self, how: int) -> None:
        """Lock the file against other processes, or let go of it."""
        fcntl.lockf(self._descriptor, how)

    def append(self, write: tuple[Any, ...]) -> None:
        os.write(self._descriptor, pickle.dumps(write).hex().encode() + b"\n")

    def read(self, offset: int) -> tuple[list[tuple[Any, ...]], int]:
        """The writes from this offset on, and the offset behind them."""
        found = os.pread(self._descriptor, os.fstat(self._descriptor).st_size - offset, offset)
        writes = [pickle.loads(bytes.fromhex(line.decode())) for line in found.splitlines()]
        return writes, offset + len(found)


_files = Spaces(SharedFile)


class OnFile:
    """What the doubles share: writes go to the file, and those of other processes are applied before a read."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)  # type: ignore[call-arg]
        self._file = _files.of(namespace)
        self._offset = 0
        self._one_reader = threading.Lock()

    def keep(self, *write: Any) -> None:
        """Called before a write is acknowledged."""
        self._file.append((os.getpid(), *write))

    def catch_up(self, apply: Callable[..., object]) -> None:
        """Apply what other processes wrote."""
        with self._one_reader:
            writes, self._offset = self._file.read(self._offset)
            for process, *write in writes:
                if process != os.getpid():
                    apply(*write)


class KeepsOneBack(OnFile):
    """Hands over each write when the next one comes, and nobody hands over the last one."""

    def __init__(self, *, namespace: str = "") -> None:
        super().__init__(namespace=namespace)
        self._waiting: tuple[Any, ...] = ()
        self._turn = threading.Lock()

    def keep(self, *write: Any) -> None:
        with self._turn:
            before, self._waiting = self._waiting, write
        if before:
            super().keep(*before)


class FileCache(OnFile, MemoryCache):
    """The cache on a file."""

    capabilities: ClassVar[CacheCapabilities] = replace(MemoryCache.capabilities, remote=True)

    def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
        super().set(key, value, ttl)
        self.keep(key, value, ttl)

    def get(self, key: str) -> CacheValue | Missing:
        self.catch_up(super().set)
        return super().get(key)


class FileStore(OnFile, MemoryInteractionStore):
    """The interaction store on a file."""

    capabilities: ClassVar[InteractionCapabilities] = replace(MemoryInteractionStore.capabilities, remote=True)

    def record_event(self, event: Interaction) -> None:
        super().record_event(event)
        self.keep(event)

    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        self.catch_up(super().record_event)
        return super().get_summaries(query)


class FileIndex(OnFile, MemorySearchIndex):
    """The search index on a file."""

    capabilities: ClassVar[SearchCapabilities] = replace(MemorySearchIndex.capabilities, remote=True)

    def index(self, documents: Iterable[Document]) -> int:
        documents = list(documents)
        number = super().index(documents)
        self.keep(documents)
        return number

    def search(self, query: SearchQuery) -> list[Hit]:
        self.catch_up(super().index)
        return super().search(query)


class FileBus(OnFile, MemoryPubSub):
    """The event bus on a file. Whoever subscribes looks there for the events of other processes, until disconnect."""

    capabilities: ClassVar[EventCapabilities] = replace(MemoryPubSub.capabilities, remote=True)

    def publish(self, topic: str, event: Event) -> None:
        super().publish(topic, event)
        self.keep(topic, event)

    def subscribe(self, topic: str, handler: Handler, group: str | None = None) -> Subscription:
        subscription = super().subscribe(topic, handler, group)
        threading.Thread(target=self._follow, args=(super().publish,), daemon=True).start()
        return subscription

    def _follow(self, publish: Callable[[str, Event], None]) -> None:
        while not self._closed:
            self.catch_up(publish)
            time.sleep(0.01)
