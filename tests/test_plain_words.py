"""What a user typed wrong, or what cannot be, in the words that say what it is."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from stackproof.cli import _run
from stackproof.commands.options import check_targets
from stackproof.exits import Exit
from stackproof.interfaces import ConfigurationError
from stackproof.measurement.compared import Difference, Outcome, Run
from stackproof.measurement.comparison import _subjects, no_answer
from stackproof.reports.comparison_terminal import basis, heading


def test_a_command_that_is_none_is_told_with_the_one_that_is_like_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["verfy"]) == Exit.USAGE
    assert "Did you mean verify?" in capsys.readouterr().err
    assert _run(["xyzzy"]) == Exit.USAGE
    assert "Did you mean" not in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_told_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there.json").touch()
    for target, allowed, why in (
        (tmp_path, True, "it is a directory, and a file is needed"),
        (tmp_path / "no" / "x.json", True, "its directory does not exist"),
        (tmp_path / "there.json", False, "it is there already, and not yours to write to"),
        (tmp_path / "new.json", False, "its directory is not yours to write to"),
    ):
        monkeypatch.setattr(os, "access", lambda *_, allowed=allowed: allowed)
        with pytest.raises(ConfigurationError) as refused:
            check_targets(target)
        assert str(refused.value) == f"{target} cannot be written: {why}"


def test_a_revision_that_git_does_not_know_is_told_by_its_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    assert _run(["matrix", "--changed-since", "nosuchrev"]) == Exit.USAGE
    assert capsys.readouterr().err == "stackproof: --changed-since 'nosuchrev': git knows no such revision\n"


def test_runs_that_are_not_comparable_are_headed_by_what_differs() -> None:
    def other(*kinds: str, accepted: tuple[str, ...] = ()) -> str:
        found = tuple(Difference(kind, "x", "1", "2") for kind in kinds)
        answer = no_answer(Outcome.OTHER, ("because",), ("a", "b"), 0.05)
        return heading(replace(answer, differences=found, accepted=accepted))

    assert other("backend") == "OTHER BACKEND"
    assert other("workload", "backend", "environment") == "OTHER WORKLOAD, BACKEND AND ENVIRONMENT"
    assert other("workload", "backend", accepted=("backend",)) == "OTHER WORKLOAD"
    assert heading(no_answer(Outcome.NO_DATA, (), ("a", "b"), 0.05)) == "NO DATA"


@pytest.mark.parametrize(("count", "words"), [(1, "1 pair of windows,"), (5, "5 pairs of windows,")])
def test_one_pair_is_no_plural(count: int, words: str) -> None:
    one = SimpleNamespace(first=SimpleNamespace(windows=count), second=SimpleNamespace(windows=count))
    result = SimpleNamespace(paired=True, metrics=[one], confidence=0.95, threshold=0.05)
    assert basis(result).startswith(words)  # type: ignore[arg-type]


def test_a_backend_that_only_one_run_has_is_no_other_version_of_it() -> None:
    def of(target: str, digest: str) -> Run:
        subject = {"stackproof": "1.0", f"the adapter of {target}": digest}
        return Run("a", {}, {}, {}, (), "1", subject=subject)

    assert _subjects(of("cache=redis", "f1"), of("cache=local", "f1")) == []
    assert _subjects(of("cache=redis", "f1"), of("cache=redis", "f2")) == [
        "What was compared: the adapter of cache=redis f1 with f2."
    ]
