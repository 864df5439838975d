"""The servers that targets need, started (or found reachable) for the time of a run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from stackproof.interfaces import ConfigurationError
from stackproof.servers import MissingWheelError, Server, ServerError
from stackproof.servers.external import ExternalServer
from stackproof.servers.sets import servers_for
from stackproof.targets import Target


@contextmanager
def provided_servers(targets: Iterable[Target], origin: str) -> Iterator[Sequence[Server]]:
    """The servers of these targets. Missing variables and wheels are a `ConfigurationError`, a dead server is a `ServerError`."""
    names = list(dict.fromkeys(server for target in targets for server in target.servers))
    try:
        servers = servers_for(names, origin, os.environ)
    except ServerError as error:  # nothing was tried yet: what was asked for is wrong, and repeating will not help
        raise ConfigurationError(str(error)) from error
    try:
        with servers:
            for server in servers.servers:
                _must_be_reachable(server)
            yield servers.servers
    except MissingWheelError as error:
        raise ConfigurationError(
            f"what these servers need is not installed; type: {error} (or use --origin external with your own)"
        ) from error


def _must_be_reachable(server: Server) -> None:
    if isinstance(server, ExternalServer):
        reason = server.reachable()
        if reason is not None:
            raise ServerError(reason)
