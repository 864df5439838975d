"""The stub server: what is injected, that it is given, what is told about it, and that it ends with its parent."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from run_queue import own_seconds_in_line, seconds_in_line

from stackproof.adapters.cache.redis import RedisCache
from stackproof.interfaces import MISSING, ConfigurationError
from stackproof.scenarios.histogram import Histogram
from stackproof.scenarios.stub import Injection, StubError, StubServer, Truth
from stackproof.scenarios.stub_server import Data, Requests

GET = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
NOTHING = b"$-1\r\n"
PATIENCE = 20.0
STAMPS = 35
"""SO_TIMESTAMPNS, which Python does not name."""


@pytest.fixture(scope="module")
def stub() -> Iterator[StubServer]:
    with StubServer() as server:
        yield server


@contextlib.contextmanager
def connections(stub: StubServer, number: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection(("127.0.0.1", stub.port), PATIENCE)) for _ in range(number)]


class Line:
    """What waiting for a processor may have done to a median: it is at most twice a mean.

    With it, what is said of times of a ten thousandth of a second holds on a machine that is busy, too.
    """

    def __init__(self, stub: StubServer) -> None:
        self._pid = stub._process.pid
        self._stub, self._client = seconds_in_line(self._pid), own_seconds_in_line()

    def of_stub(self, answers: int) -> float:
        return 2 * (seconds_in_line(self._pid) - self._stub) / answers

    def of_client(self, answers: int) -> float:
        return 2 * (own_seconds_in_line() - self._client) / answers


class TestInjections:
    def test_without_a_stall_an_answer_comes_after_the_service_time(self) -> None:
        assert Injection(0.002).answered(7.0) == pytest.approx(7.002)

    @pytest.mark.parametrize(
        ("arrival", "answered"),
        [
            (2.9, 2.95),  # over before it
            (2.96, 4.05),  # would be answered within it
            (3.0, 4.05),
            (3.99, 4.05),
            (4.0, 4.05),  # the end is not part of it
            (4.01, 4.06),
        ],
    )
    def test_what_would_be_answered_within_a_stall_waits_for_its_end(self, arrival: float, answered: float) -> None:
        assert Injection(0.05, stall_from=3.0, stall=1.0).answered(arrival) == pytest.approx(answered)

    def test_it_survives_the_pipe(self) -> None:
        for injection in (Injection(0.002), Injection(0.002, 3.0, 1.0)):
            assert Injection.from_data(injection.to_data()) == injection

    @pytest.mark.parametrize("wrong", [(-1.0, 0.0, 0.0), (math.inf, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, -1.0)])
    def test_times_are_not_negative(self, wrong: tuple[float, float, float]) -> None:
        with pytest.raises(ConfigurationError, match="0 or more seconds"):
            Injection(*wrong)


class TestItsProtocol:
    def test_commands_come_in_any_pieces(self) -> None:
        requests = Requests()
        found = [words for byte in GET + GET for words in requests.feed(bytes([byte]))]
        assert found == [[b"GET", b"k"], [b"GET", b"k"]]

    @pytest.mark.parametrize("wrong", [b"GET k\r\n", b"*1\r\n+GET\r\n", b"*x\r\n"])
    def test_what_is_no_command_is_an_error(self, wrong: bytes) -> None:
        with pytest.raises(ValueError, match=r"."):
            Requests().feed(wrong)

    def test_what_was_set_is_there(self) -> None:
        data = Data()
        assert data.answer([b"GET", b"k"]) == NOTHING
        assert data.answer([b"SET", b"k", b"v", b"PX", b"5"]) == b"+OK\r\n"
        assert data.answer([b"get", b"k"]) == b"$1\r\nv\r\n"
        assert data.answer([b"DEL", b"k", b"other"]) == b":1\r\n"
        assert data.answer([b"EVAL", b"return 1", b"0"]).startswith(b"-ERR unknown")

    def test_the_redis_driver_greets_it_in_both_protocols(self, stub: StubServer) -> None:
        import redis

        stub.inject(Injection(0.0))
        for protocol in (2, 3):
            with redis.Redis.from_url(stub.url, protocol=protocol) as client:
                assert client.set("greeting", b"hello")
                assert client.get("greeting") == b"hello"
                assert client.ping()

    def test_the_cache_adapter_is_its_client(self, stub: StubServer) -> None:
        stub.inject(Injection(0.0))
        cache = RedisCache(url=stub.url, namespace="stub-test")
        assert cache.ping()
        assert cache.get("a") is MISSING
        cache.set("a", {"b": 1}, ttl=30)
        assert cache.get("a") == {"b": 1}
        cache.drop_namespace()
        assert cache.get("a") is MISSING
        cache.disconnect()
        truth = stub.truth()
        assert truth.troubles == ()
        assert truth.arrivals == truth.answers == 5  # PING and SCAN are no part of the load

    def test_what_it_does_not_understand_is_told(self, stub: StubServer) -> None:
        stub.inject(Injection(0.0))
        with connections(stub, 2) as (one, other):
            one.sendall(b"*1\r\n$5\r\nFLASH\r\n")
            assert one.recv(100).startswith(b"-ERR")
            other.sendall(b"GET k\r\n")
            assert other.recv(100) == b""
        told = " ".join(stub.truth().troubles)
        assert "FLASH" in told
        assert "a command is an array" in told


class TestItsTimes:
    def test_it_gives_what_is_injected_and_says_how_exactly(self, stub: StubServer) -> None:
        stub.inject(Injection(0.002))
        seen, line = [], Line(stub)
        with connections(stub, 1) as (side,):
            for _ in range(300):
                began = time.perf_counter()
                side.sendall(GET)
                assert side.recv(100) == NOTHING
                seen.append(time.perf_counter() - began)
        there, here = line.of_stub(300), line.of_client(300)
        truth = stub.truth()
        assert (truth.arrivals, truth.answers, truth.stalled, truth.waiting) == (300, 300, 0, 0)
        assert min(seen) >= 0.00198  # sending is begun a little early, so as to have ended when the answer is due
        given = truth.given.percentiles([1.0, 50.0])
        assert 0.00198 <= given[1.0] <= given[50.0] < 0.0021 + there
        assert truth.admitted(50.0) < 0.0001 + there
        # What it says of itself is what is seen from outside, but for the way there and back.
        assert sorted(seen)[150] - given[50.0] < 0.0005 + there + here

    @pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own stamps are Linux's")
    def test_an_answer_is_at_the_clients_socket_when_it_is_due(self, stub: StubServer) -> None:
        """By the kernel's own stamps: neither when the stub says that it left, nor when the client came to read it."""
        stub.inject(Injection(0.002))
        least, most, line = [], [], Line(stub)
        with connections(stub, 1) as (side,):
            side.setsockopt(socket.SOL_SOCKET, STAMPS, 1)
            for _ in range(300):
                began = time.time()
                side.sendall(GET)
                sent = time.time()
                _, beside, _, _ = side.recvmsg(100, 64)
                stamp = next(struct.unpack("@ll", data[:16]) for _, kind, data in beside if kind == STAMPS)
                arrived = stamp[0] + stamp[1] / 1e9
                least.append(arrived - sent)
                most.append(arrived - began)
        # What was injected lies between: the request arrived while it was sent.
        assert statistics.median(least) < 0.00205 + line.of_stub(300)
        assert statistics.median(most) > 0.00195

    def test_requests_do_not_wait_for_each_other(self, stub: StubServer) -> None:
        stub.inject(Injection(0.2))
        with connections(stub, 50) as sides:
            began = time.perf_counter()
            for side in sides:
                side.sendall(GET)
            for side in sides:
                assert side.recv(100) == NOTHING
            took = time.perf_counter() - began
        assert 0.2 <= took < 2.0
        assert stub.truth().given.largest < 1.0

    def test_commands_of_one_connection_are_answered_in_their_order(self, stub: StubServer) -> None:
        stub.inject(Injection(0.05))
        with connections(stub, 1) as (side,):
            side.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nq\r\n$1\r\n1\r\n*2\r\n$3\r\nGET\r\n$1\r\nq\r\n")
            heard = b""
            while len(heard) < 12:
                heard += side.recv(100)
        assert heard == b"+OK\r\n$1\r\n1\r\n"

    def test_a_stall_holds_every_answer_to_its_end(self, stub: StubServer) -> None:
        stub.inject(Injection(0.01, stall_from=0.1, stall=0.4))
        with connections(stub, 3) as (first, second, third):
            first.sendall(GET)
            assert first.recv(100) == NOTHING
            began = time.perf_counter()
            time.sleep(0.15)
            second.sendall(GET)
            third.sendall(GET)
            assert second.recv(100) == third.recv(100) == NOTHING
            ended = time.perf_counter() - began
            first.sendall(GET)
            assert first.recv(100) == NOTHING
        truth = stub.truth()
        assert ended >= 0.49  # the first answer left 0.01 after the first arrival
        assert (truth.arrivals, truth.stalled) == (4, 2)
        assert truth.given.percentiles([100.0])[100.0] < 0.4 + 0.01 + truth.late.largest

    def test_a_new_injection_forgets_the_old_one(self, stub: StubServer) -> None:
        stub.inject(Injection(30.0))
        with connections(stub, 2) as (old, new):
            old.sendall(GET)
            deadline = time.monotonic() + PATIENCE
            while stub.truth().waiting != 1:
                assert time.monotonic() < deadline
            stub.inject(Injection(0.0))
            new.sendall(GET)
            assert new.recv(100) == NOTHING
        assert (stub.truth().arrivals, stub.truth().waiting) == (1, 0)

    def test_two_thousand_connections_are_held(self, stub: StubServer) -> None:
        """As many as a stall of a second leaves open at 2,000 a second."""
        resource = pytest.importorskip("resource")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if 0 <= hard < 5_000:
            pytest.skip("this machine allows fewer open files")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 5_000) if soft >= 0 else soft, hard))
        stub.inject(Injection(0.001, stall_from=0.0, stall=1.0))
        with connections(stub, 2_000) as sides:
            for side in sides:
                side.sendall(GET)
            assert all(side.recv(100) == NOTHING for side in sides)
        truth = stub.truth()
        assert truth.answers == 2_000
        assert truth.troubles == ()

    def test_the_truth_survives_the_pipe(self) -> None:
        late = Histogram()
        late.record(0.00005)
        truth = Truth(Injection(0.002), 5, 1, 0, 4, Histogram(), late, ("odd (2 times)",))
        again = Truth.from_data(truth.to_data())
        assert again.to_data() == truth.to_data()
        assert again.admitted(50.0) == pytest.approx(0.00005)


