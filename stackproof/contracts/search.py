"""The contract of the search index: what every `SearchIndex` promises, clause by clause."""

from __future__ import annotations

import itertools
import math
import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from stackproof.interfaces import (
    MAX_HITS,
    Document,
    RejectedError,
    SearchCapabilities,
    SearchIndex,
    UnsupportedError,
)

from .callers import Callers
from .clauses import absence, clause
from .evidence import Evidence
from .expectations import expect, expect_error
from .hostile import HOSTILE_TEXTS
from .instances import JOINS
from .search_matching import SearchMatchingClauses
from .search_text import TENANT, document_of, ids, search

LARGEST_BATCH = 20_000
BEYOND_A_BATCH = f"documents beyond one batch, or in one call of {LARGEST_BATCH:,}"
"""Where the declared batch is larger than the largest one that is tried, that one is the evidence."""
LARGEST_DOCUMENT = 4 * 1024 * 1024
"""Documents up to this size, in bytes, are tried."""
LARGE_BATCH_BYTES = 12 * 1024 * 1024
"""How much text one call of index is given at least, where documents may be large enough: more than servers like."""
OVERLAP_SECONDS = 0.2
"""How long concurrent callers go on at least: a fast backend would be done with one call before the next one starts."""


class SearchContract(SearchMatchingClauses):
    """Every rule of `SearchIndex`. Subclass it, and return your index from `make_backend`."""

    @clause(
        "SEARCH-02",
        "Documents that cannot be indexed are named in the error, and all others of the batch are indexed.",
        because="a nightly load that loses documents silently, or all of them for one bad one, is noticed by customers",
        learnt_from=("S1", "S2", "S3", "S5"),
        sees=(("rejected documents", 5), ("neighbours found", 20)),
        seconds=60.0,
    )
    def test_rejected_documents_are_named(self, index: SearchIndex, evidence: Evidence) -> None:
        too_large = "x" * (self.declared(index).max_document_bytes + 1)
        self.add(index, document_of("bad 1", "older version"))
        batch = [
            document_of("good 1", "gold"),
            document_of("bad 1", "newer version", too_large),
            document_of("good 2", "gold"),
            document_of("bad 2", too_large),
            document_of("good 3", "gold"),
        ]
        with expect_error(RejectedError, "a batch with two documents that are too large") as caught:
            index.index(batch)
        failed = caught.error.failed  # type: ignore[attr-defined]
        expect(sorted(failed), "ids that the error names").equals(["bad 1", "bad 2"])
        expect(all(failed.values()), "whether each has a reason").is_true()
        evidence.saw("rejected documents", len(failed))
        self.let_become_visible(index)
        found = sorted(ids(index, "gold"))
        expect(found, "neighbours of the rejected documents that are found").equals(["good 1", "good 2", "good 3"])
        evidence.saw("neighbours found", len(found))
        expect(ids(index, "newer"), "ids found by a word of a rejected document").equals([])
        expect(ids(index, "older"), "ids found by a word of the version before the rejected one").equals(["bad 1"])
        self._expect_each_part_of_a_batch_names_its_own(index, too_large, evidence)

    def _expect_each_part_of_a_batch_names_its_own(
        self, index: SearchIndex, too_large: str, evidence: Evidence
    ) -> None:
        """A batch that the back-end must send in parts, with a bad document in the first, a middle and the last one."""
        number = min(max(30, 2 * self.declared(index).batch_size + 7), LARGEST_BATCH)
        buckets = number // (MAX_HITS // 2) + 1
        bad = {f"p{place:06d}" for place in (3, number // 2, number - 2)}
        names = [f"p{n:06d}" for n in range(number)]
        with expect_error(RejectedError, f"a batch of {number} documents of which three are too large") as caught:
            index.index(
                document_of(name, f"part{n % buckets}", too_large if name in bad else "")
                for n, name in enumerate(names)
            )
        failed = caught.error.failed  # type: ignore[attr-defined]
        expect(sorted(failed), "ids that the error names").equals(sorted(bad))
        evidence.saw("rejected documents", len(failed))
        self.let_become_visible(index)
        found = {id_ for n in range(buckets) for id_ in ids(index, f"part{n}", limit=MAX_HITS)}
        expect(sorted(set(names) - bad - found), "neighbours of the rejected documents that are not found").equals([])
        expect(sorted(found & bad), "rejected documents that are found").equals([])
        evidence.saw("neighbours found", len(found))

    @clause(
        "SEARCH-03",
        "A document is found at the latest the declared delay after index returned.",
        because="an editor who saves an offer and then searches for it must find it, or know how long to wait",
        learnt_from=("S18",),
        sees=("documents found in time", 3),
    )
    def test_documents_become_visible_in_time(self, index: SearchIndex, evidence: Evidence) -> None:
        for number in range(3 if self.declared(index).visible_within else 20):
            self.add(index, document_of(f"d{number}", f"fresh{number}"))
            expect(ids(index, f"fresh{number}"), "ids found as soon as the document must be visible").equals(
                [f"d{number}"]
            )
            evidence.saw("documents found in time")

    @clause(
        "SEARCH-04",
        "A new version of a document replaces the old one: text, title and kind.",
        because="an offer that is found by a price that it no longer has is worse than one that is not found",
        learnt_from=("S14", "S15"),
        sees=("replaced documents", 3),
    )
    def test_a_new_version_replaces_the_old_one(self, index: SearchIndex, evidence: Evidence) -> None:
        for number in range(3):
            id_ = f"d{number}"
            self.add(
                index, Document(tenant=TENANT, id=id_, kind="offer", title=f"oldtitle{number}", text="oldtext same")
            )
            self.add(
                index, Document(tenant=TENANT, id=id_, kind="flow", title=f"newtitle{number}", text="newtext same")
            )
            for gone in (f"oldtitle{number}", f"oldtext newtitle{number}"):
                expect(ids(index, gone), f"ids found by {gone!r}, which was replaced").equals([])
            found = search(index, f"newtitle{number} newtext same")
            expect([(h.id, h.kind, h.title) for h in found], "hits").equals([(id_, "flow", f"newtitle{number}")])
            expect(ids(index, f"newtitle{number}", kind="offer"), "ids found under the old kind").equals([])
            evidence.saw("replaced documents")
        expect(sorted(ids(index, "same")), "ids found by a word of all versions").equals(["d0", "d1", "d2"])

    @clause(
        "SEARCH-05",
        "A batch of any size is indexed completely, and index returns how many documents that were.",
        because="a back-end's own limit must not become the caller's: the 501st document was lost in more than one library",
        learnt_from=("S4", "S6", "S16"),
        sees=((BEYOND_A_BATCH, 1), ("bytes in one call", 50_000)),
        seconds=60.0,
    )
    def test_a_batch_may_be_of_any_size(self, index: SearchIndex, evidence: Evidence) -> None:
        batch_size = self.declared(index).batch_size
        number = min(2 * batch_size + 7, LARGEST_BATCH)
        buckets = number // (MAX_HITS // 2) + 1
        batch = (document_of(f"d{n:06d}", f"offer bucket{n % buckets}") for n in range(number))
        expect(index.index(batch), "the number that index returned").equals(number)
        self.let_become_visible(index)
        found = [id_ for n in range(buckets) for id_ in ids(index, f"bucket{n}", limit=MAX_HITS)]
        expect(len(found), "the number of documents that are found").equals(number)
        expect(len(set(found)), "the number of different documents that are found").equals(number)
        evidence.saw(BEYOND_A_BATCH, number - batch_size if number > batch_size else number)
        expect(index.index([]), "the number that index returned for no document").equals(0)
        # Few documents may be too much for one request, too. Dots are no words, so that nothing but size is tried.
        size = min(self.declared(index).max_document_bytes, 256 * 1024)
        number = min(LARGE_BATCH_BYTES // size + 1, MAX_HITS)
        large = [document_of(f"large {n}", "large", "." * (size - 20) + f" end{n}") for n in range(number)]
        expect(self.add(index, *large), f"the number that index returned for {number} x {size} bytes").equals(number)
        found = sorted(ids(index, "large", limit=MAX_HITS))
        expect(found, "ids of the large documents that are found").equals(sorted(d.id for d in large))
        expect(ids(index, f"end{number - 1}"), "ids found by the end of the last one").equals([large[-1].id])
        evidence.saw("bytes in one call", number * (size - 20))

    @clause(
        "SEARCH-06",
        "The best hits come first, equal scores by id, never more than the limit; scores are finite and not negative.",
        because="pages are cut from this order: where ties fall at random, rows appear twice or never",
        sees=(("hits compared", 20), ("ties", 3), ("cut answers", 4)),
    )
    def test_hits_are_ordered_and_limited(self, index: SearchIndex, rng: random.Random, evidence: Evidence) -> None:
        names = [
            "a",
            "B",
            "b",
            "Z",
            "_",
            "10",
            "9",
            "a b",
            "a-b",
            "ab",
            "\u00e9",
            "e\u0301",
            "z",
            "\uffee",
            "\U00010000",
            "A",
        ]
        twins = [document_of(name, "gold card", "the same text") for name in names]
        others = [document_of(f"n{n}", "card", "gold " * n + "filler " * (10 - n)) for n in range(1, 8)]
        documents = twins + others
        rng.shuffle(documents)
        self.add(index, *documents)
        hits = search(index, "gold card", limit=MAX_HITS)
        expect(len(hits), "hits").equals(len(documents))
        right = sorted(hits, key=lambda hit: (-hit.score, hit.id))
        expect([h.id for h in hits], "ids in order").equals(
            [h.id for h in right], why="score descending, then id ascending"
        )
        expect(
            [h for h in hits if not (math.isfinite(h.score) and h.score >= 0)], "hits with an impossible score"
        ).equals([])
        evidence.saw("hits compared", len(hits))
        evidence.saw("ties", sum(one.score == next_.score for one, next_ in itertools.pairwise(hits)))
        for limit in (1, 2, 5, len(documents) - 1):
            expect(ids(index, "gold card", limit=limit), f"ids with limit {limit}").equals(
                [h.id for h in right[:limit]]
            )
            evidence.saw("cut answers")

    @clause(
        "SEARCH-08",
        "A tenant's search finds the tenant's own documents only, whatever the query text says.",
        because="one tenant that sees another's documents is a breach, not a bug",
        learnt_from=("S10",),
        sees=(("tenants", 8), ("hostile texts searched for", len(HOSTILE_TEXTS)), ("better foreign documents", 200)),
    )
    def test_tenants_are_disjoint(self, index: SearchIndex, evidence: Evidence) -> None:
        tenants = ["a", "A", "b", "a:b", "a b", "ab", "%", "a*", "a' OR '1'='1", "\u00e9", "e\u0301", "tenant", "*"]
        self.add(index, *(Document(tenant=t, id="same", title=f"gold {n}", text="card") for n, t in enumerate(tenants)))
        for number, tenant in enumerate(tenants):
            titles = [hit.title for hit in search(index, "gold card", tenant=tenant)]
            expect(titles, f"titles that tenant {tenant!r} finds").equals([f"gold {number}"])
            evidence.saw("tenants")
        expect(ids(index, "gold", tenant="nobody"), "ids that an unknown tenant finds").equals([])
        escapes = {"tenant in the text": "gold tenant:A", "either": "gold OR tenant:b", "quote": "gold' OR tenant='b"}
        for name, text in (HOSTILE_TEXTS | escapes).items():
            titles = [hit.title for hit in search(index, text, tenant="a")]
            expect(set(titles) - {"gold 0"}, f"foreign titles found by the text called {name!r}").equals(set())
            evidence.saw("hostile texts searched for")
        # A limit is filled with the tenant's own documents, however many better ones the others have.
        crowd = [Document(tenant=f"crowd {n % 2}", id=f"a{n:03d}", title="gold") for n in range(240)]
        self.add(index, *crowd, Document(tenant="few", id="z", title="card", text="gold"))
        for limit in (1, 5, 100):
            expect(ids(index, "gold", tenant="few", limit=limit), f"ids of a small tenant, limit {limit}").equals(["z"])
        evidence.saw("better foreign documents", len(crowd))

    @clause(
        "SEARCH-09",
        "A kind restricts the hits to documents of exactly that kind; without one all kinds are searched.",
        because="an offer picker that offers categories, or misses offers, is of no use",
        sees=(("kinds searched", 6), ("better documents of another kind", 200)),
    )
    def test_kind_restricts_the_hits(self, index: SearchIndex, evidence: Evidence) -> None:
        kinds = ["offer", "Offer", "offers", "off", "offer flow", "offer' OR '1'='1", "%", "*"]
        self.add(
            index, *(Document(tenant=TENANT, id=f"d{n}", kind=kind, title="gold card") for n, kind in enumerate(kinds))
        )
        for number, kind in enumerate(kinds):
            expect(ids(index, "gold", kind=kind), f"ids of kind {kind!r}").equals([f"d{number}"])
            evidence.saw("kinds searched")
        expect(ids(index, "gold", kind="nothing"), "ids of a kind that no document has").equals([])
        expect(len(ids(index, "gold")), "hits of all kinds").equals(len(kinds))
        # A limit is filled with documents of the kind, however many better ones there are of another.
        crowd = [Document(tenant="crowd", id=f"a{n:03d}", kind="offer", title="gold") for n in range(240)]
        self.add(index, *crowd, Document(tenant="crowd", id="z", kind="flow", title="card", text="gold"))
        for limit in (1, 5, 100):
            expect(
                ids(index, "gold", tenant="crowd", kind="flow", limit=limit), f"ids of a rare kind, limit {limit}"
            ).equals(["z"])
        evidence.saw("better documents of another kind", len(crowd))

    @clause(
        "SEARCH-15",
        "Concurrent calls that index the same documents all succeed and leave exactly one version of each.",
        because="two workers that reload a catalogue must neither deadlock nor leave words of both versions",
        sees=(("overlapping callers", 2), ("documents with one version", 50)),
        seconds=60.0,
    )
    def test_concurrent_versions_leave_one(
        self, index: SearchIndex, callers: Callers, rng: random.Random, evidence: Evidence
    ) -> None:
        names = [f"d{n}" for n in range(50)]

        def reload(caller: int, order: list[str]) -> None:
            documents = [document_of(name, f"version{caller}", "common " + "filler " * 30) for name in order]
            until = time.monotonic() + OVERLAP_SECONDS
            for rounds in itertools.count():
                index.index(documents)
                if rounds >= 3 and time.monotonic() > until:
                    break

        orders = [rng.sample(names, len(names)) for _ in range(6)]
        calls = [partial(reload, caller, order) for caller, order in enumerate(orders)]
        callers.each(calls)
        evidence.saw("overlapping callers", callers.overlapping)
        self.let_become_visible(index)
        versions = sorted(id_ for caller in range(6) for id_ in ids(index, f"version{caller}", limit=MAX_HITS))
        expect(versions, "ids found, over all versions").equals(sorted(names), why="one version of each")
        expect(sorted(ids(index, "common", limit=MAX_HITS)), "ids found by a common word").equals(sorted(names))
        evidence.saw("documents with one version", len(versions))

    @clause(
        "SEARCH-16",
        "Of two documents with the same id in one batch the last one counts, once.",
        because="change feeds repeat ids; a statement that meets a row twice fails as a whole on some servers",
        sees=("repeated ids", 2),
    )
    def test_the_last_of_two_equal_ids_counts(self, index: SearchIndex, evidence: Evidence) -> None:
        far = [document_of(f"n{n}", "neighbour") for n in range(min(self.declared(index).batch_size, 1500))]
        batch = [
            document_of("near", "first"),
            document_of("near", "second"),
            document_of("far", "first"),
            *far,
            document_of("far", "second"),
        ]
        expect(self.add(index, *batch), "the number that index returned").equals(len(far) + 2)
        expect(ids(index, "first"), "ids found by a word of the first versions").equals([])
        found = sorted(ids(index, "second"))
        expect(found, "ids found by a word of the last versions").equals(["far", "near"])
        evidence.saw("repeated ids", len(found))

    @clause(
        "SEARCH-18",
        "delete removes exactly the documents that it names, and returns how many there were.",
        because="what was withdrawn must not be found any more, and nothing else may vanish with it",
        learnt_from=("S14", "S15", "I15"),
        needs="delete",
        sees=("documents deleted", 1200),
        seconds=60.0,
    )
    def test_delete_removes_documents(self, index: Any, evidence: Evidence) -> None:
        self.add(index, *(document_of(id_, "gold") for id_ in ("a", "A", "a b", "%", "a*")))
        self.add(index, Document(tenant="other", id="a", title="gold"))
        expect(index.delete(TENANT, ["a", "missing", "a", "\0", "\ud800"]), "the number that delete returned").equals(1)
        evidence.saw("documents deleted")
        expect(index.delete(TENANT, ["%"]), "the number that delete returned").equals(1)
        evidence.saw("documents deleted")
        self.let_become_visible(index)
        expect(ids(index, "gold"), "ids that are left").equals(["A", "a b", "a*"])
        expect(ids(index, "gold", tenant="other"), "ids of the other tenant").equals(["a"])
        expect(index.delete(TENANT, ["a"]), "the number that a second delete returned").equals(0)
        expect(index.delete(TENANT, []), "the number that a delete of nothing returned").equals(0)
        self.add(index, document_of("a", "gold again"))
        expect(ids(index, "again"), "ids found after the document came back").equals(["a"])
        # More at once than a back-end's own page or list of parameters holds; what is spelt alike stays.
        many = [f"d{n:04d}" for n in range(1207)]
        self.add(index, *(document_of(id_, "many") for id_ in (*many, "D0001", "d0001 ", "d00010")))
        removed = index.delete(TENANT, (id_ for id_ in (*many, *(f"missing {n}" for n in range(300)))))
        expect(removed, "the number that a delete of many ids returned").equals(len(many))
        self.let_become_visible(index)
        expect(sorted(ids(index, "many", limit=MAX_HITS)), "ids that are left").equals(["D0001", "d0001 ", "d00010"])
        evidence.saw("documents deleted", removed)

    @absence("SEARCH-18")
    def prove_that_nothing_can_be_deleted(self, index: Any, evidence: Evidence) -> None:
        self.add(index, document_of("a", "gold"))
        if callable(getattr(index, "delete", None)):
            with expect_error(UnsupportedError, "delete, which is not declared"):
                index.delete(TENANT, ["a"])
        expect(ids(index, "gold"), "ids found afterwards").equals(["a"])
        evidence.saw("absence probes")

    @clause(
        "SEARCH-19",
        "Every instance of a namespace sees the documents and changes of the others.",
        because="the process that indexes is hardly ever the one that searches",
        needs="durable",
        sees=("documents seen by another instance", 2),
    )
    def test_other_instances_see_the_documents(
        self, index: SearchIndex, another: Callable[[], SearchIndex], evidence: Evidence
    ) -> None:
        sibling = another()
        self.add(index, document_of("d", "gold"))
        expect(ids(sibling, "gold"), "ids that another instance finds").equals(["d"])
        evidence.saw("documents seen by another instance")
        self.add(sibling, document_of("d", "silver"))
        expect((ids(index, "gold"), ids(index, "silver")), "ids found after another instance replaced it").equals(
            ([], ["d"])
        )
        if self.declared(index).delete:
            self.add(index, document_of("gone", "copper"))
            expect(ids(sibling, "copper"), "ids that another instance finds").equals(["gone"])
            index.delete(TENANT, ["gone"])  # type: ignore[attr-defined]
            self.let_become_visible(index)
            expect(ids(sibling, "copper"), "ids that another instance finds after they were deleted").equals([])
        index.disconnect()
        sibling.disconnect()
        expect(ids(another(), "silver"), "ids that a later instance finds").equals(["d"])
        evidence.saw("documents seen by another instance")

    @absence("SEARCH-19")
    def prove_that_instances_are_apart(
        self, index: SearchIndex, another: Callable[[], SearchIndex], evidence: Evidence
    ) -> None:
        self.add(index, document_of("d", "gold"))
        expect(ids(another(), "gold"), "ids that another instance finds").equals([])
        evidence.saw("absence probes")

    @clause(
        "SEARCH-20",
        "Instances of different namespaces never see each other's documents.",
        because="two environments on one server, or two runs of this suite, must not meet",
        sees=("namespaces compared", 2),
    )
    def test_namespaces_are_disjoint(
        self, index: SearchIndex, namespace: str, elsewhere: Callable[..., SearchIndex], evidence: Evidence
    ) -> None:
        self.add(index, document_of("d", "gold"))
        for name in (None, *(f"{namespace}{join}a" for join in JOINS)):  # also those whose names look alike
            stranger = elsewhere(name)
            expect(ids(stranger, "gold"), "ids found in another namespace").equals([])
            self.add(stranger, document_of("d", "silver"))
            for instance, mine, theirs in ((index, "gold", "silver"), (stranger, "silver", "gold")):
                found = (ids(instance, mine), ids(instance, theirs))
                expect(found, "ids of one's own and of the other").equals((["d"], []))
                evidence.saw("namespaces compared")

    @clause(
        "SEARCH-21",
        "A document up to the declared size is indexed as a whole; its last word is found.",
        because="what is cut off silently cannot be found, and nobody knows",
        learnt_from=("S16",),
        sees=("bytes of the largest document", 250),
        seconds=60.0,
    )
    def test_large_documents_are_indexed_as_a_whole(self, index: SearchIndex, evidence: Evidence) -> None:
        size = min(self.declared(index).max_document_bytes, LARGEST_DOCUMENT)
        text = _text_of(size - len("large") - len(" lastword")) + " lastword"
        document = document_of("d", "large", text)
        expect(self.add(index, document, document_of("n", "neighbour")), "the number that index returned").equals(2)
        for word in ("large", "w0", f"w{size // 20}", "lastword", "neighbour"):
            expect(ids(index, word), f"ids found by {word}").equals(["n" if word == "neighbour" else "d"])
        expect(ids(index, text), "ids found by the whole text").equals(["d"])
        evidence.saw("bytes of the largest document", len(document.title) + len(text))


def _text_of(size: int) -> str:
    """Different words, together of exactly this many bytes."""
    words: list[str] = []
    length = 0
    while length + 12 < size:
        words.append(f"w{len(words)}")
        length += len(words[-1]) + 1
    return " ".join(words).ljust(size)


__all__ = ["SearchCapabilities", "SearchContract"]
