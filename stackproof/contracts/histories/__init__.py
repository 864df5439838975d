"""Histories of concurrent operations, and the checkers that decide whether a backend may have answered so.

A history is recorded (`Recorder`), then judged by the checker of its kind: a register per key, a queue of events, a
counter, or the visibility of documents. The answer is valid, invalid with an argument, or unknown.
"""

from .counter import check_counter
from .operation import Operation, Outcome, overlapping, overlapping_pairs
from .queue import check_queue
from .recorder import Recorder
from .register import check_register
from .verdict import BudgetExhausted, HistoryVerdict, Judgement
from .visibility import check_visibility

__all__ = [
    "BudgetExhausted",
    "HistoryVerdict",
    "Judgement",
    "Operation",
    "Outcome",
    "Recorder",
    "check_counter",
    "check_queue",
    "check_register",
    "check_visibility",
    "overlapping",
    "overlapping_pairs",
]
