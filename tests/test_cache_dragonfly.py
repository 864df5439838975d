"""The cache as Dragonfly wants it. The server is another one here; what is checked is what the adapter asks of it."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator

import pytest
import redis
from shared_servers import redis_server, redis_url

from stackproof.adapters.cache.dragonfly import WHOLE_SECONDS_FROM, DragonflyCache
from stackproof.interfaces import RejectedError


@pytest.fixture
def cache() -> Iterator[DragonflyCache]:
    made = DragonflyCache(url=redis_url(), namespace="dragonfly[*]")
    yield made
    made.drop_namespace()
    made.disconnect()


@pytest.fixture
def driver() -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url()) as client:
        yield client


@contextlib.contextmanager
def monitored() -> Iterator[list[str]]:
    """Every command that the server runs meanwhile, in scripts too, as MONITOR tells them."""
    seen: list[str] = []
    with redis.Redis.from_url(redis_url()) as client, client.monitor() as monitor:
        over = threading.Event()

        def listen() -> None:
            while not over.is_set():
                told = monitor.connection.read_response(disable_decoding=False)
                text = told.decode() if isinstance(told, bytes) else str(told)
                seen.append(text)
                if "the end of it" in text:
                    return

        reader = threading.Thread(target=listen)
        reader.start()
        yield seen
        with redis_server()._connection() as other:
            other.ask("ECHO", "the end of it")
        reader.join(10)


def test_scripts_touch_declared_keys_only(cache: DragonflyCache) -> None:
    """Dragonfly refuses others, and a script without a key of its own holds up all its threads."""
    with monitored() as seen:
        assert cache.get_or_fetch("k", lambda: 1, ttl=5) == 1
        assert cache.get_or_fetch("k", lambda: 2) == 1
        with pytest.raises(ZeroDivisionError):
            cache.get_or_fetch("failing", lambda: 1 // 0)
        assert cache.get_or_fetch("for ever", lambda: 1) == 1
        assert cache.get_or_fetch("over at once", lambda: 1, ttl=0) == 1
        cache._renew(cache._name("k"), b"mark")
        assert cache.delete("k")
    declared, touched = "", 0
    for line in seen:
        words = re.findall(r'"((?:[^"\\]|\\.)*)"', line)
        if words[0].upper() == "EVAL":
            assert words[2] == "1"
            declared = words[3]
        elif " lua]" in line:
            assert words[1] == declared, line
            touched += 1
    assert touched >= 12


def test_patterns_have_no_escapes(cache: DragonflyCache) -> None:
    cache.set("k", 1)
    with monitored() as seen:
        cache.drop_namespace()
    scans = [line for line in seen if '"SCAN"' in line]
    assert scans
    assert not any("\\" in line for line in scans)


@pytest.mark.parametrize(
    ("ttl", "milliseconds"),
    [
        (0.25, 250),
        (WHOLE_SECONDS_FROM / 1000 - 0.5, WHOLE_SECONDS_FROM - 500),
        (90_000.001, 90_001_000),
        (90_000, 90_000_000),
        (10**9, (2**28 - 1) * 1000),
    ],
)
def test_long_lifetimes_are_whole_seconds_and_none_is_beyond_the_limit(
    cache: DragonflyCache, driver: redis.Redis, ttl: float, milliseconds: int
) -> None:
    with monitored() as seen:
        cache.set("k", 1, ttl=ttl)
        cache.delete("k")
        cache.get_or_fetch("k", lambda: 1, ttl=ttl)
    assert sum(f'"{milliseconds}"' in line for line in seen) >= 3


def test_the_largest_argument_is_respected(cache: DragonflyCache, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache.largest_packed <= 256 * 10**6
    monkeypatch.setattr(cache, "largest_packed", 1000)
    with pytest.raises(RejectedError, match="at most 1000 bytes"):
        cache.set("k", "x" * 1000)
