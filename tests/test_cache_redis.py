"""The Redis cache: the contract on a real server, and what is its own: processes, outages, round trips, keys."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from shared_servers import redis_server

import stackproof.adapters.cache.redis as adapter
from stackproof.adapters.cache.redis import RedisCache
from stackproof.adapters.settings import Settings
from stackproof.contracts import CacheContract
from stackproof.contracts.expectations import eventually
from stackproof.interfaces import (
    MISSING,
    BackendError,
    ClosedError,
    ConfigurationError,
    OperationTimeoutError,
    RejectedError,
    UnavailableError,
)
from stackproof.servers.embedded import EmbeddedRedis
from stackproof.servers.ports import free_port


def url_of(started: EmbeddedRedis) -> str:
    return started.variables()["REDIS_URL"]


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> str:
    return f"test:{request.node.name}"


@pytest.fixture
def open_cache(namespace: str) -> Iterator[object]:
    """Makes instances of one namespace, which are taken away at the end."""
    with contextlib.ExitStack() as stack:

        def make(**options: object) -> RedisCache:
            made = RedisCache(**{"url": url_of(redis_server()), "namespace": namespace, **options})
            stack.callback(made.disconnect)
            return made

        stack.callback(lambda: make().drop_namespace())
        yield make


@pytest.fixture
def driver() -> Iterator[redis.Redis]:
    with redis.Redis.from_url(url_of(redis_server())) as client:
        yield client


class TestRedisCache(CacheContract):
    def make_backend(self, namespace):
        return RedisCache(url=url_of(redis_server()), namespace=namespace)

    def make_unreachable(self, namespace):
        return RedisCache(url=f"redis://127.0.0.1:{free_port()}/0", namespace=namespace)


class TestProcesses:
    """Other processes use the same cache."""

    FETCH = """
import sys, time
from pathlib import Path
import stackproof.adapters.cache.redis as adapter
from stackproof.adapters.cache.redis import RedisCache

url, namespace, log, seconds, lock_seconds = sys.argv[1:]
cache = RedisCache(url=url, namespace=namespace, lock_seconds=float(lock_seconds))

def fetch():
    with Path(log).open("a") as file:
        file.write("fetched\\n")
    time.sleep(float(seconds))
    return "from the database"

print("ready", flush=True)
sys.stdin.readline()
print(cache.get_or_fetch("hot", fetch, ttl=60), flush=True)
"""

    @pytest.fixture
    def start(self, namespace: str, tmp_path: Path) -> Iterator[object]:
        processes: list[subprocess.Popen[str]] = []

        def make(seconds: float, lock_seconds: float = 5.0) -> subprocess.Popen[str]:
            arguments = [url_of(redis_server()), namespace, str(tmp_path / "log"), str(seconds), str(lock_seconds)]
            process = subprocess.Popen(
                [sys.executable, "-c", self.FETCH, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=Path(__file__).parents[1],
            )
            processes.append(process)
            return process

        yield make
        for process in processes:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()

    def test_four_processes_share_one_fetch(self, open_cache, start, tmp_path):
        processes = [start(seconds=0.5) for _ in range(4)]
        assert [process.stdout.readline() for process in processes] == ["ready\n"] * 4
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        assert [process.stdout.readline() for process in processes] == ["from the database\n"] * 4
        assert (tmp_path / "log").read_text() == "fetched\n"

    def test_others_go_on_when_the_fetching_process_is_killed(self, open_cache, start, tmp_path):
        process = start(seconds=600, lock_seconds=0.8)
        process.stdin.write("go\n")
        process.stdin.flush()
        eventually(lambda: (tmp_path / "log").exists(), "the other process fetches", within=10)
        cache = open_cache(lock_seconds=0.8)
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(cache.get_or_fetch, "hot", lambda: "mine", 60)
            # Its mark is renewed while it lives: longer than the lock lasts without renewal, nobody else fetches.
            with pytest.raises(TimeoutError):
                waiting.result(timeout=1.6)
            os.kill(process.pid, signal.SIGKILL)
            killed = time.monotonic()
            assert waiting.result(timeout=5) == "mine"
        assert time.monotonic() - killed < 0.8 + 2.0, "not after the five seconds that such a mark usually lasts"

    def test_a_forked_child_waits_for_its_parents_fetch_and_not_for_its_parents_threads(self, namespace, open_cache):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", self.FORK, url_of(redis_server()), namespace],
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            timeout=20,
        )
        assert sorted(done.stdout.split()) == ["child:value", "parent:value"], done.stderr

    FORK = """
