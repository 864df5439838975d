"""The cost models, against bills that were worked out by hand: the arithmetic stands beside each of them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from documents import ROOT, blocks
from hypothesis import given, settings
from hypothesis import strategies as st

from stackproof.adapters.registry import BUILT_IN
from stackproof.interfaces import ConfigurationError
from stackproof.planning.amount import Amount
from stackproof.planning.bill import BackendCost, Sizing
from stackproof.planning.cost import MODELS, Choice, cost_of, cost_of_stack, hostings
from stackproof.planning.demand import Demand, Workload
from stackproof.planning.price_book import PriceBook, load_prices, parse_prices
from stackproof.planning.stacks import find_planned_stack

BOOK = load_prices()
WORKLOAD = Workload(2_400_000, retention_days=30, event_retention_days=1)
"""2.4 M decisions a day are 2.4 M x 730 / 24 = 73,000,000 a month, 27.78/s in the mean, and 138.89/s at the peak (x 5)."""
EVERY = [(concern, backend, hosting) for (concern, backend), models in MODELS.items() for hosting in models]
HOST = Sizing(per_instance=Decimal(1_000), instance_bytes=10**10)
"""A machine that carries a thousand requests a second and holds 10 GB."""


def bill(
    concern: str,
    backend: str,
    hosting: str = "",
    sizing: Sizing | None = None,
    *,
    book: PriceBook = BOOK,
    **changes: object,
) -> BackendCost:
    workload = replace(WORKLOAD, **changes)  # type: ignore[arg-type]
    return cost_of(Choice(concern, backend, hosting, sizing or Sizing()), Demand.of(workload), book)


def own_machines(holds: int | None) -> PriceBook:
    """With machines of one's own at 0.10 an hour, and disks at 0.05 for a GB, of which each machine holds so much."""
    host, disk = (BOOK.price(f"self-hosted-{what}") for what in ("host", "disk"))
    host = replace(host, low=Decimal("0.1"), high=Decimal("0.1"))
    disk = replace(disk, low=Decimal("0.05"), high=Decimal("0.05"), holds_bytes=holds)
    return replace(BOOK, prices={**BOOK.prices, host.id: host, disk.id: disk})


def lines(cost: BackendCost) -> dict[str, tuple[str, ...]]:
    """Item -> amount, or the two ends of it."""
    return {
        line.item: tuple(f"{value.normalize():f}" for value in dict.fromkeys((line.amount.low, line.amount.high)))
        for line in cost.lines
    }


def test_dynamodb_on_demand() -> None:
    cost = bill("interactions", "dynamodb")
    assert lines(cost) == {
        # a contact writes 1 item of 1,000 bytes and 4 of 300 bytes: 5 x 1 KB, twice in a transaction = 10 units
        # 73 M x 10 = 730 M units x 0.625 / M
        "write requests": ("456.25",),
        # it reads these 5 items before (5 units of 4 KB), and a decision 20 rows x 300 bytes = 6,000 bytes (2 units)
        # 73 M x 5 + 73 M x 2 = 511 M units x 0.125 / M
        "read requests": ("63.875",),
        # 2.4 M x 30 days x 1,000 bytes = 72 GB, and 100,000 x 20 x 300 bytes = 0.6 GB; 100 bytes more for each of
        # 72 M + 2 M items = 7.4 GB: 80 GB x 0.25
        "storage": ("20",),
    }
    assert cost.total == Amount.of(Decimal("540.125"), currency="USD")


def test_dynamodb_provisioned_for_the_peak() -> None:
    assert lines(bill("interactions", "dynamodb", "provisioned")) == {
        # 138.89/s x 10 units = 1,388.9: 1,389 WCU x 730 h = 1,013,970 x 0.00065
        "write capacity": ("659.0805",),
        # 138.89/s x 7 units = 972.2: 973 RCU x 730 h = 710,290 x 0.00013
        "read capacity": ("92.3377",),
        "storage": ("20",),
    }


def test_larger_records_take_more_units() -> None:
    # 1,025 bytes are 2 KB: (2 + 4) x 2 = 12 units: 876 M x 0.625 / M
    assert lines(bill("interactions", "dynamodb", record_bytes=1_025))["write requests"] == ("547.5",)
    assert lines(bill("interactions", "dynamodb", record_bytes=1_024))["write requests"] == ("456.25",)


