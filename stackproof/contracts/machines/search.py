"""The state machine of the search index: any sequence of changes, against an inverted index."""

from __future__ import annotations

import math
import time
from functools import partial

from hypothesis import strategies as st

from stackproof.contracts.expectations import ContractViolation, expect, shown
from stackproof.contracts.timelimit import pause
from stackproof.interfaces import Document, Hit, RejectedError, SearchCapabilities, SearchQuery, words_of

from .machine import Machine, bounded, step
from .search_model import SearchModel
from .strategies import STORABLE, border_sizes, pick, text_of

VOCABULARY = ("gold", "card", "golden", "silver", "Straße", "café", "cafe", "007", "o'brien", "a")
_FILLER = "x" * 99 + " "
KINDS = ("offer", "flow")
_handles = st.integers(0, 1)
_numbers = st.integers(0, 5)
_words = st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=3).map(" ".join)
_texts = st.one_of(_words, pick(STORABLE), st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12))
_bodies = bounded(
    lambda declared: (
        st.sampled_from([size for size in border_sizes(declared.max_document_bytes) if size > 300]).map(
            lambda size: f"{text_of(size - 9, _FILLER)} lastword"
        )
        if declared.max_document_bytes > 600
        else _words
    )
)
_few = st.lists(st.tuples(_numbers, _texts, _texts, st.sampled_from(KINDS)), min_size=1, max_size=4)


def _can_delete(declared: SearchCapabilities) -> bool:
    return declared.delete


