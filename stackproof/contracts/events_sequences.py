"""The clause of event buses about sequences: in whatever order it happens, each subscription gets its part of the log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .case import Case
from .clauses import clause
from .events_histories import EventHistoryContract
from .evidence import Evidence
from .sequences import SEES, SequenceClauses


class EventSequenceContract(SequenceClauses[Any], EventHistoryContract):
    """Any sequence of operations."""

    @clause(
        "EVENT-40",
        "After any sequence of subscriptions and events each subscription has handled its part of a log, as declared.",
        because="a subscription that begins during a redelivery, or ends beside a burst, is where events are lost or come twice",
        learnt_from=("E4", "E10", "E44"),
        sees=SEES,
        seconds=240.0,
    )
    def test_any_sequence_is_that_of_a_log(
        self, events: Any, case: Case, namespace: str, another: Callable[[], Any], evidence: Evidence
    ) -> None:
        from .machines import EventsMachine

        handles = [events, another()] if self.capabilities.shared else [events]
        self.explore_sequences(EventsMachine, case, namespace, handles, evidence)
