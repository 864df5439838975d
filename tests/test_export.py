"""A measurement as tables for other tools: what is read back is what was measured."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas
import pytest
from bench_samples import judged, recorded, with_windows
from click.testing import CliRunner, Result
from documents import ROOT, blocks

from stackproof.commands.report import report
from stackproof.interfaces import ConfigurationError
from stackproof.measurement.record import Measurement, to_json
from stackproof.measurement.tables import TABLES, Table, seconds_table, windows_table
from stackproof.reports.export import csv_bytes, json_lines_bytes, parquet_bytes
from stackproof.scenarios.histogram import Histogram
from stackproof.verification.runs import NoRecordError


@pytest.fixture(scope="module")
def measured() -> Measurement:
    """Two windows, one of them with failures and too short for a p99; a rate that no decimal writes in few digits."""
    first = judged(recorded(1000, seconds=0.0041))
    second = judged(recorded(120, failed=3, dropped=7))
    windows = (*first.windows, replace(second.windows[-1], rates={"offered": 100.0 / 3, "achieved": math.pi}))
    return with_windows(first, windows)


@pytest.fixture
def run(tmp_path: Path, measured: Measurement) -> Path:
    (tmp_path / "run.json").write_text(to_json(measured), encoding="utf-8")
    return tmp_path


def frames(table: Table) -> dict[str, Any]:
    """The table, written and read back by whoever analyses it."""
    return {
        "csv": pandas.read_csv(BytesIO(csv_bytes(table))),
        "parquet": pandas.read_parquet(BytesIO(parquet_bytes(table))),
        "jsonl": pandas.DataFrame([json.loads(line) for line in json_lines_bytes(table).splitlines()]),
    }


def rows_of(frame: Any) -> list[tuple[Any, ...]]:
    return [tuple(None if pandas.isna(v) else v for v in row) for row in frame.itertuples(index=False, name=None)]


class TestTables:
    @pytest.mark.parametrize("name", list(TABLES))
    @pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
    def test_reading_back_gives_the_same_numbers(self, measured: Measurement, name: str, form: str) -> None:
        table = TABLES[name](measured)
        found = frames(table)[form]
        assert list(found.columns) == list(table.columns)
        assert rows_of(found) == list(table.rows)

    def test_counts_stay_whole_numbers_beside_missing_values(self, measured: Measurement) -> None:
        found = frames(windows_table(measured))["parquet"]
        assert str(found["offered"].dtype) == "Int64"
        assert found["latency_p99_9_ms"].isna().all()

    def test_a_row_for_each_second_and_window(self, measured: Measurement) -> None:
        seconds, windows = seconds_table(measured).records(), windows_table(measured).records()
        assert [row["window"] for row in windows] == list(range(len(measured.windows)))
        for number, window in enumerate(measured.windows):
            mine = [row for row in seconds if row["window"] == number]
            assert [row["second"] for row in mine] == [row["second"] for row in window.series]
            assert sum(row["offered"] for row in mine) == window.counts["offered"]
        assert windows[-1]["failed"] == 3
        assert windows[-1]["achieved_per_s"] == math.pi

    def test_outcomes_add_up_in_every_row(self, measured: Measurement) -> None:
        for table in TABLES.values():
            for row in table(measured).records():
                parts = [row[name] for name in ("ok", "late", "skipped", "dropped", "failed")]
                assert row["offered"] == sum(parts)

    def test_numbers_have_a_unit_or_are_counts(self, measured: Measurement) -> None:
        units = ("_ms", "_s", "_us", "_per_s", "_share", "_us_per_operation")
        for table in TABLES.values():
            for name, kind in table(measured).columns.items():
                assert kind != "real" or name.endswith(units)

    def test_the_histograms_of_the_record_give_the_percentiles_of_the_table(self, measured: Measurement) -> None:
        """What docs/runs.md says of histograms: decoded and added, they are the latencies of all of it."""
        merged = Histogram()
        for window in measured.windows[1:]:
            merged.add(Histogram.decoded(window.histograms["intended"]))
        assert merged.count == sum(window.counts["ok"] for window in measured.windows[1:])
        one = Histogram.decoded(measured.windows[1].histograms["intended"])
        assert one.percentile(50.0) == pytest.approx(windows_table(measured).records()[1]["latency_p50_ms"] / 1000)

    def test_the_page_on_runs_merges_them_as_it_says(
        self, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (block,) = blocks(ROOT / "docs" / "runs.md", "python")
        monkeypatch.chdir(run)
        exec(block.code, {})
        value, _, words = capsys.readouterr().out.partition(" ")
        assert (pytest.approx(float(value), rel=0.01), words) == (4.6, "ms from the intended start\n")


class TestCommand:
    def call(self, *arguments: str) -> Result:
        return CliRunner().invoke(report, arguments, standalone_mode=False)

    def test_each_format_to_a_file(self, run: Path, tmp_path: Path, measured: Measurement) -> None:
        names = {form: str(tmp_path / f"out.{form}") for form in ("csv", "parquet", "jsonl")}
        options = [text for form, name in names.items() for text in (f"--{form}", name)]
        done = self.call(str(run), *options, "--table", "windows", "--json", str(tmp_path / "told.json"))
        assert done.exception is None
        table = windows_table(measured)
        assert Path(names["csv"]).read_bytes() == csv_bytes(table)
        assert Path(names["jsonl"]).read_bytes() == json_lines_bytes(table)
        assert rows_of(pandas.read_parquet(names["parquet"])) == list(table.rows)
        told = json.loads((tmp_path / "told.json").read_text())
        assert [(each["format"], each["table"]) for each in told["tables"]] == [(form, "windows") for form in names]
        assert told["pages"] == []
        assert not (run / "measurement.html").exists()

    def test_standard_output(self, run: Path, measured: Measurement) -> None:
        done = self.call(str(run), "--csv", "-")
        assert done.stdout_bytes == csv_bytes(seconds_table(measured))

    def test_standard_output_twice_is_refused(self, run: Path) -> None:
        assert "only one of" in str(self.call(str(run), "--csv", "-", "--jsonl", "-").exception)

    def test_a_directory_that_is_not_there_is_told_before(self, run: Path) -> None:
        assert "cannot be written" in str(self.call(str(run), "--csv", str(run / "no" / "x.csv")).exception)

    def test_a_run_without_a_measurement(self, tmp_path: Path) -> None:
        assert isinstance(self.call(str(tmp_path), "--csv", "-").exception, NoRecordError)
        (tmp_path / "certificate.json").touch()
        error = self.call(str(tmp_path), "--csv", "-").exception
        assert isinstance(error, ConfigurationError)
        assert str(error).endswith("holds no run.json: only a measurement has tables")

    def test_a_record_that_is_none(self, run: Path) -> None:
        (run / "run.json").write_text("{}")
        assert "cannot be read" in str(self.call(str(run), "--jsonl", "-").exception)

    @pytest.mark.parametrize("form", ["csv", "parquet"])
    def test_packages_that_are_missing(
        self, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
    ) -> None:
        there = importlib.util.find_spec
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pandas" else there(name))
        error = self.call(str(run), f"--{form}", str(tmp_path / "x")).exception
        assert isinstance(error, ConfigurationError)
        assert str(error).endswith("type: pip install 'stackproof[export]'")
        assert not (tmp_path / "x").exists()

    def test_json_lines_need_no_package(self, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pandas", None)
        assert self.call(str(run), "--jsonl", "-").exception is None
