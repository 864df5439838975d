"""The scenarios by name: built-in ones, those of installed packages (entry points), and ``package.module:NAME``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import entry_points

from stackproof.interfaces import ConfigurationError
from stackproof.targets import import_object

from .distributions import Hot, Sizes, Uniform, Zipf
from .scenario import Parameter, Scenario, parametrised
from .steps import (
    CacheGet,
    CacheRead,
    CacheStampede,
    Drain,
    HistoryRead,
    LogBurst,
    LogLine,
    Publish,
    PublishToHandled,
    RecordEvent,
    Search,
    SummariesRead,
)
from .steps.base import Value

ENTRY_POINT_GROUP = "stackproof.scenarios"
"""An entry point is called as its scenario and points to the `Scenario`."""

CUSTOMERS = Zipf(1_000_000, exponent=1.1)
OFFERS = Zipf(50, exponent=1.0)
PAYLOAD = Sizes.p50_p99(400, 2_000)
_QUERIES = Zipf(500, exponent=0.5)

DECISION = Scenario(
    "decision",
    steps=[CacheRead(2), SummariesRead(1), RecordEvent(1), Publish(1), LogLine(1)],
    keys=CUSTOMERS,
    sizes=PAYLOAD,
    seed=7,
    unit="decision",
    offers=OFFERS,
    about="what is known about the customer and the offers, what happened before, and the record of it",
)
"""One decision of the platform, over its concerns."""

INGEST = Scenario(
    "ingest",
    steps=[RecordEvent()],
    keys=CUSTOMERS,
    sizes=PAYLOAD,
    seed=11,
    unit="interaction",
    offers=OFFERS,
    about="interactions are recorded, one by one",
)


@parametrised(
    Parameter("depth", 100, 1, 20_000, "the number of interactions in the history of each customer"),
    Parameter("customers", 200, 1, 1_000_000, "the number of customers"),
)
def SUMMARIES(depth: int, customers: int) -> Scenario:  # noqa: N802 - it becomes a value
    return Scenario(
        "summaries",
        steps=[HistoryRead(depth=depth)],
        keys=Zipf(customers, exponent=0.8),
        sizes=PAYLOAD,
        seed=13,
        unit="read",
        about="a page of summaries is read of customers with a history of a given depth",
    )


@parametrised(
    Parameter("p50", 400, 1, 65_536, "the median of the payload in bytes"),
    Parameter("p99", 2_000, 1, 65_536, "the 99th percentile of the payload in bytes"),
)
def PUBLISH(p50: int, p99: int) -> Scenario:  # noqa: N802
    return Scenario(
        "publish",
        steps=[Publish()],
        keys=CUSTOMERS,
        sizes=Sizes.p50_p99(p50, p99),
        seed=17,
        unit="event",
        about="events are published; nobody listens",
    )


@parametrised(
    Parameter("p50", 400, 1, 65_536, "the median of the payload in bytes"),
    Parameter("p99", 2_000, 1, 65_536, "the 99th percentile of the payload in bytes"),
)
def END_TO_END(p50: int, p99: int) -> Scenario:  # noqa: N802
    return Scenario(
        "end-to-end",
        steps=[PublishToHandled()],
        keys=CUSTOMERS,
        sizes=Sizes.p50_p99(p50, p99),
        seed=19,
        unit="event",
        about="from the publication of an event to the handler of a subscription in the same process",
    )


@parametrised(Parameter("backlog", 10_000, 2, 10_000_000, "the number of events in a backlog"))
def DRAIN(backlog: int) -> Scenario:  # noqa: N802
    return Scenario(
        "drain",
        steps=[Drain(backlog=backlog)],
        keys=CUSTOMERS,
        sizes=PAYLOAD,
        seed=23,
        unit="backlog",
        arrivals="closed",
        in_flight=1,
        about="a backlog is published while nobody listens, then a subscriber catches up; one backlog after the other",
    )


@parametrised(
    Parameter("keys", 10_000, 2, 1_000_000, "the number of keys"),
    Parameter("hot", 10, 1, 999_999, "the number of hot keys"),
    Parameter("share", 0.9, 0.01, 0.99, "the share of reads that are of hot keys"),
)
def CACHE_HOT(keys: int, hot: int, share: float) -> Scenario:  # noqa: N802
    return Scenario(
        "cache-hot",
        steps=[CacheGet()],
        keys=Hot(keys, hot, share),
        sizes=PAYLOAD,
        seed=29,
        unit="read",
        about="reads of a cache that is filled, most of them of few keys",
    )


@parametrised(
    Parameter("keys", 10, 1, 100_000, "the number of keys"),
    Parameter("ttl", 1.0, 0.1, 3_600, "the life of a value in seconds"),
    Parameter("fetch", 0.05, 0.0, 10, "the time of a fetch in seconds"),
)
def CACHE_STAMPEDE(keys: int, ttl: float, fetch: float) -> Scenario:  # noqa: N802
    return Scenario(
        "cache-stampede",
        steps=[CacheStampede(ttl=ttl, fetch_seconds=fetch)],
        keys=Uniform(keys),
        sizes=PAYLOAD,
        seed=31,
        unit="read",
        about="popular keys expire under load, and the fetch of their values takes its time",
    )


@parametrised(Parameter("lines", 100, 1, 100_000, "the number of lines in a burst"))
def LOG_BURST(lines: int) -> Scenario:  # noqa: N802
    return Scenario(
        "log-burst",
        steps=[LogBurst(lines=lines)],
        keys=Uniform(1_000),
        sizes=Sizes.p50_p99(200, 2_000),
        seed=37,
        unit="burst",
        about="an error repeats itself: many log lines in a row",
    )


def _search(kind: str, about: str) -> Scenario:
    @parametrised(Parameter("records", 10_000, 100, 100_000_000, "the number of documents"))
    def scenario(records: int) -> Scenario:
        step = Search(kind=kind, records=records)
        return Scenario(
            f"search-{kind}", steps=[step], keys=_QUERIES, sizes=PAYLOAD, seed=41, unit="search", about=about
        )

    return scenario


SEARCHES = (
    _search("term", "searches for one word"),
    _search("phrase", "searches for two words that follow each other"),
    _search("or", "searches for any of three words"),
    _search("prefix", "searches for words that begin with four letters"),
    _search("filtered", "searches for one word in documents of one kind"),
)

BUILT_IN = (
    DECISION,
    INGEST,
    SUMMARIES,
    PUBLISH,
    END_TO_END,
    DRAIN,
    *SEARCHES,
    CACHE_HOT,
    CACHE_STAMPEDE,
    LOG_BURST,
)


def find_scenario(name: str, settings: Mapping[str, Value] | None = None) -> Scenario:
    """The scenario of this name (or ``package.module:NAME``) with these settings.

    What is unknown or no scenario is a `ConfigurationError` in one sentence.
    """
    return _named(name).with_settings(settings or {})


def settings_of(texts: Iterable[str]) -> dict[str, Value]:
    """Settings out of ``NAME=VALUE``, as typed; `ConfigurationError` where one is none, or is given twice."""
    found: dict[str, Value] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name or not value.strip():
            raise ConfigurationError(f"--set {text!r} must look like NAME=VALUE, for example depth=500")
        if name in found:
            raise ConfigurationError(f"--set {name} is given twice")
        found[name] = value.strip()
    return found


def _named(name: str) -> Scenario:
    if ":" in name:
        return _checked(import_object(f"--scenario {name}", name), f"--scenario {name}")
    for scenario in BUILT_IN:
        if scenario.name == name:
            return scenario
    others = _of_packages()
    if name in others:
        return _checked(import_object(f"the scenario {name}", others[name]), f"the scenario {name}, {others[name]},")
    known = ", ".join([*(scenario.name for scenario in BUILT_IN), *sorted(others)])
    raise ConfigurationError(f"the scenario {name!r} is unknown; known are: {known}, or package.module:NAME")


def _checked(found: object, what: str) -> Scenario:
    if not isinstance(found, Scenario):
        raise ConfigurationError(f"{what} is a {type(found).__name__}, not a stackproof.scenarios.scenario.Scenario")
    return found


@cache
def _of_packages() -> dict[str, str]:
    """Name -> ``module:NAME`` of what installed packages offer. One with a name of ours, or of another, is an error."""
    found: dict[str, str] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if point.name in found or any(point.name == scenario.name for scenario in BUILT_IN):
            raise ConfigurationError(
                f"the entry point {point.name!r} of group {ENTRY_POINT_GROUP} ({point.value}) has the name of another scenario"
            )
        found[point.name] = point.value
    return found
