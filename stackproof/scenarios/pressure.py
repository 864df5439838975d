"""How long somebody on this machine waited for a processor, as the kernel tells (pressure stall information of Linux)."""

from __future__ import annotations

from pathlib import Path

PRESSURE = Path("/proc/pressure/cpu")


def waited_seconds() -> float:
    """Since the machine runs; 0 where the kernel does not tell."""
    try:
        some = PRESSURE.read_text(encoding="ascii").splitlines()[0]
    except OSError:
        return 0.0
    return int(some.partition("total=")[2]) / 1e6
