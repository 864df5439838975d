"""The labels which say to what run a container, network or volume belongs, and whether that run still lives.

A run is dead when nobody holds the lock on its directory and the process that started it has ended. Both only mean
something on the machine that the labels name: what another machine, or a container with its own processes, started
through the same daemon is left alone.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stackproof.servers.runs import Run

PREFIX = "stackproof."
RUN = f"{PREFIX}run"
DIRECTORY = f"{PREFIX}directory"
HOST = f"{PREFIX}host"
BOOT = f"{PREFIX}boot"
PROCESSES = f"{PREFIX}processes"
USER = f"{PREFIX}user"
OWNER = f"{PREFIX}owner"
OWNER_STARTED = f"{PREFIX}owner-started"
SINCE = f"{PREFIX}since"
SERVER = f"{PREFIX}server"


def labels_of(run: Run) -> dict[str, str]:
    """Return the labels of everything that this process makes for a run."""
    return {
        RUN: run.path.name,
        DIRECTORY: str(run.path),
        HOST: socket.gethostname(),
        BOOT: _boot(),
        PROCESSES: _processes(),
        USER: str(os.geteuid()),
        OWNER: str(os.getpid()),
        OWNER_STARTED: started(os.getpid()) or "",
        SINCE: str(int(time.time())),
    }


def is_ours(labels: Mapping[str, str]) -> bool:
    """Tell whether these labels were made by us, on this machine."""
    return labels.get(HOST) == socket.gethostname() and labels.get(USER) == str(os.geteuid())


def owner_lives(labels: Mapping[str, str]) -> bool | None:
    """Tell whether the process that started the run still lives; None where that cannot be seen from here."""
    if labels.get(BOOT) != _boot():
        return False
    if labels.get(PROCESSES) != _processes():
        return None
    pid = labels.get(OWNER, "")
    return pid.isdigit() and started(int(pid)) == labels.get(OWNER_STARTED)


def started(pid: int) -> str | None:
    """Return when a process started, in a form that two looks at the same process agree on; None when it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return _started_elsewhere(pid)
    except (ProcessLookupError, PermissionError):
        return None
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in "ZX" else fields[18]


def _started_elsewhere(pid: int) -> str | None:
    """The same where there is no /proc."""
    if Path("/proc/self/stat").exists():
        return None
    import psutil

    try:
        return str(int(psutil.Process(pid).create_time()))
    except psutil.Error:
        return None


def _boot() -> str:
    """What changes at each start of the machine; process ids begin again then."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _processes() -> str:
    """Which set of process ids we see: containers have their own."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