def test_postgres_on_rds() -> None:
    cost = bill("interactions", "postgres")
    # db.t3.large: 730 h x 0.145; 72.6 GB (as above) x 0.115
    assert lines(cost) == {"instance": ("105.85",), "storage": ("8.349",)}
    assert cost.total.unknown == ("whether one PostgreSQL carries 278/s at the peak is not measured",)
    # one primary and one copy; at 100 days: 240 GB + 0.6 GB
    assert lines(bill("interactions", "postgres", sizing=Sizing(copies=2), retention_days=100)) == {
        "instance": ("211.7",),
        "storage": ("55.338",),
    }


def test_a_measured_ceiling_makes_it_known_or_a_limit() -> None:
    enough = bill("interactions", "postgres", sizing=Sizing(per_instance=Decimal(300)))
    assert (enough.total.known, enough.exceeded) == (True, ())
    # contacts and reads of summaries: 2 x 138.89/s = 277.8/s
    (limit,) = bill("interactions", "postgres", sizing=Sizing(per_instance=Decimal(277))).exceeded
    assert (limit.name, limit.kind, float(limit.used or 0)) == (
        "measured-ceiling",
        "measured",
        pytest.approx(277.78, abs=0.01),
    )


def test_postgres_for_search_alone_and_beside_interactions() -> None:
    # 105.85 and the smallest volume, 20 GB x 0.115 = 2.30: together 108.15
    alone = bill("search", "postgres", sizing=Sizing(per_instance=Decimal(100)))
    assert alone.total == Amount.of(Decimal("108.15"), currency="USD")
    choices = {name: Choice(name, "postgres") for name in ("interactions", "search")}
    together = cost_of_stack(choices, Demand.of(WORKLOAD), BOOK)
    # 100,000 x (400 + 2.1 x 1,000 bytes) = 0.25 GB more on the volume of 72.6 GB: x 0.115
    assert lines(together.backends[1]) == {"storage": ("0.02875",)}
    # at 3 days: 7.2 + 0.6 GB and 0.25 GB stay below the 20 GB that are paid anyway
    small = cost_of_stack(choices, Demand.of(replace(WORKLOAD, retention_days=3)), BOOK)
    assert lines(small.backends[1]) == {"storage": ("0",)}
    # one local, one managed: nothing to share
    choices["search"] = Choice("search", "postgres", "self-hosted")
    assert [line.item for line in cost_of_stack(choices, Demand.of(WORKLOAD), BOOK).backends[1].lines] == [
        "hosts",
        "disks",
    ]


@pytest.mark.parametrize("backend", ["scylla", "cassandra"])
def test_cql_on_machines_of_ones_own(backend: str) -> None:
    sizing = Sizing(per_instance=Decimal(50), instance_price="rds-mysql-db-t4g-small", instance_bytes=10**11)
    cost = bill("interactions", backend, sizing=sizing)
    hosts, disks = cost.lines
    # 277.8/s / 50/s = 5.6: 6 machines x 730 h; as if one were 0.032: 4,380 x 0.032
    assert (hosts.quantity.low, hosts.amount.low) == (4_380, Decimal("140.160"))
    # 72 GB x 2 rows (claim and contact) x 3 copies
    assert disks.quantity.low == 432
    assert cost.total.unknown == (
        "the price self-hosted-disk (self-hosted, a disk of such a machine) is not known: "
        "no price of a disk is in the sources; give yours",
    )
    # three at least, for three copies: 24 GB x 2 rows x 3 copies / 50 GB = 2.9
    sizing = replace(HOST, instance_bytes=5 * 10**10)
    assert bill("interactions", backend, sizing=sizing, retention_days=10).lines[0].quantity.low == 3 * 730


def test_keyspaces_counts_what_it_can_and_knows_no_price() -> None:
    cost = bill("interactions", "keyspaces")
    # 73 M contacts x 2 rows x 1 unit; 72 GB x 2
    assert [line.quantity.low for line in cost.lines] == [146_000_000, 73_000_000, 144]
    assert str(cost.total) == "unknown"
    assert len(cost.total.unknown) == 5


def test_eventbridge_and_its_queues() -> None:
    cost = bill("events", "eventbridge")
    assert lines(cost) == {
        # 73 M x 1.00 / M
        "events": ("73",),
        # at least 73 M put + 7.3 M got + 7.3 M deleted = 87.6 M x 0.40 / M
        # at most 3 x 73 M + 2,628,000 s / 2 s = 220,314,000 x 0.40 / M
        "queues": ("35.04", "88.1256"),
    }
    # 64 KB and a byte count twice
    assert lines(bill("events", "eventbridge", event_bytes=65_537))["events"] == ("146",)
    assert [limit.name for limit in cost.exceeded] == []


