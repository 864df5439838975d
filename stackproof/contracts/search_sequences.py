"""The clause of the search index about sequences: in whatever order it happens, what is found is what an inverted index has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .case import Case
from .clauses import clause
from .evidence import Evidence
from .search_histories import SearchHistoryClauses
from .sequences import SEES, SequenceClauses


class SearchSequenceClauses(SequenceClauses[Any], SearchHistoryClauses):
    """Any sequence of operations."""

    @clause(
        "SEARCH-40",
        "After any sequence of changes a search finds what an inverted index of the documents finds, in every instance.",
        because="an old word that stays findable, or a batch that costs its neighbours, shows after the third change only",
        learnt_from=("S1", "S14", "S15"),
        sees=SEES,
        seconds=240.0,
    )
    def test_any_sequence_is_that_of_an_inverted_index(
        self, index: Any, case: Case, namespace: str, another: Callable[[], Any], evidence: Evidence
    ) -> None:
        from .machines import SearchMachine

        handles = [index, another()] if self.declared(index).durable else [index]
        self.explore_sequences(SearchMachine, case, namespace, handles, evidence)
