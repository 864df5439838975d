"""A Redis Cluster in one container: three masters with a replica each, which take over when a master is killed."""

from __future__ import annotations

from collections.abc import Mapping

from stackproof.servers.ports import LOOPBACK
from stackproof.servers.server import ServerError

from .recipe import Recipe
from .redis import FOLDER, RedisContainer

MASTERS = 3
NODES = 2 * MASTERS
NODE_TIMEOUT_MILLISECONDS = 2000
CONFIGURATION = f"{FOLDER}/common.conf"
SCRIPT = f"{FOLDER}/cluster.sh"

# Nodes that were made before keep their place in the cluster: /data survives a kill. A node that ends is not started
# again, so that one can be killed; the container ends when its last one has.
START = f"""
set -e
start() {{
  mkdir -p /data/$1
  redis-server {CONFIGURATION} --port $1 --cluster-port $2 --dir /data/$1 &
}}
case "$1" in
node) cd /data; start $2 $3; wait;;
*)
  while [ $# -gt 0 ]; do start $1 $2; shift 2; done
  trap 'kill $(jobs -p); wait' TERM INT
  wait
esac
"""


class RedisClusterContainer(RedisContainer):
    """Three masters with a replica each. Like Redis here it writes no data to disk; a replica has what its master had."""

    name = "redis-cluster"
    title = "Redis Cluster"
    port_count = NODES
    inner_port_count = NODES
    """The nodes talk to each other on these."""

    def variables(self) -> Mapping[str, str]:
        """Return REDIS_URL with every node, and that it is a cluster."""
        nodes = ",".join(f"{LOOPBACK}:{port}" for port in self.ports)
        return {"REDIS_URL": f"redis://:{self._password}@{nodes}/0?cluster=true"}

    def _facts(self) -> Mapping[str, str]:
        """Return what durability, eviction and failover depend on."""
        shape = {
            "masters": str(MASTERS),
            "replicas": "1 each",
            "cluster-node-timeout": f"{NODE_TIMEOUT_MILLISECONDS} ms",
        }
        return {**super()._facts(), **shape}

    def masters(self) -> list[int]:
        """Return the ports of the nodes which are masters now, and answer."""
        return [port for port in self.ports if self._role(port) == "master"]

    def kill_node(self, port: int) -> None:
        """SIGKILL one node; its replica takes over after the node timeout."""
        with self.connection(port) as node:
            told = dict(line.split(":", 1) for line in str(node.ask("INFO", "server")).splitlines() if ":" in line)
        self.execute("sh", "-c", f"kill -9 {told['process_id']}")

    def start_node(self, port: int) -> None:
        """Start a killed node again, which comes back as a replica."""
        inner = self.inner_ports[self.ports.index(port)]
        self.container.exec_run(["sh", SCRIPT, "node", str(port), str(inner)], detach=True)
        self._wait_for(lambda: self._role(port) != "", f"node {port} answered again")

    def wait_until_whole(self) -> None:
        """Wait until every slot has a master that answers and every replica follows one."""
        self._wait_for(self._is_whole, "the cluster was whole")

    def _role(self, port: int) -> str:
        try:
            with self.connection(port) as node:
                reply = node.ask("ROLE")
        except ServerError:
            return ""
        return str(reply[0]) if isinstance(reply, list) else ""

    def _settings(self) -> list[str]:
        bind = LOOPBACK if self.on_host else "*"
        return [
            *(f"bind {bind}", "protected-mode no", f"masterauth {self._password}"),
            *("cluster-enabled yes", "cluster-config-file nodes.conf", f"cluster-announce-ip {LOOPBACK}"),
            f"cluster-node-timeout {NODE_TIMEOUT_MILLISECONDS}",
            # A replica that waits for others before it copies is none yet when its master is killed.
            "repl-diskless-sync-delay 0",
            *self._common_settings(),
        ]

    def _recipe(self) -> Recipe:
        pairs = [str(port) for node in zip(self.ports, self.inner_ports, strict=True) for port in node]
        settings = "\n".join(self._settings()).encode() + b"\n"
        return Recipe(
            command=["sh", SCRIPT, *pairs],
            files={CONFIGURATION: settings, SCRIPT: START.encode()},
        )

    def _answers(self) -> bool:
        """Before the cluster is made all nodes have to answer; afterwards it has to be whole."""
        return self._is_whole() if self._set_up_done else all(self._role(port) for port in self.ports)

    def _set_up(self) -> None:
        nodes = " ".join(f"{LOOPBACK}:{port}" for port in self.ports)
        # The password comes from the file, since a command line can be read.
        secret = f"export REDISCLI_AUTH=$(sed -n 's/^requirepass //p' {CONFIGURATION})"
        self.execute("sh", "-c", f"{secret}; redis-cli --cluster create {nodes} --cluster-replicas 1 --cluster-yes")
        self._set_up_done = True
        self.wait_until_whole()

    def _is_whole(self) -> bool:
        followed = 0
        for port in self.ports:
            with self.connection(port) as node:
                state = str(node.ask("CLUSTER", "INFO"))
                replication = str(node.ask("INFO", "replication"))
            if "cluster_state:ok" not in state or f"cluster_known_nodes:{NODES}" not in state:
                return False
            followed += "master_link_status:up" in replication
        return followed == MASTERS
