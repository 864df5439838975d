"""A plan without a concern, and one without a measurement: no bill for the one, and nothing shown that is not by the other."""

from __future__ import annotations

from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from plan_samples import KNOWN, NOTHING, asked, plan
from rich.console import Console

from stackproof.adapters.settings import Settings
from stackproof.container import build_infra
from stackproof.planning.environment_file import parse_environment
from stackproof.planning.plan_record import DOCUMENTED, Plan, from_json, to_json
from stackproof.planning.stacks import find_planned_stack
from stackproof.reports import plan_page
from stackproof.reports.plan_terminal import print_plan
from stackproof.reports.runs_index import rows_of

NO_SEARCH: dict[str, Any] = {"records": 0, "searches_per_day": 0}
NO_CACHE: dict[str, Any] = {"cache_reads_per_decision": Decimal(0), "cached_values": 0}


def printed(made: Plan) -> str:
    console = Console(file=StringIO(), width=200)
    print_plan(made, console)
    text = console.file
    assert isinstance(text, StringIO)
    return text.getvalue()


@pytest.mark.parametrize("measured", [KNOWN, NOTHING])
@pytest.mark.parametrize(("concern", "without"), [("search", NO_SEARCH), ("cache", NO_CACHE)])
def test_what_nothing_is_asked_of_is_not_in_the_stack_nor_in_its_bill(
    concern: str, without: dict[str, Any], measured: Any
) -> None:
    made = plan(10_000, measured=measured, **({**NO_SEARCH, **without} if measured is NOTHING else without))
    assert from_json(to_json(made)) == made
    assert made.recommended is not None
    assert concern not in {part.concern for part in made.recommended.chosen}
    assert concern not in {row.concern for row in made.candidates}
    assert f"{concern}=" not in made.answer
    assert any(
        statement.text.startswith(f"Nothing is asked of {concern}: the stack has no backend for it")
        for statement in made.statements
    )
    for text in (printed(made), plan_page.render(made)):
        assert "easured: nothing" not in text
        assert "Nothing is asked of" in text


def test_what_could_be_kept_there_is_said_to_be_in_no_sum() -> None:
    made = plan(10_000, searches_per_day=0, records=100_000, document_bytes=1_000)
    assert "what could be kept there (100,000,000 bytes) is in no sum" in " ".join(one.text for one in made.statements)


def test_the_container_takes_the_environment_file_of_such_a_stack() -> None:
    made = plan(10_000, **NO_SEARCH, **NO_CACHE)
    assert "# Nothing is asked of search: no backend is planned for it." in made.environment
    variables = parse_environment(made.environment)
    assert "SEARCH_INDEX" not in variables
    infra = build_infra(Settings(variables))
    assert infra.chosen["cache"].name == "local"


def test_a_stack_is_judged_without_what_nothing_is_asked_of() -> None:
    made = plan(10_000, judged=find_planned_stack("development"), **NO_SEARCH)
    assert made.judged is not None
    assert [part.concern for part in made.judged.chosen] == ["interactions", "events", "cache", "logs"]


def test_what_only_quotas_say_is_not_said_to_be_shown(tmp_path: Any) -> None:
    made = plan(10_000, measured=NOTHING, **NO_SEARCH)
    assert made.recommended is not None
    assert made.recommended.rank == DOCUMENTED
    page = plan_page.render(made)
    assert "DOCUMENTED · plan for" in page
    assert "SHOWN" not in page
    assert "within quotas that its provider documents" in page
    assert "Shown or documented: what was not measured lies within quotas" in printed(made)
    run = tmp_path / made.id
    run.mkdir()
    (run / "plan.json").write_text(to_json(made))
    (row,) = rows_of(tmp_path)
    assert row.verdict == "DOCUMENTED"


def test_what_was_measured_is_said_to_be_shown() -> None:
    from stackproof.planning.feasibility import Where

    made = plan(10_000, about=asked(20, where=Where.LOCAL), log_retention_days=0)
    assert made.recommended is not None
    assert made.recommended.rank == "shown"
    assert "SHOWN · plan for" in plan_page.render(made)
    assert "Shown: each backend was measured to carry the peak" in printed(made)
