"""Everything that is written as JSON keeps the schema that it names, and docs/json.md is written from these schemas."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
from command_line import stackproof

from stackproof.cli import COMMANDS, cli
from stackproof.reports import json_page
from stackproof.shape import misshapen

ROOT = Path(__file__).parent.parent
BROKEN = """
from stackproof.adapters.cache.memory import MemoryCache


class Mine(MemoryCache):
    def delete(self, key):
        super().delete(key)
        return True
"""
SCHEMAS = {form.written_by: form.schema() for form in json_page.FORMS}


def valid(command: str, text: str) -> dict[str, Any]:
    """What a command wrote, held to its schema: by the library of the field, and by our own check."""
    data: dict[str, Any] = json.loads(text)
    schema = SCHEMAS[command]
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(data, schema)
    assert misshapen(data, schema) == []
    return data


@pytest.mark.parametrize("command", ["backends", "clauses", "stacks"])
def test_the_lists(command: str, tmp_path: Path) -> None:
    done = stackproof(command, "--json", "-", cwd=tmp_path)
    assert done.returncode == 0
    assert len(valid(f"stackproof {command}", done.stdout)[command]) >= 2


def test_the_selftest(tmp_path: Path) -> None:
    from stackproof.contracts.ledger import Ledger
    from stackproof.contracts.mutants import all_mutants
    from stackproof.verification.selftest import judge_mutants

    outcome = judge_mutants([m for m in all_mutants() if m.concern == "cache"], Ledger(), ["cache"], seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        patch.setattr("stackproof.verification.selftest.run_selftest", lambda *_: outcome)
        context = cli.make_context("stackproof", ["selftest", "--json", "selftest.json"])
        with context:
            cli.invoke(context)
    data = valid("stackproof selftest", (tmp_path / "selftest.json").read_text())
    assert data["holds"] is False
    assert len(data["mutants"]) == len(outcome.rows) > 10


def test_a_run_its_check_its_page_and_its_repetition(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(BROKEN)
    command = ("verify", "--backend", "cache=mine:Mine", "--clause", "CACHE-11", "--clause", "CACHE-02")
    done = stackproof(*command, "--out", "run", "--json", "-", cwd=tmp_path)
    assert {row["verdict"] for row in valid("stackproof verify", done.stdout)["clauses"]} == {"PASS", "FAIL"}

    done = stackproof("verify", "--check", "run", "--json", "-", cwd=tmp_path)
    assert valid("stackproof verify --check", done.stdout)["sound"] is True
    forged = (tmp_path / "run" / "certificate.json").read_text().replace('"FAIL"', '"PASS"')
    (tmp_path / "forged.json").write_text(forged)
    done = stackproof("verify", "--check", "forged.json", "--json", "-", cwd=tmp_path)
    assert valid("stackproof verify --check", done.stdout)["findings"]

    done = stackproof("report", "run", "--json", "-", cwd=tmp_path)
    data = valid("stackproof report", done.stdout)
    assert data["pages"] == [{"record": "run/certificate.json", "page": "run/certificate.html"}]
    assert done.stderr == "run/certificate.html\n"

    done = stackproof("replay", "run", "--json", "-", cwd=tmp_path)
    (row,) = valid("stackproof replay", done.stdout)["failures"]
    assert (row["clause"], row["answer"]) == ("CACHE-11", "still failing")


def test_the_verdicts_of_a_pytest_session(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        BROKEN
        + """
from stackproof.contracts import CacheContract


class TestMine(CacheContract):
    def make_backend(self, namespace):
        return Mine(namespace=namespace)
"""
    )
    arguments = ("-k", "test_delete_tells or test_missing_is", "-p", "no:cacheprovider")
    pytester.runpytest_subprocess("--stackproof-json", "verdicts.json", *arguments)
    data = valid("pytest --stackproof-json", (pytester.path / "verdicts.json").read_text())
    assert {row["verdict"] for row in data["clauses"]} == {"PASS", "FAIL", "SKIPPED"}


def test_every_command_and_every_schema_is_on_the_page() -> None:
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        for each in command.commands.values() if isinstance(command, click.Group) else (command,):
            assert "--json" in {option for parameter in each.params for option in parameter.opts}, (name, each.name)
        assert f"stackproof {name}" in SCHEMAS
    described = {form.path for form in json_page.FORMS}
    assert described == {str(path.relative_to(ROOT)) for path in (ROOT / "stackproof").rglob("*.schema.json")}
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "stackproof").rglob("*.py"))
    named = set(re.findall(r'"(stackproof-\w+/\d+)"', sources))
    working = {"stackproof-search/1", "stackproof-windows/3"}  # heads of files that only an unfinished run reads
    assert named == {schema["properties"]["schema"]["const"] for schema in SCHEMAS.values()} | working


def test_every_field_has_a_description() -> None:
    for form in json_page.FORMS:
        for path, kind, meaning in json_page._fields(form.schema(), form.schema(), ""):
            assert meaning.strip(), f"{form.name}: {path}"
            assert kind != "any" or path in ("targets[].capabilities.*",), f"{form.name}: {path}"


def test_the_page_is_that_of_the_schemas(tmp_path: Path) -> None:
    written = (ROOT / "docs" / "json.md").read_text(encoding="utf-8")
    assert written == json_page.page(), f"not up to date; run: {json_page.COMMAND}"
    words = [sys.executable, *shlex.split(json_page.COMMAND)[1:-1], str(tmp_path / "page.md")]
    subprocess.run(words, check=True, timeout=60)
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == written
