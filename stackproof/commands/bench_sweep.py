"""`stackproof bench --sweep`: a closed loop at several concurrencies, in random order, and the law that explains them.

Each window is on disk before the next one begins: a sweep that was cut short goes on with those that are missing (``--resume``).
"""

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
from stackproof.measurement.window_log import WindowLog
from stackproof.reports.measurement_terminal import LoadView
from stackproof.scenarios.orders import CLOSED, Offered, Order
from stackproof.scenarios.stub import StubServer

from .bench_load import Load, Run, alone_in, facts_of, say_waiting, self_check

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
    log = WindowLog(run.directory, load.identity() | {"sweep": list(levels)}, load.command())
    kept = log.begin()
    with ExitStack() as stack:
        stub = stack.enter_context(StubServer()) if load.on_stub else None
        view = stack.enter_context(LoadView(console, max(0, len(levels) * load.repeat - len(kept))))
        session = stack.enter_context(run.session(stub, view))
        check = self_check(session.offer, load.order, stub, alone_in(session, load))
        session.connect()
        run.gather_evidence(session)
        windows, interrupted = offered(session.offer, load, levels, kept, log.keep)
        if interrupted and not windows:
            raise KeyboardInterrupt
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


def offered(
    offer: Callable[[Order], Offered],
    load: Load,
    levels: Sequence[int],
    kept: Sequence[WindowRecord] = (),
    keep: Callable[[WindowRecord], None] = lambda _window: None,
) -> tuple[list[WindowRecord], bool]:
    """Every window of the sweep, those that were ``kept`` before first, and whether somebody cut it short."""
    windows = list(kept)
    done = {int(window.order["seed"]) for window in kept}
    for number, level in enumerate(plan(levels, load.repeat, load.order.seed)):
        order = replace(load.order, arrivals=CLOSED, in_flight=level, seed=load.order.seed + number)
        if order.seed in done:
            continue
        one = offer(order)
        if one.interrupted or not one.complete:
            return windows, one.interrupted
        windows.append(window_of(SWEEP, one))
        keep(windows[-1])
    return windows, False


def plan(levels: Sequence[int], repeat: int, seed: int) -> list[int]:
    """The concurrency of each window: all of them once a round, in an order that is drawn: what the machine does meets all alike.

    More rounds begin with the same ones: a sweep can be gone on with for longer than was first asked.
    """
    draw = random.Random(seed)  # noqa: S311 - an order, no secret
    return [level for _ in range(repeat) for level in draw.sample(levels, len(levels))]
