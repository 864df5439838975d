"""Scenarios: what one decision does, for whom, and with what sizes. Data; pure and deterministic by (seed, index)."""

from __future__ import annotations

import math
import random
import struct
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from hashlib import blake2b
from itertools import accumulate
from statistics import NormalDist
from typing import ClassVar, Self

from stackproof.interfaces import ConfigurationError

_NORMAL = NormalDist()
_Z99 = _NORMAL.inv_cdf(0.99)


@dataclass(frozen=True)
class Zipf:
    """Ranks from 1 to ``size``; rank k is drawn with a probability proportional to ``k ** -exponent``.

    Exact: a table of cumulative weights and a binary search (8 bytes an entry, about 1 us a draw).
    """

    size: int
    exponent: float = 1.1

    @cached_property
    def _cumulative(self) -> array[float]:
        return _zipf_table(self.size, self.exponent)

    def rank(self, uniform: float) -> int:
        """The rank that a uniform number out of [0, 1) stands for."""
        table = self._cumulative
        return min(bisect_left(table, uniform * table[-1]), self.size - 1) + 1


@lru_cache(maxsize=8)
def _zipf_table(size: int, exponent: float) -> array[float]:
    return array("d", accumulate(rank**-exponent for rank in range(1, size + 1)))


@dataclass(frozen=True)
class Sizes:
    """Log-normal sizes in bytes, given by their median and their 99th percentile, between 1 and ``largest``."""

    p50: int
    p99: int
    largest: int = 65_536

    @classmethod
    def p50_p99(cls, p50: int, p99: int) -> Self:
        """The distribution with this median and this 99th percentile."""
        return cls(p50, p99)

    def size(self, uniform: float) -> int:
        """The size that a uniform number out of [0, 1) stands for."""
        z = _NORMAL.inv_cdf(min(max(uniform, 1e-12), 1 - 1e-12))
        sigma = math.log(self.p99 / self.p50) / _Z99
        return max(1, min(self.largest, round(self.p50 * math.exp(sigma * z))))


@dataclass(frozen=True)
class Step:
    """A part of a decision, done ``times`` times in a row."""

    times: int = 1

    name: ClassVar[str] = ""
    """How results call one execution of it."""
    concern: ClassVar[str] = ""


class CacheRead(Step):
    """A `CacheStore.get_or_fetch` of a key whose value is a function of the key: first the customer's, then an offer's."""

    name = "cache read"
    concern = "cache"


class SummariesRead(Step):
    """An `InteractionStore.get_summaries` of the customer: one page, all time."""

    name = "summaries read"
    concern = "interactions"


class RecordEvent(Step):
    """An `InteractionStore.record_event` of an impression of the offer."""

    name = "record event"
    concern = "interactions"


class Publish(Step):
    """An `EventPublisher.publish` of the decision, with a payload of the scenario's sizes."""

    name = "publish"
    concern = "events"


class LogLine(Step):
    """One record to the log transport."""

    name = "log line"
    concern = "logs"


@dataclass(frozen=True, slots=True)
class Decision:
    """The random part of one decision. Number n is the same in every worker, on every machine."""

    number: int
    customer: int
    offers: tuple[int, ...]
    """The offers that were considered, one for each cache read; the last one is shown."""
    payload_bytes: int
    event_id: str


@dataclass(frozen=True)
class Scenario:
    """A workload: its steps in order, who it is about, how large payloads are, and the seed of all of it."""

    name: str
    steps: Sequence[Step]
    customers: Zipf
    payload: Sizes
    seed: int
    offers: Zipf = field(default=Zipf(50, exponent=1.0))
    """How often each offer is considered."""

    @property
    def concerns(self) -> tuple[str, ...]:
        """The concerns that its steps use, in the order of first use."""
        return tuple(dict.fromkeys(step.concern for step in self.steps))

    def decision(self, number: int, seed: int | None = None) -> Decision:
        """Decision ``number`` of this scenario, under its own seed or another one."""
        seed = self.seed if seed is None else seed
        key = struct.pack("<qq", seed, number)
        digest = blake2b(key, digest_size=48, person=b"decision").digest()
        words = struct.unpack("<6Q", digest)
        return Decision(
            number=number,
            customer=self.customers.rank(_uniform(words[0])),
            offers=(self.offers.rank(_uniform(words[1])), self.offers.rank(_uniform(words[2]))),
            payload_bytes=self.payload.size(_uniform(words[3])),
            event_id=f"{words[4]:016x}{words[5]:016x}",
        )

    def bytes_of_key(self, key: str) -> int:
        """The size of the value that the cache holds under a key: a function of the key, as the value is."""
        digest = blake2b(key.encode(), digest_size=8, person=b"cache size").digest()
        return self.payload.size(_uniform(int.from_bytes(digest, "little")))


def _uniform(word: int) -> float:
    """A uniform number out of [0, 1) from 64 random bits."""
    return (word >> 11) * 2.0**-53


def _filler(length: int) -> str:
    """Text that does not compress to nothing, the same in every process."""
    return "".join(random.Random(0).choices("abcdefghijklmnopqrstuvwxyz     ", k=length))  # noqa: S311 - no secret


_FILLER = _filler(2 * 65_536)


def text_of(key: str, length: int) -> str:
    """Text of this length, which is a function of the key."""
    start = int.from_bytes(blake2b(key.encode(), digest_size=4).digest(), "little") % (len(_FILLER) // 2)
    return _FILLER[start : start + length]


DECISION = Scenario(
    "decision",
    steps=[CacheRead(2), SummariesRead(1), RecordEvent(1), Publish(1), LogLine(1)],
    customers=Zipf(1_000_000, exponent=1.1),
    payload=Sizes.p50_p99(400, 2_000),
    seed=7,
)
"""One decision of the platform: what is known about the customer and the offers, what happened before, and the record of it."""

SCENARIOS = {scenario.name: scenario for scenario in (DECISION,)}


def find_scenario(name: str) -> Scenario:
    """The scenario of this name, or a `ConfigurationError` that lists the known ones."""
    if name not in SCENARIOS:
        raise ConfigurationError(f"the scenario {name!r} is unknown; known are: {', '.join(SCENARIOS)}")
    return SCENARIOS[name]
