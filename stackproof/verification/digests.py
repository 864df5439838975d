"""Digests: which source was verified, by which clauses."""

from __future__ import annotations

import hashlib
import importlib.util
from functools import cache
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
    try:
        spec = importlib.util.find_spec(module) if module else None
    except (ImportError, ValueError):
        return ""
    origin = spec.origin if spec is not None else None
    return tree_digest(Path(origin)) if origin and Path(origin).is_file() else ""
