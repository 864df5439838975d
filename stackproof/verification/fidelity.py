"""How true what was shown is to the technology that a backend is for: itself, something compatible, or an emulator. Pure."""

from __future__ import annotations

NATIVE, COMPATIBLE, EMULATOR = "native", "compatible-engine", "emulator"


def fidelity(wanted: str, runs: str, of_server: str) -> str:
    """``wanted`` is the technology that the backend is for, ``runs`` the one that served it; empty where nobody can tell."""
    if of_server != NATIVE:
        return of_server
    return COMPATIBLE if wanted and runs and wanted != runs else NATIVE