def test_eventbridge_has_quotas() -> None:
    # 200 M a day x 5 / 86,400 s = 11,574/s into a bus that takes 10,000; two subscriptions are 23,148/s of 18,750
    cost = bill("events", "eventbridge", decisions_per_day=200_000_000, subscriptions=2)
    assert [limit.name for limit in cost.exceeded] == ["eventbridge-put-events", "eventbridge-invocations"]
    (size,) = bill("events", "eventbridge", event_bytes=262_145).exceeded
    assert (size.name, size.kind) == ("eventbridge-event-bytes", "hard")


def test_what_is_used_up_exactly_is_not_exceeded_and_a_new_table_grows() -> None:
    assert bill("events", "eventbridge", event_bytes=262_144).exceeded == ()
    # 24 M a day: 1,388.9/s x 10 units = 13,889/s: more than the 4,000 of a new table, less than the 40,000 of any
    cost = bill("interactions", "dynamodb", decisions_per_day=24_000_000)
    new = next(limit for limit in cost.limits if limit.name == "dynamodb-new-table-write")
    assert (new.kind, new.exceeded, cost.exceeded) == ("start", True, ())
    # nobody says how busy the busiest customer is: 1,000 / 8 units in his partition = 125 contacts a second
    busiest = next(limit for limit in cost.limits if limit.name == "dynamodb-partition-write")
    assert (busiest.exceeded, "one customer can have 125/s contacts" in busiest.note) == (None, True)


def test_kinesis_with_one_shard() -> None:
    assert lines(bill("events", "kinesis")) == {
        # 138.89 records/s and 0.139 MB/s: one shard x 730 h x 0.015
        "shards": ("10.95",),
        # 73 M x 0.014 / M
        "PUT units": ("1.022",),
        # one group renews one lease each 1 to 4 s: 657,000 to 2,628,000 x 0.625 / M
        "leases, written": ("0.410625", "1.6425"),
        # and reads all leases each 1 to 2 s: 1,314,000 to 2,628,000 x 0.125 / M
        "leases, read": ("0.16425", "0.3285"),
    }


@pytest.mark.parametrize(
    ("changes", "shards", "binds"),
    [
        # 100 M a day: 5,787 records/s / 1,000 = 5.8
        ({"decisions_per_day": 100_000_000}, 6, "5,787/s records"),
        # 20,000 bytes x 138.89/s = 2.78 MB/s / 1 MB/s
        ({"event_bytes": 20_000}, 3, "2.78 MB/s in"),
        # ten groups read 1.39 MB/s out of one shard's 2 MB/s; twenty read 2.78 MB/s
        ({"subscriptions": 10}, 1, "138.89/s records"),
        ({"subscriptions": 20}, 2, "2.78 MB/s out"),
    ],
)
def test_what_binds_the_shards_of_kinesis(changes: dict[str, object], shards: int, binds: str) -> None:
    cost = bill("events", "kinesis", **changes)
    if binds.startswith("138.89"):
        binds = "139/s records"
    assert (cost.lines[0].quantity.low, cost.exceeded) == (shards * 730, ())
    assert binds in cost.lines[0].formula


def test_too_few_shards_are_told() -> None:
    cost = bill("events", "kinesis", sizing=Sizing(instances=2), decisions_per_day=100_000_000)
    assert [limit.name for limit in cost.exceeded] == ["kinesis-shard-records", "kinesis-shard-in", "kinesis-shard-out"]


def test_kinesis_keeps_events_longer() -> None:
    week = lines(bill("events", "kinesis", event_retention_days=7))
    # one shard x 730 h x 0.02
    assert week["retention to 7 days"] == ("14.6",)
    # three days beyond the week: 2.4 M x 1,000 bytes x 3 = 7.2 GB x 0.023
    assert lines(bill("events", "kinesis", event_retention_days=10))["retention beyond 7 days"] == ("0.1656",)


def test_kinesis_on_demand() -> None:
    cost = bill("events", "kinesis", "on-demand", event_retention_days=7)
    found = lines(cost)
    # 730 h x 0.04; 1,000 bytes count as 1,024: 73 M x 1,024 = 74.752 GB x 0.08 in, x 0.04 out
    assert (found["stream"], found["data in"], found["data out"]) == (("29.2",), ("5.98016",), ("2.99008",))
    # six days more than the first: 2.4 M x 1,024 x 6 = 14.7456 GB x 0.10
    assert found["retention to 7 days"] == ("1.47456",)
    assert not cost.total.known


