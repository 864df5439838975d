"""Clauses about answers that are no whole ones, for interactions and search: batches that are taken in part, short pages.

For events, see `faults_of_events`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from stackproof.interfaces import (
    MAX_HITS,
    BackendError,
    Document,
    IndeterminateError,
    Interaction,
    InteractionStore,
    InteractionType,
    RejectedError,
    SearchIndex,
    SearchQuery,
)

from .callers import Callers
from .clauses import absence, clause
from .evidence import Evidence
from .expectations import ContractViolation, expect
from .faults import TYPED
from .faults_of_data import TENANT, InteractionFaultContract, SearchFaultContract
from .faulty import Fault, Faulty
from .interaction_samples import about, alltime, contact, expect_summaries, walk
from .lifecycle import BOUNDED
from .timelimit import pause

BATCH = 60
"""Larger than the batches of most services (DynamoDB takes 25): the backend sends several of its own."""
ROUNDS = 3
MUCH = "has-much"
LIMITS = (7, 200)
"""Pages that are asked for: smaller than what the server gives at once, and larger."""
NOTHING_APPLIED = "this error says that nothing was applied"


class InteractionBatchContract(InteractionFaultContract):
    """What an interaction store does when a part of a batch is refused."""

    @clause(
        "STORE-29",
        "A batch of which the server takes a part ends as a whole, or with an error that says so; repeating it completes it, "
        "and each contact counts once.",
        because="what a service hands back unprocessed is lost for ever if nobody looks, and no error is ever seen",
        learnt_from=("I1", "I2", "I3", "I4"),
        needs="partial_batches",
        profile="full",
        sees=(("refused items", ROUNDS), ("batches that ended", ROUNDS), ("batches completed", ROUNDS)),
        seconds=90.0,
    )
    def test_a_batch_that_is_taken_in_part(
        self, backend: Any, faulty: Callable[[], Faulty[InteractionStore]], callers: Callers, evidence: Evidence
    ) -> None:
        hurt = faulty()
        self.exercise(hurt.backend)
        for number in range(ROUNDS):
            customer = f"in-parts-{number}"
            kind = InteractionType.CONVERT
            batch = [
                contact(customer=customer, event_id=f"{customer}-{n}", interaction_type=kind) for n in range(BATCH)
            ]
            with hurt.suffering(Fault.PART_REFUSED) as struck:
                (claim,) = callers.each([lambda batch=batch: self._claim(hurt.backend, batch)], within=2 * BOUNDED)  # type: ignore[misc]
                evidence.saw("refused items", struck())
            row = alltime(backend, customer=customer)
            _compare_batch(claim, 0 if row is None else row.converts, f"a batch of {BATCH} of which a part was refused")
            evidence.saw("batches that ended")
            hurt.recovers(lambda batch=batch: self._store(hurt.backend, batch))  # type: ignore[misc]
            query = about(customer=customer)
            expect_summaries(walk(backend, query), batch, query, "the summaries of a batch that was completed")
            evidence.saw("batches completed")

    @absence("STORE-29")
    def prove_batches_are_never_taken_in_part(
        self, backend: Any, faulty: Callable[[], Faulty[InteractionStore]], evidence: Evidence
    ) -> None:
        self.expect_no_harness_for(Fault.PART_REFUSED, faulty)
        for number in range(ROUNDS):
            batch = [contact(customer=f"whole-{number}") for _ in range(BATCH)]
            self._store(backend, batch)
            query = about(customer=f"whole-{number}")
            expect_summaries(walk(backend, query), batch, query, "the summaries of a batch that was stored at once")
            evidence.saw("absence probes")

    @clause(
        "STORE-30",
        "Pages of the server that end early, or are empty, change no answer: a walk returns every summary once.",
        because="how much a server reads at once is its own business: who takes a short page for the last one forgets the rest",
        learnt_from=("I10", "I11", "I13", "I14", "I29"),
        needs="paged_reads",
        profile="full",
        sees=(("pages cut", 10), ("complete walks", len(LIMITS))),
        seconds=90.0,
    )
    def test_short_pages_of_the_server_hide_nothing(
        self, backend: Any, faulty: Callable[[], Faulty[InteractionStore]], callers: Callers, evidence: Evidence
    ) -> None:
        hurt, events = faulty(), _many_summaries(backend)
        for limit in LIMITS:
            query = about(customer=MUCH, limit=limit)
            with hurt.suffering(Fault.PAGES_CUT) as struck:
                (rows,) = callers.each([lambda query=query: walk(hurt.backend, query)], within=2 * BOUNDED)  # type: ignore[misc]
                evidence.saw("pages cut", struck())
            expect_summaries(rows, events, query, f"a walk with the limit {limit} over short pages of the server")
            evidence.saw("complete walks")

    @absence("STORE-30", visible=False)
    def prove_the_server_cuts_no_pages(
        self, backend: Any, faulty: Callable[[], Faulty[InteractionStore]], evidence: Evidence
    ) -> None:
        """A server may cut answers that are larger than any that is tried, so that its absence cannot be seen; what is seen is
        that these are whole, and that the harness cannot make the fault."""
        self.expect_no_harness_for(Fault.PAGES_CUT, faulty)
        events, query = _many_summaries(backend), about(customer=MUCH, limit=max(LIMITS))
        rows = walk(backend, query)
        expect_summaries(rows, events, query, "a walk over more summaries than one page has")
        evidence.saw("absence probes", len(rows))

    def _store(self, store: Any, batch: Sequence[Interaction]) -> None:
        if self.declared(store).bulk:
            store.record_events(batch)
        else:
            for event in batch:
                store.record_event(event)

    def _claim(self, store: Any, batch: Sequence[Interaction]) -> BackendError | None:
        """What the store says about a batch: None means that it was stored."""
        try:
            self._store(store, batch)
        except BackendError as error:
            # Contact by contact, those before the one that failed are stored, and rightly so: of the whole nothing is said.
            return (
                error if self.declared(store).bulk or not isinstance(error, TYPED) else IndeterminateError(str(error))
            )
        return None


def _many_summaries(store: Any) -> list[Interaction]:
    """The contacts of one customer with more summaries than the largest page has."""
    events = [contact(customer=MUCH, offer=f"offer-{n}") for n in range(BATCH)]
    for event in events:
        store.record_event(event)
    return events


def _compare_batch(claim: BackendError | None, stored: int, what: str) -> None:
    said = "stored" if claim is None else f"{type(claim).__name__}: {claim}"
    if claim is None and stored != BATCH:
        raise ContractViolation(what, f"all {BATCH} to be stored, as no error came", f"{stored} were stored")
    if claim is not None and not isinstance(claim, TYPED):
        raise ContractViolation(what, "no error, IndeterminateError, or one that says that nothing was applied", said)
    if claim is not None and not isinstance(claim, IndeterminateError) and stored:
        raise ContractViolation(what, f"IndeterminateError, as {stored} were stored", said, NOTHING_APPLIED)


class SearchBatchContract(SearchFaultContract):
    """What a search index does when documents of a batch are refused."""

    @clause(
        "SEARCH-23",
        "Documents that the server refuses for the moment are indexed in the end, or named in the error; all others are indexed.",
        because="a bulk answer is a success as a whole: documents that it refused are missing, and nobody was told",
        learnt_from=("S1", "S2", "S3", "S4", "S5"),
        needs="partial_batches",
        profile="full",
        sees=(("refused documents", ROUNDS), ("calls of index that ended", ROUNDS), ("documents found", BATCH)),
        seconds=90.0,
    )
    def test_documents_that_are_refused_for_the_moment(
        self, backend: Any, faulty: Callable[[], Faulty[SearchIndex]], callers: Callers, evidence: Evidence
    ) -> None:
        hurt = faulty()
        self.exercise(hurt.backend)
        for number in range(ROUNDS):
            word = f"parts{number}"
            documents = [Document(tenant=TENANT, id=f"{word}-{n:02d}", title=word) for n in range(BATCH)]
            with hurt.suffering(Fault.PART_REFUSED) as struck:
                (claim,) = callers.each(
                    [lambda batch=documents: _indexed(hurt.backend, batch)],  # type: ignore[misc]
                    within=2 * BOUNDED,
                )
                evidence.saw("refused documents", struck())
            found = self._found(backend, word)
            _compare_documents(claim, {document.id for document in documents}, found)
            evidence.saw("documents found", len(found))
            evidence.saw("calls of index that ended")
            hurt.recovers(lambda batch=documents: hurt.backend.index(batch))  # type: ignore[misc]
            expect(len(self._found(backend, word)), "documents found when the batch was repeated").equals(BATCH)

    @absence("SEARCH-23")
    def prove_documents_are_never_taken_in_part(
        self, backend: Any, faulty: Callable[[], Faulty[SearchIndex]], evidence: Evidence
    ) -> None:
        self.expect_no_harness_for(Fault.PART_REFUSED, faulty)
        for number in range(ROUNDS):
            documents = [
                Document(tenant=TENANT, id=f"whole-{number}-{n}", title=f"whole{number}") for n in range(BATCH)
            ]
            expect(backend.index(documents), "the number of documents that index gives").equals(BATCH)
            expect(len(self._found(backend, f"whole{number}")), "documents of a batch that are found").equals(BATCH)
            evidence.saw("absence probes")

    def _found(self, index: Any, word: str) -> set[str]:
        pause(self.declared(index).visible_within)  # the declared promise: nothing may be required sooner
        return {hit.id for hit in index.search(SearchQuery(tenant=TENANT, text=word, limit=MAX_HITS))}


def _indexed(index: Any, documents: Sequence[Document]) -> int | BackendError:
    """How many documents the index says that it has indexed, or its error."""
    try:
        count: int = index.index(documents)
    except BackendError as error:
        return error
    return count


def _compare_documents(claim: int | BackendError, sent: set[str], found: set[str]) -> None:
    what = f"{len(sent)} documents, every second one of which was refused for the moment"
    if isinstance(claim, int):
        expect(claim, "the number of documents that index gives").equals(len(found))
        expect(sorted(sent - found), "documents that are not found, although no error came").equals([])
    elif isinstance(claim, RejectedError):
        expect(sorted(claim.failed.keys() - sent), "ids that the error names and nobody sent").equals([])
        expect(sorted(sent - found - claim.failed.keys()), "documents that are neither found nor named").equals([])
        expect(sorted(found & claim.failed.keys()), "documents that are named as rejected, and are found").equals([])
    elif not isinstance(claim, TYPED):
        said = f"{type(claim).__name__}: {claim}"
        raise ContractViolation(what, "no error, RejectedError with their ids, or an error of the server", said)
    elif not isinstance(claim, IndeterminateError) and found:
        said = f"{type(claim).__name__}: {claim}"
        raise ContractViolation(what, f"an error that fits {len(found)} indexed ones", said, NOTHING_APPLIED)
