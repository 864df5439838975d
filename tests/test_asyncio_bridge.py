"""asyncio backends under the contracts: correct ones pass, broken ones die by the clause that is about their defect."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from asyncio_backends import make_bus
from asyncio_caches import AsyncCache
from command_line import stackproof

from stackproof.contracts import bridged
from stackproof.contracts.expectations import eventually
from stackproof.interfaces import (
    Backend,
    CacheStore,
    ClosedError,
    ConfigurationError,
    OperationTimeoutError,
    UnavailableError,
)

HERE = Path(__file__).parent


def verdicts(backend: str, directory: Path, *clauses: str) -> dict[str, str]:
    """The verdicts of the core clauses (or of those that are named) on a backend of the modules beside this one."""
    out = directory / "out.json"
    chosen = [text for clause in clauses for text in ("--clause", clause)]
    path = {"PYTHONPATH": f"{HERE}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    stackproof("verify", "--backend", backend, "--json", str(out), *chosen, cwd=directory, env=path)
    return {row["clause"]: row["verdict"] for row in json.loads(out.read_text())["clauses"]}


@pytest.mark.parametrize(
    "backend",
    [
        "cache=asyncio_caches:good",
        "events=asyncio_backends:make_bus",
        "search=asyncio_backends:make_search",
        "interactions=asyncio_backends:make_store",
    ],
)
def test_a_correct_backend_holds_its_whole_contract(backend: str, tmp_path: Path) -> None:
    found = verdicts(backend, tmp_path)
    assert {clause: v for clause, v in found.items() if v not in ("PASS", "NOT_SUPPORTED")} == {}
    assert list(found.values()).count("PASS") >= 25


def test_replay_is_offered_where_the_backend_has_it(tmp_path: Path) -> None:
    asked = ("EVENT-36", "LIFE-02")
    assert verdicts("events=asyncio_backends:make_log", tmp_path, *asked) == dict.fromkeys(asked, "PASS")
    with make_bus("") as bus:
        assert not hasattr(bus, "replay")


@pytest.mark.parametrize(
    ("defect", "killed_by"),
    [
        ("no_single_flight", "CACHE-03"),
        ("keeps_its_lock", "CACHE-05"),
        ("leaves_its_sweeper", "LIFE-03"),
        ("forgets_to_await", "LIFE-03"),
    ],
)
def test_a_defect_dies_by_its_clause_and_by_no_other(defect: str, killed_by: str, tmp_path: Path) -> None:
    asked = ("CACHE-01", "CACHE-03", "CACHE-04", "CACHE-05", "CACHE-08", "LIFE-01", "LIFE-03", "LIFE-05", "LIFE-06")
    found = verdicts(f"cache=asyncio_caches:{defect}", tmp_path, *asked)
    assert {clause: found[clause] for clause in asked} == dict.fromkeys(asked, "PASS") | {killed_by: "FAIL"}


class Slow(AsyncCache):
    """Reads take as long as they are told, and say how they ended."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 30.0
        self.reading = threading.Event()
        self.cancelled = threading.Event()
        self.running = 0

    async def get(self, key: str) -> Any:
        self.reading.set()
        self.running += 1
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        finally:
            self.running -= 1
        return await super().get(key)


@pytest.fixture
def pair() -> Iterator[tuple[CacheStore, Slow]]:
    """A slow cache behind its bridge, and the cache itself."""
    made: list[Slow] = []

    def make() -> Slow:
        made.append(Slow())
        return made[0]

    cache = bridged(CacheStore, make, seconds=5.0)
    yield cache, made[0]
    cache.disconnect()


def in_thread(call: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """A call in a thread, and where its result or error will be."""
    ended: list[object] = []

    def run() -> None:
        try:
            ended.append(call())
        except ClosedError as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, ended


def test_callers_are_concurrent_on_the_loop(pair: tuple[CacheStore, Slow]) -> None:
    cache, slow = pair
    threads = [in_thread(lambda: cache.get("key"))[0] for _ in range(8)]
    eventually(lambda: slow.running == 8, "all calls are in flight", 4.0)
    cache.disconnect()
    for thread in threads:
        thread.join(10)


def test_a_call_that_takes_too_long_is_cancelled() -> None:
    made: list[Slow] = []
    cache = bridged(CacheStore, lambda: made.append(Slow()) or made[0], seconds=0.3)
    with pytest.raises(OperationTimeoutError, match=r"0\.3 s"):
        cache.get("key")
    assert made[0].cancelled.wait(5)
    cache.disconnect()


def test_an_interrupted_caller_cancels_its_coroutine(pair: tuple[CacheStore, Slow]) -> None:
    cache, slow = pair

    class Interruption(BaseException):
        pass

    def interrupt(_number: int, _frame: object) -> None:
        raise Interruption

    before = signal.signal(signal.SIGUSR1, interrupt)
    main = threading.get_ident()
    thread, _ = in_thread(lambda: slow.reading.wait(5) and signal.pthread_kill(main, signal.SIGUSR1))
    try:
        with pytest.raises(Interruption):
            cache.get("key")
    finally:
        thread.join(10)
        signal.signal(signal.SIGUSR1, before)
    assert slow.cancelled.wait(5)
    assert cache.ping()


def test_disconnect_ends_calls_that_are_in_flight(pair: tuple[CacheStore, Slow]) -> None:
    cache, slow = pair
    thread, ended = in_thread(lambda: cache.get("key"))
    assert slow.reading.wait(5)
    cache.disconnect()
    thread.join(5)
    assert isinstance(ended[0], ClosedError)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("stackproof-asyncio")]


