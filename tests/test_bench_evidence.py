"""The evidence of a run of bench: kept before the load, on the page, in the terminal, and when the disk is full."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from bench_samples import certificate, judged, keep_certificate, recorded
from command_line import stackproof
from rich.console import Console
from test_durability import KAFKA, POSTGRES, row

from stackproof.commands.bench_evidence import keep_evidence
from stackproof.exits import Exit
from stackproof.interfaces import ConfigurationError
from stackproof.measurement.environment import read_environment
from stackproof.measurement.evidence import Evidence, from_json, kept_evidence
from stackproof.measurement.record import from_json as measurement_from_json
from stackproof.measurement.server_settings.records import NEVER, ServerSettings, Setting
from stackproof.reports.evidence import evidence_section, machine_facts, print_evidence
from stackproof.reports.measurement import render
from stackproof.verification.digests import suite_digest
from stackproof.verification.runs import DamagedRecordError

SHORT = ("--stack", "memory", "--rate", "50", "--duration", "1", "--warmup", "0")


@pytest.fixture
def evidence() -> Evidence:
    settings = (
        Setting("flush.ms", NEVER, f"After how long ({NEVER} is never)."),
        Setting("version", "", "The release.", "it <does> not tell"),
    )
    client = (Setting("acks", "all", "What is waited for."),)
    kafka = ServerSettings("kafka", "container", "kafka", "its only broker", ("events=kafka",), settings, client)
    rows = (row("interactions=postgres", "postgres", POSTGRES), row("events=kafka", "kafka", KAFKA, flush_ms=None))
    return Evidence(replace(read_environment(), cores=2, cpu_limit=None, load=1.9), (kafka,), rows)


class TestPage:
    def test_rows_settings_and_machine_are_on_it(self, evidence: Evidence) -> None:
        page = render(judged(recorded(1000)), evidence)
        for text in (
            "What an acknowledged write survives",
            "the log is forced to disk before a commit is acknowledged",
            "flush.ms is not known: it was refused",
            "The machine was busy before the run began: a load of 1.90 on 2 cores.",
            '<span class="mono">never</span>',
            "it &lt;does&gt; not tell",
            evidence.environment.processor,
        ):
            assert text in page
        assert NEVER not in page
        assert "settings of external servers were not asked" not in page

    def test_a_run_without_evidence_has_its_page_too(self) -> None:
        page = render(judged(recorded(1000)))
        assert "What an acknowledged write survives" not in page
        assert '<h2 id="environment">Environment</h2>' in page

    def test_unknown_settings_are_counted(self, evidence: Evidence) -> None:
        assert evidence_section(evidence).unknown == 1

    def test_what_is_unknown_of_the_machine_says_why(self, evidence: Evidence) -> None:
        machine = replace(evidence.environment, governor="", unknown={"governor": "permission denied"})
        assert ("Frequency governor", "not known: permission denied") in machine_facts(machine)


class TestTerminal:
    @pytest.mark.parametrize("width", [80, 120])
    def test_answers_and_what_is_not_known(self, evidence: Evidence, width: int) -> None:
        stream = StringIO()
        print_evidence(evidence, Console(file=stream, width=width))
        lines = [line.split() for line in stream.getvalue().splitlines()]
        assert ["interactions=postgres", "✓", "yes", "✓", "yes", "✗", "no"] in lines
        assert ["events=kafka", "✓", "yes", "?", "unknown", "✓", "yes"] in lines
        assert "not known of kafka: version" in stream.getvalue()
        assert all(len(line) <= width for line in stream.getvalue().splitlines())


class TestGoingOn:
    """A run that was cut short belongs to the conditions that it began under."""

    def test_the_first_evidence_stays(self, evidence: Evidence, tmp_path: Path) -> None:
        keep_evidence(tmp_path, evidence)
        keep_evidence(tmp_path, replace(evidence, environment=replace(evidence.environment, load=0.5)))
        assert kept_evidence(tmp_path) == evidence

    def test_other_conditions_are_refused(self, evidence: Evidence, tmp_path: Path) -> None:
        keep_evidence(tmp_path, evidence)
        (kafka,) = evidence.servers
        other = replace(kafka, client=(replace(kafka.client[0], value="1"),))
        with pytest.raises(
            ConfigurationError, match="had begun under other conditions: acks of kafka differs: all and 1"
        ):
            keep_evidence(tmp_path, replace(evidence, servers=(other,)))

    def test_what_is_no_evidence_is_refused(self, evidence: Evidence, tmp_path: Path) -> None:
        (tmp_path / "evidence.json").write_text("{}")
        with pytest.raises(DamagedRecordError, match=r"evidence\.json cannot be read"):
            keep_evidence(tmp_path, evidence)


class TestCommand:
    @pytest.fixture
    def proven(self, tmp_path: Path) -> Path:
        """A directory in which the memory stack has its certificate."""
        suite_digest.cache_clear()
        keep_certificate(tmp_path / ".stackproof" / "runs", certificate())
        return tmp_path

    @pytest.fixture
    def small(self, tmp_path: Path) -> Iterator[Path]:
        """A file system of its own, with little more room than a run needs at its start."""
        folder = tmp_path / "small"
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1100k", "x", str(folder)], capture_output=True)
        if done.returncode:
            pytest.skip("mounting a file system needs root")
        yield folder
        subprocess.run(["umount", str(folder)], check=True)

    def test_it_is_kept_and_the_page_can_be_written_again(self, proven: Path) -> None:
        done = stackproof("bench", *SHORT, "--out", "run", cwd=proven)
        assert done.returncode in (Exit.HOLDS, Exit.INCONCLUSIVE), (
            done.stderr
        )  # the latter on a machine that is too busy
        assert "What an acknowledged write survives" in done.stdout
        kept = kept_evidence(proven / "run")
        assert kept is not None
        assert next(found.backend for found in kept.durability) == "cache=memory"
        page = (proven / "run" / "measurement.html").read_text()
        again = stackproof("report", "run", cwd=proven)
        assert again.returncode == 0
        assert (proven / "run" / "measurement.html").read_text() == page

    def test_a_disk_that_fills_up_costs_no_figures(self, proven: Path, small: Path) -> None:
        """It has no room for the record: the disk is filled by the reader of the first line that the run keeps."""
        other = proven / "other"
        other.mkdir()
        filler = (
            "import runpy, sys; from pathlib import Path; import stackproof.verification.runs as runs\n"
            "real = runs.keep\n"
            "def keep(path, text):\n"
            "    real(path, text)\n"
            f"    if path.name == 'evidence.json':\n        fill(Path({str(small)!r}))\n"
            "def fill(folder):\n"
            "    with open(folder / 'filler', 'wb', buffering=0) as file:\n"
            "        try:\n"
            "            while True: file.write(bytes(4096))\n"
            "        except OSError: pass\n"
            "import stackproof.commands.bench_evidence as ours; ours.keep = keep\n"
            "sys.argv = ['stackproof', *sys.argv[1:]]; from stackproof.cli import main; main()\n"
        )
        done = _python(filler, "bench", *SHORT, "--out", str(small / "run"), cwd=proven, TMPDIR=str(other))
        assert done.returncode == 4, done.stderr
        assert "achieved" in done.stdout  # the figures are on the screen
        (record,) = other.glob("stackproof-run-*/run.json")
        result = measurement_from_json(record.read_text())
        assert result.counts["ok"] == 50
        assert any("windows.jsonl cannot be written: No space left" in warning for warning in result.warnings)
        assert f"No space left on device; it is kept as {record}" in done.stderr
        assert done.stderr.count("\n") == 1
        assert from_json((small / "run" / "evidence.json").read_text())

    def test_json_that_cannot_be_written_is_told_after_the_figures(self, proven: Path) -> None:
        done = stackproof("bench", *SHORT, "--out", "run", "--json", "/dev/full", cwd=proven)
        assert done.returncode == 4
        assert "achieved" in done.stdout
        assert done.stderr == "stackproof: /dev/full cannot be written: No space left on device\n"
        assert json.loads((proven / "run" / "run.json").read_text())["counts"]["offered"] == 50


def _python(code: str, *arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    import os
    import sys

    root = str(Path(__file__).parent.parent)
    env = {**os.environ, "PYTHONPATH": root, "COLUMNS": "160", **environ}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=cwd, env=env, capture_output=True, text=True, timeout=120
    )
