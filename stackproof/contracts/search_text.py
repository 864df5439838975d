"""The clauses of the search index about words: what a text means, and what a query finds."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any, ClassVar

import pytest

from stackproof.interfaces import MAX_HITS, Document, Hit, Match, RejectedError, SearchIndex, SearchQuery, words_of

from .clauses import clause
from .evidence import Evidence
from .expectations import expect
from .faults_of_batches import SearchBatchContract
from .hostile import HOSTILE_TEXTS, UNENCODABLE, WITH_NUL
from .lifecycle_processes import Found
from .timelimit import pause

TENANT = "tenant"
KEPT_ID_BYTES = 512
"""Ids and kinds up to this size, in bytes, must be kept; longer ones may be rejected by name."""

# What is the same word in other clothes, and what is not.
SAME_WORD = {
    "case": ("GoldCard", "gOLDcARD"),
    "accent, composed or not": ("caf\u00e9", "CAFE\u0301"),
    "sharp s": ("Straße", "STRASSE"),
    "final sigma": ("ΟΔΟΣ", "οδος"),
    "full width": ("ＧＯＬＤ", "gold"),
    "ligature": ("ﬁnance", "FINANCE"),
    "Hangul, composed or not": ("\uc2e0\uc6a9", "\u1109\u1175\u11ab\u110b\u116d\u11bc"),
    "half width katakana": ("ｶｰﾄﾞ", "カード"),
    "Cyrillic, composed or not": ("\u0419од", "\u0438\u0306ОД"),
    "marks in either order": ("q\u0323\u0307", "q\u0307\u0323"),
    "soft hyphen": ("Kre\u00addit", "kredit"),
    "Devanagari": ("क्रेडिट", "क्रेडिट"),
}
OTHER_WORD = {
    "accent": ("r\u00e9sum\u00e9", "resume"),
    "Devanagari vowel signs": ("क्रेडिट", "करडट"),
    "Arabic letters": ("كتاب", "كاتب"),
    "prefix": ("golden", "gold"),
    "leading zeros": ("007", "7"),
    "number forms": ("1e5", "100000"),
    "plural": ("cards", "card"),
}


def document_of(id_: str, title: str, text: str = "") -> Document:
    return Document(tenant=TENANT, id=id_, title=title, text=text)


def search(
    index: SearchIndex, text: str, *, tenant: str = TENANT, kind: str | None = None, limit: int = 20
) -> list[Hit]:
    return index.search(SearchQuery(tenant=tenant, text=text, kind=kind, limit=limit))


def ids(index: SearchIndex, text: str, *, tenant: str = TENANT, kind: str | None = None, limit: int = 20) -> list[str]:
    return [hit.id for hit in search(index, text, tenant=tenant, kind=kind, limit=limit)]


def _bytes_of(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


class SearchTextContract(SearchBatchContract):
    """What `SearchIndex` promises about words. `SearchContract` adds the rest."""

    concern = "search"
    interface: ClassVar[type[Any]] = SearchIndex

    @pytest.fixture
    def index(self, backend: SearchIndex) -> SearchIndex:
        return backend

    def exercise(self, backend: SearchIndex) -> None:
        document = document_of("exercise", "an exercise")
        expect(self.add(backend, document), "the number of indexed documents").equals(1)
        expect(ids(backend, "exercise"), "ids that were found").contains("exercise")

    def meets(self, backend: SearchIndex, other: SearchIndex) -> bool:
        self.add(backend, document_of("elsewhere", "elsewhere"))
        return bool(ids(other, "elsewhere"))

    def operations(self, backend: SearchIndex) -> dict[str, Callable[[], object]]:
        found: dict[str, Callable[[], object]] = {
            "index": lambda: backend.index([document_of("a", "gold")]),
            "search": lambda: search(backend, "gold"),
        }
        if self.declared(backend).delete:
            found["delete"] = lambda: backend.delete(TENANT, ["a"])  # type: ignore[attr-defined]
        if self.declared(backend).matching:
            query = SearchQuery(tenant=TENANT, text="gold")
            found["search_for"] = lambda: backend.search_for(Match.ANY, query)  # type: ignore[attr-defined]
        return found

    def write_number(self, backend: SearchIndex, number: int) -> None:
        backend.index([document_of(str(number), f"number{number}")])

    def numbers_written(self, reader: SearchIndex) -> Found:
        return lambda numbers: {number for number in numbers if str(number) in ids(reader, f"number{number}")}

    def add(self, index: SearchIndex, *documents: Document) -> int:
        """Index documents, and wait as long as they may take to become visible."""
        count = index.index(documents)
        self.let_become_visible(index)
        return count

    def _add_what_it_takes(
        self, index: SearchIndex, documents: list[Document], rejectable: AbstractSet[str]
    ) -> list[Document]:
        """Index documents of which the ``rejectable`` ones may be refused by name; those that were taken.

        So may those beyond the declared size.
        """
        limit = self.declared(index).max_document_bytes
        rejectable = rejectable | {d.id for d in documents if _bytes_of(d.title) + _bytes_of(d.text) > limit}
        failed: dict[str, str] = {}
        try:
            index.index(documents)
        except RejectedError as error:
            failed = error.failed
            expect(sorted(failed.keys() - rejectable), "ids that were rejected without need").equals([])
            expect(bool(failed), "whether the rejected documents are named").is_true()
        self.let_become_visible(index)
        return [document for document in documents if document.id not in failed]

    def let_become_visible(self, index: SearchIndex) -> None:
        delay = self.declared(index).visible_within
        if delay > 0:
            pause(delay)  # the declared promise itself: nothing may be required sooner

    @clause(
        "SEARCH-01",
        "Any text can be indexed and searched for: it is data, never syntax.",
        because="people search for O'Brien, C++ and (b); an error or a wrong answer there is a bug that is found in production",
        learnt_from=("S7", "S8", "S9", "S11", "S12"),
        sees=(("hostile texts searched for", len(HOSTILE_TEXTS)), ("documents found", 50)),
    )
    def test_any_text_is_data(self, index: SearchIndex, evidence: Evidence) -> None:
        documents = [document_of(name, "", text) for name, text in HOSTILE_TEXTS.items()]
        taken = self._add_what_it_takes(index, documents, rejectable=UNENCODABLE | WITH_NUL)
        words = {document.id: set(words_of(document.text)) for document in taken}
        for name, text in HOSTILE_TEXTS.items():
            wanted = set(words_of(text))
            right = sorted(id_ for id_, has in words.items() if wanted and wanted <= has)
            expect(sorted(ids(index, text, limit=MAX_HITS)), f"ids found by the text called {name!r}").equals(right)
            evidence.saw("hostile texts searched for")
            evidence.saw("documents found", len(right))

    @clause(
        "SEARCH-10",
        "A word is found whatever its case and Unicode form, and is not mistaken for another one.",
        because="the same name is typed, pasted and imported in different forms; readers see no difference",
        learnt_from=("S9",),
        sees=(("same words", len(SAME_WORD)), ("other words", len(OTHER_WORD))),
    )
    def test_words_are_found_in_every_form(self, index: SearchIndex, evidence: Evidence) -> None:
        pairs = SAME_WORD | {f"not: {name}": pair for name, pair in OTHER_WORD.items()}
        sides = [(f"{name}, {side}", text) for name, pair in pairs.items() for side, text in enumerate(pair)]
        self.add(index, *(Document(tenant=tenant, id="d", title=text) for tenant, text in sides))
        for name, (one, other) in SAME_WORD.items():
            for side, query in enumerate((other, one)):
                expect(ids(index, query, tenant=f"{name}, {side}"), f"ids found ({name})").equals(["d"])
            evidence.saw("same words")
        for name, (one, other) in OTHER_WORD.items():
            for side, query in enumerate((other, one)):
                expect(ids(index, query, tenant=f"not: {name}, {side}"), f"ids found by another word ({name})").equals(
                    []
                )
            evidence.saw("other words")

    @clause(
        "SEARCH-11",
        "Every word of the query must be in the document, in any order; operators in the text change nothing.",
        because="`auth|admin` that means `or` returns documents that nobody asked for",
        learnt_from=("S10", "S11"),
        sees=("queries with an operator", 10),
    )
    def test_every_word_must_match(self, index: SearchIndex, evidence: Evidence) -> None:
        self.add(
            index,
            document_of("both", "admin", "may auth"),
            document_of("auth", "auth", "auth auth"),
            document_of("admin", "admin"),
            document_of("not", "auth or not admin and near"),
        )
        for joint in (
            " ",
            "|",
            "&",
            " | ",
            "||",
            "<->",
            "/",
            ",",
            ":",
            "~",
            "^",
            ")(",
            '" "',
            "' '",
            " +",
            " -",
            " !",
        ):
            found = sorted(ids(index, f"auth{joint}admin"))
            expect(found, f"ids found by auth{joint}admin").equals(["both", "not"])
            evidence.saw("queries with an operator")
        for word in ("OR", "AND NOT", "NOT", "or"):
            expect(ids(index, f"auth {word} admin"), f"ids found by auth {word} admin").equals(["not"])
            evidence.saw("queries with an operator")
        expect(sorted(ids(index, "auth auth AUTH")), "ids found by one word thrice").equals(["auth", "both", "not"])
        expect(ids(index, "auth unknown"), "ids found where one word is unknown").equals([])

    @clause(
        "SEARCH-12",
        "Wildcards and placeholders in a query are literal: a part of a word finds nothing.",
        because="a wildcard nobody asked for makes slow queries and wrong answers; a banned one came back by another door",
        learnt_from=("S13",),
        sees=("queries with a wildcard", 10),
    )
    def test_wildcards_are_literal(self, index: SearchIndex, evidence: Evidence) -> None:
        self.add(index, document_of("gold", "gold"), document_of("golden", "golden"), document_of("old", "old"))
        for text in ("gol*", "*olden", "go?d", "g*d", "gol%", "g_ld", "gol:*", "gol.*", "gol~2", "/gol.+/", "[a-z]old"):
            right = [word for word in ("gold", "golden", "old") if words_of(text) == [word]]
            expect(ids(index, text), f"ids found by {text}").equals(right)
            evidence.saw("queries with a wildcard")
        for text in ("gold*", "gold?", "gold%", "gold:*", "gold~"):
            expect(ids(index, text), f"ids found by {text}").equals(["gold"])
            evidence.saw("queries with a wildcard")

    @clause(
        "SEARCH-13",
        "A query without a word finds nothing.",
        because="the empty search box must not return the whole catalogue, nor fail",
        learnt_from=("S7",),
        sees=("wordless queries", 8),
    )
    def test_a_query_without_a_word_finds_nothing(self, index: SearchIndex, evidence: Evidence) -> None:
        self.add(index, document_of("d", "gold"), document_of("empty", ""), document_of("marks", "", "* ' !"))
        for text in ("", " ", "\t\n", "*", "'", "!!!", "*:*", "\0", "\ud800", "💳", "_", "\u200b", "\u00ad", "\u0301"):
            expect(ids(index, text), f"ids found by {text!r}").equals([])
            evidence.saw("wordless queries")
        expect(ids(index, "gold"), "ids found by a word, afterwards").equals(["d"])

    @clause(
        "SEARCH-14",
        "A hit carries the id, kind and title of its document exactly.",
        because="the id is what the caller looks up next, and the title is what the user reads",
        sees=(("exact titles", 60), ("exact ids", 50), ("exact kinds", 50)),
    )
    def test_hits_are_exact(self, index: SearchIndex, evidence: Evidence) -> None:
        of_title = [Document(tenant="titles", id=n, title=t, text="probe") for n, t in HOSTILE_TEXTS.items()]
        texts = {name: text for name, text in HOSTILE_TEXTS.items() if text}
        of_id = [Document(tenant="ids", id=text, title="probe") for text in texts.values()]
        of_kind = [Document(tenant="kinds", id=name, title="probe", kind=text) for name, text in texts.items()]
        hard = UNENCODABLE | WITH_NUL
        long = {name for name, text in texts.items() if _bytes_of(text) > KEPT_ID_BYTES}
        for what, documents, rejectable in (
            ("exact titles", of_title, hard),
            ("exact ids", of_id, {texts[name] for name in hard | long}),
            ("exact kinds", of_kind, hard | long),
        ):
            taken = self._add_what_it_takes(index, documents, rejectable)
            hits = {hit.id: hit for hit in search(index, "probe", tenant=documents[0].tenant, limit=MAX_HITS)}
            expect(len(hits), f"the number of hits ({what})").equals(len(taken))
            for document in taken:
                hit = hits.get(document.id)
                seen = hit and (hit.id, hit.kind, hit.title)
                expect(seen, f"the hit of a document ({what})").equals((document.id, document.kind, document.title))
                evidence.saw(what)

    @clause(
        "SEARCH-17",
        "A word in a title weighs more than the same word in a text of the same length.",
        because="who types the name of an offer wants the offer, not those that mention it",
        sees=("pairs compared", 4),
    )
    def test_a_title_outweighs_a_text(self, index: SearchIndex, evidence: Evidence) -> None:
        for number, (one, other) in enumerate((("gold", "silver"), ("gold card", "silver coin"), ("信用卡", "銀行券"))):
            tenant = f"t{number}"
            in_title = Document(tenant=tenant, id="z in title", title=one, text=other)
            in_text = Document(tenant=tenant, id="a in text", title=other, text=one)
            self.add(index, in_title, in_text)
            for query, order in ((one, [in_title.id, in_text.id]), (other, [in_text.id, in_title.id])):
                hits = search(index, query, tenant=tenant)
                expect([h.id for h in hits], f"ids found by {query!r}").equals(order)
                expect(hits[0].score > hits[1].score, "whether the first score is higher").is_true()
                evidence.saw("pairs compared")
