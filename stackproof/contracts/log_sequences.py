"""The clause of log handlers about sequences: whatever is logged in whatever order, all of it arrives, once."""

from __future__ import annotations

import logging
from typing import Any

from .case import Case
from .clauses import clause
from .evidence import Evidence
from .log_conventions import LogConventionContract
from .sequences import SEES, SequenceClauses


class LogSequenceClauses(SequenceClauses[logging.Handler], LogConventionContract):
    """Any sequence of records."""

    @clause(
        "LOG-40",
        "After any sequence of records, levels and re-openings every record has arrived, once, and none that was held back.",
        because="a record that follows one which could not be written, or that comes after a re-opening, is the one that is lost",
        learnt_from=("L1", "L2", "L8"),
        sees=SEES,
        seconds=240.0,
    )
    def test_any_sequence_is_that_of_a_list(self, handler: Any, case: Case, namespace: str, evidence: Evidence) -> None:
        from .machines import LogsMachine

        self.explore_sequences(LogsMachine, case, namespace, [handler], evidence)