def test_msk_with_brokers() -> None:
    cost = bill("events", "msk", sizing=HOST)
    # 3 brokers x 730 h x 0.0456; 2.4 M x 1,000 bytes x 1 day = 2.4 GB x 3 copies x 0.10
    assert lines(cost) == {"brokers": ("99.864",), "storage": ("0.72",)}
    assert cost.total == Amount.of(Decimal("100.584"), currency="USD")
    # 138.89/s / 30/s = 4.6: 5 brokers of m5.large: 5 x 730 x 0.21
    larger = Sizing(per_instance=Decimal(30), instance_price="msk-kafka-m5-large")
    assert lines(bill("events", "msk", sizing=larger))["brokers"] == ("766.5",)


def test_msk_serverless_has_quantities_and_no_price() -> None:
    cost = bill("events", "msk", "serverless", subscriptions=2)
    # 73 M x 1,000 bytes = 73 GB in, twice out; 2.4 GB kept
    assert [str(line.quantity) for line in cost.lines] == ["730", "730", "73", "146", "2.4"]
    assert str(cost.total) == "unknown"


@pytest.mark.parametrize("backend", ["kafka", "redpanda"])
def test_brokers_of_ones_own(backend: str) -> None:
    cost = bill("events", backend, sizing=HOST)
    # 3 machines x 730 h; 2.4 GB x 3 copies
    assert [str(line.quantity) for line in cost.lines] == ["2,190", "7.2"]


def test_opensearch_managed() -> None:
    cost = bill("search", "opensearch", sizing=HOST)
    # 2 nodes x 730 h x 0.587; 0.1 GB x 2 copies x 1.45 = 0.29 GB x 0.122
    assert lines(cost) == {"data nodes": ("857.02",), "storage": ("0.03538",)}
    # the same room on machines of one's own: 0.1 GB x 2 copies x 1.45 = 0.29 GB
    assert [str(line.quantity) for line in bill("search", "opensearch", "self-hosted", HOST).lines] == ["1,460", "0.29"]


def test_upstash() -> None:
    # 146 M reads, 95 in 100 hit: 138.7 M x 1 + 7.3 M x 3 = 160.6 M commands x 0.20 / 100,000
    # 0.1 GB of the free 1 GB; 146 M x 1,000 bytes = 146 GB of the free 200 GB
    assert lines(bill("cache", "upstash")) == {"commands": ("321.2",), "storage": ("0",), "bandwidth": ("0",)}
    # 4,000 bytes: 584 GB - 200 GB = 384 GB x 0.03; a million of them: 4 GB - 1 GB = 3 GB x 0.25
    large = lines(bill("cache", "upstash", cached_bytes=4_000, cached_values=1_000_000))
    assert (large["bandwidth"], large["storage"]) == (("11.52",), ("0.75",))


def test_the_free_plan_of_upstash_has_quotas() -> None:
    # 10,000 a day: 577,917 hits + 3 x 30,417 misses = 669,168 commands of 500,000
    # 608,334 x 1,000 bytes = 0.6 GB of 10 GB; 0.1 GB of 256 MB
    cost = bill("cache", "upstash", "free", decisions_per_day=10_000)
    (limit,) = cost.exceeded
    assert (limit.name, limit.used, cost.total) == ("upstash-free-commands", 669_168, Amount.of(0, currency="USD"))
    assert bill("cache", "upstash", "free", decisions_per_day=5_000).exceeded == ()


