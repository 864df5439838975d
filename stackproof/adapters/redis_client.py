"""A redis-py client as the Redis adapters need it: bounded in time, no hidden repetition, errors in our own words.

redis-py repeats a failed command up to ten times by default (8.x). Here it never does, because only the adapter knows
whether a repetition can do harm. What is left to repeat safely is done once: connecting, and reads whose connection broke.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit
from weakref import WeakSet

import redis
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)
from redis.retry import Retry

from stackproof.adapters.settings import hide_secrets
from stackproof.interfaces import (
    BackendError,
    ClosedError,
    ConfigurationError,
    IndeterminateError,
    OperationTimeoutError,
    RejectedError,
    UnavailableError,
)

T = TypeVar("T")

IDLE_CHECK_SECONDS = 15.0
"""A connection that was idle for longer is pinged before it is used again: firewalls forget idle connections silently."""


class NotSentError(redis.ConnectionError):
    """The connection could not be made: nothing of the command can have reached the server."""


class _ConnectFirst:
    """Mixed into redis-py's connections: tells "not connected, so not sent" from "broke while the command ran"."""

    _connecting = False

    def connect(self) -> None:
        self._connecting = True
        try:
            super().connect()  # type: ignore[misc]
        except (AuthenticationError, AuthorizationError, BusyLoadingError):
            raise
        except (redis.RedisError, OSError) as error:
            raise NotSentError(str(error)) from error
        finally:
            self._connecting = False

    def check_health(self) -> None:
        """The ping of an idle connection. Where it fails, nothing was sent yet, so a fresh connection is safe."""
        try:
            super().check_health()  # type: ignore[misc]
        except (redis.ConnectionError, redis.TimeoutError) as error:
            if self._connecting:
                raise
            self.disconnect()  # type: ignore[attr-defined]
            if isinstance(error, redis.TimeoutError):  # another wait would exceed the operation timeout
                raise NotSentError(str(error)) from error
            self.connect()


class _TcpConnection(_ConnectFirst, Connection):
    pass


class _TlsConnection(_ConnectFirst, SSLConnection):
    pass


class _UnixConnection(_ConnectFirst, UnixDomainSocketConnection):
    pass


_CONNECTIONS: dict[str, type[Any]] = {"redis": _TcpConnection, "rediss": _TlsConnection, "unix": _UnixConnection}


_clients: WeakSet[RedisClient] = WeakSet()


def _after_fork() -> None:
    """A forked child has none of the threads whose commands ran: it must not wait for them.

    Nor has it any use for the parent's connections. They are closed here, which the parent does not notice; the driver merely
    forgets them, and the interpreter complains about open sockets at the end of the child.
    """
    for client in _clients:
        client._running.clear()
        for inherited in getattr(client._pool, "_available_connections", ()):
            inherited.disconnect()


os.register_at_fork(after_in_child=_after_fork)


class RedisClient:
    """Connections to one Redis server, for commands (`call`) and for subscriptions (`dedicated_connection`).

    ``connect_timeout`` bounds the making of a connection, ``operation_timeout`` each wait for an answer. (A server that
    accepts a connection and then says nothing is noticed after ``operation_timeout``; name resolution has no limit here.)
    After a fork the child makes its own connections.
    """

    def __init__(self, url: str, *, connect_timeout: float = 5.0, operation_timeout: float = 5.0) -> None:
        self.shown_url = hide_secrets(url)
        self.connect_timeout = connect_timeout
        self.operation_timeout = operation_timeout
        self._pool = _pool(url, self.shown_url, connect_timeout, operation_timeout)
        self._redis = redis.Redis(connection_pool=self._pool)
        self._closed = False
        self._running: set[object] = set()
        _clients.add(self)

    def call(self, command: Callable[[redis.Redis], T], *, repeatable: bool) -> T:
        """Run ``command(client)``; redis-py's errors come out as ours.

        ``repeatable`` says that a second execution does no harm (reads): then a connection that breaks is tried once more,
        and failing means *unavailable* or *timed out*. Otherwise a command that may have been sent is *indeterminate*.
        """
        return self._while_open(lambda: self._attempt(command, repeatable))

    def execute(self, *command: str | bytes | int, repeatable: bool) -> Any:
        """Send one command and return the server's plain answer; `call` for the rest.

        The short way to the wire: without redis-py's retries and conversions, which nothing here uses, it costs less than
        ``redis.Redis`` itself, and that pays for the checks of an adapter.
        """
        return self.call(lambda _: self._exchange(command), repeatable=repeatable)

    def _exchange(self, command: tuple[str | bytes | int, ...]) -> Any:
        connection = self._pool.get_connection()
        try:
            connection.send_command(*command)  # type: ignore[no-untyped-call]
            return connection.read_response()
        except ResponseError:
            raise  # an answer like any other: the connection is fine
        except BaseException:
            # Interrupted in between, say: an answer that is still to come must not meet the next command.
            connection.disconnect()  # type: ignore[no-untyped-call]
            raise
        finally:
            self._pool.release(connection)

    def ping(self) -> bool:
        """Whether the server answers now. Never raises for a server that does not."""
        try:
            return bool(self.call(lambda client: client.ping(), repeatable=True))
        except BackendError:
            return False

    def dedicated_connection(self) -> Any:
        """A new connection of its own, not from the pool; the caller disconnects it. Errors are ours."""
        return self._while_open(self._new_connection)

    def check_open(self) -> None:
        """Raise `ClosedError` after `close`."""
        if self._closed:
            raise ClosedError(f"the connection to {self.shown_url} was disconnected and stays so")

    def close(self) -> None:
        """Wait for the running commands, each of which is bounded in time, then close every socket. Again: does nothing."""
        self._closed = True
        deadline = time.monotonic() + self.connect_timeout + self.operation_timeout
        while self._running and time.monotonic() < deadline:
            time.sleep(0.002)
        # What still runs (a server that drips) keeps its socket, and closes it as it ends: see `_while_open`.
        self._pool.disconnect(inuse_connections=False)

    def _while_open(self, work: Callable[[], T]) -> T:
        """Run ``work`` so that `close` waits for it. A set and no lock: an interruption at any point leaves it right."""
        mark = object()
        try:
            self._running.add(mark)
            self.check_open()
            return work()
        finally:
            self._running.discard(mark)
            if self._closed:
                self._pool.disconnect(inuse_connections=False)

    def _attempt(self, command: Callable[[redis.Redis], T], repeatable: bool) -> T:
        try:
            return command(self._redis)
        except redis.ConnectionError as error:
            if not repeatable or isinstance(error, NotSentError | AuthenticationError):
                raise self._translated(error, repeatable) from error
        except redis.RedisError as error:
            raise self._translated(error, repeatable) from error
        try:
            return command(self._redis)
        except redis.RedisError as error:
            raise self._translated(error, repeatable) from error

    def _new_connection(self) -> Any:
        connection = self._pool.connection_class(**self._pool.connection_kwargs)
        try:
            connection.connect()
        except redis.RedisError as error:
            connection.disconnect()
            raise self._translated(error, repeatable=True) from error
        return connection

    def _translated(self, error: redis.RedisError, repeatable: bool) -> BackendError:
        return translated(error, self.shown_url, self.operation_timeout, repeatable=repeatable)


