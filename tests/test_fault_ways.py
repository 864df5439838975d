"""The ways through fault proxies: which variables lead there, what stays as it is, and which addresses cannot be met."""

from __future__ import annotations

import re
from contextlib import closing

import pytest
from shared_servers import postgres_url

from stackproof.adapters.registry import backends
from stackproof.adapters.settings import Settings
from stackproof.contracts.faulty import Fault
from stackproof.interfaces import ConfigurationError
from stackproof.targets import parse_target
from stackproof.verification.around import around
from stackproof.verification.faults import SHORT, Way, behind, way_to


def way(target: str) -> Way:
    found = way_to(parse_target(target))
    assert found is not None
    return found


def test_there_is_a_way_to_every_backend_with_a_server() -> None:
    for entry in backends():
        if entry.server:
            assert way_to(parse_target(f"{entry.concern}={entry.name}")), entry.name
        else:
            assert way_to(parse_target(f"{entry.concern}={entry.name}")) is None
    assert way_to(parse_target("cache=mine:make")) is None


def test_a_postgres_keeps_its_secrets_its_path_and_the_host_of_its_certificate() -> None:
    settings = Settings(
        {"DATABASE_URL": "postgresql://me:p%40ss@localhost:7777/db?sslmode=verify-full", "OTHER": "kept"}
    )
    faults, changed = behind(way("search=postgres"), settings)
    with closing(faults):
        for fault in faults.kinds():
            faults.begin(fault)
        for fault in set(Fault) - faults.kinds():
            with pytest.raises(ValueError, match="no TCP proxy"):
                faults.begin(fault)
        faults.end()
        url = changed.variables["DATABASE_URL"]
        assert re.fullmatch(r"postgresql://me:p%40ss@localhost:\d+/db\?sslmode=verify-full&hostaddr=127\.0\.0\.1", url)
        assert ":7777" not in url
        assert changed.variables["OTHER"] == "kept"
        assert SHORT.items() <= changed.variables.items()
        assert faults.happened() == 0


def test_the_address_of_a_redis_stays_and_is_reached_elsewhere() -> None:
    """Its certificate names the host of the URL, and the nodes of a cluster say where they are themselves."""
    settings = Settings(
        {"REDIS_URL": "rediss://me:p%40ss@localhost:7777/3", "REDIS_ADDRESS_MAP": "localhost:7777=here:1"}
    )
    faults, changed = way("cache=upstash").through(settings)
    with closing(faults):
        assert list(changed) == ["REDIS_ADDRESS_MAP"]
        assert re.fullmatch(r"localhost:7777=127\.0\.0\.1:\d+", changed["REDIS_ADDRESS_MAP"])


def test_a_list_of_hosts_leads_through_a_proxy_for_each() -> None:
    one, changed = way("interactions=scylla").through(Settings({"SCYLLA_CONTACT_POINTS": "db.example:9999"}))
    with closing(one):
        there = changed["SCYLLA_CONTACT_POINTS"]
        assert re.fullmatch(r"127\.0\.0\.1:\d+", there)
        assert changed["SCYLLA_ADDRESS_MAP"] == f"*={there}", "whatever the one node calls itself"
    two, changed = way("interactions=scylla").through(Settings({"SCYLLA_CONTACT_POINTS": "a:1, [::1]"}))
    with closing(two):
        first, second = changed["SCYLLA_CONTACT_POINTS"].split(",")
        assert first != second
        assert changed["SCYLLA_ADDRESS_MAP"] == f"a:1={first},::1:9042={second}"
        two.begin(Fault.REFUSED)
        two.end()
        assert two.happened() == 0


@pytest.mark.parametrize(
    ("target", "variables", "readable"),
    [
        ("interactions=scylla", {}, True),
        ("interactions=scylla", {"SCYLLA_TLS": "no"}, True),
        ("interactions=scylla", {"SCYLLA_TLS": "Yes"}, False),
        ("interactions=scylla", {"SCYLLA_CA_FILE": "/ca.pem"}, False),
        ("interactions=keyspaces", {"KEYSPACES_AUTH": "none"}, True),
        ("interactions=keyspaces", {}, False),
    ],
)
def test_pages_are_cut_where_what_passes_can_be_read(target: str, variables: dict[str, str], readable: bool) -> None:
    hosts = {"SCYLLA_CONTACT_POINTS": "a:1", "KEYSPACES_ENDPOINT": "a:1"}
    faults, _ = way(target).through(Settings({**hosts, **variables}))
    with closing(faults):
        assert (Fault.PAGES_CUT in faults.kinds()) is readable
        if not readable:
            with pytest.raises(ValueError, match="no TCP proxy"):
                faults.begin(Fault.PAGES_CUT)


def test_an_http_service_keeps_its_path_and_its_login() -> None:
    faults, changed = way("search=opensearch").through(Settings({"OPENSEARCH_URL": "http://u:p@search.example/x"}))
    with closing(faults):
        assert re.fullmatch(r"http://u:p@127\.0\.0\.1:\d+/x", changed["OPENSEARCH_URL"])
        assert faults.kinds() >= {Fault.THROTTLED, Fault.PART_REFUSED}


def test_a_service_of_amazon_is_met_where_any_of_them_is() -> None:
    faults, changed = way("events=kinesis").through(Settings({"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}))
    with closing(faults):
        assert list(changed) == ["AWS_ENDPOINT_URL_KINESIS"]


@pytest.mark.parametrize(
    ("target", "variable", "address", "why"),
    [
        ("cache=redis", "REDIS_URL", "unix:///run/redis.sock", "names no host and port"),
        ("search=postgres", "DATABASE_URL", "host=here dbname=x", "names no host and port"),
        ("search=opensearch", "OPENSEARCH_URL", "https://search.example", "no plain http:// address"),
        ("interactions=dynamodb", "AWS_REGION", "eu-west-1", "no plain http:// address"),
        *(("events=kafka", "KAFKA_BROKERS", hosts, "no list host:port") for hosts in ("", ",", "a:port", ":9042")),
    ],
)
def test_an_address_that_no_proxy_can_stand_in_front_of_is_refused(
    target: str, variable: str, address: str, why: str
) -> None:
    with pytest.raises(ConfigurationError, match=why):
        way(target).through(Settings({variable: address}))


def test_nowhere_leads_to_a_closed_port_and_around_no_proxy() -> None:
    assert way("interactions=scylla").nowhere() == {"SCYLLA_CONTACT_POINTS": "127.0.0.1:1", "SCYLLA_ADDRESS_MAP": ""}
    assert way("cache=redis").nowhere()["REDIS_URL"] == "redis://127.0.0.1:1/0"
    assert way("cache=redis").nowhere()["REDIS_ADDRESS_MAP"] == ""


def test_a_look_at_what_was_never_written_sees_nothing() -> None:
    """An adapter makes its tables with the first write that it does not refuse itself: a sequence can look before."""
    settings = Settings({"DATABASE_URL": postgres_url()})
    for concern in ("interactions", "search"):
        look = around(concern, "postgres", settings, "never_written")
        assert look is not None
        with closing(look):
            assert look.kept("anybody") == 0
