"""What one operation costs the client's processor, layer by layer: the driver alone, the adapter, the generator, all together.

All of them run in one process, in turns, closed loop, with the same number in flight and under the engine that the driver needs.
It is run as a program, since gevent's patches have to come before anything else:

    python -m stackproof.benchmarks.layers cache=redis --rounds 9 --seconds 1

with the variables of the server set (`stackproof servers up` prints them). What is stored goes under a namespace of the run.
"""

from __future__ import annotations

import argparse
import gc
import random
import secrets
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from stackproof.scenarios.window import Acts
    from stackproof.scenarios.work import Work

Layer: TypeAlias = Callable[[float], int]
"""Goes on for so many seconds; how many operations that were."""
WORDS = {
    "driver": "the driver alone",
    "adapter": "the adapter, driver included",
    "generator": "the generator, with nothing to do",
    "together": "generator, adapter and driver",
}


@dataclass(frozen=True, slots=True)
class Found:
    """Processor time of one layer, in microseconds an operation, for each round."""

    costs: tuple[float, ...]
    rate: float
    """Operations a second, the median over the rounds."""

    @property
    def median(self) -> float:
        return statistics.median(self.costs)


def measure(
    layers: Mapping[str, Layer],
    *,
    rounds: int,
    seconds: float,
    seed: int = 0,
    cpu: Callable[[], float] = time.process_time,
) -> dict[str, Found]:
    """Each layer once a round, in an order that is drawn; the round before the first one warms up."""
    costs: dict[str, list[float]] = {name: [] for name in layers}
    rates: dict[str, list[float]] = {name: [] for name in layers}
    drawn = random.Random(seed)  # noqa: S311 - an order, not a secret
    gc.collect()
    gc.freeze()  # as the generator does before each window
    for turn in range(rounds + 1):
        for name in drawn.sample(list(layers), len(layers)):
            began, used = time.perf_counter(), cpu()
            operations = max(1, layers[name](seconds))
            if turn:
                costs[name].append((cpu() - used) / operations * 1e6)
                rates[name].append(operations / (time.perf_counter() - began))
    gc.unfreeze()
    return {name: Found(tuple(costs[name]), statistics.median(rates[name])) for name in layers}


def table(backend: str, found: Mapping[str, Found]) -> str:
    """For people."""
    lines = [f"{backend}: processor time of the client, µs an operation (median, least and most of the rounds)"]
    for name, each in found.items():
        costs = f"{each.median:7.1f}  [{min(each.costs):.1f} to {max(each.costs):.1f}]"
        lines.append(f"  {WORDS[name]:36}{costs:30}{each.rate:10,.0f}/s")
    return "\n".join(lines)


# How a layer is driven


def greenlets(operate: Callable[[int], object], places: int) -> Layer:
    """So many greenlets, each of which begins its next operation when its last one has ended."""
    import gevent

    def run(seconds: float) -> int:
        end, numbers, done = time.perf_counter() + seconds, iter(range(1 << 60)), [0]

        def call() -> None:
            while time.perf_counter() < end:
                operate(next(numbers))
                done[0] += 1

        gevent.joinall([gevent.spawn(call) for _ in range(places)], raise_error=True)
        return done[0]

    return run


def deferred(begin: Callable[[int, Callable[[object], None]], object], places: int) -> Layer:
    """One thread that keeps so many operations under way, whose ends are told by the driver's own threads."""

    def run(seconds: float) -> int:
        ends: SimpleQueue[object] = SimpleQueue()
        for _ in range(places):
            ends.put(None)
        number, end = 0, time.perf_counter() + seconds
        while time.perf_counter() < end:
            _well(ends.get(timeout=30.0))
            begin(number, ends.put)
            number += 1
        for _ in range(places):
            _well(ends.get(timeout=30.0))
        return number

    return run


def _well(error: object) -> None:
    if error is not None:
        raise RuntimeError(f"an operation failed: {error!r}")


def windows(acts: Acts, places: int, *, green: bool) -> Layer:
    """The generator as it is, closed loop."""
    from stackproof.scenarios.deferred import beginner
    from stackproof.scenarios.green import GreenWindow
    from stackproof.scenarios.native import NativeWindow
    from stackproof.scenarios.orders import CLOSED, Order

    numbers = iter(range(random.randrange(1 << 20), 1 << 21))  # noqa: S311 - so that two runs have different operations

    def run(seconds: float) -> int:
        order = Order(rate=1.0, seconds=seconds, arrivals=CLOSED, in_flight=places, number=next(numbers))
        window: Any
        if green:
            window = GreenWindow(order, acts)
        else:
            begins = beginner(acts, places)
            window = NativeWindow(order, acts, begins.begin, close_begin=begins.close)
        window.run(time.perf_counter())
        if window.measured.failed:
            raise RuntimeError(f"operations failed: {dict(window.measured.errors)}")
        return int(window.measured.answered)

    return run


# The program


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m stackproof.benchmarks.layers", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "backend", choices=["cache=redis", "interactions=postgres", "interactions=scylla", "events=kafka"]
    )
    parser.add_argument("--rounds", type=int, default=9, help="how often each layer is measured [9]")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each time [1]")
    parser.add_argument("--in-flight", type=int, help="operations at the same time [the subject's own]")
    given = parser.parse_args(arguments)
    green = given.backend in ("cache=redis", "interactions=postgres")
    if green:
        from gevent import monkey

        monkey.patch_all()
    from stackproof.adapters.settings import Settings
    from stackproof.scenarios.catalogue import find_scenario
    from stackproof.scenarios.window import Nothing
    from stackproof.scenarios.work import Work

    from .layer_subjects import SUBJECTS

    subject = SUBJECTS[given.backend]
    concern, name = given.backend.split("=")
    scenario = find_scenario(subject.scenario, subject.settings)
    settings, places = Settings.from_environment(), given.in_flight or subject.in_flight
    work: Work = Work(scenario, {concern: name}, settings, f"layers-{secrets.token_hex(4)}")
    try:
        work.prepare()
        work.prime(1 << 62)
        operations = subject(work, settings)
        drive: Callable[[Any, int], Layer] = greenlets if green else deferred
        layers = {
            "driver": drive(operations.driver, places),
            "adapter": drive(operations.adapter, places),
            "generator": windows(Nothing(scenario.item), places, green=green),
            "together": windows(work, places, green=green),
        }
        print(f"{places} in flight, {given.rounds} rounds of {given.seconds:g} s")
        print(table(given.backend, measure(layers, rounds=given.rounds, seconds=given.seconds)))
        operations.close()
    finally:
        work.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
