"""The bug catalogue is accounted for: each of its rows is named by a clause, or has a written reason why not."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files

import pytest
from documents import ROOT

from stackproof.adapters.registry import CONCERNS
from stackproof.contracts import contract_for
from stackproof.contracts.clauses import planned_clauses
from stackproof.contracts.mutants import all_mutants

ROWS = re.findall(r'^\| <a id="\w+"></a>(\w+) \|', (ROOT / "docs" / "learnt-from.md").read_text("utf-8"), re.MULTILINE)
CLAUSES = {p.clause.id: p.clause for concern in CONCERNS for p in planned_clauses(contract_for(concern))}
NAMED = {row for concern in CONCERNS for p in planned_clauses(contract_for(concern)) for row in p.clause.learnt_from}
NOT_COVERED: dict[str, dict[str, str]] = tomllib.loads(
    (files("stackproof.contracts") / "not_covered.toml").read_text("utf-8")
)
MOST_WITH_A_REASON_ONLY = 20


def test_the_catalogue_has_150_rows() -> None:
    assert len(ROWS) == len(set(ROWS)) == 150


@pytest.mark.parametrize("row", ROWS)
def test_each_row_has_a_clause_or_a_reason(row: str) -> None:
    assert (row in NAMED) != (row in NOT_COVERED), "exactly one of them: learnt_from of a clause, or not_covered.toml"


def test_only_rows_of_the_catalogue_are_named() -> None:
    assert NAMED | NOT_COVERED.keys() <= set(ROWS)
    assert {mutant.imitates for mutant in all_mutants()} - {""} <= set(ROWS)


@pytest.mark.parametrize("row", NOT_COVERED)
def test_a_reason_is_a_sentence_and_waits_for_a_clause_that_is_not_there_yet(row: str) -> None:
    entry = NOT_COVERED[row]
    assert entry.keys() <= {"reason", "clause"}
    same = re.fullmatch(r"As (\w+)\.", entry["reason"])
    assert NOT_COVERED[same[1]]["reason"] if same else re.fullmatch(r"[A-Z].{30,}\.", entry["reason"])
    clause = entry.get("clause")
    assert clause is None or re.fullmatch(r"[A-Z]+-\d\d", clause)
    assert clause not in CLAUSES, f"{clause} is here: name {row} in its learnt_from, and take the entry out"


def test_few_rows_have_a_reason_only() -> None:
    alone = [row for row, entry in NOT_COVERED.items() if "clause" not in entry]
    assert 0 < len(alone) <= MOST_WITH_A_REASON_ONLY
