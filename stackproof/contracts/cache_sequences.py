"""The clause of the cache about sequences: whatever is done in whatever order, the cache answers as its model does."""

from __future__ import annotations

from collections.abc import Callable

from stackproof.interfaces import CacheStore

from .cache_histories import CacheHistoryClauses
from .case import Case
from .clauses import clause
from .evidence import Evidence
from .sequences import SEES, SequenceClauses


class CacheSequenceClauses(SequenceClauses[CacheStore], CacheHistoryClauses):
    """Any sequence of operations."""

    @clause(
        "CACHE-40",
        "After any sequence of operations the cache answers as a dictionary with a clock does.",
        because="rules that hold one by one fail together: a delete after a renewal, a fetch of a key that was just refused",
        learnt_from=("C4", "C17", "C42"),
        sees=SEES,
        seconds=240.0,
    )
    def test_any_sequence_is_that_of_a_dictionary(
        self, cache: CacheStore, case: Case, namespace: str, another: Callable[[], CacheStore], evidence: Evidence
    ) -> None:
        from .machines import CacheMachine

        handles = [cache, another()] if self.declared(cache).shared else [cache]
        self.explore_sequences(CacheMachine, case, namespace, handles, evidence)
