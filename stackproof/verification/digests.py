"""Digests: which source was verified, by which clauses."""

from __future__ import annotations

import hashlib
import os
import sys
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path

PACKAGE = Path(__file__).parent.parent


def tree_digest(*roots: Path) -> str:
    """SHA-256 over the names and contents of all Python files below the roots."""
    digest = hashlib.sha256()
    for root in roots:
        for path in sorted(root.rglob("*.py")) if root.is_dir() else [root]:
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root.parent)}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()


@cache
def suite_digest() -> str:
    """The digest of the contracts and of the interfaces that they speak about."""
    return tree_digest(PACKAGE / "contracts", PACKAGE / "interfaces")


def backend_digest(backend: str) -> str:
    """The digest of the source that defines a backend (``module.Class``); empty where there is none.

    For an adapter of ours that is all adapters, since they share modules; for a third party's, its module.
    """
    if backend.startswith("stackproof.adapters."):
        return tree_digest(PACKAGE / "adapters")
    module = backend.rpartition(".")[0]
    spec = _find(module) if module else None
    origin = spec.origin if spec is not None else None
    return tree_digest(Path(origin)) if origin and Path(origin).is_file() else ""


def _find(module: str) -> ModuleSpec | None:
    """Where a module is, without running any of it or of its packages: somebody else's code belongs into the worker.

    The name may go on into the module, to what encloses the class: then it is the module all the same.
    """
    found: ModuleSpec | None = None
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
        if spec is None:
            break
        found, where = spec, inside
    return found
