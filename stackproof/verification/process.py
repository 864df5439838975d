"""One worker process: how it is started, what it tells, and how it is ended.

It lives in a session of its own, so that Ctrl-C in a terminal reaches the command alone, and so that whatever a backend
starts can be ended with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from stackproof.contracts.secrets import scrubbed
from stackproof.contracts.stream import StreamEvent, from_line

from .orphan import WHERE_SIGNAL
from .plan import PLAN_VARIABLE, Plan
from .runs import StorageError, keep


@dataclass(slots=True)
class WorkerProcess:
    """A process that runs pytest with our plug-in, and the file that it tells its events through."""

    process: subprocess.Popen[bytes]
    events: Path
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What it was started with: its secrets go out of what it printed."""
    _position: int = 0

    @classmethod
    def start(cls, directory: Path, plan: Plan, environ: Mapping[str, str], number: int) -> Self:
        """Start a worker for a plan. All paths are absolute: a backend may change the current directory."""
        directory = directory.resolve()
        suffix = f"-{number}" if number else ""
        plan_file, events = directory / f"plan{suffix}.json", directory / f"events{suffix}.jsonl"
        ini = directory / "worker.ini"
        keep(plan_file, plan.to_json())
        keep(ini, "[pytest]\n")
        events.unlink(missing_ok=True)
        command = [
            # -P: a file of the user's that is called like a module of ours or of Python's must not be taken for it.
            sys.executable, "-P", "-m", "stackproof.verification.pytest_process",
            "--pyargs", "stackproof.verification.collected",
            "-p", "stackproof.contracts.plugin", "-p", "no:cacheprovider", "--noconftest", "-q", "--no-header",
            # Its text is the backend's: what it says at length would stand in the log until the end, see `_scrub_log`.
            "-p", "no:warnings",
            "--show-capture=no", "-c", str(ini), "--rootdir", str(directory),
            "--stackproof-events", str(events), "--stackproof-seed", str(plan.seed), "--stackproof-profile", plan.profile,
            "--stackproof-again", plan.again,
        ]  # fmt: skip
        own = {name: value for name, value in environ.items() if not name.startswith("PYTEST_")}
        own |= {PLAN_VARIABLE: str(plan_file), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        with (directory / "worker.log").open("ab") as output:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and package
                command, env=own, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True
            )
        return cls(process, events, own)

    def news(self) -> Iterator[StreamEvent]:
        """The events that came since the last call. A line that is not complete yet is left for the next one."""
        if not self.events.exists():
            return
        with self.events.open("rb") as stream:
            stream.seek(self._position)
            lines = stream.read().splitlines(keepends=True)
        for line in lines:
            if line.endswith(b"\n"):
                self._position += len(line)
                yield from_line(line.decode("utf-8"))

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def interrupt(self) -> None:
        """Ask it to clean up and end."""
        if not self.ended:
            self.process.send_signal(signal.SIGINT)

    def tell_where_it_stands(self) -> None:
        """Have it write into its log where each of its threads is; one that cannot even do that is not waited for."""
        log = self.events.parent / "worker.log"
        size = log.stat().st_size
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(WHERE_SIGNAL)
        latest = time.monotonic() + 1.0
        while not self.ended and log.stat().st_size == size and time.monotonic() < latest:
            time.sleep(0.02)

    def end(self) -> None:
        """End it and everything of its session, at once. May be called when it has ended: its children may have not."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left; or (macOS) only zombies are
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()
        self._scrub_log()

    def _scrub_log(self) -> None:
        """Take the secrets out of what was printed. Where that cannot be kept, nothing is kept of it."""
        log = self.events.parent / "worker.log"
        if not log.exists():
            return
        printed = log.read_text(encoding="utf-8", errors="backslashreplace")
        clean = scrubbed(printed, self.environ)
        if clean == printed:
            return
        try:
            keep(log, clean)
        except StorageError:
            log.unlink()
            raise

    def how_it_ended(self) -> str:
        """In words, to be put after "the process of the backend"."""
        code = self.process.returncode
        if code is None:
            return "vanished"
        if code >= 0:
            return f"ended with exit code {code}"
        known = {s.value: s.name for s in signal.Signals}
        return f"was killed by {known.get(-code, f'signal {-code}')}"
