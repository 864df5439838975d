"""What a forked child does with the CQL connections that it inherited: it lets go of them without a word to the server.

The driver keeps threads (an event loop for the process, a scheduler and a heartbeat for each cluster), none of which exists in
the child, and locks, any of which one of them may have held. The driver's own way after a fork is to close the inherited
connections under these locks, which can wait for ever. Here the child gets a new event loop and makes new connections.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from cassandra.cluster import Cluster, Session

try:
    from cassandra.io import libevreactor
except ImportError:  # a wheel without libev: then the driver uses asyncio
    libevreactor = None

_inherited: list[object] = []
"""Kept for ever: what is freed would close and lock."""


def forget_event_loop() -> None:
    """In a forked child: make the driver start an event loop of its own."""
    if libevreactor is not None and libevreactor._global_loop is not None:
        _inherited.append(libevreactor._global_loop)
        libevreactor._global_loop = None


def forget(cluster: Cluster, session: Session) -> None:
    """In a forked child: close the inherited sockets, which the parent does not notice, and lock nothing."""
    _inherited.append((cluster, session))
    for connection in connections_of(cluster, session):
        connection._socket.close()
    # `Session.__del__` shuts down, as the interpreter's end does with clusters: both find that it is done.
    session._lock, session.is_shutdown = threading.RLock(), True
    cluster._lock, cluster.is_shutdown = threading.RLock(), True


def connections_of(cluster: Cluster, session: Session) -> Iterable[Any]:
    """All open connections, that of the control channel included."""
    control = getattr(cluster.control_connection, "_connection", None)
    found = [] if control is None else [control]
    for pool in list(session._pools.values()):
        found += list(getattr(pool, "_connections", {}).values())
    return [connection for connection in found if getattr(connection, "_socket", None) is not None]
