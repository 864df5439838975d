"""The keeper: the small process that starts, signals and finally ends the servers of one run.

It is started as a script of its own (`python -I -S keeper.py RUN_DIRECTORY`), so it uses nothing but the standard
library and never imports the package. The parent holds the other end of the socket that is the keeper's standard
input. When that end closes, for whatever reason (a normal end, an exception, `kill -9` of the parent), the keeper ends
every server and removes the run directory. The servers are its own children, so their process ids cannot be reused
behind its back; should the keeper itself be killed, the kernel ends them (PR_SET_PDEATHSIG, Linux).
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import socket
import sys
import time
import traceback

TYPE_CHECKING = False
if TYPE_CHECKING:  # spelt this way, since importing typing would double the keeper's start time
    from typing import Any

    Order = dict[str, Any]
    Ended = dict[int, int]

LOCK_NAME = "run.json"
"""The file in a run directory which the living hold a shared lock on: see `stackproof.servers.runs`."""

QUIT_SECONDS = 1.0
"""How long a server may take to end by its own quick way (PostgreSQL: immediate shutdown) before it is killed."""

KILL_SECONDS = 2.0
"""How long to wait until the children of a killed server have left the process table."""

LAST_SECONDS = 60.0
"""How long the command may take that the owner left for the case of its death."""

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
IPC_RMID = 0


class TerminatedError(Exception):
    """The keeper was asked to end by a signal."""


def start_process(order: Order) -> int:
    """Start one server in a session of its own, as the account that is asked for; return its process id."""
    keeper = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.umask(0o077)
        if order["uid"] is not None:
            os.setgroups([])
            os.setgid(order["gid"])
            os.setuid(order["uid"])
        # After the change of account, which clears it.
        die_with_parent(order["death_signal"], keeper)
        os.chdir(order["folder"])
        os.execve(order["command"][0], order["command"], order["environ"])  # noqa: S606 - no shell is wanted
    except BaseException as error:  # noqa: BLE001 - nothing may escape into the keeper's own code after a fork
        os.write(2, f"cannot start {order['command'][0]}: {error}\n".encode())
    os._exit(126)


def die_with_parent(number: int, parent: int) -> None:
    """Ask Linux to send `number` to this process when the keeper dies; elsewhere the next sweep does it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(126)


