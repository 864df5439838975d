"""What a workload asks of its stack: worked by hand, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest

from stackproof.interfaces import ConfigurationError
from stackproof.planning.demand import Demand, Workload


def test_ten_thousand_decisions_a_day() -> None:
    demand = Demand.of(Workload(10_000, peak_factor=Decimal(5)))
    # 10,000 / 86,400 s = 0.1157.../s; five times that at the peak
    assert demand.decisions.mean == Fraction(10_000, 86_400)
    assert demand.decisions.peak == Fraction(50_000, 86_400)
    # 10,000 x 730 h / 24 h = 304,166.67 a month: 304,167 whole ones
    assert demand.decisions.per_month == 304_167
    # one interaction each, 1,000 bytes, 365 days: 10,000 x 365 x 1,000
    assert demand.interaction_bytes == 3_650_000_000
    # 100,000 customers x 20 rows x 300 bytes
    assert demand.summary_bytes == 600_000_000
    # seven days of events: 70,000 x 1,000 bytes; thirty days of lines: 300,000 x 1,024 bytes
    assert demand.event_log_bytes == 70_000_000
    assert demand.log_bytes == 307_200_000
    # two cache reads each: 20,000 x 730 / 24 = 608,333.3; 95 in a hundred hit: 577,916.7
    assert demand.cache_reads.per_month == 608_334
    assert demand.cache_hits.per_month == 577_917


def test_parts_of_a_request_are_exact() -> None:
    demand = Demand.of(Workload(100_000, events_per_decision=Decimal("0.1"), interactions_per_decision=Decimal("1.5")))
    assert demand.events.mean == Fraction(10_000, 86_400)
    assert demand.interactions.mean == Fraction(150_000, 86_400)
    assert demand.interactions.peak_bytes == Fraction(150_000, 86_400) * 5 * 1_000


def test_growth_is_compound_and_rounds_up() -> None:
    workload = Workload(10_000, growth_per_month=Decimal("0.1"))
    # 10,000 x 1.1 = 11,000; x 1.1 twice more = 13,310; after 12 months 10,000 x 3.138428376721 = 31,384.28: 31,385
    assert [workload.in_month(n).decisions_per_day for n in (0, 1, 3, 12)] == [10_000, 11_000, 13_310, 31_385]
    assert replace(workload, growth_per_month=Decimal("-0.1")).in_month(2).decisions_per_day == 8_100
    assert workload.in_month(5).records == workload.records


def test_the_mix_is_that_of_the_decision_scenario() -> None:
    from stackproof.scenarios.catalogue import DECISION

    steps = {type(step).__name__: step for step in DECISION.steps}
    workload = Workload(1)
    counts = {name: getattr(step, "times", None) for name, step in steps.items()}
    assert set(counts) == {"CacheRead", "SummariesRead", "RecordEvent", "Publish", "LogLine"}
    assert counts == {
        "CacheRead": workload.cache_reads_per_decision,
        "SummariesRead": workload.summary_reads_per_decision,
        "RecordEvent": workload.interactions_per_decision,
        "Publish": workload.events_per_decision,
        "LogLine": 1,
    }


WRONG = [
    ({"decisions_per_day": 0}, "--decisions-per-day is 0; it lies between 1 and"),
    ({"decisions_per_day": -5}, "--decisions-per-day is -5; it lies"),
    ({"decisions_per_day": 10**14}, "it lies between 1 and"),
    ({"decisions_per_day": 1.5}, "--decisions-per-day is 1.5; it must be a whole number, exactly"),
    ({"decisions_per_day": True}, "it must be a whole number"),
    ({"decisions_per_day": "many"}, "--decisions-per-day is 'many'; it must be a whole number"),
    ({"peak_factor": Decimal("0.5")}, "--peak-factor is 0.5; it lies between 1 and 1000"),
    ({"peak_factor": 2.5}, "--peak-factor is 2.5; it must be a number, exactly (an int or a Decimal)"),
    ({"peak_factor": Decimal("NaN")}, "--peak-factor is NaN; it must be a finite number"),
    ({"growth_per_month": Decimal(-1)}, "--growth-per-month is -1; it lies between -0.9 and 10"),
    ({"cache_hit_ratio": Decimal("1.01")}, "--cache-hit-ratio is 1.01; it lies between 0 and 1"),
    ({"retention_days": 100_000}, "--retention-days is 100000; it lies"),
    ({"record_bytes": 0}, "--interactions-per-decision is 1 while --record-bytes is 0"),
    ({"event_bytes": 0}, "--events-per-decision is 1 while --event-bytes is 0"),
    ({"records": 0}, "--searches-per-day is 10000 while --records is 0: there is nothing to be searched"),
    ({"document_bytes": 0}, "--records is 100000 while --document-bytes is 0"),
    ({"cached_values": 0}, "--cache-hit-ratio is 0.95 while --cached-values is 0: an empty cache has no hits"),
    ({"customers": 0}, "--summary-reads-per-decision is 1 while --customers is 0"),
]


@pytest.mark.parametrize(("given", "sentence"), WRONG, ids=[sentence[:45] for _, sentence in WRONG])
def test_what_is_absurd_or_contradictory_is_one_sentence(given: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Workload(**{"decisions_per_day": 10_000, **given})  # type: ignore[arg-type]
    assert sentence in str(caught.value)


def test_what_is_not_used_needs_no_size() -> None:
    none = Workload(
        10_000, events_per_decision=Decimal(0), event_bytes=0, records=0, document_bytes=0, searches_per_day=0
    )
    assert Demand.of(none).events.per_month == 0


def test_growth_beyond_everything_is_refused() -> None:
    with pytest.raises(
        ConfigurationError, match=r"--growth-per-month 10 makes .* decisions a day of 10,000 in month 24"
    ):
        Workload(10_000, growth_per_month=Decimal(10)).in_month(24)
    for month in (-1, 10**9):
        with pytest.raises(ConfigurationError, match="a month of a plan lies between 0 and"):
            Workload(10_000).in_month(month)
