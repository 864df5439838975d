"""The documentation is true: examples run, links resolve, tables are complete, generated pages are up to date."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from importlib.metadata import metadata
from pathlib import Path

import pytest
from documents import (
    ARCHITECTURE,
    CONTRIBUTING,
    DOCUMENTS,
    INDEX,
    INTERFACES,
    MACHINES,
    README,
    ROOT,
    Block,
    anchors,
    blocks,
    links,
)

import stackproof
from stackproof import interfaces
from stackproof.adapters.registry import BUILT_IN, CONCERNS
from stackproof.container import CHOSEN_BY
from stackproof.contracts import contract_for
from stackproof.contracts.clauses import planned_clauses
from stackproof.contracts.mutants import all_mutants
from stackproof.exits import Exit
from stackproof.interfaces import StackproofError
from stackproof.reports import contract_pages

PACKAGE = Path(stackproof.__file__).parent


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run Python in ``cwd``, whose modules come first, without the variables that choose backends."""
    chosen = {variable for variable, _ in CHOSEN_BY.values()} | {"DATABASE_URL", "REDIS_URL", "STACKPROOF_ENV"}
    environ = {name: value for name, value in os.environ.items() if name not in chosen}
    return subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env={**environ, "PYTHONPATH": str(cwd)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


# Links


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_relative_link_resolves(document: Path) -> None:
    broken = []
    for link in links(document):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


# docs/architecture.md


def test_every_module_that_the_architecture_names_is_there() -> None:
    text = ARCHITECTURE.read_text(encoding="utf-8")
    there = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("*/**/*.py") if not path.match(".*/**")}
    named = set(re.findall(r"[\w/]+\.py\b", text)) - {"conftest.py"}  # that one is the user's
    assert {name for name in named if not any(f"/{path}".endswith(f"/{name}") for path in there)} == set()


def test_every_value_that_flows_is_defined_where_the_architecture_says() -> None:
    text = ARCHITECTURE.read_text(encoding="utf-8").partition("## A measurement, as a value")[2].partition("\n## ")[0]
    flow = [line for line in text.splitlines() if "-> " in line and ".py" in line]
    assert len(flow) > 10
    for line in flow:
        modules = re.findall(r"[\w/]+\.py\b", line)
        folder = PACKAGE / Path(modules[0]).parent  # only the first one names it
        sources = [PACKAGE / modules[0], *(folder / module for module in modules[1:])]
        defined = "".join(source.read_text(encoding="utf-8") for source in sources)
        for name in re.findall(r"\b[A-Z]\w*[a-z]\w*", line):
            assert re.search(rf"^class {name}\b", defined, re.MULTILINE), line


# The contract pages


def test_the_contract_pages_are_those_of_the_code() -> None:
    directory = ROOT / "docs" / "contracts"
    written = {path.name: path.read_text(encoding="utf-8") for path in directory.iterdir()}
    stale = {name for name, text in contract_pages.pages().items() if written.get(name) != text}
    extra = written.keys() - contract_pages.pages().keys()
    assert not stale | extra, f"not up to date: {sorted(stale | extra)}; run: {contract_pages.COMMAND}"