def test_elasticache() -> None:
    # 138.7 M hits x 1 unit + 7.3 M misses x 3 units = 160.6 M x 0.0023 / M; 0.1 GB x 730 h x 0.084
    assert lines(bill("cache", "elasticache", "serverless-valkey")) == {
        "processing units": ("0.36938",),
        "data": ("6.132",),
    }
    # x 0.0034 / M; at least 1 GB x 730 h x 0.125
    assert lines(bill("cache", "elasticache", "serverless-redis")) == {
        "processing units": ("0.54604",),
        "data": ("91.25",),
    }
    # at the peak 263.89/s hits x 1 unit + 13.89/s misses x 3 units
    (limit,) = (one for one in bill("cache", "elasticache", "serverless-valkey").limits if one.is_rate)
    assert (limit.name, limit.used, limit.allowed) == ("elasticache-serverless-ecpu", Fraction(2_750, 9), 15_000_000)
    # a hundred times as many, of 977 units each, and 979: 26,389/s x 977 + 1,389/s x 979 = 27.1 M a second
    many = bill("cache", "elasticache", "serverless-valkey", decisions_per_day=240_000_000, cached_bytes=1_000_000)
    assert [one.name for one in many.exceeded] == ["elasticache-serverless-ecpu"]
    # one shard of two nodes cache.m4.large: 2 x 730 x 0.156; 25 GB need three of 10 GB
    assert lines(bill("cache", "elasticache", sizing=HOST)) == {"nodes": ("227.76",)}
    assert lines(bill("cache", "elasticache", sizing=HOST, cached_values=25_000_000)) == {"nodes": ("683.28",)}
    assert bill("cache", "elasticache").total.unknown == ("how many shards carry 306/s at the peak is not measured",)


def test_how_many_machines_the_data_need() -> None:
    rate = Sizing(per_instance=Decimal(1_000))
    # a cache.m4.large has 6,892,593,152 bytes, of which 75 % are for data: 25 GB / 5.169 GB = 4.8, so 5 shards x 2 nodes
    assert lines(bill("cache", "elasticache", sizing=rate, cached_values=25_000_000)) == {"nodes": ("1138.8",)}
    # 2.4 M x 365 days x 100,000 bytes = 87.6 TB x 3 copies / 17.59 TB = 14.9: 15 brokers x 730 h x 0.0456
    assert lines(bill("events", "msk", sizing=rate, event_retention_days=365, event_bytes=100_000))["brokers"] == (
        "499.32",
    )
    # 10^9 documents x 1,000 bytes x 2 copies x 1.45 = 2.9 TB / 1 TB: 3 nodes x 730 h x 0.587
    assert lines(bill("search", "opensearch", sizing=rate, records=10**9))["data nodes"] == ("1285.53",)
    unknown = bill("cache", "elasticache", sizing=replace(rate, instance_price="msk-kafka-t3-small")).total.unknown
    assert unknown == (
        "how much data each of the shards holds is not known: give holds_bytes beside its price, in a file for --prices",
    )


@pytest.mark.parametrize(
    ("concern", "backend", "changes", "machines", "least", "stored"),
    [
        # 2.4 M x 365 days x 10,000 bytes = 8,760 GB x 3 copies = 26,280 GB / 1,000 GB = 26.3
        ("events", "kafka", {"event_retention_days": 365, "event_bytes": 10_000}, 27, 3, 26_280),
        ("events", "redpanda", {"event_retention_days": 365, "event_bytes": 10_000}, 27, 3, 26_280),
        # 2.4 M x 365 days x 1,000 bytes = 876 GB x 2 rows x 3 copies = 5,256 GB / 1,000 GB = 5.3
        ("interactions", "scylla", {"retention_days": 365}, 6, 3, 5_256),
        ("interactions", "cassandra", {"retention_days": 365}, 6, 3, 5_256),
        # 10^9 documents x 1,000 bytes x 2 copies x 1.45 = 2,900 GB / 1,000 GB = 2.9
        ("search", "opensearch", {"records": 10**9}, 3, 2, 2_900),
    ],
)
def test_how_many_machines_of_ones_own_the_data_need(
    concern: str, backend: str, changes: dict[str, object], machines: int, least: int, stored: int
) -> None:
    rate = Sizing(per_instance=Decimal(1_000))
    held = bill(concern, backend, "self-hosted", rate, book=own_machines(10**12), **changes)
    # machines x 730 h x 0.10, and the GB of all copies x 0.05
    expected = machines * 73 + stored * Decimal("0.05")
    assert (held.total.low, held.total.high, held.total.known) == (expected, expected, True)
    silent = bill(concern, backend, "self-hosted", rate, book=own_machines(None), **changes).total
    assert silent.low == least * 73 + stored * Decimal("0.05")
    (why,) = silent.unknown
    assert why.startswith("how much data each of the ")
    assert why.endswith(
        "holds is not known: give holds_bytes beside the price self-hosted-disk, in a file for --prices"
    )


