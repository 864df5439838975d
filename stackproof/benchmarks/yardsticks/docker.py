"""Tools in containers: that of the server itself, or one of an image that is here, on the network of this machine."""

from __future__ import annotations

import shutil
from urllib.parse import urlsplit

from .processes import answer_of
from .yardstick import Place

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def container_of(port: int) -> Place | None:
    """The container here that publishes this port, as a place to run a tool in; None where there is none, or no Docker."""
    if shutil.which("docker") is None:
        return None
    found = answer_of(["docker", "ps", "--filter", f"publish={port}", "--format", "{{.ID}} {{.Names}}"])
    if not found:
        return None
    identity, _, name = found.splitlines()[0].partition(" ")
    return Place(("docker", "exec", "--interactive", identity), f"the container {name}")


def image_here(image: str) -> Place | None:
    """A new container of this image, which ends with the tool; None where the image is not here. Nothing is pulled."""
    if shutil.which("docker") is None or not answer_of(["docker", "image", "inspect", "--format", "{{.Id}}", image]):
        return None
    run = ("docker", "run", "--rm", "--interactive", "--network", "host", "--entrypoint", "")
    return Place((*run, image), f"a container of {image}")


def local_port(url: str, usual: int) -> int | None:
    """The port of a URL of this machine; None for other machines, and for what is no such URL."""
    try:
        parts = urlsplit(url if "//" in url else f"//{url}")
        host, port = parts.hostname, parts.port or usual
    except ValueError:
        return None
    return port if host in _LOOPBACK else None


def says(place: Place, *command: str) -> str | None:
    """What a question to a program in this place is answered with; None where it is not there."""
    return answer_of([*place.prefix, *command])
