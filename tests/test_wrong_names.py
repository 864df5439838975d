"""A wrong name, and a file that is missing, empty or cannot be read: one sentence, the documented exit code, nothing begun."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from stackproof.cli import COMMANDS, main
from stackproof.exits import Exit

Told = Callable[..., tuple[int, str]]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Told:
    """Exit code and all that was said, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    def run(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        code, said = ended.value.code, capsys.readouterr()
        assert isinstance(code, int)
        return code, said.out + said.err

    return run


NO_ARGUMENTS = {
    "bench", "selftest", "backends", "clauses", "stacks", "doctor", "matrix", "audit", "verify", "tax", "yardsticks",
    "servers up", "servers status", "servers down", "calibrate",
}  # fmt: skip
WITH = {"compare": ("a", "b"), "report": ("a",), "replay": ("a",), "plan": ("--decisions-per-day", "10K")}
ELSEWHERE = {"worker", "servers"}
"""A worker serves another machine's command; servers is a group."""


def test_every_command_is_asked() -> None:
    assert {name.partition(" ")[0] for name in NO_ARGUMENTS} | {*WITH} | ELSEWHERE == {*COMMANDS}


@pytest.mark.parametrize("command", sorted({*NO_ARGUMENTS, *WITH}))
def test_a_result_that_has_no_place_is_refused_before_anything_is_done(told: Told, command: str) -> None:
    """A server that was started without its variables being told is one that nobody finds."""
    words = (*command.split(), *WITH.get(command, ()))
    code, said = told(*words, "--json", "nowhere/result.json")
    assert (code, said) == (
        Exit.USAGE,
        "stackproof: nowhere/result.json cannot be written: its directory does not exist\n",
    )
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize("command", [("compare", "{}", "run"), ("compare", "run", "{}"), ("report", "{}")])
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "the name of the run is empty"),
        ("nope", "there is no run 'nope'"),
        ("result.json", "result.json is no record of a run; name the run by its id or its directory"),
    ],
)
def test_what_is_no_run_does_not_stand_for_what_lies_beside_it(
    told: Told, command: tuple[str, ...], name: str, why: str
) -> None:
    Path("run").mkdir()
    Path("run", "run.json").write_text("{}")
    Path("result.json").write_text("{}")
    code, said = told(*(word.format(name) for word in command))
    # Of two runs the first is read first, and that one is damaged.
    assert (code, why in said) == ((Exit.INVALID, False) if command[-1] == "{}" and command[1] == "run" else (2, True))


@pytest.mark.parametrize("command", [("compare", "{}", "{}"), ("report", "{}")])
def test_a_record_that_cannot_be_read_is_one_sentence(told: Told, command: tuple[str, ...]) -> None:
    Path("bytes").mkdir()
    Path("bytes", "run.json").write_bytes(b"\xff\xfe\x00")
    Path("broken").mkdir()
    Path("broken", "run.json").symlink_to("/proc/self/mem")  # its first page is nobody's
    for name, why in (("bytes", "it is not UTF-8"), ("broken", "Input/output error")):
        for run in (name, f"{name}/run.json"):
            code, said = told(*(word.format(run) for word in command))
            assert code == Exit.INVALID
            assert f"{name}/run.json cannot be read: {why}" in said


def test_a_certificate_that_cannot_be_read_is_named(told: Told) -> None:
    Path("certificate.json").symlink_to("/proc/self/mem")
    code, said = told("verify", "--check", "certificate.json")
    assert (code, said) == (Exit.USAGE, "stackproof: certificate.json cannot be read: Input/output error\n")


@pytest.mark.parametrize("command", [("stacks",), ("audit", "--no-measure"), ("plan", "--decisions-per-day", "10K")])
def test_runs_that_are_not_there_are_none_to_leave_out(told: Told, command: tuple[str, ...]) -> None:
    Path("file").touch()
    for name, why in (("nope", "--runs nope is no directory"), ("file", "'file' is a file"), ("", "it is empty")):
        code, said = told(*command, "--runs", name)
        assert code == Exit.USAGE
        assert why in said


def test_names_that_are_empty_are_told(told: Told) -> None:
    assert told("matrix", "--tox", "") == (2, "stackproof: --tox is empty; give the name of an environment\n")
    assert "that are named ''" in told("servers", "down", "")[1]