def test_some_data_fit_on_any_machine_of_ones_own() -> None:
    rate = Sizing(per_instance=Decimal(1_000))
    # three machines have 100 GB each: 2.4 M x 41 and 42 days x 1,000 bytes x 3 copies = 295.2 and 302.4 GB
    for days, known in ((41, True), (42, False)):
        log = bill("events", "kafka", "self-hosted", rate, book=own_machines(None), event_retention_days=days)
        assert (log.lines[0].quantity.low, log.total.known) == (3 * 730, known)
    # what one holds is beside the price of its disk, as that of the machine tells the memory of a cache
    host = replace(own_machines(None).price("self-hosted-host"), holds_bytes=32 * 10**9)
    book = replace(BOOK, prices={**own_machines(None).prices, host.id: host})
    assert not bill("events", "kafka", "self-hosted", rate, book=book, event_retention_days=42).total.known
    assert bill("cache", "redis", "self-hosted", rate, book=book, cached_values=32_000_000).total.known


def test_one_server_of_ones_own_is_not_known_to_hold_any_data() -> None:
    enough = Sizing(per_instance=Decimal(1_000))
    # 2.4 M x 41 and 42 days x 1,000 bytes = 98.4 and 100.8 GB, and 0.6 GB of summaries: 99 and 101.4 GB
    for days, unknown in ((41, ()), (42, ("101 GB",))):
        found = bill("interactions", "postgres", "self-hosted", enough, book=own_machines(None), retention_days=days)
        assert found.total.unknown == tuple(
            f"whether the machine that is priced has disks for {size} of data is not known" for size in unknown
        )
    held = own_machines(200 * 10**9)
    # 730 h x 0.10 + 101.4 GB x 0.05
    assert bill("interactions", "postgres", "self-hosted", enough, book=held, retention_days=42).total == Amount.of(
        Decimal("78.07"), currency="USD"
    )
    # 99 GB, and 2 M documents x (400 + 2.1 x 1,000 bytes) = 5 GB on the same machine: each alone fits, and not both
    choices = {name: Choice(name, "postgres", "self-hosted", enough) for name in ("interactions", "search")}
    demand = Demand.of(replace(WORKLOAD, retention_days=41, records=2_000_000))
    assert cost_of_stack(choices, demand, own_machines(None)).total.unknown == (
        "whether the machine that is priced has disks for 104 GB of data is not known",
    )
    assert all(cost_of(choice, demand, own_machines(None)).total.known for choice in choices.values())
    # 73 + (99 + 5) GB x 0.05
    assert cost_of_stack(choices, demand, held).total == Amount.of(Decimal("78.20"), currency="USD")


@pytest.mark.parametrize(
    ("concern", "backend", "hosting", "changes", "quota"),
    [
        # 2.4 M x 7,300 days x 5,000 bytes = 87.6 TB; 64 TiB are 70.4 TB
        ("interactions", "postgres", "rds", {"retention_days": 7_300, "record_bytes": 5_000}, "rds-postgres-bytes"),
        ("search", "postgres", "rds", {"records": 10**9, "document_bytes": 71_000}, "rds-postgres-bytes"),
        ("interactions", "dynamodb", "on-demand", {"record_bytes": 409_601}, "dynamodb-item-bytes"),
        ("interactions", "dynamodb", "provisioned", {"summary_bytes": 409_601}, "dynamodb-item-bytes"),
        ("interactions", "keyspaces", "on-demand", {"record_bytes": 1_000_001}, "keyspaces-row-bytes"),
        ("cache", "elasticache", "serverless-valkey", {"cached_values": 5_000_000_001}, "elasticache-serverless-bytes"),
    ],
)
def test_what_a_service_cannot_store(
    concern: str, backend: str, hosting: str, changes: dict[str, int], quota: str
) -> None:
    assert quota in [limit.name for limit in bill(concern, backend, hosting, **changes).exceeded]
    assert quota not in [limit.name for limit in bill(concern, backend, hosting).exceeded]


def test_what_one_instance_stores_for_two_concerns_counts_together() -> None:
    # 43.8 TB of interactions and 46.6 TB of documents (4,600 + 1.5 x 28,000 bytes each): each alone is below 64 TiB (70.4 TB)
    sizes = {"retention_days": 7_300, "record_bytes": 2_500, "records": 10**9, "document_bytes": 30_000}
    demand = Demand.of(replace(WORKLOAD, **sizes))  # type: ignore[arg-type]
    choices = {concern: Choice(concern, "postgres", "rds") for concern in ("interactions", "search")}
    assert all(cost_of(choice, demand, BOOK).exceeded == () for choice in choices.values())
    assert [(concern, limit.name) for concern, limit in cost_of_stack(choices, demand, BOOK).exceeded] == [
        ("search", "rds-postgres-bytes")
    ]


