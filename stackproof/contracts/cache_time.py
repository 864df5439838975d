"""How long entries live, observed from outside so that a slow machine can never make a good cache look bad."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from stackproof.interfaces import MISSING, CacheStore

from .expectations import ContractViolation, shown
from .timelimit import waiting

GRACE_SECONDS = 1.0
"""How much longer than allowed an entry is watched: one that is still there then is reported as not expiring."""
ROUNDING = 0.05
"""Seconds of tolerance for clocks that tick coarsely."""


@dataclass(slots=True)
class Life:
    """What was seen of one entry."""

    written: float = 0.0
    """When the write had returned."""
    began: float = 0.0
    """When the write was called."""
    reads: int = 0
    """Reads that found it."""
    last: object = MISSING
    """What the last of these gave."""
    alive: float = 0.0
    """It certainly lived this long after it was written: a read that began then found it."""
    gone: float | None = None
    """It had certainly gone this long after the write was called: a read that ended then missed it."""

    def must_be(self, ttl: float, resolution: float) -> None:
        """Raise where the entry certainly lived shorter than its ttl, or certainly longer than a resolution beyond it."""
        __tracebackhide__ = True
        if self.gone is not None and self.gone < ttl - ROUNDING:
            raise ContractViolation(
                f"an entry that was set with ttl={ttl:g}", f"to live {ttl:g} s", f"gone after {self.gone:.2f} s"
            )
        if self.alive > ttl + resolution + ROUNDING:
            latest = f"{ttl + resolution:g} s"
            seen = still_there(self.last, self.alive)
            raise ContractViolation(
                f"an entry that was set with ttl={ttl:g}", f"to be gone {latest} after the write", seen
            )
        if self.gone is None:
            raise ContractViolation(
                f"an entry that was set with ttl={ttl:g}", "to expire", still_there(self.last, self.alive)
            )


def still_there(value: object, after: float) -> str:
    """What was seen of an entry that should have gone: the value tells one that stays from a wrong word for a miss."""
    wrong = ", which is not MISSING" if value is None else ""
    return f"still there after {after:.1f} s: get gave {shown(value)}{wrong}"


def must_expire(cache: CacheStore, key: str, ttl: float, resolution: float) -> None:
    """Wait until an entry that was written just now with this ttl has gone, and raise where it does not go."""
    __tracebackhide__ = True
    written = time.monotonic()
    with waiting(ttl + resolution + GRACE_SECONDS):
        while True:
            asked = time.monotonic()
            found = cache.get(key)
            if found is MISSING:
                return
            if asked - written > ttl + resolution + GRACE_SECONDS:
                seen = still_there(found, asked - written)
                raise ContractViolation(f"the entry {key!r}, set with ttl={ttl:g}", "to expire", seen)
            time.sleep(0.02)


def observe_lives(cache: CacheStore, writes: dict[float, Callable[[], object]], resolution: float) -> dict[float, Life]:
    """Write one entry per ttl (under the key ``"<ttl> s"``) and read each until it has gone, or should have long ago."""
    lives = {ttl: Life() for ttl in writes}
    for ttl, write in writes.items():
        lives[ttl].began = time.monotonic()
        write()
        lives[ttl].written = time.monotonic()
    watched = dict(lives)
    with waiting(max(writes) + resolution + GRACE_SECONDS):
        while watched:
            for ttl, life in list(watched.items()):
                asked = time.monotonic()
                value = cache.get(f"{ttl} s")
                found, answered = value is not MISSING, time.monotonic()
                if found:
                    life.last = value
                    life.reads += 1
                    life.alive = asked - life.written
                else:
                    life.gone = answered - life.began
                if not found or life.alive > ttl + resolution + GRACE_SECONDS:
                    del watched[ttl]
            time.sleep(0.01)
    return lives
