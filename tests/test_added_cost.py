"""What a backend adds to a bill, against differences that were worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from plan_samples import MEASURED
from planning_samples import CLAIMS, CUSTOMERS, DECISIONS, RECORDS, WRITES

from stackproof.interfaces import ConfigurationError
from stackproof.planning.added_cost import added_cost, difference
from stackproof.planning.amount import Amount
from stackproof.planning.audit import judge
from stackproof.planning.claim_costs import VOLUMES, costs_of, figures_of, volumes_of
from stackproof.planning.cost import Choice, cost_of_stack
from stackproof.planning.demand import Demand, Workload
from stackproof.planning.judging import Verdict
from stackproof.planning.measured import Known
from stackproof.planning.price_book import load_prices, parse_prices

BOOK = load_prices()
TODAY = date(2026, 6, 1)


def added(concern: str, backend: str, decisions: int, hosting: str = "", **changes: object):
    return added_cost(concern, backend, Demand.of(Workload(decisions, **changes)), BOOK, hosting)  # type: ignore[arg-type]


def dollars(text: str) -> Amount:
    return Amount.of(Decimal(text), currency="USD")


# 365 days x 1,000 bytes of each decision, and 100,000 customers x 20 rows x 300 bytes = 0.6 GB of summaries, join 0.25 GB of
# documents (100,000 x (400 + 2.1 x 1,000 bytes)) on a volume that has 20 GB at least; a GB-month is 0.115 USD.
@pytest.mark.parametrize(
    ("decisions", "usd"),
    [
        (10_000, "0"),  # 3.65 + 0.6 + 0.25 = 4.5 GB: within the 20 GB
        (100_000, "1.99525"),  # 36.5 + 0.6 + 0.25 = 37.35 GB: 17.35 more x 0.115
        (1_000_000, "39.77275"),  # 365 + 0.85 = 365.85: 345.85 more x 0.115
        (10_000_000, "417.54775"),  # 3,650.85: 3,630.85 more x 0.115
    ],
)
def test_an_interaction_store_in_a_database_that_is_there(decisions: int, usd: str) -> None:
    cost = added("interactions", "postgres", decisions, "rds")
    assert cost.total == dollars(usd)
    (instance,) = [line for line in cost.lines if line.item == "instance"]
    assert instance.quantity.high == 0
    assert any("whether it has room is not counted" in note for note in cost.notes)


# 10 GB of documents (4 M x 2,500 bytes) beside 4.25 GB are within the 20 GB; 40 GB are 44.25 - 20 = 24.25 more x 0.115.
@pytest.mark.parametrize(("records", "usd"), [(4_000_000, "0"), (16_000_000, "2.78875")])
def test_an_index_in_a_database_that_is_there(records: int, usd: str) -> None:
    assert added("search", "postgres", 10_000, "rds", records=records).total == dollars(usd)


def test_events_on_a_redis_that_is_there_cost_nothing_although_the_price_of_its_host_is_not_known() -> None:
    cost = added("events", "redis", 10_000_000)
    assert cost.hosting == "self-hosted"
    assert cost.total == dollars("0")


def test_disks_of_ones_own_have_no_price_and_stay_unknown() -> None:
    cost = added("interactions", "postgres", 10_000, "self-hosted")
    assert not cost.total.known
    assert any("self-hosted-disk" in reason for reason in cost.total.unknown)
    assert not any("self-hosted-host" in reason for reason in cost.total.unknown)


def test_an_unknown_price_of_what_is_added_makes_the_sum_unknown() -> None:
    book = BOOK.without("rds-storage")
    demand = Demand.of(Workload(1_000_000))
    assert not added_cost("interactions", "postgres", demand, book, "rds").total.known
    nothing_more = added_cost("interactions", "postgres", Demand.of(Workload(10_000)), book, "rds")
    assert nothing_more.total == dollars("0")  # the same 20 GB are bought with it and without it


def test_two_prices_of_ones_own() -> None:
    own = parse_prices(
        """
