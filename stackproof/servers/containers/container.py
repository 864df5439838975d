"""A server in a container: published on 127.0.0.1 with one number inside and outside, labelled, limited, and mortal.

The same number on both sides keeps the address that a server advertises right from everywhere, and a fixed number keeps
it right over `kill()` and `start()`: Docker gives a random one anew each time.
"""

from __future__ import annotations

import abc
import contextlib
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from stackproof.servers.accounts import server_account
from stackproof.servers.ports import LOOPBACK, free_ports
from stackproof.servers.runs import Run
from stackproof.servers.server import Server, ServerError

from .certificates import Certificates, make_certificates
from .engine import engine, explanation, image_is_here, image_volumes, refusals
from .executing import run_in
from .labels import SERVER, labels_of
from .options import IMAGE, NETWORK, ContainerOptions
from .recipe import Recipe, archive, unpacked
from .sweep import end_containers

if TYPE_CHECKING:
    from docker.models.containers import Container
    from testcontainers.core.docker_client import DockerClient

START_SECONDS = 180.0
"""A Java server on a machine that is busy with something else."""
STOP_SECONDS = 60
TRIES = 4
"""How often other ports are tried when somebody was faster."""
LOG_LINES = 15
IN_USE = ("address already in use", "port is already allocated", "address in use")
OUR_IMAGES = "stackproof/"

_one_network_at_a_time = threading.Lock()


