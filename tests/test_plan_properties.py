"""What must be so of every plan: more demand makes nothing feasible, and what is unknown makes nothing cheaper."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plan_samples import BOOK, KNOWN, MEASURED, answer, asked, known, workload

from stackproof.planning.demand import Demand, Workload
from stackproof.planning.feasibility import Asked, Status, Where, candidates
from stackproof.planning.measured import Known, from_json, to_json
from stackproof.planning.price_book import PriceBook
from stackproof.planning.recommendation import Advisor

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])

volumes = st.integers(1, 10**10)
GROWING = (
    "decisions_per_day",
    "peak_factor",
    "interactions_per_decision",
    "summary_reads_per_decision",
    "events_per_decision",
    "subscriptions",
    "records",
    "searches_per_day",
    "cache_reads_per_decision",
    "record_bytes",
    "event_bytes",
    "log_bytes_per_decision",
    "cached_values",
)
questions = st.builds(
    asked,
    p99_ms=st.one_of(st.none(), st.sampled_from([5.0, 20.0, 100.0])),
    headroom=st.sampled_from(["1", "1.5", "3"]),
    where=st.sampled_from([Where.ANY, Where.MANAGED, Where.LOCAL]),
)
rates = st.floats(0.5, 50_000, allow_nan=False)


@st.composite
def measured(draw: st.DrawFn) -> Known:
    """Some of the samples, with other figures; some of them lower bounds only."""
    found = []
    for one in MEASURED:
        if draw(st.booleans()):
            low = draw(rates)
            high = draw(st.one_of(st.none(), st.floats(1.01, 3).map(lambda factor, low=low: low * factor)))
            limiter = "client" if high is None else draw(st.sampled_from(["server", "slo"]))
            found.append(replace(one, low=low, high=high, limiter=limiter))
    return known(shipped=found)


@given(decisions=volumes, name=st.sampled_from(GROWING), factor=st.integers(2, 1_000), about=questions, seen=measured())
@QUICK
def test_more_demand_never_makes_an_infeasible_backend_feasible(
    decisions: int, name: str, factor: int, about: Asked, seen: Known
) -> None:
    before = workload(decisions)
    value = getattr(before, name)
    largest = {"peak_factor": 1_000, "subscriptions": 1_000, "decisions_per_day": 10**13}.get(
        name, 10**9 if "bytes" in name else 10**13
    )
    if name.endswith("per_decision") and "bytes" not in name:
        largest = 1_000
    after = replace(before, **{name: min(value * factor, largest)})
    some = [candidates(Demand.of(each), about, seen, BOOK) for each in (before, after)]
    for less, more in zip(*some, strict=True):
        assert not (more.usable and not less.usable), (less.name, less.reasons, more.reasons)
        if less.status is Status.REJECTED:
            assert more.status is Status.REJECTED, (less.name, less.reasons, more.reasons)
        if less.status is Status.OPEN:
            assert more.status is not Status.FEASIBLE


@given(decisions=volumes, about=questions, seen=measured(), factor=st.floats(1.1, 10))
@QUICK
def test_a_higher_ceiling_never_makes_a_feasible_backend_infeasible(
    decisions: int, about: Asked, seen: Known, factor: float
) -> None:
    better = known(
        shipped=[
            replace(one, low=one.low * factor, high=None if one.high is None else one.high * factor)
            for one in seen.shipped
        ]
    )
    demand = Demand.of(workload(decisions))
    for less, more in zip(*(candidates(demand, about, each, BOOK) for each in (seen, better)), strict=True):
        assert more.usable or not less.usable


@given(decisions=volumes, ids=st.sets(st.sampled_from(sorted(BOOK.prices)), min_size=1, max_size=5))
@FEW
def test_an_unknown_price_never_lowers_the_upper_end_nor_makes_a_cost_known(decisions: int, ids: set[str]) -> None:
    before, after = answer(decisions), answer(decisions, book=BOOK.without(*ids))
    for known_, unknown in zip(before.candidates, after.candidates, strict=True):
        if ids & set(known_.cost.prices):
            assert not unknown.cost.total.known
        if not known_.cost.total.known:
            assert not unknown.cost.total.known
        assert (known_.status, known_.marks) == (unknown.status, unknown.marks)
    # A stack whose cost became unknown is never recommended before one whose cost is known, of equals otherwise.
    if after.best is not None and not after.best.known:
        assert not any(one.known for one in after.options)
    if before.best is not None and after.best is not None and before.best.known and after.best.known:
        assert (after.best.rank, after.best.high) >= (before.best.rank, before.best.high)


@given(decisions=volumes, about=questions, seen=measured())
@FEW
def test_the_recommended_stack_is_made_of_what_is_feasible_and_nothing_better_is_left_out(
    decisions: int, about: Asked, seen: Known
) -> None:
    found = answer(decisions, about=about, measured=seen)
    if found.best is None:
        return
    assert all(part.usable for part in found.best.parts)
    assert all(found.best.rank <= one.rank for one in found.options)
    same = [one for one in found.options if one.rank == found.best.rank and one.known]
    assert all(found.best.high <= one.high for one in same)
    assert all(one.low >= found.best.high for one in found.options if one is not found.best and one not in found.rivals)
    cost = Advisor(about, seen, BOOK).cost(found.best, found.demand).total
    assert (cost.low, cost.high, cost.known) == (found.best.low, found.best.high, found.best.known)
    assert cost.unknown == tuple(dict.fromkeys(found.best.not_priced))


@given(decisions=volumes, amount=st.decimals(0, 10, places=3, allow_nan=False))
@FEW
def test_a_price_that_becomes_known_can_only_be_told_better(decisions: int, amount: Decimal) -> None:
    price = replace(BOOK.price("self-hosted-host"), low=amount, high=amount)
    book = PriceBook(BOOK.currency, {**BOOK.prices, price.id: price}, BOOK.quotas, BOOK.files)
    before, after = answer(decisions), answer(decisions, book=book)
    for less, more in zip(before.candidates, after.candidates, strict=True):
        assert less.cost.total.low <= more.cost.total.low
        assert set(more.cost.total.unknown) <= set(less.cost.total.unknown)


def test_the_ceilings_of_the_samples_go_through_their_file() -> None:
    text = to_json(KNOWN.shipped)
    again = from_json(text, "file")
    assert sorted(one.run for one in again) == sorted(one.run for one in MEASURED)
    assert to_json(again) == text


def test_a_workload_is_unchanged_by_asking() -> None:
    assert workload(10) == Workload(10)
