"""The reference pages are those of the code, and say everything that there is."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from documents import ROOT

import stackproof
from stackproof import interfaces
from stackproof.adapters.registry import BUILT_IN
from stackproof.cli import COMMANDS, cli
from stackproof.container import CHOSEN_BY
from stackproof.exits import Exit
from stackproof.reference import command_line
from stackproof.reference import interfaces as interfaces_page
from stackproof.reference.pages import COMMAND, PAGES
from stackproof.reference.variables import GROUPS
from stackproof.reports.contract_pages import CAPABILITIES
from stackproof.reports.markdown_text import code, docstring
from stackproof.scenarios.catalogue import BUILT_IN as SCENARIOS
from stackproof.servers.containers import options as container_options

DIRECTORY = ROOT / "docs" / "reference"
PACKAGE = Path(stackproof.__file__).parent
BETWEEN_OURS = {
    "STACKPROOF_BENCH_ANSWERS",
    "STACKPROOF_BENCH_SETUP",
    "STACKPROOF_PLAN",
    "STACKPROOF_WORKER",
    "STACKPROOF_YARDSTICK",
}
"""Variables by which a process of ours tells a child of its own something. Nobody sets them."""


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_that_of_the_code(name: str) -> None:
    assert (DIRECTORY / name).read_text(encoding="utf-8") == PAGES[name].text(), f"not up to date; run: {COMMAND}"


def test_there_is_no_other_page() -> None:
    assert {path.name for path in DIRECTORY.iterdir()} == set(PAGES)


def test_the_pages_are_written_by_their_command(tmp_path: Path) -> None:
    environ = {**os.environ, "NO_COLOR": "1", "COLUMNS": "40"}  # neither may change what is written
    words = [sys.executable, *shlex.split(COMMAND)[1:-1], str(tmp_path / "pages")]
    done = subprocess.run(words, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert {p.name: p.read_text(encoding="utf-8") for p in (tmp_path / "pages").iterdir()} == {
        name: page.text() for name, page in PAGES.items()
    }


def test_every_command_and_every_option_is_there() -> None:
    text = command_line.body()
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        members = command.commands.values() if isinstance(command, click.Group) else [command]
        for member in members:
            title = f"## stackproof {name}" + (f" {member.name}" if member is not command else "")
            _, found, section = text.partition(f"{title}\n")
            assert found, title
            section = section.partition("\n## ")[0]
            for option in member.params:
                if isinstance(option, click.Option):
                    assert any(re.search(rf"[`>\s]{re.escape(written)}\b", section) for written in option.opts), (
                        option.opts
                    )


def test_everything_that_the_interfaces_export_is_there() -> None:
    aliases = {"CacheValue", "Capabilities", "Done", "Handler", "JsonValue", "Missing"}
    constants = {name for name in interfaces.__all__ if name.isupper()}
    declared = {kind.__name__ for kind in CAPABILITIES.values()} | {"Delivery", "Order"}  # on the page of capabilities
    assert set(interfaces.__all__) - aliases - constants - declared == interfaces_page.documented()


def test_every_capability_is_there_with_its_type() -> None:
    text = PAGES["capabilities.md"].body()
    for kind in CAPABILITIES.values():
        _, _, section = text.partition(f"{kind.__name__}`")
        section = section.partition("\n## ")[0]
        for field in kind.__dataclass_fields__.values():
            assert f"| `{field.name}` | `{field.type}` |" in section


def test_every_scenario_setting_backend_and_code_is_there() -> None:
    text = PAGES["scenarios.md"].body()
    for scenario in SCENARIOS:
        section = text.partition(f"## {scenario.name}\n")[2].partition("\n## ")[0]
        assert section
        assert all(f"| `{parameter.name}` | `{parameter.default}` |" in section for parameter in scenario.parameters)
    backends = PAGES["backends.md"].body()
    assert all(f"`{name}`" in backends for entry in BUILT_IN for name in (entry.name, *entry.aliases))
    codes = PAGES["exit-codes.md"].body()
    assert all(f"| {code.value} | `{code.name}` |" in codes for code in Exit)


def test_every_variable_that_is_read_is_there() -> None:
    documented = {variable.name for group in GROUPS for variable in group.variables}
    reading = re.compile(r'(?:settings|self)\.(?:get|require|number)\(\s*"([A-Z][A-Z_]+)"')
    sources = {path: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    ours = {path for path in sources if path.is_relative_to(PACKAGE / "reference")}
    text = "".join(source for path, source in sources.items() if path not in ours)
    read = set(reading.findall(text)) | {variable for entry in BUILT_IN for variable in entry.variables}
    read |= {f"{container_options.IMAGE}<SERVER>"}
    read |= {container_options.NETWORK, container_options.MEMORY, container_options.CPUS, container_options.CPU_SHARES}
    read |= set(re.findall(r'"(STACKPROOF_[A-Z_]+[A-Z])"', text)) - BETWEEN_OURS
    read -= {variable for variable, _ in CHOSEN_BY.values()}  # a table of their own, from the registry
    assert read <= documented
    # Those of a group are read by one function for several of them: KAFKA_CA_FILE is f"{group}_CA_FILE", or a literal elsewhere.
    for variable in documented - read:
        end = variable.partition("_")[2]
        name = variable.partition("<")[0]
        assert f'"{name}"' in text or f'"{name}' in text or f"}}_{end}" in text or f'"{end}"' in text, variable


def test_no_variable_is_there_twice() -> None:
    names = [variable.name for group in GROUPS for variable in group.variables]
    assert len(set(names)) == len(names)
    assert all(variable.default and variable.meaning for group in GROUPS for variable in group.variables)


def test_text_of_the_code_becomes_markdown() -> None:
    assert docstring("One ``name``.\n\n- a\n- b") == "One `name`.\n\n- a\n- b"
    assert code("a|b<c") == "<code>a&#124;b&lt;c</code>"
    assert code("plain") == "`plain`"