class SearchMachine(Machine):
    """Tenants are new for each sequence; ids are few, so that documents are replaced."""

    def prepare(self) -> None:
        mark = f"t{self.stage.sequences}_"
        self.tenants = [mark, f"{mark}0", f"{mark} OR 1", mark.upper()]
        self.ids = ["d", "d1", "D", "d1:1", "ď", STORABLE[self.stage.examples % len(STORABLE)][:40]]
        self.model = SearchModel()
        self.visible_from = 0.0
        self._index(0, [self.document(0, number, f"gold {number}") for number in range(2)])

    def document(self, tenant: int, number: int, title: str, text: str = "", kind: str = "offer") -> Document:
        return Document(
            tenant=self.tenants[tenant % len(self.tenants)],
            id=self.ids[number % len(self.ids)],
            title=title,
            text=text,
            kind=kind,
        )

    # Changes

    @step(on=_handles, tenant=_numbers, several=_few)
    def index(self, on: int, tenant: int, several: list[tuple[int, str, str, str]]) -> None:
        """A batch in which an id may occur twice: the last one counts."""
        documents = [self.document(tenant, *each) for each in several]
        self._index(on, documents)
        self._look(on + 1, documents[-1].tenant, documents[-1].title)

    @step(on=_handles, tenant=_numbers, number=_numbers, body=_bodies)
    def index_at_a_border(self, on: int, tenant: int, number: int, body: str) -> None:
        self._index(on, [self.document(tenant, number, "border", body[: self.stage.declared.max_document_bytes - 6])])
        self._look(on, self.tenants[tenant % len(self.tenants)], body.split()[-1])

    @step(on=_handles, tenant=_numbers, number=_numbers, less=st.integers(0, 1))
    def index_at_the_limit(self, on: int, tenant: int, number: int, less: int) -> None:
        """A document of the largest size, and one of a byte less: its last word is found."""
        size = self.stage.declared.max_document_bytes - less - len("limit") - len(" lastword")
        self._index(on, [self.document(tenant, number, "limit", f"{text_of(size, _FILLER)} lastword")])
        self._look(on + 1, self.tenants[tenant % len(self.tenants)], "lastword")

    @step(on=_handles, tenant=_numbers, number=_numbers)
    def index_with_one_that_is_too_large(self, on: int, tenant: int, number: int) -> None:
        """It is named, the others of the batch are indexed, and what it would have replaced stays."""
        limit = self.stage.declared.max_document_bytes
        bad = self.document(tenant, number, "x" * (limit // 2), "y" * (limit - limit // 2 + 1))
        good = self.document(tenant, number + 1, "neighbour gold")
        try:
            self.handle(on).index([bad, good])
        except RejectedError as error:
            expect(set(error.failed), "the ids that the error names").equals({bad.id})
        else:
            raise ContractViolation("a document of one byte more than declared", "RejectedError", "no error")
        self._changed()
        self.model.indexed([good])
        self._look(on, bad.tenant, "gold")

    @step(needs=_can_delete, on=_handles, tenant=_numbers, numbers=st.lists(_numbers, max_size=3))
    def delete(self, on: int, tenant: int, numbers: list[int]) -> None:
        name, ids = self.tenants[tenant % len(self.tenants)], [self.ids[n % len(self.ids)] for n in numbers]
        self._await()  # how many there were is asked of what can be seen
        count = self.handle(on).delete(name, ids)
        expect(count, f"what delete of {shown(ids)} returned").equals(self.model.deleted(name, ids))
        self._changed()
        for title in sorted({each.title for each in self.model.documents.values() if each.tenant == name}):
            self._look(on + 1, name, title)

    # Searches

    @step(
        on=_handles,
        tenant=_numbers,
        text=_texts,
        kind=st.sampled_from([None, *KINDS]),
        limit=st.sampled_from([1, 2, 1000]),
    )
    def search(self, on: int, tenant: int, text: str, kind: str | None, limit: int) -> None:
        self._look(on, self.tenants[tenant % len(self.tenants)], text, kind, limit)

    @step(on=_handles, tenant=_numbers, number=_numbers)
    def search_for_all_words(self, on: int, tenant: int, number: int) -> None:
        """A document is found by all the words of its title together."""
        found = self.model.documents.get((self.tenants[tenant % len(self.tenants)], self.ids[number % len(self.ids)]))
        if found is not None:
            self._look(on, found.tenant, found.title, limit=1000)

    # Instances, and two at once

    @step(on=_handles)
    def reopen(self, on: int) -> None:
        if self.stage.declared.durable:
            self.stage.reopen(on % len(self.stage.handles))
            self._look(on, self.tenants[0], "gold")

    @step(tenant=_numbers, numbers=st.tuples(_numbers, _numbers))
    def two_at_once(self, tenant: int, numbers: tuple[int, int]) -> None:
        """Two changes at the same time; where they are of one document, one of the two versions is there afterwards."""
        one, two = (
            self.document(tenant, number, f"racing {word}")
            for number, word in zip(numbers, ("one", "two"), strict=True)
        )
        self.stage.together([partial(self.handle(on).index, [document]) for on, document in enumerate((one, two))])
        self._changed()
        self._await()
        if one.id == two.id:
            titles = [
                hit.title for hit in self._hits(0, SearchQuery(tenant=one.tenant, text="racing")) if hit.id == one.id
            ]
            expect(titles, "the versions of a document that was indexed twice at once").is_one_of(
                [one.title], [two.title]
            )
            one = two = two if titles == [two.title] else one
        self.model.indexed([one, two])
        self._look(1, one.tenant, "racing")

    # How it is done

    def _index(self, on: int, documents: list[Document]) -> None:
        limit = self.stage.declared.max_document_bytes
        fitting = [each for each in documents if len((each.title + each.text).encode()) <= limit]
        if not fitting:
            return
        count = self.handle(on).index(fitting)
        expect(count, "what index returned").equals(len({each.id for each in fitting}))
        self._changed()
        self.model.indexed(fitting)

    def _changed(self) -> None:
        self.visible_from = time.monotonic() + self.stage.declared.visible_within

    def _await(self) -> None:
        pause(max(0.0, self.visible_from - time.monotonic()))

    def _hits(self, on: int, query: SearchQuery) -> list[Hit]:
        self._await()
        hits: list[Hit] = self.handle(on).search(query)
        return hits

    def _look(self, on: int, tenant: str, text: str, kind: str | None = None, limit: int = 1000) -> None:
        """What is found is what the model has, in a right order, up to the limit."""
        hits = self._hits(on, SearchQuery(tenant=tenant, text=text, kind=kind, limit=limit))
        documents = sum(owner == tenant for owner, _ in self.model.documents)
        self.stage.must_keep(tenant, documents, f"the documents of {shown(tenant)}")
        right = self.model.matching(tenant, words_of(text), kind)
        what = f"search for {shown(text)}"
        found = [hit.id for hit in hits]
        if len(right) <= limit:
            expect(sorted(found), f"{what}: the ids that were found").equals(sorted(right))
        else:
            expect(len(found), f"{what}: hits with limit={limit}").equals(limit)
            expect(sorted(set(found) - set(right)), f"{what}: ids that do not match").equals([])
        for hit in hits:
            expect((hit.title, hit.kind), f"{what}: title and kind of {shown(hit.id)}").equals(right[hit.id])
        order = sorted(hits, key=lambda hit: (-hit.score, hit.id))
        expect(found, f"{what}: the order of the hits").equals([hit.id for hit in order])
        expect(all(math.isfinite(hit.score) and hit.score >= 0 for hit in hits), f"{what}: finite scores").is_true()
