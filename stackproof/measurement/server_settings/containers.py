"""From which image a container of this run was made, and what it may use: read from the Docker daemon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stackproof.servers import Server, ServerError

from .records import Setting

_MEANINGS = {
    "image": "The name of the image that the container was made from.",
    "image digest": "What a registry calls exactly this image; an image that was built here has an id only.",
    "cpu limit": "Cores' worth of time that the container may use.",
    "cpu shares": "Its weight where processors are contended; 1024 is usual.",
    "memory limit": "Bytes that it may use, swap included.",
    "network": "How it is reached.",
}


def container_settings(server: Server) -> tuple[Setting, ...]:
    """Empty for what is no container of this run; every setting unknown where the daemon does not answer."""
    if server.origin != "container":
        return ()
    from stackproof.servers.containers.container import ContainerServer

    if not isinstance(server, ContainerServer):
        return ()
    try:
        values = read(server.inspected())
    except ServerError as error:
        return tuple(Setting(name, "", meaning, str(error)) for name, meaning in _MEANINGS.items())
    return tuple(Setting(name, values[name], meaning) for name, meaning in _MEANINGS.items())


def read(inspected: Mapping[str, Any]) -> dict[str, str]:
    """From what the daemon says of a container (``container``) and of its image (``image``). Pure."""
    host, image = inspected["container"]["HostConfig"], inspected["image"]
    digests = image.get("RepoDigests") or []
    cpus, memory, shares = host.get("NanoCpus", 0), host.get("Memory", 0), host.get("CpuShares", 0)
    return {
        "image": str(inspected["container"]["Config"]["Image"]),
        "image digest": str(digests[0].partition("@")[2]) if digests else f"{image['Id']} (built here)",
        "cpu limit": f"{cpus / 1e9:g} cores" if cpus else "no limit",
        "cpu shares": str(shares or 1024),
        "memory limit": f"{memory} bytes" if memory else "no limit",
        "network": "of the machine" if host.get("NetworkMode") == "host" else "published ports",
    }
