"""A CQL cluster as the adapters need it: connected on first use, bounded in time, no hidden repetition, errors in our words."""

from __future__ import annotations

import itertools
import logging
import os
import random
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

from cassandra import ConsistencyLevel, DriverException
from cassandra.auth import AuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable, Session
from cassandra.connection import ConnectionException
from cassandra.policies import (
    ConstantReconnectionPolicy,
    DCAwareRoundRobinPolicy,
    LoadBalancingPolicy,
    RoundRobinPolicy,
    TokenAwarePolicy,
)
from cassandra.protocol import ErrorMessage
from cassandra.query import tuple_factory

from stackproof.interfaces import BackendError, ConfigurationError, Done, IndeterminateError

from .cql_addresses import Addresses, NodeFactory
from .cql_deferred import Pending
from .cql_errors import RetryReadsOnce, is_broken_connection, is_refusal, translated
from .cql_fork import connections_of, forget, forget_event_loop
from .native_threads import require_native_threads
from .running_calls import RunningCalls

DRIVER = "the CQL driver (scylla-driver)"
PROTOCOL = 4
"""What Cassandra since 2.2, ScyllaDB and Amazon Keyspaces speak. Without it the driver tries one after the other."""
CONSISTENCY: int = ConsistencyLevel.LOCAL_QUORUM
"""Of reads and writes: a majority of the replicas in the local datacenter."""
PAGE_ROWS = 5_000
"""Rows that a server is asked for at once."""
RECONNECT_SECONDS = 0.5
_LEAST_SECONDS = 0.05
ATTEMPTS = 12
"""How often a statement that is refused for the moment is sent at most, if the operation timeout allows it."""
FIRST_PAUSE = 0.02
LONGEST_PAUSE = 1.0
"""Seconds. Pauses double from the first to the longest, each shortened by a part that is drawn."""
DRIVER_ERRORS = (DriverException, NoHostAvailable, ConnectionException, ErrorMessage, OSError)

Rows = Sequence[tuple[Any, ...]]

# Where logging is not configured, Python would print the driver's warnings: one for each connection that breaks.
logging.getLogger("cassandra").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """A statement with its promises: which are what the client decides by. Each is made once, and prepared once."""

    cql: str
    writes: bool = False
    """It changes something. All writes of ours do the same when they are sent twice."""
    conditional: bool = False
    """It is a lightweight transaction (``IF ...``)."""


_ALIVE = Statement("SELECT key FROM system.local")


@dataclass(frozen=True, slots=True)
class Access:
    """How a cluster is reached."""

    addresses: Addresses
    technology: str
    datacenter: str = ""
    auth: AuthProvider | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    connect_timeout: float = 5.0
    operation_timeout: float = 5.0
    managed: bool = False
    """A service behind one name: there is no ring of tokens to look at, and serial consistency is its own matter."""

    def balancing(self) -> LoadBalancingPolicy:
        """Which node is asked: one that has the row, of the local datacenter."""
        if self.managed:
            return RoundRobinPolicy()
        return TokenAwarePolicy(DCAwareRoundRobinPolicy(self.datacenter))


class _BoundedCluster(Cluster):  # type: ignore[misc]
    """The driver tries every contact point, and then all of them again, each with the full time limit: here they share one."""

    _until: float | None = None
    """When the first connection has to be there; None once it is."""
    _limit = 5.0

    @property
    def connect_timeout(self) -> float:
        """Seconds for the connection that is made next."""
        if self._until is None:
            return self._limit
        share = self._limit / len(self.contact_points)
        return max(_LEAST_SECONDS, min(share, self._until - time.monotonic()))

    @connect_timeout.setter
    def connect_timeout(self, seconds: float) -> None:
        self._limit = seconds

    def connect_in_time(self) -> Session:
        """Connect within one time limit in all."""
        self._until = time.monotonic() + self._limit
        session = self.connect()
        self._until = None
        return session


@dataclass(slots=True)
class _Link:
    """The driver's objects, and the statements that were prepared with them."""

    cluster: Cluster
    session: Session
    prepared: dict[Statement, Any] = field(default_factory=dict)


_clients: WeakSet[CqlClient] = WeakSet()


def _after_fork() -> None:
    forget_event_loop()
    for client in list(_clients):
        client.after_fork()


os.register_at_fork(after_in_child=_after_fork)


