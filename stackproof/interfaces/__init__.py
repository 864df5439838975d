"""The five interfaces, their records, capabilities and errors. Imports nothing third-party.

Logs have no class of their own: a log transport is any `logging.Handler`.
"""

from .cache import MISSING, CacheStore, CacheValue, Missing
from .capabilities import (
    CacheCapabilities,
    Capabilities,
    Delivery,
    EventCapabilities,
    InteractionCapabilities,
    LogCapabilities,
    Order,
    SearchCapabilities,
)
from .deferred import DeferredInteractions, DeferredPublisher, Done
from .errors import (
    BackendError,
    ClosedError,
    ConfigurationError,
    IndeterminateError,
    OperationTimeoutError,
    RejectedError,
    StackproofError,
    UnavailableError,
    UnsupportedError,
)
from .events import EventPublisher, Handler, ReplayableEvents, Subscription
from .interactions import BulkInteractionStore, InteractionStore
from .lifecycle import Backend
from .records import (
    MAX_HITS,
    MAX_SUMMARIES,
    Direction,
    Document,
    Event,
    Hit,
    Interaction,
    InteractionType,
    JsonValue,
    PeriodType,
    SearchQuery,
    SummariesPage,
    SummariesQuery,
    Summary,
    period_keys,
    summarise,
    summary_order,
)
from .search import MAX_MATCH_WORDS, DeletableIndex, Match, MatchingIndex, SearchIndex
from .words import words_of

__all__ = [
    "MAX_HITS",
    "MAX_MATCH_WORDS",
    "MAX_SUMMARIES",
    "MISSING",
    "Backend",
    "BackendError",
    "BulkInteractionStore",
    "CacheCapabilities",
    "CacheStore",
    "CacheValue",
    "Capabilities",
    "ClosedError",
    "ConfigurationError",
    "DeferredInteractions",
    "DeferredPublisher",
    "DeletableIndex",
    "Delivery",
    "Direction",
    "Document",
    "Done",
    "Event",
    "EventCapabilities",
    "EventPublisher",
    "Handler",
    "Hit",
    "IndeterminateError",
    "Interaction",
    "InteractionCapabilities",
    "InteractionStore",
    "InteractionType",
    "JsonValue",
    "LogCapabilities",
    "Match",
    "MatchingIndex",
    "Missing",
    "OperationTimeoutError",
    "Order",
    "PeriodType",
    "RejectedError",
    "ReplayableEvents",
    "SearchCapabilities",
    "SearchIndex",
    "SearchQuery",
    "StackproofError",
    "Subscription",
    "SummariesPage",
    "SummariesQuery",
    "Summary",
    "UnavailableError",
    "UnsupportedError",
    "period_keys",
    "summarise",
    "summary_order",
    "words_of",
]
