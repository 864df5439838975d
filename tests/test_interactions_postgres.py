"""The interaction store on PostgreSQL: its contract, and what only a database can get wrong."""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from shared_servers import postgres_server, postgres_url

from stackproof.adapters.interactions.memory import MemoryInteractionStore
from stackproof.adapters.interactions.postgres import EVENTS_PER_TIMEOUT, MIGRATIONS, PostgresInteractionStore
from stackproof.adapters.postgres_pool import PostgresPool
from stackproof.adapters.postgres_schema import Migration, schema_name
from stackproof.adapters.settings import Settings
from stackproof.contracts.expectations import eventually
from stackproof.contracts.interaction_samples import about, alltime, contact, expect_summaries, history, walk
from stackproof.contracts.interactions import InteractionContract
from stackproof.interfaces import (
    BackendError,
    ClosedError,
    ConfigurationError,
    IndeterminateError,
    OperationTimeoutError,
    RejectedError,
    UnavailableError,
)
from stackproof.servers.embedded import EmbeddedPostgres
from stackproof.servers.ports import free_port

Make = Callable[..., PostgresInteractionStore]


@pytest.fixture
def server() -> EmbeddedPostgres:
    return postgres_server()


@pytest.fixture
def url() -> str:
    return postgres_url()


@pytest.fixture
def make(url: str, request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes stores on one namespace, which goes away after the test."""
    namespace = f"t_{abs(hash(request.node.name)):x}"[:24]
    made: list[PostgresInteractionStore] = []

    def make_one(**options: Any) -> PostgresInteractionStore:
        made.append(PostgresInteractionStore(**{"url": url, "namespace": namespace, **options}))
        return made[-1]

    yield make_one
    for store in made:
        store.disconnect()
    with PostgresInteractionStore(url=url, namespace=namespace) as last:
        last.drop_namespace()


class TestPostgresInteractionStore(InteractionContract):
    def make_backend(self, namespace: str) -> PostgresInteractionStore:
        return PostgresInteractionStore(url=postgres_server().variables()["DATABASE_URL"], namespace=namespace)

    def make_unreachable(self, namespace: str) -> PostgresInteractionStore:
        return PostgresInteractionStore(url=f"postgresql://127.0.0.1:{free_port()}/none", namespace=namespace)


def test_it_gives_what_the_reference_gives(make: Make) -> None:
    """Single and batch statements each have SQL of their own; both must agree with the definition on many periods."""
    rng = random.Random(20261123)
    events = history(rng, 300)
    days = [
        datetime(year, 12, 26, 12, tzinfo=UTC) + timedelta(days=n) for year in (1, 999, 2019, 2026) for n in range(14)
    ]
    events += [contact(tenant="days", timestamp=day) for day in days]
    reference, store = MemoryInteractionStore(), make()
    for event in events[:200]:
        reference.record_event(event)
        store.record_event(event)
    reference.record_events(events[200:])
    store.record_events(events[200:])
    for tenant in ("bank", "shop", "days"):
        for customer in ("c-1", "c-2"):
            query = about(tenant=tenant, customer=customer, limit=50)
            assert walk(store, query) == walk(reference, query)


def test_eight_threads_count_on_one_summary(make: Make) -> None:
    store = make()

    def record(start: int) -> None:
        for n in range(50):
            store.record_event(contact(event_id=f"{start}-{n}", value=Decimal("0.01")))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(record, range(8)))
    row = alltime(store)
    assert row is not None
    assert (row.positive, row.total_value) == (400, Decimal("4.00"))


def test_a_batch_longer_than_one_time_limit(make: Make) -> None:
    store = make()
    events = [contact(customer=f"c-{n % 50}", value=Decimal("0.1")) for n in range(EVENTS_PER_TIMEOUT + 7)]
    store.record_events(events)
    store.record_events(events[:EVENTS_PER_TIMEOUT])
    assert sum(row.total_value for n in range(50) if (row := alltime(store, customer=f"c-{n}"))) == Decimal("500.7")


def test_singles_and_batches_do_not_deadlock(make: Make) -> None:
    store = make()
    events = [contact(event_id=f"e-{n}", offer=f"o-{n % 9}", channel="cd"[n % 2]) for n in range(90)]

    def batches(n: int) -> None:
        for _ in range(5):
            store.record_events(events if n % 2 else events[::-1])
            for event in events[n::9]:
                store.record_event(replace(event, event_id=f"{event.event_id}-single"))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(batches, range(8)))
    singles = [replace(e, event_id=f"{e.event_id}-single") for n in range(8) for e in events[n::9]]
    expect_summaries(walk(store, about()), [*events, *singles], about(), "after singles and batches")


def test_the_batch_that_makes_a_sum_too_long_is_named(make: Make) -> None:
    store = make()
    store.record_event(contact(value=Decimal(10**37)))
    harmless, culprit = contact(value=Decimal(0)), contact(value=Decimal("0.1"))
    with pytest.raises(RejectedError, match="38 digits") as caught:
        store.record_events([harmless, culprit])
    assert list(caught.value.failed) == [culprit.event_id]
    with pytest.raises(RejectedError, match="38 digits") as caught:
        store.record_event(culprit)
    assert isinstance(caught.value.__cause__, RejectedError)
    assert isinstance(caught.value.__cause__.__cause__, psycopg.errors.CheckViolation)


def test_an_empty_batch_is_refused_after_disconnect_too(make: Make) -> None:
    store = make()
    store.record_events([])
    store.disconnect()
    with pytest.raises(ClosedError):
        store.record_events([])


def test_migrations_from_many_instances_at_once(make: Make) -> None:
    stores = [make(max_connections=1) for _ in range(8)]
    barrier = threading.Barrier(8)

    def first_use(store: PostgresInteractionStore) -> None:
        barrier.wait(10)
        store.record_event(contact(event_id="the same"))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(first_use, stores))
    row = alltime(stores[0])
    assert row is not None
    assert row.positive == 1


def test_a_later_migration_is_applied_once(url: str) -> None:
    later = (*MIGRATIONS, Migration(2, "ALTER TABLE interactions ADD COLUMN note text NOT NULL DEFAULT ''"))
    pools = [
        PostgresPool(url, component="interactions", namespace="later", migrations=steps)
        for steps in (MIGRATIONS, later, later, MIGRATIONS)
    ]
    try:
        for pool in pools:
            pool.run(lambda connection: connection.execute("SELECT count(*) FROM interactions"), writes=False)
        versions = pools[0].run(
            lambda connection: connection.execute("SELECT version FROM migrations ORDER BY 1").fetchall(), writes=False
        )
        assert versions == [(1,), (2,)]
    finally:
        pools[0].drop_namespace()
        for pool in pools:
            pool.close()


def test_a_dropped_namespace_comes_back_empty(make: Make) -> None:
    store, witness = make(), make()
    for instance in (store, witness):
        instance.record_event(contact())
    store.drop_namespace()
    assert alltime(witness) is None  # its prepared statements and its migrations are out of date
    witness.record_event(contact())
    assert alltime(store) is not None


def test_a_restarted_server_is_found_again(make: Make, server: EmbeddedPostgres) -> None:
    store = make(operation_timeout=3.0)
    before = contact()
    store.record_event(before)
    server.kill()
    for operation in (lambda: store.record_event(contact()), lambda: store.get_summaries(about())):
        began = time.monotonic()
        with pytest.raises(UnavailableError) as caught:
            operation()
        assert time.monotonic() - began < 3.0
        assert server.variables()["DATABASE_URL"].split(":")[2].split("@")[0] not in str(caught.value)
    assert store.ping() is False
    server.start()
    assert store.ping() is True
    expect_summaries(walk(store, about()), [before], about(), "what was stored before the crash")
    server.restart()  # with the connection idle in the pool
    after = contact()
    store.record_event(after)
    expect_summaries(walk(store, about()), [before, after], about(), "after the second restart")


def test_a_crash_under_load_loses_and_doubles_nothing(make: Make, server: EmbeddedPostgres) -> None:
    """Callers repeat what failed, under the same event id, as the errors allow."""
    store = make(operation_timeout=3.0)
    store.record_event(contact(event_id="first"))
    failures: list[BackendError] = []
    down = threading.Event()

    def record(share: int) -> int:
        """Write at least 150, and go on until the server was killed: so that some are under way then."""
        for n in itertools.count():
            if n >= 150 and down.is_set():
                return n
            event = contact(event_id=f"{share}-{n}", value=Decimal("0.01"))
            while True:
                try:
                    store.record_event(event)
                    break
                except (UnavailableError, IndeterminateError, OperationTimeoutError) as error:
                    failures.append(error)
                    down.wait(10)
        raise AssertionError

    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(record, share) for share in range(4)]
        try:
            eventually(
                lambda: (row := alltime(store)) is not None and row.positive > 30, "the writers are at work", within=10
            )
            server.kill()
            server.start()
        finally:
            down.set()
        written = sum(writer.result(60) for writer in running)
    row = alltime(store)
    assert row is not None
    assert (row.positive, row.total_value) == (written + 1, written * Decimal("0.01"))
    assert failures


def test_a_hanging_server_does_not_hang_the_caller(make: Make) -> None:
    make().record_event(contact())  # makes the tables, which may take longer
    store = make(operation_timeout=1.0, max_connections=1)
    assert alltime(store) is not None
    # Of its own connection: those of earlier tests, which the server knows too, may be ending now.
    ((pid,),) = store._pool.run(lambda own: own.execute("SELECT pg_backend_pid()").fetchall(), writes=False)
    event = contact()
    try:
        os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(IndeterminateError):
            store.record_event(event)
        assert 0.9 < time.monotonic() - began < 2.5
    finally:
        os.kill(pid, signal.SIGCONT)
    store.record_event(event)  # repeated, as the error allows
    row = alltime(store)
    assert row is not None
    assert row.positive == 2


def test_a_statement_that_waits_too_long_is_rolled_back(make: Make, url: str) -> None:
    patient, store = make(), make(operation_timeout=0.6)
    event = contact()
    patient.record_event(event)  # makes the tables, which may take longer
    eventually(store.ping, "it has a connection", within=10)
    with psycopg.connect(url) as other:
        other.execute(f'LOCK TABLE "{schema_name("interactions", _namespace_of(store))}".summaries')
        with pytest.raises(OperationTimeoutError):
            store.record_event(contact())
        with pytest.raises(OperationTimeoutError):
            store.get_summaries(about())
    expect_summaries(walk(patient, about()), [event], about(), "after the lock was released")


def test_no_free_connection_is_a_timeout(url: str) -> None:
    pool = PostgresPool(url, component="x", max_connections=1, operation_timeout=0.5)
    try:
        with ThreadPoolExecutor(1) as thread:
            entered = threading.Event()
            release = threading.Event()
            busy = thread.submit(pool.run, lambda _: (entered.set(), release.wait(5)), writes=False)
            entered.wait(5)
            with pytest.raises(OperationTimeoutError, match="free"):
                pool.run(lambda connection: connection.execute("SELECT 1"), writes=False)
            release.set()
            assert busy.result(5)[1]
        assert pool.ping()
    finally:
        pool.close()


def test_a_connection_that_breaks_under_a_write_leaves_the_outcome_open(url: str) -> None:
    pool = PostgresPool(url, component="x")

    def end_itself(connection: Any) -> None:
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    try:
        with pytest.raises(IndeterminateError):
            pool.run(end_itself, writes=True)
        with pytest.raises(UnavailableError):
            pool.run(end_itself, writes=False)
        assert pool.ping()
    finally:
        pool.close()


def test_an_unreachable_server_is_named_without_its_password() -> None:
    began = time.monotonic()
    with (
        PostgresInteractionStore(
            url=f"postgresql://joe:s3cret@127.0.0.1:{free_port()}/db?options=-csecret%3D1"
        ) as store,
        pytest.raises(UnavailableError, match=r"127\.0\.0\.1") as caught,
    ):
        store.record_event(contact())
    assert time.monotonic() - began < 5.0
    assert "cret" not in str(caught.value)


def test_a_wrong_password_is_not_shown(url: str) -> None:
    wrong = url.replace("://stackproof:", "://stackproof:wr0ng")
    with PostgresInteractionStore(url=wrong) as store, pytest.raises(UnavailableError) as caught:
        store.get_summaries(about())
    assert "wr0ng" not in str(caught.value)
    assert not store.ping()


@pytest.mark.parametrize(
    "url",
    [
        "postgres//joe:s3cret@h/db",
        "postgresql://joe:s3cret@h:port/db?nonsense=1",
        "s3cret",
        "postgresql://joe:s3/cret@h/db",
        "postgresql://joe:12/s3cret@h/db",
        "postgresql://joe:s3@cret@h/db",
    ],
)
def test_a_url_that_cannot_be_read_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        PostgresInteractionStore(url=url)
    assert "cret" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_settings() -> None:
    with pytest.raises(ConfigurationError, match="DATABASE_URL"):
        PostgresInteractionStore.from_settings(Settings({}))
    PostgresInteractionStore.from_settings(Settings({"DATABASE_URL": "postgresql://h/db"}), "n").disconnect()


def test_schema_names_are_one_to_one_and_short() -> None:
    namespaces = [
        "",
        "a",
        "A",
        "a_",
        "a__",
        "a_5f_",
        "a-b",
        "a_2d_b",
        "ab",
        "é",
        "x" * 30,
        "x" * 60,
        "x" * 61,
        "y" * 61,
    ]
    names = [schema_name(component, n) for component in ("search", "interactions") for n in namespaces]
    assert all(len(name.encode()) <= 63 for name in names)
    assert len(set(names)) == len(names) - 1  # the empty namespace is one schema for all components


def test_pages_are_read_by_the_index(make: Make, url: str) -> None:
    """A plan that was made while the table was empty must not scan it when it has grown."""
    store = make()
    store.record_event(contact())
    pool = store._pool
    plan = pool.run(
        lambda connection: connection.execute(
            "EXPLAIN SELECT * FROM summaries WHERE tenant = 'a' AND customer = 'b'"
            " ORDER BY period_type, period_key DESC, offer, creative, channel LIMIT 10"
        ).fetchall(),
        writes=False,
    )
    assert any("summaries_page" in line for (line,) in plan)
    assert not any("Sort" in line or "Seq Scan" in line for (line,) in plan)


def _namespace_of(store: PostgresInteractionStore) -> str:
    return store._pool._namespace


def test_who_has_waited_longest_gets_the_connection_that_becomes_free(url: str) -> None:
    pool = PostgresPool(url, component="x", max_connections=1, operation_timeout=30.0)
    served: list[int] = []
    release, entered = threading.Event(), threading.Event()
    try:
        with ThreadPoolExecutor(6) as threads:
            busy = threads.submit(pool.run, lambda _: (entered.set(), release.wait(20)), writes=False)
            entered.wait(10)
            waiting = []
            for number in range(5):
                waiting.append(threads.submit(pool.run, lambda _, n=number: served.append(n), writes=False))
                eventually(lambda n=number: len(pool._waiting) == n + 1, "who waits", within=10)
            release.set()
            for each in (busy, *waiting):
                each.result(20)
        assert served == [0, 1, 2, 3, 4]
        assert not pool._waiting
    finally:
        release.set()
        pool.close()


def test_a_connection_that_broke_makes_room_for_who_waits(url: str) -> None:
    pool = PostgresPool(url, component="x", max_connections=1, operation_timeout=30.0)
    release, entered = threading.Event(), threading.Event()

    def break_it(connection: Any) -> None:
        entered.set()
        release.wait(20)
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    try:
        with ThreadPoolExecutor(3) as threads:
            broken = threads.submit(pool.run, break_it, writes=False)
            entered.wait(10)
            waiting = [threads.submit(pool.ping) for _ in range(2)]
            eventually(lambda: len(pool._waiting) == 2, "who waits", within=10)
            release.set()
            assert [each.result(20) for each in waiting] == [True, True]
            with pytest.raises(UnavailableError):
                broken.result(20)
    finally:
        release.set()
        pool.close()


def test_who_waits_when_the_pool_is_closed_is_told_so(url: str) -> None:
    pool = PostgresPool(url, component="x", max_connections=1, operation_timeout=5.0)
    release, entered = threading.Event(), threading.Event()
    with ThreadPoolExecutor(3) as threads:
        busy = threads.submit(pool.run, lambda _: (entered.set(), release.wait(20)), writes=False)
        entered.wait(10)
        waiting = threads.submit(pool.run, lambda _: None, writes=False)
        eventually(lambda: len(pool._waiting) == 1, "who waits", within=10)
        closing = threads.submit(pool.close)
        with pytest.raises(ClosedError):
            waiting.result(20)
        release.set()
        busy.result(20)
        closing.result(20)
    assert not pool._idle
