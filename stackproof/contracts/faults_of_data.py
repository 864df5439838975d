"""Clauses about faults of the network, for interactions, search and caches: what is kept, and what is answered."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from stackproof.interfaces import (
    MISSING,
    BackendError,
    CacheStore,
    Document,
    InteractionStore,
    InteractionType,
    SearchIndex,
    SearchQuery,
)

from .callers import Callers
from .clauses import absence, clause
from .evidence import Evidence
from .expectations import ContractViolation, expect, shown
from .faults import TYPED
from .faulty import LATE_SECONDS, LONGEST_TIMEOUT, RECOVERY_SECONDS, Fault, Faulty
from .interaction_samples import about, alltime, contact, expect_summaries, walk
from .lifecycle import BOUNDED
from .throttling import ThrottlingContract
from .timelimit import pause

CONTACTS = 24
TENANT = "tenant"


class InteractionFaultContract(ThrottlingContract[InteractionStore]):
    """What an interaction store keeps through cuts."""

    def marked_write(self, backend: Any, mark: str) -> None:
        kind = InteractionType.CONVERT
        backend.record_event(contact(event_id=mark, customer=mark, interaction_type=kind))

    def times_applied(self, backend: Any, mark: str) -> int:
        row = alltime(backend, customer=mark)
        return 0 if row is None else row.converts

    @clause(
        "STORE-28",
        "Through cuts of the connection nothing acknowledged is lost, and what is repeated with the same id counts once.",
        because="repeating after an error is what every caller does: it must neither lose a contact nor book it twice",
        learnt_from=("I25", "I26"),
        needs="remote",
        profile="full",
        sees=(("answers cut", 3), ("repeated writes", 3), ("contacts acknowledged", CONTACTS)),
        seconds=60.0,
    )
    def test_acknowledged_contacts_survive_cuts(
        self,
        backend: Any,
        faulty: Callable[[], Faulty[InteractionStore]],
        rng: random.Random,
        evidence: Evidence,
    ) -> None:
        hurt = faulty()
        self.exercise(hurt.backend)
        events = [contact(customer="survivor", event_id=f"cut-{n}") for n in range(CONTACTS)]
        for number, event in enumerate(events):
            if number % 3 == 0:
                hurt.begin(Fault.ANSWER_CUT)
            before = hurt.faults.happened()
            repeated = _record_until_acknowledged(hurt.backend, event)
            cut = hurt.faults.happened() - before
            # Where an answer was cut and no error came, the backend has repeated the write by itself.
            evidence.saw("repeated writes", repeated or min(1, cut))
            evidence.saw("answers cut", cut)
            evidence.saw("contacts acknowledged")
        hurt.faults.end()
        for again in rng.sample(events, 5):
            hurt.backend.record_event(again)
        query = about(customer="survivor")
        expect_summaries(walk(backend, query), events, query, "the summaries of what was acknowledged through cuts")

    @absence("STORE-28")
    def prove_no_connection_can_be_cut(self, backend: Any, evidence: Evidence) -> None:
        self.prove_that_there_is_no_server(backend, evidence)


class SearchFaultContract(ThrottlingContract[SearchIndex]):
    """What a search index answers while it cannot ask its server."""

    def marked_write(self, backend: Any, mark: str) -> None:
        backend.index([Document(tenant=TENANT, id=mark, title=f"marked {mark}")])

    def times_applied(self, backend: Any, mark: str) -> int:
        query = SearchQuery(tenant=TENANT, text=f"marked {mark}")
        return sum(hit.id == mark for hit in backend.search(query))

    @clause(
        "SEARCH-07",
        "A search that cannot be answered raises a typed error; it is never an empty or a shorter list.",
        because="an empty list says that there is no offer for this customer, and that is what is then shown",
        learnt_from=("S17",),
        needs="remote",
        profile="full",
        sees=(("faults that struck", 3), ("typed errors", 2)),
        seconds=60.0,
    )
    def test_a_transport_error_is_no_empty_result(
        self, backend: Any, faulty: Callable[[], Faulty[SearchIndex]], evidence: Evidence
    ) -> None:
        hurt = faulty()
        hurt.backend.index([Document(tenant=TENANT, id=f"d-{n}", title="golden card") for n in range(3)])
        query = SearchQuery(tenant=TENANT, text="golden")

        def found() -> list[str]:
            return sorted(hit.id for hit in hurt.backend.search(query))

        pause(self.declared(backend).visible_within)  # the declared promise: nothing may be required sooner
        faults = [Fault.ANSWER_CUT, Fault.REFUSED, Fault.BLACK_HOLE, Fault.ANSWERS_LOST]
        faults += [Fault.THROTTLED] if self.declared(backend).throttles else []
        for fault in faults:
            hurt.recovers(found)
            with hurt.suffering(fault) as struck:
                try:
                    answer = found()
                except TYPED:
                    evidence.saw("typed errors")
                else:
                    expect(answer, f"a search while its server is behind a fault ({fault.value})").equals(
                        ["d-0", "d-1", "d-2"], why="an answer that is not known is an error, never an empty result"
                    )
                evidence.saw("faults that struck", min(1, struck()))

    @absence("SEARCH-07")
    def prove_no_transport(self, backend: Any, evidence: Evidence) -> None:
        self.prove_that_there_is_no_server(backend, evidence)


class CacheFaultContract(ThrottlingContract[CacheStore]):
    """What a cache answers when its connection breaks."""

    def marked_write(self, backend: Any, mark: str) -> None:
        backend.set(mark, mark, ttl=60)

    def times_applied(self, backend: Any, mark: str) -> int:
        return int(backend.get(mark) == mark)

    @clause(
        "CACHE-25",
        "A cache that breaks in the middle of a fetch gives the fetched value or a typed error, "
        "and never the value of another key.",
        because="an answer that comes late must not be taken for the answer to the next question: "
        "customers would see each other's data",
        learnt_from=("C27",),
        needs="remote",
        profile="full",
        sees=(("fetches under a fault", 3), ("late answers", 2), ("questions after late answers", 10)),
        seconds=60.0,
    )
    def test_answers_belong_to_their_questions(
        self, backend: Any, faulty: Callable[[], Faulty[CacheStore]], callers: Callers, evidence: Evidence
    ) -> None:
        hurt = faulty()
        self.exercise(hurt.backend)
        for number, fault in enumerate((Fault.REFUSED, Fault.BLACK_HOLE, Fault.ANSWERS_LOST)):
            self._fetch_while_it_breaks(hurt, fault, f"fetched-{number}", callers, evidence)
        self._ask_after_late_answers(hurt, evidence)

    @absence("CACHE-25")
    def prove_no_answer_can_be_late(self, backend: Any, evidence: Evidence) -> None:
        self.prove_that_there_is_no_server(backend, evidence)

    def _fetch_while_it_breaks(
        self, hurt: Faulty[CacheStore], fault: Fault, key: str, callers: Callers, evidence: Evidence
    ) -> None:
        before = hurt.faults.happened()

        def fetch() -> str:
            hurt.begin(fault)
            return f"value of {key}"

        answer = callers.each([lambda: hurt.backend.get_or_fetch(key, fetch, ttl=60)], within=2 * BOUNDED, errors=True)[
            0
        ]
        if not isinstance(answer, TYPED):
            expect(answer, f"get_or_fetch whose cache broke during the fetch ({fault.value})").equals(f"value of {key}")
        evidence.saw("fetches under a fault", min(1, hurt.faults.happened() - before))
        hurt.faults.end()
        hurt.recovers(lambda: hurt.backend.delete(key))

    def _ask_after_late_answers(self, hurt: Faulty[CacheStore], evidence: Evidence) -> None:
        for key in ("mine", "yours"):
            hurt.backend.set(key, f"value of {key}", ttl=60)
        for _ in range(2):
            with hurt.suffering(Fault.ANSWERS_LATE) as struck:
                self._get(hurt.backend, "mine")
                evidence.saw("late answers", struck())
            until = time.monotonic() + LATE_SECONDS - LONGEST_TIMEOUT + 0.5
            while time.monotonic() < until:
                self._get(hurt.backend, "yours")
                evidence.saw("questions after late answers")
                time.sleep(0.05)

    def _get(self, cache: CacheStore, key: str) -> None:
        """Ask for a key: the answer is its value, nothing, or an error."""
        __tracebackhide__ = True
        try:
            answer = cache.get(key)
        except TYPED:
            return
        if answer is not MISSING and answer != f"value of {key}":
            raise ContractViolation(
                f"get({key!r}) after an answer that came late",
                f"{shown(f'value of {key}')}, missing, or an error",
                shown(answer),
                "this is the answer to another question",
            )


def _record_until_acknowledged(store: Any, event: Any) -> int:
    """Repeat until the store acknowledges the contact; how often it had to be repeated."""
    deadline = time.monotonic() + RECOVERY_SECONDS
    repeated = 0
    while True:
        try:
            store.record_event(event)
        except BackendError:
            if time.monotonic() > deadline:
                raise
            repeated += 1
            time.sleep(0.01)
        else:
            return repeated
