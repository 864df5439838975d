"""Redis in cluster mode: the contracts, and what one server does not have: slots that move, masters that fall, many nodes."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from queue import Queue

import pytest
from redis.crc import key_slot

from stackproof.adapters.cache.elasticache import ElastiCacheCache
from stackproof.adapters.cache.redis import RedisCache
from stackproof.adapters.events.redis_pubsub import RedisPubSubPublisher
from stackproof.adapters.redis_client import RedisClient
from stackproof.adapters.redis_cluster import open_client
from stackproof.adapters.redis_connections import read_address
from stackproof.adapters.redis_topology import slot_of
from stackproof.contracts import CacheContract, EventContract
from stackproof.contracts.expectations import eventually
from stackproof.interfaces import (
    MISSING,
    BackendError,
    ConfigurationError,
    Event,
    IndeterminateError,
    OperationTimeoutError,
    UnavailableError,
)
from stackproof.servers.embedded_cluster import EmbeddedRedisCluster
from stackproof.servers.ports import free_port

LIMIT = 1.0
"""The operation timeout of impatient clients."""
FAILOVER = 40.0
"""So long a failover may take on a loaded machine."""
LOADING = b"-LOADING Redis is loading the dataset in memory\r\n"


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedRedisCluster]:
    with EmbeddedRedisCluster() as made:
        yield made


@pytest.fixture
def cluster(running: EmbeddedRedisCluster) -> EmbeddedRedisCluster:
    """The cluster with all its nodes: what a test before took down is there again."""
    running.start()
    return running


@pytest.fixture
def url(cluster: EmbeddedRedisCluster) -> str:
    return cluster.variables()["REDIS_URL"]


@pytest.fixture
def cache(url: str, request: pytest.FixtureRequest) -> Iterator[RedisCache]:
    made = ElastiCacheCache(url=url, namespace=request.node.name, connect_timeout=LIMIT, operation_timeout=LIMIT)
    yield made
    eventually(lambda: works(made.drop_namespace), "the namespace can be dropped", FAILOVER)
    made.disconnect()


@pytest.fixture
def client(url: str) -> Iterator[RedisClient]:
    made = opened(url)
    yield made
    made.close()


def opened(url: str, limit: float = LIMIT) -> RedisClient:
    return open_client(url, connect_timeout=limit, operation_timeout=limit)


def works(operation: Callable[[], object]) -> bool:
    try:
        operation()
    except BackendError:
        return False
    return True


def slot(cache: RedisCache, key: str) -> int:
    return key_slot(cache._name(key).encode())


def key_on(cluster: EmbeddedRedisCluster, cache: RedisCache, port: int, other: bool = False) -> str:
    """A key of the cache that this master serves; ``other``: that another one serves."""
    names = (f"key-{number}" for number in range(1000))
    return next(name for name in names if (cluster.master_of(slot(cache, name)) == port) is not other)


@pytest.mark.usefixtures("running")
class TestElastiCache(CacheContract):
    explore_seconds = (
        20.0  # connecting costs more than to one plain server: a loaded machine needs longer for its sequences
    )

    @pytest.fixture(autouse=True)
    def _url(self, url):
        type(self).url = url

    def make_backend(self, namespace):
        return ElastiCacheCache(url=self.url, namespace=namespace)

    def make_unreachable(self, namespace):
        return ElastiCacheCache(url=f"redis://127.0.0.1:{free_port()},127.0.0.1:{free_port()}", namespace=namespace)


@pytest.mark.usefixtures("running")
class TestEventsOnACluster(EventContract):
    explore_seconds = (
        20.0  # connecting costs more than to one plain server: a loaded machine needs longer for its sequences
    )

    @pytest.fixture(autouse=True)
    def _url(self, url):
        type(self).url = url

    def make_backend(self, namespace):
        return RedisPubSubPublisher(url=self.url, namespace=namespace)

    def make_unreachable(self, namespace):
        return RedisPubSubPublisher(url=f"redis://127.0.0.1:{free_port()}?cluster=true", namespace=namespace)


class TestKeys:
    @pytest.mark.parametrize(("namespace", "form"), [("plain", "{}"), ("{one}", "{}"), ("a}{b", "{{same}}-{}")])
    def test_they_are_spread_over_all_masters_whatever_braces_they_have(
        self, cluster: EmbeddedRedisCluster, url: str, namespace: str, form: str
    ) -> None:
        cache = ElastiCacheCache(url=url, namespace=namespace)
        keys = [form.format(number) for number in range(60)]
        masters = {cluster.master_of(slot(cache, key)) for key in keys}
        assert len(masters) == 3
        for key in keys:
            cache.set(key, key)
        assert [cache.get(key) for key in keys] == keys
        cache.drop_namespace()
        cache.disconnect()

    def test_a_namespace_is_dropped_on_all_masters_and_no_other_one(self, url: str) -> None:
        dropped, kept = (ElastiCacheCache(url=url, namespace=name) for name in ("n*", "nn"))
        for number in range(700):
            dropped.set(f"k{number}", number)
            kept.set(f"k{number}", number)
        dropped.drop_namespace()
        assert all(dropped.get(f"k{number}") is MISSING for number in range(700))
        assert all(kept.get(f"k{number}") == number for number in range(700))
        kept.drop_namespace()
        for cache in (dropped, kept):
            cache.disconnect()

    def test_the_key_of_a_command_decides(self) -> None:
        assert slot_of(("GET", "k")) == key_slot(b"k")
        assert slot_of((b"PUBLISH", b"k", b"v")) == key_slot(b"k")
        assert slot_of(("EVAL", "return 1", 1, "k", "argument")) == key_slot(b"k")
        assert len({slot_of(("PING",)) for _ in range(50)}) > 1


class TestMovingSlots:
    @pytest.fixture
    def move(self, cluster: EmbeddedRedisCluster, cache: RedisCache) -> Iterator[Move]:
        made = Move(cluster, slot(cache, "k"))
        yield made
        made.finish()

    def test_a_slot_that_moved_is_followed(self, cache: RedisCache, move: Move) -> None:
        cache.set("k", "before")
        move.begin()
        move.carry(cache._name("k"))
        move.finish()
        assert cache.get("k") == "before"
        cache.set("k", "after")
        assert cache.get("k") == "after"
        assert cache.get_or_fetch("k", lambda: "fetched") == "after"

    def test_a_slot_that_is_moving_is_asked_for_where_the_key_is(self, cache: RedisCache, move: Move) -> None:
        cache.set("k", "before")
        move.begin()
        assert cache.get("k") == "before", "it is still where it was"
        move.carry(cache._name("k"))
        assert cache.get("k") == "before", "it is where the slot goes"
        assert cache.delete("k") is True
        assert cache.get_or_fetch("k", lambda: "new") == "new"
        assert cache.get("k") == "new"


class Move:
    """The move of one slot to another master, step by step."""

    def __init__(self, cluster: EmbeddedRedisCluster, number: int) -> None:
        self.cluster = cluster
        self.number = str(number)
        self.source = cluster.master_of(number)
        self.target = next(port for port in self.masters() if port != self.source)

    def masters(self) -> list[int]:
        return list(dict.fromkeys(self.cluster.master_of(number) for number in (0, 6000, 12000)))

    def _id(self, port: int) -> str:
        return str(self.cluster.ask_node(port, "CLUSTER", "MYID"))

    def begin(self) -> None:
        self.cluster.ask_node(self.target, "CLUSTER", "SETSLOT", self.number, "IMPORTING", self._id(self.source))
        self.cluster.ask_node(self.source, "CLUSTER", "SETSLOT", self.number, "MIGRATING", self._id(self.target))

    def carry(self, name: str) -> None:
        password = self.cluster.variables()["REDIS_URL"].split("@")[0].rpartition(":")[2]
        words = ("MIGRATE", "127.0.0.1", str(self.target), name, "0", "5000", "REPLACE", "AUTH", password)
        assert self.cluster.ask_node(self.source, *words) in ("OK", "NOKEY")

    def finish(self) -> None:
        """Give the slot away; what is left of it goes along. Again: does nothing."""
        if self.cluster.master_of(int(self.number)) == self.target:
            return
        while names := self.cluster.ask_node(self.source, "CLUSTER", "GETKEYSINSLOT", self.number, "100"):
            for name in names:
                self.carry(str(name))
        masters = sorted(self.masters(), key=lambda port: port != self.target)
        for port in masters:
            self.cluster.ask_node(port, "CLUSTER", "SETSLOT", self.number, "NODE", self._id(self.target))
        self.cluster.wait_until_it_serves()


class TestFallingMasters:
    def test_operations_go_on_with_what_was_replicated(self, cluster: EmbeddedRedisCluster, cache: RedisCache) -> None:
        keys = [f"k{number}" for number in range(30)]
        for key in keys:
            cache.set(key, key)
        fallen = cluster.master_of(slot(cache, keys[0]))
        assert cluster.ask_node(fallen, "WAIT", "1", "5000") == 1
        cluster.kill_node(fallen)
        seen = self._until(lambda: cache.set("new", 1), lambda: cache.set(keys[0], "again"))
        assert [cache.get(key) for key in keys[1:]] == keys[1:]
        assert cache.get(keys[0]) == "again"
        assert all(type(error) in (UnavailableError, IndeterminateError) for error in seen)

    def test_a_patient_operation_does_not_notice(self, cluster: EmbeddedRedisCluster, url: str) -> None:
        cache = ElastiCacheCache(url=url, namespace="patient", operation_timeout=FAILOVER)
        cache.set("k", "v")
        fallen = cluster.master_of(slot(cache, "k"))
        assert cluster.ask_node(fallen, "WAIT", "1", "5000") == 1
        cluster.kill_node(fallen)
        assert cache.get("k") == "v"
        assert cache.get_or_fetch("other", lambda: 1) == 1
        cache.drop_namespace()
        cache.disconnect()

    def test_a_silent_master_costs_its_own_keys_only(self, cluster: EmbeddedRedisCluster, cache: RedisCache) -> None:
        silent = cluster.master_of(slot(cache, "k"))
        elsewhere = key_on(cluster, cache, silent, other=True)
        cache.set("k", "v")
        cache.set(elsewhere, "v")
        cluster.suspend_node(silent)
        try:
            began = time.monotonic()
            with pytest.raises(IndeterminateError):
                cache.set("k", "w")
            assert time.monotonic() - began < 3 * LIMIT, "a write that may have been applied is not tried again"
            assert works(lambda: cache.get(elsewhere)), "the others are asked, and answer"
            seen = self._until(lambda: cache.set("k", "x"))
            assert all(type(error) in (UnavailableError, IndeterminateError) for error in seen)
            assert cache.get("k") == "x"
        finally:
            cluster.suspend_node(silent, resume=True)
        cluster.wait_until_it_serves()
        assert cache.get("k") == "x"

    def test_silent_nodes_cost_no_more_than_the_time_limit(
        self, cluster: EmbeddedRedisCluster, cache: RedisCache
    ) -> None:
        cache.set("k", "v")
        for port in cluster.ports:
            cluster.suspend_node(port)
        try:
            threads = [threading.Thread(target=works, args=(lambda: cache.get("k"),)) for _ in range(8)]
            began = time.monotonic()
            for thread in threads:
                thread.start()
            with pytest.raises((OperationTimeoutError, UnavailableError)):
                cache.get("k")
            with pytest.raises((OperationTimeoutError, UnavailableError)):
                cache.get("k")
            for thread in threads:
                thread.join()
            assert time.monotonic() - began < 8 * LIMIT
        finally:
            for port in cluster.ports:
                cluster.suspend_node(port, resume=True)
        eventually(lambda: works(lambda: cache.get("k")), "the cluster answers again", FAILOVER)
        cluster.wait_until_it_serves()

    def _until(self, *operations: Callable[[], object]) -> list[BackendError]:
        """Try until each works; the errors until then. No attempt takes longer than its limits."""
        seen: list[BackendError] = []
        deadline = time.monotonic() + FAILOVER
        for operation in operations:
            while True:
                began = time.monotonic()
                try:
                    operation()
                    break
                except BackendError as error:
                    seen.append(error)
                    assert time.monotonic() < deadline
                finally:
                    assert time.monotonic() - began < 5 * LIMIT
        return seen

    def test_a_subscription_moves_to_the_master_that_takes_over(self, cluster: EmbeddedRedisCluster, url: str) -> None:
        bus = RedisPubSubPublisher(url=url, namespace="failover", connect_timeout=LIMIT, operation_timeout=LIMIT)
        received: Queue[Event] = Queue()
        subscription = bus.subscribe("topic", received.put)
        bus.publish("topic", Event(type="before.v1", payload={}))
        assert received.get(timeout=5).type == "before.v1"
        cluster.kill_node(cluster.master_of(key_slot(bus._channel("topic"))))
        eventually(lambda: subscription.gaps == 1, "the loss was noticed, and made good", FAILOVER)
        eventually(
            lambda: works(lambda: bus.publish("topic", Event(type="after.v1", payload={}))), "it goes on", FAILOVER
        )
        assert received.get(timeout=5).type == "after.v1"
        bus.disconnect()


class TestAddresses:
    def test_one_living_node_of_the_url_is_enough(self, url: str) -> None:
        user, _, hosts = url.partition("@")
        client = opened(f"{user}@127.0.0.1:{free_port()},{hosts.partition(',')[2]}")
        assert client.ping()
        assert len(client.nodes()) == 6
        client.close()

    def test_one_server_is_no_cluster(self) -> None:
        node = FakeNode(lambda _: b"-ERR This instance has cluster support disabled\r\n")
        client = opened(node.url)
        with pytest.raises(UnavailableError, match=r"is no cluster: write \?cluster=false"):
            client.execute("GET", "k", repeatable=True)
        client.close()

    @pytest.mark.parametrize(
        "wrong", ["redis://h/1?cluster=true", "unix:///s?cluster=true", "redis://a,b", "redis://a,b?cluster=perhaps"]
    )
    def test_what_cannot_be_a_cluster_is_refused(self, wrong: str) -> None:
        with pytest.raises(ConfigurationError, match="for a cluster"):
            opened(wrong)

    def test_several_hosts_are_shown_and_their_password_is_not(self) -> None:
        address = read_address("redis://:secret@a:1,b?cluster=true", connect_timeout=1, operation_timeout=1)
        assert address.shown == "redis://***@a:1,b"
        assert address.nodes == (("a", 1), ("b", 6379))
        assert "secret" not in repr(address)


class FakeNode:
    """A cluster of one node that serves all slots, and answers commands as a function says."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self._answer = answer
        self.commands: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}?cluster=true"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            while command := connection.recv(4096):
                if b"SETINFO" in command:
                    connection.sendall(b"-ERR unknown\r\n" * command.count(b"SETINFO"))
                elif b"PING" in command:
                    connection.sendall(b"+PONG\r\n")
                else:
                    self.commands.append(command)
                    connection.sendall(self._answer(command))

    def slots(self, command: bytes) -> bytes:
        """The answer to CLUSTER SLOTS; the host is not known, as with a node behind a proxy. Empty for other commands."""
        if b"CLUSTER" not in command:
            return b""
        return f"*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$0\r\n\r\n:{self.port}\r\n".encode()


