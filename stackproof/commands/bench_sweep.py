"""`stackproof bench --sweep`: a closed loop at several concurrencies, in random order, and the law that explains them.

Each window is on disk before the next one begins: a sweep that was cut short goes on with those that are missing (``--resume``).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console

from stackproof.interfaces import ConfigurationError
from stackproof.measurement.judgement import cut_short, measurement_of, window_of
from stackproof.measurement.kept_record import elsewhere
from stackproof.measurement.record import Facts, Measurement, WindowRecord
from stackproof.measurement.record_names import MEASURED, SWEEP
from stackproof.measurement.sweep import best_of, sweep_of
from stackproof.measurement.window_log import WindowLog
from stackproof.reports.measurement_terminal import LoadView
from stackproof.scenarios.orders import CLOSED, Checked, Offered, Order
from stackproof.scenarios.stub import StubServer
from stackproof.targets import Target, load_object

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


def check_waiting(targets: Sequence[Target]) -> None:
    """Refuse backends none of which waits: a caller of theirs gives way to no other, so more of them are only a longer queue."""
    asked = [target for target in targets if target.concern != "logs"]  # nobody waits for a line of a log
    if asked and all(_in_process(target) for target in asked):
        names = " and ".join(target.name for target in asked)
        raise ConfigurationError(
            f"--sweep of {names}: what works in the generator's own process never waits, so more callers change nothing; measure "
            "it at a fixed --rate, or with --find-max"
        )


def _in_process(target: Target) -> bool:
    """Whether its capabilities say that no server is behind it; not where they say nothing."""
    found = load_object(target.name, target.spec) if target.entry is None else target.entry.load()
    return getattr(getattr(found, "capabilities", None), "remote", None) is False


def sweep(run: Run, levels: Sequence[int], console: Console) -> Measurement:
    """Offer each concurrency ``repeat`` times; afterwards nothing of the run is left on the servers."""
    load = run.load
    say_waiting(load, run.backends, console)
    log = WindowLog(run.directory, run.identity | {"sweep": list(levels)}, load.command(), load.planned(levels))
    kept = log.begin()
    with ExitStack() as stack:
        stub = stack.enter_context(StubServer()) if load.on_stub else None
        view = stack.enter_context(LoadView(console, len(levels) * load.repeat, len(kept)))
        session = stack.enter_context(run.session(stub, view))
        check = self_check(session.offer, load.order, stub, alone_in(session, load))
        session.connect()
        run.gather_evidence(session)

        def keep(window: WindowRecord) -> None:
            log.keep(window, check)
            view.ended(window)

        swept = offered(session.offer, load, levels, kept, keep, log.keep_untrue)
        if swept.interrupted and not swept.windows:
            raise KeyboardInterrupt
    best = shown_of(swept.windows, plan(levels, 1, load.order.seed)[0])
    facts = facts_of(run, replace(load, order=replace(load.order, arrivals=CLOSED, in_flight=best)))
    left = run.left_behind_by(session)
    return log.told_by(measured(swept, load, len(levels), check, facts, left, earlier=log.checks))


@dataclass(frozen=True, slots=True)
class Swept:
    """Every window of a sweep, those that were kept before first."""

    windows: Sequence[WindowRecord]
    interrupted: bool
    """Whether somebody cut it short."""
    trouble: str = ""
    """Why some are missing, where nobody did."""


def offered(
    offer: Callable[[Order], Offered],
    load: Load,
    levels: Sequence[int],
    kept: Sequence[WindowRecord] = (),
    keep: Callable[[WindowRecord], None] = lambda _window: None,
    keep_untrue: Callable[[Mapping[str, Any]], None] = lambda _checks: None,
) -> Swept:
    """Offer the windows that are not among those that were ``kept`` before. ``keep_untrue`` gets the checks of one that is cut
    short."""
    windows = list(kept)
    done = {int(window.order["seed"]) for window in kept}
    try:
        for number, level in enumerate(plan(levels, load.repeat, load.order.seed)):
            seed = load.order.seed + number
            if seed in done:
                continue
            one = offer(replace(load.order, arrivals=CLOSED, in_flight=level, seed=seed, number=number))
            if one.interrupted or not one.complete:
                keep_untrue(one.checks)
                return Swept(windows, one.interrupted, one.broken_off)
            windows.append(window_of(SWEEP, one))
            keep(windows[-1])
    except KeyboardInterrupt:  # between two windows: those that were measured are in the record all the same
        return Swept(windows, interrupted=True)
    return Swept(windows, interrupted=False)


def shown_of(windows: Sequence[WindowRecord], first: int) -> int:
    """The concurrency that the figures of a sweep are of: the best one; ``first``, which was offered first, where nothing ended.

    Where no window may be used it is the best of those: what is shown is marked, and is still what was seen.
    """
    best = best_of(windows)
    if best is not None:
        return best
    fastest = max(windows, key=lambda window: window.rates["achieved"], default=None)
    return first if fastest is None else int(fastest.order["in_flight"])


def measured(
    swept: Swept,
    load: Load,
    levels: int,
    check: Mapping[str, Any],
    facts: Facts,
    left_behind: Sequence[str] = (),
    *,
    earlier: Sequence[Mapping[str, Any]] = (),
) -> Measurement:
    """The record: its figures are those of the concurrency in ``facts``, and what was wrong in any window is wrong in it.

    ``earlier`` are the self-checks of sessions before this one.
    """
    windows, best = swept.windows, facts.load["in_flight"]
    result = measurement_of(
        load.workload,
        check,
        [replace(window, role=MEASURED) if window.order["in_flight"] == best else window for window in windows],
        facts,
        load.promises,
        interrupted=swept.interrupted,
        left_behind=left_behind,
        planned=load.repeat,
        earlier=earlier,
    )
    checks = Checked()
    for window in windows:
        checks.add(window.checks)
    whole = len(windows) == levels * load.repeat
    return replace(
        result,
        sweep=sweep_of(windows),
        checks=checks.data,
        complete=result.complete and whole and not swept.interrupted,
        invalid=tuple(dict.fromkeys([*_cut_short(swept), *result.invalid, *_elsewhere(windows, best)])),
    )


def _cut_short(swept: Swept) -> list[str]:
    return [cut_short(swept.trouble)] if swept.trouble else []


def _elsewhere(windows: Sequence[WindowRecord], best: int) -> list[str]:
    """What is wrong with windows of other concurrencies than the best, which the law and the knee rest on as well."""
    others = [window for window in windows if window.order["in_flight"] != best]
    return [elsewhere(window, sentence) for window in others for sentence in window.invalid]


def plan(levels: Sequence[int], repeat: int, seed: int) -> list[int]:
    """The concurrency of each window: all of them once a round, in an order that is drawn: what the machine does meets all alike.

    More rounds begin with the same ones: a sweep can be gone on with for longer than was first asked.
    """
    draw = random.Random(seed)  # noqa: S311 - an order, no secret
    return [level for _ in range(repeat) for level in draw.sample(levels, len(levels))]
