"""The environment of a run: what must be equal before two results may be compared."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

DRIVERS = ("psycopg", "redis", "hiredis", "msgpack")
"""What adapters reach their servers with: another version of one may behave differently."""
_TOOLS = ("pytest", "locust", "gevent")


def describe_environment() -> dict[str, str]:
    """Interpreter, system, processor and versions of the drivers. Holds no name of the machine or of a user."""
    found = {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "cores": str(_usable_cores()),
    }
    for name in (*DRIVERS, *_TOOLS):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        return platform.processor() or "unknown"
    return platform.processor() or "unknown"
