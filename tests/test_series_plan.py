"""How a series shares its time: the first come first, nobody gets more than there is, and what is left is not wasted."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackproof.measurement.series_plan import AROUND, LEAST, MOST, USUAL, Begun, Job, Pace, in_turn, paced, shares

PACE = Pace(search=60.0, documents=1_000.0, session=40.0)


def spent(found: tuple[object, ...]) -> float:
    return sum(share.search + share.before for share in found if share.fits)  # type: ignore[attr-defined]


def test_each_search_gets_what_one_usually_takes_and_a_part_of_what_is_left() -> None:
    found = shares([Job(0), Job(0)], 200.0, PACE, {})
    assert [share.before for share in found] == [AROUND + 40.0, AROUND]
    left = 200.0 - 40.0 - 2 * AROUND
    assert [share.search for share in found] == pytest.approx([left / 2, left / 2])


def test_nobody_gets_more_than_a_search_may_take() -> None:
    (found,) = shares([Job(0)], 10_000.0, PACE, {})
    assert found.search == MOST


def test_the_first_are_served_first_and_the_last_one_gets_what_is_left() -> None:
    begun = {0: Begun()}
    first, second, third = shares([Job(0), Job(0), Job(0)], 60.0 + 45.0 + 2 * AROUND, PACE, begun)
    assert (first.search, second.search) == pytest.approx((60.0, 45.0))
    assert not third.fits
    assert third.needs == LEAST + AROUND


def test_what_is_too_long_does_not_keep_away_what_is_less_important_and_short() -> None:
    begun = {0: Begun(documents=10_000)}
    long, short = shares([Job(0, 1_000_000), Job(0, 10_000)], 300.0, PACE, begun)
    assert not long.fits
    assert long.before == pytest.approx(990.0 + AROUND)
    assert short.fits


def test_documents_are_filled_in_once_for_all_searches_of_a_session() -> None:
    jobs = [Job(0, 100_000), Job(0, 100_000), Job(1, 100_000)]
    found = shares(jobs, 1_000.0, PACE, {0: Begun(10_000), 1: Begun()})
    assert [share.before for share in found] == pytest.approx([90.0 + AROUND, AROUND, 100.0 + AROUND])


def test_sessions_follow_each_other_and_documents_only_grow() -> None:
    jobs = [Job(1, 100_000), Job(0), Job(1, 10_000), Job(1), Job(0, 10_000), Job(1, 10_000)]
    assert in_turn(jobs) == [3, 2, 5, 0, 1, 4]


def test_what_searches_really_took_moves_the_expectation() -> None:
    assert paced([]) == USUAL
    assert USUAL < paced([100.0]) < 100.0
    assert paced([30.0] * 50) == pytest.approx(30.0, abs=1.0)


@given(
    st.lists(st.builds(Job, st.integers(0, 3), st.sampled_from([0, 10_000, 100_000, 1_000_000])), max_size=20),
    st.floats(-10.0, 5_000.0),
    st.floats(1.0, 300.0),
)
@settings(deadline=None)
def test_no_plan_takes_more_than_there_is(jobs: list[Job], left: float, search: float) -> None:
    found = shares(jobs, left, Pace(search=search), {0: Begun(10_000)})
    assert len(found) == len(jobs)
    assert spent(found) <= max(0.0, left) + 1e-6
    assert all(LEAST <= share.search <= MOST for share in found if share.fits)
    assert sorted(in_turn(jobs)) == list(range(len(jobs)))


@given(st.lists(st.builds(Job, st.just(0)), min_size=2, max_size=20), st.floats(0.0, 2_000.0))
@settings(deadline=None)
def test_of_equals_none_is_served_before_a_more_important_one(jobs: list[Job], left: float) -> None:
    fits = [share.fits for share in shares(jobs, left, PACE, {0: Begun()})]
    assert fits == sorted(fits, reverse=True)
