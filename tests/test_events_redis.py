"""Redis pub/sub keeps the contract, on a real server; and what only this adapter promises, mostly about its failures."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import redis
from shared_servers import redis_server, redis_url

from stackproof.adapters.events import redis_pubsub
from stackproof.adapters.events.redis_pubsub import RedisPubSubPublisher, RedisSubscription
from stackproof.adapters.settings import Settings
from stackproof.contracts.events import EventContract
from stackproof.contracts.expectations import eventually
from stackproof.contracts.listeners import Listener, numbered
from stackproof.interfaces import (
    ClosedError,
    ConfigurationError,
    IndeterminateError,
    OperationTimeoutError,
    StackproofError,
    UnavailableError,
)
from stackproof.servers.embedded import EmbeddedRedis
from stackproof.servers.ports import free_port


class TestRedisPubSub(EventContract):
    def make_backend(self, namespace: str) -> RedisPubSubPublisher:
        return RedisPubSubPublisher(url=redis_url(), namespace=namespace)

    def make_unreachable(self, namespace: str) -> RedisPubSubPublisher:
        return RedisPubSubPublisher(url=f"redis://127.0.0.1:{free_port()}/0", namespace=namespace)


@pytest.fixture
def bus(request: pytest.FixtureRequest) -> Iterator[RedisPubSubPublisher]:
    with RedisPubSubPublisher(url=redis_url(), namespace=request.node.name, operation_timeout=2.0) as made:
        yield made


@pytest.fixture
def own_server() -> Iterator[EmbeddedRedis]:
    """A server that a test may kill."""
    started = EmbeddedRedis()
    started.start()
    yield started
    started.stop()


def subscribed(bus: RedisPubSubPublisher, topic: str, handler: Callable[..., None]) -> RedisSubscription:
    subscription = bus.subscribe(topic, handler)
    assert isinstance(subscription, RedisSubscription)
    return subscription


def test_a_subscription_survives_the_death_of_its_server(
    own_server: EmbeddedRedis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "stackproof")
    listener = Listener()
    with RedisPubSubPublisher(url=own_server.variables()["REDIS_URL"], operation_timeout=2.0) as bus:
        subscription = subscribed(bus, "orders", listener)
        bus.publish("orders", numbered(0))
        listener.await_numbers([0], "the event before", 5.0)
        own_server.kill()
        eventually(lambda: not subscription.active, "the subscription is seen to be broken", 5.0)
        assert bus.ping() is False
        with pytest.raises((UnavailableError, IndeterminateError)):
            bus.publish("orders", numbered(1))
        time.sleep(0.5)  # time for several attempts to connect, none of which may be logged
        own_server.start()
        eventually(lambda: subscription.active, "the subscription is restored", 10.0)
        assert bus.ping() is True
        bus.publish("orders", numbered(2))
        listener.await_numbers([2], "the event after", 5.0)
        assert subscription.gaps == 1
    assert listener.numbers == [0, 2]
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == 2, texts
    assert "lost its connection" in texts[0]
    assert "was restored after" in texts[1]


def test_a_subscription_that_waits_for_its_server_can_be_closed(own_server: EmbeddedRedis) -> None:
    with RedisPubSubPublisher(url=own_server.variables()["REDIS_URL"]) as bus:
        subscription = subscribed(bus, "orders", Listener())
        own_server.kill()
        eventually(lambda: not subscription.active, "the subscription is seen to be broken", 5.0)
        began = time.monotonic()
        subscription.close()
        assert time.monotonic() - began < 3.0


def test_killed_connections_are_made_anew(bus: RedisPubSubPublisher) -> None:
    """The server closes every connection, as at a failover; the first publish afterwards works."""
    listener = Listener()
    subscription = subscribed(bus, "orders", listener)
    bus.publish("orders", numbered(0))
    with redis.Redis.from_url(redis_url()) as admin:
        admin.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    eventually(lambda: subscription.gaps == 1, "the gap is seen", 5.0)
    eventually(lambda: subscription.active, "the subscription is restored", 5.0)
    bus.publish("orders", numbered(1))
    listener.await_numbers([1], "the event after", 5.0)


def test_without_a_server_calls_fail_at_once() -> None:
    with RedisPubSubPublisher(url=f"redis://127.0.0.1:{free_port()}/0", connect_timeout=1.0) as bus:
        began = time.monotonic()
        with pytest.raises(UnavailableError, match="cannot be reached"):
            bus.publish("orders", numbered(0))
        with pytest.raises(UnavailableError, match="cannot be reached"):
            bus.subscribe("orders", Listener())
        assert bus.ping() is False
        assert time.monotonic() - began < 3.0


def test_a_server_that_says_nothing_is_noticed_within_the_timeouts() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        with RedisPubSubPublisher(url=address, connect_timeout=0.3, operation_timeout=0.3) as bus:
            for call in (lambda: bus.publish("t", numbered(0)), lambda: bus.subscribe("t", Listener())):
                began = time.monotonic()
                with pytest.raises((UnavailableError, OperationTimeoutError)):
                    call()
                assert time.monotonic() - began < 2.5  # by default it would be 5 s
            began = time.monotonic()
            assert bus.ping() is False
            assert time.monotonic() - began < 2.5


def test_a_publish_whose_answer_is_lost_is_indeterminate(own_server: EmbeddedRedis) -> None:
    with (
        RedisPubSubPublisher(url=own_server.variables()["REDIS_URL"], operation_timeout=0.3) as bus,
        redis.Redis.from_url(own_server.variables()["REDIS_URL"]) as admin,
    ):
        bus.publish("t", numbered(0))
        admin.execute_command("CLIENT", "PAUSE", 1000)
        with pytest.raises(IndeterminateError, match="may be applied or not"):
            bus.publish("t", numbered(1))


def test_secrets_are_in_no_error_and_no_log(caplog: pytest.LogCaptureFixture, own_server: EmbeddedRedis) -> None:
    caplog.set_level(logging.DEBUG)
    texts = []

    def note(call: Callable[[], object]) -> None:
        with pytest.raises(StackproofError) as caught:
            call()
        error: BaseException | None = caught.value
        while error is not None:
            texts.append(f"{error!r} {error}")
            error = error.__cause__ or error.__context__

    wrong = f"redis://user:hunter2@127.0.0.1:{own_server.port}/0"
    for address in (wrong, f"redis://user:hunter2@127.0.0.1:{free_port()}/0"):
        with RedisPubSubPublisher(url=address) as bus:
            note(lambda bus=bus: bus.publish("t", numbered(0)))  # type: ignore[misc]
            note(lambda bus=bus: bus.subscribe("t", Listener()))  # type: ignore[misc]
    for address in (
        "redis://:hunter2@host:port/0",
        "http://:hunter2@host",
        "redis://h?unknown=hunter2",
        "redis://[hunter2",
    ):
        note(lambda address=address: RedisPubSubPublisher(url=address))  # type: ignore[misc]
    password = own_server.variables()["REDIS_URL"].partition(":")[2].partition("@")[0].strip("/:")
    with RedisPubSubPublisher(url=own_server.variables()["REDIS_URL"]) as bus:
        subscription = subscribed(bus, "t", Listener())
        own_server.kill()
        eventually(lambda: not subscription.active, "the subscription is seen to be broken", 5.0)
        note(lambda: bus.publish("t", numbered(0)))
    texts += [record.getMessage() for record in caplog.records]
    assert len(texts) > 10
    for text in texts:
        assert "hunter2" not in text
        assert password not in text


def test_a_wrong_password_is_said_clearly() -> None:
    with (
        RedisPubSubPublisher(url=f"redis://:wrong@127.0.0.1:{redis_server().port}/0") as bus,
        pytest.raises(UnavailableError, match="refused the user name or password"),
    ):
        bus.publish("t", numbered(0))


def test_a_burst_waits_for_a_slow_handler(bus: RedisPubSubPublisher) -> None:
    listener = Listener(lambda _: time.sleep(0.001))
    subscription = subscribed(bus, "orders", listener)
    for number in range(2000):
        bus.publish("orders", numbered(number, padding="x" * 1000))
    listener.await_numbers(range(2000), "a burst of 2,000 events", 20.0)
    assert listener.numbers == list(range(2000))
    assert (subscription.dropped, subscription.gaps) == (0, 0)


def test_a_full_buffer_is_visible_and_the_connection_is_kept(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "stackproof")
    gate = threading.Event()
    listener = Listener(lambda _: gate.wait(10.0))
    with RedisPubSubPublisher(url=redis_url(), namespace=request.node.name, buffer_bytes=20_000) as bus:
        subscription = subscribed(bus, "orders", listener)
        bus.publish("orders", numbered(0, padding="x" * 1000))
        eventually(lambda: listener.running, "the handler has the first event in hand", 5.0)
        for number in range(1, 100):
            bus.publish("orders", numbered(number, padding="x" * 1000))
        eventually(
            lambda: subscription.dropped + subscription._buffer.qsize() == 99, "all but the one in hand are read", 5.0
        )
        assert subscription.dropped > 50
        gate.set()
        eventually(lambda: len(listener.handled) + subscription.dropped == 100, "every event is accounted for", 5.0)
        assert subscription.gaps == 0
        bus.publish("orders", numbered(100))
        listener.await_numbers([100], "an event after the overflow", 5.0)
    assert listener.numbers[:-1] == list(range(100 - subscription.dropped))
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == 2, texts
    assert "too slow" in texts[0]
    assert f"{subscription.dropped} events were dropped" in texts[1]


def test_disconnect_leaves_no_thread_and_no_connection(bus: RedisPubSubPublisher) -> None:
    def connections() -> int:
        with redis.Redis.from_url(redis_url()) as admin:
            return len(admin.client_list()) - 1

    def threads() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name.startswith("stackproof-redis")]

    eventually(lambda: connections() == 0, "earlier connections are gone", 5.0)
    for topic in "abc":
        bus.subscribe(topic, Listener())
    bus.publish("a", numbered(0))
    assert connections() == 4
    assert len(threads()) == 6
    bus.disconnect()
    assert threads() == []
    eventually(lambda: connections() == 0, "the server sees no connection any more", 5.0)


def test_disconnect_does_not_wait_for_ever_for_a_handler(caplog: pytest.LogCaptureFixture) -> None:
    gate, entered = threading.Event(), threading.Event()
    bus = RedisPubSubPublisher(url=redis_url(), operation_timeout=0.3)
    bus.subscribe("hang", lambda _: (entered.set(), gate.wait(10.0)))  # type: ignore[func-returns-value]
    bus.publish("hang", numbered(0))
    assert entered.wait(5.0)
    began = time.monotonic()
    bus.disconnect()
    assert time.monotonic() - began < 2.0
    assert "still runs after disconnect" in caplog.text
    gate.set()


def test_a_foreign_message_is_left_out_and_logged(bus: RedisPubSubPublisher, caplog: pytest.LogCaptureFixture) -> None:
    listener = Listener()
    bus.subscribe("orders", listener)
    with redis.Redis.from_url(redis_url()) as admin:
        for message in (b"\xff", b"[]", b"{}", b'{"type": 1, "payload": 2, "timestamp": 3, "key": 4, "event_id": 5}'):
            assert admin.publish(bus._channel("orders"), message) == 1
    bus.publish("orders", numbered(0))
    listener.await_numbers([0], "the event after the foreign messages", 5.0)
    assert len(listener.calls) == 1
    assert caplog.text.count("is no event of ours") == 4


def test_settings() -> None:
    with RedisPubSubPublisher.from_settings(Settings({"REDIS_URL": redis_url()}), "settings") as bus:
        assert bus.ping()
        bus.drop_namespace()
    with pytest.raises(ConfigurationError, match="REDIS_URL is not set"):
        RedisPubSubPublisher.from_settings(Settings({}))
    with RedisPubSubPublisher(url=redis_url()) as bus, pytest.raises(ConfigurationError):
        bus.drop_namespace()


def test_subscribing_while_disconnecting_leaves_nothing_behind() -> None:
    for _ in range(10):
        bus = RedisPubSubPublisher(url=redis_url())
        thread = threading.Thread(target=bus.disconnect)
        thread.start()
        try:
            subscription = bus.subscribe("t", Listener())
        except ClosedError:
            pass
        else:
            thread.join()
            assert not subscription.active
        thread.join()
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("stackproof-redis-t-")]
    assert names == []


def test_a_program_that_forgets_to_disconnect_ends_silently() -> None:
    program = (
        "import os, sys, warnings\n"
        "warnings.filterwarnings('ignore', 'This process .* is multi-threaded', DeprecationWarning)\n"
        "from stackproof.adapters.events.redis_pubsub import RedisPubSubPublisher\n"
        "from stackproof.interfaces import Event\n"
        "import queue\n"
        "bus, got = RedisPubSubPublisher(url=sys.argv[1]), queue.SimpleQueue()\n"
        "subscription = bus.subscribe('t', got.put)\n"
        "event = Event(type='test.happened.v1', payload={})\n"
        "bus.publish('t', event); got.get(timeout=5)\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    bus.publish('t', event); active = subscription.active; bus.disconnect(); sys.exit(active)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0\n"
        "got.get(timeout=5); assert subscription.active\n"
    )
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", program, redis_url()]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_silence_is_noticed_in_seconds(own_server: EmbeddedRedis) -> None:
    """Who publishes meanwhile gets no error, if only the subscriber's connection is dead: the gap must not be a long one."""
    with RedisPubSubPublisher(url=own_server.variables()["REDIS_URL"], operation_timeout=0.5) as bus:
        subscription = subscribed(bus, "orders", Listener())
        assert own_server.pid is not None
        os.kill(own_server.pid, signal.SIGSTOP)
        try:
            eventually(lambda: not subscription.active, "the silence is noticed", 6.0)
        finally:
            os.kill(own_server.pid, signal.SIGCONT)


def test_a_server_that_hangs_is_noticed_although_nothing_is_closed(
    own_server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that loses its power closes no connection: only asking shows that nobody is there."""
    monkeypatch.setattr(redis_pubsub, "SILENCE_SECONDS", 0.2)
    listener = Listener()
    address = own_server.variables()["REDIS_URL"]
    # An answer within 0.3 s would be asked too much of a server on a busy machine.
    with RedisPubSubPublisher(url=address, connect_timeout=1.0, operation_timeout=1.0) as bus:
        subscription = subscribed(bus, "orders", listener)
        time.sleep(1.0)  # long enough for several questions, all of which are answered
        assert (subscription.active, subscription.gaps) == (True, 0)
        assert own_server.pid is not None
        os.kill(own_server.pid, signal.SIGSTOP)
        try:
            eventually(lambda: not subscription.active, "the silence is noticed", 5.0)
            assert bus.ping() is False
        finally:
            os.kill(own_server.pid, signal.SIGCONT)
        eventually(lambda: subscription.active, "the subscription is restored", 10.0)
        eventually(bus.ping, "the server answers again", 5.0)
        bus.publish("orders", numbered(0))
        listener.await_numbers([0], "the event after", 5.0)
        assert len(listener.calls) == 1
