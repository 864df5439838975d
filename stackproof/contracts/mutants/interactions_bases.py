"""What mutants of the interaction store have in common: where a defect is put into the reference."""

from __future__ import annotations

from collections.abc import Sequence

from stackproof.adapters.interactions.memory import MemoryInteractionStore
from stackproof.interfaces import Interaction, SummariesQuery, Summary


class Rewritten(MemoryInteractionStore):
    """Passes each interaction through a function before it is stored: the base of mutants that spoil data."""

    def spoil(self, event: Interaction) -> Interaction:
        raise NotImplementedError

    def _apply(self, events: Sequence[Interaction]) -> None:
        super()._apply([self.spoil(event) for event in events])


class Reshown(MemoryInteractionStore):
    """Passes the matching summaries through a function before they are cut into pages."""

    def show(self, rows: list[Summary], query: SummariesQuery) -> list[Summary]:
        raise NotImplementedError

    def _summaries(self, query: SummariesQuery) -> list[Summary]:
        return self.show(super()._summaries(query), query)
