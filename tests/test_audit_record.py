"""The record of an audit: it comes back as it was, and what is none is refused; and its tables of two backends."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from audit_samples import CEILINGS, HONEST, NOTHING, audited
from hypothesis import given, settings
from hypothesis import strategies as st
from planning_samples import RECORDS, ceiling, decisions, searches

from stackproof.planning.audit_record import from_json, to_json
from stackproof.planning.crossing_table import crossing_tables
from stackproof.planning.judging import Verdict
from stackproof.reports.json_page import FORMS

SCHEMA = next(form for form in FORMS if form.name == "audit").schema()
K = 1_000


@pytest.mark.parametrize("one", [HONEST, NOTHING, replace(HONEST, interrupted=True, trouble="a server died")])
def test_it_comes_back_as_it_was(one: Any) -> None:
    text = to_json(one)
    jsonschema.validate(json.loads(text), SCHEMA)
    assert from_json(text) == one
    assert to_json(from_json(text)) == text


@given(st.floats(0.001, 1e6), st.floats(1, 3) | st.none())
@settings(max_examples=15, deadline=None)
def test_whatever_was_measured_comes_back(low: float, times: float | None) -> None:
    one = audited((decisions(low, None if times is None else low * times),))
    assert from_json(to_json(one)) == one


def _changed(change: Callable[[dict[str, Any]], object]) -> str:
    data = json.loads(to_json(HONEST))
    change(data)
    return json.dumps(data)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.update(schema="stackproof-audit/2"),
        lambda data: data.pop("findings"),
        lambda data: data.update(more=1),
        lambda data: data["findings"][0].update(verdict="fine"),
        lambda data: data["findings"][0].update(verdict="unsupported"),  # its counts say something else
        lambda data: data["counts"].update(supported=99),
        lambda data: data.update(partial=False),
        lambda data: data["findings"].append(data["findings"][0]),
        lambda data: data["findings"][0]["headroom"].update(low=-1),
        lambda data: data["findings"][0]["headroom"].update(low=1e9),
        lambda data: data["findings"][0].update(headroom=7),
        lambda data: data["findings"][1]["costs"][0].update(low=5.0),
        lambda data: data["findings"][1]["costs"][0].update(unknown=["something"]),
        lambda data: data["beside"][0].update(high=1.0),
        lambda data: data["beside"][0].update(claimed=0),
        lambda data: data["tables"][0]["rows"][0]["first"].update(high=1.0),
        lambda data: data["tables"][0].update(estimate=[1]),
        lambda data: data["tables"][0]["rows"][0].update(size=0),
        lambda data: data.update(created="yesterday"),
    ],
)
def test_what_is_no_audit_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has a sentence of its own
        from_json(_changed(change))


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "{}", '{"schema": "stackproof-audit/1"}', "[" * 10_000, '{"a": NaN}']
)
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        from_json(text)


def test_the_development_stack_stands_beside_its_claim_first() -> None:
    first = HONEST.beside[0]
    assert (first.subject, first.unit, first.published) == (
        "the stack development",
        "decisions/s",
        "10,000 decisions/day",
    )
    assert first.claimed == pytest.approx(0.1157, abs=0.0001)
    assert (first.headroom.low, first.headroom.high) == pytest.approx((3_456, 3_628.8))
    assert [row.claim for row in HONEST.beside] == ["postgres-decisions", "postgres-writes"]
    assert NOTHING.beside == ()


def test_a_verdict_for_each_claim() -> None:
    assert len(HONEST.findings) == sum(HONEST.counts.values()) == 14
    verdicts = {finding.claim: finding.verdict for finding in HONEST.findings}
    assert verdicts["postgres-decisions"] is Verdict.LOOSE
    assert verdicts["postgres-writes"] is Verdict.SUPPORTED
    assert verdicts["postgres-search-records"] is Verdict.UNSUPPORTED
    assert verdicts["enterprise-throughput"] is Verdict.NOT_TESTABLE


def test_partial_is_what_could_have_been_measured_here() -> None:
    assert HONEST.partial
    assert not replace(HONEST, not_measured=HONEST.not_measured[1:]).partial
    assert replace(HONEST, not_measured=(), interrupted=True).partial
    half = replace(HONEST.not_measured[0], alone=True)
    assert not replace(HONEST, not_measured=(half,)).partial  # no verdict waits for it


def test_runs_name_those_that_were_measured_now() -> None:
    assert [run.run for run in HONEST.runs if run.new] == ["run-400-cache=redis"]
    assert len(HONEST.runs) == len(CEILINGS)


# -- two backends beside each other ---------------------------------------------------------------------------------


def test_a_table_for_each_kind_that_is_asked_for_and_for_others_that_were_measured() -> None:
    kinds = [(table.kind, table.asked) for table in HONEST.tables]
    assert kinds == [
        ("search-term", True),
        ("search-prefix", True),
        ("search-filtered", True),
        ("search-phrase", True),
        ("search-or", False),
    ]


def test_intervals_size_by_size_who_is_ahead_and_where_they_cross() -> None:
    table = HONEST.tables[0]
    assert [row.size for row in table.rows] == [10 * K, 100 * K, K * K]
    first = table.rows[0].first
    assert first is not None
    assert (first.low, first.high, first.unit, first.origin) == (500.0, 510.0, "items/s", "embedded")
    assert [row.ahead for row in table.rows] == ["search=postgres", "search=opensearch", ""]
    assert table.rows[2].first is table.rows[2].second is None
    assert (table.outcome, table.low, table.high) == ("crossing", 10 * K, 100 * K)
    assert table.estimate is not None
    assert 10 * K < table.estimate[0] <= table.estimate[1] < 100 * K


def test_an_open_end_can_be_ahead_and_never_behind() -> None:
    table = HONEST.tables[-1]
    assert table.rows[0].ahead == "search=opensearch"
    assert table.rows[0].second is not None
    assert table.rows[0].second.high is None


def test_another_size_has_a_row_and_what_must_not_be_used_has_no_cell() -> None:
    kept = searches("search-term", {5 * K: (10.0, 11.0), 10 * K: (10.0, 11.0)}, {})
    kept[1] = replace(kept[1], refused=("it was cut short",))
    (table, *_) = crossing_tables([RECORDS], kept)
    assert [(row.size, row.first is None) for row in table.rows] == [
        (5 * K, False),
        (10 * K, True),
        (100 * K, True),
        (K * K, True),
    ]


def test_servers_of_different_origins_are_a_difference_that_is_told() -> None:
    kept = searches("search-term", {10 * K: (10.0, 11.0)}, {10 * K: (20.0, 21.0)})
    assert crossing_tables([RECORDS], kept)[0].caveat == ""
    kept[1] = replace(kept[1], origin="container")
    assert "different origins" in crossing_tables([RECORDS], kept)[0].caveat


def test_claims_that_compare_nothing_have_no_table() -> None:
    assert crossing_tables([], [ceiling(1, 2)]) == ()
