"""The Redis client of the adapters: what is repeated, what a caller is told, and what a URL can and cannot change."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from shared_servers import redis_url

from stackproof.adapters import redis_connections
from stackproof.adapters.redis_client import RedisClient
from stackproof.adapters.redis_cluster import open_client
from stackproof.contracts.expectations import eventually
from stackproof.interfaces import (
    ClosedError,
    ConfigurationError,
    IndeterminateError,
    OperationTimeoutError,
    RejectedError,
    UnavailableError,
)


def opened(url: str, *, connect_timeout: float = 5.0, operation_timeout: float = 5.0) -> RedisClient:
    return open_client(url, connect_timeout=connect_timeout, operation_timeout=operation_timeout)


@pytest.fixture
def url() -> str:
    return redis_url()


@pytest.fixture
def client(url: str) -> Iterator[RedisClient]:
    made = opened(url, connect_timeout=2.0, operation_timeout=0.4)
    yield made
    made.close()


@pytest.fixture
def admin(url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(url) as made:
        yield made


class Wire:
    """A server of one answer per connection and command, to break connections at a chosen point."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)
        self.commands = self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while self.answers:
            connection, _ = self._listener.accept()
            self.connections += 1
            with connection:
                while self.answers and (command := connection.recv(4096)):
                    if b"SETINFO" in command:
                        connection.sendall(b"-ERR unknown\r\n" * command.count(b"SETINFO"))
                        continue
                    if b"PING" in command:
                        connection.sendall(b"+PONG\r\n")
                        continue
                    self.commands += 1
                    answer = self.answers.pop(0)
                    if answer is None:
                        break
                    connection.sendall(answer)
        self._listener.close()


def test_a_read_whose_connection_breaks_is_repeated_once() -> None:
    wire = Wire(None, b"$1\r\nv\r\n")
    client = opened(wire.url)
    assert client.execute("GET", "k", repeatable=True) == b"v"
    client.close()
    assert wire.commands == 2


def test_a_read_is_not_repeated_for_ever() -> None:
    wire = Wire(None, None, b"$1\r\nv\r\n")
    client = opened(wire.url)
    with pytest.raises(UnavailableError, match="broke"):
        client.execute("GET", "k", repeatable=True)
    assert wire.commands == 2
    assert client.execute("GET", "k", repeatable=True) == b"v"
    client.close()


def test_a_write_whose_connection_breaks_is_not_repeated() -> None:
    wire = Wire(None, b"+OK\r\n")
    client = opened(wire.url)
    with pytest.raises(IndeterminateError, match="may be applied or not"):
        client.execute("SET", "k", "v", repeatable=False)
    assert wire.commands == 1
    assert client.execute("SET", "k", "v", repeatable=False) == b"OK"
    client.close()


def test_what_times_out(client: RedisClient, admin: redis.Redis) -> None:
    assert client.ping()
    admin.execute_command("CLIENT", "PAUSE", 1500)
    began = time.monotonic()
    with pytest.raises(IndeterminateError):
        client.execute("SET", "k", "v", repeatable=False)
    assert time.monotonic() - began < 1.0
    with pytest.raises((OperationTimeoutError, UnavailableError)):
        client.execute("GET", "k", repeatable=True)
    eventually(client.ping, "the server answers again", 5.0)


