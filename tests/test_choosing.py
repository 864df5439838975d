"""Which of several measured ceilings counts: the last search, what a newer or a closer run refutes, and under which promise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from planning_samples import ceiling

from stackproof.planning.ceilings import MeasuredCeiling
from stackproof.planning.choosing import latest, refutes, under_promise
from stackproof.planning.measured import Known

OLD, NEW = "2026-01-01T00:00:00+00:00", "2026-01-03T00:00:00+00:00"
LOOSE = ("p99 within 500 ms",)


def held(rate: float, **changes: Any) -> MeasuredCeiling:
    """A fixed rate that was held."""
    return ceiling(rate, None, **{"searched": False, "limiter": "none", "run": f"held-{rate:g}", **changes})


def unfinished(low: float, high: float | None, **changes: Any) -> MeasuredCeiling:
    """A search that did not converge."""
    given = {"searched": False, "limiter": "not-converged", "run": f"unfinished-{low:g}-{high}", **changes}
    return ceiling(low, high, **given)


# -- of one group of runs -------------------------------------------------------------------------------------------


def test_the_last_search_counts_whatever_it_found() -> None:
    old = ceiling(500, 520, run="old", date="2026-01-01T00:00:00+00:00")
    new = ceiling(100, 105, run="new", date="2026-01-02T00:00:00+00:00")
    assert latest([new, old]) is new
    assert latest([old, new]) is new


def test_the_last_one_is_told_by_the_moment_not_by_the_text() -> None:
    early = ceiling(1, 2, run="early", date="2026-01-01T23:00:00-01:00")  # midnight UTC
    late = ceiling(1, 2, run="late", date="2026-01-02T00:30:00+00:00")
    later = ceiling(1, 2, run="later", date="2026-01-02T01:00:00")
    assert latest([late, early]) is late
    assert latest([later, late]) is later


def test_a_fixed_rate_counts_where_nothing_was_searched() -> None:
    low, high = (ceiling(rate, None, searched=False, limiter="none", run=f"{rate}") for rate in (100, 200))
    search = ceiling(50, 55)
    assert latest([low, high]) is high
    assert latest([high, low, search]) is search


def test_what_is_refused_never_counts() -> None:
    refused = ceiling(500, 520, refused=("it was cut short",))
    assert latest([refused]) is None
    assert latest([]) is None
    assert latest([refused, (good := ceiling(1, 2, date="2020-01-01T00:00:00+00:00"))]) is good


def test_of_several_promises_the_one_that_says_most_about_what_is_asked_counts() -> None:
    strict, usual, loose, none = (
        ceiling(low, None, run=f"run-{low}", promises=promises)
        for low, promises in (
            (10, ("p99 within 5 ms",)),
            (20, ("p50 within 2 ms", "p99.9 within 20 ms")),
            (30, ("p99 within 500 ms",)),
            (40, ()),
        )
    )
    runs = [strict, usual, loose]
    assert under_promise(runs, 20.0) == (usual,)
    assert under_promise(runs, 100.0) == (usual,), "a lower bound"
    assert under_promise(runs, 1.0) == (strict,)
    assert under_promise(runs, None) == (loose,)
    assert under_promise([*runs, none], None) == (none,)
    assert under_promise([none], 20.0) == (none,)


def test_another_workload_and_servers_of_ones_own_are_other_groups_and_what_is_refused_decides_nothing() -> None:
    strict = ceiling(10, None, promises=("p99 within 5 ms",), origin="external")
    loose = ceiling(30, None, promises=("p99 within 500 ms",))
    other = ceiling(30, None, promises=("p99 within 900 ms",), scenario="summaries")
    refused = replace(loose, promises=(), refused=("it was cut short",))
    assert set(map(id, under_promise([strict, loose, other, refused], None))) == set(
        map(id, [strict, loose, other, refused])
    )


def test_what_a_newer_run_failed_at_does_not_count_any_more() -> None:
    old = ceiling(100, 110, date=OLD, run="old")
    assert latest([old, unfinished(0, 60, date=NEW)]) != old
    assert latest([old, unfinished(0, 120, date=NEW)]) is old
    assert latest([replace(old, date=NEW), unfinished(0, 60, date=OLD)]) == replace(old, date=NEW)
    fast, slow = unfinished(100, None, date=OLD), unfinished(20, 60, date=NEW)
    assert latest([fast, slow]) is slow, "the highest rate that was held would have been the older one"


@pytest.mark.parametrize(
    "changes",
    [
        {"promises": ("p99 within 5 ms",)},
        {"promises": ("p99.9 within 20 ms",)},
        {"settings": {"batch": 500}},
        {"backends": ("interactions=scylla",)},
        {"scenario": "summaries"},
        {"fidelity": "compatible-engine"},
    ],
)
def test_a_run_of_something_else_or_of_a_stricter_promise_refutes_nothing(changes: dict[str, Any]) -> None:
    old = ceiling(100, 110, date=OLD)
    assert refutes(unfinished(0, 60, date=NEW), old)
    assert not refutes(unfinished(0, 60, date=NEW, **changes), old)


def test_what_the_server_failed_at_by_itself_refutes_whatever_was_promised() -> None:
    assert refutes(ceiling(50, 60, limiter="server", promises=("p99 within 5 ms",)), ceiling(100, None, promises=()))
    assert not refutes(ceiling(50, 60, limiter="slo"), ceiling(100, None, promises=()))


# -- under a promise ------------------------------------------------------------------------------------------------


def test_a_rate_that_was_held_without_a_promise_does_not_drop_a_search() -> None:
    search, fixed = ceiling(100, 110), held(30, promises=())
    for asked in (None, 20.0, 500.0):
        assert set(map(id, under_promise([search, fixed], asked))) == {id(search), id(fixed)}
        assert (
            Known(own=(search, fixed), shipped=(ceiling(900, 950),)).for_promise(asked).best(lambda _: True) is search
        )


def test_a_promise_under_which_nothing_held_says_nothing_about_a_looser_one() -> None:
    strict, loose = ceiling(0, 2), unfinished(45, None, promises=LOOSE)
    assert under_promise([strict, loose], 20.0) == (strict,)
    assert under_promise([strict, loose], 100.0) == (loose,)
    assert under_promise([strict, loose], 500.0) == (loose,)
    assert under_promise([strict, loose], None) == (loose,)
    assert under_promise([strict, loose], 5.0) == (loose,), "something held there"
    assert under_promise([strict], 100.0) == (strict,), "and where nothing held at all, that is told"


def test_of_searches_under_usable_promises_one_that_ended_counts_first() -> None:
    ended, not_ended = ceiling(45, 50, promises=("p99 within 10 ms",)), unfinished(20, None)
    assert under_promise([ended, not_ended], 20.0) == (ended,)
    assert under_promise([not_ended, ended], 100.0) == (ended,)


def test_what_stands_in_has_a_choice_of_its_own() -> None:
    itself = ceiling(10, 12, promises=LOOSE)
    stands_in = ceiling(90, 95, fidelity="compatible-engine")
    assert set(map(id, under_promise([itself, stands_in], 20.0))) == {id(itself), id(stands_in)}
    assert Known(own=(itself, stands_in)).for_promise(20.0).best(lambda _: True) is itself


def test_what_a_newer_run_under_a_looser_promise_failed_at_is_left_out_before() -> None:
    old, refuting = ceiling(100, 110, date=OLD), unfinished(0, 60, date=NEW, promises=LOOSE)
    assert under_promise([old, refuting], 20.0) == (refuting,)


# -- one's own before what comes with the package --------------------------------------------------------------------


def best(own: list[MeasuredCeiling], shipped: list[MeasuredCeiling]) -> MeasuredCeiling | None:
    return Known(tuple(own), tuple(shipped)).best(lambda _: True)


def test_what_failed_on_ones_own_hardware_is_not_carried_over_from_ours() -> None:
    ours, refuting = ceiling(100, 110, date=NEW), unfinished(0, 60, date=OLD, origin="external")
    assert best([refuting], [ours]) is refuting
    assert best([held(10, origin="external"), refuting], [ours]) == held(10, origin="external")
    assert best([unfinished(0, 120, origin="external")], [ours]) is ours
    assert best([refuting], [unfinished(100, None)]) is refuting


def test_what_is_closer_counts_where_it_shows_as_much() -> None:
    ours = ceiling(100, 110)
    assert best([held(150)], [ours]).low == 150
    assert best([held(50)], [ours]) is ours
    assert best([held(100)], [ours]) is ours, "a search knows both ends"
    assert best([ceiling(20, 22)], [ours]).low == 20
    assert best([], []) is None
