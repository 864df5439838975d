"""Which backends can carry a workload, and why the others cannot."""

from __future__ import annotations

from dataclasses import fields, replace
from fractions import Fraction

import pytest
from plan_samples import BOOK, KNOWN, MEASURED, NOTHING, STAND_IN, answer, asked, candidate, known, one
from planning_samples import ceiling, decisions

from stackproof.adapters.registry import BUILT_IN
from stackproof.interfaces import ConfigurationError
from stackproof.planning.capabilities import DECLARED, Requirement, parse_requirement, requirable
from stackproof.planning.capacity import promised, upper, use_of
from stackproof.planning.cost import MODELS, Choice
from stackproof.planning.demand import Demand, Workload
from stackproof.planning.feasibility import Mark, Status, Where, every_choice, judged, provider_of
from stackproof.planning.measured import Known
from stackproof.planning.recommendation import Advisor


def test_every_backend_and_every_way_of_having_it_is_a_candidate() -> None:
    expected = {
        (entry.concern, entry.name, hosting)
        for entry in BUILT_IN
        if not entry.reference
        for hosting in MODELS[entry.concern, entry.name]
    }
    found = answer(10_000)
    assert {(c.concern, c.backend, c.hosting) for c in found.candidates} == expected
    assert len({(concern, backend) for concern, backend, _ in expected}) == len(DECLARED)
    assert all(c.reasons for c in found.candidates)


@pytest.mark.parametrize(
    "entry", [entry for entry in BUILT_IN if not entry.reference], ids=lambda e: f"{e.concern}={e.name}"
)
def test_what_is_declared_here_is_what_the_classes_declare(entry) -> None:
    try:
        factory = entry.load()
    except ConfigurationError:
        pytest.skip("its driver is not installed")
    declared = factory.capabilities
    table = DECLARED[entry.concern, entry.name]
    assert {f.name: getattr(table, f.name) for f in fields(table)} == {
        f.name: getattr(declared, f.name) for f in fields(declared)
    }


def test_a_server_that_was_measured_and_carries_the_peak_is_feasible() -> None:
    found = candidate(answer(1_000_000), "interactions=postgres (rds)")
    assert found.status is Status.FEASIBLE
    # 57.87/s / 1,500 + 57.87/s / 4,000, times 1.5
    assert float(found.use or 0) == pytest.approx((57.8704 / 1500 + 57.8704 / 4000) * 1.5, rel=1e-4)
    assert [ceiling.run for ceiling in found.ceilings] == ["ingest-postgres", "summaries-postgres"]


def test_a_ceiling_below_the_peak_with_headroom_rejects() -> None:
    # 578.7/s of both: 0.53 of what holds. With a head-room of 1.5 it is carried, of 1.8 it is not shown, of 2.5 it is refuted.
    names = {"1.5": Status.FEASIBLE, "1.9": Status.NOT_KNOWN, "2.5": Status.REJECTED}
    for headroom, status in names.items():
        found = candidate(answer(10_000_000, about=asked(headroom=headroom)), "interactions=postgres (rds)")
        assert found.status is status, headroom
    assert found.reasons[0].startswith(
        "measured ceiling below the peak with head-room (2.5 times): interactions recorded: 579/s"
    )


def test_a_lower_bound_never_rejects() -> None:
    bound = known(
        one("interactions", "postgres", "ingest", 10, None), one("interactions", "postgres", "summaries", 10, None)
    )
    found = candidate(answer(1_000_000_000, measured=bound), "interactions=postgres (self-hosted)")
    assert found.status is Status.NOT_KNOWN
    assert "lower bound" in found.reasons[0]
    assert "stackproof bench --backend interactions=postgres --scenario ingest" in found.settles[0]