def test_a_connection_that_died_while_idle_is_replaced_before_a_write(
    client: RedisClient, admin: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        assert client.execute("SET", "k", number, repeatable=False)
        admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert client.execute("GET", "k", repeatable=True) == b"2"


def test_an_idle_connection_that_answers_nothing_costs_one_error_and_no_doubt(
    url: str, admin: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ping before the write fails: the write was not sent, and the error says so."""
    monkeypatch.setattr(redis_connections, "IDLE_CHECK_SECONDS", 0.05)
    client = opened(url, operation_timeout=0.3)
    assert client.ping()
    time.sleep(0.1)
    admin.execute_command("CLIENT", "PAUSE", 800)
    with pytest.raises(UnavailableError):
        client.execute("SET", "k", "v", repeatable=False)
    eventually(client.ping, "the server answers again", 5.0)
    client.close()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"-ERR wrong number of arguments\r\n", RejectedError),
        (b"-WRONGTYPE Operation against a key\r\n", RejectedError),
        (b"-OOM command not allowed when used memory > 'maxmemory'.\r\n", UnavailableError),
        (b"-READONLY You can't write against a read only replica.\r\n", UnavailableError),
        (b"-LOADING Redis is loading the dataset in memory\r\n", UnavailableError),
        (b"-NOAUTH Authentication required.\r\n", UnavailableError),
        (b"-NOPERM this user has no permissions\r\n", UnavailableError),
        (b"-ERR Out of memory\r\n", UnavailableError),
        (b"-MOVED 1 127.0.0.1:7000\r\n", UnavailableError),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", IndeterminateError),
    ],
)
def test_answers_become_errors_of_ours(answer: bytes, kind: type[Exception]) -> None:
    wire = Wire(answer, b"+OK\r\n")
    client = opened(wire.url)
    with pytest.raises(kind) as caught:
        client.execute("SET", "k", "v", repeatable=False)
    assert type(caught.value) is kind
    assert client.execute("SET", "k", "v", repeatable=False), "the client stays usable"
    client.close()


def test_after_a_failover_the_name_is_asked_again() -> None:
    """The connections that are open all lead to what is a replica now: the primary is found by connecting anew."""
    wire = Wire(b"+OK\r\n", b"-READONLY You can't write against a read only replica.\r\n", b"+OK\r\n")
    client = opened(wire.url)
    assert client.execute("SET", "k", "v", repeatable=False) == b"OK"
    assert wire.connections == 1
    with pytest.raises(UnavailableError, match="nothing was applied"):
        client.execute("SET", "k", "v", repeatable=False)
    assert client.execute("SET", "k", "v", repeatable=False) == b"OK"
    assert wire.connections == 2
    client.close()


def test_a_unix_socket_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        opened(f"unix://{tmp_path}/none.sock").execute("GET", "k", repeatable=True)


def test_the_query_of_a_url_cannot_switch_on_repetition_or_decoding(url: str) -> None:
    client = opened(url + "?decode_responses=True&retry_on_timeout=True&protocol=3")
    client.execute("SET", "k", "v", repeatable=False)
    assert client.execute("GET", "k", repeatable=True) == b"v"
    client.close()


@pytest.mark.parametrize(
    "wrong", ["", "localhost:6379", "http://h", "redis://h:port", "redis://h?nonsense=1", "redis://["]
)
def test_an_unusable_url_is_a_configuration_error(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match="write redis://"):
        opened(wrong)


def test_close_lets_running_commands_finish(url: str) -> None:
    client = opened(url)
    answers: list[object] = []
    blocked = threading.Thread(target=lambda: answers.append(client.execute("BLPOP", "nothing", 1, repeatable=False)))
    blocked.start()
    eventually(lambda: client._running, "the command runs", 5.0)
    client.close()
    blocked.join(5.0)
    assert answers == [None]
    with pytest.raises(ClosedError):
        client.execute("GET", "k", repeatable=True)
    assert client.ping() is False


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_has_connections_of_its_own(client: RedisClient) -> None:
    other = threading.Thread(target=client._running.add, args=["its command at the moment of the fork"])
    other.start()
    other.join()
    assert client.execute("SET", "k", "parent", repeatable=False) == b"OK"
    child = os.fork()
    if not child:
        code = 1
        try:
            client.execute("SET", "k", "child", repeatable=False)
            began = time.monotonic()
            client.close()
            # Whoever waits for a command of the parent's thread waits as long as one may take: 2.4 s.
            code = 0 if time.monotonic() - began < client.connect_timeout else 2
        finally:
            os._exit(code)
    client._running.forget()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert client.execute("GET", "k", repeatable=True) == b"child"


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2/secret@127.0.0.1:1/0",
        "redis://:hunter2#secret@127.0.0.1:1/0",
        "redis://hunter2:12/secret@127.0.0.1:1/0",
        "redis://:hunter2?secret@127.0.0.1:1/0",
    ],
)
def test_a_url_that_falls_apart_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be parsed.*%2F") as caught:
        opened(url)
    assert "hunter2" not in str(caught.value)
    assert "secret" not in str(caught.value)
