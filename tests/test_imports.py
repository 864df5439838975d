"""The direction of imports, and what an import may pull in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DRIVERS = (
    "psycopg",
    "psycopg_pool",
    "redis",
    "msgpack",
    "locust",
    "gevent",
    "hdrh",
    "pandas",
    "matplotlib",
    "jinja2",
    "boto3",
    "hypothesis",
)


@pytest.mark.parametrize(
    "statement",
    [
        "import stackproof",
        "import stackproof.contracts",
        "from stackproof.contracts import CacheContract, EventContract, InteractionContract, LogContract, SearchContract",
        "import stackproof.contracts.plugin",
        "from stackproof.contracts.mutants import all_mutants; all_mutants()",
        "import stackproof.interfaces",
        "import stackproof.cli",
        "import stackproof.servers",
        "import stackproof.planning.cost, stackproof.planning.stacks",
    ],
)
def test_no_driver_is_imported(statement: str) -> None:
    code = f"{statement}\nimport sys\nprint(*[m for m in {DRIVERS!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == []


def test_interfaces_import_the_standard_library_only() -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "import importlib.util as u, types\n"
        "import stackproof.interfaces\n"
        "new = {m.partition('.')[0] for m in set(sys.modules) - before}\n"
        "print(*sorted(new - sys.stdlib_module_names - {'stackproof'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == []


def test_imports_point_one_way() -> None:
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=root,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_help_is_quick() -> None:
    """The bar is 0.3 s for a person; modules are counted here, since a time would depend on the machine's load."""
    code = (
        "import sys\nfrom stackproof import cli\n"
        "assert cli._run(['--help']) == 0\n"
        "heavy = {'rich', 'pytest', 'psutil', 'psycopg', 'redis', 'jinja2', 'asyncio'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)


def test_every_capability_is_read_by_a_contract() -> None:
    """A declaration that no clause looks at could be false, and nobody would notice."""
    from dataclasses import fields

    from stackproof.contracts import CONCERNS, contract_for
    from stackproof.interfaces import capabilities

    contracts = Path(__file__).parent.parent / "stackproof" / "contracts"
    source = "".join(path.read_text() for path in contracts.glob("*.py"))
    for concern, kind in zip(
        ("interactions", "events", "search", "cache", "logs"),
        ("Interaction", "Event", "Search", "Cache", "Log"),
        strict=True,
    ):
        assert concern in CONCERNS
        assert contract_for(concern).concern == concern
        for field in fields(getattr(capabilities, f"{kind}Capabilities")):
            read = f".{field.name}" in source or f'"{field.name}"' in source
            assert read, f"no clause of {concern} reads the capability {field.name}"
