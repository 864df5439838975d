"""`stackproof bench --against`: two loads in interleaved windows, so that what the machine does meanwhile meets both alike.

Windows of the same number are a pair: the same operations, one right after the other, in an order that is drawn, however often
the self-check of a side was repeated. Each side keeps a run of its own, and `stackproof compare` knows by the pairs that they
belong together.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console

from stackproof.measurement.judgement import cut_short, measurement_of, window_of
from stackproof.measurement.record import Measurement, WindowRecord
from stackproof.measurement.record_names import MEASURED
from stackproof.measurement.window_log import WITHOUT_PAIR, WindowLog
from stackproof.reports.measurement_terminal import LoadView
from stackproof.scenarios.orders import Offered, Order
from stackproof.scenarios.stub import StubServer

from .bench_load import Load, Run, facts_of, self_check

Offer = Callable[[Order], Offered]
SIDES = ("--backend", "--against")


def offer_pairs(one: Run, two: Run, console: Console) -> tuple[Measurement, Measurement]:
    """Offer both loads; afterwards nothing of them is left on the servers."""
    load, runs = one.load, (one, two)
    # Both keep the command of the pair: neither side is begun again, or gone on with, by itself.
    logs = [WindowLog(run.directory, run.identity, load.command()) for run in runs]
    for log in logs:
        log.begin()
    with ExitStack() as stack:
        stub = stack.enter_context(StubServer()) if load.on_stub else None
        view = stack.enter_context(LoadView(console, 2 * load.repeat))
        sessions = [stack.enter_context(run.session(stub, view)) for run in runs]
        checks = [self_check(session.offer, load.order, stub) for session in sessions]
        for run, session in zip(runs, sessions, strict=True):
            session.connect()
            run.gather_evidence(session)
        done = interleaved([session.offer for session in sessions], logs, load, checks, view.ended)
    first, second = (
        log.told_by(
            done.judged(
                measurement_of(
                    run.load.workload,
                    check,
                    windows,
                    facts_of(run, run.load),
                    run.load.promises,
                    interrupted=done.interrupted,
                    left_behind=run.left_behind_by(session),
                    planned=run.load.repeat,
                )
            )
        )
        for run, session, log, check, windows in zip(runs, sessions, logs, checks, done.windows, strict=True)
    )
    return first, second


@dataclass(frozen=True, slots=True)
class Interleaved:
    """The windows of both sides."""

    windows: tuple[list[WindowRecord], list[WindowRecord]]
    interrupted: bool
    trouble: str = ""
    """Why there are no more of them, where nobody interrupted: a pair that one side did not end is no pair."""

    def judged(self, result: Measurement) -> Measurement:
        """The record of a side, which says so where pairs are missing because of trouble."""
        if not self.trouble:
            return result
        return replace(result, complete=False, invalid=(cut_short(self.trouble), *result.invalid))


def interleaved(
    offers: Sequence[Offer],
    logs: Sequence[WindowLog],
    load: Load,
    checks: Sequence[Mapping[str, Any]],
    ended: Callable[[WindowRecord, str], None] = lambda _window, _side: None,
) -> Interleaved:
    """Each pair of windows, whichever side comes first in it; an interruption ends the list with the pairs that are whole."""
    draw = random.Random(load.order.seed)  # noqa: S311 - an order, no secret
    done: tuple[list[WindowRecord], list[WindowRecord]] = ([], [])
    pair: dict[int, WindowRecord] = {}
    try:
        for number in range(load.repeat):
            order = replace(load.order, seed=load.order.seed + number, number=number)
            for side in draw.sample((0, 1), 2):
                offered = offers[side](order)
                if offered.interrupted or not offered.complete:
                    logs[side].keep_untrue(offered.checks)
                    _leave_out(pair, logs)
                    return Interleaved(done, offered.interrupted, offered.broken_off)
                pair[side] = window_of(MEASURED, offered, checks[side], pair=str(number))
            for side, window in pair.items():
                done[side].append(window)
            whole, pair = pair, {}
            for side, window in whole.items():
                logs[side].keep(window, checks[side])
                ended(window, SIDES[side])
    except KeyboardInterrupt:  # between two windows: the pairs that were measured are in the records all the same
        _leave_out(pair, logs)
        return Interleaved(done, interrupted=True)
    return Interleaved(done, interrupted=False)


def _leave_out(pair: Mapping[int, WindowRecord], logs: Sequence[WindowLog]) -> None:
    """A window whose other one is missing counts for nothing; what its checks say is kept."""
    for side, window in pair.items():
        logs[side].keep_untrue(window.checks, WITHOUT_PAIR)
