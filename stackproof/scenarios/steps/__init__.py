"""The steps that items are made of, one module for each concern. A step of a third party is a class like these."""

from .base import Action, Bench, Checks, Deferrable, PreparationError, Step, WrongAnswerError
from .cache import CacheGet, CacheRead, CacheStampede
from .events import Drain, Publish, PublishToHandled
from .interactions import HistoryRead, RecordEvent, SummariesRead
from .logs import LogBurst, LogLine
from .search import Search

__all__ = [
    "Action",
    "Bench",
    "CacheGet",
    "CacheRead",
    "CacheStampede",
    "Checks",
    "Deferrable",
    "Drain",
    "HistoryRead",
    "LogBurst",
    "LogLine",
    "PreparationError",
    "Publish",
    "PublishToHandled",
    "RecordEvent",
    "Search",
    "Step",
    "SummariesRead",
    "WrongAnswerError",
]
