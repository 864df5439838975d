"""A member of a group on Kinesis: it holds leases of some shards, keeps them alive, and passes them on."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stackproof.interfaces import BackendError, ClosedError

from .common import logger
from .kinesis_checkpoints import Checkpoints, Lease, plan
from .kinesis_stream import Shard
from .kinesis_subscription import Cursor

LEASE_SECONDS = 10.0
"""A lease whose counter stands still for so long is free."""
SURE_SECONDS = 8.0
"""So long after it was last renewed the holder of a lease goes on: it stops before others begin."""
BEAT_SECONDS = 1.0
"""How often a member looks at the leases of its group, and at most how often it writes where it stands."""
HASTY_SECONDS = 0.1
"""The same until it has got its part."""
RENEW_SECONDS = 3.0
"""How often a lease is renewed of which nothing was handled."""
TAKEOVER_SECONDS = LEASE_SECONDS + 5.0
"""How long it takes until another member gets what a dead one held: its leases stand still for their time, which is seen a beat
late, are taken with the next beat, and the shard is read on."""
SETTLING_SECONDS = 5.0
"""How long `subscribe` waits for its part."""


@dataclass(slots=True)
class _Seen:
    """A lease of somebody else: what it looked like, and since when."""

    holder: str
    beat: int
    since: float


class Member:
    """The shards of one subscription of a group. One thread beside that of the subscription looks after the leases."""

    def __init__(self, store: Checkpoints, group: str, topic: str, shards: Callable[[], Sequence[Shard]]) -> None:
        self.id = secrets.token_hex(8)
        self._store = store
        self._group = group
        self._topic = topic
        self._shards = shards
        self._held: dict[str, tuple[Cursor, float]] = {}
        """Shard -> where this member stands, and when it last said so."""
        self._written: dict[str, int] = {}
        self._seen: dict[str, _Seen] = {}
        self._settled = threading.Event()
        self._stop = threading.Event()
        self._hurry = threading.Event()
        self._reached = True
        self._thread = threading.Thread(target=self._run, name=f"stackproof-kinesis-leases-{topic}", daemon=True)

    def begin(self) -> None:
        """Join the group, and return when this member has its part of the shards, or there is none for it."""
        self._beat()
        self._thread.start()
        if not self._settled.wait(SETTLING_SECONDS):
            logger.warning("a member of a group of topic %r still waits for its part of the shards", self._topic)

    # For the subscription

    def cursors(self) -> Sequence[Cursor]:
        return [cursor for cursor, _ in list(self._held.values()) if not cursor.ended]

    def ended(self, cursor: Cursor) -> None:
        cursor.ended = True
        self._hurry.set()

    def working(self) -> bool:
        return self._reached and self._thread.is_alive()

    def end(self) -> None:
        """Give back every lease, with the place where this member stands."""
        self._stop.set()
        self._hurry.set()
        if self._thread.ident is not None:
            self._thread.join()
        try:
            for lease in self._store.leases(self._group):
                held = self._held.pop(lease.shard, None)
                if held is not None and lease.holder == self.id:
                    self._store.hand_over(self._group, lease, held[0].after, "")
                elif lease.asker == self.id:
                    self._store.ask(self._group, lease, "")
        except BackendError as error:
            text = "a member of a group of topic %r could not give back its shards; others get them in %g s: %s"
            logger.warning(text, self._topic, LEASE_SECONDS, error)

    # The thread

    def _run(self) -> None:
        while not self._stop.is_set():
            self._hurry.wait(BEAT_SECONDS if self._settled.is_set() else HASTY_SECONDS)
            self._hurry.clear()
            if self._stop.is_set():
                return
            try:
                self._beat()
            except ClosedError:
                return
            except BackendError as error:
                if self._reached:
                    self._reached = False
                    logger.warning("the leases of a group of topic %r cannot be reached: %s", self._topic, error)
            else:
                if not self._reached:
                    self._reached = True
                    logger.warning("the leases of a group of topic %r are reached again", self._topic)

    def _beat(self) -> None:
        leases = self._store.leases(self._group)
        now = time.monotonic()
        self._lose(leases)
        next_step = plan(leases, self.id, self._alive(leases, now))
        for lease in leases:
            if lease.holder == self.id and not lease.ended:
                self._keep(lease, now)
        for lease in next_step.take:
            if self._store.take(self._group, lease, self.id):
                self._hold(lease, now)
        for lease in next_step.give:
            self._give(lease, [each for each in leases if each.shard in self._held and not each.asker])
        if next_step.ask is not None:
            self._store.ask(self._group, next_step.ask, self.id)
        if next_step.settled:
            self._settled.set()

    def _alive(self, leases: Sequence[Lease], now: float) -> set[str]:
        """The holders whose leases moved within the time."""
        for lease in leases:
            seen = self._seen.get(lease.shard)
            if seen is None or (seen.holder, seen.beat) != (lease.holder, lease.beat):
                self._seen[lease.shard] = _Seen(lease.holder, lease.beat, now)
        return {
            lease.holder for lease in leases if lease.holder and now - self._seen[lease.shard].since < LEASE_SECONDS
        }

    def _lose(self, leases: Sequence[Lease]) -> None:
        """Let go of what is somebody else's by now."""
        mine = {lease.shard for lease in leases if lease.holder == self.id and not lease.ended}
        for shard in set(self._held) - mine:
            cursor, _ = self._held.pop(shard)
            cursor.dead = True

    def _hold(self, lease: Lease, now: float) -> None:
        self._held[lease.shard] = (Cursor(lease.shard, lease.after, now + SURE_SECONDS), now)
        self._written[lease.shard] = lease.after

    def _keep(self, lease: Lease, now: float) -> None:
        """Renew a lease, where it is time or there is news."""
        if lease.shard not in self._held:  # somebody handed it over
            self._hold(lease, now)
        cursor, renewed = self._held[lease.shard]
        cursor.wanted = cursor.wanted and bool(lease.asker)
        after, ended = cursor.after, cursor.ended
        news = after != self._written[lease.shard] or ended
        if not news and now - renewed < RENEW_SECONDS:
            return
        if ended:
            self._add_children(lease.shard)
        if self._store.renew(self._group, lease, after, ended):
            cursor.valid_until = now + SURE_SECONDS
            self._held[lease.shard] = (cursor, now)
            self._written[lease.shard] = after

    def _add_children(self, shard: str) -> None:
        for each in self._shards():
            if shard in each.parents:
                self._store.add(self._group, Lease(each.id, 0, each.parents))

    def _give(self, asked: Lease, others: Sequence[Lease]) -> None:
        """Pass on a lease to the one who asked: that, or another one where its handler runs; else it waits for its turn."""
        for lease in (asked, *others):
            cursor = self._held[lease.shard][0]
            if cursor.ended or not cursor.lock.acquire(blocking=False):
                continue
            try:
                cursor.dead = True
                del self._held[lease.shard]
                self._store.hand_over(self._group, lease, cursor.after, asked.asker)
            finally:
                cursor.lock.release()
            if lease is not asked:
                self._store.ask(self._group, asked, "")
            return
        self._held[asked.shard][0].wanted = True
