"""Connections to PostgreSQL for every adapter that is built on it: a bounded pool that recovers.

Why not psycopg_pool: it connects in background threads. So a refused connection shows up only as a pool timeout,
a stale connection costs a back-off of about a second, and each pool owns four threads. Here the calling thread
connects, the real error is raised at once, and nothing runs between calls.
"""

from __future__ import annotations

import math
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, TypeAlias, TypeVar

import psycopg
from psycopg import conninfo, errors, sql

from stackproof.adapters.postgres_errors import BoundedConnection, first_line, translated
from stackproof.adapters.postgres_schema import Migration, migrate, schema_name
from stackproof.adapters.postgres_tls import VERIFIED, PostgresTls, hint
from stackproof.interfaces import (
    BackendError,
    ClosedError,
    ConfigurationError,
    OperationTimeoutError,
    UnavailableError,
)

T = TypeVar("T")

_RETRIES = 3
"""How often a statement is repeated that the server rolled back for a reason which does not come from its input."""

# Errors after which the same statement may be repeated at once: the server has rolled it back.
_ROLLED_BACK = (errors.SerializationFailure, errors.DeadlockDetected)
# The tables went away since this pool looked (the namespace was dropped): migrate and repeat.
_TABLES_GONE = (errors.UndefinedTable, errors.InvalidSchemaName)
Connection: TypeAlias = BoundedConnection


class _Member:
    """A connection of the pool, and the one cursor for its short statements: making one costs more than using it.

    The connection does not know the cursor: in a circle of references it would outlive what dropped it.
    """

    __slots__ = ("connection", "cursor")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.cursor = connection.cursor(binary=True)


class _Permit:
    """The right to open one connection, as long as this object lives."""

    __slots__ = ("__weakref__",)


class _Waiter:
    """Somebody who waits for a connection. The lock is held until there is something to tell."""

    __slots__ = ("_told", "member", "served")

    def __init__(self) -> None:
        self.member: _Member | None = None
        self.served = False
        """It has taken the connection that was handed to it, and stands in no line any more."""
        self._told = threading.Lock()
        self._told.acquire()

    def tell(self, member: _Member | None) -> None:
        """Hand over a connection; without one, have it look whether another may be opened. Once for each `wait`."""
        self.member = member
        self._told.release()

    def wait(self, seconds: float) -> bool:
        """Whether it was told something within that time."""
        return self._told.acquire(timeout=seconds)


_pools: weakref.WeakSet[PostgresPool] = weakref.WeakSet()
_of_the_parent: list[Connection] = []
"""In a forked child: kept, so that nothing finalises them."""


