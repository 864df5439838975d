"""The audit: a table of cases, and what must be true of every case (more never makes worse, unknown never supports)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planning_samples import CLAIMS, CUSTOMERS, DECISIONS, RECORDS, WRITES, ceiling, decisions, searches

from stackproof.planning.audit import Finding, audit, judge
from stackproof.planning.audit_words import How
from stackproof.planning.ceilings import MeasuredCeiling
from stackproof.planning.claims import Claim, Comparison
from stackproof.planning.headroom import Headroom, factor, least, taken, together
from stackproof.planning.judging import LOOSE, Verdict, worst

K = 1_000
SIMPLE = ("search-term", "search-prefix", "search-filtered", "search-phrase")
GOOD = (Verdict.SUPPORTED, Verdict.LOOSE)
FAST, SLOW = (500.0, 510.0), (10.0, 11.0)


# -- by rate --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1_000, 1_050, "supported"),
        (9_000, 11_000, "supported"),  # loose is not shown by what may be above
        (10_000, 10_500, "supported"),  # exactly ten times is not more than ten times
        (10_001, 10_500, "loose"),
        (999, 1_050, "not-measured"),  # the number lies within
        (900, 1_000, "unsupported"),  # at most 1,000/s, and 1,000/s fails
        (900, 1_000.5, "not-measured"),
        (900, 999, "unsupported"),
        (0, 10, "unsupported"),
        # the client was the limit: a lower bound
        (1_000, None, "supported"),
        (10_001, None, "loose"),
        (999, None, "not-measured"),
        (0, None, "not-measured"),
    ],
)
def test_a_rate_at_most(low: float, high: float | None, verdict: str) -> None:
    assert judge(WRITES, [ceiling(low, high)]).verdict == verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(900, 1_000, "not-measured"), (900, 999, "unsupported"), (1_000, 1_050, "supported")]
)
def test_a_rate_less_than_is_not_touched_by_what_fails_at_it(low: float, high: float, verdict: str) -> None:
    claim = replace(WRITES, comparison=Comparison.LESS_THAN)
    assert judge(claim, [ceiling(low, high)]).verdict == verdict


def test_the_development_stack_against_ten_thousand_a_day() -> None:
    found = judge(DECISIONS, [decisions(400, 420)])
    assert found.verdict is Verdict.LOOSE
    assert found.headroom is not None
    assert found.headroom.low == pytest.approx(3_456)
    assert found.headroom.high == pytest.approx(3_628.8)
    assert found.headroom.text == "3,456 to 3,629 times"
    assert "0.1157/s" in found.sentences[0]
    assert found.binds.startswith("none that was measured (throughput of decision (slo)")
    assert "availability" in found.binds
    assert found.runs == ("run-400-cache=redis",)


def test_items_of_a_scenario_for_one_of_the_claim() -> None:
    twice = replace(WRITES, scenarios=(replace(WRITES.scenarios[0], per_unit=2.0),))
    found = judge(twice, [ceiling(1_000, 1_050)])
    assert found.headroom is not None
    assert (found.headroom.low, found.headroom.high) == (0.5, 0.525)
    assert found.verdict is Verdict.UNSUPPORTED


# -- whose ceiling it is --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        ceiling(5 * K, 6 * K, backends=("interactions=cassandra",)),
        ceiling(5 * K, 6 * K, scenario="decision"),
        ceiling(5 * K, 6 * K, backends=("cache=redis", "interactions=postgres")),
        ceiling(5 * K, 6 * K, backends=()),
    ],
)
def test_the_ceiling_of_something_else_says_nothing(other: MeasuredCeiling) -> None:
    found = judge(WRITES, [other])
    assert (found.verdict, found.headroom, found.runs) == (Verdict.NOT_MEASURED, None, ())


def test_a_claim_about_a_stack_is_held_against_that_stack() -> None:
    other = replace(
        decisions(400, 420), backends=("cache=memory", "events=redis", "interactions=postgres", "logs=console")
    )
    assert judge(DECISIONS, [other]).verdict is Verdict.NOT_MEASURED
    without = replace(decisions(400, 420), backends=("cache=redis",))
    assert judge(DECISIONS, [without]).verdict is Verdict.NOT_MEASURED


def test_a_run_of_all_five_backends_of_the_stack_is_one_of_the_stack() -> None:
    whole = replace(decisions(400, 420), backends=(*decisions(400, 420).backends, "search=postgres"))
    assert judge(DECISIONS, [whole]).verdict is Verdict.LOOSE
    claim = CLAIMS["growth-aws-throughput"]
    assert judge(claim, [replace(whole, backends=())]).runs == ()
    assert judge(claim, [whole]).runs == ()
    assert judge(claim, [replace(whole, backends=("cache=elasticache", "events=msk"))]).runs == (whole.run,)


def test_other_settings_are_another_workload() -> None:
    shallow = ceiling(5 * K, 6 * K, scenario="summaries", settings={"customers": 500_000, "depth": 1})
    assert judge(CUSTOMERS, [shallow]).verdict is Verdict.NOT_MEASURED
    pinned = replace(CUSTOMERS, scenarios=(replace(CUSTOMERS.scenarios[0], settings={"depth": 1}),))
    assert judge(pinned, [shallow]).verdict is Verdict.SUPPORTED


@pytest.mark.parametrize("reason", ["it was measured on an emulator", "there is no certificate", "it is invalid: x."])
@pytest.mark.parametrize("claim", [WRITES, DECISIONS, CUSTOMERS, RECORDS, CLAIMS["redis-events-throughput"]])
def test_what_is_refused_decides_nothing_and_is_told(claim: Claim, reason: str) -> None:
    everything = [replace(one, refused=(reason,)) for one in EVERYTHING]
    found = judge(claim, everything)
    assert found.verdict in (Verdict.NOT_MEASURED, Verdict.NOT_TESTABLE)
    assert (found.headroom, found.runs) == (None, ())
    assert any("is not used: " + reason.rstrip(".") in sentence for sentence in found.sentences)


def test_another_run_that_disagrees_is_named() -> None:
    old = ceiling(2_000, 2_100, run="old", date="2025-01-01T00:00:00+00:00")
    new = ceiling(1_000, 1_050, run="new")
    found = judge(WRITES, [old, new])
    assert found.runs == ("new",)
    assert any(sentence.startswith("Run old says something else") for sentence in found.sentences)
    for low, high, disagrees in (
        (1_020, 1_060, False),
        (1_050, 1_100, False),
        (900, 1_000, False),
        (1_051, 1_100, True),
        (900, 999, True),
        (900, None, False),
        (1_051, None, True),
    ):
        found = judge(WRITES, [replace(old, low=low, high=high), new])
        assert any("says something else" in sentence for sentence in found.sentences) is disagrees, (low, high)


# -- by size --------------------------------------------------------------------------------------------------------


def at_customers(found: dict[int, tuple[float, float | None]]) -> list[MeasuredCeiling]:
    return [
        ceiling(low, high, scenario="summaries", settings={"customers": size}, run=f"r{size}")
        for size, (low, high) in found.items()
    ]


@pytest.mark.parametrize(
    ("found", "verdict", "room"),
    [
        ({500 * K: (1_000, 1_050)}, "supported", (1.0, None)),
        ({500 * K: (1_000, None)}, "supported", (1.0, None)),
        ({499 * K: (1_000, 1_050)}, "not-measured", (0.998, None)),
        ({500 * K: (999, 1_050)}, "not-measured", (0.0, None)),  # the rate lies within
        ({500 * K: (999, None)}, "not-measured", (0.0, None)),
        ({500 * K: (900, 1_000)}, "not-measured", (0.0, 1.0)),  # less than 500,000 is not touched by what fails at it
        ({400 * K: (900, 1_000)}, "unsupported", (0.0, 0.8)),
        ({100 * K: (5_000, 5_100), 400 * K: (900, 950)}, "unsupported", (0.2, 0.8)),
        ({100 * K: (5_000, 5_100), 1_000 * K: (900, 950)}, "not-measured", (0.2, 2.0)),
        ({600 * K: (5_000, 5_100), 1_000 * K: (900, 950)}, "supported", (1.2, 2.0)),
        # one that holds beyond one that fails does not count
        ({400 * K: (900, 950), 1_000 * K: (5_000, 5_100)}, "unsupported", (0.0, 0.8)),
        ({5_000 * K: (1_000, 1_050)}, "supported", (10.0, None)),
        ({5_001 * K: (1_000, 1_050)}, "loose", (10.002, None)),
    ],
)
def test_a_size(found: dict[int, tuple[float, float | None]], verdict: str, room: tuple[float, float | None]) -> None:
    finding = judge(CUSTOMERS, at_customers(found))
    assert finding.verdict == verdict
    assert finding.headroom is not None
    assert (finding.headroom.low, finding.headroom.high) == (pytest.approx(room[0]), room[1])
    assert set(finding.runs) == {f"r{size}" for size in found}


def test_the_last_size_that_holds_before_the_first_that_fails_counts() -> None:
    good, bad = (5_000.0, 5_100.0), (900.0, 950.0)
    found = judge(CUSTOMERS, at_customers({100 * K: good, 200 * K: good, 400 * K: bad, 450 * K: bad}))
    assert found.headroom is not None
    assert (found.headroom.low, found.headroom.high) == (0.4, 0.8)
    kept = [
        replace(one, limiter=f"l{one.settings['customers']}")
        for one in at_customers({600 * K: good, 700 * K: bad, 800 * K: bad})
    ]
    assert judge(CUSTOMERS, kept).binds == "customers (l700000)"
    assert judge(CUSTOMERS, kept[:1]).binds == "customers (l600000)"
    held = [
        replace(one, limiter=f"l{one.settings['customers']}") for one in at_customers({500 * K: good, 600 * K: good})
    ]
    assert judge(CUSTOMERS, held).binds == "customers (l600000)"


def test_a_size_needs_the_rate_in_items_of_the_scenario() -> None:
    twice = replace(CUSTOMERS, scenarios=(replace(CUSTOMERS.scenarios[0], per_unit=2.0),))
    assert judge(twice, at_customers({600 * K: (2_000, 2_100)})).verdict is Verdict.SUPPORTED
    assert judge(twice, at_customers({600 * K: (1_999, 2_100)})).verdict is Verdict.NOT_MEASURED


def test_an_undecided_size_says_what_to_type_and_a_decided_one_does_not() -> None:
    assert judge(CUSTOMERS, at_customers({600 * K: (999, 1_100)})).settled_by[0].startswith("stackproof bench")
    assert judge(CUSTOMERS, at_customers({600 * K: (2_000, 2_100)})).settled_by == CUSTOMERS.settles


@pytest.mark.parametrize("size", [0, "many", None])
def test_what_is_no_size_is_left_out(size: object) -> None:
    (one,) = at_customers({600 * K: (2_000, 2_100)})
    found = judge(CUSTOMERS, [replace(one, settings={**one.settings, "customers": size})])
    assert (found.verdict, found.headroom) == (Verdict.NOT_MEASURED, None)


# -- by crossing ----------------------------------------------------------------------------------------------------


def led(*sizes: int) -> tuple[dict[int, tuple[float, float]], dict[int, tuple[float, float]]]:
    """Sizes at which PostgreSQL is ahead."""
    return dict.fromkeys(sizes, FAST), dict.fromkeys(sizes, SLOW)


def beside(ahead: tuple, *others: tuple) -> tuple:
    """Some sizes beside others."""
    return tuple({size: one for of in (ahead, *others) for size, one in of[side].items()} for side in (0, 1))


LESS = led(10 * K, 100 * K)
"""Of the sizes that are compared, those below the claimed million."""


def compared(**changes: tuple[dict[int, tuple[float, float | None]], dict[int, tuple[float, float | None]]]):
    """Every simple kind with PostgreSQL ahead at a million and at less, but for those that are given."""
    ahead = led(10 * K, 100 * K, K * K)
    return [one for kind in SIMPLE for one in searches(kind, *changes.get(kind.removeprefix("search-"), ahead))]


@pytest.mark.parametrize(
    ("term", "verdict", "room"),
    [
        (led(10 * K, 100 * K, K * K), "supported", (1.0, None)),
        # the other kinds only reach a million
        (led(10 * K, 100 * K, K * K, 10 * K * K), "supported", (1.0, None)),
        (LESS, "not-measured", (0.1, None)),
        (beside(LESS, ({K * K: SLOW}, {K * K: FAST})), "not-measured", (0.1, 1.0)),
        # A lead at a million says nothing about fewer. 10 to 11/s beside 10 to 11/s: nobody is ahead for certain.
        (led(K * K), "not-measured", (0.0, None)),
        (led(100 * K, K * K), "not-measured", (0.0, None)),
        (beside(led(K * K), ({10 * K: SLOW, 100 * K: SLOW},) * 2), "not-measured", (0.0, None)),
        (beside(led(10 * K, K * K), ({100 * K: SLOW},) * 2), "not-measured", (0.01, None)),
        (beside(led(100 * K, K * K), ({10 * K: SLOW},) * 2), "not-measured", (0.0, None)),
        (led(5 * K, 100 * K, K * K), "not-measured", (0.005, None)),
        # What was compared beside, and of which nobody knows, changes nothing: the lead changes once at most.
        (beside(led(10 * K, 100 * K, K * K), ({50 * K: SLOW},) * 2), "supported", (1.0, None)),
        (beside(led(K * K), ({10 * K: SLOW, 100 * K: SLOW}, {10 * K: SLOW, 100 * K: FAST})), "unsupported", (0.0, 0.1)),
        (({10 * K: FAST, 100 * K: SLOW}, {10 * K: SLOW, 100 * K: FAST}), "unsupported", (0.01, 0.1)),
        (({10 * K: SLOW}, {10 * K: FAST}), "unsupported", (0.0, 0.01)),
        # OpenSearch may carry more
        (beside(LESS, ({K * K: FAST}, {K * K: (10, None)})), "not-measured", (0.1, None)),
        (beside(LESS, ({K * K: FAST}, {K * K: FAST})), "not-measured", (0.1, None)),
    ],
)
def test_a_crossing(term: tuple, verdict: str, room: tuple[float, float | None]) -> None:
    found = judge(RECORDS, compared(term=term))
    assert found.verdict == verdict
    assert found.headroom is not None
    assert (found.headroom.low, found.headroom.high) == room


def test_all_simple_kinds_are_needed_and_one_can_refute() -> None:
    three = [one for one in compared() if one.scenario != "search-phrase"]
    found = judge(RECORDS, three)
    assert found.verdict is Verdict.NOT_MEASURED
    assert found.headroom is not None
    assert found.headroom.low == 0.0
    assert all("search-phrase" in command for command in found.settled_by if command.startswith("stackproof"))
    one = judge(RECORDS, searches("search-phrase", {10 * K: SLOW}, {10 * K: FAST}))
    assert one.verdict is Verdict.UNSUPPORTED


def test_the_crossing_is_told_with_its_estimate_and_the_next_size_to_measure() -> None:
    found = judge(RECORDS, compared(term=beside(LESS, ({K * K: SLOW}, {K * K: FAST}))))
    assert any("ahead up to 100,000 records" in sentence for sentence in found.sentences)
    assert any("an estimate, which decides nothing" in sentence for sentence in found.sentences)
    lines = [line for line in found.settled_by if "search-term" in line]
    assert len(lines) == 2
    assert all("--set records=316228" in line for line in lines)


def test_a_lead_that_says_nothing_about_fewer_is_told_with_what_to_measure() -> None:
    """Nobody ahead at 10,000 and 100,000, PostgreSQL at a million: it was called supported, beside "cannot tell"."""
    found = judge(RECORDS, compared(term=beside(led(K * K), ({10 * K: SLOW, 100 * K: SLOW},) * 2)))
    assert any("elsewhere, within 10,000 to 1,000,000 records, nobody is for certain" in one for one in found.sentences)
    said = "That search=postgres is ahead at 10,000 records was not shown, so that its lead at 1,000,000 says nothing"
    assert any(one.startswith(said) for one in found.sentences)
    for term, sizes in (
        (beside(led(K * K), ({10 * K: SLOW, 100 * K: SLOW},) * 2), {"10000", "100000"}),
        (led(K * K), {"10000", "100000"}),
        (led(100 * K, K * K), {"10000"}),
        # The number lies between two that were compared, and something is missing below: both are asked for.
        (beside(led(100 * K), ({K * K: SLOW}, {K * K: FAST})), {"10000", "316228"}),
        # A crossing beyond the number leaves nothing open but what is missing below.
        (beside(led(100 * K, K * K), ({4 * K * K: SLOW}, {4 * K * K: FAST})), {"10000"}),
    ):
        lines = [line for line in judge(RECORDS, compared(term=term)).settled_by if "search-term" in line]
        assert {re.findall(r"records=(\d+)", line)[0] for line in lines} == sizes
        assert len(lines) == 2 * len(sizes), "both backends"


def test_the_warnings_of_the_runs_of_a_crossing_are_told_and_those_of_others_are_not() -> None:
    runs = [replace(one, warnings=(f"warning of {one.run}.",)) for one in compared()]
    other = replace(runs[0], settings={"records": 5 * K}, run="alone", warnings=("warning of alone.",))
    found = judge(RECORDS, [*runs, other])
    assert f"warning of {runs[0].run}." in found.caveats
    assert "warning of alone." not in found.caveats


def test_ahead_up_to_more_than_ten_million_is_loose() -> None:
    far = {kind: led(10 * K, 100 * K, K * K, 11 * K * K) for kind in ("term", "prefix", "filtered", "phrase")}
    assert judge(RECORDS, compared(**far)).verdict is Verdict.LOOSE


# -- what cannot be tested ------------------------------------------------------------------------------------------


def test_without_a_number_what_was_measured_is_told_and_nothing_follows() -> None:
    claim = CLAIMS["redis-events-throughput"]
    found = judge(claim, [ceiling(30 * K, 31 * K, scenario="publish", backends=("events=redis",))])
    assert (found.verdict, found.headroom) == (Verdict.NOT_TESTABLE, None)
    assert any("30,000/s" in sentence for sentence in found.sentences)
    assert claim.why in found.sentences
    assert found.settled_by == claim.settles
    assert len(found.runs) == 1


def test_a_claim_that_cannot_run_here_is_judged_all_the_same_where_somebody_measured_it() -> None:
    claim = replace(WRITES, testable=False, why="It needs an account.")
    found = judge(claim, [])
    assert found.verdict is Verdict.NOT_TESTABLE
    assert claim.why in found.sentences
    assert judge(claim, [ceiling(1_000, 1_050)]).verdict is Verdict.SUPPORTED
    assert judge(claim, [ceiling(900, 1_050)]).verdict is Verdict.NOT_MEASURED


def test_what_was_not_measured_says_what_to_type() -> None:
    found = judge(WRITES, [])
    assert (
        found.settled_by[0]
        == "stackproof bench --backend interactions=postgres --scenario ingest --find-max --slo p99=20ms"
    )
    (command, *_) = judge(DECISIONS, [], how=How(("p99=50ms",), "container")).settled_by
    options = "--slo p99=50ms --origin container"
    assert command == f"stackproof bench --stack development --scenario decision --find-max {options}"
    decided = judge(WRITES, [ceiling(1_000, 1_050)])
    assert decided.settled_by == WRITES.settles


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (ceiling(900, None), "The generator was the limit below the number"),
        (ceiling(900, None, limiter="none", searched=False), "takes a search"),
        (ceiling(900, 1_100), "lies within what was measured"),
        (ceiling(900, None, limiter="not-converged", searched=False), "with what holds below the number"),
        (ceiling(0, 1_100, limiter="not-converged", searched=False), "and showed no rate that holds"),
    ],
)
def test_what_decides_nothing_says_why(one: MeasuredCeiling, words: str) -> None:
    found = judge(WRITES, [one])
    assert found.verdict is Verdict.NOT_MEASURED
    assert any(words in sentence for sentence in found.sentences)
    assert found.settled_by[0].startswith("stackproof bench")


def test_what_the_measurement_does_not_show_is_said_with_the_warnings_of_its_runs() -> None:
    found = judge(WRITES, [ceiling(1_000, 1_050, warnings=("These figures are not to be published.",))])
    assert any("sustained" in caveat for caveat in found.caveats)
    assert "These figures are not to be published." in found.caveats


def test_one_finding_for_each_claim_in_their_order() -> None:
    found = audit(list(CLAIMS.values()), [])
    assert [finding.claim.id for finding in found] == list(CLAIMS)
    assert {finding.verdict for finding in found} == {Verdict.NOT_MEASURED, Verdict.NOT_TESTABLE}
    with pytest.raises(ValueError, match="no claim 'else'"):
        audit(list(CLAIMS.values()), [], {"else": ()})


# -- what binds -----------------------------------------------------------------------------------------------------


def binds(low: float, high: float | None, *others: Headroom) -> str:
    return judge(WRITES, [ceiling(low, high)], others=others).binds


def test_the_dimension_with_the_least_head_room_binds() -> None:
    assert binds(2_000, 2_100) == "throughput of ingest (slo)"
    assert binds(2_000, 2_100, Headroom("storage", 50, 60)) == "throughput of ingest (slo)"
    assert binds(2_000, 2_100, Headroom("storage", 1.1, 1.2)) == "storage"
    assert binds(2_000, 2_100, Headroom("storage", 2.05, 3)) == "cannot tell: throughput of ingest (slo) or storage"


def test_another_dimension_binds_where_a_claim_is_loose() -> None:
    assert binds(20_000, 21_000, Headroom("storage", 1.1, 1.2)) == "storage"
    assert binds(20_000, 21_000, Headroom("storage", 500, 600)).startswith("none that was measured")
    assert "storage: 1,000 interactions" in binds(20_000, 21_000)
    assert binds(20_000, 21_000, Headroom("storage", 20.5, 30)).startswith("none that was measured")


def test_an_unknown_dimension_decides_no_verdict() -> None:
    none = Headroom("storage", 0.0, 0.1)
    assert judge(WRITES, [ceiling(2_000, 2_100)], others=[none]).verdict is Verdict.SUPPORTED
    assert judge(WRITES, [], others=[none]).binds.startswith("not known")


def test_the_least_of_intervals_that_touch_is_not_told() -> None:
    a, b, c = Headroom("a", 1, 2), Headroom("b", 2, 3), Headroom("c", 2.1, 5)
    assert least([c, b, a]) == (b, a)
    assert least([a, c]) == (a,)
    assert least([Headroom("d", 5, None), Headroom("e", 1, None)]) == (Headroom("d", 5, None), Headroom("e", 1, None))
    assert least([Headroom("d", 5, None), a]) == (a,)
    assert least([]) == ()


def test_head_rooms_together_have_the_least_of_each_end() -> None:
    assert together([Headroom("a", 1, 9, "x"), Headroom("b", 2, 3, "y")], "t") == Headroom("t", 1, 3, "x, y")
    assert together([Headroom("a", 1, None), Headroom("b", 2, 3)], "t") == Headroom("t", 1, 3)
    assert together([Headroom("a", 1, None)], "t") == Headroom("t", 1, None)
    assert together([], "t") is None


@pytest.mark.parametrize(
    ("low", "high"), [(-1, 2), (2, 1), (float("nan"), 1), (1, float("nan")), (float("inf"), None), (1, float("inf"))]
)
def test_what_is_no_interval_is_no_head_room(low: float, high: float | None) -> None:
    with pytest.raises(ValueError, match="no interval"):
        Headroom("a", low, high)


def test_ratios_read_as_people_write_them() -> None:
    assert [factor(ratio) for ratio in (3_456.4, 100, 12.34, 0.456)] == ["3,456", "100", "12.3", "0.46"]
    assert Headroom("a", 2, None).text == "at least 2 times"
    assert Headroom("a", 2, 2.001).text == "2 times"
    assert Headroom("a", 2, 2).text == "2 times"


def test_the_worst_of_parts() -> None:
    assert worst([Verdict.LOOSE, Verdict.SUPPORTED]) is Verdict.SUPPORTED
    assert worst([Verdict.SUPPORTED, Verdict.NOT_MEASURED]) is Verdict.NOT_MEASURED
    assert worst([Verdict.NOT_MEASURED, Verdict.UNSUPPORTED]) is Verdict.UNSUPPORTED
    assert worst([]) is Verdict.NOT_MEASURED


# -- what must be true of every case --------------------------------------------------------------------------------

EVERYTHING = [
    ceiling(2_000, 2_100),
    decisions(400, 420),
    *at_customers({500 * K: (2_000, 2_100)}),
    *compared(),
    ceiling(30 * K, None, scenario="publish", backends=("events=redis",)),
]
RANK = [Verdict.UNSUPPORTED, Verdict.NOT_MEASURED, Verdict.SUPPORTED, Verdict.LOOSE]
JUDGED = [WRITES, DECISIONS, CUSTOMERS, RECORDS]

rate = st.sampled_from(
    [0.0, 0.05, 0.5, 1.0, 9.0, 99.0, 500.0, 999.0, 1_000.0, 1_001.0, 5_000.0, 10_000.0, 10_001.0, 1e6]
)
bracket = st.tuples(rate, st.none() | rate).filter(lambda ends: ends[1] is None or ends[0] <= ends[1])
moment = st.sampled_from([f"2026-01-0{day}T00:00:00+00:00" for day in range(1, 6)])


@st.composite
def evidence(draw: st.DrawFn) -> list[MeasuredCeiling]:
    """Runs of every kind: brackets and lower bounds, of several days, some refused."""
    found: list[MeasuredCeiling] = []
    for number in range(draw(st.integers(0, 8))):
        kind = draw(st.sampled_from(["ingest", "decision", "summaries", *SIMPLE]))
        (low, high), searched = draw(bracket), draw(st.booleans())
        settings: dict[str, int] = {}
        backends: tuple[str, ...] = ("interactions=postgres",)
        if kind == "summaries":
            settings = {"customers": draw(st.sampled_from([100 * K, 500 * K, 6_000 * K]))}
        if kind in SIMPLE:
            settings = {"records": draw(st.sampled_from([10 * K, 100 * K, K * K, 11 * K * K]))}
            backends = (draw(st.sampled_from(["search=postgres", "search=opensearch"])),)
        if kind == "decision":
            backends = decisions(1, 2).backends
        refused = draw(st.sampled_from([(), (), ("it was cut short",)]))
        common = {"run": f"r{number}", "date": draw(moment), "searched": searched, "refused": refused}
        high = high if searched else None
        found.append(ceiling(low, high, scenario=kind, backends=backends, settings=settings, **common))
    return found


def rank(claim: Claim, ceilings: Sequence[MeasuredCeiling]) -> int:
    return RANK.index(judge(claim, ceilings).verdict)


@settings(deadline=None)
@given(evidence(), st.data())
def test_a_higher_ceiling_never_worsens_a_verdict(runs: list[MeasuredCeiling], data: st.DataObject) -> None:
    claim = data.draw(st.sampled_from(JUDGED))
    ours = [number for number, run in enumerate(runs) if run.backends != ("search=opensearch",)]
    if not ours:
        return
    which = data.draw(st.sampled_from(ours))
    run = runs[which]
    low = data.draw(rate.filter(lambda value: value >= run.low))
    ends = st.none() if run.high is None else st.none() | rate.filter(lambda v: v >= max(low, run.high or 0.0))
    higher = replace(run, low=low, high=data.draw(ends))
    assert rank(claim, [*runs[:which], higher, *runs[which + 1 :]]) >= rank(claim, runs)


@settings(deadline=None)
@given(evidence(), st.data())
def test_a_faster_rival_never_betters_a_verdict(runs: list[MeasuredCeiling], data: st.DataObject) -> None:
    theirs = [number for number, run in enumerate(runs) if run.backends == ("search=opensearch",) and run.low > 0]
    if not theirs:
        return
    which = data.draw(st.sampled_from(theirs))
    faster = replace(
        runs[which], low=runs[which].low * 20, high=None if runs[which].high is None else runs[which].high * 20
    )
    assert rank(RECORDS, [*runs[:which], faster, *runs[which + 1 :]]) <= rank(RECORDS, runs)


@settings(deadline=None)
@given(evidence(), st.sampled_from([*CLAIMS.values()]))
def test_unknown_never_supports_and_never_refutes(runs: list[MeasuredCeiling], claim: Claim) -> None:
    """Without one usable run there is no verdict; with lower bounds alone there is no refutation."""
    refused = [replace(run, refused=("it was cut short",)) for run in runs]
    assert judge(claim, refused).verdict in (Verdict.NOT_MEASURED, Verdict.NOT_TESTABLE)
    bounds = [replace(run, high=None, limiter="client") for run in runs]
    assert judge(claim, bounds).verdict is not Verdict.UNSUPPORTED


@settings(deadline=None)
@given(evidence(), st.sampled_from(JUDGED))
def test_a_verdict_rests_on_runs_that_are_valid_and_about_the_claim(runs: list[MeasuredCeiling], claim: Claim) -> None:
    found = judge(claim, runs)
    valid = {run.run for run in runs if run.valid}
    assert set(found.runs) <= valid
    kept = [run for run in runs if run.run in found.runs]
    alone = judge(claim, kept)
    assert (alone.verdict, alone.headroom) == (found.verdict, found.headroom)
    if found.verdict in (*GOOD, Verdict.UNSUPPORTED):
        assert found.runs
        assert found.headroom is not None
        assert_follows(found)


def assert_follows(found: Finding) -> None:
    """The published interval alone leads to the published verdict."""
    room = found.headroom
    assert room is not None
    if found.verdict is Verdict.LOOSE:
        assert room.low > LOOSE
    elif found.verdict is Verdict.SUPPORTED:
        assert 1 <= room.low <= LOOSE
    else:
        assert room.high is not None
        assert room.high <= 1


@settings(deadline=None)
@given(evidence(), st.sampled_from([*CLAIMS.values()]))
def test_the_order_of_runs_does_not_matter_and_texts_are_whole(runs: list[MeasuredCeiling], claim: Claim) -> None:
    found, turned = judge(claim, runs), judge(claim, list(reversed(runs)))
    assert (found.verdict, found.headroom, found.binds) == (turned.verdict, turned.headroom, turned.binds)
    for sentence in (*found.sentences, *found.caveats, *found.settled_by, found.binds):
        assert sentence
        assert not re.search(r"\bNone\b|nan|\binf\b", sentence), sentence
    assert all(sentence.endswith(".") for sentence in found.sentences)


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (0, "nothing of"),
        (0.00000001, "less than 0.01 % of"),
        (0.0386, "3.9 % of"),
        (0.5787, "58 % of"),
        (0.9997, "99.97 % of"),
        (1, "100 % of"),
        (1.0004, "1.0004 times"),
        (1.62, "1.6 times"),
        (12.34, "12.3 times"),
    ],
)
def test_a_part_of_a_whole_reads_as_people_say_it_and_on_its_own_side_of_the_whole(ratio: float, text: str) -> None:
    assert taken(ratio) == text
