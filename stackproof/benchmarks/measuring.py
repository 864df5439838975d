"""How a tax is measured: blocks of calls of both ways, interleaved in random order, and what follows from them.

On a machine that others use, too, times of two runs say little about each other. Here a block of calls through the adapter stands
directly beside one through the driver, in an order that a seed draws, and only their ratio is believed: whatever slows down
one of them usually slows down both. The ratio is the median over all pairs of blocks, so that some that were
disturbed do not move it, and its interval is drawn from the same pairs (percentile bootstrap; Efron and Tibshirani, An
Introduction to the Bootstrap, chapter 13).
"""

from __future__ import annotations

import gc
import random
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .pairs import Call, Pair

RESAMPLES = 1_000
CONFIDENCE = 0.95
_BLOCK_SECONDS = 0.03
_LEAST_CALLS = 5


@dataclass(frozen=True, slots=True)
class Spent:
    """What one call of a block took on average, in seconds."""

    wall: float
    cpu: float
    """Of this process, with the threads that a driver has; the server is another process."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """Adapter over driver: the median over the pairs of blocks, and its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Blocks:
    """The blocks of a pair, as they were measured: the n-th of one way stood beside the n-th of the other."""

    calls: int
    """In each block."""
    order: tuple[str, ...]
    """Which way came when: "adapter" or "raw"."""
    adapter: tuple[Spent, ...]
    raw: tuple[Spent, ...]


@dataclass(frozen=True, slots=True)
class Clock:
    """Seconds that passed, and seconds of processor time that this process used."""

    wall: Callable[[], float] = time.perf_counter
    cpu: Callable[[], float] = time.process_time


@dataclass(slots=True)
class Numbers:
    """Gives each call a number of its own."""

    pair: Pair
    next: int = 0

    def items(self, count: int) -> list[Any]:
        first, self.next = self.next, self.next + count
        return [self.pair.item(number) for number in range(first, self.next)]


@dataclass(frozen=True, slots=True)
class Interleaving:
    """How many blocks there are of each way, of how many calls (0: as many as fill a block's time), and in which order."""

    blocks: int = 30
    calls: int = 0
    seed: int = 7
    clock: Clock = field(default_factory=Clock)

    def plan(self) -> list[tuple[str, str]]:
        """For each pair of blocks which way is first: each as often as the other, in random order."""
        ways = [("adapter", "raw"), ("raw", "adapter")] * ((self.blocks + 1) // 2)
        random.Random(self.seed).shuffle(ways)  # noqa: S311 - an order, no secret
        return ways[: self.blocks]


def measure_blocks(pair: Pair, how: Interleaving, numbers: Numbers | None = None) -> Blocks:
    """Run all blocks."""
    numbers = numbers or Numbers(pair)
    calls = how.calls or _calls_of_a_block(pair, numbers, how.clock)
    spent: dict[str, list[Spent]] = {"adapter": [], "raw": []}
    order: list[str] = []
    with _steady_memory():
        for ways in how.plan():
            for way in ways:
                order.append(way)
                spent[way].append(_block(getattr(pair, way), numbers.items(calls), how.clock))
                pair.finish()
    return Blocks(calls, tuple(order), tuple(spent["adapter"]), tuple(spent["raw"]))


def _block(call: Call, items: Sequence[Any], clock: Clock) -> Spent:
    gc.collect()  # of this block, what it leaves; not what the one before left
    cpu, wall = clock.cpu(), clock.wall()
    for item in items:
        call(item)
    took = clock.wall() - wall
    return Spent(took / len(items), (clock.cpu() - cpu) / len(items))


def _calls_of_a_block(pair: Pair, numbers: Numbers, clock: Clock) -> int:
    """So many that a block of the driver takes about its time; this is the warm-up, too."""
    calls = _LEAST_CALLS
    while True:
        _block(pair.adapter, numbers.items(calls), clock)
        took = _block(pair.raw, numbers.items(calls), clock).wall * calls
        pair.finish()
        if took >= _BLOCK_SECONDS / 2 or calls >= pair.most:
            return max(_LEAST_CALLS, min(pair.most, int(calls * _BLOCK_SECONDS / max(took, 1e-9))))
        calls = min(pair.most, max(calls + 1, int(calls * min(10.0, _BLOCK_SECONDS / max(took, 1e-9)))))


@contextmanager
def _steady_memory() -> Iterator[None]:
    """The collector looks at what the blocks make, not again and again at all that was imported."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def ratio_of(adapter: Sequence[float], raw: Sequence[float], *, seed: int = 7, resamples: int = RESAMPLES) -> Ratio:
    """The median ratio of pairs, with its bootstrap interval. ValueError where nothing, or not the same number, is given."""
    ratios = [ours / theirs for ours, theirs in zip(adapter, raw, strict=True) if theirs > 0]
    if not ratios:
        raise ValueError("no pair of blocks took any time")
    draw = random.Random(seed)  # noqa: S311 - resampling, no secret
    medians = sorted(statistics.median(draw.choices(ratios, k=len(ratios))) for _ in range(resamples))
    tail = (1 - CONFIDENCE) / 2
    low, high = medians[int(tail * resamples)], medians[min(resamples - 1, int((1 - tail) * resamples))]
    return Ratio(statistics.median(ratios), low, high)


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent do not exceed (nearest rank)."""
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(0, int(rank) - 1)]


def allocated(call: Call, items: Sequence[Any]) -> float:
    """Bytes that one call needed at most beyond what stood before it: the median over the items.

    By tracemalloc: what Python and its extensions take through Python's allocators. It slows everything down, so it has a pass
    of its own.
    """
    peaks = []
    tracemalloc.start()
    try:
        for item in items:
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            call(item)
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    return float(statistics.median(peaks))