def test_a_backend_that_still_answers_after_disconnect_is_not_covered_up() -> None:
    class Answers(AsyncCache):
        async def disconnect(self) -> None:
            self._sweeper.cancel()

    cache = bridged(CacheStore, Answers)
    cache.set("key", "value")
    cache.disconnect()
    assert cache.get("key") == "value"


def test_what_is_left_on_the_loop_is_named() -> None:
    class Leaves(AsyncCache):
        async def disconnect(self) -> None:
            await super().disconnect()
            self.task = asyncio.get_running_loop().create_task(asyncio.sleep(60))

    cache = bridged(CacheStore, Leaves)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cache.disconnect()
    assert [str(w.message) for w in caught] == ["on the event loop: disconnect left the task sleep behind"]


def test_a_loop_that_is_blocked_is_said_in_bounded_time() -> None:
    before, go_on = threading.active_count(), threading.Event()

    class Blocks(AsyncCache):
        async def disconnect(self) -> None:
            await super().disconnect()
            asyncio.get_running_loop().call_soon(go_on.wait, 60.0)

    cache = bridged(CacheStore, Blocks, seconds=0.3)
    with (
        pytest.warns(ResourceWarning, match="something blocks the event loop"),
        pytest.raises(OperationTimeoutError),
    ):
        cache.disconnect()
    go_on.set()
    eventually(
        lambda: threading.active_count() <= before, "the loop's thread ends, and not while other tests count them"
    )


def test_a_backend_that_cannot_be_made_leaves_no_thread() -> None:
    async def make() -> Any:
        raise UnavailableError("there is no server")

    before = threading.active_count()
    with pytest.raises(UnavailableError, match="no server"):
        bridged(CacheStore, make)
    assert threading.active_count() == before


def test_a_fork_does_not_use_the_loop_of_its_parent() -> None:
    cache = bridged(CacheStore, AsyncCache)
    cache.set("key", "value")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a process with threads is forked, on purpose
        child = os.fork()
    if not child:
        try:
            cache.get("key")
        except UnavailableError:
            cache.disconnect()
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert cache.get("key") == "value"
    cache.disconnect()


def test_only_the_interfaces_that_wait_have_a_bridge() -> None:
    with pytest.raises(TypeError, match="there is a bridge for CacheStore"):
        bridged(Backend, AsyncCache)  # type: ignore[type-abstract]


def test_what_is_no_backend_is_refused_at_once() -> None:
    before = threading.active_count()
    with pytest.raises(ConfigurationError, match="is a NoneType and no CacheStore: it has no delete, disconnect, get"):
        bridged(CacheStore, lambda: None)
    eventually(lambda: threading.active_count() == before, "the loop's thread ends")


def test_a_certificate_is_about_the_backend_behind_the_bridge(tmp_path: Path) -> None:
    source = Path(__file__).with_name("asyncio_caches.py").read_text()
    (tmp_path / "mine.py").write_text(source)
    (tmp_path / "bridge.py").write_text(
        "from mine import AsyncCache\nfrom stackproof.contracts import bridged\nfrom stackproof.interfaces import CacheStore\n"
        "def make(namespace):\n    return bridged(CacheStore, lambda: AsyncCache())\n"
    )
    done = stackproof("verify", "--backend", "cache=bridge:make", "--clause", "CACHE-02", "--out", "run", cwd=tmp_path)
    assert done.returncode == 3, done.stdout + done.stderr
    record = json.loads((tmp_path / "run" / "certificate.json").read_text())["targets"][0]
    assert record["backend"] == "mine.AsyncCache"
    assert "PARTIAL" in stackproof("verify", "--check", "run", cwd=tmp_path).stdout
    for changed in ("mine.py", "bridge.py"):
        (tmp_path / changed).write_text((tmp_path / changed).read_text() + "# changed\n")
        done = stackproof("verify", "--check", "run", cwd=tmp_path)
        assert done.returncode == 3
        assert "another mine.AsyncCache is installed" in done.stdout
        (tmp_path / changed).write_text((tmp_path / changed).read_text().removesuffix("# changed\n"))
