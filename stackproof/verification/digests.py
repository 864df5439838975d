"""Digests: which source was verified, by which clauses."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, ModuleSpec
from importlib.metadata import packages_distributions, version
from pathlib import Path

PACKAGE = Path(__file__).parent.parent


def tree_digest(*roots: Path) -> str:
    """SHA-256 over the names and contents of all Python files below the roots, and of all compiled modules."""
    digest = hashlib.sha256()
    for root in roots:
        for path in sorted(_sources(root)) if root.is_dir() else [root]:
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root.parent)}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()


def _sources(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        yield from (Path(folder, name) for name in names if name.endswith((*SOURCE_SUFFIXES, *EXTENSION_SUFFIXES)))


@cache
def package_digest() -> str:
    """The digest of the whole package: two machines with the same one run the same code."""
    return tree_digest(PACKAGE)


@cache
def suite_digest() -> str:
    """The digest of the contracts and of the interfaces that they speak about."""
    return tree_digest(PACKAGE / "contracts", PACKAGE / "interfaces")


def backend_digest(backend: str, spec: str = "") -> str:
    """The digest of the source that a backend (``module.Class``) is made of; empty where not all of it is to be found.

    For an adapter of ours that is all adapters, since they share modules; for a third party's, the whole package that its
    class is in, since a class may be a few lines above what does the work. The factory that was named, ``module:factory``,
    decides what is made as well.
    """
    factory = spec.partition(":")[0] if ":" in spec else ""
    modules = [backend.rpartition(".")[0], *([factory] if factory else [])]
    digests = [_module_digest(module) for module in modules]
    if not all(digests):
        return ""
    different = list(dict.fromkeys(digests))
    return different[0] if len(different) == 1 else hashlib.sha256("".join(different).encode("ascii")).hexdigest()


def distribution_of(backend: str) -> str:
    """Name and version of the distribution that a backend's source belongs to; empty for none."""
    names = _distributions().get(backend.partition(".")[0], ())
    return ", ".join(f"{name} {version(name)}" for name in sorted(set(names)))


@cache
def _distributions() -> Mapping[str, list[str]]:
    return packages_distributions()


def _module_digest(module: str) -> str:
    if f"{module}.".startswith("stackproof.adapters."):
        return tree_digest(PACKAGE / "adapters")
    spec = _find(module) if module else None
    origin = spec.origin if spec is not None else None
    if spec is None or not origin or not Path(origin).is_file():
        return ""
    return tree_digest(*(map(Path, spec.submodule_search_locations or [origin])))


def _find(module: str) -> ModuleSpec | None:
    """Where a module's whole package is, or it alone where it is in none. The name may go on into it, to a class.

    None of it is run: somebody else's code belongs into the worker. Of packages without an ``__init__.py``, which belong to
    nobody, the first part that has a source counts.
    """
    where: list[str] = [os.getcwd(), *sys.path]
    parts = module.split(".")
    for number, part in enumerate(parts, start=1):
        name = ".".join(parts[:number])
        try:
            spec = next((spec for finder in sys.meta_path if (spec := finder.find_spec(name, where)) is not None), None)
            inside = list(spec.submodule_search_locations or ()) if spec is not None else []
        except KeyError:  # a namespace package within another one asks for its parent, which is not imported
            where = [os.path.join(folder, part) for folder in where]
            continue
        if spec is None or spec.origin is not None:
            return spec
        where = inside
    return None
