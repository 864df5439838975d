"""The index over a folder of runs: what is known of each, what is not, and that nothing is left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import plan_samples
import pytest
from bench_samples import judged, recorded, with_windows
from certificate_samples import HOSTILE, clause, holds, with_all_verdicts

from stackproof.cli import _run
from stackproof.contracts.verdicts import Verdict
from stackproof.exits import Exit
from stackproof.measurement.record import BackendRecord, Measurement
from stackproof.measurement.record import to_json as measurement_json
from stackproof.measurement.standing import Standing
from stackproof.planning.feasibility import Where
from stackproof.planning.measured import Known
from stackproof.planning.plan_record import to_json as plan_json
from stackproof.reports import index_page
from stackproof.reports.components import percent_encoded
from stackproof.reports.json_page import FORMS
from stackproof.reports.runs_index import DEEPEST, RunRow, overall, rows_of, to_data
from stackproof.verification.certificate import Certificate
from stackproof.verification.certificate import to_json as certificate_json

SCHEMA = next(form.schema() for form in FORMS if form.name == "report")


def keep(folder: Path, record: str, text: str, page: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / record).write_text(text, encoding="utf-8")
    if page:
        (folder / page).touch()


def only(folder: Path) -> RunRow:
    (row,) = rows_of(folder)
    return row


def with_one(verdict: Verdict) -> Certificate:
    return replace(holds(), clauses=(*holds().clauses, clause("CACHE-09", "A rule.", verdict=verdict, reason="why")))


def measured(fidelity: str = "native", **changes: Any) -> Measurement:
    backend = BackendRecord("cache=redis", "cache", "m.C", "d" * 64, "redis", fidelity, "c")
    return replace(judged(recorded(1000)), backends=(backend,), **changes)


UNCHECKED = {**judged(recorded(1)).calibration, "stub": None}


def failing(number: int) -> Measurement:
    """Of 1,000 operations this many failed, and nothing was promised."""
    run = judged(recorded(1000 - number, failed=number))
    return replace(with_windows(measured(), run.windows), latency=run.latency, limiter=run.limiter, slo=())


@pytest.mark.parametrize(
    ("certificate", "standing", "reason"),
    [
        (holds, Standing.HOLDS, ""),
        (with_all_verdicts, Standing.BROKEN, "a rule of the contract is broken"),
        (lambda: with_one(Verdict.SKIPPED), Standing.PARTIAL, "1 not executed"),
        (lambda: with_one(Verdict.INCONCLUSIVE), Standing.UNKNOWN, "could not be decided"),
    ],
)
def test_a_certificate_says_its_level_and_why(
    certificate: Callable[[], Certificate], standing: Standing, reason: str, tmp_path: Path
) -> None:
    keep(tmp_path / "run", "certificate.json", certificate_json(certificate()), "certificate.html")
    row = only(tmp_path)
    assert (row.kind, row.standing, row.verdict) == ("certificate", standing, standing.value)
    assert (row.directory, row.page, row.created) == ("run", "run/certificate.html", "2026-11-23T21:45:01+00:00")
    assert reason in row.reason
    assert row.what.startswith("development stack")
    assert row.fidelity.startswith("native")


def test_a_measurement_says_its_figure_where_it_may_be_used(tmp_path: Path) -> None:
    for record, standing, verdict, figure in (
        (measured(), Standing.HOLDS, "VALID", "100.0/s, p99 4.5"),
        (measured(calibration=UNCHECKED), Standing.UNKNOWN, "UNCHECKED", ""),
        (measured(invalid=("Blocked.",)), Standing.UNKNOWN, "INVALID", ""),
        (measured(complete=False, invalid=("Blocked.",)), Standing.UNKNOWN, "PARTIAL", ""),
        (measured(complete=False), Standing.PARTIAL, "PARTIAL", "100.0/s"),
        (measured(limiter="client"), Standing.UNKNOWN, "CLIENT LIMITED", ""),
        (failing(125), Standing.BROKEN, "FAILURES", "100.0/s, p99 never; 125 failed"),
        (failing(1), Standing.HOLDS, "VALID", "100.0/s, p99 4.50 ms; 1 failed"),
        (measured("emulator"), Standing.UNKNOWN, "DAMAGED", ""),
        (
            replace(measured(), latency=judged(recorded(900, failed=100)).latency),
            Standing.HOLDS,
            "VALID",
            "100.0/s, p99 never",
        ),
        (replace(measured(), slo=judged(recorded(900, failed=100)).slo), Standing.BROKEN, "MISSED", "100.0/s"),
    ):
        keep(tmp_path, "run.json", measurement_json(record))
        row = only(tmp_path)
        assert (row.standing, row.verdict) == (standing, verdict)
        assert row.figure.startswith(figure)
        assert bool(row.figure) is bool(figure)
        assert (row.page, row.directory) == ("", ".")
    assert "a promise was not kept" in only(tmp_path).reason


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[" * 100_000,
        "[]",
        '{"schema": "stackproof-certificate/99"}',
        certificate_json(holds()).replace('"PASS"', '"OK"'),
        certificate_json(with_all_verdicts()).replace('"verdict": "FAIL"', '"verdict": "PASS"'),
        certificate_json(holds()).replace('"seed": 1', '"seed": 2'),
    ],
)
def test_a_record_that_is_damaged_or_changed_is_listed_as_unknown(text: str, tmp_path: Path) -> None:
    keep(tmp_path / "good", "certificate.json", certificate_json(holds()))
    keep(tmp_path / "bad", "certificate.json", text)
    good, bad = rows_of(tmp_path)
    assert (good.directory, good.standing) == ("good", Standing.HOLDS)
    assert (bad.directory, bad.kind, bad.standing, bad.verdict) == ("bad", "certificate", Standing.UNKNOWN, "DAMAGED")
    assert bad.reason.startswith("certificate.json: ")
    assert overall((good, bad)) is Standing.UNKNOWN


def test_a_record_of_bytes_and_a_run_without_one(tmp_path: Path) -> None:
    keep(tmp_path / "a", "run.json", "")
    (tmp_path / "a" / "run.json").write_bytes(b"\xff\xfe\x00")
    keep(tmp_path / "b", "run.lock", "")
    keep(tmp_path / "no run", "notes.txt", "")
    assert [(row.directory, row.kind, row.verdict) for row in rows_of(tmp_path)] == [
        ("a", "measurement", "DAMAGED"),
        ("b", "run", "UNFINISHED"),
    ]


def test_what_is_not_known_dominates_and_what_is_broken_is_certain() -> None:
    def row(standing: Standing) -> RunRow:
        return RunRow("d", "run", standing, standing.value)

    order = (Standing.BROKEN, Standing.UNKNOWN, Standing.PARTIAL, Standing.HOLDS)
    for place, standing in enumerate(order):
        assert overall(map(row, order[place:])) is standing
        assert overall(map(row, [*order[:place:-1], standing])) is standing
    assert overall(()) is Standing.UNKNOWN


def test_the_newest_is_first_and_what_has_no_date_is_last(tmp_path: Path) -> None:
    for name, created in (("a", "2026-01-02T00:00:00+00:00"), ("b", "2026-01-03T00:00:00+00:00"), ("c", "yesterday")):
        keep(tmp_path / name, "certificate.json", certificate_json(replace(holds(), created=created)))
    assert [row.directory for row in rows_of(tmp_path)] == ["b", "a", "c"]


def test_folders_are_searched_so_deep_and_links_are_not_followed(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*"abcd")
    keep(deep, "certificate.json", certificate_json(holds()), "certificate.html")
    keep(deep / "e", "certificate.json", certificate_json(holds()))
    (tmp_path / "a" / "round").symlink_to(tmp_path)
    assert DEEPEST == 4
    assert [(row.directory, row.page) for row in rows_of(tmp_path)] == [("a/b/c/d", "a/b/c/d/certificate.html")]


def test_a_path_cannot_become_an_address_of_another_kind() -> None:
    for path, address in (
        ("run/certificate.html", "./run/certificate.html"),
        ("javascript:alert(1)/x", "./javascript%3Aalert%281%29/x"),
        ('"><b>/é #?.html', "./%22%3E%3Cb%3E/%C3%A9%20%23%3F.html"),
        ("\udcff/x", "./%FF/x"),
    ):
        assert percent_encoded(path) == address


def test_the_page_links_what_is_kept_and_escapes_what_others_chose(tmp_path: Path) -> None:
    rows = (
        RunRow("a b", "certificate", Standing.HOLDS, "HOLDS", HOSTILE, page="a b/certificate.html"),
        RunRow(HOSTILE, "run", Standing.UNKNOWN, "UNFINISHED", reason=HOSTILE),
    )
    page = index_page.render(rows, HOSTILE, "0")
    assert '<a href="./a%20b/certificate.html">' in page
    assert "<script" not in page
    assert "%" not in page.partition("<body>")[2].replace("./a%20b/", ""), "levels, never a percentage"
    assert index_page.GENERATOR in page
    assert "INCONCLUSIVE" in page


def run(*arguments: str | Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = _run(["report", *map(str, arguments)])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_the_command_writes_the_page_and_tells_its_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(tmp_path / "one", "certificate.json", certificate_json(holds()))
    keep(tmp_path / "two", "run.json", "{")
    code, out, err = run("--index", tmp_path, "--json", "-", capsys=capsys)
    assert (code, err) == (Exit.HOLDS, f"{tmp_path / 'index.html'}\n")
    data = json.loads(out)
    jsonschema.validate(data, SCHEMA)
    assert data["index"]["standing"] == "INCONCLUSIVE"
    assert data["index"]["runs"] == to_data(rows_of(tmp_path))
    assert "DAMAGED" in (tmp_path / "index.html").read_text(encoding="utf-8")
    assert run("--index", tmp_path, capsys=capsys)[0] == Exit.HOLDS, "it is written again"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name a RUN"),
        (("--index", "nowhere"), "there is no folder nowhere"),
        (("one", "--index", "."), "stands alone"),
        (("--index", ".", "--csv", "x.csv"), "stands alone"),
        (("--index", ""), "empty"),
    ],
)
def test_wrong_usage(
    arguments: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments, capsys=capsys)
    assert (code, out) == (Exit.USAGE, "")
    assert said in err
    assert list(tmp_path.iterdir()) == []


def test_a_page_of_somebody_else_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(tmp_path, "index.html", "<h1>Mine</h1>")
    code, _, err = run("--index", tmp_path, capsys=capsys)
    assert (code, "is not overwritten" in err) == (Exit.USAGE, True)
    assert (tmp_path / "index.html").read_text(encoding="utf-8") == "<h1>Mine</h1>"


def test_a_plan_of_which_nothing_is_known_is_not_shown(tmp_path: Path) -> None:
    local = plan_samples.asked(where=Where.LOCAL)
    keep(
        tmp_path / "shown",
        "plan.json",
        plan_json(plan_samples.plan(1_000_000, about=local, log_retention_days=0)),
        "plan.html",
    )
    keep(tmp_path / "quotas", "plan.json", plan_json(plan_samples.plan(1_000_000)), "plan.html")
    keep(tmp_path / "unknown", "plan.json", plan_json(plan_samples.plan(1_000_000, measured=Known((), ()))))
    told = {row.directory: (row.kind, row.standing, row.verdict, row.what) for row in rows_of(tmp_path)}
    assert told["shown"] == ("plan", Standing.HOLDS, "SHOWN", "1,000,000 decisions a day")
    assert told["quotas"][1:3] == (Standing.PARTIAL, "DOCUMENTED")
    assert told["unknown"][:2] == ("plan", Standing.UNKNOWN)