def test_the_contract_pages_are_written_by_their_command(tmp_path: Path) -> None:
    done = run(*shlex.split(contract_pages.COMMAND)[1:-1], str(tmp_path / "pages"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {p.name: p.read_text(encoding="utf-8") for p in (tmp_path / "pages").iterdir()} == contract_pages.pages()


def test_a_contract_page_holds_every_clause_capability_and_mutant() -> None:
    pages = contract_pages.pages()
    for concern in CONCERNS:
        page = pages[f"{concern}.md"]
        for planned in planned_clauses(contract_for(concern)):
            assert f"### {planned.clause.id}\n" in page
        for capability in contract_pages.CAPABILITIES[concern].__dataclass_fields__:
            assert f"| `{capability}` |" in page
    for mutant in all_mutants():
        assert f"`{mutant.name}`" in pages[f"{mutant.concern}.md"]


# docs/interfaces.md


def test_the_example_of_a_machine_runs(pytester: pytest.Pytester) -> None:
    (block,) = blocks(MACHINES, "python")
    cache = """
from stackproof.adapters.cache.memory import MemoryCache

class MyCache(MemoryCache):
    def __init__(self, prefix):
        super().__init__(namespace=prefix)

    def touch(self, key):
        self.get(key)

"""
    pytester.makepyfile(test_mine=cache + block.code)
    result = pytester.runpytest("-q", "-k", "any_sequence")
    result.assert_outcomes(passed=1, deselected=result.parseoutcomes()["deselected"])


def test_every_value_that_chooses_a_backend_is_documented() -> None:
    table = INTERFACES.read_text(encoding="utf-8").partition("## Choosing backends")[2].partition("### Redis")[0]
    rows: dict[str, set[str]] = {}
    variable = ""
    for first, second in re.findall(r"^\| (`[A-Z_]+`)? ?\| (.*?) \|", table, re.MULTILINE):
        variable = first.strip("`") or variable
        rows.setdefault(variable, set()).update(set(re.findall(r"`([a-z_-]+)`", second)))
    known = {CHOSEN_BY[concern][0]: set[str]() for concern in CONCERNS}
    for entry in BUILT_IN:
        known[CHOSEN_BY[entry.concern][0]] |= {entry.name, *entry.aliases}
    assert rows == known


def test_every_error_and_record_is_documented() -> None:
    text = INTERFACES.read_text(encoding="utf-8")
    exported = {name: getattr(interfaces, name) for name in interfaces.__all__}
    errors = {n for n, v in exported.items() if isinstance(v, type) and issubclass(v, StackproofError)}
    records = {n for n, v in exported.items() if getattr(v, "__module__", "") == "stackproof.interfaces.records"}
    records = {n for n in records if hasattr(exported[n], "__dataclass_fields__")}
    assert errors
    assert records
    assert {name for name in errors | records if f"| `{name}` |" not in text} == set()
    for name in records:
        row = re.search(rf"^\| `{name}` \| (.*) \|$", text, re.MULTILINE)
        assert row is not None
        assert set(exported[name].__dataclass_fields__) <= set(re.findall(r"`([a-z_]+)`", row[1])), name


def test_an_installed_entry_point_is_found_by_name(tmp_path: Path) -> None:
    (toml,) = blocks(INTERFACES, "toml")
    shutil.copytree(ROOT / "examples" / "third_party" / "acme_cache", tmp_path / "acme_cache")
    info = tmp_path / "acme_cache-1.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-cache\nVersion: 1.0.0\n", encoding="utf-8")
    points = toml.code.replace('[project.entry-points."stackproof.adapters"]', "[stackproof.adapters]").replace('"', "")
    (info / "entry_points.txt").write_text(points, encoding="utf-8")

    listed = run("-m", "stackproof", "backends", "--concern", "cache", "--json", "-", cwd=tmp_path)
    assert "acme" in {entry["name"] for entry in json.loads(listed.stdout)["backends"]}
    verified = run("-m", "stackproof", "verify", "--backend", "cache=acme", "--clause", "CACHE-03", cwd=tmp_path)
    assert "1 PASS" in verified.stdout, verified.stdout + verified.stderr
    code = "import stackproof; print(type(stackproof.get_infra().cache).__name__)"
    used = run("-c", f"import os; os.environ['CACHE_STORE'] = 'acme'; {code}", cwd=tmp_path)
    assert used.stdout.strip() == "SqliteCache", used.stderr


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_extra_that_is_named_exists(document: Path) -> None:
    named = re.findall(r"stackproof\[([a-z,]+)\]", document.read_text(encoding="utf-8"))
    known = set(metadata("stackproof").get_all("Provides-Extra") or ())
    assert {extra for names in named for extra in names.split(",")} <= known


def test_every_extra_is_in_the_table_of_installations() -> None:
    text = (ROOT / "docs" / "interfaces.md").read_text(encoding="utf-8")
    table = text[text.index("## Installing") : text.index("## Records")]
    extras = set(metadata("stackproof").get_all("Provides-Extra") or ())
    assert extras <= set(re.findall(r"stackproof\[([a-z]+)\]", table))


# README.md and docs/index.md


MY_CACHE = """
from stackproof.adapters.cache.memory import MemoryCache


class MyCache(MemoryCache):
    def __init__(self, prefix):
        super().__init__()

    def drop_namespace(self):
        pass  # nobody else has its entries
"""


def test_the_six_lines_of_the_readme_are_the_whole_plug_in(pytester: pytest.Pytester) -> None:
    (block,) = blocks(README, "python")
    pytester.makepyfile(test_contract=MY_CACHE + block.code)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    clauses = len(list(planned_clauses(contract_for("cache"), "core")))
    result.assert_outcomes(passed=clauses - 4)  # the others are not supported: instances are not shared, no server
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"*{clauses - 4} PASS, 4 NOT_SUPPORTED of {clauses} clauses"])


def test_the_start_page_shows_the_same_lines() -> None:
    assert blocks(INDEX, "python")[0].code == blocks(README, "python")[0].code