def test_what_was_not_measured_is_not_known_and_says_what_to_type() -> None:
    found = candidate(answer(10_000, measured=NOTHING, about=asked(p99_ms=20)), "interactions=postgres (rds)")
    assert found.status is Status.NOT_KNOWN
    assert found.settles == (
        "stackproof bench --backend interactions=postgres --scenario ingest --find-max --slo p99=20ms",
        "stackproof bench --backend interactions=postgres --scenario summaries --find-max --slo p99=20ms",
    )


def test_a_service_is_bounded_by_its_quota_which_says_nothing_of_latency() -> None:
    free = candidate(answer(1_000_000), "interactions=dynamodb (on-demand)")
    assert free.status is Status.FEASIBLE
    assert "within its documented quotas" in free.reasons[0]
    assert "latency is not measured" in free.reasons[1]
    promised_ = candidate(answer(1_000_000, about=asked(p99_ms=20)), "interactions=dynamodb (on-demand)")
    assert (promised_.status, promised_.marks) == (Status.OPEN, (Mark.LATENCY,))
    assert promised_.reasons[1] == "latency not known: no quota says anything about a p99 of 20 ms"


def test_a_quota_exceeded_at_the_peak_rejects() -> None:
    # 5,787/s x 10 units = 57,870 units/s, of 40,000.
    found = candidate(answer(100_000_000), "interactions=dynamodb (on-demand)")
    assert found.status is Status.REJECTED
    assert found.reasons[0].startswith(
        "quota exceeded at the peak: write units of a table: 57,870 of 40,000 units/s (soft"
    )
    free = candidate(answer(10_000), "cache=upstash (free)")
    assert "500,000 commands (hard, upstash-free-commands)" in free.reasons[0]


def test_a_service_without_quota_and_measurement_is_not_known() -> None:
    found = candidate(answer(10_000), "events=msk (serverless)")
    assert found.status is Status.NOT_KNOWN
    assert found.reasons == ("neither measured here nor bounded by a quota of the price book",)


def test_an_engine_that_stands_in_says_nothing_about_a_service() -> None:
    stand_in = one("cache", "upstash", "cache-hot", 1, 2, fidelity="compatible-engine")
    with_it = candidate(answer(1_000_000, measured=known(stand_in)), "cache=upstash (pay-as-you-go)")
    assert with_it.ceilings == ()
    assert with_it.status is Status.FEASIBLE
    own = replace(stand_in, origin="external")
    assert candidate(answer(1_000_000, measured=known(own)), "cache=upstash (pay-as-you-go)").ceilings == ()
    itself = replace(own, fidelity="native")
    assert (
        candidate(answer(1_000_000, measured=known(itself)), "cache=upstash (pay-as-you-go)").status is Status.REJECTED
    )


@pytest.mark.parametrize(
    ("engine", "nodes", "serverless"),
    [("redis", True, False), ("valkey", True, False), ("elasticache-serverless", False, True), ("", True, True)],
)
def test_a_redis_of_ones_own_says_nothing_about_the_serverless_service(
    engine: str, nodes: bool, serverless: bool
) -> None:
    """It is native to ElastiCache, whose nodes run Redis or Valkey, and it is not the service around them."""
    engines = (("cache=elasticache", engine),) if engine else ()
    run = one("cache", "elasticache", "cache-hot", 100_000, None, origin="external", engines=engines)
    for hosting, counts in (("nodes", nodes), ("serverless-valkey", serverless), ("serverless-redis", serverless)):
        found = candidate(answer(1_000_000, measured=known(run)), f"cache=elasticache ({hosting})")
        assert found.ceilings == ((run,) if counts else ()), hosting
    at_service = candidate(answer(1_000_000, measured=known(run)), "cache=elasticache (serverless-valkey)")
    assert at_service.status is Status.FEASIBLE
    assumed = f"that the service itself was measured is assumed: run {run.run} of cache=elasticache did not record what served it"
    assert (assumed in at_service.reasons) == (not engine)
    assert at_service.reasons[0].startswith("measured: " if serverless else "within its documented quotas: ")