class ContainerServer(Server):
    """What all servers in containers share. Without a `run` a server has one of its own, which ends with `stop()`.

    To be used by one thread at a time. `pause()` and `resume()` freeze it; `disconnect()` and `reconnect()` cut its
    network, so that nobody gets an answer and no connection is closed.
    """

    origin = "container"
    title: ClassVar[str]
    image_name: ClassVar[str]
    """Whose image: the last part of STACKPROOF_IMAGE_<NAME>, in small letters, and of `stackproof/<name>`."""
    official_image: ClassVar[str]
    """Used unless the environment names another one; empty where there is none."""
    port_count: ClassVar[int] = 1
    """Ports for clients, published."""
    inner_port_count: ClassVar[int] = 0
    """Ports that only the server itself uses."""
    tls: ClassVar[bool] = False
    always_published: ClassVar[bool] = False
    """Whether it must not share the network of the machine."""

    def __init__(self, run: Run | None = None, options: ContainerOptions | None = None) -> None:
        self._given_run = run
        self._options = options or ContainerOptions.from_environment(os.environ)
        self._run: Run | None = None
        self._client: DockerClient | None = None
        self._container: Container | None = None
        self._ports: tuple[int, ...] = ()
        self._certificates: Certificates | None = None
        self._password = ""
        self._image = ""
        self._set_up_done = False

    # -- what each kind says for itself

    @abc.abstractmethod
    def _recipe(self) -> Recipe:
        """Return what the container is made from; ports, certificates and password are chosen by then."""

    @abc.abstractmethod
    def _answers(self) -> bool:
        """Tell whether the server is ready for clients; a `ServerError` or `OSError` means: not yet."""

    @abc.abstractmethod
    def _facts(self) -> Mapping[str, str]:
        """Return the settings that a certificate or a figure depends on, asked from the running server."""

    def _set_up(self) -> None:
        """What is done once, when the server answers for the first time: users, passwords."""

    # -- address

    @property
    def image(self) -> str:
        """The image that this server is made from: what the environment names, or else the official one; see `image_of`."""
        return self._image or self._options.images.get(self.image_name) or self.official_image or self.our_image()

    @classmethod
    def our_image(cls) -> str:
        """What `images/build` makes for it."""
        return f"{OUR_IMAGES}{cls.image_name}:latest"

    def image_of(self, client: DockerClient) -> str:
        """The image that a start takes: one that was built here stands in for an official one that is not here.

        Whoever built it did so because no registry is reached, or wants it; a certificate names it.
        """
        unnamed = self.image_name not in self._options.images
        if unnamed and not image_is_here(client, self.image) and image_is_here(client, self.our_image()):
            return self.our_image()
        return self.image

    def facts(self) -> Mapping[str, str]:
        """Return the settings that a certificate or a figure depends on, and the image."""
        return {"image": self.image, **self._facts()}

    def inspected(self) -> Mapping[str, Any]:
        """What the daemon says of the running ``container`` and of its ``image``; it has no password of ours."""
        container = self.container
        with refusals(f"describe the container of {self.title}"):
            container.reload()
            return {"container": container.attrs, "image": container.image.attrs}

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1."""
        return self._all_ports[0]

    @property
    def ports(self) -> tuple[int, ...]:
        """All ports for clients."""
        return self._all_ports[: self.port_count]

    @property
    def inner_ports(self) -> tuple[int, ...]:
        """The ports that only the server itself uses."""
        return self._all_ports[self.port_count :]

    @property
    def _all_ports(self) -> tuple[int, ...]:
        if not self._ports:
            raise self._not_started()
        return self._ports

    @property
    def on_host(self) -> bool:
        """Whether it shares the network of the machine."""
        return self._options.on_host and not self.always_published

    @property
    def bind_address(self) -> str:
        """What the server binds to inside: published ports come from outside the container's own loopback."""
        return LOOPBACK if self.on_host else "0.0.0.0"  # noqa: S104 - inside a container

    @property
    def certificates(self) -> Certificates:
        """The certificates of a variant with TLS."""
        if self._certificates is None:
            raise self._not_started()
        return self._certificates

    @property
    def container(self) -> Container:
        """The container in the words of Docker's client."""
        if self._container is None:
            raise self._not_started()
        return self._container

    def _not_started(self) -> ServerError:
        return ServerError(f"The container of {self.title} has not been started.")

    # -- life

    def start(self) -> None:
        """Start the server and wait until it answers; nothing happens when it runs."""
        if self._container is not None:
            self._start_again()
            return
        self._client = engine()
        try:
            self._run = self._given_run or Run(server_account())
            self._password = secrets.token_hex(16)
            _sweep_at_end(self._run)
            self._have_image()
            if self.tls:
                self._certificates = make_certificates(self._run.folder(f"{self.name}-{secrets.token_hex(3)}"))
            self._create()
            self._set_up()
            self._set_up_done = True
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server at once and remove its data."""
        run, container, client = self._run, self._container, self._client
        self._run = self._container = self._client = self._certificates = None
        self._ports, self._set_up_done = (), False
        if run is None or client is None or not run.is_mine:
            return
        try:
            if container is not None:
                _remove(container)
            if self._given_run is None:
                end_containers(run, client)
        finally:
            client.client.close()
            if self._given_run is None:
                run.close()

    def restart(self) -> None:
        """End the server in its orderly way and start it again on the same address with its data."""
        container = self.container
        with refusals(f"stop {self.title}"):
            self._thaw(container)
            container.stop(timeout=STOP_SECONDS)
            container.reload()
        if container.attrs["State"]["ExitCode"] == 137:
            raise ServerError(f"The container of {self.title} did not end within {STOP_SECONDS} s.")
        self._start_again()

    def kill(self) -> None:
        """SIGKILL all processes of the container; `start()` brings it back on the same address with its data."""
        container = self.container
        with refusals(f"kill {self.title}"):
            self._thaw(container)
            if container.status == "running":
                container.kill("SIGKILL")
                container.wait(timeout=STOP_SECONDS)

    def pause(self) -> None:
        """Freeze the server: connections stay open, and nobody answers."""
        with refusals(f"pause {self.title}"):
            self.container.pause()

    def resume(self) -> None:
        """Let a frozen server go on."""
        with refusals(f"resume {self.title}"):
            self.container.unpause()

    def disconnect(self) -> None:
        """Cut the container from its network."""
        if self.on_host:
            raise ServerError(f"{self.title} shares the network of the machine, so it cannot be cut from it.")
        with refusals(f"cut {self.title} from its network"):
            self._network().disconnect(self.container, force=True)

    def reconnect(self) -> None:
        """Give the container its network back, with the address that it had."""
        with refusals(f"reconnect {self.title}"):
            self._network().connect(self.container)

    def execute(self, *command: str) -> str:
        """Run a command in the container and return what it says; another exit code than 0 is a `ServerError`."""
        with refusals(f"run {command[0]} in the container of {self.title}"):
            code, output = run_in(self.container, list(command))
        said: str = output.decode(errors="replace").strip()
        if code != 0:
            raise ServerError(f"{command[0]} in the container of {self.title} ended with {code}: {_last_line(said)}.")
        return said

    def logs(self, lines: int = LOG_LINES) -> str:
        """Return the last lines that the server wrote."""
        with refusals(f"read the log of {self.title}"):
            written: bytes = self.container.logs(tail=lines)
        return written.decode(errors="replace")

    # -- the steps of a start

    def _have_image(self) -> None:
        """Pull the image if it is not here, in steps, so that an interruption is heeded."""
        client = self._started_client()
        self._image = self.image_of(client)
        if image_is_here(client, self._image):
            return
        from docker.errors import DockerException

        name, tag = _name_and_tag(self.image)
        try:
            if name.startswith(OUR_IMAGES):
                raise ServerError(self._missing("such an image is only built here"))
            for _progress in client.client.api.pull(name, tag=tag, stream=True, decode=True):
                self._still_wanted()
        except DockerException as error:
            raise ServerError(self._missing(explanation(error))) from error
        if not image_is_here(client, self.image):
            raise ServerError(self._missing("the registry does not have it"))

    def _missing(self, reason: str) -> str:
        variable = f"{IMAGE}{self.image_name.upper()}"
        return (
            f"The image {self.image} is not here and cannot be pulled ({reason}); name another one with {variable}, "
            f"or type: images/build {self.image_name}"
        )

    def _create(self) -> None:
        """Create the container on ports that nobody uses; on others, if somebody is faster."""
        for attempt in range(1, TRIES + 1):
            self._ports = free_ports(self.port_count + self.inner_port_count)
            failure = self._created()
            if failure is None:
                return
            if self._container is not None:
                _remove(self._container)
                self._container = None
            if attempt == TRIES or not any(words in failure.lower() for words in IN_USE):
                raise ServerError(f"The container of {self.title} did not start: {failure}.")

    def _created(self) -> str | None:
        """Create and start the container; return why it did not come up, None if it did."""
        from docker.errors import APIError

        recipe = self._recipe()
        with refusals(f"create a container of {self.image}"):
            container = self._container = self._started_client().create(
                self.image,
                command=list(recipe.command) if recipe.command is not None else None,
                environment=dict(recipe.environment),
                ports=None if self.on_host else {f"{p}/tcp": (LOOPBACK, p) for p in self.ports},
                labels=self._labels(),
                **self._surroundings(recipe),
            )
            files = dict(recipe.files)
            for path, edit in recipe.edits.items():
                chunks, _ = container.get_archive(path)
                files[path] = edit(unpacked(list(chunks))).encode()
            if files:
                container.put_archive("/", archive(files))
        try:
            container.start()
        except APIError as error:
            return explanation(error)
        return self._came_up()

    def _surroundings(self, recipe: Recipe) -> dict[str, Any]:
        """Return network, volume and limits in the words of Docker's client."""
        from docker.types import Mount

        found: dict[str, Any] = {
            "network": "host" if self.on_host else self._network().name,
            "name": f"{self._started_run().path.name}-{self.name}-{secrets.token_hex(3)}",
            "init": False,
            **self._options.limits(),
        }
        if recipe.entrypoint is not None:
            found["entrypoint"] = list(recipe.entrypoint)
        folders = image_volumes(self._started_client(), self.image)
        found["mounts"] = [Mount(folder, None, type="volume", labels=self._labels()) for folder in folders]
        return found

    def _labels(self) -> dict[str, str]:
        return {**labels_of(self._started_run()), SERVER: self.name}

    def _network(self) -> Any:
        """Return the network of the run, which is made when it is first needed."""
        run, docker = self._started_run(), self._started_client().client
        with _one_network_at_a_time:
            for network in docker.networks.list(names=[run.path.name]):
                if network.name == run.path.name:
                    return network
            try:
                with refusals("make a network for the containers"):
                    return docker.networks.create(run.path.name, driver="bridge", labels=labels_of(run))
            except ServerError as error:
                raise _with_way_out(error) from error

    def _start_again(self) -> None:
        """Start the container that is there, unless it runs; on the address that it had."""
        from docker.errors import APIError

        container = self.container
        with refusals(f"look at {self.title}"):
            container.reload()
        if container.status == "running":
            return
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                container.start()
                break
            except APIError as error:
                failure = explanation(error)
                if time.monotonic() > deadline or not any(words in failure.lower() for words in IN_USE):
                    raise ServerError(f"The container of {self.title} did not start again: {failure}.") from error
                time.sleep(0.1)
        said = self._came_up()
        if said is not None:
            raise ServerError(f"The container of {self.title} did not start again: {said}.")

    def _came_up(self) -> str | None:
        """Wait until the server answers; return why it never did."""
        try:
            self._wait_for(self._answers, "it was ready")
        except ServerError as error:
            return str(error).rstrip(".")
        return None

    def _wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until a condition holds, as long as the container runs and somebody waits for it."""
        deadline = time.monotonic() + START_SECONDS
        last, next_look = "it did not answer", 0.0
        while time.monotonic() < deadline:
            self._still_wanted()
            if time.monotonic() > next_look:
                self._must_run()
                next_look = time.monotonic() + 0.5
            try:
                if condition():
                    return
            except (ServerError, OSError) as error:
                last = str(error).rstrip(".")
            time.sleep(0.05)
        raise ServerError(f"It took more than {START_SECONDS:g} s until {what} ({last}).")

    def _must_run(self) -> None:
        self.container.reload()
        if self.container.status not in ("created", "running", "restarting"):
            code = self.container.attrs["State"]["ExitCode"]
            raise ServerError(f"{_telling_line(self.logs()) or f'it ended with {code}'}.")

    def _still_wanted(self) -> None:
        if not self._started_run().ours:
            raise ServerError("The servers of this run have ended, or belong to another process.")

    @staticmethod
    def _thaw(container: Container) -> None:
        """A frozen process dies of no signal."""
        container.reload()
        if container.status == "paused":
            container.unpause()
            container.reload()

    def _started_run(self) -> Run:
        if self._run is None:
            raise self._not_started()
        return self._run

    def _started_client(self) -> DockerClient:
        if self._client is None:
            raise self._not_started()
        return self._client


def _sweep_at_end(run: Run) -> None:
    """Have the keeper remove the run's containers should this process be killed."""
    wanted = ("HOME", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY")
    environ = {name: os.environ[name] for name in wanted if name in os.environ}
    environ |= {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    module = f"{__package__}.sweep"
    run.at_end([sys.executable, "-B", "-P", "-m", module, run.path.name], environ)


def _remove(container: Container) -> None:
    from docker.errors import NotFound

    with refusals("remove a container"), contextlib.suppress(NotFound):
        container.remove(force=True, v=True)


def _with_way_out(error: ServerError) -> ServerError:
    """Docker has addresses for some thirty networks, and keeps those of whoever forgot to remove them."""
    if "address pool" not in str(error):
        return error
    said = str(error).rstrip(".")
    return ServerError(f"{said}; docker network prune removes those that nobody uses, and {NETWORK}=host needs none.")


def _name_and_tag(image: str) -> tuple[str, str]:
    """Docker pulls every tag of a name that is given without one."""
    name, colon, tag = image.rpartition(":")
    return (name, tag) if colon and "/" not in tag else (image, "latest")


def _telling_line(log: str) -> str:
    """Return the line of a log that most likely says what went wrong, without its full stop."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    for marks in (IN_USE, ("fatal", "error", "exception")):
        for line in lines:
            if any(mark in line.lower() for mark in marks):
                return line.rstrip(".")
    return _last_line(log)


def _last_line(said: str) -> str:
    return said.strip().rpartition("\n")[2].rstrip(".")
