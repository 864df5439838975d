"""The cheapest stack, whether it can be told, when it is outgrown, and what it rests on. Two answers are worked out by hand."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from plan_samples import BOOK, KNOWN, MEASURED, NOTHING, answer, asked, known, one, plan, workload
from planning_samples import decisions

import stackproof.planning
from stackproof.planning.capabilities import parse_requirement
from stackproof.planning.cost import Choice
from stackproof.planning.demand import Demand
from stackproof.planning.feasibility import Status, Where
from stackproof.planning.outgrowth import outgrowth
from stackproof.planning.recommendation import Advisor, Rank, picks
from stackproof.planning.sensitivity import sensitivity
from stackproof.planning.stacks import find_planned_stack


def backends(found) -> dict[str, str]:
    assert found.best is not None
    return {part.concern: part.name for part in found.best.parts}


# -- by hand ----------------------------------------------------------------------------------------------------------


def prices() -> Mapping[str, Decimal]:
    """The price of one unit, read without any of our code."""
    text = (Path(stackproof.planning.__file__).parent / "prices.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text, parse_float=Decimal)["prices"]
    return {name: Decimal(row["amount"]) / row.get("per", 1) for name, row in data.items() if "amount" in row}


def test_ten_thousand_a_day_by_hand() -> None:
    p = prices()
    month = 304_167  # 10,000 x 730 / 24, rounded up
    instance = 730 * p["rds-postgres-db-t3-large"]
    storage = 20 * p["rds-storage"]  # 3.65 GB of interactions + 0.6 GB of summaries + 0.1 GB of documents: less than 20
    events = month * p["eventbridge-event"]
    queues = ((month + 2 * 30_417) * p["sqs-request"], (3 * month + 1_314_000) * p["sqs-request"])
    # 20,000 reads a day: 19,000 hits of one command, 1,000 misses of three
    hits, reads = 577_917, 608_334
    cache = (hits + 3 * (reads - hits)) * p["upstash-command"]
    logs = Decimal(month * 1024) / 10**9 * p["cloudwatch-logs-ingest"]
    kept = Decimal(10_000 * 30 * 1024) / 10**9 * p["cloudwatch-logs-storage"]
    found = answer(10_000)
    assert backends(found) == {
        "interactions": "postgres (rds)",
        "events": "eventbridge (bus)",
        "search": "postgres (rds)",
        "cache": "upstash (pay-as-you-go)",
        "logs": "cloudwatch (on-demand)",
    }
    assert found.best is not None
    # The first 5 GB of lines may be free.
    assert found.best.low == instance + storage + events + queues[0] + cache
    assert found.best.high == instance + storage + events + queues[1] + cache + logs + kept
    # The database carries it: 0.579/s of each, of 1,500/s and 4,000/s; and searches, 0.579/s of 300/s.
    peak = Fraction(10_000 * 5, 86_400)
    postgres = found.best.part("interactions")
    assert postgres.use == (peak / 1_500 + peak / 4_000) * Fraction(3, 2)
    assert found.best.part("search").use == peak / 300 * Fraction(3, 2)


def test_a_million_a_day_by_hand() -> None:
    p = prices()
    month = 30_416_667  # 1,000,000 x 730 / 24, rounded up
    instance = 730 * p["rds-postgres-db-t3-large"]
    # 365 days x 1,000,000 x 1,000 bytes + 0.6 GB of summaries, and 100,000 documents x 2,500 bytes on the same volume
    storage = (Decimal(365) + Decimal("0.6") + Decimal("0.25")) * p["rds-storage"]
    shard = 730 * (p["kinesis-shard"] + p["kinesis-extended-retention"])  # 57.9 records/s: one shard; kept 7 days
    puts = month * p["kinesis-put"]
    seconds = 730 * 3600
    lease = (
        Decimal(seconds // 4) * p["dynamodb-write-request"] + Decimal(seconds // 2) * p["dynamodb-read-request"],
        Decimal(seconds) * p["dynamodb-write-request"] + Decimal(seconds) * p["dynamodb-read-request"],
    )
    hits, reads = math.ceil(1_900_000 * 730 / 24), math.ceil(2_000_000 * 730 / 24)
    # a hit of 1,000 bytes is one unit, a miss three; 100,000 values are 0.1 GB. On Upstash it would be 133.83.
    units = hits + 3 * (reads - hits)
    cache = units * p["elasticache-serverless-valkey-ecpu"] + 73 * p["elasticache-serverless-valkey-storage"]
    assert units * p["upstash-command"] > cache
    gigabytes = Decimal(month * 1024) / 10**9
    kept = Decimal(1_000_000 * 30 * 1024) / 10**9 * p["cloudwatch-logs-storage"]
    found = answer(1_000_000)
    assert backends(found)["events"] == "kinesis (provisioned)"
    assert backends(found)["cache"] == "elasticache (serverless-valkey)"
    assert found.best is not None
    low = instance + storage + shard + puts + lease[0] + cache + (gigabytes - 5) * p["cloudwatch-logs-ingest"]
    high = instance + storage + shard + puts + lease[1] + cache + gigabytes * p["cloudwatch-logs-ingest"] + kept
    assert (found.best.low, found.best.high) == (low, high)
    assert 190 < high < 220


def test_five_volumes_have_five_answers() -> None:
    volumes = (10_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
    found = {volume: answer(volume) for volume in volumes}
    bests = [one.best for one in found.values()]
    assert all(bests)
    assert len({(best.name, best.low, best.high) for best in bests if best is not None}) == 5
    assert backends(found[10_000])["events"] != backends(found[1_000_000])["events"]
    assert backends(found[10_000_000])["interactions"] == "postgres (rds)"
    # 5,787/s: PostgreSQL is refuted, and DynamoDB over its quota; at 57,870/s also Keyspaces, and one Redis.
    assert backends(found[100_000_000])["interactions"] == "keyspaces (on-demand)"
    assert backends(found[1_000_000_000])["interactions"] in ("cassandra (self-hosted)", "scylla (self-hosted)")
    # 115,741 reads/s, 95 in 100 of them hits: 127,315 units a second, of the 15 M of its quota
    assert backends(found[1_000_000_000])["cache"] == "elasticache (serverless-valkey)"
    assert [best.rank for best in bests if best is not None][:3] == [Rank.SHOWN] * 3


# -- the rules --------------------------------------------------------------------------------------------------------


def test_an_unknown_cost_is_never_the_cheapest() -> None:
    found = answer(10_000)
    assert found.best is not None
    assert found.best.known
    cheaper = [one for one in found.options if one.low < found.best.low]
    assert cheaper, "stacks on machines of one's own have a known part that is less"
    assert not any(one.known for one in cheaper)
    assert {one.name for one in found.rivals} >= {one.name for one in cheaper}
    text = " ".join(statement.text for statement in plan(10_000).statements)
    assert "That it is the cheapest of all cannot be told" in text
    assert "self-hosted-host" in text


CACHES = (
    "upstash-command",
    "elasticache-cache-m4-large",
    "elasticache-serverless-valkey-ecpu",
    "elasticache-serverless-redis-ecpu",
)
"""The prices of the caches whose cost is known."""


def test_of_unknown_costs_the_one_counts_of_which_least_is_unknown() -> None:
    found = answer(10_000, book=BOOK.without(*CACHES))
    assert found.best is not None
    assert found.best.unpriced == 1
    assert min(one.low for one in found.options) < found.best.low
    assert backends(found)["interactions"] == "postgres (rds)"


def test_a_server_that_two_concerns_share_is_one_unknown() -> None:
    choices = [
        Choice("interactions", "postgres", "rds"),
        Choice("events", "kafka", "self-hosted"),
        Choice("events", "redis", "self-hosted"),
        Choice("search", "postgres", "rds"),
        Choice("cache", "upstash", "pay-as-you-go"),
        Choice("cache", "redis", "self-hosted"),
        Choice("logs", "cloudwatch", "on-demand"),
    ]
    advisor = Advisor(asked(), KNOWN, BOOK)
    found = advisor.answer(Demand.of(workload(10_000)), choices)
    # One machine for both, or brokers: an unknown each. With brokers 577,917 hits and 3 x 30,417 commands of misses at 0.20 for
    # 100,000 come on top, or another unknown machine. Upstash and a Redis of one's own have the same variable.
    told = [(one.part("events").backend, one.part("cache").backend, one.unpriced) for one in found.options]
    assert told == [("redis", "redis", 1), ("kafka", "upstash", 1), ("kafka", "redis", 2)]
    shared, brokers, _ = found.options
    assert brokers.low - shared.low == 669_168 * Decimal("0.20") / 100_000
    (why,) = shared.not_priced
    assert "self-hosted-host" in why
    for option in found.options:
        assert tuple(dict.fromkeys(option.not_priced)) == advisor.cost(option, found.demand).total.unknown


def test_two_concerns_are_not_put_on_a_server_that_cannot_store_both() -> None:
    # 36.5 TB of interactions and 56.5 TB of documents (4,600 + 1.5 x 248,000 bytes each): each alone is below 64 TiB (70.4 TB)
    measured = known(*MEASURED, one("search", "postgres", "search-term", 300, 330, records=150_000_000))
    sizes = {"retention_days": 3_650, "records": 150_000_000, "document_bytes": 250_000, "searches_per_day": 10}
    found = answer(10_000_000, measured=measured, **sizes)
    rds = [one for one in found.candidates if one.name == "postgres (rds)"]
    assert [one.status is Status.REJECTED for one in rds] == [False, False]
    assert not any(
        one.part("interactions").name == one.part("search").name == "postgres (rds)" for one in found.options
    )


def test_of_equal_costs_the_one_counts_with_the_fewest_servers() -> None:
    found = answer(10_000, about=asked(where=Where.LOCAL), log_retention_days=0)
    assert backends(found)["interactions"] == backends(found)["search"] == "postgres (local)"


def test_a_price_set_to_unknown_makes_its_sums_unknown() -> None:
    managed = asked(where=Where.MANAGED)
    found = answer(10_000, about=managed, book=BOOK.without(*CACHES))
    assert found.best is not None
    assert not found.best.known
    assert found.best.rank is Rank.COST_UNKNOWN
    row = plan(10_000, about=managed, book=BOOK.without(*CACHES)).recommended
    assert row is not None
    assert row.cost.text.startswith("at least")
    assert any("set to unknown" in reason for reason in row.cost.unknown)


LEAST_UNKNOWN = "of those whose cost is not known in full, the least unknown"


def test_with_a_target_what_is_shown_ranks_before_what_is_not() -> None:
    found = answer(10_000, about=asked(p99_ms=20))
    assert found.best is not None
    # Every stack of known cost has a managed service in it, whose latency nobody measured here.
    assert found.best.rank is Rank.OPEN
    titles = dict(picks(found))
    shown = titles["the cheapest of which all that was asked is shown"]
    assert (shown.unknowns, shown.known) == (0, False)
    assert shown is next(one for one in found.options if not one.known), "its cost is the least unknown, too: told once"
    assert LEAST_UNKNOWN not in titles
    free = answer(10_000)
    assert dict(picks(free))[LEAST_UNKNOWN] is next(one for one in free.options if not one.known)
    outside = [
        one("cache", "upstash", "cache-hot", 900, 990, origin="external"),
        one("events", "eventbridge", "end-to-end", 90, 99, origin="external"),
        one("logs", "cloudwatch", "log-burst", 90, 99, origin="external"),
    ]
    measured = answer(10_000, about=asked(p99_ms=20), measured=known(*outside, shipped=MEASURED))
    assert measured.best is not None
    assert measured.best.rank is Rank.SHOWN


def test_what_the_concerns_ask_of_one_server_adds_up() -> None:
    tight = known(
        *(each for each in MEASURED if "postgres" not in each.backend),
        one("interactions", "postgres", "ingest", 100, 110),
        one("interactions", "postgres", "summaries", 10_000, 11_000),
        one("search", "postgres", "search-term", 1, 1.1, records=100_000),
    )
    # Of interactions 57.87/100 x 1.5 = 0.88, of search 0.579/1 x 1.5 = 0.87: each alone, and not both.
    both = asked(where=Where.MANAGED)
    found = answer(1_000_000, about=both, measured=tight)
    pairs = {(one.part("interactions").name, one.part("search").name) for one in found.options}
    assert ("postgres (rds)", "postgres (rds)") not in pairs
    assert ("dynamodb (on-demand)", "postgres (rds)") in pairs


def test_two_servers_at_one_address_are_no_stack() -> None:
    for option in answer(10_000).options:
        if option.part("events").backend == "redis":
            assert option.part("cache").name == "redis (self-hosted)"
        if option.part("interactions").backend == option.part("search").backend == "postgres":
            assert option.part("interactions").hosting == option.part("search").hosting


def test_a_stack_that_was_measured_as_a_whole_and_failed_is_none() -> None:
    failed = decisions(3, 4, limiter="server", run="whole")
    found = answer(1_000_000, about=asked(where=Where.LOCAL), measured=known(failed, *MEASURED), log_retention_days=0)
    assert {seen.ceiling.run for _, seen in found.refuted} == {"whole"}
    assert found.best is not None
    assert (found.best.part("interactions").backend, found.best.part("events").backend) != ("postgres", "redis")
    held = decisions(300, 330, limiter="server", run="whole")
    whole = plan(
        1_000_000,
        about=asked(where=Where.LOCAL),
        measured=known(held, *MEASURED),
        subscriptions=0,
        log_retention_days=0,
    )
    assert whole.recommended is not None
    said = [(statement.text, statement.basis) for statement in whole.recommended.statements]
    assert said == [
        ("Whole decisions were measured on these backends, and hold at the peak with head-room.", ("run:whole",))
    ]


def test_nothing_measured_recommends_nothing_and_says_why() -> None:
    found = plan(10_000, measured=NOTHING)
    assert found.recommended is None
    assert found.answer == "Not known: no backend for search is known to carry 10,000 decisions a day."
    assert found.environment == ""
    assert any("search=postgres (rds)" in text and "Settled by: stackproof bench" in text for text in found.not_known)


# -- until when -------------------------------------------------------------------------------------------------------


def test_when_a_stack_is_outgrown_and_what_to_move_to() -> None:
    advisor = Advisor(asked(), KNOWN, BOOK)
    start = workload(10_000_000, growth_per_month=Decimal("0.1"))
    best = advisor.answer(Demand.of(start)).best
    assert best is not None
    grown = outgrowth(advisor, start, best, 24)
    # PostgreSQL: (1/1,500 + 1/4,000) x 1.5 x 5/86,400 decisions/day + searches 0.0029 reach 1 at 12.53 M a day.
    search = Fraction(10_000 * 5, 86_400) / 300 * Fraction(3, 2)
    exact = (1 - search) / ((Fraction(1, 1_500) + Fraction(1, 4_000)) * Fraction(3, 2) * Fraction(5, 86_400))
    assert grown.most is not None
    assert float(exact) * 0.998 <= grown.most <= float(exact)
    assert grown.month == math.ceil(math.log(float(exact) / 10_000_000) / math.log(1.1))
    assert grown.to is not None
    assert grown.to.part("interactions").name == "dynamodb (on-demand)"
    assert [row.month for row in grown.months] == list(range(25))


def test_without_growth_it_is_never_outgrown_and_still_has_a_limit() -> None:
    found = plan(10_000).outgrown
    assert found is not None
    assert found.month is None
    assert found.most_decisions_per_day is not None
    text = " ".join(statement.text for statement in found.statements)
    assert "Nothing grows (--growth-per-month is 0)" in text
    assert "What stops it there" in text
    assert "To move to" in text


def test_the_month_in_which_another_stack_becomes_cheaper() -> None:
    found = plan(100_000, months=36, growth_per_month=Decimal("0.2")).outgrown
    assert found is not None
    assert found.crossing_month is not None
    assert "kinesis" in found.crossing_to


def test_growth_beyond_everything_ends_the_months() -> None:
    found = plan(10**12, months=12, growth_per_month=Decimal(9), searches_per_day=1)
    assert len(found.months) < 13


# -- what it rests on -------------------------------------------------------------------------------------------------


def test_each_input_is_halved_and_doubled() -> None:
    rows = sensitivity(Advisor(asked(p99_ms=20), KNOWN, BOOK), workload(1_000_000))
    by_input: dict[str, list[str]] = {}
    for row in rows:
        by_input.setdefault(row.input, []).append(row.after)
    assert by_input["--decisions-per-day"] == ["500,000", "2,000,000"]
    assert by_input["--peak-factor"] == ["2.5", "10"]
    assert by_input["--cache-hit-ratio"] == ["0.475", "1"]
    assert by_input["--p99-ms"] == ["10", "40"]
    assert by_input["--headroom"] == ["1", "3"]
    assert "--growth-per-month" not in by_input


@pytest.mark.parametrize(
    ("p99_ms", "headroom", "after"),
    [
        # An hour are 3,600,000 ms, and a head-room is between 1 and 100: what is half or double of it goes no further.
        (2_000_000, "60", {"--p99-ms": ["1,000,000", "3,600,000"], "--headroom": ["30", "100"]}),
        (3_600_000, "100", {"--p99-ms": ["1,800,000"], "--headroom": ["50"]}),
        (1_800_000, "1", {"--p99-ms": ["900,000", "3,600,000"], "--headroom": ["2"]}),
        (5e-324, "1", {"--p99-ms": ["9.88131292e-324"], "--headroom": ["2"]}),  # the least float, which has no half
    ],
)
def test_no_value_is_tried_that_nobody_could_type(p99_ms: float, headroom: str, after: dict[str, list[str]]) -> None:
    found: dict[str, list[str]] = {name: [] for name in after}
    for row in plan(10_000, about=asked(p99_ms=p99_ms, headroom=headroom)).sensitivity:
        if row.input in found:
            found[row.input].append(row.after)
    assert found == after


def test_sensitivity_says_whether_the_stack_or_its_cost_changes() -> None:
    rows = {(row.input, row.after): row for row in plan(1_000_000).sensitivity}
    assert rows["--retention-days", "182"].outcome == "same stack"
    assert "instead of" in rows["--retention-days", "182"].sentence
    assert rows["--records", "200,000"].outcome in ("another stack", "no stack")
    once = plan(1_000_000, peak_factor=Decimal(1))
    assert {row.outcome for row in once.sensitivity if row.input == "--peak-factor" and row.before == row.after} == {
        "not possible"
    }


def test_a_stack_that_is_given_is_judged_too() -> None:
    found = plan(100_000_000, judged=find_planned_stack("growth-aws")).judged
    assert found is not None
    assert found.rank == "does not carry it"
    assert any("quota exceeded at the peak" in statement.text for statement in found.statements)
    fine = plan(10_000, judged=find_planned_stack("startup-aws")).judged
    assert fine is not None
    assert fine.rank == "shown or documented"


def test_a_stack_that_is_named_is_judged_by_what_it_carries_wherever_it_runs() -> None:
    fine = plan(10_000, judged=find_planned_stack("development"), about=asked(20)).judged
    assert fine is not None
    assert fine.rank == "lacks a capability"
    text = " ".join(statement.text for statement in fine.statements)
    assert "which only --hosting local asks for; judged by what it carries all the same" in text
    assert "lines on the console are not kept" in text
    assert fine.chosen[0].status == "feasible"
    assert "Measured: interactions recorded" in fine.chosen[0].statements[0].text
    kept = plan(10_000, judged=find_planned_stack("development"), log_retention_days=0).judged
    assert kept is not None
    assert kept.rank == "shown"
    much = plan(1_000_000_000, judged=find_planned_stack("development"), log_retention_days=0).judged
    assert much is not None
    assert much.rank == "does not carry it"
    assert "measured ceiling below the peak" in " ".join(statement.text for statement in much.statements)
    nothing = plan(10_000, judged=find_planned_stack("development"), measured=NOTHING, log_retention_days=0).judged
    assert nothing is not None
    assert nothing.rank == "not known"


def test_every_statement_names_what_it_rests_on() -> None:
    found = plan(1_000_000, about=asked(p99_ms=20), judged=find_planned_stack("startup-aws"))
    named = {basis.id: basis for basis in found.basis}
    assert found.recommended is not None
    for chosen in found.recommended.chosen:
        first = chosen.statements[0]
        assert first.basis, first.text
        assert set(first.basis) <= named.keys()
        assert {named[id_].kind for id_ in chosen.statements[-1].basis} >= {"model"}
    runs = [basis for basis in found.basis if basis.kind == "run"]
    assert {basis.fidelity for basis in runs} == {"native", "compatible-engine"}
    assert all(basis.date and "with the package" in basis.origin for basis in runs)
    claims = [basis for basis in found.basis if basis.kind == "claim"]
    assert "claim:postgres-decisions" in {basis.id for basis in claims}


def test_requirements_change_the_answer() -> None:
    needed = tuple(map(parse_requirement, ("events.replay",)))
    assert backends(answer(10_000, about=asked(requirements=needed)))["events"] == "kinesis (provisioned)"


def test_old_prices_and_unused_runs_are_told() -> None:
    bad = replace(MEASURED[0], run="bad", refused=("it was cut short",))
    found = plan(10_000, measured=known(bad, shipped=MEASURED))
    assert "run bad is not used: it was cut short" in found.warnings
    assert any("days old" in text for text in found.warnings)


@pytest.mark.parametrize("headroom", ["0.9", "101"])
def test_absurd_headroom(headroom: str) -> None:
    with pytest.raises(stackproof.interfaces.ConfigurationError, match="--headroom is"):
        asked(headroom=headroom)
