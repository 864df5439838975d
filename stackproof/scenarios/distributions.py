"""Which key, and how large: distributions as values. Pure and exact: a uniform number out of [0, 1) in, a rank or a size out.

Nothing here draws anything. So the same number gives the same key in every process, and a test can walk through a whole
distribution instead of sampling it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from array import array
from bisect import bisect_left
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from statistics import NormalDist
from typing import Any, ClassVar, Self

from stackproof.interfaces import ConfigurationError

MOST_KEYS = 100_000_000
"""More keys than this are refused: a table of them would not fit into memory."""
MOST_BYTES = 65_536
"""The largest size that is drawn."""

_NORMAL = NormalDist()
_Z99 = _NORMAL.inv_cdf(0.99)
_GUIDES = 1 << 14


def uniform_of(word: int) -> float:
    """A uniform number out of [0, 1) from 64 random bits."""
    return (word >> 11) * 2.0**-53


class Keys(ABC):
    """A distribution of ranks from 1 to ``size``: customers, offers, cached keys, queries."""

    name: ClassVar[str]
    size: int

    @abstractmethod
    def rank(self, uniform: float) -> int:
        """The rank that a uniform number out of [0, 1) stands for."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Its name and its parameters, for the record."""


@dataclass(frozen=True)
class Uniform(Keys):
    """Ranks from 1 to ``size``, each as probable as any other."""

    size: int
    name: ClassVar[str] = "uniform"

    def __post_init__(self) -> None:
        _check_size(self.size)

    def rank(self, uniform: float) -> int:
        return min(int(uniform * self.size), self.size - 1) + 1

    def describe(self) -> dict[str, Any]:
        return {"distribution": self.name, "size": self.size}


@dataclass(frozen=True)
class Zipf(Keys):
    """Ranks from 1 to ``size``; rank k is drawn with a probability proportional to ``k ** -exponent``.

    Exact: a table of cumulative weights (8 bytes an entry) and a binary search within a slice of it that a guide
    table names (about 0.3 us a draw).
    """

    size: int
    exponent: float = 1.1
    name: ClassVar[str] = "zipf"

    def __post_init__(self) -> None:
        _check_size(self.size)
        if not 0 <= self.exponent <= 10:
            raise ConfigurationError(f"the exponent of a Zipf distribution lies between 0 and 10, not {self.exponent}")

    def rank(self, uniform: float) -> int:
        table, guides = _zipf_tables(self.size, self.exponent)
        slot = int(uniform * _GUIDES)
        # A product that is rounded up may lie in the next slot: the guide of that one is the last place to look at.
        return bisect_left(table, uniform * table[-1], guides[slot], guides[slot + 1]) + 1

    def describe(self) -> dict[str, Any]:
        return {"distribution": self.name, "size": self.size, "exponent": self.exponent}


@lru_cache(maxsize=8)
def _zipf_tables(size: int, exponent: float) -> tuple[array[float], array[int]]:
    """Cumulative weights; and for each of `_GUIDES` slices of [0, 1) where in them its first rank is found."""
    table = array("d", accumulate(rank**-exponent for rank in range(1, size + 1)))
    total, last = table[-1], size - 1
    guides = array("q", (min(bisect_left(table, slot / _GUIDES * total), last) for slot in range(_GUIDES)))
    guides.append(last)
    return table, guides


@dataclass(frozen=True)
class Hot(Keys):
    """``share`` of the draws fall on the first ``hot`` of ``size`` keys, evenly; the rest fall evenly on all others."""

    size: int
    hot: int = 1
    share: float = 0.9
    name: ClassVar[str] = "hot"

    def __post_init__(self) -> None:
        _check_size(self.size)
        if not 0 < self.hot < self.size:
            raise ConfigurationError(
                f"of {self.size} keys at least 1 and at most {self.size - 1} are hot, not {self.hot}"
            )
        if not 0 < self.share < 1:
            raise ConfigurationError(f"the share of the hot keys lies between 0 and 1, not at {self.share:g}")

    def rank(self, uniform: float) -> int:
        if uniform < self.share:
            return min(int(uniform / self.share * self.hot), self.hot - 1) + 1
        cold = self.size - self.hot
        return self.hot + min(int((uniform - self.share) / (1 - self.share) * cold), cold - 1) + 1

    def describe(self) -> dict[str, Any]:
        return {"distribution": self.name, "size": self.size, "hot": self.hot, "share": self.share}


def _check_size(size: int) -> None:
    if not 1 <= size <= MOST_KEYS:
        raise ConfigurationError(f"a distribution has between 1 and {MOST_KEYS:,} keys, not {size}")


@dataclass(frozen=True)
class Sizes:
    """Log-normal sizes in bytes, given by their median and their 99th percentile, between 1 and ``largest``."""

    p50: int
    p99: int
    largest: int = MOST_BYTES
    _sigma: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 1 <= self.p50 <= self.p99 <= self.largest <= MOST_BYTES:
            raise ConfigurationError(
                f"sizes need 1 <= p50 <= p99 <= largest <= {MOST_BYTES}, not {self.p50}, {self.p99}, {self.largest}"
            )
        object.__setattr__(self, "_sigma", math.log(self.p99 / self.p50) / _Z99)

    @classmethod
    def p50_p99(cls, p50: int, p99: int) -> Self:
        """The distribution with this median and this 99th percentile."""
        return cls(p50, p99)

    @classmethod
    def fixed(cls, size: int) -> Self:
        """Always this size."""
        return cls(size, size)

    def size(self, uniform: float) -> int:
        """The size that a uniform number out of [0, 1) stands for."""
        if not self._sigma:
            return self.p50
        z = _NORMAL.inv_cdf(min(max(uniform, 1e-12), 1 - 1e-12))
        return max(1, min(self.largest, round(self.p50 * math.exp(self._sigma * z))))

    def describe(self) -> dict[str, Any]:
        """Its parameters, for the record."""
        return {"p50": self.p50, "p99": self.p99, "largest": self.largest}