import os, sys, threading
from stackproof.adapters.cache.redis import RedisCache

cache = RedisCache(url=sys.argv[1], namespace=sys.argv[2], lock_seconds=1.0)
fetching, go_on = threading.Event(), threading.Event()

def fetch():
    fetching.set()
    go_on.wait(10)
    return "value"

thread = threading.Thread(target=lambda: print("parent:" + cache.get_or_fetch("key", fetch), flush=True))
thread.start()
fetching.wait(10)
threading.Timer(0.5, go_on.set).start()
if os.fork() == 0:
    print("child:" + cache.get_or_fetch("key", lambda: "fetched twice"), flush=True)
    os._exit(0)
os.wait()
thread.join()
"""

    def test_a_write_of_another_instance_wins_over_a_fetch(self, open_cache):
        mine, other = open_cache(), open_cache()

        def overtaken_by_set():
            other.set("key", "newer")
            return "older"

        assert mine.get_or_fetch("key", overtaken_by_set) == "older"
        assert mine.get("key") == "newer"
        other.delete("key")

        def overtaken_by_delete():
            assert other.delete("key") is False  # what is being fetched is no entry
            return "older"

        assert mine.get_or_fetch("key", overtaken_by_delete) == "older"
        assert mine.get("key") is MISSING

    def test_who_asks_after_a_delete_does_not_get_what_was_fetched_before_it(self, open_cache):
        cache, other = open_cache(), open_cache()
        fetching, go_on = threading.Event(), threading.Event()

        def slow():
            fetching.set()
            go_on.wait(10)
            return "older"

        with ThreadPoolExecutor() as pool:
            first = pool.submit(cache.get_or_fetch, "key", slow, 60)
            assert fetching.wait(10)
            other.delete("key")
            assert cache.get_or_fetch("key", lambda: "newer", 60) == "newer"
            go_on.set()
            assert first.result(10) == "older"
        assert cache.get("key") == "newer"

    def test_who_joins_after_a_delete_does_not_get_what_the_leader_read_before_it(self, open_cache, monkeypatch):
        """The leader of a process waits for another process's fetch; its answer is older than the delete."""
        cache, other = open_cache(), open_cache()
        leader_waits, leader_has_read, joined, go_on = (threading.Event() for _ in range(4))
        value_or_mark, join = cache._value_or_mark, adapter._Fetch.join

        def paused(name, mark):
            leader_waits.set()
            found = value_or_mark(name, mark)
            leader_has_read.set()
            go_on.wait(10)
            return found

        def noted(flight):
            joined.set()
            return join(flight)

        monkeypatch.setattr(cache, "_value_or_mark", paused)
        monkeypatch.setattr(adapter._Fetch, "join", noted)
        with ThreadPoolExecutor() as pool:

            def slow():
                leading.append(pool.submit(cache.get_or_fetch, "key", lambda: "too early", 60))
                assert leader_waits.wait(10)
                return "older"

            leading = []
            other.get_or_fetch("key", slow, 60)
            assert leader_has_read.wait(10)
            other.delete("key")
            late = pool.submit(cache.get_or_fetch, "key", lambda: "newer", 60)
            assert joined.wait(10)
            go_on.set()
            assert late.result(10) == "newer"
            assert leading[0].result(10) == "older"

    def test_no_read_is_older_than_a_change_that_was_over_before_it_began(self, open_cache):
        instances = [open_cache(lock_seconds=1.0) for _ in range(3)]
        database, announced = [0, 0], [0, 0]
        stale: list[tuple[int, int]] = []
        reads: list[int] = []
        began = time.monotonic()

        def goes_on():
            """For two seconds, and on a machine that does little in them until there is something to judge."""
            seconds = time.monotonic() - began
            return seconds < 2.0 or (seconds < 20.0 and (len(reads) <= 100 or min(announced) <= 10))

        def read(seed):
            rng = random.Random(seed)
            while goes_on():
                row = rng.randrange(2)
                least = announced[row]

                def fetch(row=row):
                    value = database[row]
                    time.sleep(rng.uniform(0, 0.004))
                    return value

                seen = rng.choice(instances).get_or_fetch(str(row), fetch, ttl=rng.choice([None, 0.02, 1]))
                reads.append(seen)
                if seen < least:
                    stale.append((seen, least))

        def change(seed):
            rng = random.Random(seed)
            while goes_on():
                row = seed % 2
                database[row] += 1
                cache = rng.choice(instances)
                cache.delete(str(row)) if rng.random() < 0.5 else cache.set(str(row), database[row], ttl=5)
                announced[row] = database[row]
                time.sleep(rng.uniform(0, 0.01))

        with ThreadPoolExecutor(10) as pool:
            tasks = [pool.submit(read, seed) for seed in range(8)] + [pool.submit(change, seed) for seed in (100, 101)]
            for task in tasks:
                task.result(30)
        assert stale == []
        assert len(reads) > 100
        assert min(announced) > 10

    def test_disconnect_during_a_fetch_lets_others_go_on_at_once(self, open_cache):
        cache, other = open_cache(), open_cache()
        fetching, go_on = threading.Event(), threading.Event()

        def slow():
            fetching.set()
            go_on.wait(10)
            return "too late"

        with ThreadPoolExecutor() as pool:
            cut_off = pool.submit(cache.get_or_fetch, "key", slow, 60)
            assert fetching.wait(10)
            cache.disconnect()
            assert pool.submit(other.get_or_fetch, "key", lambda: "mine", 60).result(2) == "mine"
            go_on.set()
            with pytest.raises(ClosedError):
                cut_off.result(10)


