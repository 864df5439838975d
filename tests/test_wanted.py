"""What has to be measured for claims, and in which order."""

from __future__ import annotations

from dataclasses import replace

import pytest
from planning_samples import CLAIMS, DECISIONS, RECORDS, WRITES, ceiling, decisions, searches

from stackproof.cli import cli
from stackproof.measurement.promises import Promise
from stackproof.planning.claims import Claim, Measure
from stackproof.planning.wanted import Need, backends_of, needs

P99 = (Promise(99, 20),)
K = 1_000
ALL = tuple(CLAIMS.values())


def everything(_target: str) -> str:
    return ""


def no_opensearch(target: str) -> str:
    return "no wheel carries opensearch" if target == "search=opensearch" else ""


def names(found: tuple[Need, ...]) -> list[str]:
    return [need.scenario for need in found]


def test_what_decides_comes_first_and_what_cannot_run_here_last() -> None:
    def serves(target: str) -> str:
        return no_opensearch(target) or (
            "emulated" if target.partition("=")[2] in ("dynamodb", "msk", "scylla") else ""
        )

    found = needs(ALL, (), P99, serves)
    here = [need for need in found if not need.unreachable]
    assert names(here)[:5] == ["decision", "ingest", "summaries", "publish", "end-to-end"]
    assert {need.backends for need in here[5:]} == {("search=postgres",)}
    assert len(here[5:]) == 4 * 3
    assert [need.alone for need in here] == [False] * 5 + [True] * 12
    beyond = found[len(here) :]
    assert all(need.unreachable for need in beyond)
    assert {need.unreachable for need in beyond} == {"no wheel carries opensearch", "emulated"}
    assert found[0].claims == ("postgres-decisions",)
    assert found[0].promises == P99


def test_the_decision_runs_on_the_whole_stack() -> None:
    (need,) = needs([DECISIONS], (), P99, everything)
    assert need.backends == ("cache=redis", "events=redis", "interactions=postgres", "logs=console")


def test_what_is_known_is_not_measured_again() -> None:
    assert needs([DECISIONS], [decisions(400, 420)], P99, everything) == ()
    assert needs([WRITES], [ceiling(400, 420)], P99, everything) == ()
    assert needs([WRITES], [ceiling(2 * K, None)], P99, everything) == ()
    beside = CLAIMS["redis-events-throughput"]
    assert names(
        needs([beside], [ceiling(9, 10, scenario="publish", backends=("events=redis",))], P99, everything)
    ) == ["end-to-end"]


def test_a_search_that_decided_nothing_is_not_repeated_and_anything_weaker_is() -> None:
    assert needs([WRITES], [ceiling(900, 1_100)], P99, everything) == ()
    assert len(needs([WRITES], [ceiling(900, None, searched=False)], P99, everything)) == 1
    assert len(needs([WRITES], [ceiling(2 * K, 3 * K, refused=("it was cut short",))], P99, everything)) == 1


def test_a_size_is_measured_at_the_size_that_is_claimed() -> None:
    claim = CLAIMS["postgres-customers"]
    (need,) = needs([claim], (), P99, everything)
    assert dict(need.settings) == {"customers": 500_000, "depth": 1}
    known = ceiling(900, None, scenario="summaries", settings=dict(need.settings))
    assert needs([claim], [known], P99, everything) == ()
    other = replace(known, settings={**known.settings, "customers": 100_000})
    assert len(needs([claim], [other], P99, everything)) == 1


def test_a_size_that_the_scenario_does_not_take_is_told_and_not_tried() -> None:
    (need,) = needs([replace(CLAIMS["postgres-customers"], quantity=5e6)], (), P99, everything)
    assert "--set customers=5000000" in need.unreachable


def test_two_backends_are_compared_at_three_sizes_from_the_smallest_on() -> None:
    assert RECORDS.sizes == (10 * K, 100 * K, K * K)
    found = needs([RECORDS], (), P99, everything)
    assert len(found) == 4 * 3 * 2
    first = found[:6]
    assert {need.scenario for need in first} == {"search-term"}
    assert [dict(need.settings)["records"] for need in first] == [10 * K, 10 * K, 100 * K, 100 * K, K * K, K * K]
    assert [need.backends for need in first[:2]] == [("search=postgres",), ("search=opensearch",)]


def test_a_point_that_is_there_lets_the_other_backend_be_compared_although_it_cannot_run_here() -> None:
    kept = searches("search-term", {}, {10 * K: (10.0, 11.0)})
    found = needs([RECORDS], kept, P99, no_opensearch)
    assert (found[0].scenario, found[0].backends) == ("search-term", ("search=postgres",))
    assert dict(found[0].settings) == {"records": 10 * K}
    order = names(needs([RECORDS, CLAIMS["redis-events-throughput"], WRITES], kept, P99, no_opensearch))
    assert order[:4] == ["ingest", "publish", "end-to-end", "search-term"]  # before the halves of answers


def test_two_claims_that_ask_for_the_same_share_it() -> None:
    (need,) = needs([WRITES, replace(WRITES, id="again", quantity=5.0)], (), P99, everything)
    assert need.claims == ("postgres-writes", "again")


def test_claims_about_costs_ask_for_nothing() -> None:
    assert needs([claim for claim in ALL if claim.judged_by == "cost"], (), P99, everything) == ()


def test_a_scenario_whose_backends_nobody_names_is_not_asked_for() -> None:
    lonely = replace(WRITES, scenarios=(Measure("decision"),))
    assert backends_of(lonely, lonely.scenarios[0]) == ()
    assert needs([lonely], (), P99, everything) == ()


@pytest.mark.parametrize("claim", [claim for claim in ALL if claim.scenarios], ids=lambda claim: claim.id)
def test_the_command_of_a_need_is_one(claim: Claim) -> None:
    import click

    bench = cli.get_command(click.Context(cli), "bench")
    assert bench is not None
    for need in needs([claim], (), P99, everything):
        program, name, *words = need.command.split()
        assert (program, name) == ("stackproof", "bench")
        bench.make_context(name, words)