def test_redis_is_one_server_for_events_and_cache() -> None:
    choices = {
        "events": Choice("events", "redis", "self-hosted", HOST),
        "cache": Choice("cache", "redis", "self-hosted", HOST),
    }
    cost = cost_of_stack(choices, Demand.of(WORKLOAD), BOOK)
    assert [line.item for backend in cost.backends for line in backend.lines] == ["hosts", "server"]
    assert len(cost.total.unknown) == 1, "the price of the one machine"
    choices["cache"] = Choice("cache", "dragonfly", "self-hosted", HOST)
    other = cost_of_stack(choices, Demand.of(WORKLOAD), BOOK)
    assert [line.item for backend in other.backends for line in backend.lines] == ["hosts", "hosts"]


def test_cloudwatch() -> None:
    # 73 M x 1,024 bytes = 74.752 GB x 0.50 = 37.376; without the free 5 GB: 69.752 x 0.50
    # 30 days: 72 M x 1,024 bytes = 73.728 GB x 0.03 = 2.21184 at most, as it is kept compressed
    assert lines(bill("logs", "cloudwatch")) == {"ingestion": ("34.876", "37.376"), "storage": ("0", "2.21184")}


def test_a_whole_stack_by_hand() -> None:
    sizing = {"events": HOST, "search": HOST, "cache": HOST}
    choices = find_planned_stack("growth-aws").choices(sizing)
    cost = cost_of_stack(choices, Demand.of(WORKLOAD), BOOK)
    # 540.125 (DynamoDB) + 100.584 (MSK) + 857.05538 (OpenSearch) + 227.76 (ElastiCache) = 1,725.52438
    # CloudWatch adds 34.876 to 39.58784
    assert cost.total == Amount.of(Decimal("1760.40038"), Decimal("1765.11222"), currency="USD")


def test_what_was_derived_from_the_price_list_by_others() -> None:
    """Figures that were worked out from the same prices beforehand, without this code."""

    def one(id_: str) -> Decimal:
        return BOOK.of_one(id_).low

    # a WCU-hour is 3,600 units: provisioned capacity is cheaper above 28.9 % of use
    for hour, request in (("write-capacity", "write-request"), ("read-capacity", "read-request")):
        share = one(f"dynamodb-{hour}") / 3_600 / one(f"dynamodb-{request}")
        assert round(share * 100, 1) == Decimal("28.9")
    # 1 write and 2 strong reads a decision: 0.875 a million; RDS db.t3.large and 20 GB are reached at 124 M a month
    decision = one("dynamodb-write-request") + 2 * one("dynamodb-read-request")
    postgres = 730 * one("rds-postgres-db-t3-large") + 20 * one("rds-storage")
    assert (decision * 10**6, postgres, round(postgres / decision / 10**6)) == (
        Decimal("0.875"),
        Decimal("108.15"),
        124,
    )
    # one Kinesis shard is reached by EventBridge at 11.1 M events a month; MSK 2 x t3.small and 100 GB at 76.6 M
    shard = 730 * one("kinesis-shard") / (one("eventbridge-event") - one("kinesis-put")) / 10**6
    msk = (1_460 * one("msk-kafka-t3-small") + 100 * one("msk-storage")) / one("eventbridge-event") / 10**6
    assert (round(shard, 1), round(msk, 1)) == (Decimal("11.1"), Decimal("76.6"))
    # Upstash reaches the least of Valkey Serverless at 3.07 M commands
    floor = one("elasticache-serverless-valkey-storage") * 73 / one("upstash-command") / 10**6
    assert round(floor, 2) == Decimal("3.07")


@pytest.mark.parametrize("a_day", [10_000, 1_000_000, 100_000_000])
def test_the_table_of_kinesis_that_was_worked_out_beforehand(a_day: int) -> None:
    """Shards for a peak of five times the mean, and PUT units: 10.95, 11.4 and 108 a month."""
    found = lines(bill("events", "kinesis", decisions_per_day=a_day))
    expected = {10_000: "10.95", 1_000_000: "11.4", 100_000_000: "108"}[a_day]
    total = Decimal(found["shards"][0]) + Decimal(found["PUT units"][0])
    assert abs(total - Decimal(expected)) < Decimal("0.5")


# What holds for every model


def test_every_backend_has_a_model() -> None:
    assert set(MODELS) == {(entry.concern, entry.name) for entry in BUILT_IN if not entry.reference}


