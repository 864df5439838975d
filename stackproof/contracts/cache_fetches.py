"""Clauses of the cache about `get_or_fetch` while several callers want the same key."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from stackproof.interfaces import MISSING, CacheStore

from .cache_samples import Source
from .callers import Callers
from .clauses import absence, clause
from .evidence import Evidence
from .expectations import expect
from .faults_of_data import CacheFaultContract

SLOW_FETCH_SECONDS = 2.5
"""A slow answer of a database: longer than a caller who loses patience after a second or two would wait."""
INSIDE_SECONDS = 0.3
"""After so long, a caller that was about to ask is inside the cache and waits there: nobody can see it from outside."""
SOON = 5.0
"""Seconds in which a caller must get on once the one it waited for has failed."""


class FetchFailed(Exception):  # noqa: N818 - it tells what happened
    """What a failing source raises."""


class Stopped(BaseException):
    """What interrupts a fetch: like KeyboardInterrupt, no ordinary error."""


class CacheFetchClauses(CacheFaultContract):
    """One fetch for many callers, and what becomes of it."""

    concern = "cache"
    interface = CacheStore

    @pytest.fixture
    def cache(self, backend: CacheStore) -> CacheStore:
        return backend

    @clause(
        "CACHE-03",
        "Concurrent callers of get_or_fetch share one fetch.",
        because="a popular key that expires would send every caller to the database",
        learnt_from=("C3", "C5", "C18", "C21"),
        sees=("overlapping callers", 2),
    )
    def test_concurrent_callers_share_one_fetch(self, cache: CacheStore, callers: Callers, evidence: Evidence) -> None:
        quick, slow = Source("offer", seconds=0.2), Source("offer", seconds=SLOW_FETCH_SECONDS)
        answers = callers.each(
            [partial(cache.get_or_fetch, "hot", quick, 30)] * 8 + [partial(cache.get_or_fetch, "slow", slow, 30)] * 3
        )
        evidence.saw("overlapping callers", callers.overlapping)
        expect(answers, "answers").all_equal("offer")
        expect(quick.calls, "fetches for one key").equals(1)
        expect(slow.calls, f"fetches for one key that take {SLOW_FETCH_SECONDS:g} s").equals(1)

    @clause(
        "CACHE-18",
        "Concurrent callers share one fetch also when they use different instances.",
        because="each worker has its own instance: protection within one still sends every worker to the database",
        learnt_from=("C3", "C18"),
        needs="shared",
        sees=("overlapping callers", 2),
    )
    def test_instances_share_one_fetch(
        self, cache: CacheStore, another: Callable[[], CacheStore], callers: Callers, evidence: Evidence
    ) -> None:
        source = Source("offer", seconds=SLOW_FETCH_SECONDS)
        instances = [cache, another(), another()]
        answers = callers.each([partial(i.get_or_fetch, "hot", source, 30) for i in instances * 2])
        evidence.saw("overlapping callers", callers.overlapping)
        expect(answers, "answers").all_equal("offer")
        expect(source.calls, "fetches for one key").equals(1)

    @absence("CACHE-18")
    def prove_that_instances_fetch_apart(
        self, cache: CacheStore, another: Callable[[], CacheStore], evidence: Evidence
    ) -> None:
        source = Source("offer")
        for instance in (cache, another()):
            instance.get_or_fetch("hot", source, ttl=30)
        expect(source.calls, "fetches of two instances").equals(2, why="`shared` is not declared")
        evidence.saw("absence probes")

    @clause(
        "CACHE-04",
        "A caller that waits for a failing fetch gets that error or tries itself, never None, and the error is not kept.",
        because="None instead of an error is taken for an answer; a kept error outlives its cause",
        learnt_from=("C7",),
        sees=(("overlapping callers", 2), ("errors that arrived", 1)),
    )
    def test_waiters_get_the_value_or_the_error(self, cache: CacheStore, callers: Callers, evidence: Evidence) -> None:
        failing = Source(error=FetchFailed("the database is down"), seconds=0.1)
        outcomes = callers.all_at_once(4, lambda: cache.get_or_fetch("key", failing, ttl=30), errors=True)
        evidence.saw("overlapping callers", callers.overlapping)
        for outcome in outcomes:
            expect(outcome, "what a caller got from a fetch that failed").has_type(FetchFailed)
            evidence.saw("errors that arrived")
        expect(cache.get("key"), "the key after its fetch failed").is_missing()
        expect(cache.get_or_fetch("key", Source("offer"), ttl=30), "the next call").equals("offer")

    @clause(
        "CACHE-05",
        "A fetch that fails or is interrupted frees its key.",
        because="a key whose fetcher stumbled once would stay unanswered until somebody restarts the service",
        learnt_from=("C8", "C27"),
        sees=(("fetches that ended badly", 2), ("fetches that came after", 4)),
        seconds=40.0,
    )
    def test_a_failed_fetch_frees_its_key(self, cache: CacheStore, callers: Callers, evidence: Evidence) -> None:
        for error in (FetchFailed("the database is down"), Stopped("Ctrl-C")):
            key = type(error).__name__
            bad, good = Source(error=error, held=True), Source("offer")
            asking = threading.Event()

            def second(key: str = key, bad: Source = bad, good: Source = good, asking: threading.Event = asking) -> Any:
                bad.started.wait(SOON)
                asking.set()
                try:
                    return cache.get_or_fetch(key, good, ttl=30)
                except (FetchFailed, Stopped):  # a waiter may get the fetcher's; the key must be free all the same
                    return cache.get_or_fetch(key, good, ttl=30)

            def release(bad: Source = bad, asking: threading.Event = asking) -> None:
                asking.wait(SOON)
                time.sleep(INSIDE_SECONDS)
                bad.go_on.set()

            first = partial(cache.get_or_fetch, key, bad, 30)
            outcomes = callers.each([first, second, release], within=INSIDE_SECONDS + SOON, errors=True)
            expect(outcomes[0], "what the fetcher's own caller got").has_type(type(error))
            evidence.saw("fetches that ended badly", bad.calls)
            expect(outcomes[1], "what the next caller got").equals("offer")
            cache.delete(key)
            expect(callers.all_at_once(1, partial(cache.get_or_fetch, key, good, 30), SOON), "later").all_equal("offer")
            evidence.saw("fetches that came after", good.calls)

    @clause(
        "CACHE-08",
        "A set or delete that completes while a fetch runs wins over the fetched value.",
        because="the fetch read the database before the change: writing it back brings the old state back for a whole ttl",
        learnt_from=("C4",),
        sees=("writes during a fetch", 3),
    )
    def test_a_newer_write_wins_over_a_running_fetch(
        self, cache: CacheStore, callers: Callers, evidence: Evidence
    ) -> None:
        writes: dict[str, tuple[Callable[[str], object], object]] = {
            "set": (lambda key: cache.set(key, "newer", ttl=30), "newer"),
            "set with ttl 0": (lambda key: cache.set(key, "newer", ttl=0), MISSING),
            "delete": (cache.delete, MISSING),
        }
        for key, (write, remains) in writes.items():
            fetched = self._overtaken(cache, key, partial(write, key), callers, evidence)
            expect(fetched, "what the fetching caller got").is_one_of("older", "newer")
            expect(cache.get(key), f"the key after {key} during its fetch").equals(remains)

    @clause(
        "CACHE-22",
        "A set or delete through another instance that completes while a fetch runs wins over the fetched value.",
        because="the request that changes an offer is served by one worker while another one still fetches the old state",
        learnt_from=("C4",),
        needs="shared",
        sees=("writes during a fetch", 3),
    )
    def test_a_newer_write_of_another_instance_wins(
        self, cache: CacheStore, another: Callable[[], CacheStore], callers: Callers, evidence: Evidence
    ) -> None:
        other = another()
        writes: dict[str, tuple[Callable[[str], object], object]] = {
            "set": (lambda key: other.set(key, "newer", ttl=30), "newer"),
            "set with ttl 0": (lambda key: other.set(key, "newer", ttl=0), MISSING),
            "delete": (other.delete, MISSING),
        }
        for key, (write, remains) in writes.items():
            fetched = self._overtaken(cache, key, partial(write, key), callers, evidence)
            expect(fetched, "what the fetching caller got").is_one_of("older", "newer")
            for instance in (cache, other):
                expect(instance.get(key), f"the key after {key} through another instance during its fetch").equals(
                    remains
                )

    @absence("CACHE-22")
    def prove_that_writes_elsewhere_do_not_matter(
        self, cache: CacheStore, another: Callable[[], CacheStore], callers: Callers, evidence: Evidence
    ) -> None:
        other = another()
        self._overtaken(cache, "key", lambda: other.set("key", "another's", ttl=30), callers, evidence)
        expect(cache.get("key"), "the key after another instance set it during its fetch").equals(
            "older", why="`shared` is not declared"
        )
        evidence.saw("absence probes")

    @clause(
        "CACHE-26",
        "A fetch can itself ask for another key.",
        because="an answer is made of parts that are cached too; one lock for all fetches would wait for itself for ever",
        sees=("fetches inside a fetch", 1),
    )
    def test_a_fetch_can_ask_for_another_key(self, cache: CacheStore, callers: Callers, evidence: Evidence) -> None:
        def part() -> str:
            evidence.saw("fetches inside a fetch")
            return "part"

        def whole() -> list[Any]:
            return [cache.get_or_fetch("part", part, ttl=30)]

        # In a thread of its own: one that waits for itself is then found in bounded time.
        answers = callers.all_at_once(1, partial(cache.get_or_fetch, "whole", whole, 30), within=SOON)
        expect(answers, "what was made of a part").equals([["part"]])
        expect([cache.get("part"), cache.get("whole")], "the entries of both").equals(["part", ["part"]])

    def _overtaken(
        self, cache: CacheStore, key: str, write: Callable[[], object], callers: Callers, evidence: Evidence
    ) -> object:
        """What a caller gets whose fetch of "older" is overtaken by a write."""
        source = Source("older", held=True)

        def overtake() -> None:
            evidence.saw("writes during a fetch", int(source.started.wait(SOON)))
            write()
            source.go_on.set()

        # A cache may let the write wait until the fetch has ended: so the fetch ends after a moment in any case.
        calls: list[Callable[[], Any]] = [
            partial(cache.get_or_fetch, key, source, 30),
            overtake,
            partial(source.let_go, after=0.5),
        ]
        return callers.each(calls)[0]