# CONTRIBUTING.md


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with every block of CONTRIBUTING.md put where its title says."""
    root = tmp_path_factory.mktemp("changed")
    shutil.copytree(PACKAGE, root / "stackproof", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "tests").mkdir()
    for block in blocks(CONTRIBUTING, "python"):
        place(block, root)
    return root


def place(block: Block, root: Path) -> None:
    """Write a block into its file: a new one, or the part of an existing one that the title names."""
    name, _, where = block.title.partition(", ")
    path = root / name
    if not where:
        assert not path.exists(), f"{name} exists already: the example is no new module any more"
        path.write_text(block.code, encoding="utf-8")
        return
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    how, _, what = where.rpartition(" ")
    if how == "class":
        _, end = lines_of(text, what)
        lines.insert(end, "\n" + textwrap.indent(block.code, "    "))
    elif how == "in":
        _, end = lines_of(text, what)
        lines.insert(end - 1, textwrap.indent(block.code, "    "))
    elif how == "instead of":
        start, end = lines_of(text, what)
        lines[start - 1 : end] = [block.code]
    else:
        assert where == "at its end", block.title
        lines.append("\n\n" + block.code)
    path.write_text("".join(lines), encoding="utf-8")


def lines_of(module: str, name: str) -> tuple[int, int]:
    """The first and the last line of a class, or of the assignment to a name."""
    for statement in ast.parse(module).body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        if isinstance(statement, ast.ClassDef):
            names.append(statement.name)
        if name in names:
            assert statement.end_lineno is not None
            return statement.lineno, statement.end_lineno
    raise AssertionError(f"there is no {name} any more")


def verify(changed: Path, backend: str, *options: str) -> tuple[int, dict[str, str]]:
    """Verify a backend of the changed package; the exit code, and the verdict of each clause."""
    done = run("-m", "stackproof", "verify", "--backend", backend, *options, "--json", "result.json", cwd=changed)
    result = changed / "result.json"
    assert result.exists(), done.stderr
    rows = json.loads(result.read_text(encoding="utf-8"))["clauses"]
    result.unlink()
    return done.returncode, {row["clause"]: row["verdict"] for row in rows}


def test_the_clause_of_the_example_passes_on_the_reference(changed: Path) -> None:
    code, verdicts = verify(changed, "cache=memory", "--clause", "CACHE-90")
    assert verdicts == {"CACHE-90": "PASS"}
    assert code == Exit.INCONCLUSIVE  # one clause is a part of a contract


def test_the_mutant_of_the_example_is_killed_by_its_clause(changed: Path) -> None:
    backend = "cache=stackproof.contracts.mutants.cache:OneFetchAtATime"
    assert verify(changed, backend, "--clause", "CACHE-90") == (Exit.BROKEN, {"CACHE-90": "FAIL"})
    code = "from stackproof.contracts.mutants import all_mutants; print(*(m.name for m in all_mutants()))"
    assert "cache:OneFetchAtATime" in run("-c", code, cwd=changed).stdout.split()


def test_the_backend_of_the_example_is_found_by_name_and_keeps_the_contract(changed: Path) -> None:
    code, verdicts = verify(changed, "cache=sqlite")
    assert code == Exit.HOLDS, {clause: verdict for clause, verdict in verdicts.items() if verdict != "PASS"}
    assert verdicts.keys() == {p.clause.id for p in planned_clauses(contract_for("cache"), "core")} | {"CACHE-90"}
    wanted = ("--stackproof-clause", "CACHE-01", "-p", "no:cacheprovider")
    tested = run("-m", "pytest", "-q", "tests/test_cache_sqlite.py", *wanted, cwd=changed)
    assert tested.returncode == 0, tested.stdout
    assert re.search(r"1 PASS, \d+ SKIPPED of \d+ clauses", tested.stdout), "the rest of the plan is told as well"


SCENARIO = """
from collections import Counter
from stackproof import Settings
from stackproof.scenarios.catalogue import find_scenario
from stackproof.scenarios.work import Work

scenario = find_scenario("browse")
backends = {"cache": "memory", "interactions": "memory", "logs": "memory"}
assert set(scenario.concerns) == set(backends), scenario.concerns
work = Work(scenario, backends, Settings({}), "docs")
done = Counter()
for number in range(20):
    work.decide(scenario.item(number), lambda step, seconds: done.update([step]))
assert work.close() == []
assert work.checks.wrong == 0
assert done == {"cache read": 80, "summaries read": 20, "log line": 20}, done
"""


def test_the_scenario_of_the_example_can_be_offered(changed: Path) -> None:
    done = run("-c", SCENARIO, cwd=changed)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_the_documents_keep_in_a_clone_is_nothing_that_git_lists(tmp_path: Path) -> None:
    """Folders of runs (`--out runs/monday`) are ignored, and no file of the package's own is."""
    texts = [path.read_text(encoding="utf-8") for path in DOCUMENTS]
    kept = sorted({found for text in texts for found in re.findall(r'--out "?([\w.$-]+/[\w.$/-]+)', text)})
    assert len(kept) > 5
    shutil.copy(ROOT / ".gitignore", tmp_path)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    asked = [*kept, "stackproof/servers/runs.py", "docs/runs/page.md"]
    done = subprocess.run(["git", "check-ignore", *asked], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == kept