class TestItsEnd:
    def test_it_ends_with_the_block(self) -> None:
        with StubServer() as stub:
            process = psutil.Process(stub._process.pid)
        assert not process.is_running()
        stub.close()

    def test_who_asks_a_dead_one_is_told(self) -> None:
        with StubServer() as stub:
            os.kill(stub._process.pid, signal.SIGKILL)
            stub._process.wait(PATIENCE)
            with pytest.raises(StubError, match="stub server"):
                stub.truth()

    @pytest.mark.parametrize("inherited", [False, True])
    def test_it_ends_with_a_parent_that_is_killed(self, tmp_path: Path, inherited: bool) -> None:
        """Also where the other end of its pipe lives on, in a child that its parent forked."""
        fork = "import os, time; os.fork() or time.sleep(60)" if inherited else ""
        script = tmp_path / "parent.py"
        script.write_text(
            "import time\nfrom stackproof.scenarios.stub import StubServer\nstub = StubServer()\n"
            f"{fork}\nprint(stub._process.pid, flush=True)\ntime.sleep(60)\n"
        )
        parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, start_new_session=True)
        try:
            assert parent.stdout is not None
            stub = psutil.Process(int(parent.stdout.readline()))
            parent.kill()
            parent.wait(PATIENCE)
            gone, _ = psutil.wait_procs([stub], PATIENCE)
            assert gone
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(parent.pid, signal.SIGKILL)
            parent.wait(PATIENCE)
            parent.stdout and parent.stdout.close()
