"""What needs no extra works without it; what needs one says in a sentence which one to install."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ceiling_samples import fixed, searched
from command_line import stackproof, without

from stackproof.exits import Exit
from stackproof.extras import EXTRAS, extra_of
from stackproof.measurement.record import to_json

_OTHERS = (*EXTRAS["export"], *EXTRAS["redis"], *EXTRAS["postgres"], "gevent")
LOAD = tuple(module for module in (*EXTRAS["bench"], *_OTHERS) if module != "numpy")  # which comes with matplotlib, too
CHARTS = ("matplotlib", "numpy")
PAGES = ("jinja2", "markupsafe")

PLAN = ("plan", "--decisions-per-day", "10K")
STACKS = ("stacks", "--decisions-per-day", "10000")
AUDIT = ("audit", "--no-measure", "--out", "audited")
INDEX = ("report", "--index", "runs")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with two kept runs of load: both are read by all that rests on measurements."""
    for name, run in {"fixed": fixed(), "searched": searched()}.items():
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "run.json").write_text(to_json(run))
    return tmp_path


@pytest.mark.parametrize("missing", [LOAD, LOAD + CHARTS, LOAD + CHARTS + PAGES], ids=["load", "charts", "pages"])
@pytest.mark.parametrize("command", [PLAN, STACKS, AUDIT, INDEX], ids=["plan", "stacks", "audit", "index"])
def test_what_measures_nothing_needs_nothing_that_measures(
    command: tuple[str, ...], missing: tuple[str, ...], folder: Path
) -> None:
    runs = () if command in (STACKS, INDEX) else ("--runs", "runs")
    done = stackproof(*command, *runs, cwd=folder, env=without(folder / "site", missing, missing))
    if command is INDEX and "jinja2" in missing:  # a page is all that it would make
        assert done.returncode == Exit.USAGE
        assert "stackproof[report]" in done.stderr
        return
    told = done.stdout + done.stderr
    assert done.returncode in (Exit.HOLDS, Exit.INCONCLUSIVE), told
    needs_page = command in (PLAN, AUDIT)
    assert ("pip install 'stackproof[report]'" in told) is (needs_page and "matplotlib" in missing)
    pages = [*folder.rglob("plan.html"), *folder.rglob("audit.html"), *folder.rglob("index.html")]
    assert bool(pages) is (command is INDEX or (needs_page and "matplotlib" not in missing))
    if needs_page:
        assert [*folder.rglob("plan.json"), *folder.rglob("audit.json")], "the answer is kept without its page, too"


@pytest.mark.parametrize(
    ("command", "missing", "extra"),
    [
        (("bench",), LOAD, "bench"),
        (("audit",), LOAD, "bench"),
        (("calibrate",), LOAD, "bench"),
        (("worker", "--master", "127.0.0.1:1"), LOAD, "bench"),
        (("compare", "runs/fixed", "runs/searched"), LOAD, "bench"),
        (("report", "runs/searched"), LOAD, "bench"),
        (("report", "runs/fixed"), ("matplotlib",), "report"),
        (("report", "runs/fixed", "--csv", "-"), EXTRAS["export"], "export"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
def test_what_is_missing_is_a_line_to_type(
    command: tuple[str, ...], missing: tuple[str, ...], extra: str, folder: Path
) -> None:
    done = stackproof(*command, cwd=folder, env=without(folder / "site", missing, missing))
    assert done.returncode == Exit.USAGE, done.stdout + done.stderr
    assert re.search(rf"pip install 'stackproof\[[a-z,]*{extra}[a-z,]*\]'", done.stderr), done.stderr


def test_an_extra_is_known_by_any_of_its_modules() -> None:
    assert (extra_of("numpy.linalg"), extra_of("markupsafe"), extra_of("no_such_package")) == ("bench", "report", None)


def test_every_extra_of_a_technology_or_an_activity_is_known() -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
    groups = {"keyspaces", "development", "all"}  # of other extras
    assert set(EXTRAS) == set(project["optional-dependencies"]) - groups


def test_the_documentation_has_what_each_command_needs() -> None:
    from stackproof.cli import COMMANDS

    text = (Path(__file__).parent.parent / "docs" / "interfaces.md").read_text(encoding="utf-8")
    table = text.partition("### Which command needs which extra")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("| `")]
    told = [name for commands, _ in rows for name in re.findall(r"`([a-z]+)`", commands)]
    assert sorted(told) == sorted(COMMANDS)
    needed = {name for _, needs in rows for name in re.findall(r"`([a-z]+)`", needs)}
    assert needed - set(COMMANDS) <= set(EXTRAS)
