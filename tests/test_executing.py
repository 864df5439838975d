"""What a command in a container says arrives as a whole, however the daemon's answer is cut into pieces."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import docker
import pytest
from docker.errors import NotFound

from stackproof.servers.containers.executing import run_in, said_in


def piece(output: int, text: bytes) -> bytes:
    return bytes([output, 0, 0, 0]) + len(text).to_bytes(4) + text


class Daemon:
    """Answers the three requests of a command, each in one write: headers and body arrive together, as on a busy machine."""

    def __init__(self, said: bytes, *, code: int = 0, status: str = "200 OK") -> None:
        self.asked: list[str] = []
        self._answers = {
            "/start": (status, "application/vnd.docker.raw-stream", said),
            "/json": ("200 OK", "application/json", json.dumps({"ExitCode": code}).encode()),
            "/exec": ("201 Created", "application/json", b'{"Id": "17"}'),
        }
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self.api = docker.APIClient(f"tcp://127.0.0.1:{self._listener.getsockname()[1]}", version="1.44", timeout=30)
        self.container: Any = SimpleNamespace(id="c", client=SimpleNamespace(api=self.api))

    def close(self) -> None:
        self.api.close()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as request:
                path = request.readline().split()[1].decode()
                length = 0
                while (line := request.readline().strip()) != b"":
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                request.read(length)
                self.asked.append(path)
                status, kind, body = next(each for end, each in self._answers.items() if path.endswith(end))
                connection.sendall(
                    f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n".encode() + body
                )


@pytest.fixture
def daemons() -> Iterator[list[Daemon]]:
    made: list[Daemon] = []
    yield made
    for daemon in made:
        daemon.close()


def test_what_comes_together_with_the_headers_is_not_lost(daemons: list[Daemon]) -> None:
    daemons.append(Daemon(piece(1, b"4.1.0\n") + piece(2, b"a warning\n"), code=3))
    assert run_in(daemons[0].container, ["cat", "version"]) == (3, b"4.1.0\na warning\n")
    assert daemons[0].asked == ["/v1.44/containers/c/exec", "/v1.44/exec/17/start", "/v1.44/exec/17/json"]


def test_what_the_daemon_refuses_is_an_error_of_docker(daemons: list[Daemon]) -> None:
    daemons.append(Daemon(b'{"message": "No such exec instance"}', status="404 Not Found"))
    with pytest.raises(NotFound, match="No such exec instance"):
        run_in(daemons[0].container, ["cat", "version"])


@pytest.mark.parametrize("missing", [1, 5, 12])
def test_an_answer_that_ends_in_the_middle_is_an_error(missing: int) -> None:
    with pytest.raises(OSError, match="ends in the middle"):
        said_in(piece(1, b"whole") + piece(1, b"cut off")[:-missing])


def test_a_command_that_says_nothing_says_nothing() -> None:
    assert said_in(b"") == b""
    assert said_in(piece(1, b"")) == b""
