"""Servers that stay: started by one command, ended by a later one, held meanwhile by a process of their own.

The holder (`python -m stackproof.servers.standing`) owns the run as any command owns its own: when it is killed, the
keeper and the next sweep clean up behind it. What it holds is written in the run's directory, closed to others.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from .containers.labels import started
from .runs import bases, is_held
from .server import MissingWheelError, Server, ServerError
from .sets import servers_for

FILE = "standing.json"
END_SECONDS = 120.0
OF_SHELL = "STACKPROOF_SERVERS"
"""Variable of a shell that took over what `servers up` prints: the runs that it started, with blanks between them."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One run of servers that stay."""

    run: str
    """Name of its directory."""
    stack: str
    origin: str
    pid: int
    """The holder."""
    started: str
    """When the holder started, so that another process with its id is not taken for it."""
    since: float
    servers: tuple[Mapping[str, str], ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    """They contain passwords."""
    folder: str = ""
    """Where it was asked for; empty in a record of before this was kept."""

    def is_from(self, folder: str, runs: Sequence[str]) -> bool:
        """Whether it was asked for in the project of this folder, or is one of these runs."""
        return self.run in runs or (
            bool(self.folder and folder) and _project(Path(self.folder)) == _project(Path(folder))
        )


def current_folder() -> str:
    """The working directory; empty where it is gone, which is the folder of nothing."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


def runs_of_shell(environ: Mapping[str, str]) -> list[str]:
    """The runs that this shell started, as far as it took over what was printed."""
    return environ.get(OF_SHELL, "").split()


def stand_up(stack: str, names: Sequence[str], origin: str) -> Standing:
    """Start servers which stay until `stand_down`; wait until they answer."""
    command = [sys.executable, "-m", __spec__.name, stack, origin, *names]
    holder = subprocess.Popen(  # noqa: S603 - ourselves
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True, text=True
    )
    try:
        with holder:
            assert holder.stdout is not None
            told: dict[str, Any] = json.loads(holder.stdout.readline() or "{}")
            holder.stdout.close()
            if "run" in told:
                holder.returncode = 0  # it lives on, and is not ours to wait for
    except BaseException:
        holder.send_signal(signal.SIGTERM)
        holder.wait(END_SECONDS)
        raise
    if "missing" in told:
        raise MissingWheelError(told["missing"])
    if "run" not in told:
        raise ServerError(told.get("error", "The process that was to hold the servers ended before they were there."))
    return _standing(told)


def standing_runs() -> list[Standing]:
    """Return what stands now, oldest first."""
    found = []
    for base in bases():
        for path in base.glob(f"stackproof-{os.geteuid()}-*/{FILE}"):
            with contextlib.suppress(OSError, ValueError):  # it ends just now
                if path.stat().st_uid == os.geteuid() and is_held(path.parent):
                    found.append(_standing(json.loads(path.read_text())))
    # Behind a holder that was killed the keeper is still clearing up.
    found = [each for each in found if started(each.pid) == each.started]
    return sorted(found, key=lambda each: each.since)


def stand_down(standing: Standing) -> None:
    """End servers that stay, and wait until nothing of them is left."""
    if started(standing.pid) != standing.started:
        return
    with contextlib.suppress(ProcessLookupError):  # it ends just now
        os.kill(standing.pid, signal.SIGTERM)
    deadline = time.monotonic() + END_SECONDS
    while started(standing.pid) == standing.started:
        if time.monotonic() > deadline:
            raise ServerError(f"The servers of {standing.run} did not end within {END_SECONDS:g} s.")
        time.sleep(0.05)


def _standing(told: Mapping[str, Any]) -> Standing:
    """A record, also one of before or after this release: what it does not know of is left out."""
    known = {name: told[name] for name in (each.name for each in fields(Standing)) if name in told}
    return Standing(**{**known, "servers": tuple(told["servers"])})


def _project(folder: Path) -> Path:
    """The nearest folder from here upwards that is a clone, or else a package; the folder itself where there is none."""
    for mark in (".git", "pyproject.toml"):
        for each in (folder, *folder.parents):
            if (each / mark).exists():
                return each
    return folder


def _hold(stack: str, origin: str, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Start the servers, tell about them, and hold them until a signal comes."""
    with servers_for(names, origin, os.environ) as servers:
        assert servers.run is not None
        standing = Standing(
            run=servers.run.path.name,
            stack=stack,
            origin=origin,
            pid=os.getpid(),
            started=started(os.getpid()) or "",
            since=time.time(),
            servers=tuple(described(server) for server in servers.servers),
            variables=servers.variables(),
            folder=current_folder(),  # the holder was started where `servers up` was typed
        )
        path = servers.run.path / FILE
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(standing)))
        yield asdict(standing)
        while True:
            signal.pause()


def described(server: Server) -> dict[str, str]:
    """Return what a listing says about a server."""
    return {
        "name": server.name,
        "origin": server.origin,
        "technology": server.technology,
        "version": server.version() or "",
        "fidelity": server.fidelity,
    }


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def main(stack: str, origin: str, *names: str) -> None:
    """What the holder does: say one line of JSON, and then nothing more."""
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        for told in _hold(stack, origin, names):
            _tell(told)
            # Whoever started us must not wait for the end of our output.
            null = os.open(os.devnull, os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(null, number)
    except MissingWheelError as error:
        _tell({"missing": error.extra})
    except ServerError as error:
        _tell({"error": str(error)})
    except KeyboardInterrupt:
        return


def _tell(what: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
