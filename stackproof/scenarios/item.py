"""An item: the random part of one unit of work, a function of the scenario's seed and its number. Pure.

Made a hundred thousand times a second in a load generator, so it is a tuple, and what only some steps need is worked out
when it is asked for.
"""

from __future__ import annotations

import random
import struct
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from .distributions import MOST_BYTES, uniform_of

# Copied for each item: setting up a keyed hash costs more than what it hashes.
_HASHER = blake2b(digest_size=48, person=b"decision")
_PACK = struct.Struct("<qq").pack
_UNPACK = struct.Struct("<4Q").unpack_from


class Item(NamedTuple):
    """The random part of one unit of work. Number n is the same in every worker, on every machine."""

    number: int
    key: int
    """Who or what it is about, as a rank from 1: a customer, a cached key, a query."""
    offers: tuple[int, ...]
    """The offers that are considered; the last one is shown. Empty where the scenario has none."""
    size: int
    """Bytes of its payload."""
    digest: bytes
    """48 random bytes, which everything else was made from."""

    @property
    def event_id(self) -> str:
        """Identifies what it records and publishes: 128 bits of its own."""
        return self.digest[32:].hex()

    @property
    def choice(self) -> float:
        """A uniform number out of [0, 1): which step of a mix it is."""
        return uniform_of(int.from_bytes(self.digest[40:], "little"))

    @property
    def text(self) -> str:
        """Its payload: text of its size."""
        start = int.from_bytes(self.digest[32:34], "little")
        return _filler()[start : start + self.size]


def random_words(seed: int, number: int) -> tuple[bytes, tuple[int, ...]]:
    """48 random bytes, and the first four words of 64 bits in them."""
    hasher = _HASHER.copy()
    hasher.update(_PACK(seed, number))
    digest = hasher.digest()
    return digest, _UNPACK(digest)


def uniform_for(key: str) -> float:
    """A uniform number out of [0, 1) that is a function of a key."""
    digest = blake2b(key.encode(), digest_size=8, person=b"cache size").digest()
    return uniform_of(int.from_bytes(digest, "little"))


def text_of(key: str, length: int) -> str:
    """Text of this length (at most `MOST_BYTES`), which is a function of the key."""
    start = int.from_bytes(blake2b(key.encode(), digest_size=4).digest(), "little") % MOST_BYTES
    return _filler()[start : start + length]


@lru_cache(maxsize=1)
def _filler() -> str:
    """Text that does not compress to nothing, the same in every process."""
    return "".join(random.Random(0).choices("abcdefghijklmnopqrstuvwxyz     ", k=2 * MOST_BYTES))  # noqa: S311 - no secret
