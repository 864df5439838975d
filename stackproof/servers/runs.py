"""A run: one private directory, the keeper that watches over it, and the sweep of what dead runs left behind.

Three lines of defence keep a machine clean. The keeper ends everything when its parent is gone. The kernel ends the
servers when the keeper is gone. The sweep, at the next start, removes what is left when both were killed at once.

Whether a run is alive is told by a lock on a file in its directory and not by a process id: the kernel drops a lock
when its holder dies, ids are reused, and an id means nothing across containers which share a `/tmp`.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import logging
import os
import secrets
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .accounts import Account, can_enter
from .keeper import LAST_SECONDS, LOCK_NAME, release_shared_memory, remove_tree
from .server import ServerError

log = logging.getLogger(__name__)

KEEPER = Path(__file__).with_name("keeper.py")
ANSWER_SECONDS = 10.0
YOUNG_SECONDS = 60.0
"""A run directory without a written lock file is left alone for this long: its owner may be about to write it."""

SERVER_PROGRAMS = frozenset({"postgres", "redis-server", "initdb"})
SERVER_SCRIPTS = frozenset({"moto_server.py"})
"""Servers that are Python programs, told by their script."""


def bases(account: Account | None = None) -> list[Path]:
    """Return the folders in which run directories may be made, best first, that the servers' account can reach."""
    names = ["/tmp", "/var/tmp"]  # noqa: S108 - a private directory is made inside
    with contextlib.suppress(FileNotFoundError):  # raised when there is none at all
        names.insert(0, tempfile.gettempdir())
    folders = (Path(name) for name in dict.fromkeys(names))
    return [f for f in folders if f.is_dir() and os.access(f, os.W_OK | os.X_OK) and can_enter(f, account)]


