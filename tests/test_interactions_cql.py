"""The interaction stores over CQL: the contract on a Cassandra, and what only such a cluster can get wrong."""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from shared_servers import variables_of

from stackproof.adapters import cql_client
from stackproof.adapters.interactions import cql
from stackproof.adapters.interactions.keyspaces import KeyspacesInteractionStore
from stackproof.adapters.interactions.scylla import ScyllaInteractionStore
from stackproof.adapters.settings import Settings
from stackproof.contracts.expectations import ContractViolation
from stackproof.contracts.faulty import Fault
from stackproof.contracts.interaction_samples import NOON, about, contact, expect_summaries, walk
from stackproof.interfaces import (
    ConfigurationError,
    IndeterminateError,
    OperationTimeoutError,
    RejectedError,
    UnavailableError,
)
from stackproof.servers.ports import free_port
from stackproof.servers.proxy import FaultProxy
from stackproof.targets import parse_target
from stackproof.verification.faults import behind as behind_faults
from stackproof.verification.faults import way_to
from stackproof.verification.faults.hosts import HostFaults

Make = Callable[..., ScyllaInteractionStore]
SHORT = {"STACKPROOF_CONNECT_TIMEOUT": "1", "STACKPROOF_OPERATION_TIMEOUT": "1"}


def variables() -> Mapping[str, str]:
    return variables_of("cassandra")


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes stores on one namespace, which goes away after the test."""
    namespace = f"t-{uuid.uuid4().hex}"
    made: list[ScyllaInteractionStore] = []

    def make_one(**changes: str) -> ScyllaInteractionStore:
        settings = Settings({**variables(), **changes})
        made.append(ScyllaInteractionStore.from_settings(settings, namespace=namespace))
        return made[-1]

    yield make_one
    for store in made:
        store.disconnect()
    with ScyllaInteractionStore.from_settings(Settings(variables()), namespace=namespace) as last:
        last.drop_namespace()


# Claims and contacts


def test_a_record_that_broke_off_is_completed_by_its_repetition(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the repetition says, and whoever repeats: the first claim counts, once, in its own customer."""
    store, other = make(), make()
    first = contact(customer="c-1", value=Decimal("9.90"), outcome="first")
    write = cql_client.CqlClient.write

    def breaks_off(client: Any, statement: Any, parameters: Any = ()) -> Any:
        if statement == store._statements.contact:
            raise UnavailableError("no node can be reached")
        return write(client, statement, parameters)

    monkeypatch.setattr(cql_client.CqlClient, "write", breaks_off)
    with pytest.raises(IndeterminateError, match="repeat it"):
        store.record_event(first)
    monkeypatch.undo()
    assert walk(other, about()) == [], "nothing is counted yet"
    other.record_event(replace(first, customer="c-2", value=Decimal(5), timestamp=NOON + timedelta(days=40)))
    expect_summaries(walk(store, about(customer="c-1")), [first], about(customer="c-1"), "the first claim")
    assert walk(store, about(customer="c-2")) == []


