"""The client of a Redis cluster: each command goes to the master of its key, also while slots move and masters fall.

Why not redis-py's RedisCluster (8.1): it connects when it is made; when a node does not answer, it asks all others one after
the other, each with the full time limit and behind one lock (measured with six silent nodes and a limit of one second: a write
takes 7 s, five threads at once up to 31 s); the error of that then stands where it should say that a write may have been applied;
and `close` leaves connections open. Connections, protocol, slots and redirections are redis-py's here, too. What is ours is
the loop around them, which has a deadline.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import redis
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    MovedError,
    ReadOnlyError,
    TryAgainError,
)

from stackproof.adapters.redis_client import RedisClient, connected
from stackproof.adapters.redis_connections import Address, Command, ShortPool, exchange, read_address
from stackproof.adapters.redis_errors import NotSentError
from stackproof.adapters.redis_topology import Topology, slot_of

T = TypeVar("T")

PAUSES = (0.02, 0.2)
"""Seconds between two attempts while the cluster sorts itself out: the first, and the longest."""
FREE_REDIRECTIONS = 3
"""So many redirections of one command are followed at once; after them nodes disagree, and there is a pause before each."""

_NOT_APPLIED = (NotSentError, ClusterDownError, TryAgainError, BusyLoadingError, ReadOnlyError)
"""Answers that a node gives while the cluster changes, and no answer at all: the same command may be sent again."""


def open_client(
    url: str,
    *,
    connect_timeout: float,
    operation_timeout: float,
    ca_file: str = "",
    address_map: str = "",
    cluster: bool = False,
) -> RedisClient:
    """The client for what the URL names: one server, or a cluster. Nothing is connected yet."""
    address = read_address(
        url,
        connect_timeout=connect_timeout,
        operation_timeout=operation_timeout,
        ca_file=ca_file,
        address_map=address_map,
        cluster=cluster,
    )
    kind = ClusterClient if address.cluster else RedisClient
    return kind(address, connect_timeout=connect_timeout, operation_timeout=operation_timeout)


class ClusterClient(RedisClient):
    """Connections to the masters of a cluster. Commands have one key (or several of one slot), or none.

    **Time.** While nothing can have been applied (a node cannot be reached, slots move, a failover is under way), a command is
    tried again, on the node that is then the right one, until ``operation_timeout`` is over. Then it is *unavailable*. The
    answer of the last attempt may take another ``operation_timeout``. What was sent and not answered is not sent again, except
    reads, once.

    **Reads** go to masters only: a replica lags.
    """

    key_prefix = "{}"
    """An empty hash tag: so the whole name decides about the slot, whatever braces a namespace or a key contains."""

    def nodes(self) -> list[Address]:
        return self._now(self._topology.nodes)

    def _begin(self) -> None:
        self._topology = Topology(self._address)

    def _pools(self) -> list[ShortPool]:
        return self._topology.pools()

    def _exchange(self, command: Command) -> Any:
        return self._at_owner(slot_of(command), lambda node, asking: exchange(node, command, asking=asking))

    def _new_connection(self, name: bytes) -> Any:
        return self._at_owner(key_slot(name), lambda pool, _asking: connected(pool))

    def _scanned(self, pattern: str) -> Iterator[list[bytes]]:
        for node in self._now(self._topology.masters):
            yield from self._scan(self._topology.pool(node), pattern)

    def _unlink(self, names: list[bytes]) -> None:
        of_one_slot: dict[int, list[bytes]] = {}
        for name in names:
            of_one_slot.setdefault(key_slot(name), []).append(name)
        for several in of_one_slot.values():
            super()._unlink(several)

    def _now(self, asked: Callable[[float], T]) -> T:
        """What the cluster says of itself at this moment."""
        work = lambda: asked(time.monotonic() + self.operation_timeout)  # noqa: E731
        return self._while_open(lambda: self._attempt(work, repeatable=True))

    def _at_owner(self, slot: int, work: Callable[[ShortPool, bool], T]) -> T:
        """Do it where the slot is, following redirections, until it is done or the time is over."""
        patience = _Patience(self.operation_timeout)
        node: Address | None = None
        asking = False
        while True:
            try:
                node = node or self._topology.owner(slot, patience.deadline)
                return work(self._topology.pool(node), asking)
            except AskError as error:
                asking = not isinstance(error, MovedError)
                node = _redirected(error, node)
                if not asking:
                    self._topology.moved(slot, node)
                patience.redirected(error)
            except _NOT_APPLIED as error:
                self._topology.doubt(node)
                node, asking = None, False
                patience.pause(error)
            except (AuthenticationError, AuthorizationError):
                raise
            except (redis.ConnectionError, redis.TimeoutError):
                self._topology.doubt(node)
                raise


class _Patience:
    """How long one command has been under way, and how long it waits before its next attempt."""

    def __init__(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds
        self._pause, self._longest = PAUSES
        self._redirections = 0
        self._told: redis.RedisError | None = None

    def redirected(self, error: redis.RedisError) -> None:
        self._redirections += 1
        if self._redirections > FREE_REDIRECTIONS:
            self.pause(error)

    def pause(self, error: redis.RedisError) -> None:
        """Wait a little, or raise the error where there is no time left, or no hope.

        What a node said to the command tells more than that nobody could be asked for another node after that.
        """
        if not isinstance(error, NotSentError):
            self._told = error
        if getattr(error, "lasting", False) or time.monotonic() + self._pause > self.deadline:
            raise self._told or error
        time.sleep(self._pause)
        self._pause = min(self._pause * 2, self._longest)


def _redirected(error: AskError, asked: Address | None) -> Address:
    """Where a redirection leads; without a host, to another port of the one that was asked."""
    return str(error.host) or (asked[0] if asked else ""), int(error.port)