class TestOutages:
    """The server goes away, comes back, was never there, or does not speak."""

    def test_it_recovers_by_itself_when_the_server_restarts(self, namespace):
        own = EmbeddedRedis()
        own.start()
        try:
            cache = RedisCache(url=url_of(own), namespace=namespace)
            cache.set("before", 1)
            own.kill()
            began = time.monotonic()
            with pytest.raises(BackendError):
                cache.set("while it is away", 1)
            assert cache.ping() is False
            assert time.monotonic() - began < 3
            own.start()
            cache.set("after", 1)
            assert cache.get("after") == 1
            assert cache.get_or_fetch("fetched", lambda: 2) == 2
            cache.disconnect()
        finally:
            own.stop()

    def test_an_unreachable_server_is_unavailable_in_bounded_time(self):
        cache = RedisCache(url=f"redis://user:s3cr3t@127.0.0.1:{free_port()}/0", connect_timeout=0.5)
        for operation in (
            lambda: cache.get("key"),
            lambda: cache.set("key", 1),
            lambda: cache.delete("key"),
            lambda: cache.get_or_fetch("key", lambda: 1),
        ):
            began = time.monotonic()
            with pytest.raises(UnavailableError) as caught:
                operation()
            assert time.monotonic() - began < 2
            assert "127.0.0.1" in str(caught.value)
            assert "s3cr3t" not in str(caught.value)
        cache.disconnect()

    def test_a_server_that_accepts_and_says_nothing_times_out(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            cache = RedisCache(url=f"redis://127.0.0.1:{silent.getsockname()[1]}/0", operation_timeout=0.3)
            began = time.monotonic()
            with pytest.raises((OperationTimeoutError, UnavailableError)):
                cache.get("key")
            assert time.monotonic() - began < 3
            cache.disconnect()

    def test_a_wrong_password_is_told_without_telling_it(self):
        cache = RedisCache(url=f"redis://:wr0ng-s3cr3t@127.0.0.1:{redis_server().port}/0")
        with pytest.raises(UnavailableError) as caught:
            cache.get("key")
        shown = f"{caught.value} {caught.value!r}"
        assert "password" in shown
        assert "s3cr3t" not in shown
        cache.disconnect()

    def test_a_fetch_that_cannot_be_stored_is_an_error(self, namespace):
        own = EmbeddedRedis()
        own.start()
        try:
            cache = RedisCache(url=url_of(own), namespace=namespace, connect_timeout=0.5)

            def fetch():
                own.kill()
                return 1

            with pytest.raises(UnavailableError):
                cache.get_or_fetch("key", fetch)
            cache.disconnect()
        finally:
            own.stop()


class TestCommands:
    """What reaches the server."""

    def test_hits_are_one_get_each_and_take_no_lock(self, open_cache, driver):
        cache = open_cache()
        cache.get_or_fetch("hot", lambda: "value", ttl=60)
        driver.config_resetstat()
        with ThreadPoolExecutor(8) as pool:
            hits = list(pool.map(lambda _: cache.get_or_fetch("hot", lambda: "again", ttl=60), range(200)))
        calls = {name: stats["calls"] for name, stats in driver.info("commandstats").items()}
        assert hits == ["value"] * 200
        assert calls.pop("cmdstat_get") == 200
        assert not {"cmdstat_set", "cmdstat_eval"} & calls.keys()

    def test_a_lifetime_never_becomes_for_ever(self, open_cache, driver, namespace):
        cache = open_cache()
        name = f"stackproof:cache:{len(namespace)}:{namespace}:key"
        cache.set("key", 1)
        assert driver.pttl(name) == -1
        for ttl in (0.0001, 0.0004, 0.001):
            cache.set("key", 1, ttl=ttl)
            assert driver.pttl(name) in (-2, 0, 1)
        began = time.monotonic()
        cache.set("key", 1, ttl=1.2345)
        left = driver.pttl(name)
        assert 1234 - 1000 * (time.monotonic() - began) - 1 <= left <= 1235
        cache.set("key", 1, ttl=1e300)
        assert driver.pttl(name) > 30_000 * 365 * 86_400 * 1000

    def test_a_mark_is_no_value(self, open_cache):
        cache, other = open_cache(), open_cache()

        def fetch():
            assert other.get("key") is MISSING
            return "fetched"

        assert cache.get_or_fetch("key", fetch) == "fetched"

    @pytest.mark.parametrize("foreign", [b"", b"not MessagePack", b"\x93\x01"])
    def test_foreign_bytes_are_an_error(self, open_cache, driver, namespace, foreign):
        driver.set(f"stackproof:cache:{len(namespace)}:{namespace}:key", foreign)
        cache = open_cache()
        with pytest.raises(BackendError, match="no cache of this kind"):
            cache.get("key")
        cache.set("key", "ours")
        assert cache.get("key") == "ours"

    def test_a_fetch_that_asks_for_its_own_key_is_told_so(self, open_cache):
        cache = open_cache()
        with pytest.raises(RejectedError, match="very key"):
            cache.get_or_fetch("key", lambda: cache.get_or_fetch("key", lambda: 1))
        assert cache.get_or_fetch("key", lambda: 2) == 2

    def test_the_lease_thread_ends_when_nothing_is_fetched(self, open_cache):
        cache = open_cache(lock_seconds=0.3)
        cache.get_or_fetch("key", lambda: 1)
        eventually(
            lambda: not [t for t in threading.enumerate() if t.name == "stackproof-cache-leases"],
            "the thread ends",
            within=3,
        )


class TestNamespaces:
    def test_separators_in_namespaces_and_keys_do_not_meet(self):
        pairs = [("a:b", "c"), ("a", "b:c"), ("a:b:c", "d"), ("", "1:a:k"), ("1:a", "k"), ("a", "k")]
        caches = {pair: RedisCache(url=url_of(redis_server()), namespace=pair[0]) for pair in pairs}
        for pair, cache in caches.items():
            cache.set(pair[1], list(pair), ttl=60)
        assert [cache.get(pair[1]) for pair, cache in caches.items()] == [list(pair) for pair in pairs]
        for (name, key), cache in caches.items():
            cache.drop_namespace() if name else cache.delete(key)
            cache.disconnect()

    def test_dropping_a_namespace_takes_its_name_literally(self):
        names = ["a*", "a[b]", "a?", "ab", "a\\"]
        caches = {name: RedisCache(url=url_of(redis_server()), namespace=name) for name in names}
        for name in names:
            for number in range(50):
                caches[name].set(f"key {number}", name)
        for count, name in enumerate(names, start=1):
            caches[name].drop_namespace()
            left = [other for other in names if caches[other].get("key 7") is not MISSING]
            assert left == names[count:]
        for cache in caches.values():
            cache.disconnect()

    def test_the_empty_namespace_is_not_dropped(self, open_cache):
        with pytest.raises(ConfigurationError):
            open_cache(namespace="").drop_namespace()


class TestSettings:
    def test_it_is_made_from_the_environment(self, namespace):
        with RedisCache.from_settings(Settings({"REDIS_URL": url_of(redis_server())}), namespace) as cache:
            cache.set("key", 1)
            assert cache.get("key") == 1
            cache.drop_namespace()

    @pytest.mark.parametrize(
        ("variables", "names"), [({}, "REDIS_URL"), ({"REDIS_URL": "http://u:s3cr3t@h/"}, "redis://")]
    )
    def test_what_is_missing_or_wrong_is_said(self, variables, names):
        with pytest.raises(ConfigurationError, match=names) as caught:
            RedisCache.from_settings(Settings(variables))
        assert "s3cr3t" not in str(caught.value)

    @pytest.mark.parametrize("namespace", ["\ud83d", "a\0b", "line\n"])
    def test_a_namespace_that_cannot_be_sent_is_refused(self, namespace):
        with pytest.raises(ConfigurationError, match="namespace"):
            RedisCache(namespace=namespace)

    def test_a_lock_without_time_is_refused(self):
        with pytest.raises(ConfigurationError, match="lock_seconds"):
            RedisCache(lock_seconds=0)
