"""The smallest limits that can be declared: the suite's own test data stay under them, and a smaller one is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stackproof.adapters.cache.memory import MemoryCache
from stackproof.adapters.events.memory import MemoryEventPublisher
from stackproof.adapters.search.memory import MemorySearchIndex
from stackproof.contracts import CacheContract, EventContract, SearchContract
from stackproof.interfaces import CacheCapabilities, ConfigurationError, EventCapabilities, SearchCapabilities
from stackproof.interfaces.capabilities import LEAST


class SmallKeys(MemoryCache):
    capabilities = replace(MemoryCache.capabilities, max_key_bytes=LEAST["max_key_bytes"])


class SmallPayloads(MemoryEventPublisher):
    capabilities = replace(MemoryEventPublisher.capabilities, max_payload_bytes=LEAST["max_payload_bytes"])


class SmallDocuments(MemorySearchIndex):
    capabilities = replace(MemorySearchIndex.capabilities, max_document_bytes=LEAST["max_document_bytes"], batch_size=1)


class LargeBatches(MemorySearchIndex):
    """No batch of the suite is larger than what it takes."""

    capabilities = replace(MemorySearchIndex.capabilities, batch_size=100_000)


class TestSmallKeys(CacheContract):
    def make_backend(self, namespace: str) -> SmallKeys:
        return SmallKeys(namespace=namespace)


class TestSmallPayloads(EventContract):
    def make_backend(self, namespace: str) -> SmallPayloads:
        return SmallPayloads(namespace=namespace)


class TestSmallDocuments(SearchContract):
    def make_backend(self, namespace: str) -> SmallDocuments:
        return SmallDocuments(namespace=namespace)


class TestLargeBatches(SearchContract):
    def make_backend(self, namespace: str) -> LargeBatches:
        return LargeBatches(namespace=namespace)


def test_a_smaller_limit_is_refused() -> None:
    for kind, name in (
        (CacheCapabilities, "max_key_bytes"),
        (EventCapabilities, "max_payload_bytes"),
        (SearchCapabilities, "max_document_bytes"),
    ):
        kind(**{name: LEAST[name]})
        with pytest.raises(ConfigurationError, match=f"at least {LEAST[name]} is needed"):
            kind(**{name: LEAST[name] - 1})
