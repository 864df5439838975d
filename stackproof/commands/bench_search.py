"""`stackproof bench --find-max`: a search for the highest rate that holds, over one session of the generator, and its record.

A run directory of a search holds ``journal.jsonl``, from which the search goes on, and ``windows.jsonl``, from which its record
is made: a search that was killed loses the window that was being offered, and nothing else (``--resume``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from rich.console import Console

from stackproof.exits import Exit
from stackproof.measurement.ceiling import JOURNAL, find_ceiling, seed_of
from stackproof.measurement.ceiling_record import UNCONFIRMED, record_of
from stackproof.measurement.judgement import measurement_of, window_of
from stackproof.measurement.record import Facts, Measurement, WindowRecord
from stackproof.measurement.record_names import MEASURED
from stackproof.measurement.search_journal import Ceiling, Entry, Limiter, Role, Search, SearchSettings, Step, Verdict
from stackproof.measurement.window_log import WindowLog
from stackproof.reports.ceiling_terminal import SearchView
from stackproof.scenarios.orders import NULL, Offered, Order
from stackproof.scenarios.stub import StubServer

from .bench_load import Load, Run, alone_in, facts_of, say_waiting, self_check


def search(run: Run, settings: SearchSettings, console: Console) -> Measurement:
    """Search, or go on with a search; afterwards nothing of it is left on the servers."""
    load, identity = run.load, run.identity
    say_waiting(load, run.backends, console)
    log = WindowLog(run.directory, identity, load.command())
    windows = list(log.begin())
    with ExitStack() as stack:
        stub = stack.enter_context(StubServer()) if load.on_stub else None
        view = stack.enter_context(SearchView(console, settings))
        session = stack.enter_context(run.session(stub, view.progress))

        def connect() -> None:
            session.connect()
            view.progress({"phase": "asking the servers for their settings"})
            run.gather_evidence(session)

        def keep(step: Step, offered: Offered) -> None:
            windows.append(window_of(str(step.role), offered, check))
            log.keep(windows[-1], check)

        idle = replace(load.order, rate=settings.idle_rate)
        check = self_check(session.offer, idle, stub, alone_in(session, load))
        offer = _connecting(connect, session.offer)
        path = run.directory / JOURNAL
        found = find_ceiling(offer, settings, path, identity, view.step, keep=keep, keep_untrue=log.keep_untrue)
    left = run.left_behind_by(session)
    facts = facts_of(run, as_found(load, found))
    return log.told_by(measured(found, settings, load, windows, check, facts, left, earlier=log.checks))


def _connecting(connect: Callable[[], None], offer: Callable[[Order], Offered]) -> Callable[[Order], Offered]:
    """Backends are connected to when the first window needs them: the generator's own ceiling is measured without."""
    connected = False

    def connecting(order: Order) -> Offered:
        nonlocal connected
        if order.target != NULL and not connected:
            connect()
            connected = True
        return offer(order)

    return connecting


# -- the record -----------------------------------------------------------------------------------------------------


def measured(
    found: Search,
    settings: SearchSettings,
    load: Load,
    windows: Sequence[WindowRecord],
    calibration: Mapping[str, Any],
    facts: Facts,
    left_behind: Sequence[str] = (),
    *,
    earlier: Sequence[Mapping[str, Any]] = (),
) -> Measurement:
    """The record: its figures are those of the fresh windows that confirmed the holding rate. ``earlier`` are the self-checks
    of sessions before this one."""
    kept = {int(window.order["seed"]): window for window in windows}  # one that was offered again counts once
    confirming = confirming_of(found)
    roles = {entry.step.number: MEASURED if entry in confirming else str(entry.step.role) for entry in found.journal}
    result = measurement_of(
        load.workload,
        calibration,
        [
            replace(kept[seed], role=role)
            for number, role in roles.items()
            if (seed := seed_of(number, settings)) in kept
        ],
        facts,
        found.ceiling.promises,
        interrupted=found.interrupted,
        left_behind=left_behind,
        planned=len(confirming),
        earlier=earlier,
    )
    unknown = () if confirming else (UNCONFIRMED,)
    doubt = ("The search did not converge: its bracket is no answer, and says only what was seen.",)
    return replace(
        result,
        warnings=(*result.warnings, *(doubt if found.ceiling.limiter is Limiter.NOT_CONVERGED else ())),
        complete=result.complete and not found.interrupted and not found.trouble,
        invalid=tuple(dict.fromkeys([*found.ceiling.invalid, *result.invalid, *unknown])),
        limiter=str(found.ceiling.limiter),
        limiter_reason="; ".join(found.ceiling.reasons),
        ceiling=record_of(found),
    )


def confirming_of(found: Search) -> list[Entry]:
    """The fresh windows in which the holding rate held."""
    return [
        entry
        for entry in found.journal
        if entry.step.role is Role.CONFIRM and entry.step.rate == found.ceiling.holds and entry.verdict is Verdict.HOLDS
    ]


def as_found(load: Load, found: Search) -> Load:
    """The load of the figures, as if somebody had asked for it."""
    ceiling: Ceiling = found.ceiling
    confirming = confirming_of(found)
    step = confirming[0].step if confirming else None
    order = replace(
        load.order,
        rate=ceiling.holds or ceiling.fails or 0.0,
        seconds=step.seconds if step is not None else 0.0,
        warmup=step.warmup if step is not None else 0.0,
    )
    return replace(load, order=order, repeat=max(1, len(confirming)))


def may_go_on(result: Measurement) -> bool:
    """Whether there is more to measure in a run: it was cut short, or its search has no answer yet."""
    return not result.complete or result.limiter == Limiter.NOT_CONVERGED


def exit_code(result: Measurement) -> Exit:
    """What the shell is told: a rate that holds was found, none holds, or there is no answer."""
    assert result.ceiling is not None
    if result.interrupted:
        return Exit.INTERRUPTED
    if not result.complete or result.ceiling.invalid or result.ceiling.limiter == Limiter.NOT_CONVERGED:
        return Exit.INCONCLUSIVE
    if not result.ceiling.holds:
        return Exit.INCONCLUSIVE if result.ceiling.limiter == Limiter.CLIENT else Exit.BROKEN
    return Exit.INCONCLUSIVE if result.invalid else Exit.HOLDS
