"""A failure is repeated alone: by its script, by its short id, by its run. The answer is fixed, still failing, or cannot run."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import environment, stackproof

from stackproof.contracts import CONCERNS, contract_for
from stackproof.contracts.clauses import planned_clauses
from stackproof.contracts.sequences import SEES
from stackproof.contracts.verdicts import Failure
from stackproof.interfaces import ConfigurationError
from stackproof.verification.replay import (
    GENERATED,
    SHRUNK,
    Again,
    Answer,
    Repeated,
    _python,
    find_failures,
    script,
    script_name,
    seen_in,
    short_id,
)

BROKEN = """
from stackproof.adapters.cache.memory import MemoryCache


class Mine(MemoryCache):
    def delete(self, key):
        super().delete(key)
        return True


def make(namespace):
    return Mine(namespace=namespace)
"""
FIXED = BROKEN.replace("        super().delete(key)\n        return True", "        return super().delete(key)")
BACKEND = ("--backend", "cache=mine:make")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run in which one clause failed."""
    (tmp_path / "mine.py").write_text(BROKEN)
    done = stackproof("verify", *BACKEND, "--clause", "CACHE-11", "--seed", "7", cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    (found,) = (tmp_path / ".stackproof" / "runs").iterdir()
    return found


def alone(run: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(run / "cache-mine-make-CACHE-11.py")],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def failure_of(run: Path) -> dict[str, str]:
    rows = json.loads((run / "certificate.json").read_text())["clauses"]
    found: dict[str, str] = next(row["failure"] for row in rows if row["failure"])
    return found


def test_the_answer_follows_the_backend(run: Path, tmp_path: Path) -> None:
    told = failure_of(run)
    python, script = told["alone"].split()
    assert script == f".stackproof/runs/{run.name}/cache-mine-make-CACHE-11.py"
    assert python in ("python", "python3", sys.executable)
    words = told["again"].split()
    assert words[:2] == ["stackproof", "replay"]
    names = (words[2], run.name, f"{run.name}:CACHE-11", f"{run.name}:cache-11")

    for name in names:
        done = stackproof("replay", name, cwd=tmp_path)
        assert done.stdout.startswith("CACHE-11 of cache=mine:make, seed 7: still failing: ")
        assert "\n  what was done (the last calls):\n    cache" in done.stdout
        assert "\n  expected: False\n  seen:     True\n" in done.stdout
        assert done.returncode == 1
    script_said = alone(run, tmp_path)
    assert (script_said.returncode, "\n  seen:     True\n" in script_said.stdout) == (1, True)

    (tmp_path / "mine.py").write_text(FIXED)
    done = stackproof("replay", words[2], "--json", "-", cwd=tmp_path)
    assert done.returncode == 0
    assert json.loads(done.stdout)["failures"][0]["answer"] == "fixed"
    script_said = alone(run, tmp_path)
    assert (script_said.returncode, ": fixed: " in script_said.stdout) == (0, True)

    (tmp_path / "mine.py").unlink()
    done = stackproof("replay", words[2], cwd=tmp_path)
    assert done.returncode == 4
    assert ": cannot run: " in done.stdout
    assert "there is no module 'mine' here" in done.stdout
    assert alone(run, tmp_path).returncode == 4


def test_what_cannot_be_decided_is_not_fixed(run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(BROKEN.replace("        return True", "        import os; os._exit(3)"))
    done = stackproof("replay", f"{run.name}:CACHE-11", cwd=tmp_path)
    assert done.returncode == 4
    assert ": cannot run: INCONCLUSIVE: the process of the backend ended with exit code 3" in done.stdout


def test_a_script_is_run_by_the_interpreter_that_wrote_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under its name only where that is what a shell finds."""
    (tmp_path / "python").write_text("#!/bin/sh\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _python() == shlex.quote(sys.executable)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python3.99"))
    assert _python() == "python"


@pytest.mark.parametrize("name", ["ffff", "nothing", "nothing:CACHE-11", ""])
def test_a_failure_that_nobody_knows_is_one_sentence(tmp_path: Path, name: str) -> None:
    done = stackproof("replay", name, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1


def test_a_clause_that_did_not_fail_is_not_repeated(run: Path, tmp_path: Path) -> None:
    done = stackproof("replay", f"{run.name}:CACHE-01", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "names no clause that failed" in done.stderr


def test_the_newest_run_wins_where_a_short_id_is_there_twice(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.parent.parent.parent)
    (found,) = find_failures(run.name)
    assert found == Again("cache=mine:make", "CACHE-11", 7)
    assert find_failures(short_id(run.name, found)) == [found]
    with pytest.raises(ConfigurationError, match="there is no run and no failure"):
        find_failures("zzzz")


@pytest.mark.parametrize(
    "target", ["cache=redis", "cache=a.b:make", "tests/test_x.py::TestIt", "logs=x'; import os", 'cache="""\n\\\x00é']
)
def test_any_target_makes_a_script_that_is_python_and_a_name_that_is_a_file(target: str) -> None:
    again = Again(target, "CACHE-01", 3, "full", "external")
    assert "/" not in script_name(again)
    assert script_name(again).isascii()
    space: dict[str, object] = {"__name__": "read"}
    exec(compile(script(again), "script", "exec"), space)
    assert space["AGAIN"] == again


@pytest.mark.parametrize("text", ["[]", "{", "[" * 100_000, '{"schema": "stackproof-certificate/1", "servers": [[]]}'])
def test_an_unreadable_certificate_of_another_run_is_passed_over(
    text: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    broken = run.parent / "20991231-000000-dead" / "certificate.json"
    broken.parent.mkdir()
    broken.write_text(text)
    name = failure_of(run)["again"].rpartition(" ")[2]
    assert [again.clause for again in find_failures(name)] == ["CACHE-11"]
    with pytest.raises(ConfigurationError, match=r"no failure 'fff.'; .*not readable: .*dead"):
        find_failures("ffff" if name != "ffff" else "fffe")


UNDECIDED = BROKEN.replace("        super().delete(key)\n        return True", "        import os; os._exit(3)")


def test_what_could_not_be_decided_is_repeated(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(UNDECIDED)
    done = stackproof("verify", *BACKEND, "--clause", "CACHE-11", cwd=tmp_path)
    assert done.returncode == 3, done.stdout + done.stderr
    (found,) = (tmp_path / ".stackproof" / "runs").iterdir()
    (row,) = json.loads((found / "certificate.json").read_text())["clauses"]
    assert row["verdict"] == "INCONCLUSIVE"
    assert row["again"].startswith("stackproof replay ")
    assert f"  CACHE-11  again: {row['again']}" in done.stdout
    (tmp_path / "mine.py").write_text(FIXED)
    for name in (row["again"].split()[-1], f"{found.name}:CACHE-11", found.name):
        done = stackproof("replay", name, cwd=tmp_path)
        assert (done.returncode, ": fixed: " in done.stdout) == (0, True), done.stdout + done.stderr


def test_another_failure_than_before_is_told_beside_it() -> None:
    before = Again("cache=mine:make", "CACHE-40", 1, before="get('a'): expected 1; seen 2")
    failure = Failure("get('b'): expected 1", seen="2")
    lines = seen_in(Repeated(before, Answer.STILL_FAILING, "", failure))
    assert "  before:   get('a'): expected 1; seen 2" in lines
    assert lines[-1].strip() == SHRUNK
    same = replace(before, before="get('b'): expected 1; seen 2")
    assert lines[:-2] == seen_in(Repeated(same, Answer.STILL_FAILING, "", failure))
    assert SHRUNK not in "".join(
        seen_in(Repeated(replace(before, clause="CACHE-06"), Answer.STILL_FAILING, "", failure))
    )


def test_the_clauses_that_generate_are_known() -> None:
    known = {
        planned.clause.id
        for concern in CONCERNS
        for planned in planned_clauses(contract_for(concern))
        if planned.clause.sees == SEES
    }
    assert known == GENERATED