def test_whole_decisions_on_a_redis_of_ones_own_say_nothing_about_the_serverless_service() -> None:
    names = ("cache=elasticache", "events=redis", "interactions=postgres", "logs=console")
    slow = ceiling(
        1,
        2,
        limiter="server",
        scenario="decision",
        backends=names,
        origin="external",
        engines=(("cache=elasticache", "valkey"),),
    )
    parts = [
        candidate(answer(1_000_000), name)
        for name in (
            "interactions=postgres (self-hosted)",
            "events=redis (self-hosted)",
            "cache=elasticache (serverless-valkey)",
            "logs=console (collected)",
        )
    ]
    advisor = Advisor(asked(), known(slow), BOOK)
    demand = answer(1_000_000).demand
    assert advisor.seen_together(parts, demand) is None
    untold = Advisor(asked(), known(replace(slow, engines=())), BOOK).seen_together(parts, demand)
    assert untold is not None
    assert untold.carried is False


@pytest.mark.parametrize(("concern", "backend"), MODELS)
def test_the_usual_hosting_is_judged_as_if_it_were_typed(concern: str, backend: str) -> None:
    usual = next(iter(MODELS[concern, backend]))
    stand_in = one(concern, backend, "cache-hot" if concern == "cache" else "ingest", 1, 2, **STAND_IN)
    told, typed = (
        judged(Choice(concern, backend, hosting), Demand.of(Workload(1_000_000)), asked(), known(stand_in), BOOK)
        for hosting in ("", usual)
    )
    assert told == typed


def test_a_service_without_hosting_is_bounded_by_its_quota_and_not_by_what_stands_in() -> None:
    # 1 M a day x 5 / 86,400 s = 57.87/s x 10 units written = 579 of the 40,000 of a table
    demand = Demand.of(Workload(1_000_000))
    found = judged(Choice("interactions", "dynamodb"), demand, asked(), NOTHING, BOOK)
    assert (found.status, found.hosting, found.documented) == (Status.FEASIBLE, "on-demand", True)
    assert "1.4 % of 40,000 units/s" in found.reasons[0]
    # 57.87/s of writes, of 50 that a stand-in in a container failed at: nothing that the service is bounded by
    slow = known(
        one("interactions", "keyspaces", "ingest", 40, 50, **STAND_IN),
        one("interactions", "keyspaces", "summaries", 40, 50, **STAND_IN),
    )
    other = judged(Choice("interactions", "keyspaces"), demand, asked(), slow, BOOK)
    assert (other.status, other.ceilings) == (Status.FEASIBLE, ())


def test_a_missing_capability_rejects() -> None:
    found = answer(10_000, about=asked(requirements=(parse_requirement("events.replay"),)))
    assert "events.replay is asked for" in candidate(found, "events=eventbridge (bus)").reasons[0]
    assert candidate(found, "events=kinesis (provisioned)").usable
    assert "cache.shared" in candidate(found, "cache=local (in-process)").reasons[0]
    large = candidate(answer(10_000, event_bytes=300_000), "events=eventbridge (bus)")
    assert any("takes at most 262,144 bytes, and --event-bytes is 300,000" in reason for reason in large.reasons)


def test_lines_on_the_console_are_not_kept() -> None:
    assert "not kept, and --log-retention-days is 30" in candidate(answer(10_000), "logs=console (local)").reasons[0]
    assert candidate(answer(10_000, log_retention_days=0), "logs=console (local)").status is Status.FEASIBLE
    desk = answer(10_000, about=asked(where=Where.LOCAL))
    assert "not kept" in candidate(desk, "logs=console (local)").reasons[0], "nor on a desk"


def test_what_an_instance_cannot_store_rejects() -> None:
    # 10 M x 7,300 days x 1,000 bytes = 73 TB
    found = candidate(answer(10_000_000, retention_days=7_300), "interactions=postgres (rds)")
    assert found.status is Status.REJECTED
    assert "storage of an instance of PostgreSQL (64 TiB): 73," in " ".join(found.reasons)


