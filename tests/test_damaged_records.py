"""A record that was cut off, emptied or overwritten: every reader says so in one sentence, and ends with the same exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import audit_samples
import certificate_samples
import plan_samples
import pytest
from ceiling_samples import searched

from stackproof.cli import _run
from stackproof.exits import Exit
from stackproof.kept_json import seal_of
from stackproof.measurement.kept_record import UNSEALED
from stackproof.measurement.record import from_json
from stackproof.measurement.record import to_json as measurement_json
from stackproof.planning.audit_record import to_json as audit_json
from stackproof.planning.ceilings import read_ceilings
from stackproof.planning.plan_record import to_json as plan_json
from stackproof.reports.runs_index import rows_of
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


def _invalid(data: dict[str, Any]) -> None:
    data["windows"][0]["invalid"] = ["Answers were wrong."]


def _wrong(data: dict[str, Any]) -> None:
    data["windows"][0]["checks"]["wrong"] = data["checks"]["wrong"] = 3
    data["windows"][0]["invalid"] = []


UNTRUE: dict[str, Callable[[dict[str, Any]], object]] = {
    "900/s holds, and 420/s, which is less, fails": lambda data: data["ceiling"].update(holds=900.0),
    "its ceiling is no rate": lambda data: data["ceiling"].update(holds=float("inf")),
    "a window of it is invalid, and it does not say so: Answers were wrong.": _invalid,
    "answers of backends were not right in it, and it does not say so": _wrong,
    "it has 3 answers that were wrong, and its windows have 0": lambda data: data["checks"].update(wrong=3),
    "it counts 7 ok, and its measured windows 3,000": lambda data: data["counts"].update(ok=7),
    "it says INVALID, and from the rest follows VALID": lambda data: data.update(level="INVALID"),
    "a window of it was cut short": lambda data: data["windows"][0].update(complete=False),
    "its achieved is inf": lambda data: data["rates"].update(achieved=float("inf")),
    "it was offered for -1 s": lambda data: data["windows"][0]["order"].update(seconds=-1),
    "a histogram of it is damaged": lambda data: data["windows"][0]["histograms"].update(real="xx"),
    "it holds a number of 401 digits": lambda data: data["windows"][0].update(elapsed=10**400),
    "it has not the shape of a measurement: slo is not of type array": lambda data: data.update(slo=3),
}


@pytest.mark.parametrize("said", UNTRUE)
def test_a_record_that_contradicts_itself_is_believed_by_nobody(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    data = json.loads(measurement_json(searched()))
    UNTRUE[said](data)
    data["seal"] = seal_of(data)  # whoever changed it knew of that, too
    (tmp_path / "runs/one").mkdir(parents=True)
    text = json.dumps(data)
    Path("runs/one/run.json").write_text(text, encoding="utf-8")
    assert _run(["report", "runs/one"]) == Exit.INVALID
    assert said in capsys.readouterr().err
    assert _run(["compare", "runs/one", "runs/one"]) == Exit.INVALID
    found, unreadable = read_ceilings({"one": text})
    assert (found, said in unreadable[0].reason) == ((), True)
    (row,) = rows_of(Path("runs"))
    assert row.verdict == "DAMAGED"


def test_what_was_changed_after_it_was_written_is_told_by_its_seal() -> None:
    data = json.loads(measurement_json(searched()))
    data["latency"]["intended"]["p99"] = 0.001
    with pytest.raises(ValueError, match="it was changed after it was written: its seal does not fit"):
        from_json(json.dumps(data))
    del data["seal"]
    assert UNSEALED in from_json(json.dumps(data)).warnings
    assert UNSEALED not in from_json(measurement_json(searched())).warnings


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
