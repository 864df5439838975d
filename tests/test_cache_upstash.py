"""The cache as Upstash wants it: TLS only, requests of a limited size, and none but the commands that it has."""

from __future__ import annotations

import itertools
import select
import threading
from collections.abc import Iterator

import pytest
import redis
from shared_servers import redis_server
from test_redis_client import Wire, opened
from tls import Certificates, TlsFront, made_certificates

from stackproof.adapters.cache.upstash import LONGEST_NAMESPACE, ROOM, UpstashCache
from stackproof.adapters.settings import Settings
from stackproof.contracts import CacheContract
from stackproof.contracts.expectations import eventually
from stackproof.interfaces import MISSING, ConfigurationError, RejectedError, UnavailableError
from stackproof.servers.embedded import EmbeddedRedis
from stackproof.servers.ports import free_port

SUPPORTED = (
    "APPEND DECR DECRBY GET GETDEL GETEX GETRANGE GETSET INCR INCRBY INCRBYFLOAT MGET MSET MSETNX PSETEX SET SETEX SETNX "
    "SETRANGE STRLEN EVAL EVALSHA SCRIPT|EXISTS SCRIPT|LOAD SCRIPT|FLUSH SUBSCRIBE PSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE "
    "PUBLISH PUBSUB COPY DEL EXISTS EXPIRE EXPIREAT KEYS PERSIST PEXPIRE PEXPIREAT PTTL RANDOMKEY RENAME RENAMENX SCAN "
    "TOUCH TTL TYPE UNLINK AUTH HELLO ECHO PING RESET SELECT"
)
"""What upstash.com/docs/redis/overall/rediscompatibility lists for strings, scripts, pub/sub, keys and connections, but for QUIT,
which needs no permission."""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return made_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def account() -> Iterator[str]:
    """A user of the server who may run nothing that Upstash has not."""
    with redis.Redis.from_url(redis_server().variables()["REDIS_URL"]) as admin:
        allowed = [f"+{name.lower()}" for name in SUPPORTED.split()]
        admin.execute_command("ACL", "SETUSER", "upstash", "on", ">token", "~*", "&*", "-@all", *allowed)
        yield "upstash:token"
        admin.execute_command("ACL", "DELUSER", "upstash")


@pytest.fixture(scope="module")
def url(certificates: Certificates, account: str) -> Iterator[str]:
    with TlsFront(redis_server().port, certificates) as front:
        yield f"rediss://{account}@127.0.0.1:{front.port}/0?ssl_ca_certs={certificates.ca}"


class TestUpstashCache(CacheContract):
    """With none but the commands that Upstash has, so that a command too much is a failure."""

    explore_seconds = (
        20.0  # connecting costs more than to one plain server: a loaded machine needs longer for its sequences
    )

    @pytest.fixture(autouse=True)
    def _url(self, url):
        type(self).url = url

    def make_backend(self, namespace):
        return UpstashCache(url=self.url, namespace=namespace)

    def make_unreachable(self, namespace):
        return UpstashCache(url=f"rediss://127.0.0.1:{free_port()}/0", namespace=namespace)


def test_the_account_cannot_do_what_upstash_cannot(url: str) -> None:
    client = opened(url)
    for command in (("CONFIG", "GET", "maxmemory"), ("CLUSTER", "SLOTS"), ("INFO",), ("OBJECT", "ENCODING", "k")):
        with pytest.raises(UnavailableError, match="lacks a permission"):
            client.execute(*command, repeatable=True)
    client.close()


class TestSizes:
    @pytest.mark.parametrize("limit", ["", "100000"])
    def test_the_largest_value_fits_and_one_byte_more_is_not_sent(self, url: str, limit: str) -> None:
        settings = Settings({"REDIS_URL": url, "UPSTASH_MAX_REQUEST_BYTES": limit})
        cache = UpstashCache.from_settings(settings, namespace="n" * LONGEST_NAMESPACE)
        largest = cache.capabilities.max_value_bytes
        assert largest == int(limit or 1_000_000) - ROOM
        sent = _sizes(cache)
        key = "k" * cache.capabilities.max_key_bytes
        cache.set(key, "x" * largest, ttl=100)
        assert cache.get(key) == "x" * largest
        cache.delete(key)
        assert cache.get_or_fetch(key, lambda: "y" * largest, ttl=100) == "y" * largest
        assert largest < max(sent) <= int(limit or 1_000_000)
        sent.clear()
        with pytest.raises(RejectedError, match="a cached value has at most"):
            cache.set(key, "x" * (largest + 1))
        assert sent == [], "rejected before anything is sent"
        assert cache.get(key) == "y" * largest, "and what was there stays"
        with pytest.raises(RejectedError):
            cache.get_or_fetch("other", lambda: "x" * (largest + 1))
        assert cache.get("other") is MISSING
        cache.drop_namespace()
        cache.disconnect()

    def test_dropping_a_namespace_sends_no_large_requests(self, url: str) -> None:
        cache = UpstashCache(url=url, namespace="many")
        for number in range(600):
            cache.set(f"{number:01000d}", number)
        sent = _sizes(cache)
        cache.drop_namespace()
        assert max(sent) < 500_000
        assert cache.get(f"{1:01000d}") is MISSING
        cache.disconnect()


