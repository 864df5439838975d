"""Where one search backend overtakes another: brackets, and all the ways not to know."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planning_samples import ceiling, searches

from stackproof.planning.crossing import Better, Crossing, Outcome, Point, crossing, points_of

K = 1_000
Intervals = dict[int, tuple[float, float | None]]


def compared(ours: Intervals, theirs: Intervals, better: Better = Better.HIGHER, kind: str = "q") -> Crossing:
    points = [
        Point(backend, "q", records, low, high, f"{backend}{records}")
        for backend, found in (("pg", ours), ("os", theirs))
        for records, (low, high) in found.items()
    ]
    return crossing(points, "pg", "os", kind, better)


FAST, SLOW = (100.0, 110.0), (10.0, 11.0)


# -- the table ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs", "outcome", "bracket", "words"),
    [
        (
            {10: FAST, 100: SLOW},
            {10: SLOW, 100: FAST},
            Outcome.CROSSING,
            (10, 100),
            "pg is ahead up to 10 records, os from 100",
        ),
        (
            {10: SLOW, 100: FAST},
            {10: FAST, 100: SLOW},
            Outcome.CROSSING,
            (10, 100),
            "os is ahead up to 10 records, pg from 100",
        ),
        (
            {10: FAST, 100: FAST},
            {10: SLOW, 100: SLOW},
            Outcome.NO_CROSSING,
            None,
            "pg is ahead at 10 to 100 records; there is no",
        ),
        ({10: SLOW, 100: SLOW}, {10: FAST, 100: FAST}, Outcome.NO_CROSSING, None, "os is ahead at 10 to 100 records"),
        ({10: FAST}, {10: SLOW}, Outcome.NO_CROSSING, None, "pg is ahead at 10 records"),
        (
            {10: FAST, 100: FAST},
            {10: FAST, 100: FAST},
            Outcome.CANNOT_TELL,
            None,
            "nobody is ahead for certain at 10 to 100",
        ),
        # touching intervals decide nothing
        ({10: (110, 120)}, {10: (100, 110)}, Outcome.CANNOT_TELL, None, "nobody is ahead"),
        ({10: (110.01, 120)}, {10: (100, 110)}, Outcome.NO_CROSSING, None, "pg is ahead at 10 records"),
        # undecided at an end, or in the middle
        (
            {10: FAST, 100: FAST},
            {10: SLOW, 100: FAST},
            Outcome.CANNOT_TELL,
            None,
            "pg is ahead at 10 records; elsewhere",
        ),
        (
            {10: FAST, 100: FAST},
            {10: FAST, 100: SLOW},
            Outcome.CANNOT_TELL,
            None,
            "pg is ahead at 100 records; elsewhere",
        ),
        (
            {10: FAST, 50: FAST, 100: FAST},
            {10: SLOW, 50: FAST, 100: SLOW},
            Outcome.NO_CROSSING,
            None,
            "pg is ahead at 10 to 100 records",
        ),
        (
            {10: FAST, 50: FAST, 100: SLOW},
            {10: SLOW, 50: FAST, 100: FAST},
            Outcome.CROSSING,
            (10, 100),
            "pg is ahead up to 10 records, os from 100",
        ),
        (
            {10: FAST, 20: FAST, 50: SLOW, 100: SLOW},
            {10: SLOW, 20: SLOW, 50: FAST, 100: FAST},
            Outcome.CROSSING,
            (20, 50),
            "up to 20 records, os from 50",
        ),
        # twice is no answer
        (
            {10: FAST, 50: SLOW, 100: FAST},
            {10: SLOW, 50: FAST, 100: SLOW},
            Outcome.CANNOT_TELL,
            None,
            "changes more than once (pg at 10, then os at 50, then pg at 100)",
        ),
        # nothing in common, nothing at all
        ({10: FAST}, {100: FAST}, Outcome.CANNOT_TELL, None, "no number of records at which"),
        ({}, {}, Outcome.CANNOT_TELL, None, "no number of records at which"),
        ({10: FAST, 50: SLOW}, {50: FAST, 100: FAST}, Outcome.NO_CROSSING, None, "os is ahead at 50 records"),
    ],
)
def test_what_points_say(
    ours: Intervals, theirs: Intervals, outcome: Outcome, bracket: tuple[int, int] | None, words: str
) -> None:
    found = compared(ours, theirs)
    assert (found.outcome, words in found.sentence) == (outcome, True), found.sentence
    assert (found.low, found.high) == (bracket or (None, None))
    assert (found.estimate is None) is (bracket is None)


def test_of_latencies_less_is_better() -> None:
    found = compared({10: SLOW, 100: FAST}, {10: FAST, 100: SLOW}, Better.LOWER)
    assert found.leads == ((10, "pg"), (100, "os"))
    assert (found.low, found.high) == (10, 100)


def test_where_the_client_was_the_limit_only_a_lower_bound_counts() -> None:
    assert compared({10: (100, None)}, {10: (10, 20)}).leads == ((10, "pg"),)
    assert compared({10: (10, 20)}, {10: (100, None)}).leads == ((10, "os"),)
    assert compared({10: (100, 110)}, {10: (10, None)}).leads == ((10, ""),)
    assert compared({10: (10, None)}, {10: (100, 110)}).leads == ((10, ""),)
    assert compared({10: (100, None)}, {10: (10, None)}).leads == ((10, ""),)


def test_points_under_other_promises_are_not_compared() -> None:
    ours = Point("pg", "q", 10, *FAST, terms=("p99 within 20 ms",))
    theirs = Point("os", "q", 10, *SLOW, terms=("p99 within 50 ms",))
    found = crossing([ours, theirs], "pg", "os", "q")
    assert (found.outcome, found.leads) == (Outcome.CANNOT_TELL, ((10, ""),))
    assert "different promises or on different machines" in found.sentence
    assert "different promises" not in crossing([ours, replace(theirs, terms=ours.terms)], "pg", "os", "q").sentence


def test_one_point_under_another_promise_is_enough_to_say_so() -> None:
    points = [Point("pg", "q", 10, *FAST), Point("os", "q", 10, *SLOW), Point("pg", "q", 20, *FAST)]
    found = crossing([*points, Point("os", "q", 20, *SLOW, terms=("else",))], "pg", "os", "q")
    assert found.leads == ((10, "pg"), (20, ""))
    assert "different promises" in found.sentence


def test_other_kinds_and_backends_are_left_out() -> None:
    points = [Point("pg", "q", 10, *FAST), Point("os", "q", 10, *SLOW)]
    others = [Point("pg", "r", 10, *SLOW), Point("x", "q", 10, 1e6, 2e6)]
    assert crossing([*points, *others], "pg", "os", "q") == crossing(points, "pg", "os", "q")


def test_two_points_at_one_number_must_be_chosen_from_before() -> None:
    with pytest.raises(ValueError, match="pg has two points of q at 10 records"):
        crossing([Point("pg", "q", 10, *FAST), Point("pg", "q", 10, *SLOW)], "pg", "os", "q")


@pytest.mark.parametrize(
    ("records", "low", "high"),
    [
        (0, 1, 2),
        (10, 0, 0),
        (10, 0, None),
        (10, -1, 2),
        (10, 3, 2),
        (10, math.nan, 2),
        (10, 1, math.nan),
        (10, 1, math.inf),
        (10, math.inf, None),
    ],
)
def test_what_is_no_interval_is_no_point(records: int, low: float, high: float | None) -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        Point("pg", "q", records, low, high)


# -- the estimate ---------------------------------------------------------------------------------------------------


def test_the_estimate_of_two_exact_power_laws_is_where_they_cross() -> None:
    """ours = 1e6 / n, theirs = 100: they cross at 10,000."""
    found = compared({K: (1000, 1000), 1000 * K: (1, 1)}, {K: (100, 100), 1000 * K: (100, 100)})
    assert found.estimate == (pytest.approx(10_000), pytest.approx(10_000))


def test_the_estimate_is_as_wide_as_the_intervals_make_it() -> None:
    found = compared({K: (800, 1200), 1000 * K: (0.8, 1.2)}, {K: (90, 110), 1000 * K: (90, 110)})
    assert found.estimate is not None
    assert found.estimate[0] < 10_000 < found.estimate[1]
    # by hand: at least ln(800/110) ahead, at most ln(1200/90); then at least ln(90/1.2) behind, at most ln(110/0.8)
    first, last = math.log(800 / 110), math.log(1200 / 90)
    assert found.estimate[0] == pytest.approx(K * 1000 ** (first / (first + math.log(110 / 0.8))))
    assert found.estimate[1] == pytest.approx(K * 1000 ** (last / (last + math.log(90 / 1.2))))


def test_an_estimate_with_an_open_end_reaches_to_the_bracket() -> None:
    found = compared({10: (1000, None), 100: (1, 2)}, {10: (10, 20), 100: (50, 60)})
    assert found.estimate is not None
    assert found.estimate[1] == 100
    assert 10 < found.estimate[0] < 100
    found = compared({10: (1000, 1100), 100: (1, 2)}, {10: (10, 20), 100: (50, None)})
    assert found.estimate is not None
    assert found.estimate[0] == 10
    assert 10 < found.estimate[1] < 100


def test_where_no_rate_keeps_the_promise_the_other_backend_is_ahead() -> None:
    """At 100 records pg was shown to fail at 2/s, and to hold nothing."""
    found = compared({10: (40, 44), 100: (0, 2)}, {10: (10, 20), 100: (50, 60)})
    assert (found.outcome, found.low, found.high) == (Outcome.CROSSING, 10, 100)
    assert found.estimate is not None
    assert found.estimate[0] == 10  # it may have fallen at once
    assert 10 < found.estimate[1] < 100
    behind = compared({10: (0, 2), 100: (50, 60)}, {10: (10, 20), 100: (1, 2)})
    assert behind.outcome is Outcome.CROSSING


rates = st.integers(1, 1_000_000).map(float)  # whole, so that the inverses of different ones differ
intervals = st.tuples(rates, st.sampled_from([1.0, 1.5, 2.0, 8.0, None])).map(lambda t: (t[0], t[1] and t[0] * t[1]))
sides = st.dictionaries(st.sampled_from([10, 100, K, 10 * K, 100 * K]), intervals)


@settings(deadline=None)
@given(sides, sides)
def test_the_answer_is_about_what_was_measured_and_the_same_from_both_sides(ours: Intervals, theirs: Intervals) -> None:
    found, turned = compared(ours, theirs), compared(theirs, ours)
    swap = {"pg": "os", "os": "pg", "": ""}
    assert turned.leads == tuple((records, swap[name]) for records, name in found.leads)
    assert (turned.outcome, turned.low, turned.high) == (found.outcome, found.low, found.high)
    assert [records for records, _ in found.leads] == sorted(ours.keys() & theirs.keys())
    if found.outcome is Outcome.CROSSING:
        assert found.low is not None
        assert found.high is not None
        assert found.estimate is not None
        low, high = found.estimate
        assert found.low <= low <= high * (1 + 1e-9)
        assert high <= found.high * (1 + 1e-9)
        assert dict(found.leads)[found.low] != dict(found.leads)[found.high] != ""


@settings(deadline=None)
@given(sides, sides)
def test_latencies_are_compared_as_their_inverse_would_be(ours: Intervals, theirs: Intervals) -> None:
    def closed(side: Intervals) -> Intervals:
        return {records: (low, high or low) for records, (low, high) in side.items()}

    def inverse(side: Intervals) -> Intervals:
        return {records: (1 / (high or low), 1 / low) for records, (low, high) in closed(side).items()}

    rates_say = compared(closed(ours), closed(theirs))
    latencies_say = compared(inverse(ours), inverse(theirs), Better.LOWER)
    assert rates_say.leads == latencies_say.leads
    if rates_say.estimate is not None:
        assert latencies_say.estimate == pytest.approx(rates_say.estimate)


# -- points of ceilings ---------------------------------------------------------------------------------------------


def test_ceilings_become_points_by_backend_and_number_of_records() -> None:
    ceilings = searches("search-term", {10 * K: FAST, 100 * K: SLOW}, {10 * K: SLOW, 100 * K: FAST})
    found = crossing(points_of(ceilings, "search-term"), "search=postgres", "search=opensearch", "search-term")
    assert (found.outcome, found.low, found.high) == (Outcome.CROSSING, 10 * K, 100 * K)
    assert len(found.runs) == 4


def test_only_the_run_that_counts_becomes_a_point() -> None:
    (old,) = searches("search-term", {10 * K: FAST}, {})
    new = replace(old, low=1.0, high=2.0, run="new", date="2026-05-01T00:00:00+00:00")
    refused = replace(
        old, low=3.0, high=4.0, run="bad", date="2026-06-01T00:00:00+00:00", refused=("it was cut short",)
    )
    (point,) = points_of([old, new, refused], "search-term")
    assert (point.low, point.high, point.run) == (1.0, 2.0, "new")


def test_what_has_no_size_or_another_scenario_is_no_point() -> None:
    (good,) = searches("search-term", {10 * K: FAST}, {})
    assert points_of([good], "search-or") == ()
    assert points_of([ceiling(5, 6)], "ingest") == ()
    assert points_of([replace(good, settings={"records": 0})], "search-term") == ()
    assert points_of([replace(good, low=0.0, high=None)], "search-term") == ()
    assert points_of([replace(good, backends=("search=postgres", "cache=redis"))], "search-term") == ()


def test_one_record_is_a_number_of_records() -> None:
    (good,) = searches("search-term", {10 * K: FAST}, {})
    assert [point.records for point in points_of([replace(good, settings={"records": 1})], "search-term")] == [1]


def test_other_settings_are_other_terms() -> None:
    (one,) = searches("search-term", {10 * K: FAST}, {})
    (two,) = searches("search-term", {}, {10 * K: SLOW})
    deeper = replace(two, settings={**two.settings, "depth": 5})
    assert points_of([one], "search-term")[0].terms == points_of([two], "search-term")[0].terms
    assert points_of([deeper], "search-term")[0].terms != points_of([two], "search-term")[0].terms


def test_other_machines_and_other_promises_are_other_terms() -> None:
    (one,) = searches("search-term", {10 * K: FAST}, {})
    (two,) = searches("search-term", {}, {10 * K: SLOW})
    for change in ({"promises": ("p99 within 50 ms",)}, {"machine": (("processor", "another"),)}):
        points = points_of([one, replace(two, **change)], "search-term")
        assert crossing(points, "search=postgres", "search=opensearch", "search-term").leads == ((10 * K, ""),)
    assert crossing(
        points_of([one, two], "search-term"), "search=postgres", "search=opensearch", "search-term"
    ).leads == ((10 * K, "search=postgres"),)
