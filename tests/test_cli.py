"""The command line as a whole: help, listings, exit codes, and output that nobody can take."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from command_line import COMMAND, environment, stackproof

import stackproof as package
from stackproof import cli
from stackproof.exits import Exit
from stackproof.interfaces import ConfigurationError, UnavailableError
from stackproof.servers import MissingWheelError, ServerError
from stackproof.verification.runs import StorageError, keep
from stackproof.verification.worker import WorkerError


def test_help_lists_every_command_and_is_quick(tmp_path: Path) -> None:
    quickest = 9.0
    for _ in range(3):
        began = time.monotonic()
        done = stackproof("--help", cwd=tmp_path)
        quickest = min(quickest, time.monotonic() - began)
    assert done.returncode == 0
    for name in cli.COMMANDS:
        assert f"  {name} " in done.stdout
    assert quickest < 1.0  # 0.1 s on a machine that does nothing else


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help_and_its_own_name(name: str) -> None:
    command = cli._Lazy().get_command(click.Context(cli.cli), name)
    assert command is not None
    assert command.name == name
    shown = CliRunner().invoke(command, ["--help"])
    assert shown.exit_code == 0
    assert "Usage:" in shown.output


def test_version(tmp_path: Path) -> None:
    done = stackproof("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"stackproof, version {package.__version__}\n")


@pytest.mark.parametrize(
    "arguments", [(), ("nonsense",), ("verify", "--nonsense"), ("verify", "--seed", "-1"), ("report",)]
)
def test_wrong_usage(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert stackproof(*arguments, cwd=tmp_path).returncode == 2


@pytest.mark.parametrize("name", ["backends", "clauses", "stacks"])
def test_listings_as_text_and_as_json(tmp_path: Path, name: str) -> None:
    text, data = stackproof(name, cwd=tmp_path), stackproof(name, "--json", "-", cwd=tmp_path)
    assert (text.returncode, data.returncode) == (0, 0)
    rows = json.loads(data.stdout)
    assert rows.pop("schema") == f"stackproof-{name}/1"
    (listed,) = rows.values()
    assert 0 < len(listed) <= len(text.stdout.splitlines()) - 1


def test_a_clause_in_full(tmp_path: Path) -> None:
    done = stackproof("clauses", "cache-06", cwd=tmp_path)
    assert done.stdout.startswith("CACHE-06 (cache)  ")
    assert "must kill: " in done.stdout
    unknown = stackproof("clauses", "CACHE-99", cwd=tmp_path)
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert unknown.stderr == "stackproof: there is no clause CACHE-99; `stackproof clauses` lists them all\n"
    elsewhere = stackproof("clauses", "--concern", "logs", "CACHE-01", cwd=tmp_path)
    assert (elsewhere.returncode, elsewhere.stderr) == (2, "stackproof: CACHE-01 is a clause of cache, not of logs\n")


def test_listings_of_one_concern(tmp_path: Path) -> None:
    rows = json.loads(stackproof("clauses", "--concern", "search", "--json", "-", cwd=tmp_path).stdout)["clauses"]
    assert {row["concern"] for row in rows} == {"search"}
    assert stackproof("clauses", "--concern", "cash", cwd=tmp_path).returncode == 2


def test_a_report_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    for record in (
        "",
        "[]",
        "{}",
        '{"schema": "stackproof-certificate/1"}',
        '{"schema": "stackproof-certificate/1", "servers": 5}',
    ):
        (tmp_path / "other" / "certificate.json").write_text(record)
        done = stackproof("report", "other", cwd=tmp_path)
        assert (done.returncode, len(done.stderr.splitlines())) == (5, 1), record
    nothing = stackproof("report", "empty", cwd=tmp_path)
    assert nothing.returncode == 6
    assert nothing.stderr.startswith("stackproof: empty holds ")
    nowhere = stackproof("report", "nowhere", cwd=tmp_path)
    assert nowhere.returncode in (2, 4)
    assert "there is no run 'nowhere'" in nowhere.stderr


# Output that cannot be taken


def shell(line: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line], cwd=cwd, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("arguments", ["clauses", "clauses --json -", "--help", "backends"])
def test_a_reader_that_went_away_is_no_failed_clause(tmp_path: Path, arguments: str) -> None:
    # `sleep` lets the reader go before anything is written.
    command = shlex.join(COMMAND)
    done = shell(f"(sleep 0.2; exec {command} {arguments}) | true; exit ${{PIPESTATUS[0]}}", tmp_path)
    assert (done.returncode, done.stderr) == (Exit.INTERRUPTED, "")


@pytest.mark.parametrize("arguments", ["clauses", "clauses --json -", "--help", "backends"])
def test_a_full_disk_is_one_sentence(tmp_path: Path, arguments: str) -> None:
    done = shell(f"{shlex.join(COMMAND)} {arguments} > /dev/full", tmp_path)
    assert done.returncode == Exit.ENVIRONMENT
    assert len(done.stderr.splitlines()) == 1
    assert "No space left on device" in done.stderr


@pytest.mark.parametrize("arguments", ["clauses", "clauses --json -", "--help", "backends"])
@pytest.mark.parametrize("closed", [">&-", "<&- >&-", "<&- >&- 2>&-"])
def test_a_standard_stream_that_was_closed_goes_nowhere(tmp_path: Path, arguments: str, closed: str) -> None:
    done = shell(f"exec {shlex.join(COMMAND)} {arguments} {closed}", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_no_file_of_ours_gets_the_number_of_a_stream_that_was_closed(tmp_path: Path) -> None:
    script = "import os, sys; from stackproof import cli; cli._open_what_is_closed(); sys.exit(os.dup(0) < 3)"
    done = shell(f"exec {shlex.quote(sys.executable)} -c {shlex.quote(script)} <&- >&- 2>&-", tmp_path)
    assert done.returncode == 0


# Errors, and what they become


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ConfigurationError("wrong."), 2, "wrong."),
        (MissingWheelError(), 2, "pip install 'stackproof[embedded]'"),
        (ServerError("dead."), 4, "dead."),
        (StorageError("full."), 4, "full."),
        (WorkerError("odd."), 4, "odd."),
        (UnavailableError("away."), 4, "away."),
        (PermissionError(13, "Permission denied", "x"), 4, "Permission denied: x"),
        (KeyboardInterrupt(), 130, "Interrupted."),
    ],
)
def test_an_expected_error_is_a_sentence_and_a_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, said: str
) -> None:
    def fails(*_arguments: Any, **_options: Any) -> None:
        raise error

    monkeypatch.setattr(cli.cli, "main", fails)
    assert cli._run([]) == code
    assert capsys.readouterr().err.strip().endswith(said)


@pytest.mark.parametrize(
    "error", [UnavailableError("away"), KeyboardInterrupt(), PermissionError(13, "Permission denied")]
)
def test_what_was_noted_of_an_error_is_told_with_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    def fails(*_arguments: Any) -> None:
        error.add_note("not everything could be removed: cache: away")
        raise error

    monkeypatch.setattr(cli.cli, "invoke", fails)  # within click, which has an error of its own for Ctrl-C
    assert cli._run(["backends"]) in (Exit.ENVIRONMENT, Exit.INTERRUPTED)
    assert capsys.readouterr().err.endswith("; not everything could be removed: cache: away\n")


def test_an_unexpected_error_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_arguments: Any, **_options: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli.cli, "main", fails)
    with pytest.raises(ZeroDivisionError):
        cli._run([])


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    keep(path, "old")

    def full(*_arguments: Any, **_options: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(StorageError, match=r"x\.json cannot be written: No space left on device"):
            keep(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["x.json"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    keep(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "text"


def test_an_ascii_terminal_loses_no_result(tmp_path: Path) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}
    done = stackproof("verify", "--backend", "cache=memory", "--clause", "CACHE-01", cwd=tmp_path, env=ascii_only)
    assert done.returncode == Exit.INCONCLUSIVE
    assert "\\u2713 PASS" in done.stdout