class CqlClient:
    """One driver session, made on first use.

    ``connect_timeout`` bounds the first connection, whatever the number of contact points, and each later one;
    ``operation_timeout`` bounds each answer. The driver tells a dead node by
    its heartbeats, and tries it again every half second. After a fork the child connects anew.
    """

    def __init__(self, access: Access) -> None:
        require_native_threads(DRIVER)
        self.access = access
        self.shown = f"{access.technology} at {access.addresses}"
        self._link: _Link | None = None
        self._connecting = threading.Lock()
        self._failure: tuple[float, Exception] | None = None
        self._running = RunningCalls(self.shown)
        self._pending: set[Pending] = set()
        _clients.add(self)

    # What adapters call

    @contextmanager
    def operation(self) -> Iterator[None]:
        """One operation of an adapter, of any number of statements: `close` waits for it."""
        mark = object()
        try:
            self._running.add(mark)
            self._running.check_open()
            yield
        finally:
            self._running.discard(mark)

    def read(self, statement: Statement, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """All rows, over all of the server's pages, empty ones among them; each page has the operation timeout."""
        state: bytes | None = None
        while True:
            result = self._patiently(statement, parameters, state)
            yield from result.current_rows
            state = result.paging_state
            if state is None:
                return

    def write(self, statement: Statement, parameters: Sequence[Any] = ()) -> None:
        """Send a write that does the same when it is sent twice."""
        self._patiently(statement, parameters)

    def claim(self, statement: Statement, parameters: Sequence[Any]) -> dict[str, Any] | None:
        """Send an ``INSERT ... IF NOT EXISTS``: None where it was applied, else the row that was there already."""
        result = self._patiently(statement, parameters)
        row = result.current_rows[0]
        return None if row[0] else dict(zip(result.column_names, row, strict=True))  # [applied] is the first column

    def begin(self, done: Done) -> Pending:
        """A deferred operation begins: `close` waits for it, and ends it if nobody else does."""
        pending = Pending(done, self._pending)
        if self._running.closed:
            pending.forget()
            raise self._running.closed_error()
        return pending

    def prepare(self, *statements: Statement) -> None:
        """Have them ready, so that `has_prepared`. Blocks."""
        self._guarded(lambda link: [self._prepared(link, statement) for statement in statements], statements[0])

    def has_prepared(self, statement: Statement) -> bool:
        """Whether there is a connection, and a statement can be sent without waiting for anything."""
        link = self._link
        return link is not None and statement in link.prepared

    def execute_deferred(self, statement: Statement, parameters: Sequence[Any], deadline: float) -> Any:
        """Send a statement of which `has_prepared` was true; the driver's future, and the driver's errors."""
        link = self._linked()
        prepared = link.prepared[statement]
        timeout = max(_LEAST_SECONDS, deadline - time.monotonic())
        return link.session.execute_async(prepared.bind(parameters), timeout=timeout)

    def send_later(self, seconds: float, send: Callable[[], None]) -> bool:
        """Have the driver's event loop call ``send``; false where there is none any more."""
        link = self._link
        if link is None or self._running.closed:
            return False
        link.cluster.connection_class.create_timer(seconds, send)
        return True

    def error_of(self, error: Exception, statement: Statement) -> BackendError:
        """The error of ours for what the driver raised or told about a statement."""
        if isinstance(error, BackendError):
            return error
        ours: BackendError
        if isinstance(error, NoHostAvailable) and self._running.closed:
            ours = self._running.closed_error()
        else:
            ours = translated(error, self.shown, writes=statement.writes, conditional=statement.conditional)
        ours.__cause__ = error
        return ours

    def define(self, cql: str) -> None:
        """Send a statement that changes the schema, and wait until all nodes agree on it."""
        self._guarded(lambda link: link.session.execute(cql), Statement(cql, writes=True))

    def ping(self) -> bool:
        """Whether a node answers now."""
        try:
            with self.operation():
                return bool(list(self.read(_ALIVE)))
        except BackendError:
            return False

    def nodes_in_datacenter(self) -> int:
        """How many nodes the local datacenter has."""
        hosts = self._linked().cluster.metadata.all_hosts()
        return sum(host.datacenter == self.datacenter() for host in hosts)

    def datacenter(self) -> str:
        """The local datacenter: the one that was named, or that of the contact points."""
        if self.access.datacenter:
            return self.access.datacenter
        cluster = self._linked().cluster
        points = cluster.endpoints_resolved
        known = [host for host in cluster.metadata.all_hosts() if host.endpoint in points]
        return str((known or cluster.metadata.all_hosts())[0].datacenter)

    def close(self) -> None:
        """Wait for running operations, each of which is bounded in time, then give back threads and sockets. Again: nothing."""
        self._running.close(self.access.connect_timeout + self.access.operation_timeout, self._pending)
        link, self._link = self._link, None
        if link is not None:
            _shut_down(link)
        for left in list(self._pending):
            left.end(IndeterminateError(f"{self.shown} did not answer before the adapter was disconnected"))

    def after_fork(self) -> None:
        """In a forked child: nothing that the parent's threads held or used is touched."""
        self._connecting, self._failure = threading.Lock(), None
        self._running.forget()
        self._pending = set()
        link, self._link = self._link, None
        if link is not None:
            forget(link.cluster, link.session)

    # How it is done

    def _patiently(self, statement: Statement, parameters: Sequence[Any], state: bytes | None = None) -> Any:
        """Send a statement again, within the operation timeout: at once and once where the connection broke under it (of reads
        the driver itself takes care), after pauses where the server refused for the moment.

        What may be applied after one attempt may be so after the next one fails, whatever that says.
        """
        deadline = time.monotonic() + self.access.operation_timeout
        doubt: BackendError | None = None
        for attempt in itertools.count():
            try:
                return self._run(statement, parameters, state, max(_LEAST_SECONDS, deadline - time.monotonic()))
            except BackendError as error:
                doubt = doubt or (error if isinstance(error, IndeterminateError) else None)
                pause = self.pause_after(error.__cause__, attempt, statement)
                if pause is None or time.monotonic() + pause >= deadline:
                    if doubt is None or doubt is error:
                        raise
                    raise doubt from error.__cause__
            time.sleep(pause)
        raise AssertionError("unreachable")

    def pause_after(self, cause: BaseException | None, attempt: int, statement: Statement) -> float | None:
        """Seconds until a statement is sent again; None: it is not."""
        if attempt == 0 and statement.writes and is_broken_connection(cause):
            return 0.0
        if attempt < ATTEMPTS - 1 and is_refusal(cause, self.access.managed):
            longest = min(LONGEST_PAUSE, FIRST_PAUSE * float(2**attempt))
            return random.uniform(0.5, 1.0) * longest  # noqa: S311 - jitter
        return None

    def _run(self, statement: Statement, parameters: Sequence[Any], state: bytes | None, timeout: float) -> Any:
        def execute(link: _Link) -> Any:
            prepared = self._prepared(link, statement)
            future = link.session.execute_async(prepared.bind(parameters), timeout=timeout, paging_state=state)
            return future.result()

        return self._guarded(execute, statement)

    def _guarded(self, work: Any, statement: Statement) -> Any:
        link = self._linked()
        try:
            return work(link)
        except BackendError:  # of a preparation; some of ours are `OSError`, too
            raise
        except DRIVER_ERRORS as error:
            raise self.error_of(error, statement) from error

    def _prepared(self, link: _Link, statement: Statement) -> Any:
        known = link.prepared.get(statement)
        if known is not None:
            return known
        try:
            made = link.session.prepare(statement.cql)
        except DRIVER_ERRORS as error:
            raise translated(error, self.shown, writes=False) from error
        made.consistency_level = CONSISTENCY
        if statement.conditional and not self.access.managed:
            made.serial_consistency_level = ConsistencyLevel.LOCAL_SERIAL
        made.is_idempotent = not statement.writes
        made.fetch_size = PAGE_ROWS
        link.prepared[statement] = made
        return made

    def _linked(self) -> _Link:
        link = self._link
        if link is not None:
            return link
        asked = time.monotonic()
        with self._connecting:
            if self._link is not None:
                return self._link
            if self._failure is not None and self._failure[0] > asked:
                # Others failed while this one waited: a second attempt would make it wait for twice the limit.
                raise translated(self._failure[1], self.shown, writes=False) from self._failure[1]
            self._running.check_open()
            try:
                self._link = self._connect()
            except DRIVER_ERRORS as error:
                self._failure = (time.monotonic(), error)
                raise translated(error, self.shown, writes=False) from error
            return self._link

    def _connect(self) -> _Link:
        require_native_threads(DRIVER)  # somebody may have replaced them meanwhile
        access = self.access
        profile = ExecutionProfile(
            load_balancing_policy=access.balancing(),
            retry_policy=RetryReadsOnce(),
            consistency_level=CONSISTENCY,
            request_timeout=access.operation_timeout,
            row_factory=tuple_factory,
        )
        cluster = _BoundedCluster(
            access.addresses.endpoints(),
            port=access.addresses.contact_points[0].port,
            endpoint_factory=NodeFactory(access.addresses),
            protocol_version=PROTOCOL,
            execution_profiles={EXEC_PROFILE_DEFAULT: profile},
            auth_provider=access.auth,
            ssl_context=access.tls,
            compression=False,
            connect_timeout=access.connect_timeout,
            control_connection_timeout=access.operation_timeout,
            reconnection_policy=ConstantReconnectionPolicy(RECONNECT_SECONDS, max_attempts=None),
            idle_heartbeat_interval=max(1.0, access.operation_timeout),
            idle_heartbeat_timeout=access.operation_timeout,
            schema_metadata_enabled=not access.managed,
            token_metadata_enabled=not access.managed,
        )
        try:
            session = cluster.connect_in_time()
        except BaseException as error:
            cluster.shutdown()
            if isinstance(error, NoHostAvailable):
                self._explain_datacenter(cluster)
            raise
        session._default_timeout = access.operation_timeout  # of `prepare`, which takes no time limit
        return _Link(cluster, session)

    def _explain_datacenter(self, cluster: Cluster) -> None:
        """The driver says "no host available" where the nodes are there, and in another datacenter."""
        known = sorted({str(host.datacenter) for host in cluster.metadata.all_hosts() if host.datacenter})
        if self.access.datacenter and known and self.access.datacenter not in known:
            raise ConfigurationError(
                f"{self.shown} has no datacenter {self.access.datacenter!r}; it has: {', '.join(known)}"
            )


def _shut_down(link: _Link) -> None:
    """End the threads of a cluster and close its sockets, and wait for both: the event loop closes sockets when it gets to it."""
    connections = list(connections_of(link.cluster, link.session))
    link.cluster.shutdown()
    deadline = time.monotonic() + 1.0
    while any(connection._socket.fileno() >= 0 for connection in connections) and time.monotonic() < deadline:
        time.sleep(0.002)
