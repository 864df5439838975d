"""The clause of the interaction store about sequences: in whatever order it happens, summaries are those of the definition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .case import Case
from .clauses import clause
from .evidence import Evidence
from .interaction_histories import InteractionHistories
from .sequences import SEES, SequenceClauses


class InteractionSequences(SequenceClauses[Any], InteractionHistories):
    """Any sequence of operations."""

    @clause(
        "STORE-40",
        "After any sequence of contacts the summaries are those of the definition, in every instance.",
        because="what is kept alone is lost where two things meet: in the second page, after a rejected batch",
        learnt_from=("I9", "I16", "I26"),
        sees=SEES,
        seconds=240.0,
    )
    def test_any_sequence_is_that_of_the_definition(
        self, store: Any, case: Case, namespace: str, another: Callable[[], Any], evidence: Evidence
    ) -> None:
        from .machines import StoreMachine

        handles = [store, another()] if self.declared(store).durable else [store]
        self.explore_sequences(StoreMachine, case, namespace, handles, evidence)
