"""A generator and a server that are simulated, for the search for the ceiling: no clock, no process, any number of seeds.

`SimulatedServer` gives what a window would have shown (`Seen`) from a queueing model, so that a whole search takes milliseconds.
`simulated_window` makes a recorder, operation by operation, for what reads one.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stackproof.measurement.promises import Promise, PromiseResult
from stackproof.measurement.saturation import conclude, next_step
from stackproof.measurement.search_journal import Ceiling, Entry, Role, SearchSettings, Seen, Step
from stackproof.measurement.search_judgement import judge
from stackproof.measurement.search_steps import base_service, promises_of
from stackproof.scenarios.histogram import supported
from stackproof.scenarios.orders import Offered, Offering, Order
from stackproof.scenarios.recorder import Recorder

Noise = Callable[[random.Random], float]
TOLERANCE = 1.05
"""A bracket is right where it contains the knee, give or take the search's own resolution."""


def right(holds: float, fails: float | None, knee: float) -> bool:
    return fails is not None and holds <= knee * TOLERANCE and fails >= knee / TOLERANCE


def quiet(_random: random.Random) -> float:
    return 1.0


def gaussian(share: float) -> Noise:
    """The capacity of a window scatters by this share, and never falls below a fifth."""
    return lambda source: max(0.2, source.gauss(1.0, share))


def bimodal(low: float) -> Noise:
    """Every other window, by chance, the server has only this share of its capacity."""
    return lambda source: low if source.random() < 0.5 else 1.0


@dataclass
class SimulatedServer:
    """An M/M/1 queue behind a generator; rates per second, times in seconds."""

    capacity: float = 8_000.0
    service: float = 0.001
    generator: float = 60_000.0
    """Rate at which the generator, doing nothing else, uses a whole core."""
    client_cost: float = 0.0
    """Processor seconds of the client for each operation beside the generator's own."""
    errors_from: float = math.inf
    """Operations beyond this rate fail."""
    error: str = "publish: UnavailableError"
    collapses_from: float = math.inf
    """Beyond this offered rate next to nothing ends well, for `collapsed_windows` windows after it too."""
    collapsed_windows: int = 0
    never_drains: bool = False
    """A collapse is for good."""
    noise: Noise = quiet
    stalled: tuple[int, ...] = ()
    """The how-manieth windows of load meet a stall: all is served, and late. Counted from 1."""
    stalls: float = 0.0
    """Share of the windows of load that do so by chance."""
    seed: int = 1
    most_in_flight: int = 0
    orders: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._stalling = random.Random(f"stalls {self.seed}")
        self._down = self._windows = 0

    def knee(self, promise: Promise) -> float:
        """The highest rate at which the promise holds: sojourn times of an M/M/1 queue are exponential."""
        patience = promise.limit_ms / 1000 - self.service
        return self.capacity - math.log(1 / (1 - promise.percentile / 100)) / patience

    def offer(self, step: Step, promises: tuple[Promise, ...]) -> Seen:
        self.orders.append(step)
        offered = round(step.rate * step.seconds)
        cpu = step.rate / self.generator + (0.0 if step.target == "null" else step.rate * self.client_cost)
        if step.target == "null":
            return self._null(step, offered, cpu)
        capacity = self.capacity * self.noise(self._random)
        if step.in_flight == 1:
            served = min(offered, round(step.seconds / self.service))
            ms = self.service * 1000
            return Seen(
                offered, served, dropped=offered - served, elapsed=step.seconds, achieved=served / step.seconds,
                service_p50_ms=ms, service_p99_ms=ms * 1.5 if supported(served, 99.0) else None, cpu_share=cpu,
            )  # fmt: skip
        if step.rate >= self.collapses_from and not self._down:
            self._down = 1 + (10**9 if self.never_drains else self.collapsed_windows)
        if self._down:
            self._down -= 1
            return self._collapsed(step, offered)
        self._windows += 1
        if self._windows in self.stalled or self._stalling.random() < self.stalls:
            capacity = min(capacity, step.rate * 1.03)
        return self._served(step, offered, cpu, capacity, promises)

    def _null(self, step: Step, offered: int, cpu: float) -> Seen:
        seconds = min(step.seconds * max(1.0, cpu), step.seconds + 5)  # what is later than that is dropped
        done = offered if cpu <= 1 else round(self.generator * seconds)
        return Seen(
            offered, done, dropped=offered - done, elapsed=seconds, achieved=done / seconds, cpu_share=min(1.0, cpu)
        )

    def _collapsed(self, step: Step, offered: int) -> Seen:
        return Seen(
            offered, 0, failed=64, dropped=offered - 64, elapsed=step.seconds + 10, drained=False,
            errors={"unfinished: still running when the drain time was over": 64}, most_in_flight=step.in_flight,
        )  # fmt: skip

    def _served(self, step: Step, offered: int, cpu: float, capacity: float, promises: tuple[Promise, ...]) -> Seen:
        concurrency = step.in_flight / self.service
        reach = min(capacity, concurrency)
        done = offered if step.rate < reach else round(reach * step.seconds)
        failed = round(max(0.0, step.rate - self.errors_from) * step.seconds) if step.rate > self.errors_from else 0
        done = max(0, done - failed)
        spare = capacity - step.rate

        def latency(percentile: float) -> float:
            if step.rate >= reach:
                return step.in_flight / reach
            return self.service + math.log(1 / (1 - percentile / 100)) / spare

        readings = []
        for promise in promises:
            lost = done < offered * promise.percentile / 100
            ms = None if lost else latency(promise.percentile) * 1000
            enough = supported(offered, promise.percentile)
            kept = "held" if ms is not None and ms <= promise.limit_ms else "missed"
            readings.append(
                PromiseResult(
                    promise.percentile, promise.limit_ms, ms if enough else None, kept if enough else "unknown"
                )
            )
        p50, p99 = latency(50.0) * 1000, latency(99.0) * 1000
        return Seen(
            offered, done, failed=failed, dropped=offered - done - failed, elapsed=step.seconds, achieved=done / step.seconds,
            promised=tuple(readings), p50_ms=p50, p99_ms=p99, service_p50_ms=p50, service_p99_ms=p99,
            lag_p99_ms=0.3, cpu_share=min(1.0, cpu), most_in_flight=step.in_flight if step.rate >= reach else 3,
            recovered=2.0 if all(reading.verdict == "held" for reading in readings) else None,
            errors={self.error: failed} if failed else {},
        )  # fmt: skip