@pytest.mark.parametrize(
    "trouble",
    [
        b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
        b"-CLUSTERDOWN The cluster is down\r\n",
        b"-MOVED 1 127.0.0.1:%d\r\n",
        b"-ASK 1 127.0.0.1:%d\r\n",
        LOADING,
        b"-READONLY You can't write against a read only replica.\r\n",
    ],
)
@pytest.mark.parametrize("passing", [True, False])
def test_what_says_that_nothing_was_applied_is_tried_again_until_the_time_is_over(
    trouble: bytes, passing: bool
) -> None:
    def answer(command: bytes) -> bytes:
        if told := node.slots(command):
            return told
        if b"ASKING" in command and b"SET" not in command:
            return b"+OK\r\n"
        writes = sum(b"SET" in earlier for earlier in node.commands)
        if passing and writes > 5:
            return b"+OK\r\n"
        return trouble % node.port if b"%d" in trouble else trouble

    node = FakeNode(answer)
    client = opened(node.url, 5.0 if passing else 0.5)
    began = time.monotonic()
    if passing:
        assert client.execute("SET", "k", "v", repeatable=False) == b"OK"
    else:
        with pytest.raises(UnavailableError, match="nothing was applied"):
            client.execute("SET", "k", "v", repeatable=False)
        assert time.monotonic() - began < 3.0
        assert len(node.commands) < 60, "it does not try without a pause"
    client.close()


def test_what_a_node_said_is_told_and_not_that_no_other_one_could_be_asked() -> None:
    def answer(command: bytes) -> bytes:
        asked_before = sum(b"SLOTS" in earlier for earlier in node.commands) > 1
        return b"" if asked_before and b"SLOTS" in command else node.slots(command) or LOADING

    node = FakeNode(answer)
    client = opened(node.url, 0.5)
    with pytest.raises(UnavailableError, match="loading the dataset"):
        client.execute("SET", "k", "v", repeatable=False)
    client.close()


def test_a_write_that_was_sent_is_not_sent_again() -> None:
    node = FakeNode(lambda command: node.slots(command) or b"")
    client = opened(node.url, 1.0)
    with pytest.raises(IndeterminateError, match="may be applied or not"):
        client.execute("SET", "k", "v", repeatable=False)
    assert sum(b"SET" in command for command in node.commands) == 1
    with pytest.raises(OperationTimeoutError):
        client.execute("GET", "k", repeatable=True)
    client.close()