schema = "stackproof-prices/1"
currency = "USD"
[prices.rds-storage]
provider = "mine"
service = "disks"
dimension = "storage"
unit = "GB-month"
low = 1
high = 2
region = "here"
source = "mine"
confidence = "high"
""",
        "mine",
    )
    book = replace(BOOK, prices={**BOOK.prices, **own.prices})
    cost = added_cost("interactions", "postgres", Demand.of(Workload(100_000)), book, "rds")
    assert (cost.total.low, cost.total.high) == (Decimal("17.35"), Decimal("34.7"))


def test_what_shares_no_server_adds_to_none() -> None:
    with pytest.raises(ConfigurationError, match="shares its server"):
        added("interactions", "dynamodb", 10_000)


def test_a_bill_that_lost_something_has_not_grown() -> None:
    demand = Demand.of(Workload(10_000))
    search = Choice("search", "postgres", "rds")
    both = cost_of_stack({"search": search, "events": Choice("events", "eventbridge")}, demand, BOOK)
    with pytest.raises(ValueError, match="no longer has"):
        difference(cost_of_stack({"search": search}, demand, BOOK), both, BOOK)


# -- the figures of claims ------------------------------------------------------------------------------------------


def test_included_in_an_existing_database_is_right_where_it_is_recommended_and_wrong_far_above() -> None:
    claim = CLAIMS["postgres-store-cost"]
    figures = list(figures_of(claim, BOOK, TODAY))
    assert [figure.low for figure in figures] == pytest.approx([0, 1.99525, 39.77275, 417.54775])
    assert all("added to a postgres had as rds that is there for search" in figure.at for figure in figures)
    found = judge(claim, [], figures)
    assert found.verdict is Verdict.UNSUPPORTED
    assert any("right at 10,000 decisions/day" in text and "wrong at 1,000,000" in text for text in found.sentences)
    assert judge(claim, [], figures[:1]).verdict is Verdict.SUPPORTED


@pytest.mark.parametrize("id_", ["redis-events-cost", "development-cost"])
def test_what_is_included_at_every_volume(id_: str) -> None:
    claim = CLAIMS[id_]
    found = judge(claim, [], list(figures_of(claim, BOOK, TODAY)))
    assert found.verdict is Verdict.SUPPORTED


def test_an_index_is_included_until_it_is_ten_million_documents() -> None:
    figures = list(figures_of(CLAIMS["postgres-search-cost"], BOOK, TODAY))
    # 10 M x 2,500 bytes = 25 GB beside 4.25 GB: 9.25 more than the 20 GB x 0.115
    assert [figure.low for figure in figures] == pytest.approx([0, 0.02875, 0.02875, 0.02875, 0, 1.06375])
    found = judge(CLAIMS["postgres-search-cost"], [], figures)
    assert found.verdict is Verdict.NOT_MEASURED
    assert any("at 10,000,000 records" in text and "not clear enough" in text for text in found.sentences)
    assert judge(CLAIMS["postgres-search-cost"], [], figures[:5]).verdict is Verdict.SUPPORTED


def test_the_four_monthly_costs_are_computed_at_four_volumes() -> None:
    costs = costs_of(tuple(CLAIMS.values()), BOOK, TODAY)
    for id_ in ("development-cost", "startup-aws-cost", "growth-aws-cost", "enterprise-cost"):
        assert [figure.at for figure in costs[id_]] == [f"{volume:,} decisions/day" for volume in VOLUMES]
        lows = [figure.low for figure in costs[id_]]
        assert lows == sorted(lows)


def test_machines_are_counted_from_the_runs_of_an_audit_and_from_nothing_else() -> None:
    claim = CLAIMS["startup-aws-cost"]
    without = list(figures_of(claim, BOOK, TODAY))
    assert all("whether one PostgreSQL carries" in " ".join(figure.unknown) for figure in without)
    assert "machines counted" not in without[0].source
    figures = list(figures_of(claim, BOOK, TODAY, Known(MEASURED)))
    # As a plan has it, and test_plan_recommendation.py works out by hand.
    assert (figures[0].low, figures[0].upper) == pytest.approx((109.94, 110.85), abs=0.01)
    assert figures[0].source.endswith("; machines counted from the runs for 1.5 times the peak: interactions=postgres")
    found = judge(claim, [], figures)
    assert found.headroom is not None
    assert found.headroom.high is not None
    one = CLAIMS["growth-aws-cost"]
    source = list(figures_of(one, BOOK, TODAY, Known(MEASURED)))[-1].source
    assert "search=opensearch, cache=elasticache" in source


def test_claims_about_something_else_get_the_cost_at_their_own_volume() -> None:
    assert [at for _, at in volumes_of(DECISIONS)] == ["10,000 decisions/day"]
    # 1,000 writes a second, one for a decision, are 1,000 x 86,400 decisions a day
    assert [(workload.decisions_per_day, at) for workload, at in volumes_of(WRITES)] == [
        (86_400_000, "86,400,000 decisions/day")
    ]
    assert [workload.customers for workload, _ in volumes_of(CUSTOMERS)] == [500_000]
    assert [workload.records for workload, _ in volumes_of(RECORDS)] == [1_000_000]
    assert volumes_of(CLAIMS["redis-events-throughput"]) == ()
    (figure,) = figures_of(DECISIONS, BOOK, TODAY)
    assert (figure.low, figure.upper) == (0.0, 0.0)
    (figure,) = figures_of(WRITES, BOOK, TODAY)
    assert figure.at == "86,400,000 decisions/day (postgres had as rds)"
    assert figure.upper is None


@pytest.mark.parametrize(
    "changes",
    [
        {"backend": "interactions=a.b:c"},
        {"backend": "interactions=memory"},
        {"backend": "", "concern": "", "stack": "memory"},
    ],
)
def test_what_has_no_model_has_no_figure(changes: dict[str, str]) -> None:
    assert list(figures_of(replace(WRITES, **changes), BOOK, TODAY)) == []


def test_old_prices_are_told() -> None:
    (figure,) = figures_of(WRITES, BOOK, date(2036, 1, 1))
    assert "of its prices are old" in figure.source
