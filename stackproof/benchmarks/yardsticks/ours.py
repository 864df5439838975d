"""Our side: the load generator of every measurement, offered closed loop, held to the same core as the tool.

It stays up over all rounds, as a tool is started once a round: so neither imports nor connections are in its figures.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from stackproof.scenarios.orders import CLOSED, Offered, Order, Setup
from stackproof.scenarios.session import Session
from stackproof.targets import Target

from .core_use import CoreUse
from .yardstick import Load, Yardstick, YardstickError

PERCENTILES = {"p50": 50.0, "p95": 95.0, "p99": 99.0}
_WORKLOADS = f"{__name__.rpartition('.')[0]}.workloads"


@dataclass(frozen=True, slots=True)
class OurFigures:
    """What one window of our generator gave."""

    operations: int
    """Operations that ended well, and whose answer was right."""
    seconds: float
    rate: float
    """Operations per second."""
    latency: Mapping[str, float] = field(default_factory=dict)
    """Percentile -> seconds."""
    failed: int = 0
    wrong: int = 0
    """Answers that were wrong, and what was lost, came twice or was not handled."""
    cpu_seconds: float = 0.0
    """Of the whole process, in the window."""
    others: float | None = None
    """The share of the core that other processes took meanwhile, the server among them; None where that is not known."""


Ours = Callable[[Load], OurFigures]
"""Whatever can do a load on our side: the runner of a comparison knows nothing else of it."""


@contextlib.contextmanager
def generator(yardstick: Yardstick, target: Target, variables: Mapping[str, str], load: Load) -> Iterator[Ours]:
    """Our generator, connected, for the time of a comparison; afterwards it, and what it stored, are gone."""
    setup = Setup(
        scenario=f"{_WORKLOADS}:{yardstick.scenario}",
        backends={target.concern: target.spec},
        namespace=load.namespace,
        engine="native" if yardstick.native else "green",
        settings={"keys": str(load.keys), "size": str(load.payload_bytes)},
    )
    # The adapter keeps at most so many connections: fewer than operations in flight would make these wait in line.
    more = {**variables, "DATABASE_MAX_CONNECTIONS": str(max(16, load.concurrency))}
    with tempfile.TemporaryDirectory(prefix="stackproof-yardstick-") as folder, contextlib.ExitStack() as ending:
        session = Session(setup, more, Path(folder), lambda _progress: None)
        with held_to(load.core):  # its process inherits it
            ending.enter_context(session)
        session.connect()

        def ours(given: Load) -> OurFigures:
            use = CoreUse(given.core)
            figures = figures_of(session.offer(order_of(given)))
            return replace(figures, others=use.others(figures.cpu_seconds))

        yield ours


def order_of(load: Load) -> Order:
    """A window in which each caller begins its next operation when the last one has ended."""
    return Order(rate=1.0, seconds=load.seconds, arrivals=CLOSED, in_flight=load.concurrency)


def figures_of(offered: Offered) -> OurFigures:
    """What came of a window, as it is compared. `KeyboardInterrupt` where somebody cut it short."""
    if offered.interrupted:
        raise KeyboardInterrupt
    if not offered.complete:
        raise YardstickError(f"our generator did not do its whole window: {offered.trouble or 'nobody knows why'}")
    if (
        offered.most_in_flight < 2 <= offered.order.in_flight
    ):  # fewer than ordered are in flight where answers come fast
        raise YardstickError("our generator did one operation after the other: something holds up all of its callers")
    recorder, checks = offered.recorder, offered.checks
    seconds = max(offered.elapsed, 1e-9)
    found = {name: recorder.real.percentile(wanted) for name, wanted in PERCENTILES.items()}
    return OurFigures(
        operations=recorder.answered,
        seconds=seconds,
        rate=recorder.answered / seconds,
        latency={name: value for name, value in found.items() if value is not None},
        failed=recorder.failed,
        wrong=sum(int(checks.get(name, 0)) for name in ("wrong", "lost", "duplicated", "unhandled")),
        cpu_seconds=offered.cpu_seconds,
    )


@contextlib.contextmanager
def held_to(core: int | None) -> Iterator[None]:
    """What this thread starts meanwhile runs on that core only."""
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