def test_requirements_are_typed_as_they_are_listed() -> None:
    assert parse_requirement(" Events.key-order ") == Requirement("events", "key_order")
    assert "events.durable" in requirable()
    assert "events.throttles" not in requirable()
    with pytest.raises(ConfigurationError, match=r"--require 'events.fast' is no capability.*events\.durable"):
        parse_requirement("events.fast")


def test_where_it_may_run() -> None:
    by_where = {
        where: {
            provider_of(c.concern, c.backend, c.hosting)
            for c in answer(10_000, about=asked(where=where), log_retention_days=0).candidates
            if c.usable
        }
        for where in Where
    }
    assert by_where[Where.AWS] == {"aws", "application"}
    assert "local" not in by_where[Where.ANY]
    assert by_where[Where.LOCAL] == {"local", "application"}
    assert len(every_choice()) == len(answer(10_000).candidates)


def test_the_latency_that_was_promised_must_have_been_seen() -> None:
    strict = answer(1_000_000, about=asked(p99_ms=5))
    found = candidate(strict, "interactions=postgres (rds)")
    assert (found.status, found.marks) == (Status.OPEN, (Mark.SLOW,))
    assert found.reasons[-1] == "latency target not shown: p99 within 5 ms was not seen at the peak with head-room"
    assert candidate(answer(1_000_000, about=asked(p99_ms=20)), "interactions=postgres (rds)").status is Status.FEASIBLE


def test_a_window_at_a_lower_rate_shows_a_stricter_latency() -> None:
    run = one(
        "cache", "redis", "cache-hot", 1_000, 1_100, promises=(), p99_at=((200.0, 2.0), (500.0, 4.0), (1_000.0, 30.0))
    )
    assert promised(run, 20) == 500
    assert promised(run, 1) is None
    assert promised(replace(run, promises=("p99 within 3 ms",)), 3) == 1_000
    assert promised(replace(run, promises=("p50 within 3 ms",)), 3) == 200


def test_a_search_that_ended_at_its_promise_refutes_only_who_asks_for_that_promise() -> None:
    run = one("cache", "redis", "cache-hot", 100, 110, limiter="slo")  # p99 within 20 ms
    assert upper(run, None) is None
    assert upper(run, 50) is None
    assert upper(run, 20) == 110
    assert upper(run, 10) == 110
    assert upper(replace(run, limiter="server"), None) == 110


def test_clusters_are_sized_by_what_one_machine_was_measured_to_carry() -> None:
    # 5,787/s: 9.487 + 6.430 of what holds, x 1.5 x 3 copies = 71.6
    # 100 M x 365 days x 1,000 bytes x 2 rows x 3 copies = 219 TB: 21.9 machines of 10 TB, and 219 of 1 TB
    disk = BOOK.price("self-hosted-disk")
    for holds, machines in ((None, 72), (10**13, 72), (10**12, 219)):
        book = replace(BOOK, prices={**BOOK.prices, disk.id: replace(disk, holds_bytes=holds)})
        found = candidate(answer(100_000_000, book=book), "interactions=cassandra (self-hosted)")
        assert (found.status, found.marks) == (Status.OPEN, (Mark.SCALED,))
        hosts = next(line for line in found.cost.lines if line.item == "hosts")
        assert (hosts.quantity.low, hosts.quantity.known) == (machines * 730, holds is not None)
        assert "72 machines are needed" in found.reasons[0]


def test_a_run_of_decisions_is_a_lower_bound_for_each_of_its_backends() -> None:
    whole = decisions(500, 550)
    demand = Demand.of(Workload(1_000_000))
    for concern, backend in (("interactions", "postgres"), ("cache", "redis"), ("logs", "console")):
        use = use_of(concern, backend, demand, known(whole), None)
        assert use.most is not None
        assert use.least == 0
        assert use.ceilings == (whole,)
    events = use_of("events", "redis", demand, known(whole), None)
    assert not events.receiving
    assert use_of("events", "redis", Demand.of(Workload(1_000_000, subscriptions=0)), known(whole), None).receiving


