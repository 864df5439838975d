"""The Docker daemon of this machine, through testcontainers' client; what it refuses becomes one sentence."""

from __future__ import annotations

import contextlib
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
CALL_SECONDS = 120
"""How long one call to the daemon may take: the removal of a container on a busy machine."""


class NoDockerError(ServerError):
    """There is no Docker daemon that answers."""


def engine() -> DockerClient:
    """Return a client of the daemon that DOCKER_HOST, the current context or the usual socket names."""
    try:
        from docker.errors import DockerException
        from testcontainers.core.docker_client import DockerClient
    except ImportError as error:
        raise MissingWheelError("containers") from error
    try:
        client = DockerClient(timeout=CALL_SECONDS)
        client.client.ping()
    except (DockerException, OSError) as error:
        raise NoDockerError(f"{NO_DAEMON} ({_cause(error)}).") from error
    if not _is_here(client.client.api.base_url):
        raise NoDockerError(
            "The Docker daemon is on another machine; containers are only reached on this one's loopback."
        )
    return client


def _is_here(base_url: str) -> bool:
    """Ports are published on the daemon's loopback address; a client on another machine would never reach them."""
    return urlsplit(base_url).hostname in (None, "localhost", "127.0.0.1", "::1", "localnpipe") or "unix" in base_url


def _cause(error: BaseException) -> str:
    """The innermost reason, as the system words it."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return getattr(error, "strerror", None) or type(error).__name__


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
