"""The files that an adapter author copies: they are what GitHub and GitLab read, and they call commands that exist.

GitHub's own linter, actionlint, is used where it is installed (go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.7).
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from stackproof.cli import cli
from stackproof.verification.matrix import matrix

ROOT = Path(__file__).parent.parent
GITHUB = ROOT / "examples" / "ci" / "stackproof.yml"
GITLAB = ROOT / "examples" / "ci" / "gitlab-ci.yml"


@pytest.fixture(scope="module")
def workflow() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(GITHUB.read_text(encoding="utf-8"))
    return found


def scripts(document: object) -> list[str]:
    """Every script of a workflow."""
    if isinstance(document, dict):
        own = [document[key] for key in ("run", "script") if key in document]
        below = [found for key, value in document.items() if key not in ("run", "script") for found in scripts(value)]
        return [text for each in own for text in (each if isinstance(each, list) else [each])] + below
    return [found for each in document for found in scripts(each)] if isinstance(document, list) else []


def calls(script: str) -> list[list[str]]:
    """The calls of stackproof in a script, as words."""
    joined = script.replace("\\\n", " ")
    found = re.findall(r"(?<![\w.\[-])stackproof ((?:verify|matrix|report)\b[^\n>|&;]*)", joined)
    return [shlex.split(call) for call in found]


@pytest.mark.parametrize("path", [GITHUB, GITLAB], ids=["github", "gitlab"])
def test_every_call_is_one_that_the_command_line_takes(path: Path) -> None:
    called = [words for script in scripts(yaml.safe_load(path.read_text(encoding="utf-8"))) for words in calls(script)]
    assert len(called) >= 2
    # What the environment says, as the matrix fills it in.
    values = {"$BACKEND": "cache=redis", "$ORIGIN": "embedded", "$GITHUB_STEP_SUMMARY": "s.md"}
    for name, *arguments in called:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        command.make_context(name, [values.get(word, word) for word in arguments])


def test_actionlint_finds_nothing() -> None:
    program = shutil.which("actionlint")
    if program is None:
        pytest.skip("actionlint is not installed")
    done = subprocess.run([program, "-no-color", GITHUB], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_matrix_job_takes_what_the_plan_prints(workflow: dict[str, Any]) -> None:
    plan, verify = workflow["jobs"]["plan"], workflow["jobs"]["verify"]
    assert plan["outputs"] == {name: f"${{{{ steps.plan.outputs.{name} }}}}" for name in ("matrix", "jobs")}
    assert verify["needs"] == "plan"
    assert verify["strategy"]["matrix"] == "${{ fromJSON(needs.plan.outputs.matrix) }}"
    assert verify["if"] == "needs.plan.outputs.jobs != '0'"
    used = set(re.findall(r"matrix\.(\w+)", GITHUB.read_text(encoding="utf-8")))
    assert used <= asdict(matrix(None)[0]).keys()
    assert {"backend", "origin", "setting", "slug"} <= used


def test_no_script_holds_a_value_that_others_chose(workflow: dict[str, Any]) -> None:
    assert all("${{" not in script for script in scripts(workflow))
    assert "matrix.why" not in GITHUB.read_text(encoding="utf-8")
    assert workflow["permissions"] == {"contents": "read"}


@pytest.mark.parametrize(
    ("planned", "verified", "jobs", "code"),
    [
        ("success", "success", "3", 0),
        ("success", "skipped", "0", 0),
        ("success", "failure", "3", 1),
        ("success", "cancelled", "3", 1),
        ("success", "skipped", "3", 1),
        ("failure", "skipped", "", 1),
    ],
)
def test_the_last_job_is_green_for_what_holds_only(
    workflow: dict[str, Any], planned: str, verified: str, jobs: str, code: int
) -> None:
    last = workflow["jobs"]["verified"]
    assert last["if"] == "always()"
    (step,) = last["steps"]
    assert step["env"].keys() == {"PLANNED", "VERIFIED", "JOBS"}
    environment = {"PLANNED": planned, "VERIFIED": verified, "JOBS": jobs, "PATH": "/usr/bin:/bin"}
    done = subprocess.run(["bash", "-e", "-c", step["run"]], env=environment, check=False)
    assert done.returncode == code


@pytest.mark.parametrize("setting", ["", "STACKPROOF_IMAGE_REDIS=redis:7"])
def test_the_setting_of_a_job_reaches_the_command(workflow: dict[str, Any], setting: str, tmp_path: Path) -> None:
    (script,) = [script for script in scripts(workflow["jobs"]["verify"]) if "stackproof verify" in script]
    (tmp_path / "stackproof").write_text('#!/bin/sh\necho "image=$STACKPROOF_IMAGE_REDIS backend=$3 arguments=$#"\n')
    (tmp_path / "stackproof").chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "SETTING": setting,
        "BACKEND": "cache=a b",
        "ORIGIN": "container",
    }
    environment["GITHUB_STEP_SUMMARY"] = "summary.md"
    done = subprocess.run(["bash", "-e", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == f"image={setting.partition('=')[2]} backend=cache=a b arguments=13\n"


@pytest.mark.parametrize(("codes", "code"), [((0, 0), 0), ((0, 3), 3), ((1, 0), 1), ((), 0)])
def test_the_job_of_gitlab_ends_as_its_first_verification_that_does_not_hold(
    codes: tuple[int, ...], code: int, tmp_path: Path
) -> None:
    document = yaml.safe_load(GITLAB.read_text(encoding="utf-8"))["stackproof"]
    script = document["script"][-1]
    (tmp_path / "jobs.txt").write_text("".join(f"sh -c 'exit {each}' --\n" for each in codes))
    done = subprocess.run(["sh", "-e", "-c", script], cwd=tmp_path, check=False)
    assert done.returncode == code
    assert document["artifacts"]["reports"]["junit"] == "junit-*.xml"


def test_a_matrix_is_json_on_one_line_that_begins_no_other_output() -> None:
    jobs = matrix(["stackproof/x\nother=1.py"])
    assert jobs
    text = json.dumps({"include": [asdict(job) for job in jobs]})
    assert "\n" not in text
    assert json.loads(text)["include"][0]["why"] == "stackproof/x\nother=1.py"
