"""The folder of published results: that nothing is chosen because it suits, and that no name breaks a page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import audit_samples
import plan_samples
import pytest
from certificate_samples import HOSTILE, clause, holds, with_all_verdicts

from stackproof.contracts.verdicts import Verdict
from stackproof.reports.results import Results, index, results_of, write
from stackproof.verification.certificate import to_json

LATER = "2026-11-25T10:00:00+00:00"


def test_the_newest_certificate_of_a_backend_is_published_whatever_it_says() -> None:
    broken = replace(
        holds(), created=LATER, clauses=(*holds().clauses, clause("CACHE-20", "A rule.", verdict=Verdict.FAIL))
    )
    results = results_of({"older": holds(), "newer": broken}, {})
    levels = {each.shown.target: (each.shown.level, each.run) for each in results.verified}
    assert levels == {"cache=redis": ("BROKEN", "newer"), "interactions=postgres": ("HOLDS", "newer")}


def test_a_selection_of_clauses_is_no_certificate_of_a_backend() -> None:
    selected = replace(holds(), created=LATER, selected=("CACHE-01",))
    results = results_of({"whole": holds(), "selected": selected}, {})
    assert {each.run for each in results.verified} == {"whole"}


def test_each_backend_is_a_row_that_leads_to_its_page_and_the_limits_are_told() -> None:
    text = index(results_of({"run-1": holds()}, {}))
    assert "| `cache=redis` | [HOLDS](certificates/run-1.html) | core | redis 6.2.14 | native | embedded |" in text
    assert "no replication, no failover" in text
    assert "No ceiling was measured." in text


def test_hostile_names_stay_within_their_cell() -> None:
    text = index(results_of({"run-1": with_all_verdicts()}, {}))
    rows = [line for line in text.splitlines() if "script" in line and line.startswith("| `logs=")]
    assert [row.count(" | ") for row in rows] == [6]
    assert not set(text) & set("\x00\x1b\u202e")
    assert HOSTILE not in text


def test_what_must_not_be_used_is_named_with_its_reason() -> None:
    refused = Results((), (), (("run-2", "it was measured on an emulator"),), {"python": "3.11"})
    assert "- run run-2: it was measured on an emulator" in index(refused)


def test_a_folder_of_runs_becomes_a_folder_of_results(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "run-1"
    run.mkdir(parents=True)
    (run / "certificate.json").write_text(to_json(holds()), encoding="utf-8")
    written = write(tmp_path / "runs", tmp_path / "results")
    names = {str(path.relative_to(tmp_path / "results")) for path in written}
    assert names == {"certificates/run-1.html", "certificates/run-1.json", "index.md", "measured.json"}
    stale = tmp_path / "results" / "certificates" / "run-0.html"
    stale.write_text("an older certificate", encoding="utf-8")
    assert write(tmp_path / "runs", tmp_path / "results") == written
    assert not stale.exists(), "what is not published any more must not be found"
    assert "What this certificate" in (tmp_path / "results" / "certificates" / "run-1.html").read_text("utf-8")


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no run"):
        write(tmp_path, tmp_path / "results")


def test_the_audit_and_the_plans_are_told_with_what_is_not_known() -> None:
    plans = [plan_samples.plan(10_000_000), plan_samples.plan(10_000)]
    text = index(results_of({"run-1": holds()}, {}, [audit_samples.HONEST], plans))
    assert "head-room: 3,456 to 3,629 times" in text
    assert "| not-measured |" in text
    assert "### search-term" in text
    assert text.index("[10,000](plans/10000.html)") < text.index("[10,000,000](plans/10000000.html)")


def test_a_hostile_audit_stays_within_its_cells() -> None:
    text = index(results_of({"run-1": holds()}, {}, [audit_samples.hostile(HOSTILE)]))
    rows = [line for line in text.splitlines() if line.startswith("|") and "script" in line]
    assert rows
    assert "<script" not in text.replace("`<script", "")
