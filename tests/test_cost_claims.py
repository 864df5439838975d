"""Claims about a monthly cost, against costs that were computed at one or more volumes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planning_samples import CLAIMS, WRITES, ceiling

from stackproof.planning.audit import judge
from stackproof.planning.claims import Claim
from stackproof.planning.cost import StackCost, cost_of_stack
from stackproof.planning.cost_claims import CostFigure, figure_of, judged_cost
from stackproof.planning.demand import Demand, Workload
from stackproof.planning.judging import Verdict
from stackproof.planning.price_book import load_prices
from stackproof.planning.stacks import find_planned_stack, reference_stacks

STARTUP, ENTERPRISE, DEVELOPMENT = CLAIMS["startup-aws-cost"], CLAIMS["enterprise-cost"], CLAIMS["development-cost"]
"""Between 50 and 100; at least 2,000; 0 USD a month."""


def test_what_is_wrong_at_some_volumes_says_at_which_it_is_right() -> None:
    figures = [cost(0, 0.5, at="A"), cost(1, 1.5, at="B"), cost(40, 40, at="C")]
    assert "So it is right at A, and wrong at C." in judged_cost(DEVELOPMENT, figures).sentences
    assert not any("wrong at" in text for text in judged_cost(DEVELOPMENT, figures[2:]).sentences)


def cost(
    low: float, high: float | None, at: str = "10,000 decisions/day", *, unknown: tuple[str, ...] = ()
) -> CostFigure:
    return CostFigure(at, low, high, "price book of 2026-01-02", unknown, "Upstash Redis")


@pytest.mark.parametrize(
    ("claim", "figures", "verdict"),
    [
        # there is a volume at which it lies within the range
        (STARTUP, [cost(60, 70)], "supported"),
        (STARTUP, [cost(50, 100)], "supported"),
        (STARTUP, [cost(49.99, 100)], "not-measured"),
        (STARTUP, [cost(50, 100.01)], "not-measured"),
        (STARTUP, [cost(10, 24.99)], "unsupported"),
        (STARTUP, [cost(10, 25)], "not-measured"),  # a model may be wrong by a factor of two
        (STARTUP, [cost(10, 50)], "not-measured"),
        (STARTUP, [cost(200.01, 300)], "unsupported"),
        (STARTUP, [cost(200, 300)], "not-measured"),
        (STARTUP, [cost(109.94, 120)], "not-measured"),
        (STARTUP, [cost(100, 200)], "not-measured"),
        (STARTUP, [cost(10, 20), cost(60, 70), cost(200, 300)], "supported"),
        (STARTUP, [cost(10, 20), cost(20, 24)], "unsupported"),
        (STARTUP, [cost(210, 220), cost(400, 500)], "unsupported"),
        (STARTUP, [cost(10, 20), cost(300, 400)], "not-measured"),  # the volume may lie between
        (STARTUP, [cost(60, None)], "not-measured"),
        (STARTUP, [cost(60, 70, unknown=("Upstash",))], "not-measured"),
        (STARTUP, [cost(201, None)], "unsupported"),  # what is unknown only adds to it
        (STARTUP, [cost(0, None)], "not-measured"),
        # at least
        (ENTERPRISE, [cost(2_000, 2_500)], "supported"),
        (ENTERPRISE, [cost(2_000, None)], "supported"),
        (ENTERPRISE, [cost(1_999, 2_500)], "not-measured"),
        (ENTERPRISE, [cost(500, 999)], "unsupported"),
        (ENTERPRISE, [cost(500, 1_000)], "not-measured"),
        (ENTERPRISE, [cost(1_000, None)], "not-measured"),
        (ENTERPRISE, [cost(20_000, 30_000)], "supported"),
        (ENTERPRISE, [cost(20_001, 30_000)], "loose"),
        (ENTERPRISE, [cost(20_001, 30_000), cost(5_000, 6_000)], "supported"),
        (ENTERPRISE, [cost(20_001, 30_000), cost(500, 600)], "not-measured"),
        # nothing must be nothing at every volume
        (DEVELOPMENT, [cost(0, 0)], "supported"),
        (DEVELOPMENT, [cost(0, 0), cost(0, 0.01)], "supported"),  # less than a dollar is nothing
        (DEVELOPMENT, [cost(0, 1)], "supported"),
        (DEVELOPMENT, [cost(0, 1.01)], "not-measured"),
        (DEVELOPMENT, [cost(2, 2)], "not-measured"),
        (DEVELOPMENT, [cost(0, 0), cost(2.01, 3)], "unsupported"),
        (DEVELOPMENT, [cost(0, 0, unknown=("power",))], "not-measured"),
        (DEVELOPMENT, [], "not-measured"),
    ],
)
def test_a_cost(claim: Claim, figures: list[CostFigure], verdict: str) -> None:
    assert judged_cost(claim, figures).verdict == verdict
    assert judge(claim, [], figures).verdict == verdict


def test_the_ratio_is_of_what_is_computed_to_the_upper_end() -> None:
    found = judged_cost(STARTUP, [cost(60, 70), cost(200, 300)]).headroom
    assert found is not None
    assert (found.low, found.high) == (0.6, 3.0)
    found = judged_cost(ENTERPRISE, [cost(1_000, 1_500), cost(2_000, None)]).headroom
    assert found is not None
    assert (found.low, found.high) == (0.5, None)
    assert judged_cost(DEVELOPMENT, [cost(0, 0)]).headroom is None


def test_an_unknown_price_is_named_and_would_settle_it() -> None:
    found = judge(STARTUP, [], [cost(60, 70, unknown=("the price of bandwidth is not known",))])
    assert "to know what is not: the price of bandwidth is not known" in found.settled_by
    assert any("at least $60.00" in line and "not in it: the price of bandwidth is" in line for line in found.sentences)
    assert found.binds == "not known"


def test_the_volume_the_source_and_the_largest_part_are_told() -> None:
    found = judge(STARTUP, [], [cost(60, 70)])
    assert any("At 10,000 decisions/day a month costs $60.00 to $70.00" in line for line in found.sentences)
    assert any("price book of 2026-01-02" in line for line in found.sentences)
    assert found.binds == "cost of Upstash Redis"
    assert any("none are published" in line for line in found.settled_by)


def test_why_it_cannot_be_tested_is_told_where_nobody_computed_it() -> None:
    claim = replace(STARTUP, testable=False, why="It has no price.")
    nothing, something = judge(claim, []), judge(claim, [], [cost(60, 70)])
    assert (nothing.verdict, something.verdict) == (Verdict.NOT_TESTABLE, Verdict.SUPPORTED)
    assert (claim.why in nothing.sentences, claim.why in something.sentences) == (True, False)


def test_the_cost_at_the_claim_stands_beside_a_claim_about_something_else() -> None:
    found = judge(WRITES, [ceiling(1_000, 1_050)], [cost(20, 20, "86,400,000 writes/day")])
    assert found.verdict is Verdict.SUPPORTED
    assert any("At 86,400,000 writes/day a month costs $20.00 (" in line for line in found.sentences)


# -- with the cost model --------------------------------------------------------------------------------------------


def at(decisions_per_day: int, name: str) -> CostFigure:
    planned = find_planned_stack(name)
    demand = Demand.of(Workload(decisions_per_day))
    return figure_of(
        cost_of_stack(planned.choices(), demand, load_prices()), f"{decisions_per_day:,} decisions/day", "ours"
    )


def test_the_development_stack_costs_nothing_by_the_model() -> None:
    figures = [at(decisions, "development") for decisions in (10_000, 10_000_000)]
    found = judge(DEVELOPMENT, [], figures)
    assert (found.verdict, found.binds) == (Verdict.SUPPORTED, "cost")


def test_a_stack_becomes_a_figure_with_its_sum_its_unknowns_and_its_largest_part() -> None:
    cost = cost_of_stack(find_planned_stack("startup-aws").choices(), Demand.of(Workload(10_000)), load_prices())
    found = figure_of(cost, "10,000 decisions/day", "ours")
    assert (found.low, found.high, found.unknown) == (float(cost.total.low), float(cost.total.high), cost.total.unknown)
    assert (found.upper is None) is bool(cost.total.unknown)
    (largest,) = [one for one in cost.backends if f"{one.concern}={one.backend}" == found.largest]
    assert all(largest.total.high >= one.total.high for one in cost.backends)
    one = figure_of(largest, "10,000 decisions/day", "ours")
    assert one.largest in {line.item for line in largest.lines}


def test_another_currency_is_refused() -> None:
    with pytest.raises(ValueError, match="a cost in EUR cannot be held against a claim in USD/month"):
        figure_of(StackCost("EUR", ()), "any", "ours")


def test_what_stacks_and_claims_say_was_published_is_the_same() -> None:
    for stack in reference_stacks():
        claim, published = CLAIMS[f"{stack.name}-cost"], stack.published_cost
        assert published is not None
        assert published.text in claim.sentence
        assert (claim.quantity, claim.upto or claim.quantity) == (published.low, published.high or published.low)
        for threshold in stack.thresholds:
            claim = CLAIMS[threshold.id]
            assert (claim.concern, claim.quantity) == (threshold.concern, threshold.below)


@pytest.mark.parametrize(
    ("low", "high"), [(-1, 1), (2, 1), (float("nan"), 1), (1, float("nan")), (float("inf"), None), (1, float("inf"))]
)
def test_what_is_no_cost_is_refused(low: float, high: float | None) -> None:
    with pytest.raises(ValueError, match="no cost of a month"):
        cost(low, high)


figures = st.lists(
    st.tuples(
        st.sampled_from([0.0, 49.0, 50.0, 75.0, 100.0, 101.0, 2_000.0, 30_000.0]), st.sampled_from([0.0, 10.0, 1e6])
    )
    .map(lambda ends: cost(ends[0], ends[0] + ends[1]))
    .filter(lambda figure: figure.high is not None),
    max_size=4,
)


@settings(deadline=None)
@given(st.sampled_from([STARTUP, DEVELOPMENT, CLAIMS["growth-aws-cost"], CLAIMS["postgres-store-cost"]]), figures)
def test_an_unknown_part_never_supports_a_bounded_cost(claim: Claim, known: list[CostFigure]) -> None:
    unknown = [CostFigure(one.at, one.low, one.high, one.source, ("a part",)) for one in known]
    assert judged_cost(claim, unknown).verdict in (Verdict.NOT_MEASURED, Verdict.UNSUPPORTED)
    if judged_cost(claim, known).verdict is Verdict.SUPPORTED:
        assert judged_cost(claim, unknown).verdict is not Verdict.SUPPORTED


@settings(deadline=None)
@given(st.sampled_from([STARTUP, DEVELOPMENT, ENTERPRISE]), figures)
def test_making_a_part_unknown_never_turns_a_verdict_around(claim: Claim, known: list[CostFigure]) -> None:
    unknown = [CostFigure(one.at, one.low, one.high, one.source, ("a part",)) for one in known]
    with_all, without = judged_cost(claim, known).verdict, judged_cost(claim, unknown).verdict
    assert without in (with_all, Verdict.NOT_MEASURED)
