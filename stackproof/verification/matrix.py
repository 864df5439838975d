"""Which verifications a change asks for: backend x origin x server, from the files that changed.

What a file has to do with a backend follows from the imports in the source, which are read and not run: no driver is needed.
A file of the package that nobody's imports explain, or that says what is installed, asks for everything.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

import stackproof
from stackproof.adapters.registry import BUILT_IN, BackendEntry
from stackproof.servers.containers.kinds import CONTAINERS
from stackproof.servers.sets import EMBEDDED

PACKAGE = Path(stackproof.__file__).parent
EVERYTHING = ("pyproject.toml", "constraints.txt", "tox.ini", ".ci/run")
"""Files outside the package that say what is installed or run."""
OUTSIDE = (
    "docs/",
    "tests/",
    "examples/",
    "stackproof/scenarios/",
    "stackproof/planning/",
    "stackproof/reports/",
    "stackproof/commands/",
)
"""What no verdict depends on."""


@dataclass(frozen=True, slots=True)
class Job:
    """One verification of a CI matrix."""

    backend: str
    """As `--backend` takes it."""
    origin: str
    """embedded or container; embedded also for what needs no server."""
    server: str
    """Empty for none."""
    version: str
    """The image of a container; of an embedded server, "wheel"; empty for none."""
    why: str
    """The file that asks for it."""
    command: str


def matrix(changed: Iterable[str] | None) -> list[Job]:
    """The jobs that these files (paths from the root of the repository) ask for; None: all of them."""
    files = None if changed is None else [path.strip() for path in changed if path.strip()]
    jobs = []
    for entry in BUILT_IN:
        if entry.reference:
            continue
        why = "everything" if files is None else _why(entry, files)
        if why is not None:
            jobs += [_job(entry, origin, version, why) for origin, version in _places(entry)]
    return jobs


def _why(entry: BackendEntry, files: Iterable[str]) -> str | None:
    """The first file that has to do with a backend."""
    return next((path for path in files if _concerns(entry, path)), None)


def _concerns(entry: BackendEntry, path: str) -> bool:
    if path in EVERYTHING:
        return True
    if path.startswith("images/"):
        return PurePosixPath(path).parts[1] in {"java", "build", "docker", *_images(entry)}
    if path.startswith(OUTSIDE) or not path.startswith("stackproof/"):
        return False
    module = module_of(path)
    known = _modules()
    if module not in known:  # data of the package, or a module that is gone
        return True
    if module in closure(entry.adapter.partition(":")[0]) or module in _machinery(entry):
        return True
    special = any(module in closure(other.adapter.partition(":")[0]) | _own_server(other) for other in BUILT_IN)
    return not special and not module.startswith(_contracts_of_others(entry.concern))


def _machinery(entry: BackendEntry) -> set[str]:
    return {*closure(f"stackproof.contracts.{entry.concern}"), *_own_server(entry)}


def _own_server(entry: BackendEntry) -> set[str]:
    """The modules that start its server."""
    kinds = [kind for kind in (CONTAINERS.get(entry.server), EMBEDDED.get(entry.server)) if kind is not None]
    return {module for kind in kinds for module in closure(getattr(kind, "__module__", ""))}


def _contracts_of_others(concern: str) -> tuple[str, ...]:
    names = {"interactions": "interaction", "events": "events", "search": "search", "cache": "cache", "logs": "log"}
    places = ("stackproof.contracts.", "stackproof.contracts.machines.", "stackproof.contracts.mutants.")
    return tuple(place + name for other, name in names.items() if other != concern for place in places)


def _images(entry: BackendEntry) -> set[str]:
    return {CONTAINERS[server].image_name for server in (entry.server, *entry.also) if server in CONTAINERS}


def _places(entry: BackendEntry) -> Iterator[tuple[str, str]]:
    """Where a backend can be verified, and on which version."""
    if not entry.server:
        yield "embedded", ""
        return
    if entry.server in EMBEDDED and all(server in EMBEDDED for server in entry.also):
        yield "embedded", "wheel"
    kind = CONTAINERS.get(entry.server)
    if kind is not None:
        yield "container", kind.official_image or kind.our_image()


def _job(entry: BackendEntry, origin: str, version: str, why: str) -> Job:
    backend = f"{entry.concern}={entry.name}"
    return Job(backend, origin, entry.server, version, why, f"stackproof verify --backend {backend} --origin {origin}")


# Imports, as the source says them


def module_of(path: str) -> str:
    """``stackproof/servers/proxy.py`` as a module's name."""
    parts = PurePosixPath(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def _modules() -> Mapping[str, Path]:
    return {module_of(path.relative_to(PACKAGE.parent).as_posix()): path for path in PACKAGE.rglob("*.py")}


@cache
def closure(module: str) -> frozenset[str]:
    """A module of the package and everything of the package that it imports, at any depth."""
    found, waiting = set[str](), [module]
    while waiting:
        name = waiting.pop()
        if name in _modules() and name not in found:
            found.add(name)
            waiting += _imports(name)
    return frozenset(found)


@cache
def _imports(module: str) -> tuple[str, ...]:
    path = _modules()[module]
    inside = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            up = inside.split(".")[: len(inside.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*up, *([node.module] if node.module else [])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return tuple(name for name in names if name in _modules())
