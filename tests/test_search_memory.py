"""The reference search index: its contract, and laws that hold for any text."""

from __future__ import annotations

import gc
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackproof.adapters.search.memory import MemorySearchIndex
from stackproof.contracts import SearchContract
from stackproof.interfaces import ConfigurationError, Document, Hit, Match, SearchCapabilities, SearchQuery, words_of

any_text = st.text(st.characters(codec=None, exclude_categories=()))


class TestMemorySearchIndex(SearchContract):
    def make_backend(self, namespace: str) -> MemorySearchIndex:
        return MemorySearchIndex(namespace=namespace)


class RefreshingIndex(MemorySearchIndex):
    """Searches a copy that is renewed every 40 ms, as near-real-time search engines do."""

    capabilities = SearchCapabilities(delete=True, matching=True, visible_within=0.05)
    _copy = (-1.0, MemorySearchIndex())
    """When it was begun, and what is searched. It is made under the lock: no thread meets one that another still fills, or an
    older one after it."""

    def search(self, query: SearchQuery) -> list[Hit]:
        return self._renewed().search(query)

    def search_for(self, match: Match, query: SearchQuery) -> list[Hit]:
        return self._renewed().search_for(match, query)

    def _renewed(self) -> MemorySearchIndex:
        self._must_be_open()
        with self._space.lock:
            began, copy = self._copy
            if time.monotonic() - began > 0.04:
                began, copy = time.monotonic(), MemorySearchIndex()
                for entry in self._space.entries.values():
                    copy._space.put(entry)
                self._copy = began, copy
        return copy


class TestRefreshingIndex(SearchContract):
    """A delay that is declared is no fault."""

    def make_backend(self, namespace: str) -> RefreshingIndex:
        return RefreshingIndex(namespace=namespace)


class TinyIndex(MemorySearchIndex):
    """The reference with limits that are hardly of use, and that it enforces."""

    capabilities = SearchCapabilities(delete=True, matching=True, max_document_bytes=1000, batch_size=10)


class TestTinyIndex(SearchContract):
    """Small limits that are declared are no fault: what is beyond them may be rejected."""

    def make_backend(self, namespace: str) -> TinyIndex:
        return TinyIndex(namespace=namespace)


def _found(index: MemorySearchIndex, text: str) -> list[str]:
    return [hit.id for hit in index.search(SearchQuery(tenant="t", text=text))]


@given(any_text, any_text, any_text)
@settings(max_examples=300, deadline=None)
def test_any_text_can_be_searched_for_and_a_document_is_found_by_each_of_its_words(
    title: str, text: str, query: str
) -> None:
    index = MemorySearchIndex()
    index.index([Document(tenant="t", id="d", title=title, text=text)])
    words = words_of(title) + words_of(text)
    for word in words:
        assert _found(index, word) == ["d"]
    matches = bool(words_of(query)) and set(words_of(query)) <= set(words)
    assert _found(index, query) == (["d"] if matches else [])


def test_the_empty_namespace_is_private_and_is_not_dropped() -> None:
    one, other = MemorySearchIndex(), MemorySearchIndex()
    one.index([Document(tenant="t", id="d", title="gold")])
    assert _found(other, "gold") == []
    with pytest.raises(ConfigurationError):
        one.drop_namespace()


def test_a_namespace_lives_as_long_as_one_of_its_instances() -> None:
    one = MemorySearchIndex(namespace="kept")
    one.index([Document(tenant="t", id="d", title="gold")])
    other = MemorySearchIndex(namespace="kept")
    del one
    gc.collect()
    assert _found(other, "gold") == ["d"]
    del other
    gc.collect()
    assert _found(MemorySearchIndex(namespace="kept"), "gold") == []


def test_dropping_a_namespace_removes_all_of_it() -> None:
    one, other = MemorySearchIndex(namespace="dropped"), MemorySearchIndex(namespace="dropped")
    one.index([Document(tenant="t", id="d", title="gold")])
    one.drop_namespace()
    assert _found(other, "gold") == []
    assert other.delete("t", ["d"]) == 0


def test_no_word_of_a_removed_document_is_kept() -> None:
    index = MemorySearchIndex()
    index.index([Document(tenant="t", id="d", title="gold", text="card")])
    index.index([Document(tenant="t", id="d", title="silver")])
    index.delete("t", ["d"])
    assert not index._space.entries
    assert not index._space.ids


def test_a_repeated_word_never_outweighs_a_title() -> None:
    index = MemorySearchIndex()
    index.index(
        [
            Document(tenant="t", id="a", title="card", text="gold " * 500),
            Document(tenant="t", id="b", title="gold", text="card"),
        ]
    )
    assert _found(index, "gold") == ["b", "a"]