def _has_news(cache: UpstashCache) -> bool:
    """Whether its idle connections have something to read, be it only their end."""
    idle = [connection._sock for pool in cache._client._pools() for connection in pool._available_connections]
    return len(select.select(idle, [], [], 0)[0]) == len(idle) > 0


def _sizes(cache: UpstashCache) -> list[int]:
    """How many bytes each command of the cache has on the wire, from now on."""
    sizes: list[int] = []
    exchange = cache._client._exchange

    def measured(command: tuple[str | bytes | int, ...]) -> object:
        words = [word if isinstance(word, bytes) else str(word).encode() for word in command]
        sizes.append(sum(len(b"$%d\r\n%s\r\n" % (len(word), word)) for word in words) + len(b"*%d\r\n" % len(words)))
        return exchange(command)

    cache._client._exchange = measured  # type: ignore[method-assign]
    return sizes


class TestConfiguration:
    @pytest.mark.parametrize("url", ["redis://localhost", "unix:///s", ""])
    def test_tls_is_required(self, url: str) -> None:
        with pytest.raises(ConfigurationError, match="TLS only"):
            UpstashCache(url=url)

    def test_a_namespace_that_would_not_fit_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="at most 1024 bytes"):
            UpstashCache(url="rediss://localhost", namespace="ä" * 513)

    def test_a_limit_that_leaves_no_room_is_refused(self) -> None:
        settings = Settings({"REDIS_URL": "rediss://localhost", "UPSTASH_MAX_REQUEST_BYTES": "100"})
        with pytest.raises(ConfigurationError, match="more than"):
            UpstashCache.from_settings(settings)


class TestConnections:
    @pytest.fixture
    def server(self) -> Iterator[EmbeddedRedis]:
        with EmbeddedRedis(settings={"maxclients": "4"}) as made:
            yield made

    @pytest.fixture
    def strict(self, server: EmbeddedRedis, certificates: Certificates) -> Iterator[str]:
        password = server.variables()["REDIS_URL"].split("@")[0].rpartition(":")[2]
        with TlsFront(server.port, certificates) as front:
            yield f"rediss://:{password}@127.0.0.1:{front.port}/0?ssl_ca_certs={certificates.ca}"

    def test_a_connection_that_the_service_closed_for_idleness_costs_nothing(
        self, server: EmbeddedRedis, strict: str
    ) -> None:
        cache = UpstashCache(url=strict, namespace="idle")
        cache.set("k", 1)
        with redis.Redis.from_url(server.variables()["REDIS_URL"]) as admin:
            admin.config_set("timeout", 1)
            eventually(lambda: len(admin.client_list()) == 1, "the idle connection is closed by the server", 20.0)
            # The front has it a moment later: a command that meets a connection while it is being closed is indeterminate.
            eventually(lambda: _has_news(cache), "the front has closed its side too", 5.0)
            cache.set("k", 2)
            assert cache.get("k") == 2
        cache.disconnect()

    def test_too_many_connections_are_refused_at_once_and_later_there_is_room(
        self, server: EmbeddedRedis, strict: str
    ) -> None:
        clients = [opened(strict) for _ in range(5)]
        seen = []
        for client in clients:
            try:
                client.execute("SET", "k", "v", repeatable=False)
            except UnavailableError as error:
                seen.append(str(error))
        assert seen
        assert all("cannot be reached" in text for text in seen)
        for client in clients[:-1]:
            client.close()
        eventually(clients[-1].ping, "there is room again", 10.0)
        clients[-1].close()

    def test_the_url_can_limit_the_connections_of_an_instance(self, strict: str) -> None:
        client = opened(f"{strict}&max_connections=1")
        blocked = threading.Thread(target=lambda: client.execute("BLPOP", "nothing", 2, repeatable=True))
        blocked.start()
        eventually(lambda: client._pools()[0]._in_use_connections, "the one connection is in use", 5.0)
        with pytest.raises(UnavailableError, match="cannot be reached"):
            client.execute("SET", "k", "v", repeatable=False)
        blocked.join()
        assert client.execute("SET", "k", "v", repeatable=False) == b"OK"
        client.close()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"-ERR max concurrent connections exceeded\r\n", UnavailableError),
        (b"-ERR max requests limit exceeded. Limit: 500000, Usage: 500000.\r\n", UnavailableError),
        (b"-ERR DB capacity quota exceeded\r\n", UnavailableError),
        (b"-ERR max request size exceeded. Limit: 1048576 bytes, Actual: 1048600 bytes\r\n", RejectedError),
        (b"-ERR max key size exceeded. Limit: 32768 bytes, Actual: 40000 bytes\r\n", RejectedError),
    ],
)
def test_what_the_service_says_of_its_limits(answer: bytes, kind: type[Exception]) -> None:
    client = opened(Wire(*itertools.repeat(answer, 2)).url)
    with pytest.raises(kind) as caught:
        client.execute("SET", "k", "v", repeatable=False)
    assert type(caught.value) is kind
    client.close()