@pytest.mark.parametrize(("concern", "backend", "hosting"), EVERY)
def test_no_model_hides_what_it_does_not_know(concern: str, backend: str, hosting: str) -> None:
    choice, demand = Choice(concern, backend, hosting, HOST), Demand.of(WORKLOAD)
    cost = cost_of(choice, demand, BOOK)
    for line in cost.lines:
        assert line.formula
        assert isinstance(line.amount.low, Decimal)
        if line.price:
            assert line.amount == BOOK.cost(line.price, line.quantity)
    for price in cost.prices:
        without = cost_of(choice, demand, BOOK.without(price)).total
        assert not without.known
        assert any(price in reason for reason in without.unknown)
        assert without.low <= cost.total.low


@pytest.mark.parametrize(("concern", "backend", "hosting"), EVERY)
@given(decisions=st.tuples(st.integers(1, 10**10), st.integers(1, 10**10)), size=st.integers(1, 300_000))
@settings(max_examples=15, deadline=None)
def test_more_never_costs_less(concern: str, backend: str, hosting: str, decisions: tuple[int, int], size: int) -> None:
    fewer, more = (
        cost_of(
            Choice(concern, backend, hosting, HOST),
            Demand.of(Workload(n, record_bytes=size, event_bytes=size, cached_bytes=size, log_bytes_per_decision=size)),
            BOOK,
        ).total
        for n in sorted(decisions)
    )
    assert fewer.low <= more.low
    assert fewer.high <= more.high


def test_what_is_local_costs_nothing_and_what_has_no_model_is_unknown() -> None:
    for concern, backend, hosting in EVERY:
        if hosting in ("local", "in-process"):
            assert bill(concern, backend, hosting).total == Amount.of(0, currency="USD")
    for backend in ("memory", "acme.cache:make"):
        assert bill("cache", backend).total.unknown == (f"cache={backend} has no cost model",)


def test_wrong_choices() -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be had as 'cellar'; known are: rds, self-hosted, local"):
        bill("search", "postgres", "cellar")
    with pytest.raises(ConfigurationError, match="'nosuch' is not a known backend of cache"):
        bill("cache", "nosuch")
    with pytest.raises(ConfigurationError, match="there is no price 'gold'"):
        bill("events", "msk", sizing=Sizing(instance_price="gold"))
    with pytest.raises(ConfigurationError, match="a backend of cache is given for events"):
        cost_of_stack({"events": Choice("cache", "redis")}, Demand.of(WORKLOAD), BOOK)
    for wrong in ({"instances": 0}, {"per_instance": Decimal(-1)}, {"copies": 0}, {"per_instance": Decimal("NaN")}):
        with pytest.raises(ConfigurationError, match="it must be more than 0"):
            Sizing(**wrong)  # type: ignore[arg-type]
    assert hostings("interactions", "pg") == ("rds", "self-hosted", "local")


def test_the_worked_example_of_the_page_is_what_it_prints(capsys: pytest.CaptureFixture[str]) -> None:
    page = ROOT / "docs" / "prices.md"
    (code,), (text,) = blocks(page, "python"), blocks(page, "text")
    exec(compile(code.code, str(page), "exec"), {})
    assert capsys.readouterr().out == text.code


def test_the_files_on_the_page_are_files_of_prices(tmp_path: Path) -> None:
    ours, own, node = blocks(ROOT / "docs" / "prices.md", "toml")
    (entry,) = parse_prices('schema = "stackproof-prices/1"\n' + ours.code, "page").prices.values()
    assert replace(entry, source="", file="") == replace(BOOK.price(entry.id), source="", file="", note="")
    (tmp_path / "own.toml").write_text(own.code)
    assert load_prices(tmp_path / "own.toml").of_one("self-hosted-host").low == Decimal("0.19")
    (tmp_path / "node.toml").write_text('schema = "stackproof-prices/1"\ncurrency = "USD"\n' + node.code)
    held = load_prices(tmp_path / "node.toml")
    assert (
        held.price("elasticache-cache-m4-large").holds_bytes == BOOK.price("elasticache-cache-r5-4xlarge").holds_bytes
    )
    demand = Demand.of(replace(WORKLOAD, cached_values=100_000_000))
    cost = cost_of(Choice("cache", "elasticache", sizing=Sizing(per_instance=Decimal(1_000))), demand, held)
    # 100 GB / 85.2 GB: 2 shards x 2 nodes x 730 h x 1.724
    assert cost.total == Amount.of(Decimal("5034.08"), currency="USD")
