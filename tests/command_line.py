"""The command as a user has it: a process of its own, in a directory of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

COMMAND = (sys.executable, "-m", "stackproof")
_OURS = ("STACKPROOF_", "PYTEST_", "DATABASE_URL", "REDIS_URL")


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment without what would change a command's meaning, wide enough that no line is cut."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return {**clean, "COLUMNS": "160", **(changes or {})}


def stackproof(
    *arguments: str, cwd: Path, env: Mapping[str, str] | None = None, seconds: float = 90
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. It must end in bounded time, and never with a traceback."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=seconds,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    return done


def without(directory: Path, modules: Iterable[str] = (), wheels: Iterable[str] = ()) -> dict[str, str]:
    """An environment in which these modules cannot be imported, and these packages cannot be found."""
    directory.mkdir(exist_ok=True)
    (directory / "sitecustomize.py").write_text(
        f"""
import importlib.util
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {set(modules)!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
original = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in {set(wheels)!r} else original(name, package)
""",
        encoding="utf-8",
    )
    return {"PYTHONPATH": str(directory)}