class RunDirectory:
    """A directory `stackproof-<uid>-<random>` which only we, and the servers' account, can walk into."""

    def __init__(self, account: Account | None = None) -> None:
        self.path = self._made(account)
        try:
            self._lock = os.open(self.path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_SH)
            os.write(self._lock, json.dumps({"pid": os.getpid(), "since": time.time()}).encode())
            if account is not None:
                # The servers' account must pass through, so others can too; each server's own folder is closed to them.
                self.path.chmod(0o711)
        except OSError as error:
            remove_tree(str(self.path))
            raise ServerError(f"The directory {self.path} cannot be written to: {error.strerror}.") from error

    @staticmethod
    def _made(account: Account | None) -> Path:
        possible = bases(account)
        if not possible:
            raise ServerError("There is no temporary directory that can be written to; set TMPDIR to one.")
        try:
            return Path(tempfile.mkdtemp(prefix=f"stackproof-{os.geteuid()}-", dir=possible[0]))
        except OSError as error:
            raise ServerError(f"No directory can be made for the servers: {error.strerror}.") from error

    def unlock(self) -> None:
        """Let go of the lock; the directory is then no longer protected by this process."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


class Run:
    """The processes of one run, started and signalled through their keeper."""

    def __init__(self, account: Account | None = None) -> None:
        self.account = account
        self.directory = RunDirectory(account)
        self.secret = secrets.token_hex(16)
        """What servers of this run that share variables agree on (the keys of the AWS services)."""
        self._owner = os.getpid()
        self._turn = threading.Lock()
        self._pending = b""
        self._orders = itertools.count()
        self.leaves_something = False
        """Whether the command that was given to `at_end` still has something to do."""
        try:
            self._channel, self._keeper = self._launched()
            _live.add(self)
            self._ask("hello")
        except BaseException:
            self.close()
            raise

    def _launched(self) -> tuple[socket.socket, subprocess.Popen[bytes]]:
        ours, theirs = socket.socketpair()
        ours.settimeout(ANSWER_SECONDS)
        command = [sys.executable, "-I", "-S", str(KEEPER), str(self.path)]
        try:
            with theirs, open(self.path / "keeper.log", "wb") as errors:
                # A session of its own, so that Ctrl-C reaches us and not the keeper.
                process = subprocess.Popen(  # noqa: S603 - our own interpreter and script
                    command,
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    start_new_session=True,
                    cwd="/",
                )
        except OSError as error:
            ours.close()
            raise ServerError(f"The keeper of the servers cannot be started: {error.strerror}.") from error
        return ours, process

    @property
    def path(self) -> Path:
        """The run's own directory."""
        return self.directory.path

    @property
    def keeper_pid(self) -> int:
        """The process id of the keeper."""
        return self._keeper.pid

    def folder(self, name: str) -> Path:
        """Make a folder for one server, which belongs to its account and is closed to everybody else."""
        path = self.path / name
        try:
            path.mkdir(mode=0o700)
        except OSError as error:
            raise ServerError(f"The directory {path} cannot be made: {error.strerror}.") from error
        if self.account is not None:
            try:
                os.chown(path, self.account.uid, self.account.gid)
            except OSError as error:
                name = self.account.name
                raise ServerError(
                    f"Root may not hand the servers to the account {name} here: {error.strerror}."
                ) from error
        return path

    def write(self, path: Path, text: str) -> Path:
        """Write a file which only the servers' account (and root) can read."""
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with open(descriptor, "w", encoding="utf-8") as file:
                if self.account is not None:
                    os.fchown(descriptor, self.account.uid, self.account.gid)
                file.write(text)
        except OSError as error:
            raise ServerError(f"The file {path} cannot be written: {error.strerror}.") from error
        return path

    def start(
        self,
        command: Sequence[str],
        folder: Path,
        log_file: Path,
        *,
        account: Account | None,
        death_signal: int = signal.SIGKILL,
    ) -> int:
        """Start a process in a folder with a clean environment, as an account (None: ours); return its process id."""
        pid = self._ask(
            "start",
            command=list(command),
            folder=str(folder),
            log=str(log_file),
            environ={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            uid=account.uid if account else None,
            gid=account.gid if account else None,
            death_signal=int(death_signal),
        )
        return int(pid)

    def returncode(self, pid: int) -> int | None:
        """Return the exit code of a process that has ended, None while it runs."""
        code = self._ask("poll", pid=pid)
        return None if code is None else int(code)

    def send_signal(self, pid: int, number: int) -> None:
        """Send a signal to a process of this run, if it still runs."""
        self._ask("signal", pid=pid, signal=int(number))

    def kill(self, pid: int) -> None:
        """SIGKILL a process with all its children, and wait until they are gone."""
        self._ask("kill", pid=pid)

    def at_end(self, command: Sequence[str], environ: Mapping[str, str]) -> None:
        """Have the keeper run a command at the end of the run, unless `nothing_is_left` was said before."""
        self._ask("at_end", command=list(command), environ=dict(environ))
        self.leaves_something = True

    def nothing_is_left(self) -> None:
        """Say that the command left with `at_end` has nothing to do any more."""
        if self._owner == os.getpid() and self.leaves_something:
            self.leaves_something = False
            order = {"do": "at_end", "number": -1, "command": []}
            with contextlib.suppress(OSError):  # a keeper that is gone runs nothing either
                self._channel.sendall(json.dumps(order).encode() + b"\n")

    def give_up(self) -> None:
        """Refuse every further order, so that threads which still wait for a server end; `close` is still to be called."""
        _live.discard(self)

    def wait(self, pid: int, seconds: float) -> int | None:
        """Wait until a process ends; return its exit code, or None when it still runs after that time."""
        deadline = time.monotonic() + seconds
        while (code := self.returncode(pid)) is None and time.monotonic() < deadline:
            time.sleep(0.005)
        return code

    @property
    def ours(self) -> bool:
        """False in a child made by `os.fork`, and after `close`."""
        return self in _live and self._owner == os.getpid()

    @property
    def is_mine(self) -> bool:
        """False in a child made by `os.fork`: what the run holds belongs to its parent."""
        return self._owner == os.getpid()

    def _ask(self, what: str, **details: Any) -> Any:
        """Send one order to the keeper and return its answer."""
        with self._turn:
            if not self.ours:
                raise ServerError("The servers of this run have ended, or belong to another process.")
            number = next(self._orders)
            try:
                self._channel.sendall(json.dumps({"do": what, "number": number, **details}).encode() + b"\n")
                # The answer to an earlier order may come first, if a Ctrl-C kept us from reading it.
                while (answer := self._next_answer())["number"] != number:
                    continue
            except OSError as error:
                raise ServerError("The keeper of the embedded servers is gone, and its servers with it.") from error
        if "error" in answer:
            raise ServerError(f"The keeper of the embedded servers refused to {what}: {answer['error']}.")
        return answer["value"]

    def _next_answer(self) -> dict[str, Any]:
        while b"\n" not in self._pending:
            received = self._channel.recv(65536)
            if not received:
                raise ConnectionResetError
            self._pending += received
        line, _, self._pending = self._pending.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End all processes of the run and remove its directory; may be called twice."""
        if self._owner != os.getpid():
            return
        _live.discard(self)
        if hasattr(self, "_channel"):
            with contextlib.suppress(OSError):  # the keeper may be gone already
                self._channel.shutdown(socket.SHUT_RDWR)
            self._channel.close()
            try:
                self._keeper.wait(ANSWER_SECONDS + (LAST_SECONDS if self.leaves_something else 0))
            except subprocess.TimeoutExpired:
                self._keeper.kill()
                self._keeper.wait()
        if self.path.exists():  # the keeper was killed, or never started
            end_leftovers(self.path)
        self.directory.unlock()

    def disown(self) -> None:
        """In a forked child: let go of the channel and the lock, or the parent's death would go unnoticed."""
        with contextlib.suppress(OSError):
            os.close(self._channel.detach())
        self.directory.unlock()


_live: weakref.WeakSet[Run] = weakref.WeakSet()


def _disown_all() -> None:
    for run in list(_live):
        run.disown()
    _live.clear()


os.register_at_fork(after_in_child=_disown_all)


def sweep() -> list[Path]:
    """Remove what runs of this user left behind whose owner and keeper are dead; return the directories removed.

    Only directories are looked at that carry our name, belong to this user and cannot be written by others: in a
    folder that is open to everybody anyone could lay out a directory that names processes which are not theirs.
    """
    removed = []
    for base in bases():
        for path in base.glob(f"stackproof-{os.geteuid()}-*"):
            if not _is_private(path):
                continue
            with _exclusively(path) as dead:
                if dead and end_leftovers(path):
                    removed.append(path)
    return removed


def is_held(path: Path) -> bool:
    """Tell whether somebody living holds a run directory: its owner, or its keeper."""
    if not _is_private(path):
        return False
    with _exclusively(path) as dead:
        return not dead


def _is_private(path: Path) -> bool:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022


@contextlib.contextmanager
def _exclusively(path: Path) -> Iterator[bool]:
    """Tell whether nobody living holds the run directory, and hold it meanwhile."""
    try:
        descriptor = os.open(path / LOCK_NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        yield _is_old(path)
        return
    try:
        yield _locked(descriptor) and (os.fstat(descriptor).st_size > 0 or _is_old(path))
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # somebody living holds it, or a file system without locks: then nothing is ever swept
        return False
    return True


def _is_old(path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return time.time() - path.stat().st_mtime > YOUNG_SECONDS
    return False


def end_leftovers(path: Path) -> bool:
    """End the servers that still live in a dead run's directory and remove it; False when something stays."""
    for pid in leftovers(path):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    release_shared_memory(str(path))
    remove_tree(str(path))
    if path.exists():
        log.warning("The directory %s of an ended run could not be removed.", path)
        return False
    return True


def leftovers(path: Path) -> list[int]:
    """Return the process ids of server programs that work inside a run directory.

    The random name of the directory, as the working folder of a running server program, proves that it was started by
    that run: no process id needs to be remembered, so none can be mistaken.
    """
    import psutil  # here, since it is needed only when a run died and slow to import

    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            folder = process.cwd().removesuffix(" (deleted)")
            if Path(folder).is_relative_to(path) and _is_server(Path(process.exe()).name, process.cmdline()):
                found.append(process.pid)
    return found


def _is_server(program: str, command: Sequence[str]) -> bool:
    return program in SERVER_PROGRAMS or any(Path(word).name in SERVER_SCRIPTS for word in command[:4])
