"""Which node of a Redis cluster serves which slot: asked from the cluster itself, and again when it turns out to be wrong."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import redis
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import AuthenticationError, AuthorizationError, BusyLoadingError, ClusterDownError, ResponseError

from stackproof.adapters.redis_connections import Address, Command, RedisAddress, ShortPool
from stackproof.adapters.redis_errors import NoClusterError, NotSentError

LEAST_WAIT = 0.05
"""Seconds that a node has to answer, also where the time of the operation is nearly over."""
MOVES_UNTIL_ASKED = 8
"""After so many slots that turned out to be elsewhere, all of them are asked for again."""
_PLACE_OF_KEY = {"EVAL": 3}
_KEYLESS = frozenset({"PING"})


def slot_of(command: Command) -> int:
    """The slot of the (first) key of a command; any, where it has none."""
    name = command[0]
    word = (name.decode() if isinstance(name, bytes) else str(name)).upper()
    if word in _KEYLESS:
        return random.randrange(REDIS_CLUSTER_HASH_SLOTS)  # noqa: S311 - spreads load, hides no secret
    key = command[_PLACE_OF_KEY.get(word, 1)]
    return key_slot(key if isinstance(key, bytes) else str(key).encode())


class Topology:
    """The owners of the slots as last heard, and a pool of connections to each node.

    There is no lock: what is heard replaces what was known in one assignment. So an interruption leaves nothing behind, a
    forked child can go on, and nobody waits for the time limits of others; callers that lose a node at the same time ask each
    for themselves, which costs them one small command.
    """

    def __init__(self, address: RedisAddress) -> None:
        self._address = address
        self._owners: list[Address | None] = []
        self._known: tuple[Address, ...] = address.nodes
        self._pools: dict[Address, ShortPool] = {}
        self._doubted = True
        self._moves = 0
        self._suspect: Address | None = None

    def owner(self, slot: int, deadline: float) -> Address:
        """The master of a slot. Asks first where there is doubt; the errors are those of asking."""
        if self._doubted:
            self._ask_around(deadline)
        owner = self._owners[slot] if self._owners else None
        if owner is None:
            self._doubted = True
            raise ClusterDownError(f"nobody serves slot {slot}")
        return owner

    def masters(self, deadline: float) -> list[Address]:
        """Every node that serves slots, as it is now."""
        self._ask_around(deadline)
        return list(dict.fromkeys(owner for owner in self._owners if owner is not None))

    def nodes(self, deadline: float) -> list[Address]:
        """Every master and every replica, as it is now."""
        self._ask_around(deadline)
        return list(self._known)

    def moved(self, slot: int, owner: Address) -> None:
        """A node said so. The others need a while to hear of it, so it is believed, and not asked for again at once."""
        self._owners[slot] = owner
        self._moves += 1
        if self._moves >= MOVES_UNTIL_ASKED:
            self._doubted = True

    def doubt(self, suspect: Address | None = None) -> None:
        """What is known may be over: a node did not do what it was expected to. It is asked last."""
        self._suspect = suspect
        self._doubted = True

    def pool(self, node: Address) -> ShortPool:
        """The connections to a node, kept for the life of the client, so that each is closed at its end."""
        return self._pools.get(node) or self._pools.setdefault(node, self._address.pool(node))

    def pools(self) -> list[ShortPool]:
        return list(self._pools.values())

    def _ask_around(self, deadline: float) -> None:
        """Hear from one node who serves what. Each has half of the time that is left, so that a silent one costs not all."""
        last: redis.RedisError = NotSentError("there was no time left to ask who serves what")
        for node in self._candidates():
            left = deadline - time.monotonic()
            if left <= 0:
                break
            try:
                self._learn(self._slots_told_by(node, max(left / 2, LEAST_WAIT)), node)
            except (AuthenticationError, AuthorizationError, NoClusterError):
                raise
            except NotSentError as error:
                if error.lasting:
                    raise
                last = error
            except redis.RedisError as error:
                last = error
            else:
                return
        raise NotSentError(
            f"none of its nodes told who serves what: {last}", lasting=not isinstance(last, BusyLoadingError)
        ) from last

    def _candidates(self) -> list[Address]:
        known = list(dict.fromkeys([*self._known, *self._address.nodes]))
        random.shuffle(known)
        return sorted(known, key=lambda node: node == self._suspect)

    def _slots_told_by(self, node: Address, seconds: float) -> Sequence[Sequence[object]]:
        connection = self._address.connection(node, seconds)
        try:
            connection.connect()
            connection.send_command("CLUSTER", "SLOTS")
            ranges: Sequence[Sequence[object]] = connection.read_response()
        except ResponseError as error:
            if "cluster support disabled" in str(error) or "unknown command" in str(error).lower():
                raise NoClusterError(str(error)) from error
            raise
        finally:
            connection.disconnect()
        return ranges

    def _learn(self, ranges: Sequence[Sequence[object]], told_by: Address) -> None:
        owners: list[Address | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        known: dict[Address, None] = {}
        for first, last, *nodes in ranges:
            addresses = [_node(node, told_by) for node in nodes]
            known.update(dict.fromkeys(addresses))
            owners[int(first) : int(last) + 1] = [addresses[0]] * (int(last) - int(first) + 1)  # type: ignore[call-overload]
        self._doubted = False
        self._moves = 0
        self._owners = owners
        self._known = tuple(known)
        for node, pool in list(self._pools.items()):
            if node not in known:
                pool.disconnect(inuse_connections=False)


def _node(told: object, told_by: Address) -> Address:
    """Host and port as CLUSTER SLOTS lists them. A host that the cluster does not know is that of the node which told."""
    host, port = told[0], told[1]  # type: ignore[index]
    name = host.decode() if isinstance(host, bytes) else str(host or "")
    return (told_by[0] if name in ("", "?") else name), int(port)