def translated(error: redis.RedisError, shown_url: str, operation_timeout: float, *, repeatable: bool) -> BackendError:
    """The error of ours that says what a caller can do about a redis-py error."""
    where = f"Redis at {shown_url}"
    match error:
        case AuthenticationError() | AuthorizationError() | NoPermissionError():
            return UnavailableError(
                f"{where} refused the user name or password, or lacks a permission for them: {error}"
            )
        case NotSentError():
            return UnavailableError(f"{where} cannot be reached: {error}")
        case BusyLoadingError() | OutOfMemoryError() | ReadOnlyError():
            return UnavailableError(f"{where} cannot serve now, nothing was applied: {error}")
        case redis.TimeoutError() if repeatable:
            return OperationTimeoutError(f"{where} did not answer within {operation_timeout:g} s")
        case redis.TimeoutError():
            return IndeterminateError(
                f"{where} did not answer within {operation_timeout:g} s; the write may be applied or not"
            )
        case redis.ConnectionError() if repeatable:
            return UnavailableError(f"the connection to {where} broke: {error}")
        case redis.ConnectionError():
            return IndeterminateError(
                f"the connection to {where} broke during a write, which may be applied or not: {error}"
            )
        case ResponseError() | redis.DataError():
            return RejectedError(f"{where} rejected the command: {error}")
    return IndeterminateError(f"{where} gave an answer that makes no sense: {error}")


def _pool(url: str, shown_url: str, connect_timeout: float, operation_timeout: float) -> redis.ConnectionPool:
    try:
        parts = urlsplit(url)
        if "@" in parts.path + parts.fragment:
            raise ValueError("a password that was not encoded: a part of it would be taken for the host")
        connection_class = _CONNECTIONS[parts.scheme]
        pool = redis.ConnectionPool.from_url(
            url,
            connection_class=connection_class,
            socket_connect_timeout=connect_timeout,
            socket_timeout=operation_timeout,
            socket_keepalive=True,
            max_connections=2**31,
        )
        # Parts of the URL's query would win over arguments; these must hold. Protocol 2 needs no greeting round trip.
        pool.connection_kwargs.update(
            retry=Retry(NoBackoff(), 0),
            retry_on_timeout=False,
            retry_on_error=[],
            protocol=2,
            decode_responses=False,
            health_check_interval=IDLE_CHECK_SECONDS,
        )
        if connection_class is _UnixConnection:
            pool.connection_kwargs.pop("socket_keepalive", None)
        pool.connection_class(**pool.connection_kwargs)
    except (KeyError, ValueError, TypeError, redis.RedisError):
        # The driver's text can quote parts of the URL, and so a password: the cause is left out on purpose.
        raise ConfigurationError(
            f"{shown_url} is no usable Redis URL; write redis://HOST:PORT/DB, rediss://... for TLS or unix:///PATH.sock, "
            "and in a password / as %2F, @ as %40 and # as %23"
        ) from None
    return pool
