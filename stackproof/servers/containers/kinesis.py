"""Kinesis in a container: ferrokinesis, an emulator that throttles and fails batches in part as the service does."""

from __future__ import annotations

import http.client
from collections.abc import Mapping

from stackproof.servers.embedded_aws import REGION, aws_identity
from stackproof.servers.ports import LOOPBACK

from .container import ContainerServer
from .recipe import Recipe

STATE_MILLISECONDS = 50
"""How long a stream takes to be made, changed or removed."""


class KinesisContainer(ContainerServer):
    """What it acknowledged survives `restart()` and `kill()`: it keeps a log of its own on disk."""

    name = "kinesis"
    technology = "ferrokinesis"
    fidelity = "emulator"
    title = "the Kinesis emulator"
    image_name = "kinesis"
    official_image = ""
    always_published = True
    """It can only listen on all addresses."""

    def variables(self) -> Mapping[str, str]:
        """Return where Kinesis alone is, so that it can stand beside another emulator of the other services."""
        return {"AWS_ENDPOINT_URL_KINESIS": f"http://{LOOPBACK}:{self.port}", **aws_identity(self._started_run())}

    def version(self) -> str:
        """Return the version, for example "0.7.0"."""
        return self.execute("cat", "/etc/ferrokinesis-version")

    def _facts(self) -> Mapping[str, str]:
        """Return what an emulator does and does not do."""
        return {"durability": "a log on disk", "throttling": "limits of a shard", "permissions": "not checked"}

    def _recipe(self) -> Recipe:
        states = {f"FERROKINESIS_{what}_STREAM_MS": str(STATE_MILLISECONDS) for what in ("CREATE", "DELETE", "UPDATE")}
        return Recipe(
            environment={
                "FERROKINESIS_PORT": str(self.port),
                "FERROKINESIS_ENFORCE_LIMITS": "true",
                "FERROKINESIS_SHARD_LIMIT": "50",
                "FERROKINESIS_LOG_LEVEL": "warn",
                "FERROKINESIS_STATE_DIR": "/data",
                "AWS_REGION": REGION,
                **states,
            }
        )

    def _answers(self) -> bool:
        client = http.client.HTTPConnection(LOOPBACK, self.port, timeout=5)
        try:
            client.request("GET", "/")
            return client.getresponse().status > 0
        finally:
            client.close()
