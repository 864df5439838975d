"""Each operation of an adapter beside the same statements on its driver."""

from __future__ import annotations

import random
import time
from dataclasses import asdict
from typing import Any

from stackproof.benchmarks.measuring import Interleaving, Numbers, allocated, measure_blocks, percentile
from stackproof.benchmarks.pairs import Pair, check_equal
from stackproof.benchmarks.plugin import EXTRA, Depth, percentiles_of
from stackproof.benchmarks.rows import row_of


def test_adapter_tax(benchmark: Any, pair: Pair, tax_of: tuple[str, str, str], depth: Depth) -> None:
    backend, operation, driver = tax_of
    check_equal(pair)
    pair.finish()
    numbers = Numbers(pair)
    how = Interleaving(blocks=depth.blocks, seed=depth.seed)
    blocks = measure_blocks(pair, how, numbers)
    traced = numbers.items(depth.traced)
    memory = allocated(pair.adapter, traced), allocated(pair.raw, numbers.items(depth.traced))
    pair.finish()
    raw = Latencies(pair, numbers, depth.seed)
    benchmark.group = backend
    per_call = percentile(sorted(spent.wall for spent in blocks.raw), 50)
    benchmark.pedantic(
        pair.adapter, setup=raw.before, teardown=raw.after, rounds=depth.rounds(per_call), warmup_rounds=5, iterations=1
    )
    pair.finish()
    row = row_of(backend, operation, driver, blocks, memory, depth.seed)
    benchmark.extra_info[EXTRA] = {**asdict(row), "raw_latency": percentiles_of(sorted(raw.seconds))}


class Latencies:
    """Calls the driver beside each call that pytest-benchmark times: as often before it as after it, in random order."""

    def __init__(self, pair: Pair, numbers: Numbers, seed: int) -> None:
        self._pair = pair
        self._numbers = numbers
        self._draw = random.Random(seed)  # noqa: S311 - an order, no secret
        self._first = False
        self.seconds: list[float] = []

    def before(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        self._first = self._draw.random() < 0.5
        if self._first:
            self._call()
        return (*self._numbers.items(1),), {}

    def after(self, *_: Any) -> None:
        if not self._first:
            self._call()

    def _call(self) -> None:
        (item,) = self._numbers.items(1)
        began = time.perf_counter()
        self._pair.raw(item)
        self.seconds.append(time.perf_counter() - began)
