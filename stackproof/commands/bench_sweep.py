"""`stackproof bench --sweep`: a closed loop at several concurrencies, in random order, and the law that explains them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace

from rich.console import Console

from stackproof.interfaces import ConfigurationError
from stackproof.measurement.judgement import measurement_of, window_of
from stackproof.measurement.record import Measurement, WindowRecord
from stackproof.measurement.record_names import MEASURED, SWEEP
from stackproof.measurement.sweep import sweep_of
from stackproof.reports.measurement_terminal import LoadView
from stackproof.scenarios.orders import CLOSED, Offered, Order
from stackproof.scenarios.stub import StubServer

from .bench_load import Load, Run, facts_of, say_waiting, self_check

MOST = 10_000


def levels_of(text: str) -> tuple[int, ...]:
    """The concurrencies of ``1,2,4,8``; a `ConfigurationError` for anything else."""
    try:
        levels = tuple(int(part) for part in text.split(","))
    except ValueError:
        levels = ()
    if len(set(levels)) != len(levels) or len(levels) < 2 or not all(1 <= level <= MOST for level in levels):
        raise ConfigurationError(
            f"--sweep {text!r} must be different numbers of callers from 1 to {MOST}, as in 1,2,4,8,16,32"
        )
    return levels


def sweep(run: Run, levels: Sequence[int], console: Console) -> Measurement:
    """Offer each concurrency ``repeat`` times; afterwards nothing of the run is left on the servers."""
    load = run.load
    say_waiting(load, run.backends, console)
    with ExitStack() as stack:
        stub = stack.enter_context(StubServer()) if load.on_stub else None
        view = stack.enter_context(LoadView(console, len(levels) * load.repeat))
        session = stack.enter_context(run.session(stub, view))
        check = self_check(session.offer, load.order, stub)
        session.connect()
        run.gather_evidence(session.namespace)
        windows, interrupted = offered(session.offer, load, levels)
    found = sweep_of(windows)
    best = 0 if found is None else found.best
    result = measurement_of(
        load.workload,
        check,
        [replace(window, role=MEASURED) if window.order["in_flight"] == best else window for window in windows],
        facts_of(run, replace(load, order=replace(load.order, arrivals=CLOSED, in_flight=best))),
        load.promises,
        interrupted=interrupted,
        left_behind=run.left_behind_by(session),
        planned=load.repeat,
    )
    whole = len(windows) == len(levels) * load.repeat
    return replace(result, sweep=found, complete=result.complete and whole and not interrupted)


def offered(offer: Callable[[Order], Offered], load: Load, levels: Sequence[int]) -> tuple[list[WindowRecord], bool]:
    """Every window of the sweep, and whether somebody cut it short. The order is drawn: what the machine does meets all alike."""
    plan = [level for level in levels for _ in range(load.repeat)]
    random.Random(load.order.seed).shuffle(plan)  # noqa: S311 - an order, no secret
    windows: list[WindowRecord] = []
    for number, level in enumerate(plan):
        order = replace(load.order, arrivals=CLOSED, in_flight=level, seed=load.order.seed + number)
        one = offer(order)
        if one.interrupted or not one.complete:
            return windows, one.interrupted
        windows.append(window_of(SWEEP, one))
    return windows, False