class PostgresPool:
    """A bounded set of connections to one database, all set to one schema.

    **Time.** The server cancels a statement at 90 % of ``operation_timeout`` (so its exact answer, *rolled back*,
    usually comes first); the client gives up at ``operation_timeout``, waiting for a free connection included.
    Connecting takes at most ``connect_timeout``, which libpq counts in whole seconds from 2.

    **Recovery.** An idle connection that the server has closed is noticed before use (two non-blocking reads, no round
    trip) and replaced, so the first call after a restart works. What is in use is known by weak references only, so an
    exception that strikes between any two steps (a signal, a timeout of gevent) takes away no connection for good.

    **Forks.** A forked child begins without connections, and leaves those of its parent alone.

    **Session.** Each connection has the schema as its search path, UTC, and the settings in ``session``. So a pooler
    in between (PgBouncer) must pool sessions, not transactions.

    **TLS.** Certificates are verified unless the URL or ``tls`` says otherwise: see `PostgresTls`.

    **Namespaces.** Each (component, namespace) is a schema of its own; the empty namespace is the schema
    ``stackproof``, which all components share.
    """

    def __init__(
        self,
        url: str,
        *,
        component: str,
        migrations: Sequence[Migration] = (),
        namespace: str = "",
        connect_timeout: float = 5.0,
        operation_timeout: float = 5.0,
        max_connections: int = 16,
        session: Mapping[str, str] | None = None,
        tls: PostgresTls = VERIFIED,
    ) -> None:
        self._conninfo, self.server = _parse(url, connect_timeout, operation_timeout, tls)
        self.schema = schema_name(component, namespace)
        self.operation_timeout = operation_timeout
        self._component = component
        self._namespace = namespace
        self._migrations = tuple(sorted(migrations, key=lambda step: step.version))
        self._migrated = False
        self._max_connections = max_connections
        self._session = dict(session or {})
        self._closed = False
        self._begin_empty()
        _pools.add(self)

    def _begin_empty(self) -> None:
        """Without connections, and with locks that nobody holds."""
        self._migrating = threading.Lock()
        self._changed = threading.Condition()
        self._idle: list[_Member] = []
        self._open: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._opening: weakref.WeakSet[_Permit] = weakref.WeakSet()
        self._waiting: deque[_Waiter] = deque()

    def leave_to_parent(self) -> None:
        """In a forked child: make connections of one's own. Those of the parent are not even closed, for closing one says
        good-bye to the server on the parent's behalf."""
        _of_the_parent.extend(self._open)
        self._begin_empty()

    def run(self, call: Callable[[Connection], T], *, writes: bool, timeout: float | None = None) -> T:
        """``call`` with a connection (autocommit, its tables present), with errors translated.

        ``writes`` says whether a lost answer leaves the outcome open. ``call`` may run again when the server rolled it
        back. A ``timeout`` longer than the operation timeout moves the client's limit only.
        """
        return self._run(lambda member: call(member.connection), writes, timeout)

    def execute(self, statement: bytes, parameters: Sequence[Any]) -> int:
        """One prepared statement that writes; the number of its rows."""
        return self._run(
            lambda member: member.cursor.execute(statement, parameters, prepare=True).rowcount, writes=True
        )

    def fetch(self, statement: bytes, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The rows of one prepared statement that reads."""
        return self._run(
            lambda member: member.cursor.execute(statement, parameters, prepare=True).fetchall(), writes=False
        )

    def _run(self, call: Callable[[_Member], T], writes: bool, timeout: float | None = None) -> T:
        deadline = monotonic() + (timeout or self.operation_timeout)
        for attempt in range(1 + _RETRIES):
            try:
                if not self._migrated:
                    self._migrate(deadline)
                return self._attempt(call, deadline)
            except _TABLES_GONE as error:
                self._migrated = False
                if attempt == _RETRIES:
                    raise translated(error, self.server, writes) from error
            except _ROLLED_BACK as error:
                if attempt == _RETRIES or monotonic() > deadline:
                    raise translated(error, self.server, writes) from error
            except psycopg.Error as error:
                raise translated(error, self.server, writes) from error
        raise AssertionError("the last attempt returns or raises")

    def require_open(self) -> None:
        """Raise `ClosedError` after `close`: for what needs no server, but must be refused all the same."""
        if self._closed:
            raise ClosedError(f"the adapter of {self.server} was disconnected")

    def ping(self) -> bool:
        """Whether the server answers within the operation timeout; never raises."""
        try:
            self._attempt(lambda member: member.cursor.execute("SELECT 1"), monotonic() + self.operation_timeout)
        except (BackendError, psycopg.Error):
            return False
        return True

    def drop_namespace(self) -> None:
        """Remove the schema of a non-empty namespace and all in it."""
        if not self._namespace:
            raise ConfigurationError("the empty namespace holds real data; it is not dropped as a whole")
        statement = sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(self.schema))
        self._migrated = True  # there is no point in creating what goes at once
        self.run(lambda connection: connection.execute(statement), writes=True)
        self._migrated = False

    def close(self) -> None:
        """Close every connection; those in use are waited for, as long as an operation can last. Twice is fine."""
        self._closed = True
        self._close_idle()
        while self._waiting:
            with suppress(IndexError):
                self._waiting.popleft().tell(None)
        deadline = monotonic() + self.operation_timeout
        with self._changed:
            self._changed.notify_all()
            while (self._open or self._opening) and self._wait(deadline):
                pass

    def _attempt(self, call: Callable[[_Member], T], deadline: float) -> T:
        member = self._take(deadline)
        try:
            member.connection.deadline = deadline
            return call(member)
        finally:
            self._give_back(member)

    def _take(self, deadline: float) -> _Member:
        while True:
            try:
                member = self._idle.pop()  # the one that was used last; atomic, so the usual way needs no lock
            except IndexError:
                found = self._permit() or self._wait_for_one(deadline)
                if isinstance(found, _Permit):
                    return self._connect(found)
                member = found
            if _still_open(member.connection):
                return member
            self._drop(member.connection)

    def _permit(self) -> _Permit | None:
        """The right to open a connection; None where there are as many as may be."""
        if len(self._open) + len(self._opening) >= self._max_connections:
            return None  # most who come here have to wait: they need no lock to know it
        with self._changed:
            if self._closed or len(self._open) + len(self._opening) >= self._max_connections:
                return None
            permit = _Permit()
            self._opening.add(permit)
            return permit

    def _wait_for_one(self, deadline: float) -> _Member | _Permit:
        """A connection that somebody gives back, or the right to open one: whoever has waited longest gets it."""
        waiter = _Waiter()
        self._waiting.append(waiter)
        try:
            while not self._closed:
                self._hand_over()  # what was given back before we stood there
                # A moment at most: what an interruption dropped gives no notice.
                told = waiter.wait(min(0.1, max(0.0, deadline - monotonic())))
                if waiter.member is not None:
                    waiter.served = True
                    return waiter.member
                if permit := self._permit():
                    return permit
                if told:
                    self._waiting.appendleft(waiter)
                elif monotonic() >= deadline:
                    raise OperationTimeoutError(f"no connection to {self.server} became free within the time limit")
        finally:
            if not waiter.served:
                self._leave(waiter)
        raise ClosedError(f"the adapter of {self.server} was disconnected")

    def _leave(self, waiter: _Waiter) -> None:
        """Nothing is handed to it any more; what was handed at the last moment goes to somebody else."""
        with suppress(ValueError):
            self._waiting.remove(waiter)
        if waiter.member is not None:
            self._idle.append(waiter.member)
            self._hand_over()

    def _hand_over(self) -> None:
        """Idle connections to those who wait. Each step is atomic, and whoever changes one of the two calls this afterwards."""
        while self._waiting:
            try:
                member = self._idle.pop()
            except IndexError:
                return
            try:
                waiter = self._waiting.popleft()
            except IndexError:  # it left meanwhile
                self._idle.append(member)
            else:
                waiter.tell(member)

    def _wait(self, deadline: float) -> bool:
        """Wait for a change, or a moment: what an interruption dropped gives no notice. False when it is too late."""
        self._changed.wait(min(0.1, max(0.0, deadline - monotonic())))
        return monotonic() < deadline

    def _connect(self, permit: _Permit) -> _Member:
        try:
            connection = BoundedConnection.connect(self._conninfo, autocommit=True)
            connection.deadline = monotonic() + self.operation_timeout
            connection.execute(self._session_settings())
            self._open.add(connection)
        except psycopg.Error as error:
            reason = first_line(error)
            raise UnavailableError(f"cannot connect to {self.server}: {reason}{hint(reason)}") from error
        finally:
            self._opening.discard(permit)
        return _Member(connection)

    def _give_back(self, member: _Member) -> None:
        if member.connection.pgconn.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            self._drop(member.connection)
            return
        self._idle.append(member)
        self._hand_over()
        if self._closed:
            self._close_idle()

    def _close_idle(self) -> None:
        while self._idle:
            with suppress(IndexError):  # another thread closes them, too
                self._drop(self._idle.pop().connection)

    def _drop(self, connection: Connection) -> None:
        connection.close()
        self._open.discard(connection)
        with suppress(IndexError):  # who has waited longest may open another one
            self._waiting.popleft().tell(None)
        with self._changed:
            self._changed.notify_all()

    def _session_settings(self) -> sql.Composed:
        # Sent as statements: a connection pooler such as PgBouncer may drop or refuse start-up options.
        settings: dict[str, str | int] = {
            "statement_timeout": max(1, int(self.operation_timeout * 900)),
            "timezone": "UTC",
            "default_transaction_isolation": "read committed",
            **self._session,
        }
        path = sql.SQL("SET search_path TO {}").format(sql.Identifier(self.schema))
        rest = [sql.SQL("SET {} TO {}").format(sql.Identifier(name), value) for name, value in settings.items()]
        return sql.SQL("; ").join([path, *rest])

    def _migrate(self, deadline: float) -> None:
        if not self._migrating.acquire(timeout=max(0.0, deadline - monotonic())):
            raise OperationTimeoutError(f"the tables at {self.server} were not ready within the time limit")
        try:
            if not self._migrated:
                self._attempt(
                    lambda member: migrate(member.connection, self.schema, self._component, self._migrations), deadline
                )
                self._migrated = True
        finally:
            self._migrating.release()


def _parse(url: str, connect_timeout: float, operation_timeout: float, tls: PostgresTls) -> tuple[str, str]:
    """The connection string with our time limits, and a name of the server without secrets."""
    parts = _parts(url)
    limits: dict[str, str | int] = {
        "connect_timeout": max(2, math.ceil(connect_timeout)),
        "tcp_user_timeout": max(1, int(operation_timeout * 1000)),
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "client_encoding": "UTF8",
        "fallback_application_name": "stackproof",
    }
    server = f"postgresql://{parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"
    return conninfo.make_conninfo(url, **limits, **tls.options(parts)), server


def _parts(url: str) -> dict[str, Any]:
    try:
        parts = conninfo.conninfo_to_dict(url)
    except psycopg.Error:
        # The driver's message may quote a part of the password, so it is not passed on.
        raise ConfigurationError(
            "the PostgreSQL URL cannot be read; it looks like postgresql://user:password@host:5432/database"
        ) from None
    ports = str(parts.get("port") or "0").split(",")
    if "@" in str(parts.get("host", "")) or not all(port.isdecimal() for port in ports if port) or _falls_apart(url):
        # A part of the password would be taken for a host, a port or a database, and every error would name it.
        raise ConfigurationError(
            "the PostgreSQL URL cannot be read: in a user name or password, write / as %2F, @ as %40 and # as %23"
        )
    return parts


def _falls_apart(url: str) -> bool:
    """Whether the user information of a URL holds a ``/`` that was not encoded: then an @ comes after it."""
    _, slashes, rest = url.partition("://")
    return bool(slashes) and "@" in rest.partition("?")[0].partition("/")[2]


def _still_open(connection: Connection) -> bool:
    """Whether an idle connection still holds, as far as the client's socket knows.

    Two reads: the first may yield the server's parting words, the second then meets the end of the stream.
    """
    try:
        connection.pgconn.consume_input()
        connection.pgconn.consume_input()
    except psycopg.OperationalError:
        return False
    return connection.pgconn.status == psycopg.pq.ConnStatus.OK


def _after_fork() -> None:
    for pool in list(_pools):
        pool.leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
