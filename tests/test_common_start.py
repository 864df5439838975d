"""Whom a schedule is shared out to, and when it may begin."""

from __future__ import annotations

from stackproof.scenarios.common_start import CommonStart


def joined(*joins: tuple[str, str]) -> CommonStart:
    start = CommonStart()
    for name, process in joins:
        start.join(name, process)
    return start


def test_it_waits_for_the_last_user_and_for_all_to_be_ready() -> None:
    start = joined(("Echo", "b"))
    assert not start.complete, "nobody said how many there will be"
    assert start.missing == "not all users were started"
    start.expect({"Echo": 2, "Other": 0})
    assert not start.complete
    assert start.missing == "1 of 2 of Echo were ready"
    start.join("Echo", "a")
    assert start.complete
    assert start.shares() == {"a": {"Echo": (0, 2)}, "b": {"Echo": (1, 2)}}


def test_each_schedule_is_shared_by_those_that_have_its_class() -> None:
    start = joined(("Echo", "a"), ("Search", "a"), ("Search", "b"))
    start.expect({"Echo": 1, "Search": 2})
    assert start.complete
    assert start.shares() == {"a": {"Echo": (0, 1), "Search": (0, 2)}, "b": {"Search": (1, 2)}}


def test_where_nobody_comes_nothing_begins() -> None:
    start = joined()
    start.expect({"Echo": 0})
    assert not start.complete
    assert start.missing == "there were no users"


def test_users_that_are_added_later_are_not_waited_for() -> None:
    start = joined(("Echo", "a"))
    start.expect({"Echo": 1})
    start.begun = True
    start.expect({"Echo": 2})
    assert start.complete
