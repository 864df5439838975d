"""What evidence does not show makes no plan green, and what it does not refute makes none red."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from plan_samples import BOOK, KNOWN, MEASURED, answer, asked, candidate, known, one, plan, workload
from planning_samples import ceiling, decisions

from stackproof.planning.capacity import together, upper
from stackproof.planning.choosing import latest
from stackproof.planning.demand import Demand, Workload
from stackproof.planning.feasibility import Mark, Status, Where
from stackproof.planning.outgrowth import outgrowth
from stackproof.planning.plan_record import from_json, to_json
from stackproof.planning.recommendation import Advisor
from stackproof.planning.stacks import find_planned_stack


@pytest.mark.parametrize(
    ("name", "fits", "beyond"),
    [
        ("interactions=postgres (rds)", {"record_bytes": 2_000}, {"record_bytes": 2_001}),
        ("interactions=postgres (rds)", {"summaries_per_customer": 100}, {"summaries_per_customer": 101}),
        ("search=postgres (rds)", {"document_bytes": 1_000}, {"document_bytes": 1_001}),
        ("cache=redis (self-hosted)", {"cached_bytes": 2_000}, {"cached_bytes": 2_001}),
        ("logs=console (collected)", {"log_bytes_per_decision": 2_000}, {"log_bytes_per_decision": 2_001}),
    ],
)
def test_records_larger_than_those_measured_are_marked(name: str, fits: dict[str, int], beyond: dict[str, int]) -> None:
    assert candidate(answer(10_000, **fits), name).status is Status.FEASIBLE
    found = candidate(answer(10_000, **beyond), name)
    assert (found.status, found.marks) == (Status.OPEN, (Mark.LARGER,))
    option, value = next(iter(beyond.items()))
    assert f"--{option.replace('_', '-')} is {value:,}, and it was measured up to" in " ".join(found.reasons)


def test_a_cache_that_does_not_fit_into_the_memory_of_the_measured_machine_is_marked() -> None:
    run = one("cache", "redis", "cache-hot", 30_000, 33_000, machine=(("memory_bytes", "8000000000"),))
    name = "cache=redis (self-hosted)"
    assert not candidate(answer(10_000, measured=known(run), cached_values=8_000_000), name).marks
    assert candidate(answer(10_000, measured=known(run), cached_values=8_000_001), name).marks == (Mark.LARGER,)
    silent = known(replace(run, machine=()))  # it does not say how much memory it had: a gigabyte is taken for granted
    assert not candidate(answer(10_000, measured=silent, cached_values=1_000_000), name).marks
    assert candidate(answer(10_000, measured=silent, cached_values=1_000_001), name).marks == (Mark.LARGER,)


def test_a_machine_of_known_price_is_not_known_to_hold_any_cache() -> None:
    price = replace(BOOK.price("self-hosted-host"), low=Decimal("0.1"), high=Decimal("0.1"))
    book = replace(BOOK, prices={**BOOK.prices, "self-hosted-host": price})
    small, large = (
        candidate(answer(10_000, book=book, cached_values=values), "cache=redis (self-hosted)").cost.total
        for values in (1_000_000, 10**10)
    )
    assert (small.low, small.known) == (73, True)
    assert not large.known
    beside = answer(10_000, book=book, cached_values=10**10, about=asked(where=Where.SELF_HOSTED), log_retention_days=0)
    both = [one for one in beside.options if one.part("events").name == one.part("cache").name == "redis (self-hosted)"]
    assert both
    assert not any(one.known for one in both)


def test_what_was_measured_on_an_engine_that_stands_in_is_marked() -> None:
    for name in ("interactions=scylla (self-hosted)", "cache=dragonfly (self-hosted)"):
        found = candidate(answer(10_000), name)
        assert (found.status, found.marks) == (Status.OPEN, (Mark.STAND_IN,))
        assert any("not the technology itself" in reason for reason in found.reasons)
    assert not candidate(answer(10_000), "interactions=cassandra (self-hosted)").marks


def test_what_an_engine_that_stands_in_fails_at_rejects_nobody() -> None:
    name, run = "cache=dragonfly (self-hosted)", one("cache", "dragonfly", "cache-hot", 10, 11)
    assert candidate(answer(10_000_000, measured=known(run)), name).status is Status.REJECTED
    stand_in = replace(run, fidelity="compatible-engine")
    assert candidate(answer(10_000_000, measured=known(stand_in)), name).status is Status.NOT_KNOWN


def test_the_technology_itself_counts_before_what_stands_in_for_it() -> None:
    itself = one("cache", "dragonfly", "cache-hot", 100, 110, run="itself")
    newer = replace(itself, run="stand-in", low=900.0, high=990.0, fidelity="compatible-engine", date="2026-09-01")
    assert latest([itself, newer]) == itself
    found = known(newer, shipped=[itself]).about(("cache=dragonfly",), "cache-hot")
    assert found == itself
    assert known(newer).about(("cache=dragonfly",), "cache-hot") == newer


def test_a_stricter_percentile_that_was_missed_refutes_no_milder_one() -> None:
    run = one("cache", "redis", "cache-hot", 100, 110, limiter="slo", promises=("p99.9 within 20 ms",))
    assert upper(run, 20) is None  # of 1,000 more than one was late, and of 100 perhaps none
    assert upper(replace(run, promises=("p99.9 within 20 ms", "p99 within 20 ms")), 20) is None
    assert upper(replace(run, promises=("p95 within 20 ms",)), 20) == 110


class TestWholeDecisions:
    on_clusters = ceiling(
        10,
        11,
        scenario="decision",
        backends=("cache=elasticache", "events=kafka", "interactions=cassandra", "logs=console"),
        limiter="server",
        run="whole",
    )

    def seen(self, run, stack: dict[str, str], **changes):
        demand = Demand.of(Workload(1_000_000, **changes))
        found = Advisor(asked(), known(run, *MEASURED), BOOK)
        parts = [candidate(found.answer(demand), f"{concern}={name}") for concern, name in stack.items()]
        return found.seen_together(parts, demand)

    def test_a_failure_on_one_machine_says_nothing_against_as_many_as_are_needed(self) -> None:
        stack = {
            "cache": "elasticache (nodes)",
            "events": "kafka (self-hosted)",
            "interactions": "cassandra (self-hosted)",
        }
        seen = self.seen(self.on_clusters, {**stack, "logs": "console (collected)"})
        assert seen is not None
        assert seen.carried is None

    def test_an_engine_on_a_desk_says_nothing_about_a_service(self) -> None:
        stack = {"cache": "redis (self-hosted)", "events": "msk (serverless)", "interactions": "postgres (rds)"}
        run = replace(self.on_clusters, backends=("cache=redis", "events=msk", "interactions=postgres", "logs=console"))
        assert self.seen(run, {**stack, "logs": "console (collected)"}) is None
        mine = self.seen(replace(run, origin="external"), {**stack, "logs": "console (collected)"})
        assert mine is not None
        assert mine.carried is False

    @pytest.mark.parametrize("size", ["record_bytes", "event_bytes", "cached_bytes", "log_bytes_per_decision"])
    def test_larger_ones_are_not_carried_by_what_carried_smaller_ones(self, size: str) -> None:
        run = decisions(3_000, 3_300, limiter="server")

        def carried(low: float, **changes: int) -> bool | None:
            whole = replace(run, low=low, high=low * 1.1)
            found = together(
                whole.backends, Demand.of(Workload(1_000_000, **changes)), known(whole), asked().headroom, None
            )
            assert found is not None
            return found.carried

        assert carried(3_000, **{size: 2_000}) is True
        assert carried(3_000, **{size: 2_001}) is None
        assert carried(3, **{size: 400}) is False
        assert carried(3, **{size: 399}) is None

    def test_that_receiving_was_no_part_of_it_is_said(self) -> None:
        run = decisions(3_000, 3_300, limiter="server")
        for subscriptions, said in ((1, True), (0, False)):
            found = plan(
                1_000_000,
                about=asked(where=Where.LOCAL),
                measured=known(run, *MEASURED),
                subscriptions=subscriptions,
                log_retention_days=0,
            )
            assert found.recommended is not None
            assert ("receiving the events was no part of it" in found.recommended.statements[0].text) is said


def test_stacks_of_the_same_cost_are_not_said_to_cost_more() -> None:
    made = plan(10_000, about=asked(where=Where.LOCAL), log_retention_days=0)
    text = " ".join(statement.text for statement in made.statements)
    assert "others may cost as much, and none less" in text
    assert "every other one costs more" not in text


def test_what_to_move_to_is_another_stack() -> None:
    start = workload(10_000_000)
    advisor = Advisor(asked(), KNOWN, BOOK)
    best = advisor.answer(Demand.of(start)).best
    assert best is not None
    grown = outgrowth(advisor, start, best, 0)
    assert grown.beyond is not None
    assert grown.beyond.name != best.name
    statements = [one.text for one in plan(10_000_000, growth_per_month=Decimal(0)).outgrown.statements]  # type: ignore[union-attr]
    assert not any("the same backends" in text for text in statements)


def test_capacity_that_is_bought_beforehand_has_the_headroom_too() -> None:
    # 700 events/s at the peak fit into a shard of 1,000; 1.5 times of them do not.
    decisions_a_day = 700 * 86_400 // 5
    for headroom, shards in (("1", 1), ("1.5", 2)):
        found = candidate(answer(decisions_a_day, about=asked(headroom=headroom)), "events=kinesis (provisioned)")
        assert next(line for line in found.cost.lines if line.item == "shards").quantity.low == shards * 730
    # 700 contacts/s of 10 units written: 7,000 and 10,500.
    for headroom, units in (("1", 7_000), ("1.5", 10_500)):
        found = candidate(
            answer(decisions_a_day, about=asked(headroom=headroom)), "interactions=dynamodb (provisioned)"
        )
        assert next(line for line in found.cost.lines if line.item == "write capacity").quantity.low == units * 730


def test_that_the_data_of_years_is_as_fast_is_named_as_an_assumption() -> None:
    rows = {(row.backend, row.hosting): row for row in plan(10_000).candidates if row.concern != "search"}
    assert "assumption:data" in rows["postgres", "rds"].statements[0].basis
    assert "assumption:data" not in rows["dragonfly", "self-hosted"].statements[0].basis


def test_runs_as_old_as_a_price_that_is_told_are_told() -> None:
    # The samples are of 2026-01-02, and the plan of 2026-11-01.
    warnings = plan(10_000).warnings
    told = next(text for text in warnings if "runs" in text)
    assert "ingest-postgres" in told
    assert "more than 180 days old, the oldest of 2026-01-02 (303 days)" in told
    fresh = known(*(replace(each, date="2026-10-01T00:00:00+00:00") for each in MEASURED))
    assert not any("runs" in text for text in plan(10_000, measured=fresh).warnings)


def test_a_stack_that_is_only_not_shown_to_fit_on_its_server_is_not_said_to_fail() -> None:
    own = replace(
        find_planned_stack("development"),
        parts={
            concern: replace(part, hosting={"logs": "collected"}.get(concern, "self-hosted"))
            for concern, part in find_planned_stack("development").parts.items()
        },
    )
    # With head-room 0.62 of what holds for interactions, and 0.87 for searches: each alone, and nothing failed below the peak.
    tight = known(
        *(each for each in MEASURED if each.scenario != "ingest" and "search=postgres" not in each.backends),
        one("interactions", "postgres", "ingest", 220, 4_000),
        one("search", "postgres", "search-term", 1, 100, records=100_000),
    )
    alone = answer(1_500_000, measured=tight)
    assert candidate(alone, "search=postgres (self-hosted)").usable
    assert candidate(alone, "interactions=postgres (self-hosted)").usable
    judged = plan(1_500_000, measured=tight, judged=own)
    assert judged.judged is not None
    assert judged.judged.rank == "not known"


def test_a_second_process_that_reads_a_stream_is_told() -> None:
    def notes(subscriptions: int) -> str:
        return " ".join(
            candidate(answer(10_000, subscriptions=subscriptions), "events=kinesis (provisioned)").cost.notes
        )

    assert "a shard answers 5" in notes(2)
    assert "a shard answers 5" not in notes(1)


class TestAFileThatWasChanged:
    def changed(self, spoil) -> str:
        data = json.loads(to_json(plan(10_000)))
        spoil(data)
        with pytest.raises(ValueError, match="this plan contradicts itself") as caught:
            from_json(json.dumps(data))
        return str(caught.value)

    def test_as_it_is_it_can_be_read(self) -> None:
        for made in (
            plan(10_000),
            plan(10_000, measured=known()),
            plan(10_000, judged=find_planned_stack("enterprise")),
        ):
            assert from_json(to_json(made)) == made

    def test_a_cheaper_sum(self) -> None:
        assert "is not the sum" in self.changed(lambda data: data["recommended"]["cost"].update(low="1"))
        assert "is not the sum" in self.changed(lambda data: data["recommended"]["chosen"][0]["cost"].update(high="1"))

    @pytest.mark.parametrize("amount", ["1/0", "nan", "1e999999999", "-1", ""])
    def test_what_is_no_amount(self, amount: str) -> None:
        data = json.loads(to_json(plan(10_000)))
        data["recommended"]["cost"]["low"] = amount
        with pytest.raises(ValueError, match="is no amount of money"):
            from_json(json.dumps(data))

    def test_an_unknown_that_is_gone(self) -> None:
        def spoil(data) -> None:
            stack = next(each for each in data["alternatives"] if each["cost"]["unknown"])
            stack["cost"]["unknown"] = []

        assert "does not say what is unknown" in self.changed(spoil)

    def test_evidence_that_is_gone(self) -> None:
        assert "which is not there" in self.changed(lambda data: data.update(basis=data["basis"][1:]))


def test_who_shrinks_is_not_said_to_grow() -> None:
    found = plan(10_000, growth_per_month=Decimal("-0.5"), months=6).outgrown
    assert found is not None
    assert any(one.text == "Shrinking by 50 % a month it is not outgrown within 6 months." for one in found.statements)
