"""Removes what a run left in Docker: containers, networks and volumes, all told by their labels.

As a script (`python -m stackproof.servers.containers.sweep RUN`) it is what a run's keeper calls when its owner was
killed. What is left when both were killed is removed by the next command that uses servers.
"""

from __future__ import annotations

import http.client
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from stackproof.servers.runs import Run, is_held
from stackproof.servers.server import MissingWheelError, ServerError

from .engine import NoDockerError, opened
from .labels import DIRECTORY, RUN, is_ours, owner_lives

if TYPE_CHECKING:
    from testcontainers.core.docker_client import DockerClient

log = logging.getLogger(__name__)

SOCKET = "/var/run/docker.sock"
GLANCE_SECONDS = 2.0


def sweep_containers(client: DockerClient | None = None) -> list[str]:
    """Remove what dead runs of this user left; return the names of what was removed.

    Without a client it glances first: where Docker is not used, or nothing of ours is there, nothing is imported.
    """
    if client is None and not _something_is_there():
        return []
    try:
        with opened(client) as docker:
            return _removed(docker, is_dead, None)
    except (NoDockerError, MissingWheelError):
        return []


def remove_run(run: str, client: DockerClient) -> list[str]:
    """Remove everything of one run, whoever still lives."""
    return _removed(client, lambda _labels: True, run)


def end_containers(run: Run, client: DockerClient | None = None) -> None:
    """Remove what is left of a run in Docker at its end, its network above all, so that the keeper need not."""
    with opened(client) as docker:
        remove_run(run.path.name, docker)
        run.nothing_is_left()


def is_dead(labels: Mapping[str, str]) -> bool:
    """Tell whether the run that made something has ended, so that it may be removed."""
    if not is_ours(labels) or is_held(Path(labels.get(DIRECTORY, ""))):
        return False
    return owner_lives(labels) is False


def _removed(client: DockerClient, condemned: Callable[[Mapping[str, str]], bool], run: str | None) -> list[str]:
    """Containers first: a network or volume in use cannot be removed."""
    filters = {"label": RUN if run is None else f"{RUN}={run}"}
    docker = client.client
    kinds: list[tuple[Callable[[], Iterable[Any]], Mapping[str, Any]]] = [
        (lambda: docker.containers.list(all=True, filters=filters, ignore_removed=True), {"force": True, "v": True}),
        (lambda: docker.networks.list(filters=filters), {}),
        (lambda: docker.volumes.list(filters=filters), {"force": True}),
    ]
    return [name for found, how in kinds for name in _removed_kind(found, how, condemned)]


def _removed_kind(
    find: Callable[[], Iterable[Any]], how: Mapping[str, Any], condemned: Callable[[Mapping[str, str]], bool]
) -> list[str]:
    from docker.errors import APIError, NotFound

    removed = []
    for thing in find():
        if not condemned(_labels(thing)):
            continue
        try:
            thing.remove(**how)
        except NotFound:
            continue  # somebody was faster
        except APIError as error:
            if "already in progress" not in str(error):
                log.warning("%s of an ended run could not be removed: %s", thing.name, error.explanation)
            continue
        removed.append(str(thing.name))
    return removed


def _labels(thing: Any) -> Mapping[str, str]:
    attributes = thing.attrs
    return attributes.get("Labels") or attributes.get("Config", {}).get("Labels") or {}


class _Glance(http.client.HTTPConnection):
    """HTTP over the daemon's unix socket."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(GLANCE_SECONDS)
        self.sock.connect(SOCKET)


def _something_is_there() -> bool:
    """Ask the daemon at the usual place, without any package, whether anything carries our label."""
    if os.environ.get("DOCKER_HOST") or not os.path.exists(SOCKET):
        return False
    wanted = quote(f'{{"label":["{RUN}"]}}')
    connection = _Glance("docker")
    try:
        for path, nothing in (
            (f"/containers/json?all=1&filters={wanted}", b"[]"),
            (f"/networks?filters={wanted}", b"[]"),
        ):
            connection.request("GET", path)
            if connection.getresponse().read().strip() != nothing:
                return True
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return False


def main(run: str) -> None:
    """What a keeper calls at its end."""
    try:
        with opened() as docker:
            remove_run(run, docker)
    except ServerError as error:
        sys.stderr.write(f"{error}\n")


if __name__ == "__main__":
    main(sys.argv[1])
