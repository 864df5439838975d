"""The model of a search index: an inverted index, made of the one definition of a word."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from stackproof.interfaces import Document, words_of

Key = tuple[str, str]
"""Tenant and id."""


@dataclass(slots=True)
class SearchModel:
    """What an index holds."""

    documents: dict[Key, Document] = field(default_factory=dict)
    by_word: dict[str, set[Key]] = field(default_factory=dict)

    def indexed(self, documents: Iterable[Document]) -> None:
        """`index` returned: the last one of an id counts."""
        for document in documents:
            key = (document.tenant, document.id)
            self._forget(key)
            self.documents[key] = document
            for word in (*words_of(document.title), *words_of(document.text)):
                self.by_word.setdefault(word, set()).add(key)

    def deleted(self, tenant: str, ids: Iterable[str]) -> int:
        """`delete` returned; how many there were."""
        return sum(self._forget((tenant, each)) for each in dict.fromkeys(ids))

    def matching(self, tenant: str, words: Sequence[str], kind: str | None) -> dict[str, tuple[str, str]]:
        """Id -> title and kind of the documents that have every word."""
        keys = set.intersection(*(self.by_word.get(word, set()) for word in words)) if words else set()
        found = (self.documents[key] for key in keys if key[0] == tenant)
        return {each.id: (each.title, each.kind) for each in found if kind in (None, each.kind)}

    def _forget(self, key: Key) -> bool:
        for keys in self.by_word.values():
            keys.discard(key)
        return self.documents.pop(key, None) is not None
