"""Embedded servers, killed and started again under load: nothing acknowledged is lost, and nothing is left behind."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from stackproof.adapters.cache.redis import RedisCache
from stackproof.adapters.events.redis_pubsub import RedisPubSubPublisher
from stackproof.adapters.interactions.postgres import PostgresInteractionStore
from stackproof.contracts import eventually
from stackproof.contracts.instances import fresh_namespace
from stackproof.contracts.interaction_samples import alltime, contact
from stackproof.contracts.listeners import Listener, numbered
from stackproof.interfaces import MISSING, BackendError
from stackproof.servers.embedded import EmbeddedPostgres, EmbeddedRedis

RECOVERY = 15.0
MEMORY_ALLOWANCE = 30 * 1024 * 1024


class Load:
    """Threads that repeat a numbered operation until it succeeds, one number after the other."""

    def __init__(self, operation: Callable[[str], object], threads: int = 4) -> None:
        self.acknowledged: set[str] = set()
        self.errors = 0
        self.unexpected: list[BaseException] = []
        self._operation = operation
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(n,), daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def _work(self, worker: int) -> None:
        number = 0
        while not self._stop.is_set():
            name = f"{worker}-{number}"
            try:
                self._operation(name)
            except BackendError:
                with self._lock:
                    self.errors += 1
                self._stop.wait(0.02)
            except BaseException as error:
                self.unexpected.append(error)
                raise
            else:
                with self._lock:
                    self.acknowledged.add(name)
                number += 1

    def grows(self, by: int = 20) -> float:
        """Wait until so many more are acknowledged; how long that took."""
        began, goal = time.monotonic(), len(self.acknowledged) + by
        eventually(lambda: len(self.acknowledged) >= goal, f"{by} more operations succeed", within=RECOVERY)
        return time.monotonic() - began

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(RECOVERY)
        assert not any(thread.is_alive() for thread in self._threads), "an operation hangs"
        assert self.unexpected == []


def held() -> tuple[int, int]:
    """Threads and descriptors of this process."""
    return threading.active_count(), len(os.listdir("/proc/self/fd"))


@pytest.fixture
def nothing_left_behind() -> Iterator[None]:
    before, memory = held(), psutil.Process().memory_info().rss
    yield
    eventually(lambda: held()[0] <= before[0] and held()[1] <= before[1], "everything is given back", within=5.0)
    assert psutil.Process().memory_info().rss - memory < MEMORY_ALLOWANCE


@pytest.mark.usefixtures("nothing_left_behind")
def test_postgres_killed_under_load_loses_no_acknowledged_contact(capsys: pytest.CaptureFixture[str]) -> None:
    with EmbeddedPostgres() as server:
        url = server.variables()["DATABASE_URL"]
        store = PostgresInteractionStore(
            url=url, namespace=fresh_namespace(), connect_timeout=2.0, operation_timeout=2.0
        )
        store.record_event(contact(customer="warm"))
        load = Load(lambda name: store.record_event(contact(customer="load", event_id=name)))
        for _ in range(2):
            load.grows()
            errors = load.errors
            server.kill()
            eventually(lambda seen=errors: load.errors > seen, "the load meets the outage", within=RECOVERY)
            server.start()
            seconds = load.grows()
            with capsys.disabled():
                print(f"\nPostgreSQL: 20 contacts recorded {seconds:.2f} s after the restart")
        load.end()
        row = alltime(store, customer="load")
        assert row is not None
        recorded = row.positive
        # Of each thread the last one may have been applied without an answer.
        assert len(load.acknowledged) <= recorded <= len(load.acknowledged) + 4
        for name in load.acknowledged:
            store.record_event(contact(customer="load", event_id=name))
        again = alltime(store, customer="load")
        assert again is not None
        assert again.positive == recorded, "a lost contact would count now"
        store.disconnect()


@pytest.mark.usefixtures("nothing_left_behind")
def test_redis_killed_under_load_recovers_cache_and_subscriptions(capsys: pytest.CaptureFixture[str]) -> None:
    with EmbeddedRedis() as server:
        url = server.variables()["REDIS_URL"]
        namespace = fresh_namespace()
        cache = RedisCache(url=url, namespace=namespace, connect_timeout=1.0, operation_timeout=1.0)
        bus = RedisPubSubPublisher(url=url, namespace=namespace, connect_timeout=1.0, operation_timeout=1.0)
        listener = Listener()
        subscription = bus.subscribe("orders", listener)

        def work(name: str) -> None:
            cache.set(name, name, ttl=60)
            found = cache.get(name)
            assert found in (name, MISSING), f"the value of another key: {found!r}"
            bus.publish("orders", numbered(1, key=name))

        load = Load(work)
        for _ in range(2):
            load.grows()
            errors = load.errors
            server.kill()
            eventually(lambda seen=errors: load.errors > seen, "the load meets the outage", within=RECOVERY)
            server.start()
            seconds = load.grows()
            eventually(lambda: subscription.active, "the subscription is restored", within=RECOVERY)
            calls = len(listener.calls)
            eventually(lambda seen=calls: len(listener.calls) > seen, "events arrive again", within=RECOVERY)
            with capsys.disabled():
                print(f"\nRedis: 20 writes, reads and events {seconds:.2f} s after the restart")
        load.end()
        bus.disconnect()
        cache.disconnect()
