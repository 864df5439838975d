"""What the pages about measuring show can be typed: commands describe a load, and the locustfile of one's own runs."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from documents import CONTRIBUTING, DISTRIBUTED, DOCUMENTS, MEASURING, ROOT, blocks, commands

from stackproof.cli import cli
from stackproof.commands.bench import Asked
from stackproof.commands.bench_run import load_of
from stackproof.commands.bench_series import wanted_of
from stackproof.commands.search_options import asked_for
from stackproof.commands.series import task_of
from stackproof.interfaces import ConfigurationError
from stackproof.scenarios.recorder import Recorder


def asked(arguments: list[str]) -> Asked:
    """What `stackproof bench` makes of these arguments."""
    command = cli.get_command(click.Context(cli), "bench")
    assert command is not None
    context = command.make_context("bench", arguments)
    ours = {
        name: value
        for name, value in context.params.items()
        if name not in ("find_max", "short", "max_steps", "max_minutes")
    }
    return Asked(**ours, find=asked_for(context))


# The scenario of CONTRIBUTING.md is made by its own test.
PAGES = [document for document in DOCUMENTS if document != CONTRIBUTING]
LOADS = sorted({line for page in PAGES for line in commands(page) if line.startswith("stackproof bench --")})


@pytest.mark.parametrize("line", LOADS)
def test_every_line_that_is_shown_describes_a_load(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    typed = asked(shlex.split(line)[2:])
    if len(typed.scenarios) > 1:
        assert [task_of(each, typed.origin).load.scenario for each in wanted_of(typed)] == list(typed.scenarios)
    load = load_of(typed)
    if typed.find is not None:
        assert typed.find.settings(load.order, load.promises).promises == load.promises


@pytest.mark.parametrize("option", ["--set deepness=5", "--rate 0", "--max-steps 3"])
def test_a_line_that_describes_none_would_be_seen(option: str) -> None:
    with pytest.raises(ConfigurationError):
        load_of(asked(["--scenario", "summaries", *option.split()]))


def test_the_pages_show_what_they_are_about() -> None:
    shown = {document: " ".join(commands(document)) for document in (MEASURING, DISTRIBUTED)}
    for option in ("--find-max", "--sweep", "--against", "--repeat", "--resume", "--set", "--arrivals", "--slo"):
        assert option in shown[MEASURING]
    for option in ("--bind", "--workers", "--master", "--native", "--resume"):
        assert option in shown[DISTRIBUTED]


def test_the_locustfile_of_ones_own_runs_and_its_record_is_read(tmp_path: Path) -> None:
    for block in blocks(MEASURING, "python"):
        (tmp_path / block.title).write_text(block.code, encoding="utf-8")
    [line, _] = [line for block in blocks(MEASURING, "sh") for line in block.code.splitlines() if "locust " in line]
    variable, program, *options = shlex.split(line)
    assert program == "locust"
    options[options.index("--run-time") + 1] = "2s"
    name, _, value = variable.partition("=")
    environ = {**os.environ, name: value, "PYTHONPATH": str(ROOT)}
    offered = subprocess.run(
        [sys.executable, "-m", "locust", *options],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=90,
    )
    recorder = Recorder.from_data(json.loads((tmp_path / value).read_text(encoding="utf-8"))["Offers"])
    assert recorder.adds_up, offered.stderr
    assert recorder.answered > 20, offered.stderr
    assert recorder.failed == 0, recorder.errors
    said = read_by_the_page(tmp_path)
    assert f"'offered': {recorder.offered}" in said
    assert said.endswith("ms from the intended start; complete\n")


def read_by_the_page(directory: Path) -> str:
    """What the page's own program says of a record."""
    [block] = [block for block in blocks(MEASURING, "python") if block.title == "read.py"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    read = subprocess.run(
        [sys.executable, "-c", block.code], cwd=directory, env=environ, capture_output=True, text=True, timeout=90
    )
    assert read.returncode == 0, read.stderr
    return read.stdout


def test_a_record_without_an_operation_that_ended_well_is_read_too(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.offer(0.1)
    recorder.fail(0.1, "Offers: OSError")
    record = {**recorder.to_data(), "rate": 50.0, "processes": 1, "incomplete": "a part is missing"}
    (tmp_path / "record.json").write_text(json.dumps({"Offers": record}), encoding="utf-8")
    assert read_by_the_page(tmp_path).endswith("; no operation ended well; Offers: OSError; a part is missing\n")
