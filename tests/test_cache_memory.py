"""The caches in this process: the contract, and what is exact about them because their clock can be set."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import msgpack
import pytest

from stackproof.adapters.cache.local import LocalCache
from stackproof.adapters.cache.memory import MemoryCache
from stackproof.adapters.cache.values import check_types, copy_value
from stackproof.adapters.settings import Settings
from stackproof.contracts import CacheContract
from stackproof.contracts.cache_samples import ODD_VALUES, PLAIN_VALUES, exactly, size_of
from stackproof.interfaces import MISSING, ConfigurationError, RejectedError


class TestMemoryCache(CacheContract):
    def make_backend(self, namespace):
        return MemoryCache(namespace=namespace)


class TestLocalCache(CacheContract):
    def make_backend(self, namespace):
        return LocalCache(namespace=namespace)


class TinyCache(MemoryCache):
    """Declares limits that are much smaller than usual, and keeps to them strictly."""

    capabilities = replace(MemoryCache.capabilities, max_key_bytes=16, max_value_bytes=100)

    def _entry(self, value, ttl):
        entry = super()._entry(value, ttl)
        if size_of(entry.value) > self.capabilities.max_value_bytes:
            raise RejectedError("the value is too large")
        return entry


class TestTinyCache(CacheContract):
    """Sample data respect declared limits: who declares little and keeps it passes everything."""

    def make_backend(self, namespace):
        return TinyCache(namespace=namespace)


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


class TestExactTime:
    def test_an_entry_lives_its_ttl_and_not_an_instant_longer(self, clock):
        cache = MemoryCache(clock=clock)
        cache.set("key", "value", ttl=0.25)
        clock.now += 0.2499
        assert cache.get("key") == "value"
        clock.now += 0.0001
        assert cache.get("key") is MISSING

    def test_the_ttl_of_a_fetch_counts_from_its_end(self, clock):
        cache = MemoryCache(clock=clock)

        def fetch():
            clock.now += 100
            return "value"

        cache.get_or_fetch("key", fetch, ttl=1)
        clock.now += 0.9
        assert cache.get("key") == "value"


class TestSpaces:
    def test_an_empty_namespace_is_private(self):
        one, two = MemoryCache(), MemoryCache()
        one.set("key", 1)
        assert two.get("key") is MISSING

    def test_a_named_space_goes_with_its_last_instance(self):
        one = MemoryCache(namespace="goes")
        one.set("key", 1)
        assert MemoryCache(namespace="goes").get("key") == 1
        del one
        assert MemoryCache(namespace="goes").get("key") is MISSING

    def test_dropping_a_namespace(self):
        cache, other = MemoryCache(namespace="dropped"), MemoryCache(namespace="kept")
        for instance in (cache, other):
            instance.set("key", 1)
        cache.drop_namespace()
        assert cache.get("key") is MISSING
        assert other.get("key") == 1
        with pytest.raises(ConfigurationError):
            MemoryCache().drop_namespace()


class TestFlights:
    def test_a_fetch_that_asks_for_its_own_key_is_told_so(self):
        cache = MemoryCache()
        with pytest.raises(RejectedError, match="very key"):
            cache.get_or_fetch("key", lambda: cache.get_or_fetch("key", lambda: 1))
        assert cache.get_or_fetch("key", lambda: 2) == 2

    def test_a_fetch_may_ask_for_another_key(self):
        cache = MemoryCache()
        assert cache.get_or_fetch("outer", lambda: [cache.get_or_fetch("inner", lambda: 1)]) == [1]

    def test_who_asks_after_a_delete_does_not_get_what_was_fetched_before_it(self):
        cache = MemoryCache()
        fetching, go_on = threading.Event(), threading.Event()

        def slow():
            fetching.set()
            go_on.wait(10)
            return "older"

        with ThreadPoolExecutor() as pool:
            first = pool.submit(cache.get_or_fetch, "key", slow)
            assert fetching.wait(10)
            cache.delete("key")
            assert cache.get_or_fetch("key", lambda: "newer") == "newer"
            go_on.set()
            assert first.result(10) == "older"
        assert cache.get("key") == "newer"

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
    def test_a_forked_child_does_not_wait_for_its_parents_threads(self):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", self.FORK],
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            timeout=20,
        )
        assert done.stdout.split() == ["mine", "parents"], done.stderr

    FORK = """
import os, threading
from stackproof.adapters.cache.memory import MemoryCache

cache = MemoryCache()
fetching, go_on = threading.Event(), threading.Event()

def fetch():
    fetching.set()
    go_on.wait(10)
    return "parents"

thread = threading.Thread(target=lambda: print(cache.get_or_fetch("key", fetch), flush=True))
thread.start()
fetching.wait(10)
if os.fork() == 0:
    print(cache.get_or_fetch("key", lambda: "mine"), flush=True)
    os._exit(0)
os.wait()
go_on.set()
thread.join()
"""


class TestBound:
    def test_the_least_recently_used_entry_goes_first(self):
        cache = LocalCache(max_entries=3)
        for key in ("a", "b", "c"):
            cache.set(key, key)
        assert cache.get("a") == "a"
        cache.set("b", "again")
        cache.set("d", "d")
        assert [cache.get(key) for key in ("a", "b", "c", "d")] == ["a", "again", MISSING, "d"]

    def test_fetched_entries_count(self):
        cache = LocalCache(max_entries=2)
        for number in range(10):
            cache.get_or_fetch(str(number), lambda: "value")
        assert [cache.get(str(number)) for number in range(8)] == [MISSING] * 8
        assert cache.get("9") == "value"

    def test_the_default_bound_is_ten_thousand(self):
        cache = LocalCache.from_settings(Settings({}))
        for number in range(10_001):
            cache.set(str(number), number)
        assert cache.get("0") is MISSING
        assert cache.get("1") == 1

    def test_the_bound_is_a_setting(self):
        cache = LocalCache.from_settings(Settings({"CACHE_MAX_ENTRIES": "1"}))
        cache.set("a", 1)
        cache.set("b", 2)
        assert cache.get("a") is MISSING
        for text in ("0", "many"):
            with pytest.raises(ConfigurationError, match="CACHE_MAX_ENTRIES"):
                LocalCache.from_settings(Settings({"CACHE_MAX_ENTRIES": text}))


def packed_strictly(value: object) -> bytes:
    check_types(value)
    return msgpack.packb(value, strict_types=True)


class TestValues:
    @pytest.mark.parametrize("name", PLAIN_VALUES)
    def test_plain_values_are_copied(self, name):
        value = PLAIN_VALUES[name]
        assert exactly(copy_value(value)) == exactly(value)
        check_types(value)

    @pytest.mark.parametrize("name", [name for name in ODD_VALUES if name not in ("infinity", "not a number")])
    def test_the_fast_check_and_the_driver_reject_what_the_reference_rejects(self, name):
        value = ODD_VALUES[name]
        with pytest.raises(RejectedError):
            copy_value(value)
        with pytest.raises((RejectedError, ValueError, OverflowError)):
            packed_strictly(value)

    def test_what_is_nested_too_deep_is_rejected_by_both(self):
        deep: list[object] = []
        for _ in range(256):
            deep = [deep]
        for check in (copy_value, check_types):
            with pytest.raises(RejectedError, match="256 deep"):
                check(deep)
            check(deep[0])
