"""A Redis client as the adapters need it: bounded in time, no hidden repetition, errors in our own words.

What is safe to repeat is repeated once: connecting, and reads whose connection broke.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from weakref import WeakSet

import redis
from redis.exceptions import AuthenticationError

from stackproof.adapters.redis_connections import Address, RedisAddress, ShortPool, exchange
from stackproof.adapters.redis_errors import NotSentError, translated
from stackproof.adapters.running_calls import RunningCalls
from stackproof.interfaces import BackendError

T = TypeVar("T")

UNLINKED_AT_ONCE = 250
"""Names in one command: some services limit what one request holds."""

_clients: WeakSet[RedisClient] = WeakSet()


def _after_fork() -> None:
    """A forked child has none of the threads whose commands ran: it must not wait for them.

    Nor has it any use for the parent's connections. They are closed here, which the parent does not notice; the driver merely
    forgets them, and the interpreter complains about open sockets at the end of the child.
    """
    for client in _clients:
        client._running.forget()
        for pool in client._pools():
            for inherited in getattr(pool, "_available_connections", ()):
                inherited.disconnect()


os.register_at_fork(after_in_child=_after_fork)


class RedisClient:
    """Connections to one Redis server, for commands (`execute`) and for subscriptions (`dedicated_connection`).

    The limit of a connection attempt bounds the making of a connection, ``operation_timeout`` each wait for an answer. (A
    server that accepts a connection and then says nothing is noticed after ``operation_timeout``; name resolution has no limit
    here.) After a fork the child makes its own connections.
    """

    key_prefix = ""
    """What every name of a key begins with."""

    def __init__(self, address: RedisAddress, *, connect_timeout: float = 5.0, operation_timeout: float = 5.0) -> None:
        self.shown_url = address.shown
        self.connect_timeout = connect_timeout
        self.operation_timeout = operation_timeout
        self._address = address
        self._running = RunningCalls(address.shown)
        self._begin()
        _clients.add(self)

    def execute(self, *command: str | bytes | int, repeatable: bool) -> Any:
        """Send one command and return the server's plain answer; redis-py's errors come out as ours.

        ``repeatable`` says that a second execution does no harm (reads): then a connection that breaks is tried once more,
        and failing means *unavailable* or *timed out*. Otherwise a command that may have been sent is *indeterminate*.
        """
        return self._while_open(lambda: self._attempt(lambda: self._exchange(command), repeatable))

    def ping(self) -> bool:
        """Whether the server answers now. Never raises for a server that does not."""
        try:
            return bool(self.execute("PING", repeatable=True) == b"PONG")
        except BackendError:
            return False

    def drop(self, prefix: str) -> None:
        """Remove every key whose name begins so.

        The pattern has no escapes, which not every server reads in the same way: what it finds too much is left out here.
        """
        pattern = "".join("?" if letter in "*?[]^-\\" else letter for letter in prefix) + "*"
        for names in self._scanned(pattern):
            mine = [name for name in names if name.startswith(prefix.encode())]
            for start in range(0, len(mine), UNLINKED_AT_ONCE):
                self._unlink(mine[start : start + UNLINKED_AT_ONCE])

    def nodes(self) -> list[Address]:
        """Every host and port that commands may go to; none for a unix socket."""
        return list(self._address.nodes)

    def reached_at(self, node: Address) -> Address:
        """Where a node really is, if the map of addresses says so."""
        return self._address.reached_at(node)

    def dedicated_connection(self, name: bytes) -> Any:
        """A new connection of its own, not from the pool, for what has this name; the caller disconnects it. Errors are ours."""
        return self._while_open(lambda: self._attempt(lambda: self._new_connection(name), repeatable=True))

    def check_open(self) -> None:
        """Raise `ClosedError` after `close`."""
        self._running.check_open()

    def close(self) -> None:
        """Wait for the running commands, each of which is bounded in time, then close every socket. Again: does nothing."""
        self._running.close(self.connect_timeout + self.operation_timeout)
        self._close_idle()

    # What differs on a cluster.

    def _begin(self) -> None:
        self._pool = self._address.pool()

    def _pools(self) -> list[ShortPool]:
        return [self._pool]

    def _exchange(self, command: tuple[str | bytes | int, ...]) -> Any:
        return exchange(self._pool, command)

    def _new_connection(self, _name: bytes) -> Any:
        return connected(self._pool)

    def _scanned(self, pattern: str) -> Iterator[list[bytes]]:
        return self._scan(self._pool, pattern)

    def _unlink(self, names: list[bytes]) -> None:
        self.execute("UNLINK", *names, repeatable=True)

    # What does not.

    def _scan(self, pool: ShortPool, pattern: str) -> Iterator[list[bytes]]:
        cursor = b"0"
        while True:
            command = ("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)
            cursor, names = self._while_open(
                lambda command=command: self._attempt(lambda: exchange(pool, command), repeatable=True)  # type: ignore[misc]
            )
            yield names
            if cursor == b"0":
                return

    def _while_open(self, work: Callable[[], T]) -> T:
        return self._running.run(work, self._close_idle)

    def _close_idle(self) -> None:
        for pool in self._pools():
            pool.disconnect(inuse_connections=False)

    def _attempt(self, work: Callable[[], T], repeatable: bool) -> T:
        try:
            return work()
        except redis.ConnectionError as error:
            if not repeatable or isinstance(error, NotSentError | AuthenticationError):
                raise self._translated(error, repeatable) from error
        except redis.RedisError as error:
            raise self._translated(error, repeatable) from error
        try:
            return work()
        except redis.RedisError as error:
            raise self._translated(error, repeatable) from error

    def _translated(self, error: redis.RedisError, repeatable: bool) -> BackendError:
        return translated(error, self.shown_url, self.operation_timeout, repeatable=repeatable)


def connected(pool: ShortPool) -> Any:
    """A connection like those of the pool, connected, and not in it."""
    connection = pool.connection_class(**pool.connection_kwargs)
    try:
        connection.connect()
    except redis.RedisError:
        connection.disconnect()
        raise
    return connection
