"""Servers that are killed, frozen and cut from the network while threads write to them: nothing acknowledged is lost.

The time until an adapter works again is printed, kept as a property in JUnit, and bounded. Of Redis nothing is expected
to survive a kill: neither a cache nor pub/sub declares durability, and this server writes nothing to disk. What holds there:
nothing comes back altered, the gap of a subscription is told, and everything after it arrives.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pytest
from shared_servers import container, variables_of
from under_load import LOADS, Attempt, InteractionLoad, Load, Writers, errors_of

from stackproof.adapters.registry import find
from stackproof.adapters.settings import Settings
from stackproof.container import make_adapter
from stackproof.contracts.lifecycle import BOUNDED
from stackproof.interfaces import IndeterminateError, UnavailableError
from stackproof.servers.containers.container import ContainerServer
from stackproof.servers.containers.postgres import PostgresContainer

SHORT = {"STACKPROOF_CONNECT_TIMEOUT": "2", "STACKPROOF_OPERATION_TIMEOUT": "2"}
BACKENDS = {
    "postgres": ("interactions=postgres", "search=postgres"),
    "cassandra": ("interactions=scylla",),
    "kafka": ("events=kafka",),
    "opensearch": ("search=opensearch",),
    "kinesis": ("events=kinesis",),
    "redis": ("cache=redis", "events=redis"),
}
"""Server -> the backends that are written to at the same time."""
BEFORE, AFTER = 60, 60
"""Acknowledged writes of each backend, before the fault and after it."""
FIRST_SECONDS = 60.0
"""Until the first writes are acknowledged: tables, topics and streams are made by them."""
RECOVERY_SECONDS = 15.0
"""After the server answers again; two cores are busy with its start until then."""


@dataclass(frozen=True, slots=True)
class Site:
    """A server of its own, and what is written to it."""

    server: ContainerServer
    loads: list[Load]

    def names(self) -> str:
        return " and ".join(load.name for load in self.loads)


@pytest.fixture(scope="module", params=BACKENDS)
def server(request: pytest.FixtureRequest) -> Iterator[ContainerServer]:
    """A container that nobody else uses, since it is killed."""
    started = container(request.param)
    started.start()
    yield started
    started.stop()


@pytest.fixture
def site(server: ContainerServer) -> Iterator[Site]:
    variables = {**beside(server.name), **server.variables(), **SHORT}
    namespace = f"t-{uuid.uuid4().hex[:12]}"
    with contextlib.ExitStack() as ending:
        loads = []
        for target in BACKENDS[server.name]:
            concern, name = target.split("=")
            adapter = make_adapter(find(concern, name, "a test"), Settings(variables), namespace)
            ending.callback(adapter.disconnect)
            loads.append(LOADS[concern](target, adapter))
        yield Site(server, loads)
        for load in loads:
            load.end()


def beside(name: str) -> Mapping[str, str]:
    """Kinesis keeps the places of groups in DynamoDB, which stays unharmed."""
    return variables_of("aws") if name == "kinesis" else {}


Tell = Callable[[str, object], None]


@dataclass(slots=True)
class Outage:
    """When it began, and when the server itself was there again."""

    began: float = 0.0
    over: float = 0.0


def suffer(site: Site, hurt: Callable[[], None], heal: Callable[[], None]) -> tuple[Outage, list[Writers]]:
    """Write, hurt the server, wait until all writers know, heal it, and wait until all write again."""
    outage = Outage()
    with contextlib.ExitStack() as running:
        writers = [running.enter_context(Writers(load)) for load in site.loads]
        for each in writers:
            each.wait_for_writes(BEFORE, 0.0, FIRST_SECONDS)
        hurt()
        outage.began = time.monotonic()
        try:
            for each in writers:
                each.wait_for_errors(outage.began, 2 * BOUNDED)  # for the write that was under way, and the next one
        finally:
            heal()
        outage.over = time.monotonic()
        for each in writers:
            each.wait_for_writes(AFTER, outage.over, RECOVERY_SECONDS)
    return outage, writers


def report(outage: Outage, writers: list[Writers], what: str, tell: Tell) -> None:
    """The lines that a reader of the output sees, and the properties that JUnit keeps."""
    for each in writers:
        first = each.wait_for_writes(AFTER, outage.began, 0.0)
        recovery, since_server = first.ended - outage.began, max(0.0, first.ended - outage.over)
        name = each.load.name
        print(
            f"{name} {what}: worked again after {recovery:.2f} s, {since_server:.2f} s after its server; "
            f"{errors_of(each.attempts)}; the longest write took {each.longest():.2f} s"
        )
        tell(f"{name} {what}: seconds until it worked again", f"{recovery:.2f}")
        assert each.longest() < BOUNDED, f"{name}: a write took {each.longest():.1f} s"
        assert since_server < RECOVERY_SECONDS


def check(writers: list[Writers], what: str, killed: float | None = None) -> None:
    for each in writers:
        print(f"{each.load.name} {what}: {each.load.check(each.attempts, killed)}")


def test_a_killed_server_has_everything_that_was_acknowledged(site: Site, record_testsuite_property: Tell) -> None:
    outage, writers = suffer(site, site.server.kill, site.server.start)
    report(outage, writers, "killed", record_testsuite_property)
    check(writers, "killed", outage.began)


def test_a_frozen_server_is_an_error_in_bounded_time(site: Site, record_testsuite_property: Tell) -> None:
    outage, writers = suffer(site, site.server.pause, site.server.resume)
    report(outage, writers, "frozen", record_testsuite_property)
    check(writers, "frozen")


def test_a_server_that_was_cut_from_its_network_has_everything(site: Site, record_testsuite_property: Tell) -> None:
    outage, writers = suffer(site, site.server.disconnect, site.server.reconnect)
    report(outage, writers, "cut off", record_testsuite_property)
    check(writers, "cut off")


# That the tests see a loss


def test_a_server_that_acknowledges_too_early_is_found_out() -> None:
    """PostgreSQL that answers before a commit is on disk, and writes every ten seconds: what a kill takes is seen."""
    server = container("postgres")
    server.start()
    try:
        assert isinstance(server, PostgresContainer)
        for setting in ("synchronous_commit = off", "wal_writer_delay = '10s'"):
            server.ask(f"alter system set {setting}")
        server.ask("select pg_reload_conf()")
        settings = Settings({**server.variables(), **SHORT})
        with make_adapter(find("interactions", "postgres", "a test"), settings, "t") as store:
            load = InteractionLoad("hasty", store)
            load.write(-4)  # makes the tables, which is more than a commit
            server.ask("checkpoint")
            _outage, (writers,) = suffer(Site(server, [load]), server.kill, server.start)
            with pytest.raises(AssertionError, match="acknowledged writes are lost"):
                load.check(writers.attempts, None)
    finally:
        server.stop()


class Invented(Load):
    """What is said to be stored."""

    def __init__(self, numbers: list[int]) -> None:
        super().__init__("invented", None)
        self._numbers = numbers

    def write(self, number: int) -> None:
        raise NotImplementedError

    def stored(self, wanted: set[int]) -> Counter[int]:
        return Counter(self._numbers)


@pytest.mark.parametrize(
    ("numbers", "complaint"),
    [
        ([1], ""),
        ([1, 2], ""),
        ([], "1 acknowledged writes are lost"),
        ([1, 1], "applied more than once"),
        ([1, 3], "nothing was applied"),
        ([1, 9], "nobody wrote"),
    ],
)
def test_what_was_stored_is_held_against_what_was_said(numbers: list[int], complaint: str) -> None:
    said = {1: None, 2: IndeterminateError("perhaps"), 3: UnavailableError("no")}
    attempts = [Attempt(number, 0.0, 1.0, error) for number, error in said.items()]
    with pytest.raises(AssertionError, match=complaint) if complaint else contextlib.nullcontext():
        Invented(numbers).check(attempts, None)
