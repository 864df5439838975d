"""Under which names a run stores on servers of somebody else, as long as it may be there: who is killed cannot remove it.

A file in the run's directory has a namespace a line. It is written before the first one is used, and goes when all is removed.
"""

from __future__ import annotations

from pathlib import Path

from stackproof.verification.runs import keep

STORED = "stored.txt"


def note(directory: Path, namespace: str) -> None:
    """A session begins to store under this name; `StorageError` where that cannot be kept."""
    keep(directory / STORED, "".join(f"{name}\n" for name in (*namespaces(directory), namespace)))


def forget(directory: Path, namespace: str) -> None:
    """Nothing is left under this name."""
    path = directory / STORED
    rest = [name for name in namespaces(directory) if name != namespace]
    if rest:
        keep(path, "".join(f"{name}\n" for name in rest))
    else:
        path.unlink(missing_ok=True)


def namespaces(directory: Path) -> tuple[str, ...]:
    """The names under which something may be on servers, the oldest first."""
    path = directory / STORED
    return tuple(path.read_text(encoding="utf-8").split()) if path.exists() else ()


def sentence(directory: Path) -> str:
    """What may be left of a run, and where it is told how that is removed; empty where nothing is."""
    names = namespaces(directory)
    if not names:
        return ""
    which = f"namespace{'s' if len(names) > 1 else ''} {', '.join(names)}"
    return f"what it stored may still be on its servers, under the {which}, see docs/how-to/external-server.md"