def adopt_orphans() -> None:
    """Ask Linux to make the keeper the parent of what a killed server leaves, so that no zombie stays behind.

    The first process of a container often reaps nothing.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def returncode_of(pid: int, ended: Ended) -> int | None:
    """Return the exit code of a child that has ended (negative: the signal), None while it runs."""
    reap(ended)
    return ended.get(pid)


def reap(ended: Ended) -> None:
    """Take note of every child, own or adopted, that has ended."""
    while True:
        try:
            found, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not found:
            return
        ended[found] = os.waitstatus_to_exitcode(status)


def process_table() -> list[tuple[int, int, str]]:
    """Return (process id, parent's process id, state) of every process that can be seen."""
    if not os.path.isdir("/proc/self"):
        with os.popen("ps -A -o pid= -o ppid= -o state=") as listing:  # noqa: S605, S607 - a fixed line, not on Linux
            return [(int(pid), int(parent), state) for pid, parent, state in map(str.split, listing)]
    table = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as stat:
                state, parent = stat.read().rpartition(")")[2].split()[:2]
        except OSError:
            continue  # it ended while we looked
        table.append((int(name), int(parent), state))
    return table


def descendants_of(ancestor: int) -> list[int]:
    """Return the process ids of the children of a process, and of theirs."""
    table = process_table()
    found = [ancestor]
    for member in found:  # grows while it is walked
        found.extend(pid for pid, parent, _ in table if parent == member)
    return found[1:]


def kill_tree(pid: int, ended: Ended) -> None:
    """SIGKILL a server and its children at one instant, as a power cut would, and wait until they are gone.

    PostgreSQL's backends live in sessions of their own, so a process group is not enough. The stop comes first so that
    no child can appear between looking and killing.
    """
    if returncode_of(pid, ended) is not None:
        return
    os.kill(pid, signal.SIGSTOP)
    family = descendants_of(pid)
    for member in [*family, pid]:
        try:
            os.kill(member, signal.SIGKILL)
        except ProcessLookupError:
            continue  # it had ended already
    deadline = time.monotonic() + KILL_SECONDS
    while time.monotonic() < deadline:
        gone = returncode_of(pid, ended) is not None
        if gone and not any(member in family and state[0] != "Z" for member, _, state in process_table()):
            break
        time.sleep(0.005)
    reap(ended)


def release_shared_memory(run: str) -> None:
    """Remove the few bytes of System V shared memory which killed PostgreSQL servers of a run left in the kernel."""
    for name in os.listdir(run):
        release_segment_of(os.path.join(run, name, "data", "postmaster.pid"))


def release_segment_of(file_name: str) -> None:
    """Remove the segment that a `postmaster.pid` names in line 7, "key id"; without an orderly end the file is there.

    Only a segment with that key, that number and the file's own owner is removed (Linux; elsewhere none).
    """
    try:
        with open(file_name, encoding="utf-8") as file:
            owner = os.fstat(file.fileno()).st_uid
            lines = file.read().splitlines()
        with open("/proc/sysvipc/shm", encoding="utf-8") as table:
            segments = [line.split() for line in table][1:]
    except OSError:
        return  # it ended in its orderly way, or this system has no such table
    named = lines[6].split() if len(lines) > 6 else []
    if any(segment[:2] == named and segment[7] == str(owner) for segment in segments):
        ctypes.CDLL(None).shmctl(int(named[1]), IPC_RMID, None)


def remove_tree(folder: str) -> None:
    """Remove a run directory. A server's last breath may add a file meanwhile, hence the attempts."""
    import shutil  # here, since it is needed only at the very end and slow to import

    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.lexists(folder):
            return
        time.sleep(0.05)


class Keeper:
    """The loop: one JSON order a line in, one JSON answer a line out."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.orders: dict[int, Order] = {}  # process id -> the order which started it
        self.ended: Ended = {}  # process id -> its exit code
        self.last: Order | None = None  # what to run when the owner is gone
        self.lock = os.open(os.path.join(folder, LOCK_NAME), os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(self.lock, fcntl.LOCK_SH)

    def serve(self, channel: socket.socket) -> None:
        """Answer orders until the parent's end of the channel closes."""
        pending = b""
        while received := channel.recv(65536):
            *lines, pending = (pending + received).split(b"\n")
            for line in lines:
                channel.sendall(json.dumps(self.answer(json.loads(line))).encode() + b"\n")

    def answer(self, order: Order) -> dict[str, Any]:
        """Carry out one order."""
        try:
            return {"number": order["number"], "value": getattr(self, "do_" + order["do"])(order)}
        except (OSError, AttributeError, KeyError, ValueError) as error:
            return {"number": order["number"], "error": str(error)}

    def do_hello(self, _order: Order) -> int:
        return os.getpid()

    def do_start(self, order: Order) -> int:
        pid = start_process(order)
        self.ended.pop(pid, None)  # the system may give an ended process's id again
        self.orders[pid] = order
        return pid

    def do_poll(self, order: Order) -> int | None:
        return returncode_of(self.known(order), self.ended)

    def do_signal(self, order: Order) -> None:
        pid = self.known(order)
        if returncode_of(pid, self.ended) is None:
            os.kill(pid, order["signal"])

    def do_kill(self, order: Order) -> None:
        kill_tree(self.known(order), self.ended)

    def do_at_end(self, order: Order) -> None:
        self.last = order if order["command"] else None

    def known(self, order: Order) -> int:
        """Return the process id of an order, if it is one that this keeper started: no other is ever touched."""
        pid = int(order["pid"])
        if pid not in self.orders:
            raise ValueError(f"process {pid} was not started by this keeper")
        return pid

    def end(self) -> None:
        """End every server, quickly where it can do so by itself, and remove the run directory."""
        running = [pid for pid in self.orders if returncode_of(pid, self.ended) is None]
        quitting = [pid for pid in running if self.orders[pid]["death_signal"] != signal.SIGKILL]
        for pid in quitting:
            os.kill(pid, self.orders[pid]["death_signal"])
        deadline = time.monotonic() + QUIT_SECONDS
        while time.monotonic() < deadline and any(returncode_of(pid, self.ended) is None for pid in quitting):
            time.sleep(0.005)
        for pid in running:
            kill_tree(pid, self.ended)
        for pid in descendants_of(os.getpid()):  # what a server that ended by itself left, adopted
            kill_tree(pid, self.ended)
        release_shared_memory(self.folder)
        if self.last is not None:
            self.run_last(self.last)
        remove_tree(self.folder)

    def run_last(self, order: Order) -> None:
        """Run the command that the owner left for the case of its death, which ends what is no child of ours."""
        log = os.path.join(self.folder, "last.log")
        pid = start_process(
            {**order, "log": log, "folder": "/", "uid": None, "gid": None, "death_signal": signal.SIGKILL}
        )
        self.ended.pop(pid, None)
        deadline = time.monotonic() + LAST_SECONDS
        while returncode_of(pid, self.ended) is None and time.monotonic() < deadline:
            time.sleep(0.02)
        kill_tree(pid, self.ended)


def terminated(_number: int, _frame: object) -> None:
    raise TerminatedError


def main(folder: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, terminated)
    adopt_orphans()
    keeper = Keeper(folder)
    try:
        keeper.serve(socket.socket(fileno=os.dup(0)))
    except (TerminatedError, ConnectionError):
        pass
    except Exception:  # noqa: BLE001 - whatever went wrong, the servers must still end; the reason is kept for the parent
        with open(os.path.join(folder, "keeper.log"), "a", encoding="utf-8") as log:
            traceback.print_exc(file=log)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        keeper.end()


if __name__ == "__main__":
    main(sys.argv[1])
