"""One server of a kind for all test modules, started when it is first needed and stopped at the end of the session."""

from __future__ import annotations

import atexit
import functools
import json
import os
from collections.abc import Mapping
from pathlib import Path

from stackproof.servers.embedded import EmbeddedPostgres, EmbeddedRedis


@functools.cache
def redis_server() -> EmbeddedRedis:
    """A Redis that keeps nothing on disk: a test that needs another one, or stops it, starts its own."""
    started = EmbeddedRedis()
    started.start()
    atexit.register(started.stop)
    return started


@functools.cache
def postgres_server() -> EmbeddedPostgres:
    """A PostgreSQL with its honest defaults. Whoever kills it starts it again: address and data stay."""
    started = EmbeddedPostgres()
    started.start()
    atexit.register(started.stop)
    return started


def redis_url() -> str:
    return redis_server().variables()["REDIS_URL"]


def postgres_url() -> str:
    return postgres_server().variables()["DATABASE_URL"]


def variables_of(server: str) -> Mapping[str, str]:
    """The variables that point an adapter at a server of this name ("kafka", "cassandra", "opensearch", "aws")."""
    found: Mapping[str, str] = json.loads(Path(os.environ["STACKPROOF_TEST_SERVERS"]).read_text())[server]
    return found