def test_what_was_measured_alone_counts_before_a_run_of_decisions() -> None:
    use = use_of("cache", "redis", Demand.of(Workload(1_000_000)), known(decisions(5, 6), *MEASURED), None)
    assert [each.run for each in use.ceilings] == ["cache-hot-redis"]


def test_publishing_alone_leaves_receiving_open() -> None:
    found = candidate(
        answer(10_000, measured=known(one("events", "kafka", "publish", 5_000, 6_000))), "events=kafka (self-hosted)"
    )
    assert (found.status, found.marks) == (Status.OPEN, (Mark.RECEIVING,))
    command = "stackproof bench --backend events=kafka --scenario end-to-end --find-max --origin container"
    assert found.settles == (command,)


def test_events_that_are_larger_than_those_measured_are_not_known() -> None:
    assert candidate(answer(10_000, event_bytes=2_000), "events=redis (self-hosted)").usable
    assert candidate(answer(10_000, event_bytes=2_001), "events=redis (self-hosted)").status is Status.NOT_KNOWN


def test_search_is_judged_by_what_was_measured_with_as_many_records() -> None:
    name = "search=postgres (rds)"
    assert candidate(answer(10_000, records=100_000), name).usable
    others = "search-phrase, search-or, search-prefix, search-filtered: not measured"
    assert others in candidate(answer(10_000, records=100_000), name).reasons[0]
    more = candidate(answer(10_000, records=100_001), name)
    assert more.status is Status.NOT_KNOWN
    assert "with fewer records only" in more.reasons[-1]
    none = known(one("search", "postgres", "search-term", 0, 2, records=200_000))
    (said,) = use_of("search", "postgres", Demand.of(Workload(10_000, records=100_001)), none, None).said
    assert said == "no rate of search-term was shown to hold with 200,000 records (p99 within 20 ms)"
    slow = known(*MEASURED, one("search", "postgres", "search-prefix", 1, 2, records=200_000))
    assert candidate(answer(10_000, measured=slow), name).use == Fraction(10_000 * 5, 86_400) * Fraction(3, 2)


class TestWhichRunCounts:
    ours = one("cache", "redis", "cache-hot", 30_000, 33_000, run="ours")
    here = replace(ours, run="here", low=9_000.0, high=9_900.0)
    outside = replace(ours, run="outside", origin="external", low=2_000.0, high=2_200.0)

    def counted(self, known_: Known) -> str:
        found = known_.about(("cache=redis",), "cache-hot")
        return found.run if found is not None else ""

    def test_the_users_own_hardware_first_then_his_runs_then_ours(self) -> None:
        assert self.counted(known(shipped=[self.ours])) == "ours"
        assert self.counted(known(self.here, shipped=[self.ours])) == "here"
        assert self.counted(known(self.here, self.outside, shipped=[self.ours])) == "outside"

    def test_a_rate_that_was_only_held_takes_no_search_away(self) -> None:
        held = replace(self.outside, searched=False, high=None, limiter="none", low=10.0)
        assert self.counted(known(held, shipped=[self.ours])) == "ours"
        assert self.counted(known(replace(held, low=50_000.0), shipped=[self.ours])) == "outside"
        assert self.counted(known(held)) == "outside"

    def test_an_emulator_or_a_refused_run_never_counts(self) -> None:
        refused = replace(self.outside, refused=("it was measured on an emulator, whose speed is no evidence",))
        assert self.counted(known(refused)) == ""
        assert (
            candidate(answer(10_000, measured=known(refused)), "cache=redis (self-hosted)").status is Status.NOT_KNOWN
        )


def test_known_is_a_sum_of_both() -> None:
    assert KNOWN.all == MEASURED
