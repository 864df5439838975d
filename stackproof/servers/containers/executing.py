"""A command in a container, and everything that it said.

Docker's client for Python asks the daemon to change protocols, and then reads from the bare socket: what the HTTP library has
read ahead together with the headers is lost. On a busy machine three in a thousand commands that end at once said nothing
(docker-py issue 2042). Without that request the same answer is the body of an ordinary one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docker.models.containers import Container

_HEADER_BYTES = 8
"""Before each piece of what a command says: to which of its two outputs, and how many bytes (the last four)."""


def run_in(container: Container, command: list[str]) -> tuple[int, bytes]:
    """Run a command in a container; its exit code, and what it wrote to both outputs. Docker's errors."""
    from docker.errors import create_api_error_from_http_exception
    from requests import HTTPError

    api = container.client.api
    made: str = api.exec_create(container.id, command)["Id"]
    answer = api.post(
        f"{api.base_url}/v{api.api_version}/exec/{made}/start",
        json={"Detach": False, "Tty": False},
        timeout=api.timeout,
    )
    try:
        answer.raise_for_status()
    except HTTPError as error:
        create_api_error_from_http_exception(error)
    return api.exec_inspect(made)["ExitCode"], said_in(answer.content)


def said_in(body: bytes) -> bytes:
    """What a command wrote, without the headers of its pieces; `OSError` where the last piece is not whole."""
    said, at = bytearray(), 0
    while at < len(body):
        begin = at + _HEADER_BYTES
        at = begin + int.from_bytes(body[begin - 4 : begin])
        if at > len(body):
            raise OSError("the answer ends in the middle")
        said += body[begin:at]
    return bytes(said)
