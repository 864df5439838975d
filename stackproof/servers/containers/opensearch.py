"""OpenSearch in a container: one node, no security plug-in, reached on loopback alone."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any

from stackproof.servers.ports import LOOPBACK
from stackproof.servers.server import ServerError

from .container import ContainerServer
from .recipe import Recipe


class OpenSearchContainer(ContainerServer):
    """A write is in the log on disk when it is acknowledged (translog durability "request", the default of an index)."""

    name = "opensearch"
    technology = "opensearch"
    title = "OpenSearch"
    image_name = "opensearch"
    official_image = "opensearchproject/opensearch:2.19.1"
    inner_port_count = 1

    def variables(self) -> Mapping[str, str]:
        """Return OPENSEARCH_URL."""
        return {"OPENSEARCH_URL": f"http://{LOOPBACK}:{self.port}"}

    def version(self) -> str:
        """Return the version, for example "2.19.1"."""
        return str(self.ask("GET", "/")["version"]["number"])

    def _facts(self) -> Mapping[str, str]:
        """Return what durability and speed depend on."""
        nodes = self.ask("GET", "/_nodes?filter_path=nodes.*.jvm.mem.heap_max_in_bytes,nodes.*.os.allocated_processors")
        node = next(iter(nodes["nodes"].values()))
        return {
            "nodes": str(len(nodes["nodes"])),
            "heap": f"{node['jvm']['mem']['heap_max_in_bytes'] // 2**20} MB",
            "processors": str(node["os"]["allocated_processors"]),
            "translog.durability": "request (default of an index)",
        }

    def ask(self, method: str, path: str) -> Any:
        """Send one request without a body and return its JSON."""
        client = http.client.HTTPConnection(LOOPBACK, self.port, timeout=10)
        try:
            client.request(method, path)
            answer = client.getresponse()
            body = answer.read()
        except http.client.HTTPException as error:
            raise ServerError(f"OpenSearch could not be asked: {type(error).__name__}.") from error
        finally:
            client.close()
        if answer.status != 200:
            raise ServerError(f"OpenSearch refused {method} {path}: {answer.status}.")
        return json.loads(body)

    def _recipe(self) -> Recipe:
        heap = self._options.heap()
        settings = {
            "discovery.type": "single-node",
            "cluster.name": "stackproof",
            "http.host": self.bind_address,
            "http.publish_host": LOOPBACK,
            "http.port": str(self.port),
            "transport.host": LOOPBACK,
            "transport.port": str(self.inner_ports[0]),
            "bootstrap.memory_lock": "false",
            "node.store.allow_mmap": "false",
            "node.processors": "2",
            # A disk that is 90 % full is usual where tests run; the node would refuse every write.
            "cluster.routing.allocation.disk.threshold_enabled": "false",
        }
        return Recipe(
            environment={
                **settings,
                "OPENSEARCH_JAVA_OPTS": f"-Xms{heap}m -Xmx{heap}m",
                "DISABLE_SECURITY_PLUGIN": "true",
                "DISABLE_INSTALL_DEMO_CONFIG": "true",
                "DISABLE_PERFORMANCE_ANALYZER_AGENT_CLI": "true",
            },
        )

    def _answers(self) -> bool:
        return not self.ask("GET", "/_cluster/health?wait_for_status=yellow&timeout=2s")["timed_out"]
