"""A record that was cut off, emptied or overwritten: every reader says so in one sentence, and ends with the same exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import audit_samples
import certificate_samples
import plan_samples
import pytest
from ceiling_samples import searched

from stackproof.cli import _run
from stackproof.exits import Exit
from stackproof.measurement.record import to_json as measurement_json
from stackproof.planning.audit_record import to_json as audit_json
from stackproof.planning.plan_record import to_json as plan_json
from stackproof.verification.certificate import to_json as certificate_json

RECORDS: dict[str, Callable[[], str]] = {
    "certificate.json": lambda: certificate_json(certificate_samples.holds()),
    "run.json": lambda: measurement_json(searched()),
    "audit.json": lambda: audit_json(audit_samples.audited()),
    "plan.json": lambda: plan_json(plan_samples.plan(1_000_000)),
}
READERS = [
    ("certificate.json", ("verify", "--check", "run")),
    ("certificate.json", ("report", "run", "--summary", "summary.md")),
    ("certificate.json", ("replay", "run")),
    ("run.json", ("compare", "run", "run")),
    ("run.json", ("report", "run", "--jsonl", "-")),
    *((record, ("report", "run")) for record in RECORDS),
]
DAMAGE: dict[str, Callable[[str], str]] = {
    "cut off": lambda text: text[: len(text) // 2],
    "emptied": lambda text: "",
    "overwritten": lambda text: "\0" * len(text),
}


@pytest.mark.parametrize("table", ["seconds", "windows"])
def test_a_table_of_what_is_no_row_is_one_sentence(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    data = json.loads(measurement_json(searched()))
    data["windows"][0]["series"] = [None]
    data["windows"][0]["client"] = []
    Path("run").mkdir()
    Path("run/run.json").write_text(json.dumps(data), encoding="utf-8")
    assert _run(["report", "run", "--jsonl", "-", "--table", table]) == Exit.INVALID
    out, err = capsys.readouterr()
    assert not out
    assert "run/run.json cannot be read: " in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize(("record", "command"), READERS)
def test_what_is_damaged_is_told_by_every_reader_in_the_same_way(
    record: str,
    command: tuple[str, ...],
    damage: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    (Path("run") / record).write_text(DAMAGE[damage](RECORDS[record]()))
    assert _run(list(command)) == Exit.INVALID
    told = "".join(capsys.readouterr())
    assert "cut off" in told
    assert "damaged" in told
    assert "delimiter" not in told, "what Python's reader stumbled on is no help to anybody"
    assert "FORGED" not in told
