"""diskcache and cachetools against the contract: every verdict is pinned, and every finding repeated without stackproof."""

from __future__ import annotations

import json
import math
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cachetools
import diskcache
import pytest

from stackproof.contracts import CacheContract
from stackproof.contracts.clauses import planned_clauses

ROOT = Path(__file__).parents[1]
NOT_ALWAYS = {"LIFE-04", "LIFE-06"}
"""Not asked of diskcache here: LIFE-04 waits 15 s for callers that never end (the reason is LIFE-02), LIFE-06 depends on where
the interruption hits. `test_an_interruption_leaves_the_transaction_open` shows it."""

DISKCACHE = {
    "LIFE-02": "FAIL",
    "LIFE-05": "FAIL",
    "CACHE-08": "FAIL",
    "CACHE-22": "FAIL",
    "CACHE-15": "FAIL",
    "CACHE-19": "FAIL",
    "CACHE-21": "FAIL",
    "CACHE-40": "FAIL",
    "LIFE-08": "NOT_SUPPORTED",
}
TLRU = {
    "CACHE-03": "FAIL",
    "CACHE-08": "FAIL",
    "CACHE-10": "FAIL",
    "CACHE-19": "FAIL",
    "CACHE-21": "FAIL",
    "CACHE-40": "FAIL",
    "CACHE-20": "INCONCLUSIVE",
    "CACHE-17": "NOT_SUPPORTED",
    "CACHE-18": "NOT_SUPPORTED",
    "CACHE-22": "NOT_SUPPORTED",
    "LIFE-08": "NOT_SUPPORTED",
}


@pytest.mark.parametrize(
    ("factory", "different", "left_out"), [("make_diskcache", DISKCACHE, NOT_ALWAYS), ("make_tlru", TLRU, set())]
)
def test_the_verdict_of_every_clause(factory, different, left_out, tmp_path):
    asked = [
        planned.clause.id for planned in planned_clauses(CacheContract, "core") if planned.clause.id not in left_out
    ]
    spec = f"cache=examples.third_party_backends.caches:{factory}"
    command = [sys.executable, "-m", "stackproof", "verify", "--backend", spec, "--out", str(tmp_path), "--json"]
    options = [text for clause in asked for text in ("--clause", clause)]
    done = subprocess.run(
        [*command, str(tmp_path / "out.json"), *options], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1, done.stdout + done.stderr
    rows = json.loads((tmp_path / "out.json").read_text())["clauses"]
    verdicts = {row["clause"]: row["verdict"] for row in rows if row["clause"] in asked}
    assert verdicts == {clause: different.get(clause, "PASS") for clause in asked}


class TestDiskcacheByHand:
    @pytest.fixture
    def cache(self, tmp_path):
        with diskcache.Cache(str(tmp_path), timeout=1) as cache:
            yield cache

    def test_a_closed_cache_opens_itself_again(self, cache):
        cache.set("key", 1)
        cache.close()
        assert cache.get("key") == 1

    def test_not_a_number_comes_back_as_none(self, cache):
        cache.set("key", math.nan)
        assert cache.get("key", default="missing") is None

    def test_errors_for_what_cannot_be_kept_are_of_several_kinds(self, cache):
        with pytest.raises(UnicodeEncodeError):
            cache.set("key", "\ud83d")
        with pytest.raises(TypeError):
            cache.set("key", threading.Lock())

    def test_a_lifetime_that_is_no_number_means_for_ever(self, cache):
        cache.set("key", 1, expire=math.nan)
        assert cache.get("key", expire_time=True) == (1, None)

    def test_any_text_is_a_key(self, cache):
        for key in ("", "k" * 100_000):
            cache.set(key, "kept")
            assert cache.get(key) == "kept"

    def test_its_lock_does_not_keep_writers_out(self, cache):
        with diskcache.Lock(cache, "lock"):
            fetched = "older"
            cache.set("key", "newer")
            cache.set("key", fetched)
        assert cache.get("key") == "older"

    def test_an_interruption_leaves_the_transaction_open(self, cache, tmp_path):
        class Interruption(BaseException):
            pass

        def interrupt(_number, _frame):
            raise Interruption

        other = diskcache.Cache(str(tmp_path), timeout=0.2)
        before = signal.signal(signal.SIGALRM, interrupt)
        deadline = time.monotonic() + 30
        broken = None
        try:
            while broken is None and time.monotonic() < deadline:
                try:
                    signal.setitimer(signal.ITIMER_REAL, 0.003)
                    until = time.monotonic() + 1.0  # what hits a finalizer is lost: the interpreter only prints it
                    while time.monotonic() < until:
                        cache.set("key", 1)
                except Interruption:
                    pass
                with ThreadPoolExecutor(1) as pool:
                    broken = pool.submit(other.set, "key", 2).exception()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            other.close()
        assert isinstance(broken, (diskcache.Timeout, sqlite3.OperationalError))
        assert cache._con.in_transaction
        cache._con.rollback()


class TestCachetoolsByHand:
    @pytest.fixture
    def cache(self):
        return cachetools.TLRUCache(100, ttu=lambda _key, entry, now: now + entry[1])

    def test_a_locked_function_is_called_by_everybody(self):
        calls = []

        @cachetools.cached({}, lock=threading.Lock())
        def slow(key):
            calls.append(key)
            time.sleep(0.2)
            return key

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(slow, ["hot"] * 4)) == ["hot"] * 4
        assert len(calls) == 4

    def test_a_delete_during_a_call_is_undone(self):
        kept = {}

        @cachetools.cached(kept, key=lambda: "key", lock=threading.Lock())
        def slow():
            kept.pop("key", None)
            return "older"

        slow()
        assert kept["key"] == "older"

    def test_the_cache_hands_out_its_own_object(self, cache):
        cache["key"] = (["a"], 60)
        cache["key"][0].append("changed by a caller")
        assert cache["key"][0] == ["a", "changed by a caller"]

    def test_a_lifetime_that_is_no_number_removes_the_entry(self, cache):
        cache["key"] = ("old", 60)
        cache["key"] = ("new", math.nan)
        assert "key" not in cache
