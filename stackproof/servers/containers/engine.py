"""The Docker daemon of this machine, through testcontainers' client; what it refuses becomes one sentence."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stackproof.servers.server import MissingWheelError, ServerError

if TYPE_CHECKING:
    from testcontainers.core.docker_client import DockerClient

NO_DAEMON = (
    "There is no Docker daemon that answers here; start one (images/docker does, on Debian), "
    "or use --origin embedded or external"
)
USUAL_SOCKET = "unix:///var/run/docker.sock"
KNOCK_SECONDS = 5.0
CALL_SECONDS = 120
"""How long one call to the daemon may take: the removal of a container on a busy machine."""


class NoDockerError(ServerError):
    """There is no Docker daemon that answers."""


def engine() -> DockerClient:
    """Return a client of the daemon that DOCKER_HOST, the current context or the usual socket names."""
    try:
        from docker.errors import DockerException
        from testcontainers.core.docker_client import DockerClient, get_docker_host
    except ImportError as error:
        raise MissingWheelError("containers") from error
    client: DockerClient | None = None
    try:
        _knock(get_docker_host() or USUAL_SOCKET)
        client = DockerClient(timeout=CALL_SECONDS)
        client.client.ping()
    except (DockerException, OSError) as error:
        if client is not None:
            client.client.close()
        raise NoDockerError(f"{NO_DAEMON} ({_cause(error)}).") from error
    if not _is_here(client.client.api.base_url):
        client.client.close()
        raise NoDockerError(
            "The Docker daemon is on another machine; containers are only reached on this one's loopback."
        )
    return client


def _knock(address: str) -> None:
    """Raise what the system says when nobody listens; Docker's client would leave its socket open then."""
    scheme, _, path = address.partition("://")
    if scheme == "unix":
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(KNOCK_SECONDS)
            client.connect(path)


def _is_here(base_url: str) -> bool:
    """Ports are published on the daemon's loopback address; a client on another machine would never reach them."""
    return urlsplit(base_url).hostname in (None, "localhost", "127.0.0.1", "::1", "localnpipe") or "unix" in base_url


def _cause(error: BaseException) -> str:
    """The innermost reason, as the system words it."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return getattr(error, "strerror", None) or type(error).__name__


@contextlib.contextmanager
def opened(client: DockerClient | None = None) -> Iterator[DockerClient]:
    """Lend a client: the one that is given, or one that is closed afterwards."""
    mine = client or engine()
    try:
        yield mine
    finally:
        if client is None:
            mine.client.close()


@contextlib.contextmanager
def refusals(what: str) -> Iterator[None]:
    """Turn what Docker refuses into a `ServerError` that says what was tried."""
    from docker.errors import DockerException

    try:
        yield
    except (DockerException, OSError) as error:
        raise ServerError(f"Docker could not {what}: {explanation(error)}.") from error


def explanation(error: BaseException) -> str:
    """What the daemon said, without its full stop."""
    said = getattr(error, "explanation", None) or _cause(error)
    return str(said).strip().rstrip(".")


def image_is_here(client: DockerClient, image: str) -> bool:
    """Tell whether the daemon has an image, without asking any registry."""
    from docker.errors import ImageNotFound

    with refusals(f"look for the image {image}"):
        try:
            client.client.images.get(image)
        except ImageNotFound:
            return False
    return True


def image_volumes(client: DockerClient, image: str) -> list[str]:
    """Return the folders for which an image that is here wants volumes: without labels of ours, if nobody asks for them."""
    with refusals(f"read the image {image}"):
        return sorted(client.client.images.get(image).attrs["Config"].get("Volumes") or {})
