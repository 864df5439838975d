"""The fault proxy: it forwards, each fault does what it says and is counted, and nothing is left behind."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from stackproof.contracts import eventually
from stackproof.servers.proxy import FaultProxy, Way


class Echo:
    """A server that answers each message with the same bytes, and remembers what reached it."""

    def __init__(self) -> None:
        self.heard = b""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.threads = [threading.Thread(target=self._accept)]
        self.threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.threads.append(threading.Thread(target=self._answer, args=(connection,)))
            self.threads[-1].start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                while chunk := connection.recv(65536):
                    self.heard += chunk
                    connection.sendall(chunk)
            except ConnectionError:
                return

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(5)


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[FaultProxy]:
    with FaultProxy("127.0.0.1", echo.port) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[socket.socket]:
    with connected(proxy) as connection:
        assert asked(connection, b"hello") == b"hello"
        yield connection


def connected(proxy: FaultProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), 2.0)


def asked(connection: socket.socket, question: bytes, seconds: float = 2.0) -> bytes:
    """The answer, whole."""
    connection.settimeout(seconds)
    connection.sendall(question)
    answer = b""
    while len(answer) < len(question) and (chunk := connection.recv(65536)):
        answer += chunk
    return answer


def received(connection: socket.socket) -> bytes:
    """The next bytes; none where the connection was reset, and an end in order is a failure."""
    try:
        chunk = connection.recv(100)
    except ConnectionResetError:
        return b""
    assert chunk, "the connection was closed in order"
    return chunk


def is_reset(connection: socket.socket) -> bool:
    connection.settimeout(2.0)
    try:
        connection.sendall(b"?")
        connection.recv(1)
    except (ConnectionResetError, BrokenPipeError):
        return True
    return False


def test_without_a_fault_everything_is_forwarded(proxy: FaultProxy) -> None:
    long = bytes(range(256)) * 2000
    with connected(proxy) as one, connected(proxy) as two:
        assert asked(one, b"a") == b"a"
        sender = threading.Thread(target=two.sendall, args=(long,))
        sender.start()
        answer = b""
        while len(answer) < len(long):
            answer += two.recv(65536)
        sender.join()
    assert answer == long
    assert proxy.counts == {"connections": 2}


def test_the_end_of_a_connection_is_passed_on(proxy: FaultProxy, client: socket.socket) -> None:
    client.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    eventually(lambda: proxy.open_connections == 0, "the connection is gone", 2.0)


def test_a_stall_holds_everything_to_its_end_and_loses_nothing(proxy: FaultProxy, client: socket.socket) -> None:
    with connected(proxy) as other:
        began = time.monotonic()
        proxy.stall(0.5, after=0.4, latency=0.01)
        assert asked(client, b"before") == b"before"
        assert 0.01 <= time.monotonic() - began < 0.4
        time.sleep(max(0.0, began + 0.45 - time.monotonic()))
        client.sendall(b"within")
        assert asked(other, b"too") == b"too"
        client.settimeout(5.0)
        assert client.recv(100) == b"within"
        ended = time.monotonic()
        assert ended - began >= 0.91
        assert asked(client, b"after") == b"after"
        assert time.monotonic() - ended >= 0.01
    counts = proxy.counts
    assert (counts["delayed"], counts["stalled"]) == (2, 2)


def test_what_is_held_in_a_stall_keeps_its_order_and_comes_before_the_end(
    proxy: FaultProxy, client: socket.socket
) -> None:
    proxy.stall(0.3, way=Way.REQUESTS)
    client.sendall(b"first")
    eventually(lambda: proxy.counts.get("stalled"), "the request is held", 2.0)
    proxy.heal()
    client.sendall(b"second")
    client.shutdown(socket.SHUT_WR)
    heard = b""
    while piece := client.recv(100):
        heard += piece
    assert heard == b"firstsecond"


def test_a_connection_that_is_cut_within_a_stall_gets_nothing_more(proxy: FaultProxy, client: socket.socket) -> None:
    with connected(proxy) as other:
        proxy.stall(0.4)
        client.sendall(b"lost")
        other.sendall(b"kept")
        eventually(lambda: proxy.counts.get("stalled") == 2, "both are held", 2.0)
        client.close()
        other.settimeout(5.0)
        assert other.recv(100) == b"kept"


def test_closing_within_a_stall_waits_for_nothing(proxy: FaultProxy, client: socket.socket) -> None:
    proxy.stall(30.0)
    client.sendall(b"held")
    eventually(lambda: proxy.counts.get("stalled"), "the answer is held", 2.0)
    began = time.monotonic()
    proxy.close()
    assert time.monotonic() - began < 3.0


def test_what_would_be_answered_within_a_stall_waits_too(proxy: FaultProxy, client: socket.socket) -> None:
    began = time.monotonic()
    proxy.stall(0.3, after=0.1, latency=0.2)
    assert asked(client, b"early") == b"early"  # due after 0.2 s
    assert time.monotonic() - began >= 0.6
    assert proxy.counts["stalled"] == 1


def test_latency_holds_back_and_what_is_held_still_comes_late(proxy: FaultProxy, client: socket.socket) -> None:
    proxy.latency(0.3)
    began = time.monotonic()
    client.sendall(b"late")
    eventually(lambda: proxy.counts.get("delayed"), "the answer is held back", 2.0)
    proxy.heal()
    assert client.recv(100) == b"late"
    assert time.monotonic() - began >= 0.3
    assert asked(client, b"quick") == b"quick"


def test_a_black_hole_accepts_and_forwards_nothing(proxy: FaultProxy, client: socket.socket, echo: Echo) -> None:
    proxy.black_hole()
    for connection in (client, connected(proxy)):
        with connection, pytest.raises(TimeoutError):
            asked(connection, b"lost", seconds=0.1)
    eventually(lambda: proxy.counts.get("dropped bytes") == 8, "both are dropped", 5.0)
    assert proxy.counts["dropped"] == 2
    assert b"lost" not in echo.heard


def test_a_connection_that_lost_bytes_does_not_survive_its_fault(proxy: FaultProxy, client: socket.socket) -> None:
    with connected(proxy) as quiet:
        assert asked(quiet, b"here") == b"here"
        proxy.black_hole()
        client.sendall(b"lost")
        eventually(lambda: proxy.counts.get("dropped"), "the bytes are dropped", 2.0)
        proxy.heal()
        assert is_reset(client)
        assert asked(quiet, b"still") == b"still"


@pytest.mark.parametrize(("way", "reaches_the_server"), [(Way.REQUESTS, False), (Way.ANSWERS, True)])
def test_half_open(proxy: FaultProxy, client: socket.socket, echo: Echo, way: Way, reaches_the_server: bool) -> None:
    proxy.half_open(way)
    with pytest.raises(TimeoutError):
        asked(client, b"half", seconds=0.2)
    eventually(lambda: proxy.counts.get("dropped"), "the question or its answer is dropped", 5.0)
    assert proxy.counts["dropped"] == 1
    assert (b"half" in echo.heard) is reaches_the_server


def test_half_open_spares_the_first_chunks(proxy: FaultProxy, client: socket.socket) -> None:
    proxy.half_open(Way.ANSWERS, spared=2)
    assert asked(client, b"1") == b"1"
    assert asked(client, b"2") == b"2"
    with pytest.raises(TimeoutError):
        asked(client, b"3", seconds=0.2)


def test_reset_after_so_many_bytes(proxy: FaultProxy, client: socket.socket, echo: Echo) -> None:
    proxy.reset_after(6, Way.REQUESTS)
    assert asked(client, b"1234") == b"1234"
    client.sendall(b"5678")
    assert b"".join(iter(lambda: received(client), b"")) in (b"", b"56")
    eventually(lambda: echo.heard.endswith(b"123456"), "six bytes reached the server", 2.0)
    assert proxy.counts["reset"] == 1
    with connected(proxy) as fresh:
        assert asked(fresh, b"again, and longer") == b"again, and longer"


def test_an_answer_is_lost_with_its_connection(proxy: FaultProxy, client: socket.socket, echo: Echo) -> None:
    proxy.reset_answer(spared=1)
    assert asked(client, b"first") == b"first"
    with pytest.raises(ConnectionResetError):
        asked(client, b"second")
    assert echo.heard.endswith(b"second")
    assert proxy.counts["reset"] == 1


def test_slow_transfer(proxy: FaultProxy, client: socket.socket) -> None:
    proxy.slow(2000)
    began = time.monotonic()
    assert asked(client, b"x" * 800) == b"x" * 800
    assert time.monotonic() - began > 0.3
    assert proxy.counts["slowed"] >= 1


def test_refuse_cuts_what_is_open_and_what_comes(proxy: FaultProxy, client: socket.socket) -> None:
    proxy.refuse()
    assert is_reset(client)
    try:
        with connected(proxy) as fresh:
            assert is_reset(fresh)
    except ConnectionResetError:
        assert proxy.counts["refused"] == 1
    assert proxy.counts["cut"] == 1
    assert proxy.counts["refused"] == 1
    proxy.heal()
    with connected(proxy) as fresh:
        assert asked(fresh, b"back") == b"back"


def test_cut_resets_every_connection_once(proxy: FaultProxy, client: socket.socket) -> None:
    assert proxy.cut() == 1
    assert is_reset(client)
    eventually(lambda: proxy.open_connections == 0, "the connection is gone", 2.0)
    assert proxy.cut() == 0


def test_a_server_that_is_gone_is_a_reset(echo: Echo) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with FaultProxy("127.0.0.1", port) as proxy:
        try:
            with connected(proxy) as client:
                assert is_reset(client)
        except ConnectionResetError:
            assert proxy.counts == {"unreachable": 1}, "the reset overtook the connecting"
        assert proxy.counts == {"unreachable": 1}


def test_nothing_is_left_behind(echo: Echo) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    threads, before = set(threading.enumerate()), descriptors()  # what was there may end meanwhile
    for fault in (FaultProxy.black_hole, FaultProxy.refuse, FaultProxy.reset_answer, FaultProxy.latency):
        proxy = FaultProxy("127.0.0.1", echo.port)
        clients = [connected(proxy) for _ in range(5)]
        assert [asked(client, b"x") for client in clients] == [b"x"] * 5
        fault(proxy, 30.0) if fault is FaultProxy.latency else fault(proxy)  # type: ignore[call-arg]
        for client in clients:
            try:
                client.sendall(b"y")
            except (ConnectionResetError, BrokenPipeError):
                assert fault is FaultProxy.refuse
        began = time.monotonic()
        proxy.close()
        proxy.close()
        assert time.monotonic() - began < 3.0
        for client in clients:
            client.close()
    eventually(
        lambda: set(threading.enumerate()) <= threads and descriptors() <= before,
        "threads and descriptors are given back",
        3.0,
    )


class SlowToBegin(threading.Thread):
    """As on a busy machine: what has been made begins a while later."""

    def start(self) -> None:
        if self.name.endswith("requests"):
            time.sleep(0.1)
        super().start()


def test_a_thread_that_has_not_begun_yet_is_waited_for_as_well(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "Thread", SlowToBegin)
    for _ in range(10):  # in which order threads are waited for is chance
        proxy = FaultProxy("127.0.0.1", echo.port)
        with connected(proxy):
            eventually(lambda: proxy.open_connections, "it is connected, and about to carry", within=10.0)  # noqa: B023
            proxy.close()
        assert proxy.open_connections == 0
