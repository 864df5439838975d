"""What the steps check under load, proven with adapters that break exactly that: a check that cannot fail shows nothing."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import gevent
import pytest

from stackproof.adapters.cache.memory import MemoryCache
from stackproof.adapters.events.memory import MemoryEventPublisher
from stackproof.adapters.events.memory_log import MemoryEventLog
from stackproof.adapters.interactions.memory import MemoryInteractionStore
from stackproof.adapters.logs.memory import MemoryLogHandler
from stackproof.adapters.search.memory import MemorySearchIndex
from stackproof.interfaces import (
    CacheValue,
    ConfigurationError,
    Delivery,
    Document,
    Event,
    Hit,
    Interaction,
    InteractionStore,
    Match,
    Missing,
    SearchQuery,
    SummariesPage,
    SummariesQuery,
    UnavailableError,
)
from stackproof.measurement.check_words import counted_again
from stackproof.scenarios.catalogue import find_scenario
from stackproof.scenarios.distributions import Sizes, Uniform
from stackproof.scenarios.scenario import Scenario
from stackproof.scenarios.steps import PreparationError, corpus
from stackproof.scenarios.work import StepFailedError, Work

SMALL: dict[str, dict[str, int | float]] = {
    "summaries": {"depth": 30, "customers": 20},
    "drain": {"backlog": 200},
    "cache-hot": {"keys": 50, "hot": 5},
    "cache-stampede": {"ttl": 0.2, "fetch": 0.02, "keys": 2},
    "log-burst": {"lines": 5},
}
"""Settings with which a test takes no time."""


def small(name: str) -> Scenario:
    return find_scenario(name, {"records": 300} if name.startswith("search") else SMALL.get(name, {}))


def reference(concern: str) -> Any:
    made: dict[str, Callable[[], Any]] = {
        "cache": MemoryCache,
        "events": MemoryEventLog,
        "interactions": MemoryInteractionStore,
        "search": MemorySearchIndex,
        "logs": MemoryLogHandler,
    }
    return made[concern]()


def offered(
    scenario: Scenario, items: int, *, at_once: int = 1, settle: float = 2.0, **adapters: Any
) -> tuple[dict[str, Any], list[str]]:
    """The checks after so many items on these adapters (references elsewhere), and the errors of items that failed."""
    work = Work.on(scenario, {concern: adapters.get(concern) or reference(concern) for concern in scenario.concerns})
    failed: list[str] = []

    def decide(number: int) -> None:
        try:
            work.decide(scenario.item(number), lambda *_: None)
        except StepFailedError as error:
            failed.append(f"{error}: {error.__cause__}")

    try:
        work.prepare()
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(decide, range(items)))
        work.settle(settle)
        return work.checks.to_data(), failed
    finally:
        work.close()


@pytest.mark.parametrize("error", [asyncio.CancelledError(), gevent.Timeout(1)])
def test_what_a_client_raises_and_is_no_exception_is_a_failure_of_its_step(error: BaseException) -> None:
    class GivesUp(MemoryCache):
        def get(self, key: str) -> Any:
            raise error

    _, failed = offered(find_scenario("cache-hot", {}), 3, cache=GivesUp())
    assert failed == [f"cache get: {type(error).__name__}: {error}"] * 3


def wrongs(data: dict[str, Any]) -> tuple[int, int, int]:
    return data["wrong"], data["lost"], data["duplicated"]


NAMES = (
    *("decision", "ingest", "summaries", "publish", "end-to-end", "drain", "cache-hot", "cache-stampede", "log-burst"),
    *(f"search-{kind}" for kind in corpus.QUERY_KINDS),
)


@pytest.mark.parametrize("name", NAMES)
def test_on_the_references_nothing_is_blamed_and_something_is_seen(name: str) -> None:
    data, failed = offered(small(name), 2 if name == "drain" else 100, at_once=4)
    assert failed == []
    assert wrongs(data) == (0, 0, 0), data
    assert data["counts"] or name == "publish", "nobody reads what is only published"
    assert all(times > 0 for times in data["counts"].values())


class AnotherKeys(MemoryCache):
    """Answers now and then with the value of another key."""

    def get(self, key: str) -> CacheValue | Missing:
        return super().get("key:1" if key == "key:2" else key)


class Forgets(MemoryCache):
    """Loses one entry."""

    def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
        if key != "key:3":
            super().set(key, value, ttl)


class EverybodyFetches(MemoryCache):
    """No single flight."""

    def get_or_fetch(self, key: str, fetch: Callable[[], CacheValue], ttl: float | None = None) -> CacheValue:
        found = self.get(key)
        if isinstance(found, dict):
            return found
        value = fetch()
        self.set(key, value, ttl)
        return value


class ShortLived(MemoryCache):
    """Entries end long before their time."""

    def get_or_fetch(self, key: str, fetch: Callable[[], CacheValue], ttl: float | None = None) -> CacheValue:
        return super().get_or_fetch(key, fetch, 0.02)


class TestCache:
    def test_another_keys_value(self) -> None:
        data, failed = offered(small("cache-hot"), 200, cache=AnotherKeys())
        wrong, lost, _ = wrongs(data)
        assert wrong > 5
        assert lost == 0
        assert all("WrongAnswerError" in error for error in failed)

    def test_an_entry_that_is_gone(self) -> None:
        data, failed = offered(small("cache-hot"), 200, cache=Forgets())
        assert len(failed) > 5
        assert data["lost"] == 1, "it is one entry, however often it is asked for"
        assert "stored before the load" in data["examples"][0]

    def test_callers_who_all_fetch(self) -> None:
        data, _ = offered(small("cache-stampede"), 40, at_once=8, cache=EverybodyFetches())
        assert data["duplicated"] > 0
        assert "ran at once" in data["examples"][0]

    def test_values_that_do_not_live_as_long_as_they_should(self) -> None:
        slow = find_scenario("cache-stampede", {"ttl": 30, "fetch": 0.0, "keys": 1})
        cache = ShortLived()
        work = Work.on(slow, {"cache": cache})
        for number in range(3):
            work.decide(slow.item(number), lambda *_: None)
            time.sleep(0.05)
        assert work.checks.duplicated == 2
        assert "before its 30 s were over" in work.checks.examples[0]


class Loses(MemoryInteractionStore):
    """Acknowledges each fifth interaction and does not keep it."""

    calls = 0

    def record_event(self, event: Interaction) -> None:
        self.calls += 1
        if self.calls % 5:
            super().record_event(event)


class CountsTwice(MemoryInteractionStore):
    """Records each interaction under two ids."""

    def record_event(self, event: Interaction) -> None:
        super().record_event(event)
        super().record_event(replace(event, event_id=event.event_id + "'"))


class AnotherCustomers(MemoryInteractionStore):
    """Answers with the summaries of somebody else."""

    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        return super().get_summaries(replace(query, customer="c2"))


class WithoutTheLastRow(MemoryInteractionStore):
    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        page = super().get_summaries(query)
        return replace(page, rows=page.rows[:-1])


class OneByOne(InteractionStore):
    """A store without batches."""

    capabilities = replace(MemoryInteractionStore.capabilities, bulk=False)

    def __init__(self) -> None:
        self._inner = MemoryInteractionStore()

    def record_event(self, event: Interaction) -> None:
        self._inner.record_event(event)

    def get_summaries(self, query: SummariesQuery) -> SummariesPage:
        return self._inner.get_summaries(query)

    def ping(self) -> bool:
        return self._inner.ping()

    def disconnect(self) -> None:
        self._inner.disconnect()


class TestInteractions:
    def test_a_store_that_loses_writes(self) -> None:
        data, failed = offered(small("ingest"), 300, interactions=Loses())
        assert failed == [], "nothing is read while it loads"
        assert data["lost"] > 5
        assert "were acknowledged" in data["examples"][0]

    def test_a_store_that_counts_twice(self) -> None:
        data, _ = offered(small("ingest"), 300, interactions=CountsTwice())
        assert data["duplicated"] > 20
        assert data["lost"] == 0

    def test_in_a_decision_what_is_lost_is_seen_at_once(self) -> None:
        data, failed = offered(small("decision"), 200, interactions=Loses())
        assert data["wrong"] > 0
        assert any("summaries read: WrongAnswerError" in error for error in failed)

    @pytest.mark.parametrize("store", [AnotherCustomers, WithoutTheLastRow])
    def test_a_history_that_is_not_what_was_recorded(self, store: type[MemoryInteractionStore]) -> None:
        data, failed = offered(small("summaries"), 100, interactions=store())
        assert data["wrong"] == len(failed) > 10
        assert "who has 30 interactions" in data["examples"][0]

    def test_a_store_without_batches_gets_its_histories_too(self) -> None:
        data, failed = offered(small("summaries"), 50, interactions=OneByOne())
        assert (wrongs(data), failed) == ((0, 0, 0), [])
        assert data["counts"]["summaries"] > 3

    def test_an_interaction_that_counts_wrongly_is_seen(self) -> None:
        class Doubles(MemoryInteractionStore):
            def record_events(self, events: Sequence[Interaction]) -> None:
                super().record_events([*events, replace(events[0], event_id="one more")])

        data, _ = offered(small("summaries"), 100, interactions=Doubles())
        assert data["wrong"] > 0
        assert "not what its interactions add up to" in data["examples"][0]


class Drops(MemoryEventLog):
    """Accepts each seventh event and delivers it to nobody."""

    calls = 0

    def publish(self, topic: str, event: Event) -> None:
        self.calls += 1
        if self.calls % 7:
            super().publish(topic, event)


class Doubles(MemoryEventLog):
    """Delivers each event twice."""

    def publish(self, topic: str, event: Event) -> None:
        super().publish(topic, event)
        super().publish(topic, event)


class Alters(MemoryEventLog):
    """Delivers events with another payload."""

    def publish(self, topic: str, event: Event) -> None:
        super().publish(topic, replace(event, payload={**event.payload, "text": "?"}))


class Refuses(MemoryEventLog):
    """Refuses events, although each second of them arrives."""

    calls = 0

    def publish(self, topic: str, event: Event) -> None:
        self.calls += 1
        if self.calls % 2:
            super().publish(topic, event)
        raise UnavailableError("not now")


def impatient(name: str, seconds: float) -> Scenario:
    scenario = small(name)
    return replace(scenario, steps=[replace(scenario.steps[0], patience=seconds)])  # type: ignore[call-arg]


class TestEvents:
    def test_a_bus_that_drops(self) -> None:
        data, failed = offered(impatient("end-to-end", 0.05), 21, at_once=4, settle=2.0, events=Drops())
        assert data["lost"] == 3
        assert len(failed) >= 3
        assert "accepted and never handled" in data["examples"][0]

    def test_an_event_that_is_only_late_is_not_lost(self) -> None:
        class Late(MemoryEventLog):
            def subscribe(self, topic: str, handler: Callable[[Event], None], group: str | None = None) -> Any:
                def slow(event: Event) -> None:
                    late.wait(20.0)
                    handler(event)

                return super().subscribe(topic, slow, group)

        late, scenario = threading.Event(), impatient("end-to-end", 0.02)
        work = Work.on(scenario, {"events": Late()})
        work.prepare()
        for number in range(3):
            with pytest.raises(StepFailedError):  # a failure it is
                work.decide(scenario.item(number), lambda *_: None)
        threading.Timer(0.15, late.set).start()  # while it is settled
        work.settle(10.0)
        data = work.checks.to_data()
        assert wrongs(data) == (0, 0, 0)
        assert data["counts"] == {"events handled": 3}
        work.close()

    def test_a_bus_that_doubles(self) -> None:
        data, failed = offered(small("end-to-end"), 20, events=Doubles())
        assert failed == []
        assert data["duplicated"] >= 19  # the last one may still be on its way
        assert data["lost"] == 0

    def test_a_bus_that_alters(self) -> None:
        data, _ = offered(small("end-to-end"), 10, events=Alters())
        assert data["wrong"] == 10
        assert "other contents" in data["examples"][0]

    def test_what_was_refused_is_neither_lost_nor_double_if_it_comes(self) -> None:
        data, failed = offered(small("end-to-end"), 10, settle=0.2, events=Refuses())
        assert len(failed) == 10
        assert wrongs(data) == (0, 0, 0)

    def test_a_backlog_that_is_not_whole(self) -> None:
        data, failed = offered(impatient("drain", 2.0), 1, events=Drops())
        assert data["lost"] == 28
        assert failed
        assert data["measured"] == {}, "a catch-up that never ended has no rate"

    def test_a_backlog_that_comes_twice(self) -> None:
        data, _ = offered(small("drain"), 1, events=Doubles())
        assert data["duplicated"] > 100

    def test_a_catch_up_has_a_rate(self) -> None:
        data, _ = offered(small("drain"), 3)
        assert len(data["measured"]["catch-up, events/s"]) == 3
        assert all(rate > 100 for rate in data["measured"]["catch-up, events/s"])

    def test_a_bus_that_keeps_nothing_has_no_backlog(self) -> None:
        with pytest.raises(
            ConfigurationError, match="MemoryEventPublisher keeps nothing for a subscriber that is away"
        ):
            offered(small("drain"), 1, events=MemoryEventPublisher())


class ForgetsDocuments(MemorySearchIndex):
    """Loses each third document."""

    def index(self, documents: Iterable[Document]) -> int:
        return super().index(document for number, document in enumerate(documents) if number % 3)


class FindsAnything(MemorySearchIndex):
    """Adds a hit that does not match."""

    def search(self, query: SearchQuery) -> list[Hit]:
        return [Hit(id="d0", kind="offer", title="", score=1e9), *super().search(query)]

    def search_for(self, match: Match, query: SearchQuery) -> list[Hit]:
        return [Hit(id="d0", kind="offer", title="", score=1e9), *super().search_for(match, query)]


class Backwards(MemorySearchIndex):
    """The worst hit first."""

    def search(self, query: SearchQuery) -> list[Hit]:
        return super().search(query)[::-1]


class TestSearch:
    @pytest.mark.parametrize("kind", corpus.QUERY_KINDS)
    def test_an_index_that_forgets(self, kind: str) -> None:
        data, failed = offered(small(f"search-{kind}"), 200, search=ForgetsDocuments())
        assert data["lost"] > 0
        assert failed

    @pytest.mark.parametrize("kind", corpus.QUERY_KINDS)
    def test_an_index_that_finds_too_much(self, kind: str) -> None:
        data, failed = offered(small(f"search-{kind}"), 100, search=FindsAnything())
        assert data["wrong"] == len(failed) > 0
        assert "which does not match" in data["examples"][0]

    def test_an_order_that_is_upside_down(self) -> None:
        data, _ = offered(small("search-term"), 200, search=Backwards())
        assert data["wrong"] > 0
        assert "score that rises" in data["examples"][0]

    def test_an_index_without_such_queries_is_refused_in_one_sentence(self) -> None:
        class Plain:
            capabilities = MemorySearchIndex.capabilities

        with pytest.raises(ConfigurationError, match="Plain has no prefix queries"):
            Work.on(small("search-prefix"), {"search": Plain()})

    def test_every_query_finds_something(self) -> None:
        documents = [corpus.Seen(corpus.document(number)) for number in range(200)]
        for kind in corpus.QUERY_KINDS:
            for number in range(20):
                wanted = corpus.query(kind, number, 200)
                assert any(wanted.finds(document) for document in documents), (kind, number)


class DropsLines(MemoryLogHandler):
    """Gives up each tenth record, and counts it."""

    def __init__(self) -> None:
        super().__init__()
        self.dropped = 0
        self._seen = 0

    def emit(self, record: logging.LogRecord) -> None:
        self._seen += 1
        self.dropped += self._seen % 10 == 0


def test_a_transport_that_drops_lines() -> None:
    data, _ = offered(small("log-burst"), 10, logs=DropsLines())
    assert (data["unhandled"], data["lost"]) == (5, 0), "it says so itself"
    assert data["examples"] == ["the log transport dropped 5 lines"]


class DeferredBus(Drops):
    """Publishes on a thread of its own; refuses each fifth event, and drops each seventh of the others where told to."""

    def __init__(self, *, drops: bool = False) -> None:
        super().__init__()
        self._thread = ThreadPoolExecutor(1)
        self._drops = drops
        self._begun = 0

    def publish_deferred(self, topic: str, event: Event, done: Callable[[BaseException | None], None]) -> None:
        self._begun += 1
        if self._begun % 10 == 0:
            raise UnavailableError("too many wait")
        if self._begun % 5 == 0:
            self._thread.submit(done, UnavailableError("not now"))
            return
        self._thread.submit(self._publish, topic, event, done)

    def _publish(self, topic: str, event: Event, done: Callable[[BaseException | None], None]) -> None:
        if self._drops:
            self.publish(topic, event)
        else:
            MemoryEventLog.publish(self, topic, event)
        done(None)

    def disconnect(self) -> None:
        self._thread.shutdown()
        super().disconnect()


class DeferredStore(MemoryInteractionStore):
    def __init__(self, *, loses: bool = False) -> None:
        super().__init__()
        self._thread = ThreadPoolExecutor(1)
        self._loses = loses

    def record_event_deferred(self, event: Interaction, done: Callable[[BaseException | None], None]) -> None:
        def work() -> None:
            if not self._loses:
                self.record_event(event)
            done(None)

        self._thread.submit(work)

    def disconnect(self) -> None:
        self._thread.shutdown()
        super().disconnect()


def begun(
    scenario: Scenario, items: int, settle: float = 5.0, **adapters: Any
) -> tuple[dict[str, Any], list[Any], list[str]]:
    """As `offered`, by `Work.begin` from one thread: the checks, how each item ended, and the steps that were timed."""
    work = Work.on(scenario, {concern: adapters.get(concern) or reference(concern) for concern in scenario.concerns})
    ends: list[Any] = []
    took: list[str] = []
    assert work.defers
    try:
        work.prepare()
        for number in range(items):
            work.begin(scenario.item(number), lambda step, _: took.append(step), ends.append)
        deadline = time.monotonic() + settle
        while len(ends) < items and time.monotonic() < deadline:
            time.sleep(0.005)
        work.settle(settle)
        return work.checks.to_data(), ends, took
    finally:
        work.close()


def over_windows(
    scenario: Scenario, windows: int, items: int, settle: float = 2.0, *, same: bool = False, **adapters: Any
) -> list[tuple[dict[str, Any], int]]:
    """The checks of each window, and how many of its items failed. ``same``: each window has the same items."""
    work = Work.on(scenario, {concern: adapters.get(concern) or reference(concern) for concern in scenario.concerns})
    seen = []
    try:
        work.prepare()
        for window in range(windows):
            failed = 0
            for number in range(items):
                try:
                    work.decide(scenario.item((0 if same else window) * items + number), lambda *_: None)
                except StepFailedError:
                    failed += 1
            work.settle(settle)
            seen.append((work.checks.taken(), failed))
        return seen
    finally:
        work.close()


class Once(MemoryInteractionStore):
    """Does not keep three interactions of the first checked customer that it acknowledged, and from then on all."""

    left = 3

    def record_event(self, event: Interaction) -> None:
        if event.customer == "c1" and self.left:
            self.left -= 1
        else:
            super().record_event(event)


class Surplus(MemoryInteractionStore):
    """Keeps the first interaction of a checked customer twice, and from then on each once."""

    left = 1

    def record_event(self, event: Interaction) -> None:
        super().record_event(event)
        if event.customer == "c1" and self.left:
            self.left -= 1
            super().record_event(replace(event, event_id=event.event_id + "'"))


class TestOverWindows:
    """What is wrong once is told once: a search offers many windows after it, and each is judged by itself."""

    def test_interactions_that_were_lost(self) -> None:
        first, *others = over_windows(small("ingest"), 3, 100, interactions=Once())
        assert first[0]["lost"] == 3
        assert "were acknowledged" in first[0]["examples"][0]
        assert [wrongs(data) for data, _ in others] == [(0, 0, 0)] * 2
        assert all(data["counts"]["customers counted again"] for data, _ in others)

    def test_interactions_that_are_lost_later_are_seen_although_others_were_before(self) -> None:
        class Twice(Once):
            def record_event(self, event: Interaction) -> None:
                self.calls = getattr(self, "calls", 0) + 1
                self.left = 2 if self.calls == 150 else self.left
                super().record_event(event)

        assert [data["lost"] for data, _ in over_windows(small("ingest"), 3, 100, interactions=Twice())] == [3, 2, 0]

    def test_an_interaction_that_was_kept_twice(self) -> None:
        seen = over_windows(small("ingest"), 3, 100, interactions=Surplus())
        assert [data["duplicated"] for data, _ in seen] == [1, 0, 0]
        assert [data["lost"] for data, _ in seen] == [0, 0, 0]

    @pytest.mark.parametrize("store", [Once, Surplus])
    def test_in_a_decision(self, store: type[MemoryInteractionStore]) -> None:
        first, *others = over_windows(small("decision"), 3, 100, interactions=store())
        assert sum(wrongs(first[0])) > 0
        assert [(wrongs(data), failed) for data, failed in others] == [((0, 0, 0), 0)] * 2

    def test_an_entry_of_a_cache(self) -> None:
        class ForgetsOnce(MemoryCache):
            gone = False

            def get(self, key: str) -> CacheValue | Missing:
                if key == "key:1" and not self.gone:
                    self.gone = True
                    self.delete(key)
                return super().get(key)

        seen = over_windows(small("cache-hot"), 3, 100, cache=ForgetsOnce())
        assert [data["lost"] for data, _ in seen] == [1, 0, 0]
        assert [failed > 0 for _, failed in seen] == [True, False, False]

    def test_documents_of_an_index(self) -> None:
        seen = over_windows(small("search-term"), 3, 300, same=True, search=ForgetsDocuments())
        assert [data["lost"] > 0 for data, _ in seen] == [True, False, False]
        assert [failed > 0 for _, failed in seen] == [True, False, False]


class Slow(MemoryEventLog):
    """Takes its time for each event that it delivers; all of them come."""

    seconds = 0.1

    def subscribe(self, topic: str, handler: Callable[[Event], None], group: str | None = None) -> Any:
        def slow(event: Event) -> None:
            time.sleep(self.seconds)
            handler(event)

        return super().subscribe(topic, slow, group)


class TestBacklog:
    """What was accepted and is not done yet says how fast a bus is; what never comes says that it lies."""

    def test_a_bus_that_still_brings_events_has_lost_none(self) -> None:
        first, second = over_windows(impatient("end-to-end", 0.001), 2, 40, settle=2.0, events=Slow())
        assert (first[0]["unhandled"] > 0, wrongs(first[0])) == (True, (0, 0, 0))
        assert "not handled yet" in first[0]["examples"][0]
        assert wrongs(second[0]) == (0, 0, 0), "what comes in a later window than its own does not come twice"

    def test_what_comes_later_is_told_once(self) -> None:
        scenario = impatient("end-to-end", 0.001)
        work = Work.on(scenario, {"events": Slow()})
        work.prepare()
        for number in range(60):
            with pytest.raises(StepFailedError):
                work.decide(scenario.item(number), lambda *_: None)
        seen = []
        for within in (2.0, 2.0, 30.0):
            work.settle(within)
            seen.append(work.checks.taken())
        assert [data["unhandled"] > 0 for data in seen] == [True, False, False]
        assert [wrongs(data) for data in seen] == [(0, 0, 0)] * 3
        assert sum(data["counts"]["events handled"] for data in seen) == 60
        work.close()

    def test_an_event_that_is_lost_within_a_backlog_is_told_when_the_backlog_is_done(self) -> None:
        class Loses(Slow):
            seconds = 0.2
            calls = 0

            def publish(self, topic: str, event: Event) -> None:
                self.calls += 1
                if self.calls != 3:
                    super().publish(topic, event)

        scenario = impatient("end-to-end", 0.001)
        work = Work.on(scenario, {"events": Loses()})
        work.prepare()
        for number in range(20):
            with pytest.raises(StepFailedError):
                work.decide(scenario.item(number), lambda *_: None)
        seen = []
        for within in (2.0, 8.0, 0.4):
            work.settle(within)
            seen.append(work.checks.taken())
        assert [data["lost"] for data in seen] == [0, 1, 0]
        assert "accepted and never handled" in seen[1]["examples"][0]
        work.close()

    def test_a_bus_that_promises_no_delivery_has_a_limit_and_tells_no_lie(self) -> None:
        class AtMostOnce(Drops):
            capabilities = replace(MemoryEventLog.capabilities, delivery=Delivery.AT_MOST_ONCE)

        data, _ = offered(impatient("end-to-end", 0.05), 21, at_once=4, settle=1.0, events=AtMostOnce())
        assert (data["unhandled"], data["lost"]) == (3, 0)

    def test_what_was_not_accepted_is_not_lost(self) -> None:
        class Hangs(MemoryEventLog):
            def publish(self, topic: str, event: Event) -> None:
                over.wait(20.0)
                super().publish(topic, event)

        over = threading.Event()
        scenario = impatient("end-to-end", 0.05)
        work = Work.on(scenario, {"events": Hangs()})
        work.prepare()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(work.decide, scenario.item(1), lambda *_: None)
            work.settle(0.3)
            seen = work.checks.taken()
            over.set()
        assert (wrongs(seen), seen["unhandled"]) == ((0, 0, 0), 0)
        work.settle(2.0)
        assert wrongs(work.checks.taken()) == (0, 0, 0), "it comes after all, and nobody had given it up"
        work.close()

    def test_a_backlog_that_is_still_drained_is_not_lost(self) -> None:
        class Slowly(Slow):
            seconds = 0.02

        data, failed = offered(impatient("drain", 2.0), 1, events=Slowly())
        assert len(failed) == 1
        assert (data["unhandled"] > 0, data["lost"]) == (True, 0)


class TestSettling:
    def test_what_cannot_be_looked_at_is_said_and_what_was_measured_is_kept(self) -> None:
        class Away(MemoryInteractionStore):
            away = True

            def get_summaries(self, query: SummariesQuery) -> SummariesPage:
                if self.away:
                    raise UnavailableError("the server is gone\nfor good")
                return super().get_summaries(query)

        store, scenario = Away(), small("ingest")
        work = Work.on(scenario, {"interactions": store})
        for number in range(100):
            work.decide(scenario.item(number), lambda *_: None)
        work.settle(1.0)
        data = work.checks.taken()
        assert data["unchecked"] == ["after record event: UnavailableError: the server is gone"]
        assert wrongs(data) == (0, 0, 0)
        store.away = False
        work.settle(1.0)
        data = work.checks.taken()
        assert data["unchecked"] == []
        assert data["counts"]["customers counted again"] > 0, "what that window recorded is counted with the next one"

    def test_one_lost_write_in_a_thousand_is_found_whoever_wrote_it(self) -> None:
        class Forgetful(MemoryInteractionStore):
            written = 0

            def record_event(self, event: Interaction) -> None:
                self.written += 1
                if self.written % 1000:
                    super().record_event(event)

        scenario = small("ingest")
        scenario = replace(scenario, keys=Uniform(100_000))
        work = Work.on(scenario, {"interactions": Forgetful()})
        for number in range(3000):
            work.decide(scenario.item(number), lambda *_: None)
        work.settle(60.0)
        data = work.checks.taken()
        assert data["lost"] == 3
        assert data["counts"]["interactions acknowledged"] == data["counts"]["interactions counted again"] == 3000
        assert counted_again(data["counts"]).endswith("(100 %)")

    def test_a_count_that_runs_out_of_time_tells_its_share_or_that_it_was_not_done(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scenario = replace(small("ingest"), keys=Uniform(100_000))
        work = Work.on(scenario, {"interactions": MemoryInteractionStore()})
        for number in range(400):
            work.decide(scenario.item(number), lambda *_: None)
        monkeypatch.setattr("stackproof.scenarios.steps.interactions.COUNTING_SECONDS", 0.0)
        work.settle(60.0)
        data = work.checks.taken()
        assert data["unchecked"] == []
        assert data["counts"]["customers counted again"] == 50
        assert 50 <= data["counts"]["interactions counted again"] < data["counts"]["interactions acknowledged"] == 400
        asked: list[float] = []
        monkeypatch.setattr(work.bench, "over", lambda deadline: asked.append(deadline) or len(asked) > 3)
        work.settle(60.0)
        [why] = work.checks.taken()["unchecked"]
        assert "no time was left to count more than 3 of the 50 busiest customers again" in why

    def test_one_that_fails_does_not_keep_the_others(self) -> None:
        class Unflushable(DropsLines):
            def flush(self) -> None:
                raise OSError("the disk is full")

        scenario = Scenario(
            "both", [small("log-burst").steps[0], small("ingest").steps[0]], Uniform(1), Sizes.fixed(10), seed=1
        )
        work = Work.on(scenario, {"logs": Unflushable(), "interactions": MemoryInteractionStore()})
        work.decide(scenario.item(1), lambda *_: None)
        work.settle(1.0)
        data = work.checks.taken()
        assert data["unchecked"] == ["after log burst: OSError: the disk is full"]
        assert data["counts"]["customers counted again"] == 1

    def test_whoever_wants_to_end_waits_for_nothing(self) -> None:
        class Silent(MemoryEventLog):
            def publish(self, topic: str, event: Event) -> None:
                """Accepted."""

        scenario = impatient("end-to-end", 0.01)
        work = Work.on(scenario, {"events": Silent()})
        work.prepare()
        with pytest.raises(StepFailedError):
            work.decide(scenario.item(1), lambda *_: None)
        began = time.monotonic()
        with ThreadPoolExecutor(1) as pool:
            settling = pool.submit(work.settle, 60.0)
            time.sleep(0.1)
            work.hurry()
            settling.result(30.0)
        assert time.monotonic() - began < 30.0
        data = work.checks.taken()
        assert data["unchecked"] == ["after publish to handled: the window was cut short"]
        assert wrongs(data) == (0, 0, 0), "what was not waited for is not lost"
        work.close()


class TestWithoutWaiting:
    def test_every_publication_ends_once(self) -> None:
        data, ends, took = begun(small("publish"), 100, events=DeferredBus())
        assert len(ends) == 100
        assert ends.count(None) == took.count("publish") == 80
        assert {end.kind for end in ends if end is not None} == {"publish: UnavailableError"}
        assert wrongs(data) == (0, 0, 0)

    def test_an_item_ends_when_its_event_is_handled(self) -> None:
        data, ends, _ = begun(small("end-to-end"), 100, events=DeferredBus())
        assert len(ends) == 100
        assert ends.count(None) == 80
        assert data["counts"] == {"events handled": 80}
        assert wrongs(data) == (0, 0, 0)

    def test_what_is_dropped_is_lost_and_never_ends(self) -> None:
        data, ends, _ = begun(small("end-to-end"), 100, settle=2.0, events=DeferredBus(drops=True))
        assert data["lost"] == 11
        assert len(ends) == 89

    def test_what_is_recorded_is_counted_again(self) -> None:
        data, ends, _ = begun(small("ingest"), 200, interactions=DeferredStore())
        assert ends == [None] * 200
        assert wrongs(data) == (0, 0, 0)
        data, _, _ = begun(small("ingest"), 200, interactions=DeferredStore(loses=True))
        assert data["lost"] > 20

    def test_the_steps_of_an_item_follow_each_other(self) -> None:
        data, ends, took = begun(small("decision"), 50, interactions=DeferredStore())
        assert ends == [None] * 50
        assert wrongs(data) == (0, 0, 0)
        assert {step: took.count(step) for step in dict.fromkeys(took)} == {
            "cache read": 100,
            "summaries read": 50,
            "record event": 50,
            "publish": 50,
            "log line": 50,
        }

    def test_a_backlog_is_published_so(self) -> None:
        class Good(DeferredBus):
            def publish_deferred(self, topic: str, event: Event, done: Callable[[BaseException | None], None]) -> None:
                self._thread.submit(self._publish, topic, event, done)

            def publish(self, topic: str, event: Event) -> None:
                raise AssertionError("one by one")

        data, failed = offered(find_scenario("drain", {"backlog": 3_000}), 1, events=Good())
        assert (wrongs(data), failed) == ((0, 0, 0), [])
        assert data["counts"] == {"events handled": 3_000}
        data, failed = offered(small("drain"), 1, events=DeferredBus())
        assert [error.split(": ")[1] for error in failed] == ["UnavailableError"]

    def test_without_such_a_form_it_waits(self) -> None:
        work = Work.on(small("publish"), {"events": MemoryEventLog()})
        assert not work.defers
        ends: list[Any] = []
        work.begin(work.item(1), lambda *_: None, ends.append)
        assert ends == [None]


class TestPreparation:
    def test_it_is_heard_of_and_ends_in_time(self) -> None:
        class Slow(MemoryCache):
            def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
                time.sleep(0.05)
                super().set(key, value, ttl)

        heard: list[tuple[str, float]] = []
        work = Work.on(find_scenario("cache-hot", {"keys": 5_000}), {"cache": Slow()})
        with pytest.raises(PreparationError, match=r"filling the cache, keys: only \d+ of 5,000 were done"):
            work.prepare(lambda what, share: heard.append((what, share)), within=0.3)
        assert heard
        assert all(0 <= share < 1 for _, share in heard)

    def test_the_first_error_ends_it(self) -> None:
        class Closed(MemoryCache):
            calls = 0

            def set(self, key: str, value: CacheValue, ttl: float | None = None) -> None:
                Closed.calls += 1
                raise UnavailableError("nobody there")

        work = Work.on(find_scenario("cache-hot", {"keys": 5_000}), {"cache": Closed()})
        with pytest.raises(UnavailableError, match="nobody there"):
            work.prepare()
        assert Closed.calls < 5_000

    def test_workers_share_what_is_filled_in_where_the_server_is_shared(self) -> None:
        class Remote(MemoryCache):
            capabilities = replace(MemoryCache.capabilities, remote=True, shared=True)

        scenario = find_scenario("cache-hot", {"keys": 100, "hot": 3})
        caches = [Remote(namespace="shared of workers") for _ in range(4)]
        workers = [Work.on(scenario, {"cache": cache}, worker=k, workers=4) for k, cache in enumerate(caches)]
        for work in workers:
            work.prepare()
        for number in range(200):
            workers[number % 4].decide(scenario.item(number), lambda *_: None)
        assert all(work.checks.clean for work in workers)

    def test_before_everybody_has_prepared_nobody_reads_what_others_fill_in(self) -> None:
        class Remote(MemoryCache):
            capabilities = replace(MemoryCache.capabilities, remote=True, shared=True)

        scenario = find_scenario("cache-hot", {"keys": 100, "hot": 3})
        first = Work.on(scenario, {"cache": Remote(namespace="primed by workers")}, worker=0, workers=50)
        first.prepare()
        for number in range(20):
            first.prime(number)
        assert first.checks.to_data()["counts"] == {}
        alone = Work.on(scenario, {"cache": MemoryCache()})
        with pytest.raises(StepFailedError):
            alone.prime(1)  # nothing was prepared: what is missing is seen, and is not forgotten
        assert alone.checks.lost == 1

    def test_each_step_that_is_done_for_the_first_time_is_watched_by_its_name(self) -> None:
        begun: list[str] = []
        ended: list[str] = []

        @contextmanager
        def watched(step: str) -> Iterator[None]:
            begun.append(step)
            yield
            ended.append(step)

        work = Work.on(find_scenario("cache-hot", {"keys": 100, "hot": 3}), {"cache": MemoryCache()})
        work.prepare()
        work.prime(1, watched)
        assert begun == ended
        assert begun
        assert all(step.endswith("(MemoryCache)") for step in begun)

    def test_workers_have_tenants_of_their_own(self) -> None:
        store = MemoryInteractionStore()
        scenario = find_scenario("ingest")
        workers = [Work.on(scenario, {"interactions": store}, worker=k, workers=2) for k in range(2)]
        for number in range(200):
            workers[number % 2].decide(scenario.item(number), lambda *_: None)
        for work in workers:
            work.settle()
        assert all(work.checks.clean for work in workers)
        assert {work.bench.tenant for work in workers} == {"bench0", "bench1"}
