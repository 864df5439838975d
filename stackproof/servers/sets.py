"""The servers that a command needs, from the origin that was asked for, started together and ended together."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from .accounts import server_account
from .addresses import PLACES
from .containers.sweep import end_containers, sweep_containers
from .embedded import EmbeddedPostgres, EmbeddedRedis
from .embedded_aws import EmbeddedAws
from .embedded_cluster import EmbeddedRedisCluster
from .external import ExternalServer
from .runs import Run, sweep
from .server import Server, ServerError

ORIGINS = ("embedded", "container", "external")

EMBEDDED: Mapping[str, Callable[[Run | None], Server]] = {
    "postgres": EmbeddedPostgres,
    "redis": EmbeddedRedis,
    "redis-cluster": EmbeddedRedisCluster,
    "aws": EmbeddedAws,
}


class ServerSet:
    """A context manager around several servers: starts them in parallel, ends them in reverse order."""

    def __init__(self, names: Sequence[str], make: Callable[[str, Run | None], Server], *, local: bool) -> None:
        self._names = names
        self._make = make
        self._local = local
        self._run: Run | None = None
        self.servers: tuple[Server, ...] = ()

    def __enter__(self) -> Self:
        """Remove what dead runs left behind, then start all servers and wait until each answers."""
        sweep()
        sweep_containers()
        try:
            if self._local and self._names:
                self._run = Run(server_account())
            self.servers = tuple(self._make(name, self._run) for name in self._names)
            self._start_all()
        except BaseException:
            # Also for Ctrl-C: the threads that still wait for a server have given up by now.
            self._end()
            raise
        return self

    @property
    def run(self) -> Run | None:
        """The run that the servers belong to; None for external ones."""
        return self._run

    def _start_all(self) -> None:
        if not self.servers:
            return
        with ThreadPoolExecutor(len(self.servers), thread_name_prefix="stackproof-start") as pool:
            starting = [pool.submit(server.start) for server in self.servers]
            try:
                for future in starting:
                    future.result()
            except BaseException:
                if self._run is not None:
                    self._run.give_up()
                raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        with contextlib.ExitStack() as ending:  # runs everything, in reverse order, also when one of them fails
            if self._run is not None:
                ending.callback(self._run.close)
                if self._run.leaves_something:
                    ending.callback(end_containers, self._run)
            for server in self.servers:
                ending.callback(server.stop)

    def variables(self) -> dict[str, str]:
        """Return the environment variables of all servers; they contain passwords."""
        return {name: value for server in self.servers for name, value in server.variables().items()}

    def server(self, name: str) -> Server:
        """Return the server of that name."""
        for server in self.servers:
            if server.name == name:
                return server
        raise ServerError(f"This set has no server named {name!r}.")


def servers_for(names: Iterable[str], origin: str, environ: Mapping[str, str]) -> ServerSet:
    """Return the servers of these names ("postgres", "kafka") from an origin, not yet started.

    `environ` is where the external origin finds its addresses, and the container origin its images and limits. Wrong
    names and missing variables are reported here, before anything is started.
    """
    wanted = list(dict.fromkeys(names))
    if origin not in ORIGINS:
        raise ServerError(f"The origin {origin!r} is unknown; known are {', '.join(ORIGINS)}.")
    for name in wanted:
        if name not in PLACES:
            raise ServerError(f"There is no server named {name!r}; known are {', '.join(PLACES)}.")
    _refuse_two_at_one_address(wanted)
    if origin == "external":
        return _external(wanted, environ)
    if origin == "container":
        return _containers(wanted, environ)
    only_containers = [name for name in wanted if name not in EMBEDDED]
    if only_containers:
        raise ServerError(
            f"No wheel carries {' and '.join(only_containers)}; use --origin container, or external with your own"
        )
    return ServerSet(wanted, lambda name, run: EMBEDDED[name](run), local=True)


def _refuse_two_at_one_address(wanted: Sequence[str]) -> None:
    """A variable can name one server only: what the other's backends would meet is not what was asked for."""
    by_variable: dict[str, str] = {}
    for name in wanted:
        variable = PLACES[name].required[0]
        first = by_variable.setdefault(variable, name)
        if first != name:
            raise ServerError(
                f"{first} and {name} are both named by {variable}: verify their backends one after the other."
            )


def _containers(wanted: list[str], environ: Mapping[str, str]) -> ServerSet:
    """What exists only as an embedded server stands beside the containers."""
    from .containers.kinds import CONTAINERS
    from .containers.options import ContainerOptions

    options = ContainerOptions.from_environment(environ)

    def make(name: str, run: Run | None) -> Server:
        return CONTAINERS[name](run, options) if name in CONTAINERS else EMBEDDED[name](run)

    return ServerSet(wanted, make, local=True)


def _external(wanted: list[str], environ: Mapping[str, str]) -> ServerSet:
    missing = [lacking for name in wanted if (lacking := PLACES[name].missing(environ)) is not None]
    if missing:
        raise ServerError(f"The external origin needs {' and '.join(dict.fromkeys(missing))} to be set.")
    places = [PLACES[name] for name in wanted]
    wrong = [why for place in places if (why := place.wrong_scheme(environ) or place.wrong_form(environ)) is not None]
    if wrong:
        raise ServerError(" ".join(dict.fromkeys(wrong)))
    return ServerSet(wanted, lambda name, _run: ExternalServer(name, environ), local=False)
