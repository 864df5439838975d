"""The scenarios of our side: one step each, all keys equally often, one size. Ordinary scenarios, offered closed loop.

What a tool does is less than any scenario of the catalogue; so these have just what it can do, too.
"""

from __future__ import annotations

from stackproof.scenarios.distributions import Sizes, Uniform
from stackproof.scenarios.scenario import Parameter, Scenario, parametrised
from stackproof.scenarios.steps import CacheGet, HistoryRead, Publish, RecordEvent, Search

from .data import OFFERS

LARGEST = 65_536
QUERIES = 100
"""Different searches."""
_KEYS = Parameter("keys", 1000, 1, 1_000_000, "the number of different keys, customers or documents")
_BYTES = Parameter("size", 400, 1, LARGEST, "the size of a value or a payload in bytes")


@parametrised(_KEYS, _BYTES)
def CACHE_GET(keys: int, size: int) -> Scenario:  # noqa: N802 - it becomes a value
    return Scenario(
        "yardstick-cache", steps=[CacheGet()], keys=Uniform(keys), sizes=Sizes(size, size), seed=7, unit="read"
    )


@parametrised(_KEYS, _BYTES)
def RECORD_EVENT(keys: int, size: int) -> Scenario:  # noqa: N802
    return Scenario(
        "yardstick-records",
        steps=[RecordEvent()],
        keys=Uniform(keys),
        sizes=Sizes(size, size),
        offers=Uniform(OFFERS),
        seed=7,
        unit="interaction",
    )


@parametrised(_KEYS, _BYTES)
def SUMMARIES(keys: int, size: int) -> Scenario:  # noqa: N802
    step = HistoryRead(depth=1)
    return Scenario(
        "yardstick-summaries", steps=[step], keys=Uniform(keys), sizes=Sizes(size, size), seed=7, unit="read"
    )


@parametrised(_KEYS, _BYTES)
def PUBLISH(keys: int, size: int) -> Scenario:  # noqa: N802
    return Scenario(
        "yardstick-publish", steps=[Publish()], keys=Uniform(keys), sizes=Sizes(size, size), seed=7, unit="event"
    )


@parametrised(_KEYS, _BYTES)
def SEARCH(keys: int, size: int) -> Scenario:  # noqa: N802
    step = Search(kind="term", records=keys)
    return Scenario(
        "yardstick-search", steps=[step], keys=Uniform(QUERIES), sizes=Sizes(size, size), seed=7, unit="search"
    )
