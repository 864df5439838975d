"""redis-benchmark, Redis' own load tool: GETs of keys that our cache has filled."""

from __future__ import annotations

import contextlib
import csv
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import redis

from stackproof.adapters.cache.redis import RedisCache
from stackproof.adapters.settings import Settings

from .data import key_of, value_of
from .docker import container_of, image_here, local_port, says
from .processes import answer_of, on_path, run_tool
from .yardstick import Load, Missing, Tool, Yardstick, YardstickError, YardstickFigures

_TODO = "apt-get install redis-tools"
_IMAGES = ("stackproof/redis:latest", "redis:latest", "valkey/valkey:latest")
_START_SECONDS = 30.0
_PERCENTILES = {"p50_latency_ms": "p50", "p95_latency_ms": "p95", "p99_latency_ms": "p99"}
SLOWEST_RATE = 1000
"""Operations per second below which a run counts as hung."""


class RedisBenchmark(Yardstick):
    """GETs, by as many connections as operations are in flight, without pipelining."""

    name = "redis-benchmark"
    concern = "cache"
    technologies = frozenset({"redis", "elasticache", "dragonfly", "valkey"})
    scenario = "CACHE_GET"
    operation = "get of a key that is there: one GET"
    differences: ClassVar[tuple[str, ...]] = (
        "redis-benchmark formats its request once and overwrites twelve digits in it; ours makes a key, and holds it to the"
        " limits of the interface",
        "redis-benchmark throws the answer away; ours unpacks the value and compares it with what was stored",
        "redis-benchmark sends and reads from one event loop in C; ours works in Python, with a greenlet for each operation in"
        " flight",
        "redis-benchmark counts latencies in one histogram; ours in three, and by the second",
    )
    counts_operations = True
    trial_operations = 20_000

    def find(self, variables: Mapping[str, str]) -> Tool | Missing:
        """On PATH, in the server's own container, or in an image that is here."""
        if (reason := self.not_compared(variables)) is not None:
            return reason
        program = on_path(self.name)
        if program and (said := answer_of([program, "--version"])):
            return Tool(self.name, version_of(said), (program,))
        port = local_port(variables.get("REDIS_URL", ""), 6379)
        places = [container_of(port) if port else None, *(image_here(image) for image in _IMAGES if port)]
        for place in filter(None, places):
            if said := says(place, self.name, "--version"):
                return Tool(self.name, version_of(said), (self.name,), place)
        return Missing(self.name, "redis-benchmark is neither on PATH nor in an image that is here", _TODO)

    def not_compared(self, variables: Mapping[str, str]) -> Missing | None:
        """Servers that it is not compared on."""
        url = variables.get("REDIS_URL", "")
        if "cluster=" in url:
            return Missing(self.name, f"{self.name} is compared on one server only, and this is a cluster", "")
        return (
            Missing(self.name, f"{self.name} is compared without TLS only", "") if url.startswith("rediss:") else None
        )

    def prepare(self, variables: Mapping[str, str], load: Load) -> None:
        """Fill all keys, by the adapter."""
        cache = RedisCache.from_settings(Settings(variables), load.namespace)
        try:
            for number in range(load.keys):
                cache.set(key_of(number), value_of(number, load.payload_bytes))
        finally:
            cache.disconnect()

    def run(self, tool: Tool, variables: Mapping[str, str], load: Load) -> YardstickFigures:
        url, prefix = variables["REDIS_URL"], prefix_of(load.namespace)
        number = load.operations or self.trial_operations
        with one_time_user(self.name, url, f"{prefix}*", "get") as address:
            arguments = ["-h", address.host, "-p", str(address.port), *address.login]
            arguments += ["-n", str(number), "-c", str(load.concurrency), "-r", str(load.keys), "--csv"]
            arguments += ["GET", prefix + key_of(0).replace(f"{0:012d}", "__rand_int__")]
            limit = number / SLOWEST_RATE + _START_SECONDS
            done = run_tool(tool, arguments, load, limit=limit, hidden=[address.password])
        return parse(done.output, number).with_process(done)


def prefix_of(namespace: str) -> str:
    """What our cache begins the name of each key with, on one server."""
    return f"stackproof:cache:{len(namespace)}:{namespace}:"


@dataclass(frozen=True, slots=True)
class Address:
    """Where redis-benchmark is sent, and as whom."""

    host: str
    port: int
    database: int
    user: str = ""
    password: str = ""

    @property
    def login(self) -> tuple[str, ...]:
        database = ("--dbnum", str(self.database)) if self.database else ()
        return (*(("--user", self.user, "-a", self.password) if self.user else ()), *database)


@contextmanager
def one_time_user(tool: str, url: str, pattern: str, command: str) -> Iterator[Address]:
    """A user for one run, who may do one command on our own keys, where the server wants a password.

    These tools take a password only on their command line, where everybody on the machine reads it. So they get one that
    is worth nothing outside our keys, and nothing afterwards.
    """
    with contextlib.closing(redis.Redis.from_url(url)) as server:
        given = server.connection_pool.connection_kwargs
        address = Address(given.get("host", "127.0.0.1"), int(given.get("port", 6379)), int(given.get("db") or 0))
        if not given.get("password"):
            yield address
            return
        user, password = f"stackproof-{secrets.token_hex(6)}", secrets.token_hex(16)
        rules = ["on", f">{password}", f"~{pattern}", f"+{command}", "+select", "+ping"]
        try:
            server.execute_command("ACL", "SETUSER", user, *rules)  # type: ignore[no-untyped-call]
        except redis.RedisError as error:
            raise YardstickError(
                f"{tool} can be told a password only on its command line, where others read it, and this server lets us"
                f" make no user for one run ({error}); use a server without a password, or a user who may do ACL SETUSER"
            ) from error
        try:
            yield Address(address.host, address.port, address.database, user, password)
        finally:
            server.execute_command("ACL", "DELUSER", user)  # type: ignore[no-untyped-call]


def parse(output: str, operations: int) -> YardstickFigures:
    """The table that redis-benchmark prints with ``--csv`` since 6.2."""
    lines = [line for line in output.splitlines() if line.startswith('"')]
    rows = list(csv.DictReader(lines))
    if not rows or "rps" not in rows[0]:
        raise YardstickError("redis-benchmark printed no line of figures; it has to be 6.2 or newer")
    row = rows[0]
    rate = float(row["rps"])
    if rate <= 0:
        raise YardstickError("redis-benchmark did nothing")
    latency = {name: float(row[column]) / 1e3 for column, name in _PERCENTILES.items() if row.get(column)}
    return YardstickFigures(operations, operations / rate, rate, latency)


def version_of(said: str) -> str:
    """The version, without the name before it."""
    return said.splitlines()[0].replace("redis-benchmark", "").replace("valkey-benchmark", "").split("(git")[0].strip()