def test_every_page_of_the_server_is_read(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of four rows: in one go, from a cursor in each kind of period, and where reading stops early."""
    monkeypatch.setattr(cql_client, "PAGE_ROWS", 4)
    monkeypatch.setattr(cql, "PAGE_ROWS", 4)
    store = make()
    events = [
        contact(
            offer=f"o-{n % 3}",
            channel="web" if n % 2 else "",
            timestamp=NOON - timedelta(hours=31 * n),
            value=Decimal(n),
        )
        for n in range(30)
    ]
    for event in events:
        store.record_event(event)
    for limit in (1, 7, 200):
        query = about(limit=limit)
        expect_summaries(walk(store, query), events, query, f"pages of {limit} over server pages of 4")
    query = about(channel="web", limit=3)
    expect_summaries(walk(store, query), events, query, "a filter over server pages of 4")


def test_names_that_no_server_takes_as_a_key_find_nothing(make: Make) -> None:
    store = make()
    for name in ("", "x" * 70_000):
        assert walk(store, about(customer=name)) == []
        assert walk(store, about(tenant=name)) == []
    with pytest.raises(RejectedError):
        store.get_summaries(about(customer="\ud800"))


def test_a_dropped_namespace_leaves_its_neighbours(make: Make) -> None:
    with ScyllaInteractionStore.from_settings(Settings(variables()), namespace=f"n-{uuid.uuid4().hex}") as neighbour:
        store = make()
        event = contact(event_id="same")
        for each in (store, neighbour):
            each.record_event(event)
        store.drop_namespace()
        assert walk(store, about()) == []
        expect_summaries(walk(neighbour, about()), [event], about(), "the neighbour's summaries")
        store.record_event(event)
        expect_summaries(walk(store, about()), [event], about(), "the same id after the drop")
        neighbour.drop_namespace()


def test_the_empty_namespace_is_not_dropped() -> None:
    with (
        ScyllaInteractionStore.from_settings(Settings(variables())) as store,
        pytest.raises(ConfigurationError, match="real data"),
    ):
        store.drop_namespace()


# Addresses, and a server in trouble


def through_proxies() -> tuple[HostFaults, Mapping[str, str]]:
    """Faults before the server, and the variables that lead through them."""
    way = way_to(parse_target("interactions=scylla"))
    assert way is not None
    faults, settings = behind_faults(way, Settings(variables()))
    assert isinstance(faults, HostFaults)
    return faults, settings.variables


def test_every_connection_goes_where_the_map_says(make: Make) -> None:
    faults, behind = through_proxies()
    with closing(faults):
        store = make(**behind)
        store.record_event(contact())
        link = store._client._link
        assert link is not None
        host, _, port = behind["SCYLLA_CONTACT_POINTS"].partition(":")
        found = {
            connection._socket.getpeername() for connection in cql_client.connections_of(link.cluster, link.session)
        }
        assert found == {(host, int(port))}, "none goes around the proxy"


def test_pages_that_end_early_or_are_empty_are_read_on(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that the server itself was made to end; and a client that takes the first one for all is found out by them."""
    faults, behind = through_proxies()
    with closing(faults):
        store, events = make(**behind), [contact(offer=f"o-{n % 7}") for n in range(60)]
        for event in events:
            store.record_event(event)
        assert faults.happened() == 0
        faults.begin(Fault.PAGES_CUT)
        expect_summaries(walk(store, about(limit=5)), events, about(limit=5), "over short pages")
        counts = faults._pages.counts
        assert min(counts["pages cut"], counts["empty pages"]) > 3
        assert sum(counts.values()) == faults.happened()
        patiently = cql_client.CqlClient._patiently
        first_page_only = SimpleNamespace(paging_state=None)

        def cut(client: Any, statement: Any, parameters: Any = (), state: Any = None) -> Any:
            first_page_only.current_rows = patiently(client, statement, parameters, state).current_rows
            return first_page_only

        monkeypatch.setattr(cql_client.CqlClient, "_patiently", cut)
        with pytest.raises(ContractViolation):
            expect_summaries(walk(store, about(limit=200)), events, about(), "by who reads one page")
        monkeypatch.undo()
        faults.end()
        struck = faults.happened()
        expect_summaries(walk(store, about()), events, about(), "afterwards")
        assert faults.happened() == struck


def test_a_frozen_server_is_given_up_in_time_and_met_again(make: Make) -> None:
    faults, behind = through_proxies()
    proxy: FaultProxy = faults._proxies[0]
    with closing(faults):
        store = make(**behind)
        store.record_event(contact())
        proxy.black_hole()
        for expected, call in (
            (IndeterminateError, lambda: store.record_event(contact())),
            (OperationTimeoutError, lambda: store.get_summaries(about())),
        ):
            began = time.monotonic()
            with pytest.raises((expected, UnavailableError)):
                call()
            assert time.monotonic() - began < 4.0, "the operation timeout is one second"
        assert not store.ping()
        proxy.heal()
        until = time.monotonic() + 10.0
        while not store.ping() and time.monotonic() < until:
            time.sleep(0.05)
        assert store.ping()


def test_contact_points_that_say_nothing_share_one_time_limit() -> None:
    """They accept connections and never answer, as frozen servers do; the one that lives is found among them."""
    dead = [socket.create_server((f"127.0.0.{n}", 0)) for n in (2, 3, 4)]
    try:
        points = ["{}:{}".format(*each.getsockname()) for each in dead]
        for hosts, alive in ((points, False), ([*points, variables()["SCYLLA_CONTACT_POINTS"]], True)):
            settings = {**variables(), "SCYLLA_CONTACT_POINTS": ",".join(hosts), "STACKPROOF_CONNECT_TIMEOUT": "4"}
            with ScyllaInteractionStore.from_settings(Settings(settings)) as store:
                began = time.monotonic()
                assert store.ping() is alive
                assert time.monotonic() - began < 7.0
    finally:
        for each in dead:
            each.close()


def test_a_closed_port_is_told_without_a_password() -> None:
    nowhere = {
        "SCYLLA_CONTACT_POINTS": f"127.0.0.1:{free_port()}",
        "SCYLLA_USERNAME": "alice",
        "SCYLLA_PASSWORD": "hush-hush",
        **SHORT,
    }
    with ScyllaInteractionStore.from_settings(Settings(nowhere)) as store:
        with pytest.raises(UnavailableError) as caught:
            store.record_event(contact())
        assert "hush" not in str(caught.value) + repr(caught.value.__cause__)
        assert "hush" not in repr(store._client.access)
        assert not store.ping()


def test_an_unknown_datacenter_is_named_with_the_known_ones() -> None:
    settings = Settings({**variables(), "SCYLLA_DATACENTER": "moon"})
    with (
        ScyllaInteractionStore.from_settings(settings) as store,
        pytest.raises(ConfigurationError, match="no datacenter 'moon'; it has: datacenter1"),
    ):
        store.get_summaries(about())


def test_the_datacenter_may_be_left_to_the_contact_point(make: Make) -> None:
    store = make(SCYLLA_DATACENTER="")
    store.record_event(contact())
    assert store._client.datacenter() == "datacenter1"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"SCYLLA_CONTACT_POINTS": ""}, "SCYLLA_CONTACT_POINTS is not set"),
        ({"SCYLLA_CONTACT_POINTS": "cql://me:secret@host"}, "must be a list host:port"),
        ({"SCYLLA_CONTACT_POINTS": "a:1,"}, "must be a list host:port"),
        ({"SCYLLA_ADDRESS_MAP": "a:1"}, "no node=instead"),
        ({"SCYLLA_USERNAME": "alice"}, "belong together"),
        ({"SCYLLA_TLS": "perhaps"}, "neither yes nor no"),
        ({"SCYLLA_TLS": "no", "SCYLLA_CA_FILE": "/ca.pem"}, "one of them is wrong"),
        ({"SCYLLA_CA_FILE": "/no/such/file"}, "SCYLLA_CA_FILE cannot be used"),
        ({"SCYLLA_KEYSPACE": "x; DROP"}, "must be a name of letters"),
    ],
)
def test_settings_that_cannot_work_are_one_sentence(changes: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        ScyllaInteractionStore.from_settings(Settings({"SCYLLA_CONTACT_POINTS": "host", **changes}))
    assert "secret" not in str(caught.value)


# TLS and a password


def test_over_tls_with_a_password_interactions_are_kept() -> None:
    """A server that takes nobody without both: what is not verified, or not known, gets in nowhere."""
    given = dict(variables_of("cassandra-tls"))
    wrong = {"SCYLLA_PASSWORD": "hush-hush"}, {"SCYLLA_USERNAME": "", "SCYLLA_PASSWORD": ""}, {"SCYLLA_CA_FILE": ""}
    for changes in wrong:
        with ScyllaInteractionStore.from_settings(Settings({**given, **changes})) as store:
            with pytest.raises(UnavailableError) as caught:
                store.record_event(contact())
            assert "hush" not in str(caught.value)
    with ScyllaInteractionStore.from_settings(Settings(given), namespace="tls") as store:
        event = contact()
        store.record_event(event)
        expect_summaries(walk(store, about()), [event], about(), "the summaries")


# Keyspaces, on what stands in for it


def test_the_stand_in_for_keyspaces_keeps_interactions() -> None:
    settings = {
        "KEYSPACES_ENDPOINT": variables()["SCYLLA_CONTACT_POINTS"],
        "KEYSPACES_AUTH": "none",
        "KEYSPACES_KEYSPACE": "stackproof_keyspaces",
    }
    with KeyspacesInteractionStore.from_settings(Settings(settings), namespace=f"k-{uuid.uuid4().hex}") as store:
        event = contact()
        store.record_event(event)
        expect_summaries(walk(store, about()), [event], about(), "the summaries")
        store.drop_namespace()
