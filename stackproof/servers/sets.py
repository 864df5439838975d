"""The servers that a command needs, from the origin that was asked for, started together and ended together."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from .accounts import server_account
from .embedded import EmbeddedPostgres, EmbeddedRedis
from .embedded_cluster import EmbeddedRedisCluster
from .external import VARIABLES, ExternalServer
from .runs import Run, sweep
from .server import Server, ServerError

ORIGINS = ("embedded", "container", "external")

EMBEDDED: Mapping[str, Callable[[Run | None], Server]] = {
    "postgres": EmbeddedPostgres,
    "redis": EmbeddedRedis,
    "redis-cluster": EmbeddedRedisCluster,
}


class ServerSet:
    """A context manager around several servers: starts them in parallel, ends them in reverse order."""

    def __init__(self, names: Sequence[str], make: Callable[[str, Run | None], Server], *, embedded: bool) -> None:
        self._names = names
        self._make = make
        self._embedded = embedded
        self._run: Run | None = None
        self.servers: tuple[Server, ...] = ()

    def __enter__(self) -> Self:
        """Remove what dead runs left behind, then start all servers and wait until each answers."""
        sweep()
        try:
            if self._embedded and self._names:
                self._run = Run(server_account())
            self.servers = tuple(self._make(name, self._run) for name in self._names)
            self._start_all()
        except BaseException:
            # Also for Ctrl-C: the end of the run makes the threads that still wait for a server give up.
            self._end()
            raise
        return self

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
                    self._run.close()
                raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        with contextlib.ExitStack() as ending:  # runs everything, in reverse order, also when one of them fails
            if self._run is not None:
                ending.callback(self._run.close)
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
    """Return the servers of these names ("postgres", "redis") from an origin, not yet started.

    `environ` is where the external origin finds its addresses. Wrong names and missing variables are reported here,
    before anything is started.
    """
    wanted = list(dict.fromkeys(names))
    if origin == "container":
        raise ServerError("the container origin is not part of this release; use --origin embedded or external")
    if origin not in ORIGINS:
        raise ServerError(f"The origin {origin!r} is unknown; known are {', '.join(ORIGINS)}.")
    known = EMBEDDED if origin == "embedded" else VARIABLES
    for name in wanted:
        if name not in known:
            raise ServerError(f"There is no {origin} server named {name!r}; known are {', '.join(known)}.")
    by_variable = {VARIABLES[name]: name for name in wanted}
    for name in wanted:
        if by_variable[VARIABLES[name]] != name:
            both = f"{name} and {by_variable[VARIABLES[name]]}"
            raise ServerError(f"{both} are both named by {VARIABLES[name]}: verify their backends one after the other.")
    if origin == "embedded":
        return ServerSet(wanted, lambda name, run: EMBEDDED[name](run), embedded=True)
    missing = [VARIABLES[name] for name in wanted if not environ.get(VARIABLES[name])]
    if missing:
        raise ServerError(f"The external origin needs {' and '.join(missing)} to be set.")
    return ServerSet(wanted, lambda name, _run: ExternalServer(name, environ[VARIABLES[name]]), embedded=False)
