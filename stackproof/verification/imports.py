"""What a module imports, as its source says it: read and never run, so that no driver is needed.

Of a package's modules only those that have a source here are known; an import of anything else leads nowhere.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path, PurePosixPath

import stackproof


def module_of(path: str) -> str:
    """``stackproof/servers/proxy.py`` as a module's name."""
    parts = PurePosixPath(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules(package: str) -> Mapping[str, Path]:
    """Every module of a package (its first name: ``acme_cache``) and where its source is; nothing where there is none.

    The current directory and its ``src`` are looked in first: what is there is what a change is about, whatever is installed.
    """
    if package == stackproof.__name__:
        return _below(Path(stackproof.__file__).parent)
    here = Path.cwd()
    spec = PathFinder.find_spec(package, [str(here), str(here / "src"), *sys.path])
    if spec is None:
        return {}
    if spec.submodule_search_locations is not None:
        return {name: path for folder in spec.submodule_search_locations for name, path in _below(Path(folder)).items()}
    return {package: Path(spec.origin)} if spec.origin is not None and spec.origin.endswith(".py") else {}


def is_here(package: str, directory: Path) -> bool:
    """Whether the source of a package is kept in this directory, in itself or in its ``src``."""
    places = (directory / package, directory / "src" / package)
    return any(place.is_dir() or place.with_name(f"{package}.py").is_file() for place in places)


def _below(folder: Path) -> dict[str, Path]:
    return {module_of(path.relative_to(folder.parent).as_posix()): path for path in folder.rglob("*.py")}


@cache
def closure(module: str) -> frozenset[str]:
    """A module and everything that it imports, at any depth, of its own package and of those that lie beside it."""
    found, waiting = set[str](), [module]
    while waiting:
        name = waiting.pop()
        if name in found or name not in modules(_first(name)):
            continue
        found.add(name)
        waiting += _imports(name)
        # Importing a.b runs a/__init__.py first; of stackproof that is nothing that a verdict depends on.
        if _first(module) != stackproof.__name__ and "." in name:
            waiting.append(name.rpartition(".")[0])
    return frozenset(found)


def _first(module: str) -> str:
    return module.partition(".")[0]


@cache
def _imports(module: str) -> tuple[str, ...]:
    path = modules(_first(module))[module]
    inside = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names: list[str] = []
    for node in ast.walk(_source(path)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            up = inside.split(".")[: len(inside.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*up, *([node.module] if node.module else [])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return tuple(_followed(_first(module), names))


def _source(path: Path) -> ast.Module:
    """What cannot be parsed imports nothing that is known: then what it did import asks for everything."""
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return ast.Module([], [])


def _followed(package: str, names: Iterable[str]) -> Iterable[str]:
    """Those of the package itself; and for one that is not ours, those of what lies beside it in the same project."""
    for name in names:
        first = _first(name)
        beside = package != stackproof.__name__ and is_here(first, Path.cwd())
        if (first == package or beside) and name in modules(first):
            yield name