def searched(server: SimulatedServer, settings: SearchSettings) -> tuple[Ceiling, tuple[Entry, ...]]:
    """A whole search on a simulated server."""
    journal: tuple[Entry, ...] = ()
    while (step := next_step(journal, settings)) is not None:
        journal = (*journal, answered(step, server, journal, settings))
    return conclude(journal, settings), journal


def answered(step: Step, server: SimulatedServer, journal: tuple[Entry, ...], settings: SearchSettings) -> Entry:
    promises = () if step.role in (Role.CALIBRATION, Role.PROBE) else promises_of(journal, settings)
    seen = server.offer(step, promises)
    judgement = judge(step, seen, settings, base_service(journal), promises)
    took = step.warmup + max(step.seconds, seen.elapsed)
    return Entry(step, seen, judgement.verdict, str(judgement.cause), judgement.reasons, took)


def simulated_window(
    order: Order, *, callers: int = 4, service: float = 0.002, seed: int = 0, stall: tuple[float, float] | None = None
) -> Offered:
    """One window of Poisson or constant arrivals at ``callers`` servers with exponential service times, event by event.

    During ``stall`` (its begin and its length in seconds) no service begins.
    """
    source = random.Random(f"{seed}/{order.seed}/{order.rate}")
    null = order.target == "null"
    recorder, free, ends, now = Recorder(), [0.0] * min(callers, order.in_flight), [], 0.0
    in_flight = most = in_time = 0
    heapq.heapify(free)
    for number in range(round(order.rate * order.seconds)):
        now = number / order.rate if order.arrivals == "constant" else now + source.expovariate(order.rate)
        while ends and ends[0] <= now:
            heapq.heappop(ends)
        in_flight = len(ends)
        recorder.offer(now)
        if in_flight >= order.in_flight:
            recorder.drop(now)
            continue
        most = max(most, in_flight + 1)
        begin = now if null else max(now, heapq.heappop(free))
        if stall is not None and stall[0] <= begin < sum(stall):
            begin = sum(stall)
        end = begin + (1e-5 if null else source.expovariate(1 / service))
        if not null:
            heapq.heappush(free, end)
        heapq.heappush(ends, end)
        in_time += end <= order.seconds
        recorder.sent(0.0001)
        recorder.succeed(now, end - now + 0.0001, end - now)
    elapsed = max([order.seconds, *ends])
    busiest = order.rate / 40_000
    offering = Offering(order.seconds, in_time, busiest * order.seconds)
    return offered_of(order, recorder, elapsed, busiest=busiest, offering=offering, most_in_flight=most)


def offered_of(order: Order, recorder: Recorder, elapsed: float, **changes: Any) -> Offered:
    """What one worker gives back for an order."""
    busiest = changes.get("busiest", 0.1)
    clean = {"counts": {}, "measured": {}, "wrong": 0, "lost": 0, "duplicated": 0, "examples": []}
    usual: dict[str, Any] = {
        "warmup": {}, "cpu_seconds": busiest * elapsed, "busiest": busiest, "workers": 1, "most_in_flight": 3, "gaps": (),
        "offering": Offering(min(elapsed, order.seconds), recorder.answered, busiest * order.seconds),
        "checks": clean, "lost_log_lines": 0, "complete": True,
        "locust": {"requests": recorder.answered + recorder.failed, "failures": recorder.failed},
    }  # fmt: skip
    return Offered(order=order, recorder=recorder, elapsed=elapsed, **(usual | changes))
